"""Radars: the scores of agents in the benchmark, around a circle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE
from mtrnn_analysis.statistics import Interval

Scores: TypeAlias = Mapping[str, Interval | None]
SIZE = 2.7, 2.4  # of one radar, in inches


def radar_figure(scores: Scores) -> Figure:
    """The scores of one agent: 0 at the centre, 1 at the rim, each with its interval; below 0 is drawn as 0.

    Scores that were not measured (None) are named in grey, without a mark.
    """
    return radars_figure({"": scores}, 1)


def radars_figure(agents: Mapping[str, Scores], columns: int = 4) -> Figure:
    """The scores of agents, by name, side by side; see `radar_figure`."""
    columns = min(columns, len(agents))
    rows = -(-len(agents) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows), layout="constrained")
        for place, (name, scores) in enumerate(agents.items(), 1):
            axes = figure.add_subplot(rows, columns, place, aspect="equal")
            axes.set_title(name)
            _draw(axes, scores)
    return figure


def _draw(axes: Axes, scores: Scores) -> None:
    names, n = list(scores), len(scores)
    angles = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    axes.axis("off")
    axes.set_xlim(-1.7, 1.7)
    axes.set_ylim(-1.45, 1.45)
    for radius in (0.25, 0.5, 0.75, 1.0):
        ring = np.append(angles, angles[0])
        axes.plot(radius * np.cos(ring), radius * np.sin(ring), color=PALE, lw=1.0 if radius == 1 else 0.5)
    known = {k: each for k, name in enumerate(names) if (each := scores[name]) is not None}
    values = np.clip([known[k].value for k in known], 0, 1.1)
    at = angles[list(known)]
    for k, angle in enumerate(angles):
        axes.plot([0, np.cos(angle)], [0, np.sin(angle)], color=PALE, lw=0.5, zorder=0)
        side = "center" if abs(np.cos(angle)) < 0.2 else "left" if np.cos(angle) > 0 else "right"
        text = f"{names[k]}\n{round(known[k].value, 2) + 0.0:.2f}" if k in known else f"{names[k]}\nnot measured"
        place = 1.1 * np.cos(angle), 1.26 * np.sin(angle)
        axes.text(*place, text, ha=side, va="center", fontsize=7, color=INK if k in known else GREY)
    for (following, after), place in zip(_neighbours(list(known), n), range(len(known)), strict=True):
        if following:
            ends = [place, after]
            x, y = values[ends] * np.cos(at[ends]), values[ends] * np.sin(at[ends])
            axes.fill([0, *x], [0, *y], color=BLUE, alpha=0.18, lw=0)
            axes.plot(x, y, color=BLUE, lw=1.2)
    for each, angle, value in zip(known.values(), at, values, strict=True):
        ends = np.clip([each.low, each.high], 0, 1.1)
        if np.isfinite(ends).all():
            axes.plot(ends * np.cos(angle), ends * np.sin(angle), color=BLUE, lw=2.2, solid_capstyle="butt")
        axes.plot(value * np.cos(angle), value * np.sin(angle), "o", ms=3, color=BLUE)


def _neighbours(known: list[int], n: int) -> list[tuple[bool, int]]:
    """For each known score: whether the next score is known, too, and the index of the next known score."""
    return [
        (known[(i + 1) % len(known)] == (k + 1) % n and len(known) > 1, (i + 1) % len(known))
        for i, k in enumerate(known)
    ]
