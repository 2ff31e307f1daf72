"""The options of the commands of `mtrnn`, each with its help."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from mtrnn_envs.experiments.benchmark.suite import N_SEEDS
from mtrnn_envs.task import EvidenceTask


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the other options and their defaults follow from."""

    agent: str = field(default="supervised", metadata=_help("what is trained: a name, or package.module of your own"))
    env_id: str = field(
        default="MultiTaskEvidence-v0", metadata=_help("the environment, from which the defaults of the task come")
    )
    preset: str = field(
        default="", metadata=_help("the settings of the agent, from which the defaults of training come")
    )


@dataclass(frozen=True, kw_only=True)
class Train(Choice):
    """The options of `mtrnn train`."""

    seed: int = field(default=0, metadata=_help("of the first weights and of the trials: a whole number, 0 or more"))
    folder: Path | None = field(
        default=None, metadata=_help("where all goes; None: results/train/ and a hash of what determines the run")
    )
    task: EvidenceTask = field(default=EvidenceTask(), metadata=_help("What the agent learns."))
    training: Any = field(default=None, metadata=_help("How it learns."))


PLUGIN = "the agent plug-in whose `load` reads the agent; those of this package read each other's"


@dataclass(frozen=True, kw_only=True)
class Record:
    """The options of `mtrnn record`."""

    agent: Positional[Path] = field(default=tyro.MISSING, metadata=_help("the folder, or file, of a trained agent"))
    to: Path | None = field(
        default=None,
        metadata=_help("the file to write; None: recording.npz in its folder, or beside a file with its name"),
    )
    n_trials: int = field(default=2000, metadata=_help("whole trials, 1 or more"))
    split: str = field(default="test", metadata=_help("of which stream: test, validation or train"))
    seed: int = field(default=0, metadata=_help("of the trials: a whole number, 0 or more"))
    plugin: str = field(default="supervised", metadata=_help(PLUGIN))


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The options of `mtrnn probe`."""

    recording: Positional[Path] = field(
        default=tyro.MISSING, metadata=_help("a file that `mtrnn record` or `Recording.save` wrote")
    )
    names: Positional[tuple[str, ...]] = field(
        default=(), metadata=_help("probes: names, or package.module:function of your own")
    )
    all: bool = field(default=False, metadata=_help("all probes that are installed and go with the recording"))
    agent: Path | None = field(default=None, metadata=_help("the agent that was recorded: probes of dynamics need it"))
    folder: Path | None = field(
        default=None, metadata=_help("where numbers and figures go; None: beside the recording, <its name>-probes")
    )
    seed: int = field(default=0, metadata=_help("of what probes draw: a whole number, 0 or more"))
    plugin: str = field(default="supervised", metadata=_help(PLUGIN))


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where and how studies are run."""

    profile: str = field(
        default="paper", metadata=_help("'paper': studies as declared; or one of their profiles, such as 'quick'")
    )
    backend: str = field(
        default="local", metadata=_help("'local' processes, a 'dask' or 'ray' cluster, or 'submitit' for SLURM")
    )
    n_jobs: int | None = field(
        default=None, metadata=_help("cells at once; None: one per core, or all that a cluster has room for")
    )
    address: str | None = field(default=None, metadata=_help("of the dask scheduler or Ray cluster; None: one here"))
    parameters: tuple[str, ...] = field(
        default=(), metadata=_help("of submitit, each as name=value, such as slurm_partition=gpu timeout_min=600")
    )
    device: str | None = field(
        default=None, metadata=_help("a CUDA device on which agents are first trained, many as one problem")
    )
    retries: int = field(default=1, metadata=_help("how often a cell that failed is tried again"))
    report: bool = field(default=True, metadata=_help("whether the report is written in the end"))


@dataclass(frozen=True, kw_only=True)
class RunStudy(Running):
    """The options of `mtrnn study run`."""

    study: Positional[str] = field(
        default=tyro.MISSING,
        metadata=_help("a file (.toml), package.module:attribute, or a study of `mtrnn reproduce`"),
    )
    out: Path = field(default=Path("results", "studies"), metadata=_help("the folder of the results"))


@dataclass(frozen=True, kw_only=True)
class StudyStatus:
    """The options of `mtrnn study status`."""

    names: Positional[tuple[str, ...]] = field(default=(), metadata=_help("studies; none: all in the folder"))
    out: Path = field(default=Path("results", "studies"), metadata=_help("the folder of the results"))


@dataclass(frozen=True, kw_only=True)
class Reproduce(Running):
    """The options of `mtrnn reproduce`."""

    names: Positional[tuple[str, ...]] = field(default=(), metadata=_help("studies, or 'all'"))
    out: Path = field(default=Path("results", "reproduction"), metadata=_help("the folder of the results"))


ENTRANT = "a name of the entry points mtrnn.entrants, or package.module:Class of one's own"


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The options of `mtrnn benchmark`."""

    agent: str = field(default="", metadata=_help(ENTRANT))
    out: Path = field(default=Path("results", "benchmark"), metadata=_help("the folder of the results"))
    settings: tuple[str, ...] = field(default=(), metadata=_help("of the suite, by name; none: all"))
    seeds: int = field(default=N_SEEDS, metadata=_help("how many: 0, 1, ..."))
    secret: int = field(
        default=0,
        metadata=_help("a number, unknown to the agent's makers, of which test trials and the like are drawn"),
    )
    bare: bool = field(
        default=False, metadata=_help("show the evidence itself, for agents that compute with it; the results say so")
    )
    n_jobs: int | None = field(default=None, metadata=_help("cells at once; None: one per core"))
    verify: Path | None = field(
        default=None, metadata=_help("a file of results, some of whose cells are run again, in the place of all else")
    )
    cells: int = field(default=3, metadata=_help("with --verify: how many cells are drawn and run again"))


@dataclass(frozen=True, kw_only=True)
class CheckAgent:
    """The options of `mtrnn check-agent`."""

    agent: Positional[str] = field(default=tyro.MISSING, metadata=_help(ENTRANT))
    settings: tuple[str, ...] = field(
        default=(), metadata=_help("of the benchmark, by name, in which it is checked; none: all")
    )
    env_id: str | None = field(
        default=None, metadata=_help("an environment in which it is checked, in the place of settings")
    )
    bare: bool = field(default=False, metadata=_help("show the evidence itself, without the encoder"))
    budget: int = field(default=512, metadata=_help("trials to learn from, if it learns"))


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """The options of `mtrnn leaderboard`."""

    out: Positional[Path] = field(
        default=Path("results", "benchmark"), metadata=_help("the folder of files of results, and of the page")
    )
