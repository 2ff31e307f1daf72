"""The memory-less baseline: feed-forward PPO or A2C that is shown the history of the trial.

    agent = train(EvidenceTask(), seed=0, training=PRESETS["mean"], folder="results/baseline")

What it cannot do shows what memory is needed for; what it can, how much of the task is no more than a mean.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from mtrnn_agents.networks.base import option, whole_field
from mtrnn_agents.stable_baselines import history_features as features
from mtrnn_agents.stable_baselines.agent import StableBaselinesAgent
from mtrnn_agents.stable_baselines.training_loop import MakeModel, OnPolicyTraining, first, learn, load
from mtrnn_agents.supervised.settings import checked_settings
from mtrnn_envs import EvidenceTask
from mtrnn_envs.protocols import Metrics

__all__ = ["PRESETS", "Training", "load", "train", "untrained"]

ALGORITHMS = ("ppo", "a2c")


@dataclass(frozen=True, kw_only=True)
class Training(OnPolicyTraining):
    """How a policy without memory is trained. `PRESETS` names the ones to start from.

    Raises:
        ValueError: if a field is out of its range.
    """

    rollout_trials: int = option(
        1, "trials of a rollout in each environment, if they are of the longest length; those not over are cut off"
    )
    total_steps: int = option(400_000, "steps of training, over all environments, up to whole rollouts")
    algorithm: str = option("ppo", "'ppo' (arXiv:1707.06347), or 'a2c' (arXiv:1602.01783)")
    history: str = option(
        "frames",
        "what is seen of the trial: 'frames' (all its observations so far, zeros before it), or 'mean' (the mean of "
        "the evidence so far, and the current cue)",
    )
    n_units: int = option(64, "units of each layer of the policy's network, and of the value's")
    n_layers: int = option(2, "layers of either")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_units", "n_layers"):
            whole_field(self, name, 1)
        for name, allowed in (("algorithm", ALGORITHMS), ("history", features.KINDS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {allowed}")


# Tuned for 24 tasks without the encoder: "frames" learns best from many small rollouts, "mean" from large ones, each
# gone over often.
PRESETS: dict[str, Training] = {
    "frames": Training(),
    "mean": Training(history="mean", rollout_trials=4, n_epochs=10),
    "a2c": Training(algorithm="a2c", history="mean", learning_rate=3e-3),
}


def train(
    task: EvidenceTask,
    seed: int,
    training: Training | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    metrics: Metrics | None = None,
) -> StableBaselinesAgent:
    """A feed-forward policy trained on the history of the trials of `task`.

    Arguments, what is kept in `folder`, and errors are those of `mtrnn_agents.stable_baselines.training_loop.learn`;
    `training` is `Training()`, which is `PRESETS["frames"]`, if None.
    """
    training = checked_settings(Training() if training is None else training, Training)
    return learn(
        _maker(task),
        task,
        seed,
        training,
        name="ppo_history",
        folder=folder,
        progress=progress,
        metrics=metrics,
        kind=training.history,
    )


def untrained(task: EvidenceTask, seed: int, training: Training | None = None) -> StableBaselinesAgent:
    """The agent that `train` starts from: the control for what a network owes to its first weights and its input."""
    training = checked_settings(Training() if training is None else training, Training)
    return first(_maker(task), task, seed, training, name="ppo_history", kind=training.history)


def _maker(task: EvidenceTask) -> MakeModel:
    """What makes the untrained model of a policy for `task`."""

    def make_model(envs: VecEnv, seed: int, training: Training) -> OnPolicyAlgorithm:
        layers = {"net_arch": [training.n_units] * training.n_layers}
        if training.algorithm == "a2c":
            return A2C("MlpPolicy", envs, seed=seed, policy_kwargs=layers, **training.keywords(task.n_steps))
        return PPO("MlpPolicy", envs, seed=seed, policy_kwargs=layers, **training.ppo_keywords(task.n_steps))

    return make_model
