"""The networks of a study as figures and claims take them: their numbers and curves, by the levels of axes.

One network is one value. Those that diverged are left out here, and counted.
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
from mtrnn_envs.experiments.probe_output import HEADLINES
from mtrnn_envs.experiments.studies.results import Results
from mtrnn_envs.experiments.studies.study import Study
from mtrnn_envs.utils.validation import check_choice

# Numbers of every cell, and the groups of columns that are of no probe.
NUMBERS = ("accuracy", "reward", "response_step", "cross_entropy")
GROUPS = ("ideal", "history", "task", "training", "test")
WHERE = re.compile(r"(?P<curve>\S+) where (?P<of>\S+) >= (?P<bound>\d*\.?\d+)")
NOTHING = Interval(float("nan"), float("nan"), float("nan"), 0.95)


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of a study that were trained to the end, or not at all.

    Attributes:
        study: as it was run.
        labels: of each network, its level of each axis, and "seed".
        rows: of each, its row of the table.
        curves: of each, rows of numbers by name.
        n_diverged: how many diverged.
    """

    study: Study
    labels: Sequence[Mapping[str, Any]]
    rows: Sequence[Mapping[str, Any]]
    curves: Sequence[Mapping[str, Sequence[float | None]]]
    n_diverged: int

    def numbers(self, column: str) -> Float[np.ndarray, " N"]:
        """One column; NaN where a network has no such number.

        "history.r2_ood where history.accuracy >= 0.94" is the first entry of a curve at which another one, of the same
        length, is as is said.
        """
        if (asked := WHERE.fullmatch(column)) is None:
            return np.array([number(row.get(column)) for row in self.rows])
        first = [self._first(i, asked["curve"], asked["of"], float(asked["bound"])) for i in range(len(self.rows))]
        return np.array(first)

    def _first(self, i: int, curve: str, of: str, bound: float) -> float:
        values, reached = self.curve(i, curve), np.flatnonzero(self.curve(i, of) >= bound)
        return float(values[reached[0]]) if len(reached) and reached[0] < len(values) else float("nan")

    def curve(self, i: int, name: str) -> Float[np.ndarray, " T"]:
        """A curve of network `i`, NaN where it has none; "trials" are updates × trials an update. Empty without it."""
        if name == "trials":
            return self.curve(i, "history.updates") * number(self.rows[i].get("training.batch_size"))
        return np.array([number(value) for value in self.curves[i].get(name, ())], float)


def networks(results: Results) -> Networks:
    """The networks that did not diverge."""
    rows = results.rows()
    done = [i for i, row in enumerate(rows) if row["status"] == "done"]
    return Networks(
        results.study,
        [results.entries[i].labels for i in done],
        [rows[i] for i in done],
        [results.found[i]["curves"] for i in done],
        len(rows) - len(done),
    )


def number(value: Any) -> float:
    """`value` as a number, also of text such as "24" (a level of an axis in TOML is a key, and keys are text)."""
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError):
        return float("nan")


def axes_of(study: Study) -> dict[str, list[Any]]:
    """The levels of each axis: of the grid of any budget, then of settings outside it."""
    versions = [study, *(study.at(budget) for budget in study.budgets)]
    pairs = [pair for each in versions for axis, levels in each.axes.items() for pair in ((axis, x) for x in levels)]
    pairs += [pair for each in versions for row in each.also for pair in row.get("labels", {}).items()]
    levels: dict[str, list[Any]] = {}
    for axis, level in dict.fromkeys(pairs):
        levels.setdefault(axis, []).append(level)
    return levels


def levels_known(study: Study, levels: Any, key: str, declared: bool = True) -> None:
    """Whether all of `levels` are levels of axes of a study; of one as a budget has it the axes alone are looked at.

    Raises:
        ValueError: if not, saying what was probably meant.
    """
    if not isinstance(levels, Mapping):
        raise ValueError(f"{key}={levels!r} must be a table of a level by axis, such as {{ N = 24 }}")
    axes = axes_of(study)
    for axis, level in levels.items():
        check_choice(axis, axes, "axis", f"study {study.name!r}")
        for each in level if isinstance(level, list | tuple) else [level]:
            if declared and not any(alike(each, other) for other in axes[axis]):
                check_choice(str(each), map(str, axes[axis]), "level", f"axis {axis!r}")


def alike(level: Any, other: Any) -> bool:
    """Whether two levels are the same; 24 and "24" are. Of a list of levels, whether one of them is."""
    if isinstance(level, list | tuple):
        return any(alike(each, other) for each in level)
    return str(level) == str(other) or number(level) == number(other)


def where(found: Networks, levels: Mapping[str, Any], among: Iterable[int] | None = None) -> list[int]:
    """The networks, by index, that have these levels."""
    rows = range(len(found.labels)) if among is None else among
    return [i for i in rows if all(alike(level, found.labels[i].get(axis)) for axis, level in levels.items())]


def strata(found: Networks, rows: Iterable[int]) -> list[list[int]]:
    """The networks `rows` by setting: those of one differ in the seed alone."""
    groups: dict[str, list[int]] = {}
    for i in rows:
        setting = {axis: str(level) for axis, level in found.labels[i].items() if axis != "seed"}
        groups.setdefault(str(sorted(setting.items())), []).append(i)
    return list(groups.values())


def estimate(
    groups: Sequence[np.ndarray], rng: np.random.Generator, statistic: Callable[..., Any] = interquartile_mean
) -> Interval:
    """The statistic of the networks of all settings, with its interval; that is NaN if a setting has one network."""
    if not groups:
        return NOTHING
    if min(map(len, groups)) < 2:
        return NOTHING._replace(value=float(statistic(np.concatenate(groups))))
    return bootstrap(groups, rng, statistic=statistic)


def column_of(study: Study, name: Any, declared: bool = True) -> str:
    """The column of the measure called `name`, or `name`, if it is a column.

    Of a study that is not as it was `declared`, but as one of its budgets has it, probes may be missing.

    Raises:
        ValueError: if it can be told that no network will have it, saying what was probably meant.
    """
    column = study.measures.get(name, name) if isinstance(name, str) else str(name)
    if asked := WHERE.fullmatch(column):
        for curve in (asked["curve"], asked["of"]):
            column_of(study, curve, declared)
        return column
    if column in NUMBERS or column.partition(".")[0] in GROUPS:
        return column
    probes = [*study.probes, *(probe for changes in study.budgets.values() for probe in changes.get("probes", ()))]
    probe = max((probe for probe in probes if column.startswith(f"{probe}.")), key=len, default=None)
    if probe is None:
        if not declared and "." in column:
            return column
        if column != name:
            raise ValueError(
                f"measures: {name!r} is {column!r}, of none of the probes of the study: {', '.join(probes)}"
            )
        names = [*study.measures, *NUMBERS, *(f"{probe}.value" for probe in probes)]
        check_choice(name, dict.fromkeys(names), "measure", f"study {study.name!r}")
    elif parts := _parts(probe):
        check_choice(column[len(probe) + 1 :].partition(".")[0], parts, "part", f"what the probe {probe!r} finds")
    return column


def _parts(probe: str) -> list[str]:
    """The fields of what a probe finds; none where its annotations do not tell."""
    function = inspect.unwrap(plugins.probe(probe))
    kind = getattr(function, "__annotations__", {}).get("return")
    if isinstance(kind, str):
        kind = getattr(function, "__globals__", {}).get(kind)
    return [*HEADLINES, *(f.name for f in fields(kind))] if isinstance(kind, type) and is_dataclass(kind) else []
