"""Studies run: all runs in one pool of workers, failures tried again, a table as soon as a study is complete.

    run_study(study, "results", backend=Backend(n_jobs=8))
    print(status("results", study.name))

A study may be stopped at any moment, in any way: finished runs are kept, and the same call continues with the rest. The
files are listed in `mtrnn_envs.experiments.studies.cell`, `results` and `folder`.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mtrnn_envs import plugins
from mtrnn_envs.experiments.studies import folder, results
from mtrnn_envs.experiments.studies.backends import Backend, Failure, outcomes
from mtrnn_envs.experiments.studies.cell import Cell, is_complete, read, run_cell
from mtrnn_envs.experiments.studies.results import PAPER, Results
from mtrnn_envs.experiments.studies.study import Study
from mtrnn_envs.experiments.studies.together import check_device, train_together
from mtrnn_envs.utils.validation import check_choice, check_int


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes:
        name: of the study.
        profile: the profile that is run.
        n_cells: the number of runs.
        done: runs with numbers.
        diverged: runs whose training diverged, which is their result.
        failed: the last line of the last traceback, by run; they are tried again when the study is run again.
        cpu_s: mean CPU time of a finished run with the training of its agent, in seconds; NaN without one.
    """

    name: str
    profile: str
    n_cells: int
    done: int
    diverged: int
    failed: Mapping[str, str]
    cpu_s: float

    @property
    def left(self) -> int:
        """Runs that were not tried, or were interrupted."""
        return self.n_cells - self.done - self.diverged - len(self.failed)

    def __str__(self) -> str:
        counts = f"{self.done} done, {self.diverged} diverged, {len(self.failed)} failed, {self.left} left"
        profile = "" if self.profile == PAPER else f" ({self.profile})"
        lines = [f"{self.name}{profile}: {self.n_cells} runs: {counts}"]
        if self.done + self.diverged:
            ahead = f", so about {self.cpu_s * self.left / 3600:.2f} CPU hours left" if self.left else ""
            lines.append(f"  {self.cpu_s:.3g} s of CPU a run{ahead}")
        return "\n".join(lines + [f"  {cell}: {line}" for cell, line in self.failed.items()])


def status(out: str | os.PathLike[str], name: str) -> Status:
    """How far the study called `name` is in the folder `out`.

    Raises:
        FileNotFoundError: if there is no such study.
    """
    there = results.load(out := Path(out), name)
    ids = dict.fromkeys(entry.cell.id for entry in there.study.cells())
    found = {entry.cell.id: each for entry, each in zip(there.entries, there.found, strict=True)}
    ended = [each["status"] for each in found.values()]
    tried = {cell: made[-1] for cell in ids if cell not in found and (made := folder.attempts(out, cell))}
    failed = {cell: last["traceback"].strip().splitlines()[-1] for cell, last in tried.items()}
    costs = {cell: each["cost"]["cpu_s"] for cell, each in found.items()}
    costs |= {
        entry.cell.run: found[entry.cell.id]["cost"].get("training_cpu_s", 0.0)
        for entry in there.entries
        if entry.cell.trained
    }
    mean = sum(costs.values()) / len(found) if found else float("nan")
    return Status(name, there.profile, len(ids), ended.count("done"), ended.count("diverged"), failed, mean)


def run_study(study: Study, out: str | os.PathLike[str], **how: Any) -> Results:
    """The results of one study; see `run_studies`."""
    return run_studies([study], out, **how)[0]


