"""Training that can be stopped at any moment: its state is kept from time to time, and always in the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from mtrnn_agents.training.signals import held_back

SECONDS_BETWEEN_SAVES = 10

State = TypeVar("State")


def carried_on(
    first: State,
    steps: Generator[State, Any, Any],
    save: Callable[[State], None],
    done: Callable[[State], str],
    place: Path | None,
) -> State:
    """The last of the states that `steps` gives, each a whole step behind the one before; the first if there is none.

    States are saved at once, from time to time, at the end, and when it is interrupted; where saving fails at once, it
    fails before anything is lost. An interrupt waits for the end of a step: it leaves a step done or undone.

    Raises:
        KeyboardInterrupt: if interrupted, with what `done` says was done, and where that is kept: in `place`, if any.
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
    """Says where the state of what was stopped is."""
    return "nothing was kept, as no folder was given" if place is None else f"the same call goes on from {place}"


def folder_of(folder: str | os.PathLike[str] | None) -> Path | None:
    """The folder as a path, or None; `ValueError` if the name is empty."""
    if folder is not None and not os.fspath(folder):
        raise ValueError(f"folder={folder!r} names no folder")
    return None if folder is None else Path(folder)
