"""Figures of confidence: calibration and type-2 sensitivity."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mtrnn_analysis.confidence import Calibration, Metacognition
from mtrnn_analysis.figures.behavior import BEST, against_null
from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE


def calibration_figure(found: Calibration) -> Figure:
    """The reliability diagram with consistency bars, the share of answers in each bin, and the error beside its null.

    Bars span 90 % of the draws of a calibrated agent with the same confidence: marks outside are miscalibrated. Levels
    of confidence stand for bins, which are shaded.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.0), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=(2, 1), height_ratios=(3.2, 1))
        top, below, right = (figure.add_subplot(place) for place in (grid[0, 0], grid[1, 0], grid[:, 1]))
        low = min(0.5, float(found.bin_claims.min()), float(found.bin_shares.min()))
        top.plot([low, 1], [low, 1], color=INK, lw=0.7, zorder=1)
        for level in range(found.n_levels):
            edges = 0.5 + np.array([level, level + 1]) / (2 * found.n_levels)
            top.fill_between(edges, *edges, color=PALE, alpha=0.5, lw=0, label=None if level else "bin of a level")
        top.vlines(found.bin_claims, found.bin_low, found.bin_high, color=GREY, lw=3, alpha=0.7, label="calibrated")
        top.plot(found.bin_claims, found.bin_shares, "o", ms=4.5, color=BLUE, mec="white", mew=0.5, label="agent")
        top.set(ylabel="share of right answers", xlim=(low - 0.02, 1.02), ylim=(low - 0.04, 1.03))
        top.tick_params(labelbottom=False)
        top.legend(loc="upper left" if not found.n_levels else "lower right")
        below.vlines(found.bin_claims, 0, found.bin_n / found.n_claims, color=BLUE, lw=2.5)
        below.set(xlim=top.get_xlim(), ylim=(0, None), xlabel="reported probability", ylabel="share")
        # Two ways of binning, each beside its own null.
        for place, value, null in ((0, found.value, found.null), (1, found.ece_width, found.ece_width_null)):
            right.plot(place + np.linspace(-0.12, 0.12, len(null)), null, ".", ms=2.5, color=GREY, zorder=2)
            right.plot(place, value, "o", ms=5, color=BLUE, zorder=3)
        right.set_xticks([0, 1], ["levels" if found.n_levels else "equal\nmass", "equal\nwidth"])
        right.set(xlim=(-0.6, 1.6), ylim=(0, None), ylabel="expected calibration error")
        right.plot([], [], "o", ms=5, color=BLUE, label="agent")
        right.plot([], [], ".", color=GREY, label="calibrated")
        right.legend(loc="best")
        return figure


def metacognition_figure(found: Metacognition) -> Figure:
    """The type-2 ROC, the agent's log-odds against the ideal observer's, and the area beside its null."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.9, 2.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1.5, 1))
        left.plot([0, 1], [0, 1], color=PALE, lw=0.8)
        left.plot(found.ideal_false_alarms, found.ideal_hits, label="ideal observer", **BEST)
        left.plot(found.false_alarms, found.hits, color=BLUE, lw=1.4, label="agent")
        left.set(xlabel="wrong answers, share above a confidence", ylabel="right answers, share above it")
        left.set_aspect("equal")
        left.legend(loc="lower right")
        x = found.bin_ideal
        if len(x):
            ends = np.array([x[0], x[-1]])
            middle.plot(ends, ends, label="equal", **BEST)
            middle.plot(ends, found.intercept + found.slope * ends, color=BLUE, lw=1)
            middle.errorbar(x, found.bin_agent, found.bin_sd, fmt="o", ms=4, lw=0.8, color=BLUE, label="agent, sd")
        middle.set(xlabel="log-odds of $+1$, ideal observer (nat)", ylabel="log-odds of $+1$, agent (nat)")
        middle.set_title(f"slope {found.slope:.2f}, intercept {found.intercept:.2f}")
        middle.legend(loc="upper left")
        against_null(right, found, "type-2 AUROC", best=found.ideal, name="ideal")
        right.set_ylim(min(0.42, found.value - 0.05), 1.02)
        return figure
