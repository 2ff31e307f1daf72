"""Figures of memory: long rollouts, pushes along and across, and the conclusion about the continuous attractor."""

from __future__ import annotations

from textwrap import fill

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from matplotlib.typing import LineStyleType

from mtrnn_analysis.dynamics import Attractor, Perturbations, Rollout
from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, STYLE, VERMILLION, Style

LOWEST = -0.5  # of the r2 axis; a lower value at the last step is written out


def rollout_figure(found: Rollout) -> Figure:
    """Memory of x* while nothing is shown, and the drift of the decoded x*.

    Left: r2_prior by the frozen decoder against time since the stimulus (logarithmic, but for the first step), beside
    the ideal observers that know and do not know its end, and the null at the last step. Right, the bias field: for
    D = 2 arrows, of lengths in proportion to the drift, coloured by it; for D = 1 drift against place; for D > 2 the
    multipliers of its linear fit.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 3.3), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _memory(left, found)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, columnspacing=1.2)
        n_dims = len(found.offset)
        (_multipliers if n_dims > 2 else _flow if n_dims == 2 else _line)(right, found)
        constant = f"fastest decay: {found.time_constant:.3g} steps"
        if not np.isfinite(found.time_constant):
            constant = "decoded $x^*$ does not vary" if np.isnan(found.time_constant) else "no direction decays"
        right.set_title(constant, fontsize=8)
        return figure


def perturbations_figure(found: Perturbations) -> Figure:
    """Left: the share of pushes that remains, along with quartiles over trials, across with 5 to 95 % of the directions
    drawn. Right: the shift of the decoded x*, along in the intended direction, across in any.
    """
    steps = np.arange(len(found.along))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        _band(left, found.along, found.along_quartiles, BLUE, "along the coding axes")
        edges = np.quantile(found.across, (0.05, 0.95), axis=0)
        _band(left, np.median(found.across, axis=0), edges, VERMILLION, f"across them ({found.settings['across']})")
        left.set_ylabel("share of the push that remains")
        _band(right, found.gain, found.gain_quartiles, BLUE, "along: in the direction asked")
        right.plot(steps, found.leak, color=VERMILLION, lw=1.4, label="across: in any direction")
        right.set_ylabel("shift of decoded $x^*$ / step asked")
        drawn = (found.along_quartiles, edges[1], found.gain_quartiles, found.leak)
        highest, lowest = max(1.0, *(float(np.max(v)) for v in drawn)), min(0.0, float(found.gain_quartiles.min()))
        for axes in (left, right):
            axes.axhline(1, color=PALE, lw=0.8, zorder=1)
            axes.set(xlabel=f"steps after a push of {found.settings['size']:g} in $x^*$", xlim=(0, steps[-1]))
            axes.set_ylim(max(lowest, -1) * 1.05, 1.35 * min(highest, 4))
            axes.legend(loc="upper right", frameon=True, framealpha=0.85, edgecolor="none")
        return figure


def attractor_figure(found: Attractor) -> Figure:
    """The conclusion, and its evidence row by row: value, threshold, and whether it holds."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 0.9 + 0.42 * len(found.evidence)))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        n = len(found.evidence)
        axes.set(xlim=(0, 1), ylim=(-0.7, n + 1.2))
        axes.text(0.02, n + 0.75, fill(found.verdict, 90), fontsize=10, weight="bold", va="center")
        top = (0.07, "evidence", "left"), (0.27, "found", "right"), (0.36, "needed", "right"), (0.4, "meaning", "left")
        for x, head, align in top:
            axes.text(x, n + 0.05, head, color=GREY, ha=align, va="center")
        for i, row in enumerate(found.evidence):
            y = n - 1 - i
            axes.axhline(y + 0.5, color=PALE, lw=0.5, xmin=0.02, xmax=0.98)
            mark, colour = ("o", GREEN) if row.holds else ("X", VERMILLION)
            ink, edge, value = INK, "white", _number(row.value)
            if np.isnan(row.value):
                mark, colour, ink, edge, value = "_", GREY, GREY, GREY, "not asked"
            axes.plot(0.035, y, mark, color=colour, ms=7, mec=edge, mew=0.5)
            axes.text(0.07, y, row.name, va="center", color=ink)
            axes.text(0.27, y, value, va="center", ha="right", color=ink)
            needed = f"{'≥' if row.at_least else '≤'} {row.threshold:g}"
            axes.text(0.36, y, needed, va="center", ha="right", color=GREY)
            axes.text(0.40, y, fill(row.why, 78), va="center", fontsize=6.5, color=GREY, linespacing=1.1)
        return figure


