"""The backend "local": processes of this machine, one thread each."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, wait
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from mtrnn_envs.experiments.studies.backends.base import Call, Pool, needed

SECONDS_TO_SAVE = 15.0  # for workers to save their state after they are told to stop
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


@contextmanager
def local(n_jobs: int | None) -> Iterator[Pool]:
    """Processes of this machine.

    Each belongs to an executor of its own: if one dies, no other dies with it, and its job is known.
    """
    joblib, loky = needed("joblib", "studies"), needed("joblib.externals.loky", "studies")
    n_jobs = n_jobs or int(joblib.cpu_count())
    # Nothing is ever sent: every reader sees the end of the file once the writer is closed, or its process is dead.
    reader, writer = Pipe(duplex=False)
    free: list[Any] = [None] * n_jobs
    executors: set[Any] = set()
    running: set[Future[Any]] = set()

    def started() -> Any:
        executor = loky.ProcessPoolExecutor(1, initializer=_start_worker, initargs=(reader,), env=ONE_THREAD)
        executors.add(executor)
        return executor

    def submit(call: Call) -> Future[Any]:
        executor = (free.pop() if free else None) or started()  # one may be given back late
        try:
            future = executor.submit(call)
        except BrokenExecutor:  # it died while it was idle
            executors.discard(executor)
            executor = started()
            future = executor.submit(call)
        running.add(future)

        def release(future: Future[Any]) -> None:
            broken = isinstance(future.exception(), BrokenExecutor)
            if broken:
                executors.discard(executor)
            free.append(None if broken else executor)
            running.discard(future)

        future.add_done_callback(release)
        return future

    try:
        yield Pool(n_jobs, submit)
    finally:
        writer.close()
        try:
            wait(list(running), SECONDS_TO_SAVE)
        finally:
            for executor in list(executors):
                executor.shutdown(wait=True, kill_workers=True)
            reader.close()


def _start_worker(reader: Connection) -> None:
    """Prepares a worker to stop when told to, or when its parent process is dead, and to ignore Ctrl-C.

    A training then saves its state first (`mtrnn_agents.training.signals`). Everything else ends at once, since files
    are replaced atomically.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(ImportError):
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed worker would leave

    def watch() -> None:
        with suppress(EOFError, OSError):
            reader.recv()
        while True:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    threading.Thread(target=watch, daemon=True).start()
