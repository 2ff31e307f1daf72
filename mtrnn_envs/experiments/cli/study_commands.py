"""The commands that run studies, each with its options."""

# ruff: noqa: RUF009 (`option` and `argument` are fields)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrnn_envs import plugins
from mtrnn_envs.experiments.cli.options import Failed, argument, option, parse, say
from mtrnn_envs.experiments.studies import paper, runner
from mtrnn_envs.experiments.studies.backends import Backend
from mtrnn_envs.experiments.studies.find import load_study
from mtrnn_envs.experiments.studies.study import Study
from mtrnn_envs.utils.validation import check_choice


@dataclass(frozen=True, kw_only=True)
class _Running:
    """How to run studies."""

    profile: str = option("paper", "'paper': studies as declared; or one of their profiles, such as 'quick'")
    backend: str = option(
        "local", "local, dask, ray, submitit (SLURM), another installed one, or package.module:function"
    )
    n_jobs: int | None = option(None, "simultaneous runs; None: one per core, or all that a cluster has room for")
    address: str | None = option(None, "address of the dask scheduler or Ray cluster; None: start one here")
    parameters: tuple[str, ...] = option((), "of submitit, as name=value: slurm_partition=gpu timeout_min=600")
    device: str | None = option(None, "a CUDA device on which to train the agents first, many as one problem")
    retries: int = option(1, "how often to repeat a failed run")
    report: bool = option(True, "write the report in the end")


@dataclass(frozen=True, kw_only=True)
class _RunStudy(_Running):
    study: str = argument("a file (.toml), package.module:attribute, or a study of `mtrnn reproduce`")
    out: Path = option(Path("results", "studies"), "output folder")


@dataclass(frozen=True, kw_only=True)
class _StudyStatus:
    names: tuple[str, ...] = argument("studies; none: all in the folder", ())
    out: Path = option(Path("results", "studies"), "the folder of the results")


@dataclass(frozen=True, kw_only=True)
class _Reproduce(_Running):
    names: tuple[str, ...] = argument("studies, or 'all'", ())
    out: Path = option(Path("results", "reproduction"), "output folder")


def study(args: Sequence[str]) -> None:
    """Run a study (a grid of tasks, agents and seeds), or show its status"""
    subcommands = {"run": _study_run, "status": _study_status}
    name, *rest = list(args) or ["--help"]
    if name in ("-h", "--help"):
        print("usage: mtrnn study run STUDY [OPTIONS]\n       mtrnn study status [NAMES] [OPTIONS]")
    else:
        subcommands[check_choice(name, subcommands, "command", "mtrnn study")](rest)


def _study_run(args: Sequence[str]) -> None:
    """Run what is missing of a study; repeat the command to resume after an interruption"""
    do = parse(_RunStudy, args, "study run", _study_run.__doc__)
    _run_studies([load_study(do.study)], do, do.out)


def _study_status(args: Sequence[str]) -> None:
    """Show how many runs of studies are done, failed and left"""
    do = parse(_StudyStatus, args, "study status", _study_status.__doc__)
    there = sorted(path.parent.name for path in (do.out / "studies").glob("*/study.json"))
    if not there:
        raise ValueError(f"out={str(do.out)!r} holds no studies; give the folder in which they were run")
    for name in do.names or there:
        print(runner.status(do.out, check_choice(name, there, "study", str(do.out))))


def reproduce(args: Sequence[str]) -> None:
    """Run the studies behind the paper's figures and beyond, and write the report"""
    about = [f"{name}: {each.title}" for name, each in paper.STUDIES.items()]
    do = parse(_Reproduce, args, "reproduce", reproduce.__doc__, "studies, or 'all':", *about)
    if not do.names:
        raise ValueError(f"names: give 'all', or some of {', '.join(paper.STUDIES)}")
    names = paper.STUDIES if "all" in do.names else dict.fromkeys(do.names)
    chosen = [paper.STUDIES[check_choice(name, paper.STUDIES, "study", "mtrnn reproduce")] for name in names]
    _run_studies(chosen, do, do.out)


def _run_studies(studies: Sequence[Study], do: _Running, out: Path) -> None:
    """Runs studies, prints their status, and writes the report."""
    writer = plugins.report("html") if do.report else None  # what it lacks is reported before anything is run
    parameters: dict[str, Any] = dict(part.split("=", 1) for part in do.parameters if "=" in part)
    parameters = {name: int(value) if value.isdecimal() else value for name, value in parameters.items()}
    if len(parameters) < len(do.parameters):
        raise ValueError(f"parameters={do.parameters!r} must each be name=value, with different names")
    backend = Backend(name=do.backend, n_jobs=do.n_jobs, address=do.address, parameters=parameters)
    say(f"the results are saved in {out}")
    how = {"profile": do.profile, "backend": backend, "retries": do.retries, "device": do.device}
    print(*runner.run_studies(studies, out, **how), sep="\n")
    ended = [runner.status(out, each.name) for each in studies]
    print(*ended, sep="\n")
    print(f"the tables (table.csv, table.parquet) are in {out / 'studies'}, in a folder for each study")
    if writer is not None:
        print(f"the report is {writer(out, [each.name for each in studies])}: open it in a browser")
    if failed := sum(len(each.failed) for each in ended):
        raise Failed(f"{failed} runs failed; their tracebacks are in {out / 'failures'}")
    if left := sum(each.left for each in ended):
        raise Failed(f"{left} runs are missing; repeat the command")
