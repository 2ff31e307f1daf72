"""The backend "submitit": one job of SLURM for each of ours; unfinished ones are cancelled in the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mtrnn_envs.experiments.studies.backends.base import Call, Pool, Unreachable, needed

IN_QUEUE = 100  # jobs that are submitted to SLURM at once
ATTEMPTS = 3  # a busy scheduler does not answer in time


@contextmanager
def submitit(n_jobs: int | None, folder: Path | None, parameters: Mapping[str, Any]) -> Iterator[Pool]:
    """Jobs of SLURM, or of the cluster in `parameters["cluster"]`."""
    library = needed("submitit", "cluster")
    if folder is None:
        raise ValueError("folder=None: submitit needs a folder for its files, which all machines share")
    options = {"timeout_min": 24 * 60, "name": "mtrnn", **parameters}
    cluster = options.pop("cluster", None)
    try:
        executor = library.AutoExecutor(folder, cluster=cluster)
        if cluster is None and executor.cluster != "slurm" and any(name.startswith("slurm_") for name in options):
            raise ValueError("SLURM is not installed here; cluster=local runs all jobs on this machine")
        executor.update_parameters(**options)
    except (AssertionError, NameError, RuntimeError, ValueError) as error:
        raise ValueError(f"parameters={dict(parameters)!r}: {error}") from error
    stopping, one_at_a_time = threading.Event(), threading.Lock()

    def submitted(call: Call) -> Any:
        for attempt in range(ATTEMPTS):
            try:
                with one_at_a_time:
                    return executor.submit(call)
            except Exception as error:
                if attempt == ATTEMPTS - 1 or stopping.wait(10):
                    raise Unreachable(f"submitit cannot submit a job to {executor.cluster}: {error}") from error

    def run(call: Call) -> Any:
        job = submitted(call)
        while not job.done():
            if stopping.wait(1):
                job.cancel(check=False)
                raise CancelledError
        return job.result()

    size = n_jobs or IN_QUEUE
    threads = ThreadPoolExecutor(size)
    try:
        yield Pool(size, partial(threads.submit, run))
    finally:
        stopping.set()
        threads.shutdown(cancel_futures=True)
