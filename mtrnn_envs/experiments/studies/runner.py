"""Studies run: their cells in one pool of workers, failures kept and tried again, a table as soon as a study is done.

    run_study(study, "results", backend=Backend(n_jobs=8))
    print(status("results", study.name))

It may be stopped at any moment, in any way: what is done is done, and the same call goes on with the rest. Beside what
`mtrnn_envs.experiments.studies.cell` and `results` write there are, in the folder of the results:

    failures/<cell>.json   every attempt at a cell that failed: traceback, time, host
    .lock, .writer.json    held by the one process that may run studies in this folder; who that is
    .run-*                 there while studies are run: workers that do not see it do not see the folder
"""

from __future__ import annotations

import inspect
import json
import os
import platform
import shutil
import signal
import sys
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from mtrnn_envs import plugins
from mtrnn_envs.experiments.monitoring import decoding
from mtrnn_envs.experiments.studies import results
from mtrnn_envs.experiments.studies.backends import Backend, Failure, outcomes
from mtrnn_envs.experiments.studies.cell import (
    AGENTS,
    CELLS,
    COST,
    LOCK,
    Cell,
    add_cost,
    read,
    run_cell,
    since,
    started,
)
from mtrnn_envs.experiments.studies.results import PAPER, STUDIES, Results
from mtrnn_envs.experiments.studies.study import Study
from mtrnn_envs.utils.atomic_write import atomic_write
from mtrnn_envs.utils.validation import check_choice, check_int

FAILURES = "failures"
WRITER, TOKEN = ".writer.json", ".run-"
# Bytes that must be free before anything is run: at least, and for each cell (weights, state, numbers).
LEAST, EACH = 100e6, 1e6
TOGETHER = 64  # networks trained as one problem on a GPU

