"""The backend "dask": a dask cluster, which itself restarts the jobs of a worker that died."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any

from mtrnn_envs.experiments.studies.backends.base import WAITING, Call, Pool, Unreachable, needed


@contextmanager
def dask(n_jobs: int | None, address: str | None) -> Iterator[Pool]:
    """The cluster whose scheduler is at `address`; None: one on this machine."""
    distributed = needed("distributed", "cluster")
    with ExitStack() as stack:
        if address is None:
            n_workers = n_jobs or needed("joblib", "studies").cpu_count()
            cluster = distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None)
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, set_as_default=False))
        except OSError as error:
            raise Unreachable(f"address={address!r}: no dask scheduler answers there: {error}") from error
        executor = client.get_executor(pure=False)

        def submit(call: Call) -> Future[Any]:
            if client.status != "running":
                raise Unreachable(
                    f"the dask scheduler at {address} is gone; restart it, and repeat the command to continue"
                )
            return executor.submit(call)

        try:
            yield Pool(n_jobs or WAITING, submit, tries=2)  # once more, in case the whole cluster was restarted
        finally:
            executor.shutdown(wait=False)
