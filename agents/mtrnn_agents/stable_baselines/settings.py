"""The settings that all on-policy training by Stable-Baselines3 shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mtrnn_agents.networks.options import check_fields, option
from mtrnn_agents.training.settings import SCHEDULES


def inherited(name: str, default: object) -> Any:
    """The field `name` of `OnPolicyTraining` with another default."""
    return field(default=default, metadata=OnPolicyTraining.__dataclass_fields__[name].metadata)


@dataclass(frozen=True, kw_only=True)
class OnPolicyTraining:
    """The settings of training on rollouts by PPO (arXiv:1707.06347) or A2C (arXiv:1602.01783).

    Raises:
        ValueError: if a field is out of its range.
    """

    n_envs: int = option(64, "environments that are stepped together", low=1)
    rollout_trials: int = option(
        4,
        "trials of a rollout in each environment, if they are of the longest length; those not over are cut off",
        low=1,
    )
    total_steps: int = option(500_000, "steps of training, over all environments, up to whole rollouts", low=1)
    total_trials: int | None = option(
        None,
        "at most so many trials of training, over all environments and those cut off included, in whole rollouts: it "
        "is over when steps or trials are, and the rate falls by whichever is nearer; None: as many as the steps hold",
        low=1,
    )
    learning_rate: float = option(1e-3, "the optimiser's rate at its highest", above=0)
    schedule: str = option(
        "constant", "how the rate falls to 0 over training: 'constant', 'linear', or 'cosine'", among=SCHEDULES
    )
    gamma: float = option(1.0, "discount of the next step's value", low=0, high=1)
    gae_lambda: float = option(
        0.95, "weight of longer returns in generalised advantages (arXiv:1506.02438)", low=0, high=1
    )
    entropy_weight: float = option(0.0, "weight of the policy's entropy in the loss", low=0)
    value_weight: float = option(0.5, "weight of the value's error in the loss", low=0)
    clip_norm: float = option(0.5, "norm at which the gradient is clipped", above=0)
    n_epochs: int = option(4, "PPO: passes over a rollout", low=1)
    n_minibatches: int = option(4, "PPO: updates in a pass", low=1)
    clip_range: float = option(0.2, "PPO: how far the probability ratio may go from 1", above=0)
    evaluate_every: int = option(
        20_000, "steps between evaluations on the validation stream, up to whole rollouts", low=1
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def rate(self, left: float) -> float:
        """The learning rate when a share of training, from 1 to 0, is left: SB3's `learning_rate`."""
        return self.learning_rate * SCHEDULES[self.schedule](1 - left)

    def keywords(self, trial_steps: int) -> dict[str, Any]:
        """The arguments of SB3's models, for trials of at most `trial_steps` steps."""
        return {
            "learning_rate": self.rate,
            "n_steps": self.rollout_trials * trial_steps,
            "gamma": self.gamma,
            "gae_lambda": self.gae_lambda,
            "ent_coef": self.entropy_weight,
            "vf_coef": self.value_weight,
            "max_grad_norm": self.clip_norm,
            "device": "cpu",
        }

    def ppo_keywords(self, trial_steps: int) -> dict[str, Any]:
        """`keywords`, and those of PPO alone; its minibatches are rounded up to whole steps.

        Raises:
            ValueError: if minibatches would hold less than 2 steps, of which there is no deviation of advantages.
        """
        common = self.keywords(trial_steps)
        steps = common["n_steps"] * self.n_envs
        if self.n_minibatches > steps // 2:
            raise ValueError(
                f"n_minibatches={self.n_minibatches} leaves less than 2 of the {steps} steps of a rollout for each; at "
                f"most {steps // 2} are allowed with n_envs={self.n_envs}, rollout_trials={self.rollout_trials}"
            )
        return {
            **common,
            "batch_size": -(-steps // self.n_minibatches),
            "n_epochs": self.n_epochs,
            "clip_range": self.clip_range,
        }
