"""Where the training of one network stands, and its file: written at any moment, taken up again to the bit."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from mtrnn_agents.fingerprints import named_contents
from mtrnn_agents.loading import AGENT
from mtrnn_agents.networks.base import Sizes, Weights
from mtrnn_agents.networks.flat_weights import Layout
from mtrnn_agents.supervised.batches import Run
from mtrnn_agents.supervised.settings import History, Training, to_fields
from mtrnn_agents.training import files as storage
from mtrnn_envs.rng.seeding import torch_generator

Agent = TypeVar("Agent")

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class Progress:
    """Where the training of one network stands.

    Attributes:
        weights: the trained weights, `[P]`; see `Layout`.
        moments: Adam's means of the gradient and its square, `[2, P]`.
        n_updates: updates made.
        losses: sum of the training losses since the last evaluation, and their number.
        history: the evaluations so far.
        best: the weights with the lowest validation loss, `[P]`.
        best_loss: that loss.
        n_worse: evaluations since then.
        stopped: whether patience has run out.
        diverged: the update, counted from 1, whose loss was not finite; training has stopped before it.
    """

    weights: Float[np.ndarray, " P"]
    moments: Float[np.ndarray, "2 P"]
    best: Float[np.ndarray, " P"]
    n_updates: int = 0
    losses: tuple[float, int] = (0.0, 0)
    history: History = field(default_factory=History)
    best_loss: float = math.inf
    n_worse: int = 0
    stopped: bool = False
    diverged: int | None = None

    @property
    def going(self) -> bool:
        """Whether it is still being trained."""
        return not self.stopped and self.diverged is None


def first_weights(run: Run, training: Training) -> Weights:
    """The weights that training starts from: they follow from the seed alone."""
    return training.network.first_weights(Sizes.of(run.task), torch_generator(run.seed, "network"))


def identity(run: Run, training: Any) -> dict[str, Any]:
    """All that determines a run, as JSON; of what it names as "module:attribute", a hash of what that holds now."""
    return {
        "task": json.loads(run.task.to_json()),
        "seed": run.seed,
        "training": to_fields(training),
        "contents": named_contents(run.task, training.network),
    }


def save(runs: Sequence[Run], training: Training, states: Sequence[Progress], folders: Sequence[Path] | None) -> None:
    """Writes the state of every run to its folder."""
    for run, state, folder in zip(runs, states, folders or (), strict=False):
        write(folder / CHECKPOINT, identity(run, training), state)


def resume(run: Run, training: Training, folder: Path | None) -> Progress:
    """The state in `folder`, or the first state where there is none.

    Raises:
        ValueError: if the state is that of another run, or the file is not whole.
    """
    if folder is None or not (folder / CHECKPOINT).exists():
        weights = first_weights(run, training)
        flat = Layout.of(weights).pack(weights)
        return Progress(flat, np.zeros((2, flat.size), np.float32), flat)
    values = read(folder / CHECKPOINT, identity(run, training))
    values |= {"history": History.from_fields(values["history"]), "losses": tuple(values["losses"])}
    return Progress(**values)


def write(path: Path, run: dict[str, Any], state: Any) -> None:
    """Writes a state, a dataclass of arrays and of what JSON can hold, of the run that has the identity `run`."""
    values = {f.name: getattr(state, f.name) for f in fields(state)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    others = {name: value for name, value in asdict(state).items() if name not in arrays}
    storage.write(path, "checkpoint", arrays, {"run": run, "state": others})


def read(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """The fields of the state that `write` wrote, arrays and JSON.

    Raises:
        ValueError: if the state is that of another run, or the file is not whole.
    """
    arrays, about = storage.read(path, "checkpoint")
    refuse_other(path, about["run"], run)
    return {**about["state"], **arrays}


def finished(kind: type[Agent], run: Run, training: Any, folder: Path | None) -> Agent | None:
    """The agent of this run in `folder`, of the class `kind`, if it is there.

    Raises:
        ValueError: if the agent there is that of another run.
    """
    if folder is None or not (folder / AGENT).exists():
        return None
    agent: Any = kind
    agent = agent.load(folder / AGENT)
    theirs = identity(Run(agent.task, agent.seed), agent.training)
    # What was named is now what it was when the agent was trained, or this is another run.
    theirs |= {"contents": storage.about(folder / AGENT)["contents"]}
    refuse_other(folder / AGENT, theirs, identity(run, training))
    return agent


def refuse_other(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Raises `ValueError` if the file at `path` is of another run than ours."""
    if found := storage.difference(ours, theirs):
        raise ValueError(f"{path} is of another run: {found}; give another folder, or the settings of that run")
