"""Figures of behaviour: choice, time and reward, each beside the ideal observer or the best policy."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtrnn_analysis.behavior import Chronometric, DriftDiffusion, Psychometric, SpeedAccuracy
from mtrnn_analysis.behavior.psychometric_fit import Curves
from mtrnn_analysis.confidence import Metacognition
from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE, VERMILLION, Style

# Names of the units of distance on an axis.
UNITS = {"noise of one sample": "$\\sigma$ of one sample", "sd of the margin": "sd of the margin"}
BEST: Style = {"color": VERMILLION, "lw": 1.2, "ls": (0, (4, 2))}


def psychometric_figure(found: Psychometric) -> Figure:
    """The share of answers +1 against the signed distance, with the fitted curve; and the relative slope.

    Marks are the agent's answers in bins (bars: 95 % of as many independent answers, hidden by the marks where small),
    open marks the ideal observer's; the right panel shows the slope relative to the ideal one beside its null.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 2.7), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2.3, 1))
        x = np.linspace(1.08 * found.bin_x[0], 1.08 * found.bin_x[-1], 400)
        error = 1.96 * np.sqrt(found.bin_share * (1 - found.bin_share) / np.maximum(found.bin_n, 1))
        left.axhline(0.5, color=PALE, lw=0.6, zorder=0)
        left.axvline(0, color=PALE, lw=0.6, zorder=0)
        fitted = _curve(x, found.slope, found.bias, found.lapse_low, found.lapse_high)
        left.plot(x, fitted, color=BLUE, lw=1.4, label="fit to the agent")
        if np.isfinite(found.theory_slope):
            left.plot(x, _curve(x, found.theory_slope), label="$\\Phi(\\sqrt{t}\\,d/\\sigma)$, ideal", zorder=3, **BEST)
        left.errorbar(found.bin_x, found.bin_share, error, fmt="o", ms=4, lw=0.8, color=BLUE, label="agent")
        ideal: Style = {"ms": 7, "mfc": "none", "mec": VERMILLION, "mew": 0.9, "label": "ideal observer"}
        left.plot(found.bin_x, found.ideal_share, "o", **ideal)
        left.set_xlabel(f"signed distance of $x^*$ from the line ({UNITS[found.unit]})")
        left.set(ylabel="share of answers $+1$", ylim=(-0.03, 1.03))
        left.legend(loc="upper left", fontsize=6.5)
        against_null(right, found, "slope / ideal observer's", best=1, name="ideal")
        right.set_ylim(min(-0.1, found.value - 0.1, *found.null), max(1.15, found.interval[1] + 0.05))
        return figure


def chronometric_figure(found: Chronometric) -> Figure:
    """Mean response step and accuracy against |distance|, beside the best policy's; the correlation and its null."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.9, 2.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.6, 1.6, 1))
        x = np.linspace(0.01, 1.05 * found.bin_x[-1], 300)
        marks: Style = {"fmt": "o", "ms": 4, "lw": 0.8, "color": BLUE, "label": "agent", "zorder": 3}
        left.errorbar(found.bin_x, found.bin_steps, 1.96 * found.bin_errors, **marks)
        left.plot(x, found.fit.steps(x), color=BLUE, lw=1, label="diffusion to a bound")
        left.plot(found.bin_x, found.optimal_steps, marker="s", ms=3, label="best policy", **BEST)
        left.axhline(found.deadline, color=GREY, lw=0.6, ls=":")
        left.text(0.98, found.deadline, "deadline", transform=left.get_yaxis_transform(), ha="right", va="bottom")
        left.set(ylim=(0, 1.12 * found.deadline), ylabel="mean response step")
        middle.plot(found.bin_x, found.bin_accuracy, "o", ms=4, color=BLUE, zorder=3)
        middle.plot(x, found.fit.accuracy(x), color=BLUE, lw=1)
        middle.plot(found.bin_x, found.optimal_accuracy, marker="s", ms=3, **BEST)
        middle.plot(found.bin_x, found.bin_open, "x", ms=4, color=GREY, label="left open (share)")
        middle.axhline(0.5, color=PALE, lw=0.6, zorder=0)
        middle.set(ylim=(-0.03, 1.04), ylabel="share right, of answers given")
        for axes in (left, middle):
            axes.set_xlabel(f"|distance| ({UNITS[found.unit]})")
            axes.legend(loc="center right")
        against_null(right, found, "rank correlation", best=found.optimal, name="best", align="left")
        right.set_ylim(-1, max(0.2, found.value + 0.1))
        return figure


def speed_accuracy_figure(found: SpeedAccuracy) -> Figure:
    """The agent in the plane of mean step and reward before time, with the frontier; and the conditional accuracy
    function.

    Lines of equal reward rise by the cost of time; the best policy is where the highest of them touches the frontier.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.9, 2.7), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.6, 1.6, 1))
        left.plot(found.frontier_steps, found.frontier_pay, marker="s", ms=3.5, label="best policies", **BEST)
        left.plot(found.fixed_steps, found.fixed_pay, color=GREY, lw=1, label="fixed durations, ideal", zorder=1)
        left.plot(found.mean_step, found.pay, "o", ms=8, mfc="none", mec=BLUE, mew=1.6, label="agent", zorder=4)
        span = np.array([0.0, max(float(found.fixed_steps[-1]), 1.05 * found.mean_step)])
        line = found.optimal_reward + found.time_cost * span
        left.plot(span, line, color=INK, lw=0.6, ls=":", label="reward of the best", zorder=1)
        left.set(xlabel="mean response step", ylabel="mean reward of an answer, before time", xlim=(0, span[1]))
        left.legend(loc="lower right")
        steps = np.arange(1, len(found.step_accuracy) + 1)
        area = 3 + 45 * found.step_counts / max(1, found.step_counts.max())
        middle.scatter(steps, found.step_accuracy, area, color=BLUE, label="agent (area: answers)", zorder=3, lw=0)
        middle.plot(steps, found.ideal_step_accuracy, label="ideal observer there", **BEST)
        middle.axhline(0.5, color=PALE, lw=0.6, zorder=0)
        middle.set(xlabel="response step", ylabel="share right, of answers given then", ylim=(0.42, 1.02))
        middle.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        middle.legend(loc="lower left")
        against_null(right, found, "reward  (0 chance, 1 best)", best=1)
        right.axhline(0, color=GREY, lw=0.6)
        return figure