Say = Callable[[str], None]


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes:
        name: of the study.
        budget: that it is run with.
        n_cells: how many cells it has.
        done: cells with numbers.
        diverged: cells whose training diverged, which is what was found.
        failed: by cell, the last line of the last traceback; they are tried again when the study is run again.
        cpu_s: mean CPU time of the cells that are there, with the training of the agents, in seconds; nan if none is.
    """

    name: str
    budget: str
    n_cells: int
    done: int
    diverged: int
    failed: Mapping[str, str]
    cpu_s: float

    @property
    def left(self) -> int:
        """Cells that were not tried, or not to the end."""
        return self.n_cells - self.done - self.diverged - len(self.failed)

    def __str__(self) -> str:
        counts = f"{self.done} done, {self.diverged} diverged, {len(self.failed)} failed, {self.left} left"
        lines = [f"{self.name} ({self.budget}): {self.n_cells} cells: {counts}"]
        if self.done + self.diverged:
            ahead = f", so about {self.cpu_s * self.left / 3600:.2f} CPU hours left" if self.left else ""
            lines.append(f"  {self.cpu_s:.3g} s of CPU a cell{ahead}")
        return "\n".join(lines + [f"  {cell}: {line}" for cell, line in self.failed.items()])


def status(out: str | os.PathLike[str], name: str) -> Status:
    """How far the study called `name` is that was run in the folder `out`.

    Raises:
        FileNotFoundError: if there is none.
    """
    there = results.load(out := Path(out), name)
    ids = dict.fromkeys(entry.cell.id for entry in there.study.cells())
    found = {entry.cell.id: each for entry, each in zip(there.entries, there.found, strict=True)}
    ended = [each["status"] for each in found.values()]
    tried = {cell: attempts[-1] for cell in ids if cell not in found and (attempts := _attempts(out, cell))}
    failed = {cell: last["traceback"].strip().splitlines()[-1] for cell, last in tried.items()}
    costs = {cell: each["cost"]["cpu_s"] for cell, each in found.items()}
    costs |= {
        entry.cell.run: found[entry.cell.id]["cost"].get("training_cpu_s", 0.0)
        for entry in there.entries
        if entry.cell.trained
    }
    mean = sum(costs.values()) / len(found) if found else float("nan")
    return Status(name, there.budget, len(ids), ended.count("done"), ended.count("diverged"), failed, mean)


def run_study(study: Study, out: str | os.PathLike[str], **how: Any) -> Results:
    """What comes of one study; see `run_studies`."""
    return run_studies([study], out, **how)[0]


def run_studies(
    studies: Sequence[Study],
    out: str | os.PathLike[str],
    *,
    budget: str = PAPER,
    backend: Backend = Backend(),  # noqa: B008 (it is frozen)
    retries: int = 1,
    progress: bool = True,
    device: Any = None,
) -> list[Results]:
    """Runs what is not yet there of studies, in one pool of workers, and gives what there is of each.

    Cells that studies share are run once. A study's table is written as soon as its last cell is done; studies are done
    in the order given. What comes of a cell does not depend on the backend or the order.

    Arguments:
        studies: with names of their own.
        out: the folder of the results, which all workers must see.
        budget: of all studies.
        backend: where cells are run.
        retries: how often a cell that failed is tried again, after all others. One that diverged is not.
        progress: whether to show a bar.
        device: a CUDA device on which workers train the agents first, many as one, if their plug-in has `ensemble`
            (see `mtrnn_agents.ensemble`): they agree with those trained without to rounding only. Local
            workers share one device, so that there is one of them meanwhile. None: each agent by itself.

    Raises:
        ValueError: if names are not unique, or a setting, agent or probe is not known, before anything is run.
        OSError: if another process runs studies in `out`, or nothing (more) can be written there.
        KeyboardInterrupt: if interrupted, saying how far it got.
    """
    for study in studies:
        _drawable(study)
    cells = {study.name: [entry.cell for entry in study.cells(budget)] for study in studies}
    if len(cells) < len(studies):
        raise ValueError(f"names={[study.name for study in studies]} of studies must differ: they name folders")
    by_name, place = {study.name: study for study in studies}, Path(out).absolute()

    def begin() -> None:
        for study in studies:
            if results.write_study(study, place, budget):
                said = "was another, or of another budget, when it was last run here; its tables are made anew"
                print(f"study {study.name!r} {said}", file=sys.stderr)

    def end(name: str) -> None:
        results.write_tables(results.collect(by_name[name], place, budget), place)

    run_cells(cells, place, backend=backend, retries=retries, progress=progress, device=device, begin=begin, end=end)
    return [results.collect(study, place, budget) for study in studies]


def _drawable(study: Study) -> None:
    """Raises `ValueError` if the figures or claims of a study could not be made; without the analysis none can."""
    try:
        looked_at = plugins.report("check")
    except ImportError:
        return
    looked_at(study)


def run_cells(
    groups: Mapping[str, Sequence[Cell]],
    out: str | os.PathLike[str],
    *,
    backend: Backend = Backend(),  # noqa: B008 (it is frozen)
    retries: int = 1,
    progress: bool = True,
    device: Any = None,
    begin: Callable[[], None] = lambda: None,
    end: Callable[[str], None] = lambda name: None,
) -> None:
    """Runs what is not yet there of the cells of some groups, group by group.

    `begin` is called once the folder is ours, before anything is run; `end` with the name of each group whose last cell
    is done or has failed. All else is as in `run_studies`.
    """
    check_int("retries", retries, 0)
    if device is not None and backend.name == "local":  # machines of a cluster may have what this one has not
        _there(device)
    cells = {cell.id: cell for group in groups.values() for cell in group}
    check(cells.values())
    place = Path(out).absolute()
    with ours(place):
        _clean(place)
        left = {i: cell for i, cell in cells.items() if read(place, i) is None}
        _enough_space(place, len(left))
        begin()
        remaining = {name: {cell.id for cell in group} & left.keys() for name, group in groups.items()}
        for name, ids in remaining.items():
            if not ids:
                end(name)
        if left:
            _run(left, remaining, len(cells), place, backend, retries, progress, device, end)


def _run(
    left: dict[str, Cell],
    remaining: dict[str, set[str]],
    n_cells: int,
    out: Path,
    backend: Backend,
    retries: int,
    progress: bool,
    device: Any,
    end: Callable[[str], None],
) -> None:
    """Runs the cells that are left, and ends each group with the last of its own."""
    from tqdm import tqdm

    if backend.folder is None:
        backend = replace(backend, folder=out / backend.name)
    n_done = n_cells - len(left)

    def say(sentence: str) -> None:
        tqdm.write(sentence, file=sys.stderr)

    def over(cell: str) -> None:
        bar.update()
        for name, ids in remaining.items():
            if cell in ids:
                ids.remove(cell)
                if not ids:
                    end(name)

    bar = tqdm(total=n_cells, initial=n_done, desc="cells", unit="cell", smoothing=0.1, disable=not progress)
    try:
        with bar, _token(out) as token:
            if device is not None:
                _train_together(left.values(), out, token, backend, device, progress, say)
            todo = left
            for attempt in range(retries + 1):
                ids, failed = list(todo), {}
                work = outcomes(partial(_one, out, token), todo.values(), backend, say)
                with _terminated_is_interrupted(), closing(work) as ended:
                    for i, outcome in ended:
                        if not isinstance(outcome, Failure):
                            n_done += 1
                            over(ids[i])
                            continue
                        _stop_if_hopeless(outcome, out)
                        _keep(out, ids[i], outcome)
                        last = attempt == retries
                        then = "" if last else "; it is tried again later"
                        say(f"cell {ids[i]} failed: {outcome.kind}: {outcome.message}{then}")
                        if last:
                            over(ids[i])
                        else:
                            failed[ids[i]] = todo[ids[i]]
                todo = failed
                if not todo:
                    break
    except OSError as error:
        _stop_if_hopeless(Failure.of(error), out)
        raise
    except KeyboardInterrupt:
        said = f"stopped; {n_done} of {n_cells} cells are done, in {out}; the same command goes on with the rest"
        raise KeyboardInterrupt(said) from None


def _one(out: Path, token: str, cell: Cell) -> str:
    """Runs a cell, in a worker, and says how it ended; what was found is in its file."""
    _see(out, token)
    return run_cell(cell, out)["status"]


def _see(out: Path, token: str) -> None:
    """Raises `NotShared` if a worker does not see the folder."""
    if not (out / token).exists():
        raise NotShared(
            f"{platform.node()} does not see {out} as the process that runs the studies does: give a folder that all "
            "machines share"
        )


class NotShared(Exception):
    """A worker does not see the folder of the results."""


def _stop_if_hopeless(failure: Failure, out: Path) -> None:
    """Raises `OSError` if all other cells would fail as this one did."""
    if failure.unwritable:
        raise OSError(
            f"nothing more can be written to {out} on {failure.host}: {failure.message}; what is done is kept, and the "
            "same command goes on once there is room"
        )
    if failure.kind == NotShared.__name__:
        raise OSError(failure.message)


def check(cells: Iterable[Cell]) -> None:
    """Raises `ValueError` or `ImportError` if an agent or probe of the cells, or a setting, is not there."""
    agents, probes = {}, {}
    for cell in cells:
        agents[cell.agent, type(cell.training), cell.trained] = cell
        probes |= {(name, setting): None for name, settings in cell.probes.items() for setting in ["", *settings]}
    for (name, settings, trained), _ in agents.items():
        plugin = plugins.agent(name)
        if not issubclass(settings, plugin.Training):
            needed = plugin.Training.__name__
            raise ValueError(f"training is a {settings.__name__}; agent {name!r} is trained with a {needed}")
        if not trained and not callable(getattr(plugin, "untrained", None)):
            raise ValueError(f"trained=False: agent {name!r} has no function untrained(task, seed, training)")
    for name, setting in probes:
        parameters = inspect.signature(plugins.probe(name)).parameters.values()
        if setting:
            check_choice(
                setting, [p.name for p in parameters if p.kind is p.KEYWORD_ONLY], "setting", f"probe {name!r}"
            )


@contextmanager
def ours(out: Path) -> Iterator[None]:
    """The folder, made if need be, while no other process may run studies in it. The lock dies with its process."""
    from filelock import FileLock, Timeout

    lock = FileLock(out / LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        with atomic_write(out / WRITER) as temporary:
            temporary.write_text(json.dumps({"pid": os.getpid(), "host": platform.node(), "since": _now()}))
    except Timeout:
        raise OSError(f"out={str(out)!r}: {_writer(out)} is at work there; wait for it, or give another") from None
    except OSError as error:
        lock.release()
        raise OSError(f"out={str(out)!r} cannot be written to: {error.strerror or error}; give another") from error
    try:
        yield
    finally:
        lock.release()


def _writer(out: Path) -> str:
    """Who holds the folder, as far as it is known."""
    try:
        who = json.loads((out / WRITER).read_text())
        return f"process {who['pid']} on {who['host']} (since {who['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"


@contextmanager
def _token(out: Path) -> Iterator[str]:
    """The name of a file that whoever sees the folder sees in it."""
    name = f"{TOKEN}{uuid.uuid4().hex}"
    (out / name).touch()
    try:
        yield name
    finally:
        (out / name).unlink(missing_ok=True)


def _clean(out: Path) -> None:
    """Removes what processes left that were killed while they wrote."""
    from filelock import FileLock, Timeout

    for part in (CELLS, FAILURES, STUDIES):
        for path in (out / part).rglob(".tmp-*"):
            path.unlink(missing_ok=True)
    for pattern in (".tmp-*", f"{TOKEN}*"):
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)
    for path in (out / AGENTS).glob("*/.tmp-*"):
        with suppress(Timeout), FileLock(path.parent / LOCK, timeout=0):  # nobody is training it
            path.unlink(missing_ok=True)


def _enough_space(out: Path, n_cells: int) -> None:
    free, needed = shutil.disk_usage(out).free, max(LEAST, n_cells * EACH) if n_cells else 0
    if free < needed:
        raise ValueError(
            f"out={str(out)!r} has {free / 1e6:.0f} MB free; {n_cells} cells need {needed / 1e6:.0f} MB: make room, or "
            "give another"
        )


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM, with which clusters and services stop a process, is Ctrl-C meanwhile."""
    main = threading.current_thread() is threading.main_thread()
    mine = main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if mine:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _there(device: Any) -> None:
    """Raises `ValueError` if there is no such device."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device={device!r} cannot be used here: {str(error).splitlines()[0]}") from error


def _train_together(
    cells: Iterable[Cell], out: Path, token: str, backend: Backend, device: Any, progress: bool, say: Say
) -> None:
    """Trains agents of the same kind and settings on a device, many as one; cells then find them trained."""
    from tqdm import tqdm

    kinds: dict[str, dict[str, Cell]] = defaultdict(dict)
    for cell in cells:
        if cell.trained and callable(getattr(plugins.agent(cell.agent), "ensemble", None)):
            kinds[json.dumps([cell.agent, cell.identity["training"]], sort_keys=True)][cell.run] = cell
    groups: list[list[Cell]] = []
    for kind in kinds.values():
        runs = sorted(kind)  # whoever takes several locks takes them in this order
        groups += [[kind[run] for run in runs[i : i + TOGETHER]] for i in range(0, len(runs), TOGETHER)]
    where = replace(backend, n_jobs=1) if backend.name == "local" else backend
    bar = tqdm(total=sum(map(len, groups)), desc=f"agents on {device}", unit="agent", disable=not progress)
    work = outcomes(partial(_group, out, token, device), groups, where, say)
    with bar, _terminated_is_interrupted(), closing(work) as ended:
        for i, outcome in ended:
            bar.update(len(groups[i]))
            if isinstance(outcome, Failure):
                _stop_if_hopeless(outcome, out)
                for cell in groups[i]:
                    _keep(out, cell.id, outcome)
                why = f"{outcome.kind}: {outcome.message}"
                say(f"{len(groups[i])} agents are trained by themselves, not together on {device}: {why}")


def _group(out: Path, token: str, device: Any, cells: Sequence[Cell]) -> None:
    """Trains the agents of cells as one problem, in a worker."""
    from filelock import FileLock

    _see(out, token)
    folders = [out / AGENTS / cell.run for cell in cells]
    with ExitStack() as locks:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            locks.enter_context(FileLock(folder / LOCK))
        begun = started()
        plugin: Any = plugins.agent(cells[0].agent)
        plugin.ensemble(
            [(cell.task, cell.seed) for cell in cells],
            cells[0].training,
            folder=out / AGENTS,
            device=device,
            progress=False,
            metrics=decoding(lambda sentence: None, released=True),
        )
        each = {name: v / len(cells) if isinstance(v, float) else v for name, v in since(begun).items()}
        for folder in folders:
            add_cost(folder / COST, {**each, "device": str(device), "whole": True})


def _keep(out: Path, cell: str, failure: Failure) -> None:
    """Adds an attempt to those at a cell that failed."""
    attempt = {"when": _now(), "host": failure.host, "kind": failure.kind, "traceback": failure.text}
    with atomic_write(out / FAILURES / f"{cell}.json") as temporary:
        temporary.write_text(json.dumps([*_attempts(out, cell), attempt], indent=1))


def _attempts(out: Path, cell: str) -> list[dict[str, Any]]:
    """The attempts at a cell that failed."""
    try:
        return json.loads((out / FAILURES / f"{cell}.json").read_text())
    except FileNotFoundError:
        return []


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
