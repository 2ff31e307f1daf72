"""Figures of behaviour: choice, time, and what they earn; each beside the best there is."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtrnn_analysis.behavior.chronometric import Chronometric
from mtrnn_analysis.behavior.drift_diffusion import DriftDiffusion
from mtrnn_analysis.behavior.psychometric import Psychometric
from mtrnn_analysis.behavior.psychometric_fit import Curves
from mtrnn_analysis.behavior.speed_accuracy import SpeedAccuracy
from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE, VERMILLION

# What a unit of distance is called on an axis.
UNITS = {"noise of one sample": "$\\sigma$ of one sample", "sd of the margin": "sd of the margin"}
BEST: Any = {"color": VERMILLION, "lw": 1.2, "ls": (0, (4, 2))}


def psychometric_figure(finding: Psychometric) -> Figure:
    """The share of answers +1 against the signed distance, with the fitted curve; and the relative slope.

    Marks are the agent's answers in bins (bars: 95 % of as many independent answers, hidden by the marks where small),
    open marks the ideal observer's; the right panel holds the slope relative to the ideal one against its null.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 2.7), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2.3, 1))
        x = np.linspace(1.08 * finding.bin_x[0], 1.08 * finding.bin_x[-1], 400)
        error = 1.96 * np.sqrt(finding.bin_share * (1 - finding.bin_share) / np.maximum(finding.bin_n, 1))
        left.axhline(0.5, color=PALE, lw=0.6, zorder=0)
        left.axvline(0, color=PALE, lw=0.6, zorder=0)
        left.plot(x, _curve(finding, x), color=BLUE, lw=1.4, label="fit to the agent")
        if np.isfinite(finding.theory_slope):
            ideal = _curve(finding, x, slope=finding.theory_slope)
            left.plot(x, ideal, label="$\\Phi(\\sqrt{t}\\,d/\\sigma)$, ideal", zorder=3, **BEST)
        left.errorbar(finding.bin_x, finding.bin_share, error, fmt="o", ms=4, lw=0.8, color=BLUE, label="agent")
        left.plot(
            finding.bin_x, finding.ideal_share, "o", ms=7, mfc="none", mec=VERMILLION, mew=0.9, label="ideal observer"
        )
        left.set_xlabel(f"signed distance of $x^*$ from the line ({UNITS[finding.unit]})")
        left.set_ylabel("share of answers $+1$")
        left.set_ylim(-0.03, 1.03)
        left.legend(loc="upper left", fontsize=6.5)
        against_null(right, finding.value, finding.interval, finding.null, "slope / ideal observer's")
        right.axhline(1, **BEST)
        right.text(0.98, 1, "ideal", color=VERMILLION, va="bottom", ha="right", transform=right.get_yaxis_transform())
        right.set_ylim(min(-0.1, finding.value - 0.1, *finding.null), max(1.15, finding.interval[1] + 0.05))
        return figure