def run_studies(
    studies: Sequence[Study],
    out: str | os.PathLike[str],
    *,
    profile: str = PAPER,
    backend: Backend = Backend(),  # noqa: B008 (it is frozen)
    retries: int = 1,
    progress: bool = True,
    device: str | None = None,
) -> list[Results]:
    """Runs the missing runs of studies, in one pool of workers; the results of each study.

    Runs that studies share are made once. The table of a study is written as soon as its last run ends; studies are
    run in the order given. Results depend neither on the backend nor on the order.

    Arguments:
        out: the folder of the results, which all workers must see.
        retries: how often a failed run is tried again, after all others. A diverged run is not.
        device: a CUDA device on which workers train the agents first, many as one, if their plug-in has `ensemble`
            (see `mtrnn_agents.ensemble`). These agents agree with agents trained one by one up to rounding. Local
            workers share one device, so that there is one of them meanwhile. None: each agent by itself.

    Raises:
        ValueError: if names are not unique, or a setting, agent or probe is unknown, before anything runs.
        OSError: if another process runs studies in `out`, or `out` cannot be written to.
        KeyboardInterrupt: if interrupted; the message says how far it got.
    """
    for study in studies:
        _drawable(study)
    cells = {study.name: [entry.cell for entry in study.cells(profile)] for study in studies}
    if len(cells) < len(studies):
        raise ValueError(f"names={[study.name for study in studies]} of studies must differ: they name folders")
    by_name, place = {study.name: study for study in studies}, Path(out).absolute()

    def begin() -> None:
        for study in studies:
            if results.write_study(study, place, profile):
                print(
                    f"another version or profile of study {study.name!r} was run here: its tables are made anew",
                    file=sys.stderr,
                )

    def end(name: str) -> None:
        results.write_tables(results.collect(by_name[name], place, profile), place)

    run_cells(cells, place, backend=backend, retries=retries, progress=progress, device=device, begin=begin, end=end)
    return [results.collect(study, place, profile) for study in studies]


def _drawable(study: Study) -> None:
    """Raises `ValueError` if figures or claims of a study are not valid; not checked without the analysis package."""
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
    device: str | None = None,
    begin: Callable[[], None] = lambda: None,
    end: Callable[[str], None] = lambda name: None,
) -> None:
    """Runs the missing cells of some groups, group by group.

    `begin` is called once the folder is locked, before anything runs; `end` with the name of each group whose last cell
    has ended. All else is as in `run_studies`.
    """
    check_int("retries", retries, 0)
    if device is not None and backend.name == "local":  # machines of a cluster may have what this one has not
        check_device(device)
    cells: dict[str, Cell] = {}
    for cell in (cell for group in groups.values() for cell in group):
        shared = cells.setdefault(cell.id, cell)
        cells[cell.id] = replace(shared, kept=tuple(dict.fromkeys(shared.kept + cell.kept)))
    check(cells.values())
    place = Path(out).absolute()
    with folder.locked(place):
        folder.clean(place)
        left = {i: cell for i, cell in cells.items() if not is_complete(cell, place, read(place, i))}
        folder.check_space(place, len(left))
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
    device: str | None,
    end: Callable[[str], None],
) -> None:
    """Runs the cells that are left, and ends each group with its last cell."""
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

    bar = tqdm(total=n_cells, initial=n_done, desc="runs", unit="run", smoothing=0.1, disable=not progress)
    try:
        with bar, folder.token(out) as token:
            if device is not None:
                with _terminated_is_interrupted():
                    train_together(left.values(), out, token, backend, device, progress, say)
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
                        folder.stop_if_hopeless(outcome, out)
                        folder.keep_failure(out, ids[i], outcome)
                        last = attempt == retries
                        then = "" if last else "; it is tried again later"
                        say(f"run {ids[i]} failed: {outcome.kind}: {outcome.message}{then}")
                        if last:
                            over(ids[i])
                        else:
                            failed[ids[i]] = todo[ids[i]]
                todo = failed
                if not todo:
                    break
    except OSError as error:
        folder.stop_if_hopeless(Failure.of(error), out)
        raise
    except KeyboardInterrupt:
        said = f"stopped; {n_done} of {n_cells} runs are done, in {out}; the same command continues with the rest"
        raise KeyboardInterrupt(said) from None


def _one(out: Path, token: str, cell: Cell) -> str:
    """Runs a cell in a worker; its status."""
    folder.check_token(out, token)
    return run_cell(cell, out)["status"]


def check(cells: Iterable[Cell]) -> None:
    """Raises `ValueError` or `ImportError` if an agent, probe or setting of the cells is unknown or not installed."""
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
def _terminated_is_interrupted() -> Iterator[None]:
    """Treats SIGTERM, by which clusters and services stop a process, as Ctrl-C."""
    main = threading.current_thread() is threading.main_thread()
    mine = main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if mine:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
