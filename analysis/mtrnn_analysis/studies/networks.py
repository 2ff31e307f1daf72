"""The networks of a study as figures and claims take them: numbers and curves, by the levels of axes.

One network is one value. Networks that diverged are left out here, and counted.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from mtrnn_analysis.statistics import Interval, bootstrap, interquartile_mean
from mtrnn_envs import plugins
from mtrnn_envs.experiments.studies.results import Results
from mtrnn_envs.experiments.studies.study import Entry, Study, alike, has_levels, number
from mtrnn_envs.probing import HEADLINES
from mtrnn_envs.utils.validation import check_choice

# Numbers of every run, and the groups of columns that no probe gives.
NUMBERS = ("accuracy", "reward", "response_step", "cross_entropy")
GROUPS = ("ideal", "history", "task", "training", "test")
WHERE = re.compile(r"(?P<curve>\S+) where (?P<of>\S+) >= (?P<bound>\d*\.?\d+)")
NOTHING = Interval(float("nan"), float("nan"), float("nan"), 0.95)


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of a study that did not diverge.

    Attributes:
        study: the study as it was run.
        profile: the name of its profile.
        entries: labels (the level of each axis, and "seed") and cell of each network.
        rows: the row of the table of each network.
        curves: rows of numbers by name, of each network.
        n_diverged: the number of networks that diverged.
        n_there: the number of runs that have ended, diverged ones too.
        n_cells: the number of runs of the study.
    """

    study: Study
    profile: str
    entries: Sequence[Entry]
    rows: Sequence[Mapping[str, Any]]
    curves: Sequence[Mapping[str, Sequence[float | None]]]
    n_diverged: int
    n_there: int
    n_cells: int

    @property
    def labels(self) -> list[dict[str, Any]]:
        """The level of each axis, and "seed", of each network."""
        return [entry.labels for entry in self.entries]

    def numbers(self, column: str) -> Float[np.ndarray, " N"]:
        """One column; NaN where a network has no such number.

        "history.r2_ood where history.accuracy >= 0.94" is the entry of a curve where another curve first reaches a
        bound.
        """
        if (match := WHERE.fullmatch(column)) is None:
            return np.array([number(row.get(column)) for row in self.rows])
        first = [self._first(i, match["curve"], match["of"], float(match["bound"])) for i in range(len(self.rows))]
        return np.array(first)

    def _first(self, i: int, curve: str, of: str, bound: float) -> float:
        values, reached = self.curve(i, curve), np.flatnonzero(self.curve(i, of) >= bound)
        return float(values[reached[0]]) if len(reached) and reached[0] < len(values) else float("nan")

    def curve(self, i: int, name: str) -> Float[np.ndarray, " T"]:
        """A curve of network `i`, NaN where it has no number, empty without the curve.

        "trials" are updates × trials an update; "steps" are environment steps, of agents trained by labels those of
        the same trials.
        """
        if name == "trials":
            return self.curve(i, "history.updates") * number(self.rows[i].get("training.batch_size"))
        if name == "steps" and "history.steps" not in self.curves[i]:
            return self.curve(i, "trials") * self.entries[i].cell.task.n_steps
        values = self.curves[i].get("history.steps" if name == "steps" else name, ())
        return np.array([number(value) for value in values], float)


def networks(results: Results) -> Networks:
    """The networks that did not diverge."""
    rows = results.rows()
    done = [i for i, row in enumerate(rows) if row["status"] == "done"]
    return Networks(
        results.study,
        results.profile,
        [results.entries[i] for i in done],
        [rows[i] for i in done],
        [results.found[i]["curves"] for i in done],
        len(rows) - len(done),
        len(rows),
        results.n_cells,
    )


def axes_of(study: Study) -> dict[str, list[Any]]:
    """The levels of each axis: of the grid in any profile, then of settings outside the grid."""
    versions = [study, *(study.at(profile) for profile in study.profiles)]
    pairs = [pair for each in versions for axis, levels in each.axes.items() for pair in ((axis, x) for x in levels)]
    pairs += [pair for each in versions for row in each.also for pair in row.get("labels", {}).items()]
    levels: dict[str, list[Any]] = {}
    for axis, level in dict.fromkeys(pairs):
        levels.setdefault(axis, []).append(level)
    return levels


