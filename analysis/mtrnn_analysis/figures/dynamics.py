"""Figures of memory: long rollouts, pushes along and across, and the verdict on the continuous attractor."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from mtrnn_analysis.dynamics.attractor import Attractor
from mtrnn_analysis.dynamics.perturbations import Perturbations
from mtrnn_analysis.dynamics.rollout import Rollout
from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, STYLE, VERMILLION

LOWEST = -0.5  # of r2 that is drawn; what lies below is said


def rollout_figure(found: Rollout) -> Figure:
    """Memory of x* while nothing is shown, and how the decoded x* drifts.

    Left: r2_prior by the frozen decoder against time since the stimulus (logarithmic, but for the first step), beside
    the ideal observers that are told and not told of its end, and the null at the last step. Right, the bias field:
    for D = 2 arrows, of lengths in proportion to the drift, which the colours tell; for D = 1 drift against place; for
    D > 2 the multipliers of its linear fit.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 3.3), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _memory(left, found)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, columnspacing=1.2)
        n_dims = len(found.offset)
        (_multipliers if n_dims > 2 else _flow if n_dims == 2 else _line)(right, found)
        return figure


def perturbations_figure(found: Perturbations) -> Figure:
    """Left: what remains of pushes, along with quartiles over trials, across with 5 to 95 % of the directions drawn.

    Right: where the decoded x* goes, along in the direction asked, across in any.
    """
    steps = np.arange(len(found.along))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.axhline(1, color=PALE, lw=0.8, zorder=1)
        _band(left, steps, found.along, found.along_quartiles, BLUE, "along the coding axes")
        low, high = np.quantile(found.across, (0.05, 0.95), axis=0)
        across = np.median(found.across, axis=0)
        name = "data" if found.settings["across"] == "data" else "isotropic"
        _band(left, steps, across, np.stack([low, high]), VERMILLION, f"across them ({name})")
        left.set_ylabel("share of the push that remains")
        right.axhline(1, color=PALE, lw=0.8, zorder=1)
        _band(right, steps, found.gain, found.gain_quartiles, BLUE, "along: in the direction asked")
        right.plot(steps, found.leak, color=VERMILLION, lw=1.4, label="across: in any direction")
        right.set_ylabel("shift of decoded $x^*$ / step asked")
        highest = max(1.0, *(float(np.max(v)) for v in (found.along_quartiles, high, found.gain_quartiles, found.leak)))
        for axes in (left, right):
            axes.set_xlabel(f"steps after a push of {found.settings['size']:g} in $x^*$")
            axes.set_xlim(0, steps[-1])
            lowest = min(0.0, float(found.gain_quartiles.min()))
            axes.set_ylim(max(lowest, -1) * 1.05, 1.35 * min(highest, 4))
            axes.legend(loc="upper right", frameon=True, framealpha=0.85, edgecolor="none")
        return figure


