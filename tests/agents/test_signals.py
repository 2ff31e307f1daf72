"""Ctrl-C is held back until it is asked for; pressed twice, it is not."""

from __future__ import annotations

import signal
import threading

import pytest

from mtrnn_agents.training.signals import held_back


@pytest.fixture(autouse=True)
def _as_python_starts():
    """Children of shells that run in the background ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "usual"), [(signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)]
)
def test_held_back_until_asked_or_the_end(number: signal.Signals, usual: object) -> None:
    """Ctrl-C, and what ends jobs on clusters."""
    reached = []

    def work(ask: bool) -> None:
        with held_back() as check:
            check()
            signal.raise_signal(number)
            reached.append("after the signal")
            if ask:
                check()
            reached.append("to the end")

    for ask, expected in ((True, ["after the signal"]), (False, ["after the signal", "to the end"])):
        reached.clear()
        with pytest.raises(KeyboardInterrupt):
            work(ask)
        assert reached == expected
        assert signal.getsignal(number) is usual


def test_twice_is_at_once() -> None:
    reached = []

    def work() -> None:
        with held_back():
            signal.raise_signal(signal.SIGINT)
            reached.append(1)
            signal.raise_signal(signal.SIGINT)
            reached.append(2)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == [1]


def test_other_threads_and_other_handlers_are_left_alone() -> None:
    def mine(*_: object) -> None:
        pass

    signal.signal(signal.SIGINT, mine)
    with held_back():
        assert signal.getsignal(signal.SIGINT) is mine
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seen = []

    def work() -> None:
        with held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