def _memory(axes: Axes, found: Rollout) -> None:
    """r2 against time since the last observation."""
    for mark in found.marks:
        axes.axvline(mark, color=PALE, lw=0.8, zorder=1)
        times = mark / found.marks[0] * found.settings["multiples"][0]
        axes.text(mark, 1.03, f"{times:g}×", ha="center", va="bottom", fontsize=7, color=GREY)
    axes.axhline(0, color=PALE, lw=0.8, zorder=1)
    lines: list[tuple[np.ndarray, str, LineStyleType, str]] = [
        (found.r2_told, GREY, "-", "ideal, told of the end"),
        (found.r2_untold, GREY, (0, (4, 2)), "ideal, not told"),
        (found.r2, BLUE, "-", "decoded, decoder frozen"),
    ]
    if len(found.offset) > 1:
        lines.append((found.r2_directions[:, 0], BLUE, (0, (1, 1.5)), "worst direction of $x^*$"))
    for values, colour, dashes, name in lines:
        if not np.isnan(values).all():
            axes.plot(found.steps, np.maximum(values, 2 * LOWEST), color=colour, ls=dashes, lw=1.4, label=name)
    if len(found.null) and found.null.max() >= LOWEST:
        low, middle, high = np.quantile(np.maximum(found.null, LOWEST), (0.05, 0.5, 0.95))
        bars = [[middle - low], [high - middle]]
        axes.errorbar(found.steps[-1], middle, bars, fmt="_", color=ORANGE, label="null, 5 to 95 %")
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    least = float(min(found.r2.min(), found.r2_directions.min()))
    axes.set(xlim=(-0.1, found.steps[-1] * 1.15), ylim=(min(-0.1, max(LOWEST, least - 0.05)), 1.02))
    axes.set_xticks([0, 1, *(k for k in (10, 100, 1000, 10_000) if k < found.steps[-1])])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"steps after the {found.settings['after']} (1× is a trial)")
    axes.set_ylabel("$r^2_{\\mathrm{prior}}$ of $x^*$  $(= 1 - 12\\,\\mathrm{MSE})$")
    if found.value < LOWEST:
        last = f"{_number(found.value)} at the last step"
        axes.text(0.03, 0.04, last, transform=axes.transAxes, fontsize=7, color=BLUE)


def _flow(axes: Axes, found: Rollout) -> None:
    """Arrows of lengths in proportion to the drift at each place, the longest as long as a bin is wide."""
    axes.plot([-0.5, 0.5, 0.5, -0.5, -0.5], [-0.5, -0.5, 0.5, 0.5, -0.5], color=PALE, lw=0.8, zorder=1)
    if len(found.positions):
        speeds = np.linalg.norm(found.drifts, axis=1)
        arrows = found.drifts / (max(float(speeds.max()), 1e-12) * found.settings["n_bins"])
        scale: Style = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.008}
        drawn = axes.quiver(*found.positions.T, *arrows.T, speeds, cmap="cividis_r", zorder=3, **scale)
        drawn.set_clim(0, None)
        bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=25, pad=0.02)
        bar.set_label("drift in $x^*$ per step")
        bar.outline.set_linewidth(0.4)
    axes.set(xlim=(-0.56, 0.56), ylim=(-0.56, 0.56), aspect="equal", xticks=[-0.5, 0, 0.5], yticks=[-0.5, 0, 0.5])
    axes.set(xlabel="decoded $x_1$", ylabel="decoded $x_2$")


def _line(axes: Axes, found: Rollout) -> None:
    """Drift against place, with its linear fit."""
    axes.axhline(0, color=PALE, lw=0.8)
    axes.plot(found.positions[:, 0], found.drifts[:, 0], "o", color=BLUE, ms=4, label="bias field")
    ends = np.array([-0.5, 0.5])
    axes.plot(ends, found.slopes[0, 0] * ends + found.offset[0], color=GREY, lw=1, label="linear fit")
    axes.set(xlabel="decoded $x^*$", ylabel="drift in $x^*$ per step")
    axes.legend(loc="best")


def _multipliers(axes: Axes, found: Rollout) -> None:
    """|mu| of the linear fit, one a direction."""
    sizes = np.sort(np.abs(found.multipliers))[::-1]
    places = np.arange(1, len(sizes) + 1)
    axes.axhline(1, color=GREY, lw=0.9, ls=(0, (4, 2)), label="held")
    axes.plot(places, sizes, "o", color=BLUE, ms=5, label="fit to the bias field")
    low, high = float(np.nanmin(sizes, initial=1)), float(np.nanmax(sizes, initial=1))
    axes.set(ylim=(min(low, 0.95) - 0.05, high + 0.05), xlim=(0.5, len(sizes) + 0.5), xticks=places)
    axes.set(xlabel="direction of $x^*$", ylabel="multiplier $|\\mu|$ per step")
    axes.legend(loc="best")


def _band(axes: Axes, middle: np.ndarray, edges: np.ndarray, colour: str, name: str) -> None:
    steps = np.arange(len(middle))
    axes.fill_between(steps, *edges, color=colour, alpha=0.2, lw=0, zorder=2)
    axes.plot(steps, middle, color=colour, lw=1.4, label=name, zorder=3)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1e}"
