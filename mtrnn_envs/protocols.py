"""Contracts that third parties implement: an agent, an agent plug-in, and an agent's dynamics.

Each is structural: nothing has to be inherited. `mtrnn_envs.testing` checks behaviour that signatures cannot express.
Axis letters: B environments or trials, F features of an observation, A answers, H units, S components of a state, N
points, D latents.

An agent may have these methods as well:

| method | result |
|---|---|
| `hidden(state)` | the units to record, `[B, H]`; without it, a state that is an array `[B, H]` is recorded |
| `probabilities(state)` | the probability of +1 of each answer, `[B, A]` |
| `dynamics()` | its `Dynamics` |
| `untrained()` | the agent before training |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from mtrnn_envs.task import EvidenceTask

# From states at the decision [N, H] and latents [N, D] of validation trials to numbers by name.
Metrics: TypeAlias = Callable[[np.ndarray, np.ndarray], Mapping[str, float]]
States: TypeAlias = Float[np.ndarray, "N S"]


@runtime_checkable
class Agent(Protocol):
    """Anything with Stable-Baselines3's `predict`, on batches."""

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions `[B, ...]` for observations `[B, F]`, and the state to pass in at the next step.

        Where `episode_start` `[B]` is True, a trial begins, and the state of that row must be forgotten.
        """
        ...


@runtime_checkable
class TrainableAgent(Agent, Protocol):
    """An agent that learns from a number of trials."""

    def fit(self, task: EvidenceTask, seed: int, budget: int) -> Agent | None:
        """The agent trained on at most `budget` trials of `task`; None if it is `self`."""
        ...


@runtime_checkable
class AgentPlugin(Protocol):
    """A module (or object) that is trained by name, by `mtrnn train --agent NAME` and in studies.

    Optional: `untrained(task, seed, training)`, `from_fields(values)`, `ensemble(runs, training, **how)`.
    """

    Training: type  # a frozen dataclass of settings, each field with its help as metadata["help"]
    PRESETS: Mapping[str, Any]  # settings to start from, the default first
    train: PluginTraining
    load: Callable[[str | Path], Agent]  # the agent in the folder that was given to `train`


class PluginTraining(Protocol):
    """The function `train` of an `AgentPlugin`; it raises `KeyboardInterrupt`, if interrupted, with what was saved."""

    def __call__(
        self, task: EvidenceTask, seed: int, training: Any, *, folder: Path, progress: bool, metrics: Metrics | None
    ) -> Agent:
        """The trained agent, saved in `folder`, and loaded from there if the same run is finished.

        `metrics` gives numbers to show during training; the agent's `evaluation`, numbers by name, is reported. Raises
        `ValueError` for a wrong task, settings or folder, and `FloatingPointError` if training diverges.
        """
        ...


@runtime_checkable
class Dynamics(Protocol):
    """The step of a recurrent network without its noise, in float64; it may have `jacobian(states, inputs)`."""

    @property
    def n_units(self) -> int:
        """How many of the first components of a state are those of `agent.hidden`: all but for an LSTM's (h, c)."""
        ...

    def start(self, n: int) -> States:
        """The state before the first observation of `n` trials."""
        ...

    def __call__(self, states: States, inputs: Float[np.ndarray, "N F"]) -> States:
        """The states after the observations `inputs`; each row by itself."""
        ...