def levels_known(study: Study, levels: object, key: str, declared: bool = True) -> None:
    """Checks that all of `levels` are levels of axes of a study; unless it is as `declared`, the axes alone.

    Raises:
        ValueError: if not, with the probable level.
    """
    if not isinstance(levels, Mapping):
        raise ValueError(f"{key}={levels!r} must be a table of a level by axis, such as {{ N = 24 }}")
    axes = axes_of(study)
    for axis, level in levels.items():
        check_choice(axis, axes, "axis", f"study {study.name!r}")
        for each in level if isinstance(level, list | tuple) else [level]:
            if declared and not any(alike(each, other) for other in axes[axis]):
                check_choice(str(each), map(str, axes[axis]), "level", f"axis {axis!r}")


def where(found: Networks, levels: Mapping[str, Any], among: Iterable[int] | None = None) -> list[int]:
    """The networks, by index, that have these levels."""
    return [i for i in (range(len(found.labels)) if among is None else among) if has_levels(found.labels[i], levels)]


def strata(found: Networks, rows: Iterable[int]) -> list[list[int]]:
    """The networks `rows` by setting: networks of one setting differ in the seed alone."""
    groups: dict[str, list[int]] = {}
    for i in rows:
        setting = {axis: str(level) for axis, level in found.labels[i].items() if axis != "seed"}
        groups.setdefault(str(sorted(setting.items())), []).append(i)
    return list(groups.values())


def estimate(
    groups: Sequence[np.ndarray],
    rng: np.random.Generator,
    statistic: Callable[[np.ndarray], np.ndarray] = interquartile_mean,
) -> Interval:
    """The statistic of the networks of all settings, with its interval, which is NaN if a setting has one network."""
    if not groups:
        return NOTHING
    if min(map(len, groups)) < 2:
        return NOTHING._replace(value=float(statistic(np.concatenate(groups))))
    return bootstrap(groups, rng, statistic=statistic)


def column_of(study: Study, name: object, declared: bool = True) -> str:
    """The column of the measure called `name`, or `name` itself, if it is a column.

    Unless a study is as `declared` (a profile may have fewer probes), the probe may be missing.

    Raises:
        ValueError: if no network can have the column, with the probable name.
    """
    column = study.measures.get(name, name) if isinstance(name, str) else str(name)
    if match := WHERE.fullmatch(column):
        for curve in (match["curve"], match["of"]):
            column_of(study, curve, declared)
        return column
    if column in NUMBERS or column.partition(".")[0] in GROUPS:
        return column
    probes = [*study.probes, *(probe for changes in study.profiles.values() for probe in changes.get("probes", ()))]
    probe = max((probe for probe in probes if column.startswith(f"{probe}.")), key=len, default=None)
    if probe is None:
        if not declared and "." in column:
            return column
        if column != name:
            raise ValueError(
                f"measures: {name!r} is {column!r}, which is not of a probe of the study: {', '.join(probes)}"
            )
        names = [*study.measures, *NUMBERS, *(f"{probe}.value" for probe in probes)]
        check_choice(name, dict.fromkeys(names), "measure", f"study {study.name!r}")
    elif parts := _parts(probe):
        check_choice(column[len(probe) + 1 :].partition(".")[0], parts, "part", f"the result of probe {probe!r}")
    return column


def _parts(probe: str) -> list[str]:
    """The fields of the result of a probe; empty where its annotations do not tell."""
    function = inspect.unwrap(plugins.probe(probe))
    kind = getattr(function, "__annotations__", {}).get("return")
    if isinstance(kind, str):
        kind = getattr(function, "__globals__", {}).get(kind)
    return [*HEADLINES, *(f.name for f in fields(kind))] if isinstance(kind, type) and is_dataclass(kind) else []