def chronometric_figure(finding: Chronometric) -> Figure:
    """Mean response step and accuracy against |distance|, beside the best policy's; the correlation and its null."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.9, 2.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.6, 1.6, 1))
        x = np.linspace(0.01, 1.05 * finding.bin_x[-1], 300)
        steps, accuracy = finding.bin_steps, finding.bin_accuracy
        left.errorbar(
            finding.bin_x, steps, 1.96 * finding.bin_errors, fmt="o", ms=4, lw=0.8, color=BLUE, label="agent", zorder=3
        )
        left.plot(x, finding.fit.steps(x), color=BLUE, lw=1, label="diffusion to a bound")
        left.plot(finding.bin_x, finding.optimal_steps, marker="s", ms=3, label="best policy", **BEST)
        left.axhline(finding.deadline, color=GREY, lw=0.6, ls=":")
        left.text(0.98, finding.deadline, "deadline", transform=left.get_yaxis_transform(), ha="right", va="bottom")
        left.set_ylim(0, 1.12 * finding.deadline)
        left.set_ylabel("mean response step")
        left.legend(loc="center right")
        middle.plot(finding.bin_x, accuracy, "o", ms=4, color=BLUE, zorder=3)
        middle.plot(x, finding.fit.accuracy(x), color=BLUE, lw=1)
        middle.plot(finding.bin_x, finding.optimal_accuracy, marker="s", ms=3, **BEST)
        middle.plot(finding.bin_x, finding.bin_open, "x", ms=4, color=GREY, label="left open (share)")
        middle.axhline(0.5, color=PALE, lw=0.6, zorder=0)
        middle.set_ylim(-0.03, 1.04)
        middle.set_ylabel("share right, of answers given")
        middle.legend(loc="center right")
        for axes in (left, middle):
            axes.set_xlabel(f"|distance| ({UNITS[finding.unit]})")
        against_null(right, finding.value, finding.interval, finding.null, "rank correlation")
        if np.isfinite(finding.optimal):
            right.axhline(finding.optimal, **BEST)
            right.text(
                0.02, finding.optimal, "best", color=VERMILLION, va="bottom", transform=right.get_yaxis_transform()
            )
        right.set_ylim(-1, max(0.2, finding.value + 0.1))
        return figure


def speed_accuracy_figure(finding: SpeedAccuracy) -> Figure:
    """The agent in the plane of mean step and pay, with the frontier; and the conditional accuracy function.

    Lines of equal reward rise by the cost of time; the best policy is where the highest of them touches the frontier.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.9, 2.7), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.6, 1.6, 1))
        left.plot(finding.frontier_steps, finding.frontier_pay, marker="s", ms=3.5, label="best policies", **BEST)
        left.plot(finding.fixed_steps, finding.fixed_pay, color=GREY, lw=1, label="fixed durations, ideal", zorder=1)
        left.plot(finding.mean_step, finding.pay, "o", ms=8, mfc="none", mec=BLUE, mew=1.6, label="agent", zorder=4)
        span = np.array([0.0, max(float(finding.fixed_steps[-1]), 1.05 * finding.mean_step)])
        line = finding.optimal_reward + finding.time_cost * span
        left.plot(span, line, color=INK, lw=0.6, ls=":", label="reward of the best", zorder=1)
        left.set_xlabel("mean response step")
        left.set_ylabel("mean pay of an answer, before time")
        left.set_xlim(0, span[1])
        left.legend(loc="lower right")
        steps = np.arange(1, len(finding.step_accuracy) + 1)
        area = 3 + 45 * finding.step_counts / max(1, finding.step_counts.max())
        middle.scatter(steps, finding.step_accuracy, area, color=BLUE, label="agent (area: answers)", zorder=3, lw=0)
        middle.plot(steps, finding.ideal_step_accuracy, label="ideal observer there", **BEST)
        middle.axhline(0.5, color=PALE, lw=0.6, zorder=0)
        middle.set_xlabel("response step")
        middle.set_ylabel("share right, of answers given then")
        middle.set_ylim(0.42, 1.02)
        middle.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        middle.legend(loc="lower left")
        against_null(right, finding.value, finding.interval, finding.null, "reward  (0 chance, 1 best)")
        right.axhline(1, **BEST)
        right.axhline(0, color=GREY, lw=0.6)
        return figure


def drift_diffusion_figure(finding: DriftDiffusion) -> Figure:
    """Mean step and accuracy before the deadline against |distance|, with the model's."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, data, model, name in (
            (left, finding.bin_steps, finding.model_steps, "mean response step"),
            (right, finding.bin_accuracy, finding.model_accuracy, "share right"),
        ):
            axes.plot(finding.bin_x, data, "o", ms=4, color=BLUE, label="agent")
            axes.plot(finding.bin_x, model, color=INK, lw=1, label="model")
            axes.set_xlabel(f"|distance| ({UNITS[finding.unit]})")
            axes.set_ylabel(name)
            axes.set_title("answers before the deadline")
        left.set_ylim(0, None)
        right.set_ylim(0.45, 1.02)
        left.legend(loc="upper right")
        right.text(
            0.98,
            0.06,
            f"gain {finding.value:.2f} ({finding.interval[0]:.2f} to {finding.interval[1]:.2f}; 1 ideal)\n"
            f"bound {finding.bound:.2f}, collapse {finding.collapse:.3f} a step\nonset {finding.onset:.2f} steps\n"
            f"undecided {finding.undecided:.3f}, model {finding.model_undecided:.3f}",
            transform=right.transAxes,
            ha="right",
            fontsize=6.5,
        )
        return figure


def _curve(finding: Psychometric, x: np.ndarray, slope: float | None = None) -> np.ndarray:
    """The fitted curve; with `slope`, the one that has it, without bias or lapses."""
    values = (finding.slope, finding.bias, finding.lapse_low, finding.lapse_high) if slope is None else (slope, 0, 0, 0)
    one = [np.array([float(v)]) for v in values]
    return Curves(one[0], one[1], one[2], one[3], np.zeros(1), np.zeros(1, bool)).at(x)[0]


def against_null(axes: Any, value: float, interval: tuple[float, float], null: np.ndarray, name: str) -> None:
    """The value with its interval, and the draws of the null beside it."""
    if np.isfinite(interval).all():
        axes.plot([0, 0], interval, color=BLUE, lw=1.2)
    axes.plot(0, value, "o", ms=5, color=BLUE, zorder=4)
    axes.plot(np.linspace(0.75, 1.25, len(null)), null, ".", ms=2.5, color=GREY)
    axes.set_xticks([0, 1], ["agent", "null"])
    axes.set_xlim(-0.6, 1.6)
    axes.set_ylabel(name)
