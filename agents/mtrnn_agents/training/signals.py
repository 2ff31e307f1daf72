"""Interrupts held back until they can do no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Gives a function that raises `KeyboardInterrupt` if Ctrl-C was pressed before, as the end of the block does.

    SIGTERM, with which clusters stop a job, counts as Ctrl-C. Twice is at once. Raised anywhere, an interrupt may leave
    the lock of a queue taken (TensorBoard's, for one), and closing that waits for ever. In threads other than the main
    one, and where others handle a signal already, nothing is held back.
    """
    asked = False

    def note(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    main = threading.current_thread() is threading.main_thread()
    mine = [number for number, handler in usual.items() if main and signal.getsignal(number) is handler]
    for number in mine:
        signal.signal(number, note)
    try:
        yield check
    finally:
        for number in mine:
            signal.signal(number, usual[number])
    check()
