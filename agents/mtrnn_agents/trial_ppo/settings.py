"""The settings of PPO on whole trials, and their presets."""

from __future__ import annotations

from dataclasses import dataclass

from mtrnn_agents.networks import registry as networks
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.options import check_fields, option
from mtrnn_agents.training.settings import SCHEDULES


@dataclass(frozen=True, kw_only=True)
class Training:
    """The settings of proximal policy optimisation, undiscounted; see `mtrnn_agents.trial_ppo.objective`.

    Raises:
        ValueError: if a field is out of its range.
    """

    network: networks.AnyNetwork = option(LeakyRNN(), "the architecture")  # noqa: RUF009 (it is frozen)
    factored: bool = option(
        True,
        "one probability ratio, advantage, clip and value for each task; else one for the whole action, from "
        "the reward that the environment pays",
    )
    n_iterations: int = option(300, "rollouts, each of which is learned from", low=1)
    n_trials: int = option(256, "whole trials of a rollout", low=1)
    n_epochs: int = option(2, "times that a rollout is gone through", low=1)
    n_minibatches: int = option(8, "parts of a rollout, of equally many trials; each gives an update", low=1)
    learning_rate: float = option(4e-3, "Adam's rate at its highest", above=0)
    schedule: str = option(
        "cosine", "how the rate falls to 0 over all rollouts: 'cosine', 'linear', or 'constant'", among=SCHEDULES
    )
    clip_range: float = option(0.2, "how far a probability ratio may be from 1 to be learned from", above=0)
    gae_lambda: float = option(0.9, "lambda of generalised advantages, in [0, 1]", low=0, high=1)
    value_weight: float = option(0.5, "weight of the squared error of the values", low=0)
    entropy_weight: float = option(0.0, "weight of the entropy of the policy", low=0)
    clip_norm: float = option(0.5, "norm at which the gradient is clipped", above=0)
    wait_bias: float = option(
        3.0, "log-odds that waiting begins with above each other value, where one can wait", low=0, high=100
    )
    evaluate_every: int = option(10, "rollouts between evaluations on validation trials", low=1)

    def __post_init__(self) -> None:
        networks.name_of(self.network)
        check_fields(self)
        if self.n_trials % self.n_minibatches:
            raise ValueError(f"n_minibatches={self.n_minibatches} does not divide n_trials={self.n_trials}")

    def rate(self, n_iterations: int) -> float:
        """The learning rate of the rollout after `n_iterations`."""
        return self.learning_rate * SCHEDULES[self.schedule](n_iterations / self.n_iterations)


# "factored" is the recipe of this package. "reaction_time" is the same where time costs, at a greater rate, by which
# leaky RNNs get further there. "scalar" is plain PPO, which wants a smaller one: its gradient is noisier.
PRESETS: dict[str, Training] = {
    "factored": Training(),
    "reaction_time": Training(learning_rate=1e-2),
    "scalar": Training(factored=False, learning_rate=2e-3),
}
