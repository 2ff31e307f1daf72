"""Training that can be stopped at any moment: its state is kept from time to time, and always in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, TypeVar

from mtrnn_agents.interrupts import held_back

SECONDS_BETWEEN_SAVES = 10

State = TypeVar("State")


def carried_on(
    first: State, steps: Generator[State, Any, Any], save: Callable[[State], None], stopped: Callable[[State], str]
) -> State:
    """The last of the states that `steps` gives, each a whole step behind the one before; the first if there is none.

    States are saved at once, from time to time, at the end, and when it is interrupted; where saving fails at once, it
    fails before anything is lost. An interrupt waits for the end of a step: it leaves a step done or undone.

    Raises:
        KeyboardInterrupt: if interrupted, with what `stopped` says of the state that was saved.
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
            raise KeyboardInterrupt(stopped(state)) from None
        save(state)
    return state