def attractor_figure(found: Attractor) -> Figure:
    """The verdict, and its evidence row by row: what was found, what it is held against, and whether it holds."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 0.9 + 0.42 * len(found.evidence)))
        axes: Any = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        n = len(found.evidence)
        axes.set(xlim=(0, 1), ylim=(-0.7, n + 1.2))
        axes.text(0.02, n + 0.75, fill(found.verdict, 90), fontsize=10, weight="bold", va="center")
        for x, head, align in ((0.07, "evidence", "left"), (0.27, "found", "right"), (0.36, "needed", "right")):
            axes.text(x, n + 0.05, head, color=GREY, ha=align, va="center")
        axes.text(0.40, n + 0.05, "what it is", color=GREY, va="center")
        for i, row in enumerate(found.evidence):
            y = n - 1 - i
            axes.axhline(y + 0.5, color=PALE, lw=0.5, xmin=0.02, xmax=0.98)
            asked = not np.isnan(row.value)
            mark, colour = (("o", GREEN) if row.holds else ("X", VERMILLION)) if asked else ("_", GREY)
            axes.plot(0.035, y, mark, color=colour, ms=7, mec="white" if asked else colour, mew=0.5)
            axes.text(0.07, y, row.name, va="center", color=INK if asked else GREY)
            value = _number(row.value) if asked else "not asked"
            axes.text(0.27, y, value, va="center", ha="right", color=INK if asked else GREY)
            sign = "≥" if row.at_least else "≤"
            axes.text(0.36, y, f"{sign} {row.threshold:g}", va="center", ha="right", color=GREY)
            axes.text(0.40, y, fill(row.why, 78), va="center", fontsize=6.5, color=GREY, linespacing=1.1)
        return figure


def _memory(axes: Any, found: Rollout) -> None:
    """r2 against time since the last observation."""
    for mark in found.marks:
        axes.axvline(mark, color=PALE, lw=0.8, zorder=1)
        times = mark / found.marks[0] * found.settings["multiples"][0]
        axes.text(mark, 1.03, f"{times:g}×", ha="center", va="bottom", fontsize=7, color=GREY)
    axes.axhline(0, color=PALE, lw=0.8, zorder=1)
    lines: list[tuple[np.ndarray, str, Any, str]] = [
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
        axes.errorbar(
            found.steps[-1], middle, [[middle - low], [high - middle]], fmt="_", color=ORANGE, label="null, 5 to 95 %"
        )
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(-0.1, found.steps[-1] * 1.15)
    axes.set_ylim(min(-0.1, max(LOWEST, float(min(found.r2.min(), found.r2_directions.min())) - 0.05)), 1.02)
    axes.set_xticks([0, 1, *(k for k in (10, 100, 1000, 10_000) if k < found.steps[-1])])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    what = "stimulus" if found.settings["after"] == "stimulus" else "trial"
    axes.set_xlabel(f"steps after the {what} (1× is a trial)")
    axes.set_ylabel("$r^2_{\\mathrm{prior}}$ of $x^*$  $(= 1 - 12\\,\\mathrm{MSE})$")
    if found.value < LOWEST:
        told = f"{_number(found.value)} at the last step"
        axes.text(0.03, 0.04, told, transform=axes.transAxes, fontsize=7, color=BLUE)


def _flow(axes: Any, found: Rollout) -> None:
    """Arrows of lengths in proportion to the drift at each place, the longest as long as a bin is wide."""
    axes.plot([-0.5, 0.5, 0.5, -0.5, -0.5], [-0.5, -0.5, 0.5, 0.5, -0.5], color=PALE, lw=0.8, zorder=1)
    if len(found.positions):
        speeds = np.linalg.norm(found.drifts, axis=1)
        shown = found.drifts / (max(float(speeds.max()), 1e-12) * found.settings["n_bins"])
        drawn = axes.quiver(
            *found.positions.T, *shown.T, speeds, angles="xy", scale_units="xy", scale=1,
            width=0.008, cmap="cividis_r", zorder=3,
        )  # fmt: skip
        drawn.set_clim(0, None)
        bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=25, pad=0.02)
        bar.set_label("drift in $x^*$ per step")
        bar.outline.set_linewidth(0.4)
    axes.set(xlim=(-0.56, 0.56), ylim=(-0.56, 0.56), aspect="equal")
    axes.set_xticks([-0.5, 0, 0.5])
    axes.set_yticks([-0.5, 0, 0.5])
    axes.set_xlabel("decoded $x_1$")
    axes.set_ylabel("decoded $x_2$")
    axes.set_title(_constant(found), fontsize=8)


def _line(axes: Any, found: Rollout) -> None:
    """Drift against place, with its linear fit."""
    axes.axhline(0, color=PALE, lw=0.8)
    axes.plot(found.positions[:, 0], found.drifts[:, 0], "o", color=BLUE, ms=4, label="bias field")
    ends = np.array([-0.5, 0.5])
    axes.plot(ends, found.slopes[0, 0] * ends + found.offset[0], color=GREY, lw=1, label="linear fit")
    axes.set_xlabel("decoded $x^*$")
    axes.set_ylabel("drift in $x^*$ per step")
    axes.set_title(_constant(found), fontsize=8)
    axes.legend(loc="best")


def _multipliers(axes: Any, found: Rollout) -> None:
    """|mu| of the linear fit, one a direction."""
    sizes = np.sort(np.abs(found.multipliers))[::-1]
    axes.axhline(1, color=GREY, lw=0.9, ls=(0, (4, 2)), label="held")
    axes.plot(np.arange(1, len(sizes) + 1), sizes, "o", color=BLUE, ms=5, label="fit to the bias field")
    axes.set_ylim(
        min(float(np.nanmin(sizes, initial=1)), 0.95) - 0.05, max(float(np.nanmax(sizes, initial=1)), 1) + 0.05
    )
    axes.set_xlim(0.5, len(sizes) + 0.5)
    axes.set_xticks(range(1, len(sizes) + 1))
    axes.set_xlabel("direction of $x^*$")
    axes.set_ylabel("multiplier $|\\mu|$ per step")
    axes.set_title(_constant(found), fontsize=8)
    axes.legend(loc="best")


def _constant(found: Rollout) -> str:
    if np.isnan(found.time_constant):
        return "decoded $x^*$ does not vary"
    if np.isinf(found.time_constant):
        return "no direction decays"
    return f"fastest decay: {found.time_constant:.3g} steps"


def _band(axes: Any, steps: np.ndarray, middle: np.ndarray, edges: np.ndarray, colour: str, name: str) -> None:
    axes.fill_between(steps, *edges, color=colour, alpha=0.2, lw=0, zorder=2)
    axes.plot(steps, middle, color=colour, lw=1.4, label=name, zorder=3)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1e}"
