"""Where jobs are run: in processes of this machine, or on a dask or Ray cluster, or by SLURM; each as a job ends.

| name | runs jobs in | needs |
|---|---|---|
| local | processes of joblib's loky, one thread each | joblib |
| dask | the cluster whose scheduler is at `address`; none: one on this machine | distributed |
| ray | the cluster at `address` ("auto": the one that this machine is in); none: one on this machine | ray |
| submitit | jobs of SLURM, or of what else `parameters["cluster"]` names | submitit |

Jobs, and what they give, are pickled. A process does one job at a time: dask's workers should have one thread each. The
death of a worker ends no more than the job that it had, which is begun again.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import signal
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from mtrnn_envs.utils.validation import check_choice, check_int

Job = TypeVar("Job")
Call = Callable[[], Any]

DEATHS = 3  # of its worker in a row after which a job has failed
SECONDS_TO_SAVE = 15.0  # that workers have to save what they do, when they are told to stop
WAITING = 1000  # jobs that dask or Ray is given at once: a cluster that grows must see that there is work
IN_QUEUE = 100  # jobs that SLURM is given at once
# What cannot be written to now will not be later: no space, no quota, read-only.
UNWRITABLE = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Where jobs are run.

    Attributes:
        name: "local", "dask", "ray" or "submitit".
        n_jobs: how many run at once, at most; None for one per core (local), or as many as there is room for (else).
        address: of a dask scheduler or a Ray cluster; None to start one on this machine.
        folder: submitit's files, which all machines must see; None leaves the choice to whoever has jobs run.
        parameters: of submitit: "cluster" (None: SLURM if it is there, else this machine), "timeout_min",
            "slurm_partition" and all that `submitit.AutoExecutor.update_parameters` takes.

    Raises:
        ValueError: if a field is not allowed.
    """

    name: str = "local"
    n_jobs: int | None = None
    address: str | None = None
    folder: Path | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice(self.name, POOLS, "backend", "studies")
        if self.n_jobs is not None:
            check_int("n_jobs", self.n_jobs, 1)
        if self.address is not None and self.name not in ("dask", "ray"):
            raise ValueError(f"address={self.address!r}: only dask and ray have one, not backend {self.name!r}")
        if self.parameters and self.name != "submitit":
            raise ValueError(f"parameters={dict(self.parameters)!r} are submitit's, not of backend {self.name!r}")


