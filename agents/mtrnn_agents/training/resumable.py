"""Resumable training: its state is saved from time to time, at an interrupt and at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from threadpoolctl import threadpool_limits

from mtrnn_agents.training.checkpoint import CHECKPOINT, finished
from mtrnn_agents.training.files import AGENT
from mtrnn_agents.training.signals import held_back

SECONDS_BETWEEN_SAVES = 10

State = TypeVar("State")
Trained = TypeVar("Trained")


def run_training(
    kind: type[Trained],
    identity: Mapping[str, Any],
    folder: Path | None,
    training: Any,
    carry_on: Callable[[], tuple[str | None, Callable[[], Trained]]],
) -> Trained:
    """The agent of a run: loaded from `folder` if it is finished, else trained from its last state on, and saved.

    Arguments:
        kind: the class of the agent.
        identity: all that determines the run.
        folder: of the agent and of the state of training, if any.
        training: the settings.
        carry_on: resumes training and carries it on to its end (see `carried_on`); returns why it diverged, or None,
            and the function that makes the agent.

    Raises:
        ValueError: if the folder holds another run or a broken file.
        FloatingPointError: if training diverged.
    """
    if (agent := finished(kind, identity, folder)) is not None:
        return agent
    return completed(folder, training, *carry_on())


def completed(folder: Path | None, training: Any, failure: str | None, finish: Callable[[], Trained]) -> Trained:
    """The agent that `finish` makes after training, saved in `folder`.

    Raises:
        FloatingPointError: if training diverged, as the clause `failure` says.
    """
    if failure is not None:
        kept = "" if folder is None else f", in another folder; the state before it is kept in {folder / CHECKPOINT}"
        raise FloatingPointError(
            f"training diverged: {failure}, at learning_rate={training.learning_rate}, "
            f"clip_norm={training.clip_norm}; lower one of them{kept}"
        )
    agent: Any = finish()
    if folder is not None:
        agent.save(folder / AGENT)
    return agent


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for arithmetic: the products are small, and results do not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def carried_on(
    first: State,
    steps: Generator[State, None, None],
    save: Callable[[State], None],
    done: Callable[[State], str],
    place: Path | None,
) -> State:
    """The last state of `steps`, each one whole step after the one before; `first` if there is none.

    States are saved at once, every ten seconds, at the end, and at an interrupt; where saving fails, it fails before
    anything is lost. An interrupt waits for the end of a step: it leaves a step done or undone.

    Raises:
        KeyboardInterrupt: if interrupted, with the progress by `done`, and where it is kept: in `place`, if any.
    """
    state, saved = first, time.monotonic()
    with closing(steps), held_back() as interrupt:
        try:
            save(state)
            for state in steps:
                if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                    save(state)
                    saved = time.monotonic()
                interrupt()
        except KeyboardInterrupt:
            save(state)
            raise KeyboardInterrupt(f"stopped after {done(state)}; {kept_in(place)}") from None
        save(state)
    return state


def kept_in(place: Path | None) -> str:
    """A clause for an error: where the state of an interrupted training is."""
    return "nothing was kept, as no folder was given" if place is None else f"the same call goes on from {place}"


def folder_of(folder: str | os.PathLike[str] | None) -> Path | None:
    """The folder as a path, or None; `ValueError` if the name is empty."""
    if folder is not None and not os.fspath(folder):
        raise ValueError(f"folder={folder!r} names no folder")
    return None if folder is None else Path(folder)
