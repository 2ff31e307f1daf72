"""Figures of numbers over networks: against an axis of numbers, by levels, and against each other."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mtrnn_analysis.figures.style import GREY, STYLE, Style
from mtrnn_analysis.studies import panels
from mtrnn_analysis.studies.networks import where
from mtrnn_analysis.studies.panels import Drawn, Line, Mark, Request
from mtrnn_envs.experiments.studies.study import number

MARKS = "Dots: networks; large marks: their interquartile means, with 95 % bootstrap intervals."


def curve(request: Request) -> list[Drawn]:
    """Measures against an axis of numbers; levels that are not numbers, such as "untrained", are lines across."""
    found, table, x = request.found, request.table, request.table["x"]
    measures = panels.measures_of(found.study, table["y"])
    lines = [line for line in panels.lines_of(request, measures) if panels.has(found, line.column, line.rows, False)]
    if not lines:
        return [panels.nothing(request, f"No network has {' or '.join(measures)}.")]
    level = np.array([number(labels.get(x)) for labels in found.labels])
    log, marks, drawn = bool(table.get("log_x", False)), [], []
    with mpl.rc_context(STYLE):
        figure, axes = panels.start()
        handles: dict[str, Line2D] = {}
        for k, line in enumerate(lines):
            aside = (k - (len(lines) - 1) / 2) * min(0.014, 0.06 / len(lines))
            along = _along(axes, request, line, level, aside, log)
            across, named = _levels_across(axes, request, line, level)
            handles |= named
            marks += [*along, *across]
            drawn += [each.values for each in along]
        handles |= references(axes, request, level, lines)
        _ticks(axes, sorted({v for line in lines for v in level[line.rows] if np.isfinite(v)}), log)
        axes.set_ylabel(panels.ylabel(measures))
        axes.set_xlabel(panels.axis_label(found.study, x))
        outside = panels.limit(axes, table, measures.values(), drawn)
        shown = panels.handles_of(lines, measures, True) if len(lines) > 1 or handles else []
        panels.legend(figure, [*shown, *handles.values()])
    return [Drawn(request.name, figure, panels.caption(request, [MARKS, outside], marks, lines))]


def _spread(level: np.ndarray, log: bool) -> tuple[float, float]:
    """The least of the levels that are numbers, and their range, as drawn."""
    seen = np.log(level[np.isfinite(level)]) if log else level[np.isfinite(level)]
    return (float(seen.min()), float(np.ptp(seen)) or 1.0) if len(seen) else (0.0, 1.0)


def _along(axes: Axes, request: Request, line: Line, level: np.ndarray, aside: float, log: bool) -> list[Mark]:
    """Draws one line, its levels set `aside` by a share of the axis, so that intervals do not hide each other."""
    found, values, step = request.found, request.found.numbers(line.column), aside * _spread(level, log)[1]
    marks, places = [], []
    for at in sorted({v for v in level[line.rows] if np.isfinite(v)}):
        there, name = [i for i in line.rows if level[i] == at], panels.level_text(request.table["x"], f"{at:g}")
        marks.append(each := panels.mark(found, there, values, name))
        places.append(at * np.exp(step) if log else at + step)
        _dots(axes, places[-1], each, line)
        _interval(axes, places[-1], each, line)
    axes.plot(places, [each.interval.value for each in marks], color=line.colour, ls=line.dash, lw=1.3, zorder=3)
    return marks


def _dots(axes: Axes, place: float, each: Mark, line: Line, aside: float = 0.0) -> None:
    places = place + aside * np.linspace(-1, 1, max(len(each.values), 2))[: len(each.values)]
    look: Style = {"ms": 2.8, "color": line.colour, "alpha": 0.55, "mew": 0, "zorder": 2}
    axes.plot(places, each.values, line.marker, gid="networks", **look)


def _interval(axes: Axes, place: float, each: Mark, line: Line) -> None:
    axes.plot([place] * 2, [each.interval.low, each.interval.high], color=line.colour, lw=1.1, zorder=4, gid="interval")
    face = line.colour if line.filled else "white"
    look: Style = {"ms": 4.2, "color": line.colour, "mfc": face, "mew": 0.8, "zorder": 5}
    axes.plot(place, each.interval.value, line.marker, gid="iqm", **look)


def _levels_across(axes: Axes, request: Request, line: Line, level: np.ndarray) -> tuple[list[Mark], dict[str, Line2D]]:
    """Draws the levels of x that are not numbers across the axes, with their intervals as bands."""
    found, x, marks, handles = request.found, request.table["x"], [], {}
    values, rows = found.numbers(line.column), [i for i in line.rows if not np.isfinite(level[i])]
    several = (not isinstance(y := request.table["y"], str) and len(y) > 1) or "hue" in request.table
    for other in panels.levels_of(found, x, rows):
        each = panels.mark(found, where(found, {x: other}, rows), values, panels.level_text(x, other))
        if not len(each.values):
            continue
        marks.append(each)
        name = f"{other}, {line.label}" if several else str(other)
        axes.axhline(each.interval.value, color=line.colour, lw=0.9, ls=(0, (3, 1, 1, 1)), zorder=1)
        if np.isfinite(each.interval.low):
            axes.axhspan(each.interval.low, each.interval.high, color=line.colour, alpha=0.12, lw=0, zorder=0)
        handles[name] = Line2D([], [], color=line.colour, lw=0.9, ls=(0, (3, 1, 1, 1)), label=name)
    return marks, handles


def references(axes: Axes, request: Request, level: np.ndarray, lines: Sequence[Line]) -> dict[str, Line2D]:
    """Draws references: the mean over networks, across, or at each level where that varies."""
    handles, given = {}, panels.measures_of(request.found.study, request.table.get("references", {}))
    rows = np.array(sorted({i for line in lines for i in line.rows}), int)
    for k, (name, column) in enumerate(given.items()):
        values = request.found.numbers(column)
        rows_with = rows[np.isfinite(values[rows]) & (np.isfinite(level[rows]) if len(level) else True)]
        if not len(rows_with):
            continue
        places = np.unique(level[rows_with])
        means = np.array([values[rows_with][level[rows_with] == at].mean() for at in places])
        style: Style = {"color": GREY, "lw": 1.0, "ls": panels.ACROSS[k % len(panels.ACROSS)], "zorder": 1}
        if np.ptp(means) < 2e-3 * max(1, np.abs(means).max()):
            axes.axhline(values[rows_with].mean(), **style)
        else:
            axes.plot(places, means, **style)
        handles[name] = Line2D([], [], label=name, **style)
    return handles


def _ticks(axes: Axes, places: Sequence[float], log: bool) -> None:
    """Ticks at the levels, if these are few; of two that would touch, the first stays."""
    if log:
        axes.set_xscale("log")
    if len(places) > 12 or not places:
        return
    shown, seen = [], np.log(places) if log else np.array(places)
    for place, at in zip(places, seen, strict=True):
        if not shown or at - shown[-1][1] > 0.06 * (seen[-1] - seen[0]):
            shown.append((place, at))
    axes.set_xticks([place for place, _ in shown], [f"{place:g}" for place, _ in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def dots(request: Request) -> list[Drawn]:
    """Measures by the levels of an axis: one dot a network, beside the interquartile mean and its interval."""
    found, table, x = request.found, request.table, request.table["x"]
    measures = panels.measures_of(found.study, table["y"])
    lines = [line for line in panels.lines_of(request, measures) if panels.has(found, line.column, line.rows, False)]
    if not lines:
        return [panels.nothing(request, f"No network has {' or '.join(measures)}.")]
    levels, marks = panels.levels_of(found, x, [i for line in lines for i in line.rows]), []
    width = 0.8 / len(lines)
    with mpl.rc_context(STYLE):
        figure, axes = panels.start(wide=min(max(3.2, 1.0 + 0.28 * len(levels) * max(len(lines), 1.6)), 7.2))
        for k, line in enumerate(lines):
            for i, level in enumerate(levels):
                each = panels.mark(found, where(found, {x: level}, line.rows), found.numbers(line.column), str(level))
                marks.append(each)
                place = i + (k - (len(lines) - 1) / 2) * width
                _dots(axes, place - 0.15 * width, each, line, 0.15 * width)
                _interval(axes, place + 0.2 * width, each, line._replace(marker="D"))
        handles = references(axes, request, np.zeros(len(found.labels)), lines)
        slot, letters = (figure.get_figwidth() - 0.6) / len(levels), [len(str(level)) for level in levels]
        # A letter is some 0.06 inches wide; neighbours must not touch.
        long = max(0.03 * (a + b) for a, b in zip(letters, letters[1:] or letters, strict=False)) > slot - 0.08
        turned: Style = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if long else {}
        axes.set_xticks(range(len(levels)), [str(level) for level in levels], **turned)
        axes.set_xlim(-0.6, len(levels) - 0.4)
        axes.set_xlabel(panels.axis_label(found.study, x))
        axes.set_ylabel(panels.ylabel(measures))
        outside = panels.limit(axes, table, measures.values(), [each.values for each in marks])
        shown = panels.handles_of(lines, measures, False) if len(lines) > 1 else []
        panels.legend(figure, [*shown, *handles.values()])
    says = [MARKS.replace("large marks", "diamonds"), outside]
    return [Drawn(request.name, figure, panels.caption(request, says, marks, lines))]


def scatter(request: Request) -> list[Drawn]:
    """One measure against another: one dot a network."""
    found, table = request.found, request.table
    ((x_title, x),), ((y_title, y),) = (panels.measures_of(found.study, table[key]).items() for key in ("x", "y"))
    lines, across, up = panels.lines_of(request, {y_title: y}), found.numbers(x), found.numbers(y)
    rows = [i for line in lines for i in line.rows]
    both = np.isfinite(across) & np.isfinite(up)
    if not both[rows].any():
        return [panels.nothing(request, f"No network has {x_title} and {y_title}.")]
    with mpl.rc_context(STYLE):
        figure, axes = panels.start()
        for line in lines:
            mine = [i for i in line.rows if both[i]]
            look: Style = {"color": line.colour, "ms": 4.5, "mec": "white", "mew": 0.5}
            axes.plot(across[mine], up[mine], line.marker, gid="networks", **look)
        axes.set_xlabel(_entitled(x_title, x))
        axes.set_ylabel(_entitled(y_title, y))
        outside = panels.limit(axes, table, [y], [up[[i for i in rows if both[i]]]])
        panels.legend(figure, panels.handles_of(lines, {y_title: y}, False) if "hue" in table else [])
    missing = len(rows) - int(both[rows].sum())
    left = f"Left out: {missing} that lack one of the two." if missing else ""
    return [Drawn(request.name, figure, panels.caption(request, ["One mark a network.", outside, left], (), lines))]


def _entitled(title: str, column: str) -> str:
    """The title of a measure, with the definition of r²."""
    return f"{title}  $(= 1 - 12\\,\\mathrm{{MSE}})$" if panels.R2.fullmatch(column) else title
