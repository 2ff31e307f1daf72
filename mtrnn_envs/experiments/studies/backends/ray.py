"""The backend "ray": a Ray cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from mtrnn_envs.experiments.studies.backends.base import WAITING, Call, Pool, Unreachable, needed


@contextmanager
def ray(n_jobs: int | None, address: str | None) -> Iterator[Pool]:
    """The cluster that this process is connected to, or else the one at `address`; None: one on this machine."""
    library = needed("ray", "cluster")
    ours = not library.is_initialized()
    if ours:
        here = {"address": "local", "num_cpus": n_jobs, "include_dashboard": False, "logging_level": "ERROR"}
        with _sigterm_kept():
            try:
                library.init(log_to_driver=False, **({"address": address} if address else here))
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise Unreachable(f"address={address!r}: no Ray cluster answers there: {error}") from error
    call_remote = library.remote(num_cpus=1, max_retries=0)(_called)
    running: set[Any] = set()

    def submit(call: Call) -> Future[Any]:
        reference = call_remote.remote(call)
        running.add(reference)
        future = reference.future()
        future.add_done_callback(lambda _: running.discard(reference))
        return future

    try:
        yield Pool(n_jobs or WAITING, submit)
    finally:
        for reference in list(running):
            library.cancel(reference)
        if ours:
            library.shutdown()


def _called(call: Call) -> Any:
    return call()


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Restores the handler of SIGTERM, which Ray replaces for good."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
