"""The contracts that third parties implement: what an agent, an agent plug-in and its dynamics must offer.

Each is structural: nothing has to be inherited. `mtrnn_envs.testing` checks what the signatures cannot say.
Axis letters: B environments or trials, F features of an observation, A answers, H units, S components of a state, N
points.
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


@runtime_checkable
class Agent(Protocol):
    """Anything with Stable-Baselines3's `predict`, on batches.

    Optional methods, each used where it is there: `hidden(state) -> [B, H]`, the recorded units (without it a state
    that is itself an array `[B, H]` is recorded); `probabilities(state) -> [B, A]`, the probability of +1 of each
    answer; `dynamics() -> Dynamics`; `untrained() -> Agent`.
    """

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
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
    """A module (or object) that is trained by name: `mtrnn train --agent NAME`, and in studies.

    `Training` is a frozen dataclass of numbers, strings and such dataclasses, each field with its help as
    `metadata["help"]`; `PRESETS` names settings to start from, the default first. Optional functions:
    `untrained(task, seed, training)`, `from_fields(values)` and `ensemble(runs, training, **how)`.
    """

    Training: type[Any]
    PRESETS: Mapping[str, Any]

    def train(
        self,
        task: EvidenceTask,
        seed: int,
        training: Any,
        *,
        folder: Path,
        progress: bool,
        metrics: Metrics | None,
    ) -> Any:
        """The trained agent, saved in `folder`, and loaded from there if the same run is finished.

        `metrics` gives numbers to show during training. If the agent has an `evaluation`, numbers by name (of
        validation trials, after so many "updates" or "steps"), it is reported.

        Raises:
            ValueError: if the task or settings cannot be trained, or the folder holds another run or a broken file.
            FloatingPointError: if training diverges.
            KeyboardInterrupt: if interrupted, saying what was saved.
        """
        ...

    def load(self, path: str | Path) -> Any:
        """The agent in the folder that was given to `train`."""
        ...


@runtime_checkable
class Dynamics(Protocol):
    """The step of a recurrent network without its noise, in float64: what `agent.dynamics()` returns.

    Optional: `jacobian(states, inputs) -> [N, S, S]`, the derivative of component i of the next state by component j
    of this one (at a kink, that of either side); without it, central differences are taken.
    """

    @property
    def n_units(self) -> int:
        """How many of the first components of a state are those of `agent.hidden`: all but for an LSTM's (h, c)."""
        ...

    def start(self, n: int) -> Float[np.ndarray, "N S"]:
        """The state before the first observation of `n` trials."""
        ...

    def __call__(self, states: Float[np.ndarray, "N S"], inputs: Float[np.ndarray, "N F"]) -> Float[np.ndarray, "N S"]:
        """The states after the observations `inputs`; each row by itself."""
        ...
