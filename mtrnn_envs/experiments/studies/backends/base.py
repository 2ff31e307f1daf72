"""The contract of a backend, and the loop that runs jobs on any of them.

A backend is a function that returns a context manager around a `Pool`. It receives those of `n_jobs`, `address`,
`folder` and `parameters` (see `Backend`) that its parameters name:

    @contextmanager
    def threads(n_jobs):
        with ThreadPoolExecutor(n_jobs or 4) as executor:
            yield Pool(n_jobs or 4, executor.submit)

The package that defines it registers it in its pyproject.toml, and `--backend threads` then selects it:

    [project.entry-points."mtrnn.backends"]
    threads = "my_package.my_backend:threads"
"""

from __future__ import annotations

import errno
import inspect
import platform
import re
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from mtrnn_envs import plugins
from mtrnn_envs.utils.validation import check_int

Job = TypeVar("Job")
Call = Callable[[], Any]

DEATHS = 3  # consecutive deaths of its worker after which a job has failed
WAITING = 1000  # jobs submitted to a cluster at once: one that grows must see that there is work
# A disk that is full, over quota or read-only now stays so for the jobs to come.
UNWRITABLE = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)


class Pool(NamedTuple):
    """An open backend.

    Attributes:
        size: how many calls are submitted at once.
        submit: runs a call (without arguments; it can be pickled) in a worker, and returns its future. A future that
            raises means that the worker died: the call itself returns its errors. `Unreachable` means that all is lost.
        tries: how often a call is submitted in all if its worker dies.
    """

    size: int
    submit: Callable[[Call], Future[Any]]
    tries: int = DEATHS


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The choice of a backend, and its options.

    Attributes:
        name: of an entry point `mtrnn.backends`, such as "local", "dask", "ray" and "submitit", or
            package.module:function.
        n_jobs: how many jobs run at once, at most; None: one per core (local), or as many as the cluster has room for.
        address: of a dask scheduler or Ray cluster; None to start one on this machine.
        folder: of submitit's files, which all machines must share; None: within that of the results.
        parameters: of submitit: "cluster" (None: SLURM if installed, else this machine), "timeout_min",
            "slurm_partition" and all others of `submitit.AutoExecutor.update_parameters`.

    Raises:
        ValueError: if there is no such backend, or it does not take a given address or parameters.
        ImportError: if the backend's module cannot be imported.
    """

    name: str = "local"
    n_jobs: int | None = None
    address: str | None = None
    folder: Path | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n_jobs is not None:
            check_int("n_jobs", self.n_jobs, 1)
        given = {name: value for name in ("address", "parameters") if (value := getattr(self, name)) not in (None, {})}
        if not given and self.name == "local":
            return  # the default of signatures is made when modules are imported: nothing is looked up for it
        taken = self._taken(plugins.find_function("backend", self.name))
        for name, value in given.items():
            if name not in taken:
                raise ValueError(f"{name}={value!r}: backend {self.name!r} has no {name}; leave it out")

    def pool(self) -> AbstractContextManager[Pool]:
        """Opens the backend."""
        function = plugins.find_function("backend", self.name)
        return function(**{name: getattr(self, name) for name in self._taken(function)})

    def _taken(self, function: Callable[..., object]) -> list[str]:
        allowed, parameters = ("n_jobs", "address", "folder", "parameters"), inspect.signature(function).parameters
        for name, parameter in parameters.items():
            if name not in allowed and parameter.default is parameter.empty:
                raise ValueError(f"backend {self.name!r} requires {name!r}; it can take {', '.join(allowed)}")
        return [name for name in allowed if name in parameters]


@dataclass(frozen=True)
class Failure:
    """The error of a job without a result.

    Attributes:
        kind: the class of the exception, or "death".
        message: of the exception.
        text: the traceback.
        unwritable: whether the disk was full, over quota or read-only.
        host: the machine.
    """

    kind: str
    message: str
    text: str
    unwritable: bool = False
    host: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an exception stands for."""
        text = "".join(traceback.format_exception(error))
        return cls(type(error).__name__, str(error), text, _unwritable(error), platform.node())


class _Interrupted(NamedTuple):
    """The result of a job that was told to stop."""

    message: str


class Unreachable(OSError):
    """The cluster does not answer, or accepts no jobs."""


def outcomes(
    work: Callable[[Job], Any], jobs: Iterable[Job], backend: Backend, say: Callable[[str], None]
) -> Generator[tuple[int, Any], None, None]:
    """Runs jobs, and yields as each ends its number and `work(job)`, or the `Failure` that it raised.

    A job is taken from `jobs` only when there is room for it. If a worker dies, `say` is called and its job restarts;
    with the third death in a row it has failed. Closing the generator early lets workers save their state, and ends
    them.

    Raises:
        ImportError: if the backend is not installed.
        KeyboardInterrupt: if a job was interrupted.
        OSError: if the cluster cannot be reached, or no longer.
    """
    ended: SimpleQueue[tuple[int, Job, Future[Any]]] = SimpleQueue()
    source, again = enumerate(jobs), deque[tuple[int, Job]]()
    deaths: Counter[int] = Counter()
    running = 0

    def restarted(i: int, job: Job, message: str) -> bool:
        deaths[i] += 1
        if deaths[i] < pool.tries:
            say(message)
            again.append((i, job))
        return deaths[i] < pool.tries

    with backend.pool() as pool:
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
            except (Exception, CancelledError) as error:  # of the worker: `_attempt` returns those of the job
                message = [] if isinstance(error, BrokenExecutor) else str(error).split()[:40]
                why = " ".join([type(error).__name__, *message])
                if restarted(i, job, f"a worker died or lost its job, which is restarted ({why})"):
                    continue
                sentence = f"each worker that ran it died; out of memory? ({why})"
                outcome = Failure("death", sentence, "".join(traceback.format_exception(error)))
            if isinstance(outcome, _Interrupted):
                # A cluster told one worker to stop; Ctrl-C reaches this process itself.
                if restarted(i, job, "a worker was told to stop; its job is restarted"):
                    continue
                raise KeyboardInterrupt(outcome.message)
            yield i, outcome


# Threads of one process (dask's) would set the number of BLAS's threads for one another.
_ONE_AT_A_TIME = threading.Lock()


def _note(ended: SimpleQueue[tuple[int, Job, Future[Any]]], each: tuple[int, Job], future: Future[Any]) -> None:
    ended.put((*each, future))


def _attempt(work: Callable[[Job], Any], job: Job) -> Any:
    """Runs a job, in the worker; returns exceptions, since not all can be pickled."""
    try:
        with _ONE_AT_A_TIME:
            return work(job)
    except KeyboardInterrupt as stop:
        return _Interrupted(str(stop))
    except (Exception, SystemExit) as error:
        return Failure.of(error)


def _unwritable(error: BaseException) -> bool:
    """Whether an error, or one of its causes, says that nothing can be written; Rust says so in its message alone."""
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


def needed(module: str, extra: str) -> ModuleType:
    """A module that an extra of mtrnn-envs installs; raises `ImportError` with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'this backend needs {error.name}: pip install "mtrnn-envs[{extra}]"') from error