def drift_diffusion_figure(found: DriftDiffusion) -> Figure:
    """Mean step and accuracy before the deadline against |distance|, with the model's."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, data, model, name in (
            (left, found.bin_steps, found.model_steps, "mean response step"),
            (right, found.bin_accuracy, found.model_accuracy, "share right"),
        ):
            axes.plot(found.bin_x, data, "o", ms=4, color=BLUE, label="agent")
            axes.plot(found.bin_x, model, color=INK, lw=1, label="model")
            axes.set(xlabel=f"|distance| ({UNITS[found.unit]})", ylabel=name, title="answers before the deadline")
        left.set_ylim(0, None)
        right.set_ylim(0.45, 1.02)
        left.legend(loc="upper right")
        about = (
            f"gain {found.value:.2f} ({found.interval[0]:.2f} to {found.interval[1]:.2f}; 1 ideal)\n"
            f"bound {found.bound:.2f}, collapse {found.collapse:.3f} a step\nonset {found.onset:.2f} steps\n"
            f"undecided {found.undecided:.3f}, model {found.model_undecided:.3f}"
        )
        right.text(0.98, 0.06, about, transform=right.transAxes, ha="right", fontsize=6.5)
        return figure


def _curve(x: np.ndarray, *parameters: float) -> np.ndarray:
    """The psychometric curve of slope, bias and lapses; without the latter, 0."""
    slope, bias, low, high = (np.array([float(v)]) for v in (*parameters, 0, 0, 0)[:4])
    return Curves(slope, bias, low, high, np.zeros(1), np.zeros(1, bool)).at(x)[0]


def against_null(
    axes: Axes,
    found: Chronometric | Metacognition | Psychometric | SpeedAccuracy,
    label: str,
    best: float,
    name: str = "",
    align: str = "right",
) -> None:
    """The value with its interval, the draws of the null beside it, and a line at the `best`, with its name."""
    if np.isfinite(found.interval).all():
        axes.plot([0, 0], found.interval, color=BLUE, lw=1.2)
    axes.plot(0, found.value, "o", ms=5, color=BLUE, zorder=4)
    axes.plot(np.linspace(0.75, 1.25, len(found.null)), found.null, ".", ms=2.5, color=GREY)
    axes.set_xticks([0, 1], ["agent", "null"])
    axes.set(xlim=(-0.6, 1.6), ylabel=label)
    if np.isfinite(best):
        axes.axhline(best, **BEST)
        place = 0.98 if align == "right" else 0.02
        axes.text(place, best, name, color=VERMILLION, va="bottom", ha=align, transform=axes.get_yaxis_transform())
