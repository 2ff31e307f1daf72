"""The figures of a study, from its tables `Study.figures`.

| kind | required | optional |
|---|---|---|
| curve | x: an axis of numbers; y: measures | hue, log_x, references, ylim |
| dots | x: an axis; y: measures | hue, references, ylim |
| heatmap | x, y: axes; value: a measure | ylim: of the colours |
| scatter | x, y: a measure each | hue, ylim |
| time_course | x: a curve; y: curves by title | theory: curves by title; hue, references, ylim |
| training_history | x: "trials", "steps", or a curve; y: curves by title | hue, references, ylim |
| trajectories | level: a list of levels, such as [{N = 24}, {N = 2}] | |
| tasks | of: a list of levels | |

All may have `title`, and `where`: levels, such as {D = 2}, of the networks that are shown. A measure is a name in
`Study.measures`, or a column of the table; a curve is a row of numbers of a run, such as "history.r2_ood". The measure
"history.r2_ood where history.accuracy >= 0.94" is the entry of a curve where another curve first reaches a bound. The
hue is an axis. References are columns by title. One mark is one network; lines are interquartile means over networks
with 95 % bootstrap intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtrnn_analysis.studies import claims
from mtrnn_analysis.studies.curves import curve, dots, scatter
from mtrnn_analysis.studies.heatmap import heatmap
from mtrnn_analysis.studies.networks import Networks, axes_of, column_of, levels_known
from mtrnn_analysis.studies.panels import Drawn, Request
from mtrnn_analysis.studies.single_networks import tasks, trajectories
from mtrnn_analysis.studies.time_courses import time_course, training_history
from mtrnn_envs.experiments.studies.study import PAPER, Study, number
from mtrnn_envs.utils.validation import check_choice

__all__ = ["KINDS", "Drawn", "check", "figures"]


class _Value(NamedTuple):
    """A value of the table of a figure, to be checked."""

    study: Study
    declared: bool
    key: str
    given: Any


Check = Callable[[_Value], None]


class Kind(NamedTuple):
    """A kind of figure: the function that draws it, and checks of its required and optional values."""

    draw: Callable[[Request], list[Drawn]]
    needs: Mapping[str, Check]
    may: Mapping[str, Check]


def figures(found: Networks, out: Path) -> list[Drawn]:
    """The figures of a study that was run, in part or as a whole, in the folder `out`.

    The caption of a figure without data gives the reason.

    Raises:
        ValueError: if a table names an unknown kind, axis or measure.
    """
    _check(found.study, found.profile == PAPER)
    drawn: list[Drawn] = []
    for i, table in enumerate(found.study.figures, 1):
        drawn += KINDS[table["kind"]].draw(Request(found, table, out, f"{table['kind']}-{i}"))
    return drawn


def check(study: Study) -> None:
    """Checks the tables of figures and claims of a study.

    Raises:
        ValueError: if a table lacks a value, or names an unknown kind, axis, level or measure.
    """
    _check(study, True)
    claims.check(study)


def _check(study: Study, declared: bool) -> None:
    """Checks the tables of figures; a profile of the `declared` study may lack levels and probes."""
    for i, table in enumerate(study.figures):
        if "kind" not in table:
            raise ValueError(f"figures[{i}] has no kind; the kinds are {', '.join(KINDS)}")
        kind = KINDS[check_choice(table["kind"], KINDS, "kind", f"figures[{i}]")]
        for key in kind.needs:
            if key not in table:
                raise ValueError(f"figures[{i}] has no {key}; a {table['kind']} needs {' and '.join(kind.needs)}")
        checks = {**kind.needs, **kind.may, **ALWAYS}
        for key, given in table.items():
            if key != "kind":
                value = _Value(study, declared, f"figures[{i}].{key}", given)
                checks[check_choice(key, checks, "key", f"figures[{i}], a {table['kind']}")](value)


def _axis(value: _Value) -> None:
    check_choice(value.given, axes_of(value.study), "axis", f"study {value.study.name!r}")


def _number_axis(value: _Value) -> None:
    _axis(value)
    levels = axes_of(value.study)[value.given]
    if value.declared and not np.isfinite([number(level) for level in levels]).any():
        raise ValueError(f"{value.key}={value.given!r} has the levels {levels}, none of which is a number; draw dots")


def _measure(value: _Value) -> None:
    column_of(value.study, value.given, value.declared)


def _measures(value: _Value) -> None:
    given = [value.given] if isinstance(value.given, str) else value.given
    if not isinstance(given, list | tuple) or not given:
        raise ValueError(f"{value.key}={given!r} must be one or more measures")
    for name in given:
        column_of(value.study, name, value.declared)


def _columns(value: _Value) -> None:
    if not isinstance(value.given, Mapping) or not value.given:
        raise ValueError(f"{value.key}={value.given!r} must be a table of columns by title")
    for name in value.given.values():
        column_of(value.study, name, value.declared)


def _curve(value: _Value) -> None:
    if value.given not in ("trials", "steps"):
        column_of(value.study, value.given, value.declared)


def _levels(value: _Value) -> None:
    levels_known(value.study, value.given, value.key, value.declared)


def _list_of_levels(value: _Value) -> None:
    if not isinstance(value.given, list | tuple) or not value.given:
        raise ValueError(f"{value.key}={value.given!r} must be a list of levels, such as [{{ N = 24 }}]")
    for levels in value.given:
        _levels(value._replace(given=levels))


def _limits(value: _Value) -> None:
    ends = value.given
    if not isinstance(ends, list | tuple) or len(ends) != 2 or not number(ends[0]) < number(ends[1]):
        raise ValueError(f"{value.key}={ends!r} must be two numbers, the lower first")


def _flag(value: _Value) -> None:
    if not isinstance(value.given, bool):
        raise ValueError(f"{value.key}={value.given!r} must be true or false")


def _text(value: _Value) -> None:
    if not isinstance(value.given, str):
        raise ValueError(f"{value.key}={value.given!r} must be text")


ALWAYS: dict[str, Check] = {"title": _text, "where": _levels}
MAY: dict[str, Check] = {"hue": _axis, "references": _columns, "ylim": _limits}
COURSE: dict[str, Check] = {"x": _curve, "y": _columns}
KINDS: dict[str, Kind] = {
    "curve": Kind(curve, {"x": _number_axis, "y": _measures}, {"log_x": _flag, **MAY}),
    "dots": Kind(dots, {"x": _axis, "y": _measures}, MAY),
    "heatmap": Kind(heatmap, {"x": _axis, "y": _axis, "value": _measure}, {"ylim": _limits}),
    "scatter": Kind(scatter, {"x": _measure, "y": _measure}, {"hue": _axis, "ylim": _limits}),
    "time_course": Kind(time_course, COURSE, {"theory": _columns, **MAY}),
    "training_history": Kind(training_history, COURSE, MAY),
    "trajectories": Kind(trajectories, {"level": _list_of_levels}, {}),
    "tasks": Kind(tasks, {"of": _list_of_levels}, {}),
}
