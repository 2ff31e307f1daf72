"""Figures of numbers over networks: against an axis of numbers, by levels, in a grid, and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mtrnn_analysis.figures.study_panels import (
    ACROSS,
    FLOOR,
    R2,
    R2_LABEL,
    Asked,
    Drawn,
    Line,
    Mark,
    axis_label,
    caption,
    entitle,
    handles_of,
    has,
    legend,
    levels_of,
    limit,
    lines_of,
    mark,
    measures_of,
    nothing,
    panels_of,
    start,
    ylabel,
)
from mtrnn_analysis.figures.style import GREY, INK, STYLE
from mtrnn_analysis.study_values import number, where

MARKS = "Dots: networks; large marks: their interquartile means, with 95 % bootstrap intervals."


def curve(asked: Asked) -> list[Drawn]:
    """Measures against an axis of numbers; levels that are no numbers, such as "untrained", are lines across."""
    found, table, x = asked.found, asked.table, asked.table["x"]
    measures = measures_of(found.study, table["y"])
    lines = [line for line in lines_of(asked, measures) if has(found, line.column, line.rows, False)]
    if not lines:
        return [nothing(asked, f"No network has {' or '.join(measures)}.")]
    level = np.array([number(labels.get(x)) for labels in found.labels])
    log, marks = bool(table.get("log_x", False)), []
    parts, about = panels_of(found, measures.values(), [i for line in lines for i in line.rows])
    with mpl.rc_context(STYLE):
        figure, panels = start(len(parts))
        handles: dict[str, Line2D] = {}
        for axes, (_, changed) in zip(panels, parts, strict=True):
            for k, line in enumerate(lines):
                aside = (k - (len(lines) - 1) / 2) * min(0.014, 0.06 / len(lines))
                mine = line._replace(column=changed.get(line.column, line.column))
                drawn = _along(axes, asked, mine, level, aside, log)
                across, named = _levels_across(axes, asked, mine, level)
                handles |= named
                # What is the same in both panels counts once.
                marks += [*drawn, *across] if mine.column != line.column or axes is panels[0] else []
            handles |= _references(axes, asked, level, lines)
        _ticks(panels, sorted({v for line in lines for v in level[line.rows] if np.isfinite(v)}), log)
        panels[0].set_ylabel(ylabel(measures))
        for axes in panels:
            axes.set_xlabel(axis_label(found.study, x))
        entitle(panels, [title for title, _ in parts])
        outside = limit(panels, table, measures.values(), [each.values for each in marks])
        legend(figure, [*handles_of(lines, measures, True), *handles.values()])
    says = [
        MARKS,
        about,
        "References are by the right test in both." if about and table.get("references") and len(parts) > 1 else "",
        outside,
    ]
    return [Drawn(asked.name, figure, caption(asked, says, marks, lines))]


def _spread(level: np.ndarray, log: bool) -> tuple[float, float]:
    """The least of the levels that are numbers, and how far they reach, as drawn."""
    seen = np.log(level[np.isfinite(level)]) if log else level[np.isfinite(level)]
    return (float(seen.min()), float(np.ptp(seen)) or 1.0) if len(seen) else (0.0, 1.0)


def _along(axes: Any, asked: Asked, line: Line, level: np.ndarray, aside: float, log: bool) -> list[Mark]:
    """Draws one line, its levels set `aside` by a share of the axis, so that intervals do not hide each other."""
    found, values, step = asked.found, asked.found.numbers(line.column), aside * _spread(level, log)[1]
    marks, places = [], []
    for at in sorted({v for v in level[line.rows] if np.isfinite(v)}):
        each = mark(found, [i for i in line.rows if level[i] == at], values, f"{asked.table['x']} = {at:g}")
        marks.append(each)
        places.append(at * np.exp(step) if log else at + step)
        _dots(axes, places[-1], each, line)
        _interval(axes, places[-1], each, line)
    axes.plot(places, [each.interval.value for each in marks], color=line.colour, ls=line.dash, lw=1.3, zorder=3)
    return marks


def _dots(axes: Any, place: float, each: Mark, line: Line, aside: float = 0.0) -> None:
    axes.plot(
        np.full(len(each.values), place) + aside * np.linspace(-1, 1, max(len(each.values), 2))[: len(each.values)],
        each.values,
        line.marker,
        ms=2.4,
        color=line.colour,
        alpha=0.45,
        mew=0,
        zorder=2,
        gid="networks",
    )


def _interval(axes: Any, place: float, each: Mark, line: Line) -> None:
    axes.plot([place] * 2, [each.interval.low, each.interval.high], color=line.colour, lw=1.1, zorder=4, gid="interval")
    face = line.colour if line.filled else "white"
    axes.plot(
        place, each.interval.value, line.marker, ms=4.6, color=line.colour, mfc=face, mew=0.8, zorder=5, gid="iqm"
    )


def _levels_across(axes: Any, asked: Asked, line: Line, level: np.ndarray) -> tuple[list[Mark], dict[str, Line2D]]:
    """Draws the levels of x that are no numbers across the axes, with their intervals as bands."""
    found, x, marks, handles = asked.found, asked.table["x"], [], {}
    values, rows = found.numbers(line.column), [i for i in line.rows if not np.isfinite(level[i])]
    several = len(_listed(asked.table["y"])) > 1 or "hue" in asked.table
    for other in levels_of(found, x, rows):
        each = mark(found, where(found, {x: other}, rows), values, f"{x} = {other}")
        if not len(each.values):
            continue
        marks.append(each)
        name = f"{other}, {line.label}" if several else str(other)
        axes.axhline(each.interval.value, color=line.colour, lw=0.9, ls=(0, (3, 1, 1, 1)), zorder=1)
        if np.isfinite(each.interval.low):
            axes.axhspan(each.interval.low, each.interval.high, color=line.colour, alpha=0.12, lw=0, zorder=0)
        handles[name] = Line2D([], [], color=line.colour, lw=0.9, ls=(0, (3, 1, 1, 1)), label=name)
    return marks, handles


def _listed(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _references(axes: Any, asked: Asked, level: np.ndarray, lines: Sequence[Line]) -> dict[str, Line2D]:
    """Draws references: the mean over networks, across, or at each level where that varies."""
    handles = {}
    rows = np.array(sorted({i for line in lines for i in line.rows}), int)
    for k, (name, column) in enumerate(measures_of(asked.found.study, asked.table.get("references", {})).items()):
        values = asked.found.numbers(column)
        rows_with = rows[np.isfinite(values[rows]) & (np.isfinite(level[rows]) if len(level) else True)]
        if not len(rows_with):
            continue
        places = np.unique(level[rows_with])
        means = np.array([values[rows_with][level[rows_with] == at].mean() for at in places])
        style: Any = {"color": GREY, "lw": 1.0, "ls": ACROSS[k % len(ACROSS)], "zorder": 1}
        if np.ptp(means) < 2e-3 * max(1, np.abs(means).max()):
            axes.axhline(values[rows_with].mean(), **style)
        else:
            axes.plot(places, means, **style)
        handles[name] = Line2D([], [], label=name, **style)
    return handles


def _ticks(panels: Sequence[Any], places: Sequence[float], log: bool) -> None:
    """Ticks at the levels, if these are few; where two would touch, the first stays."""
    if log:
        panels[0].set_xscale("log")
    if len(places) > 12 or not places:
        return
    shown, seen = [], np.log(places) if log else np.array(places)
    for place, at in zip(places, seen, strict=True):
        if not shown or at - shown[-1][1] > 0.06 * (seen[-1] - seen[0]):
            shown.append((place, at))
    for axes in panels:
        axes.set_xticks([place for place, _ in shown], [f"{place:g}" for place, _ in shown])
        axes.xaxis.set_minor_locator(NullLocator())


def dots(asked: Asked) -> list[Drawn]:
    """Measures by the levels of an axis: one dot a network, beside the interquartile mean and its interval."""
    found, table, x = asked.found, asked.table, asked.table["x"]
    measures = measures_of(found.study, table["y"])
    lines = [line for line in lines_of(asked, measures) if has(found, line.column, line.rows, False)]
    if not lines:
        return [nothing(asked, f"No network has {' or '.join(measures)}.")]
    rows = [i for line in lines for i in line.rows]
    levels, marks = levels_of(found, x, rows), []
    parts, about = panels_of(found, measures.values(), rows)
    width, long = 0.8 / len(lines), max(len(str(level)) for level in levels) * len(levels) > 40
    with mpl.rc_context(STYLE):
        each_wide = max(3.2, 1.0 + 0.28 * len(levels) * max(len(lines), 1.6))
        figure, panels = start(len(parts), wide=min(each_wide, 7.2 if len(parts) == 1 else 3.8))
        handles: dict[str, Line2D] = {}
        for axes, (_, changed) in zip(panels, parts, strict=True):
            for k, line in enumerate(lines):
                column = changed.get(line.column, line.column)
                values = found.numbers(column)
                for i, level in enumerate(levels):
                    each = mark(found, where(found, {x: level}, line.rows), values, str(level))
                    if column != line.column or axes is panels[0]:
                        marks.append(each)
                    place = i + (k - (len(lines) - 1) / 2) * width
                    _dots(axes, place - 0.15 * width, each, line, 0.15 * width)
                    _interval(axes, place + 0.2 * width, each, line._replace(marker="D"))
            handles |= _references(axes, asked, np.zeros(len(found.labels)), lines)
            turned: Any = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if long else {}
            axes.set_xticks(range(len(levels)), [str(level) for level in levels], **turned)
            axes.set_xlim(-0.6, len(levels) - 0.4)
            axes.set_xlabel("" if long else axis_label(found.study, x))
        panels[0].set_ylabel(ylabel(measures))
        entitle(panels, [title for title, _ in parts])
        outside = limit(panels, table, measures.values(), [each.values for each in marks])
        shown = handles_of(lines, measures, False) if len(lines) > 1 else []
        legend(figure, [*shown, *handles.values()])
    says = [MARKS.replace("large marks", "diamonds"), about, outside]
    return [Drawn(asked.name, figure, caption(asked, says, marks, lines))]


def scatter(asked: Asked) -> list[Drawn]:
    """One measure against another: one dot a network."""
    found, table = asked.found, asked.table
    (x_title, x), (y_title, y) = (
        *measures_of(found.study, table["x"]).items(),
        *measures_of(found.study, table["y"]).items(),
    )
    lines = lines_of(asked, {y_title: y})
    rows = [i for line in lines for i in line.rows]
    if not (np.isfinite(found.numbers(x)) & np.isfinite(found.numbers(y)))[rows].any():
        return [nothing(asked, f"No network has {x_title} and {y_title}.")]
    parts, about = panels_of(found, (x, y), rows)
    drawn, missing = [], 0
    with mpl.rc_context(STYLE):
        figure, panels = start(len(parts))
        for axes, (_, changed) in zip(panels, parts, strict=True):
            across, up = found.numbers(changed.get(x, x)), found.numbers(changed.get(y, y))
            for line in lines:
                mine = [i for i in line.rows if np.isfinite(across[i]) and np.isfinite(up[i])]
                missing += len(line.rows) - len(mine)
                drawn.append(up[mine])
                axes.plot(
                    across[mine], up[mine], line.marker, color=line.colour, ms=4.5, mec="white", mew=0.5, gid="networks"
                )
            axes.set_xlabel(R2_LABEL + (f", {x_title}" if len(x_title) < 12 else "") if R2.fullmatch(x) else x_title)
        panels[0].set_ylabel(f"{y_title}" if not R2.fullmatch(y) else f"{y_title}  $(= 1 - 12\\,\\mathrm{{MSE}})$")
        entitle(panels, [title for title, _ in parts])
        outside = limit(panels, table, [y], drawn)
        legend(figure, handles_of(lines, {y_title: y}, False) if "hue" in table else [])
    left = f"Left out: {missing} that lack one of the two." if missing else ""
    return [Drawn(asked.name, figure, caption(asked, ["One mark a network.", about, outside, left], (), lines))]


def heatmap(asked: Asked) -> list[Drawn]:
    """A measure in each field of two axes: the interquartile mean over networks, as colour and number."""
    found, table = asked.found, asked.table
    (title, column), *_ = measures_of(found.study, table["value"]).items()
    rows = where(found, table.get("where", {}))
    if not has(found, column, rows, False):
        return [nothing(asked, f"No network has {title}.")]
    across, up = levels_of(found, table["x"], rows), levels_of(found, table["y"], rows)
    parts, about = panels_of(found, [column], rows)
    grids, marks = [], []
    for _, changed in parts:
        values, grid = found.numbers(changed.get(column, column)), np.full((len(up), len(across)), np.nan)
        for (j, b), (i, a) in ((v, u) for v in enumerate(up) for u in enumerate(across)):
            if mine := where(found, {table["x"]: a, table["y"]: b}, rows):
                marks.append(mark(found, mine, values, f"{table['x']} = {a}, {table['y']} = {b}"))
                grid[j, i] = marks[-1].interval.value
        grids.append(grid)
    seen = np.concatenate([grid[np.isfinite(grid)] for grid in grids])
    low, high = (max(seen.min(), FLOOR), min(seen.max(), 1.0)) if R2.fullmatch(column) else (seen.min(), seen.max())
    low, high = table.get("ylim", (low, high))
    image: Any = None
    with mpl.rc_context(STYLE):
        figure, panels = start(len(parts), height=1.1 + 0.36 * len(up), wide=max(2.9, 1.2 + 0.44 * len(across)))
        for axes, grid in zip(panels, grids, strict=True):
            image = axes.imshow(grid, cmap="viridis", vmin=low, vmax=high, origin="lower", aspect="auto")
            for (j, i), value in np.ndenumerate(grid):
                if np.isfinite(value):
                    dark = (value - low) / ((high - low) or 1) < 0.6
                    axes.text(
                        i, j, f"{value:.2f}", ha="center", va="center", fontsize=7, color="white" if dark else INK
                    )
            _boundary(axes, table, across, up)
            axes.set_xticks(range(len(across)), [str(level) for level in across])
            axes.set_yticks(range(len(up)), [str(level) for level in up])
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            axes.set_xlabel(axis_label(found.study, table["x"]))
        panels[0].set_ylabel(axis_label(found.study, table["y"]))
        entitle(panels, [name for name, _ in parts])
        figure.colorbar(image, ax=panels, label=title, pad=0.02, aspect=18)
    line = "The line parts N < D from N ≥ D." if {table["x"], table["y"]} == {"N", "D"} else ""
    says = [f"{title}: interquartile means over networks.", line, about]
    text = caption(asked, says, marks, [Line("", column, rows, INK, "o", "-", True)])
    return [Drawn(asked.name, figure, text)]


def _boundary(axes: Any, table: Mapping[str, Any], across: Sequence[Any], up: Sequence[Any]) -> None:
    """Draws the border between fields with N < D and those with N >= D, where these are the two axes."""
    if {table["x"], table["y"]} != {"N", "D"}:
        return
    grid = np.array([[number(b) - number(a) for a in across] for b in up])
    above = (grid > 0) if table["x"] == "N" else (grid < 0)  # N < D
    style: Any = {"color": "white", "lw": 3.0, "solid_capstyle": "projecting"}, {"color": INK, "lw": 1.4}
    for look in style:
        for j, i in np.argwhere(above[:, 1:] != above[:, :-1]):
            axes.plot([i + 0.5] * 2, [j - 0.5, j + 0.5], **look)
        for j, i in np.argwhere(above[1:] != above[:-1]):
            axes.plot([i - 0.5, i + 0.5], [j + 0.5] * 2, **look)
