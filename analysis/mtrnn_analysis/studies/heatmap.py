"""Figures of a number over two axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from mtrnn_analysis.figures.style import INK, STYLE, Style
from mtrnn_analysis.studies import panels
from mtrnn_analysis.studies.networks import where
from mtrnn_analysis.studies.panels import Drawn, Line, Request
from mtrnn_envs.experiments.studies.study import number


def heatmap(request: Request) -> list[Drawn]:
    """A measure in each field of two axes: the interquartile mean over networks, as colour and number."""
    found, table = request.found, request.table
    (title, column), *_ = panels.measures_of(found.study, table["value"]).items()
    rows = where(found, table.get("where", {}))
    if not panels.has(found, column, rows, False):
        return [panels.nothing(request, f"No network has {title}.")]
    across, up = panels.levels_of(found, table["x"], rows), panels.levels_of(found, table["y"], rows)
    marks, values, grid = [], found.numbers(column), np.full((len(up), len(across)), np.nan)
    for (j, b), (i, a) in ((v, u) for v in enumerate(up) for u in enumerate(across)):
        if mine := where(found, {table["x"]: a, table["y"]: b}, rows):
            place = f"{panels.level_text(table['x'], a)}, {panels.level_text(table['y'], b)}"
            marks.append(panels.mark(found, mine, values, place))
            grid[j, i] = marks[-1].interval.value
    low, high = np.nanmin(grid), np.nanmax(grid)
    if panels.R2.fullmatch(column):
        low, high = max(low, panels.FLOOR), min(high, 1.0)
    low, high = table.get("ylim", (low, high))
    with mpl.rc_context(STYLE):
        figure, axes = panels.start(height=1.1 + 0.36 * len(up), wide=max(2.9, 1.2 + 0.44 * len(across)))
        image = axes.imshow(grid, cmap="viridis", vmin=low, vmax=high, origin="lower", aspect="auto")
        number_format = ".3f" if high - low < 0.05 else ".2f"
        for (j, i), value in np.ndenumerate(grid):
            if np.isfinite(value):
                colour = "white" if (value - low) / ((high - low) or 1) < 0.6 else INK
                axes.text(i, j, f"{value:{number_format}}", ha="center", va="center", fontsize=7, color=colour)
        _boundary(axes, table, across, up)
        axes.set_xticks(range(len(across)), [str(level) for level in across])
        axes.set_yticks(range(len(up)), [str(level) for level in up])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(panels.axis_label(found.study, table["x"]))
        axes.set_ylabel(panels.axis_label(found.study, table["y"]))
        figure.colorbar(image, ax=axes, label=title, pad=0.02, aspect=18)
    line = "The line separates N < D from N ≥ D." if {table["x"], table["y"]} == {"N", "D"} else ""
    says = [f"{title}: interquartile means over networks.", line]
    text = panels.caption(request, says, marks, [Line("", column, rows, INK, "o", "-", True)])
    return [Drawn(request.name, figure, text)]


def _boundary(axes: Axes, table: Mapping[str, Any], across: Sequence[object], up: Sequence[object]) -> None:
    """Draws the border between fields with N < D and those with N >= D, where these are the two axes."""
    if {table["x"], table["y"]} != {"N", "D"}:
        return
    grid = np.array([[number(b) - number(a) for a in across] for b in up])
    above = (grid > 0) if table["x"] == "N" else (grid < 0)  # N < D
    styles: tuple[Style, ...] = {"color": "white", "lw": 3.0, "solid_capstyle": "projecting"}, {"color": INK, "lw": 1.4}
    for look in styles:
        for j, i in np.argwhere(above[:, 1:] != above[:, :-1]):
            axes.plot([i + 0.5] * 2, [j - 0.5, j + 0.5], **look)
        for j, i in np.argwhere(above[1:] != above[:-1]):
            axes.plot([i - 0.5, i + 0.5], [j + 0.5] * 2, **look)