@dataclass(frozen=True)
class Failure:
    """Why a job gave nothing.

    Attributes:
        kind: the class of what was raised, or "death".
        message: what it said.
        text: the traceback.
        unwritable: whether there was no space, no quota, or no right to write.
        host: where.
    """

    kind: str
    message: str
    text: str
    unwritable: bool = False
    host: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an exception is."""
        text = "".join(traceback.format_exception(error))
        return cls(type(error).__name__, str(error), text, _unwritable(error), platform.node())


class _Interrupted(NamedTuple):
    """What a job gives that was told to stop."""

    said: str


class _Pool(NamedTuple):
    """What runs calls elsewhere: how many are given to it at once, how, and how often in all if a worker dies."""

    size: int
    submit: Callable[[Call], Future[Any]]
    tries: int = DEATHS


class Unreachable(OSError):
    """The cluster does not answer, or takes no jobs."""


def outcomes(
    work: Callable[[Job], Any], jobs: Iterable[Job], backend: Backend, say: Callable[[str], None]
) -> Generator[tuple[int, Any], None, None]:
    """The number of each job, and what `work` gives for it or the `Failure` that it raises, as they end.

    Jobs are taken only when there is room for them. Where a worker dies, `say` is told, and its job is begun again;
    with the third death in a row it has failed. If this is left early, workers save what they do, and end.

    Raises:
        ImportError: if the backend is not installed.
        KeyboardInterrupt: if a job was interrupted.
        OSError: if the cluster cannot be reached, or no longer.
    """
    ended: SimpleQueue[tuple[int, Job, Future[Any]]] = SimpleQueue()
    source, again = enumerate(jobs), deque[tuple[int, Job]]()
    deaths: Counter[int] = Counter()
    running = 0
    with POOLS[backend.name](backend) as pool:
        while True:
            while running < pool.size and (each := again.popleft() if again else next(source, None)) is not None:
                future = pool.submit(partial(_attempt, work, each[1]))
                future.add_done_callback(partial(_note, ended, each))
                running += 1
            if not running:
                return
            i, job, future = ended.get()
            running -= 1
            try:
                outcome = future.result()
            except Unreachable:
                raise
            except (Exception, CancelledError) as error:  # not the job's own, which `_attempt` returns
                deaths[i] += 1
                why = " ".join(
                    [type(error).__name__, *str(error).split()[: 0 if isinstance(error, BrokenExecutor) else 40]]
                )
                if deaths[i] < pool.tries:
                    say(f"a worker died, or lost its job, which is begun again ({why})")
                    again.append((i, job))
                    continue
                sentence = f"each worker that had it died; out of memory? ({why})"
                outcome = Failure("death", sentence, "".join(traceback.format_exception(error)))
            if isinstance(outcome, _Interrupted):
                # One worker was told to stop, as clusters do; Ctrl-C comes to this process itself.
                deaths[i] += 1
                if deaths[i] < pool.tries:
                    say("a worker was told to stop, and its job is begun again")
                    again.append((i, job))
                    continue
                raise KeyboardInterrupt(outcome.said)
            yield i, outcome


# Threads of one process (dask's) would set the number of BLAS's threads for one another.
_ONE_AT_A_TIME = threading.Lock()


def _note(ended: SimpleQueue[Any], each: tuple[int, Any], future: Future[Any]) -> None:
    ended.put((*each, future))


def _attempt(work: Callable[[Any], Any], job: Any) -> Any:
    """What a job gives, in the worker; exceptions are returned, since not all can be pickled."""
    try:
        with _ONE_AT_A_TIME:
            return work(job)
    except KeyboardInterrupt as stop:
        return _Interrupted(str(stop))
    except (Exception, SystemExit) as error:
        return Failure.of(error)


def _unwritable(error: BaseException) -> bool:
    """Whether this, or what it came of, is that nothing can be written; Rust says so in words alone."""
    seen: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and here not in seen:
        seen.append(here)
        numbers = {int(n) for n in re.findall(r"(?:os error |code: )(\d+)", str(here))}
        if isinstance(here, OSError) and here.errno is not None:
            numbers.add(here.errno)
        if numbers & set(UNWRITABLE):
            return True
        here = here.__cause__ or here.__context__
    return False


@contextmanager
def _local(backend: Backend) -> Iterator[_Pool]:
    """Processes of this machine.

    Each is the only one of its executor: what dies takes no other with it, and it is known which job it had.
    """
    joblib, loky = _needed("joblib", "studies"), _needed("joblib.externals.loky", "studies")
    n_jobs = backend.n_jobs or joblib.cpu_count()
    # Nothing is ever sent: all readers see the end of the file when the writer is closed, or its process is dead.
    reader, writer = import_module("multiprocessing").Pipe(duplex=False)
    free: list[Any] = [None] * n_jobs
    executors: set[Any] = set()
    running: set[Future[Any]] = set()

    def begun() -> Any:
        executor = loky.ProcessPoolExecutor(1, initializer=_worker, initargs=(reader,), env=ONE_THREAD)
        executors.add(executor)
        return executor

    def submit(call: Call) -> Future[Any]:
        executor = (free.pop() if free else None) or begun()  # one may be late to be given back
        try:
            future = executor.submit(call)
        except BrokenExecutor:  # it died while it had nothing to do
            executors.discard(executor)
            executor = begun()
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
        yield _Pool(n_jobs, submit)
    finally:
        writer.close()
        try:
            wait(list(running), SECONDS_TO_SAVE)
        finally:
            for executor in list(executors):
                executor.shutdown(wait=True, kill_workers=True)
            reader.close()


def _worker(reader: Any) -> None:
    """Begins a worker: it stops when it is told to, or when the process that began it is dead; Ctrl-C is not its own.

    Told to stop, a training saves its state first (`mtrnn_agents.training.signals`); all else ends at once: no file is
    ever half there.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(ImportError):
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a worker that is killed leaves

    def watch() -> None:
        with suppress(EOFError, OSError):
            reader.recv()
        while True:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(backend: Backend) -> Iterator[_Pool]:
    """A dask cluster, which begins again by itself what a worker had that died."""
    distributed = _needed("distributed", "cluster")
    with ExitStack() as open_now:
        address = backend.address
        if address is None:
            n_workers = backend.n_jobs or _needed("joblib", "studies").cpu_count()
            cluster = distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None)
            address = open_now.enter_context(cluster).scheduler_address
        try:
            client = open_now.enter_context(distributed.Client(address, set_as_default=False))
        except OSError as error:
            raise Unreachable(f"address={address!r}: no dask scheduler answers there: {error}") from error
        executor = client.get_executor(pure=False)

        def submit(call: Call) -> Future[Any]:
            if client.status != "running":
                raise Unreachable(f"the dask scheduler at {address} is gone; the same command goes on once it is back")
            return executor.submit(call)

        try:
            yield _Pool(backend.n_jobs or WAITING, submit, tries=2)  # once more, if all of the cluster was restarted
        finally:
            executor.shutdown(wait=False)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """What SIGTERM does stays as it was: Ray takes it for itself, for good."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _ray(backend: Backend) -> Iterator[_Pool]:
    """A Ray cluster: the one that this process is connected to already, or else the one at the address."""
    ray = _needed("ray", "cluster")
    ours = not ray.is_initialized()
    if ours:
        here = {"address": "local", "num_cpus": backend.n_jobs, "include_dashboard": False, "logging_level": "ERROR"}
        with _signals_kept():
            try:
                ray.init(log_to_driver=False, **({"address": backend.address} if backend.address else here))
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise Unreachable(f"address={backend.address!r}: no Ray cluster answers there: {error}") from error
    call_remote = ray.remote(num_cpus=1, max_retries=0)(_called)
    running: set[Any] = set()

    def submit(call: Call) -> Future[Any]:
        reference = call_remote.remote(call)
        running.add(reference)
        future = reference.future()
        future.add_done_callback(lambda _: running.discard(reference))
        return future

    try:
        yield _Pool(backend.n_jobs or WAITING, submit)
    finally:
        for reference in list(running):
            ray.cancel(reference)
        if ours:
            ray.shutdown()


def _called(call: Call) -> Any:
    return call()


@contextmanager
def _submitit(backend: Backend) -> Iterator[_Pool]:
    """Jobs of SLURM, one for each of ours; what is left undone is cancelled."""
    submitit = _needed("submitit", "cluster")
    if backend.folder is None:
        raise ValueError("folder=None: submitit needs a folder for its files, which all machines see")
    parameters = {"timeout_min": 24 * 60, "name": "mtrnn", **backend.parameters}
    asked = parameters.pop("cluster", None)
    try:
        executor = submitit.AutoExecutor(backend.folder, cluster=asked)
        if asked is None and executor.cluster != "slurm" and any(name.startswith("slurm_") for name in parameters):
            raise ValueError("there is no SLURM here; cluster=local has all run on this machine")
        executor.update_parameters(**parameters)
    except (AssertionError, NameError, RuntimeError, ValueError) as error:
        raise ValueError(f"parameters={dict(backend.parameters)!r}: {error}") from error
    stopping, one_at_a_time = threading.Event(), threading.Lock()

    def submitted(call: Call) -> Any:
        for attempt in range(DEATHS):  # a scheduler that is busy does not answer in time
            try:
                with one_at_a_time:
                    return executor.submit(call)
            except Exception as error:
                if attempt == DEATHS - 1 or stopping.wait(10):
                    raise Unreachable(f"submitit cannot give a job to {executor.cluster}: {error}") from error

    def through(call: Call) -> Any:
        job = submitted(call)
        while not job.done():
            if stopping.wait(1):
                job.cancel(check=False)
                raise CancelledError
        return job.result()

    size = backend.n_jobs or IN_QUEUE
    threads = ThreadPoolExecutor(size)
    try:
        yield _Pool(size, partial(threads.submit, through))
    finally:
        stopping.set()
        threads.shutdown(cancel_futures=True)


def _needed(module: str, extra: str) -> Any:
    """A module that an extra of ours brings."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'this backend needs {error.name}: pip install "mtrnn-envs[{extra}]"') from error


POOLS: dict[str, Callable[[Backend], AbstractContextManager[_Pool]]] = {
    "local": _local,
    "dask": _dask,
    "ray": _ray,
    "submitit": _submitit,
}
