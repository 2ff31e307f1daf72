"""Figures of confidence: calibration and type-2 sensitivity."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mtrnn_analysis.confidence.calibration import Calibration
from mtrnn_analysis.confidence.metacognition import Metacognition
from mtrnn_analysis.figures.behavior import BEST, against_null
from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE, VERMILLION


def calibration_figure(finding: Calibration) -> Figure:
    """The reliability diagram with consistency bars, the share of claims in each bin, and the error against its null.

    Bars span 90 % of what a calibrated agent with the same claims shows: marks outside are miscalibrated. Levels of
    confidence stand for bins, which are shaded.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.0), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=(2, 1), height_ratios=(3.2, 1))
        top, below, right = (figure.add_subplot(place) for place in (grid[0, 0], grid[1, 0], grid[:, 1]))
        low = min(0.5, float(finding.bin_claims.min()), float(finding.bin_shares.min()))
        top.plot([low, 1], [low, 1], color=INK, lw=0.7, zorder=1)
        for level in range(finding.n_levels):
            edges = 0.5 + np.array([level, level + 1]) / (2 * finding.n_levels)
            top.fill_between(edges, *edges, color=PALE, alpha=0.5, lw=0, label=None if level else "bin of a level")
        top.vlines(
            finding.bin_claims, finding.bin_low, finding.bin_high, color=GREY, lw=3, alpha=0.7, label="calibrated"
        )
        top.plot(finding.bin_claims, finding.bin_shares, "o", ms=4.5, color=BLUE, mec="white", mew=0.5, label="agent")
        top.set_ylabel("share that came true")
        top.set_xlim(low - 0.02, 1.02)
        top.set_ylim(low - 0.04, 1.03)
        top.tick_params(labelbottom=False)
        top.legend(loc="upper left" if not finding.n_levels else "lower right")
        share = finding.bin_n / finding.n_claims
        below.vlines(finding.bin_claims, 0, share, color=BLUE, lw=2.5)
        below.set_xlim(top.get_xlim())
        below.set_ylim(0, None)
        below.set_xlabel("claimed probability")
        below.set_ylabel("share")
        # Two ways of binning, each against the null of its own.
        for place, value, null in ((0, finding.value, finding.null), (1, finding.ece_width, finding.ece_width_null)):
            right.plot(place + np.linspace(-0.12, 0.12, len(null)), null, ".", ms=2.5, color=GREY, zorder=2)
            right.plot(place, value, "o", ms=5, color=BLUE, zorder=3)
        right.set_xticks([0, 1], ["levels" if finding.n_levels else "equal\nmass", "equal\nwidth"])
        right.set_xlim(-0.6, 1.6)
        right.set_ylim(0, None)
        right.set_ylabel("expected calibration error")
        right.plot([], [], "o", ms=5, color=BLUE, label="agent")
        right.plot([], [], ".", color=GREY, label="calibrated")
        right.legend(loc="best")
        return figure


def metacognition_figure(finding: Metacognition) -> Figure:
    """The type-2 ROC, the agent's log-odds against the ideal observer's, and the area against its null."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.9, 2.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1.5, 1))
        left.plot([0, 1], [0, 1], color=PALE, lw=0.8)
        left.plot(finding.ideal_false_alarms, finding.ideal_hits, label="ideal observer", **BEST)
        left.plot(finding.false_alarms, finding.hits, color=BLUE, lw=1.4, label="agent")
        left.set_xlabel("wrong answers, share above a confidence")
        left.set_ylabel("right answers, share above it")
        left.set_aspect("equal")
        left.legend(loc="lower right")
        x = finding.bin_ideal
        if len(x):
            ends = np.array([x[0], x[-1]])
            middle.plot(ends, ends, label="equal", **BEST)
            middle.plot(ends, finding.intercept + finding.slope * ends, color=BLUE, lw=1)
            middle.errorbar(x, finding.bin_agent, finding.bin_sd, fmt="o", ms=4, lw=0.8, color=BLUE, label="agent, sd")
        middle.set_xlabel("log-odds of $+1$, ideal observer (nat)")
        middle.set_ylabel("log-odds of $+1$, agent (nat)")
        middle.set_title(f"slope {finding.slope:.2f}, intercept {finding.intercept:.2f}")
        middle.legend(loc="upper left")
        against_null(right, finding.value, finding.interval, finding.null, "type-2 AUROC")
        right.axhline(finding.ideal, **BEST)
        right.text(
            0.98,
            finding.ideal,
            "ideal",
            color=VERMILLION,
            va="bottom",
            ha="right",
            transform=right.get_yaxis_transform(),
        )
        right.set_ylim(min(0.42, finding.value - 0.05), 1.02)
        return figure
