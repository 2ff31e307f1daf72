"""Figures of theory: x* from answers alone, the rank condition, and r² against the number of samples."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from scipy.stats import binned_statistic_2d

from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, STYLE, VERMILLION, Style
from mtrnn_analysis.theory import Multilateration, RankCondition, SampleCurve

R2 = "$r^2_{\\mathrm{prior}}$ of $x^*$"
# The axis of r² is logarithmic in 1 - r², and labelled with r²; lower values are drawn at the edge.
R2_LOW, R2_TICKS = -0.2, (0, 0.5, 0.8, 0.9, 0.95, 0.98)
LIMITS = (float(-np.log10(1 - R2_LOW)), 1.85)
N_CELLS = 6  # of the map, along each side
FORMS = {
    "weighted": (BLUE, "o", "weighted"),
    "unsaturated": (SKY, "v", "unsaturated ones"),
    "bounded": (GREEN, "s", "within the cube"),
}


def multilateration_figure(found: Multilateration) -> Figure:
    """x* and its estimates from the answers; the agent's distances against the ideal ones; r² beside null and ideal.

    a: x* in cells of a grid (grey: the mean of x* in each) and the mean of the estimates of the same trials (a bar of
    one standard deviation along either axis), of the first two latents. b: z = Phi⁻¹(answer) of the agent against the
    ideal observer's, median and quartiles. c: r² of all forms, with the null of the form in the settings, and of fitted
    decoders.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.75), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
        _map(left, found)
        _distances(middle, found)
        _levels(right, found)
        for axes, letter in zip((left, middle, right), "abc", strict=True):
            axes.set_title(letter, loc="left", weight="bold")
        return figure


def _at(r2: float) -> float:
    """The place of an r² on its axis."""
    return float(-np.log10(1 - max(r2, R2_LOW)))


def _map(axes: Axes, found: Multilateration) -> None:
    if found.n_dims < 2:
        axes.plot(found.latents[:, 0], found.estimates[:, 0], ".", color=BLUE, ms=2, alpha=0.4, mec="none")
        axes.plot([-0.5, 0.5], [-0.5, 0.5], color=GREY, lw=0.8)
        axes.set(xlabel="$x^*$ (latent units)", ylabel="from answers (latent units)")
        return
    true, estimated = found.latents[:, :2], found.estimates[:, :2]
    edges: Any = [np.linspace(-0.5, 0.5, N_CELLS + 1)] * 2

    def in_cells(values: np.ndarray, statistic: str) -> np.ndarray:
        return binned_statistic_2d(true[:, 0], true[:, 1], values.T, statistic, edges).statistic.reshape(2, -1).T

    some = in_cells(true, "count")[:, 0] > 1
    places, means = in_cells(true, "mean")[some], in_cells(estimated, "mean")[some]
    spread = in_cells(estimated - true, "std")[some]
    axes.add_patch(mpl.patches.Rectangle((-0.5, -0.5), 1, 1, fill=False, ec=GREY, lw=0.6))  # pyright: ignore
    for place, mean in zip(places, means, strict=True):
        axes.plot(*np.stack([place, mean]).T, color=INK, lw=0.6, zorder=2)
    axes.plot(*places.T, "o", color=GREY, ms=3.2, mec="none", zorder=3, label="$x^*$")
    axes.errorbar(*means.T, *spread.T[::-1], fmt="o", color=BLUE, ms=3, elinewidth=0.5, zorder=4, label="from answers")
    far = max(0.6, float(np.abs(means).max(initial=0)) * 1.05)
    axes.set(xlim=(-far, far), ylim=(-far, far), xlabel="$x_1$ (latent units)", ylabel="$x_2$ (latent units)")
    axes.set_box_aspect(1)
    axes.legend(loc="lower right", bbox_to_anchor=(1.04, 0.98), ncols=2, handletextpad=0.1, columnspacing=0.6)


def _distances(axes: Axes, found: Multilateration) -> None:
    axes.set(xlabel="$z$ of the ideal answer", ylabel="$z$ of the agent's answer")
    axes.set_box_aspect(1)
    if np.isnan(found.z_agent).all():
        axes.text(0.5, 0.5, "not known", ha="center", transform=axes.transAxes, color=GREY)
        return
    low, median, high = found.z_agent
    axes.plot([-8, 8], [-8, 8], color=GREY, lw=0.8, label="ideal")
    axes.axvspan(-found.settings["cut"], found.settings["cut"], color="#E8EAED", lw=0, label="below the cut")
    axes.fill_between(found.z_ideal, low, high, color=BLUE, alpha=0.25, lw=0)
    axes.plot(found.z_ideal, median, color=BLUE, lw=1.3, label="median, quartiles")
    axes.set(xlim=(-8, 8), ylim=(-8, 8))
    axes.legend(loc="lower right", bbox_to_anchor=(1.04, -0.02), fontsize=6, handlelength=1)


def _levels(axes: Axes, found: Multilateration) -> None:
    rows = [(label, found.r2[name], colour, marker) for name, (colour, marker, label) in FORMS.items()]
    rows += [
        ("within, confidence rescaled", found.r2_recalibrated["bounded"], PURPLE, "s"),
        ("read-out fitted to answers", found.r2_readout_id, ORANGE, "D"),
        ("... held-out orthants", found.r2_readout_ood, ORANGE, "d"),
        ("decoder fitted to states", found.r2_decoder_id, VERMILLION, "D"),
        ("... held-out orthants", found.r2_decoder_ood, VERMILLION, "d"),
    ]
    rows = [row for row in rows if not np.isnan(row[1])]
    axes.set_xlim(*LIMITS)
    for y, (_, value, colour, marker) in enumerate(rows):
        axes.plot(_at(value), y, marker if value > R2_LOW else "<", color=colour, ms=5, clip_on=False)
    if len(found.null):
        null = float(np.median(found.null))
        axes.axvline(_at(null), color=GREY, lw=1, ls=(0, (1, 1.5)), label="null: the choices alone")
    for value, dash, label in (
        (found.r2_ideal, "-", "ideal observer"),
        (found.r2_ideal_answers[found.settings["form"]], (0, (4, 2)), "ideal answers alone"),
    ):
        if np.isfinite(value):
            axes.axvline(_at(value), color=INK, lw=0.8, ls=dash, label=label)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set_xticks([_at(v) for v in R2_TICKS], [f"{v:g}" for v in R2_TICKS])
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=R2)
    rank = "" if found.rank == found.n_dims else f"rank {found.rank} < D = {found.n_dims}: $x^*$ is left open"
    axes.set_title(rank, loc="right", color=VERMILLION, fontsize=7)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.22), fontsize=6.5, handlelength=1.4)


def rank_condition_figure(found: RankCondition) -> Figure:
    """r² of x* against the number of answers used: of the agent (left), and of ideal answers for several D (right)."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
        left.axvline(found.n_dims, color=PALE, lw=4, zorder=0)
        left.plot(found.n_answers, found.exact, color=GREY, lw=0.9, marker="_", label="ideal, any precision")
        ideal: Style = {"color": INK, "marker": "o", "label": "ideal, same lines and precision"}
        agent: Style = {"color": BLUE, "marker": "s", "label": "agent: quartiles over sets of tasks"}
        _quartiles(left, found.n_answers, found.r2_ideal_answers, ms=4, elinewidth=0.8, **ideal)
        _quartiles(left, found.n_answers, found.r2, ms=4, elinewidth=0.8, **agent)
        if len(found.null):
            at, null = min(found.n_dims, int(found.n_answers[-1])), np.median(found.null)
            left.plot(at, null, "x", color=VERMILLION, ms=6, mew=1.3, label="null: the choices alone")
        left.set_xlabel("answers used, $n$ (grey: $n = D$)")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        for curve, colour, marker in zip(found.curves, (GREEN, ORANGE, PURPLE, SKY, BLUE), "osD^v", strict=False):
            x = curve.n_answers / curve.n_dims
            right.plot(x, curve.exact, color=colour, lw=0.8, ls=(0, (4, 2)))
            style: Style = {"color": colour, "marker": marker, "label": f"$D$ = {curve.n_dims}"}
            _quartiles(right, x, curve.r2, ms=3.5, elinewidth=0.7, **style)
        right.plot([], [], color=GREY, lw=0.8, ls=(0, (4, 2)), label="any precision")
        right.plot([], [], color=GREY, lw=1.1, marker="o", ms=3.5, label="float32: quartiles over sets")
        right.axvline(1, color=PALE, lw=4, zorder=0)
        right.set_xlabel("ideal answers to random hyperplanes, $n/D$")
        for axes, letter in ((left, "a"), (right, "b")):
            axes.set(ylabel=R2, ylim=(min(-0.02, axes.get_ylim()[0]), 1))
            axes.set_title(letter, loc="left", weight="bold")
            axes.legend(loc="lower right", fontsize=6.5)
        return figure


def _quartiles(axes: Axes, x: np.ndarray, quartiles: np.ndarray, **style: Any) -> None:
    low, median, high = quartiles
    axes.errorbar(x, median, np.stack([median - low, high - median]), lw=1.1, **style)


def sample_curve_figure(found: SampleCurve) -> Figure:
    """1 - r² after t samples, on logarithmic axes: 12 sigma² / t is a straight line.

    Open marks, beside the last sample, are of the last step of the trial.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 2.9), layout="constrained")
        axes = figure.subplots()
        t = found.n_samples
        curves: tuple[tuple[np.ndarray, Style], ...] = (
            (found.mean_theory, {"color": GREY, "lw": 1, "label": "theory, $12\\,\\sigma^2/t$"}),
            (found.mean, {"color": GREY, "marker": "+", "ls": "", "ms": 5, "label": "mean of the evidence"}),
            (found.ideal_theory, {"color": INK, "lw": 1, "label": "exact posterior mean"}),
            (found.decoded, {"color": VERMILLION, "marker": "D", "ms": 3, "lw": 0.8, "label": "decoded from states"}),
            (found.answers, {"color": BLUE, "marker": "o", "ms": 3, "lw": 0.8, "label": "agent's answers alone"}),
        )
        for values, style in curves:
            if not np.isnan(values).all():
                axes.loglog(t, 1 - values, **style)
        for value, colour, marker in ((found.decoded_at_end, VERMILLION, "D"), (found.answers_at_end, BLUE, "o")):
            if np.isfinite(value):
                axes.plot(t[-1] * 1.15, 1 - value, marker, mfc="none", mec=colour, ms=4.5)
        axes.plot([], [], "o", mfc="none", mec=GREY, ms=4.5, label="at the end of the trial")
        axes.set(xlabel="samples seen, $t$", ylabel="1 − " + R2)
        for axis, marks in ((axes.xaxis, (1, 2, 5, 10, 20, 50)), (axes.yaxis, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1))):
            low, high = axis.get_view_interval()
            axis.set_minor_locator(NullLocator())
            axis.set_ticks([m for m in marks if low <= m <= high])
            axis.set_major_formatter("{x:g}")
        axes.set_title(f"worth {found.value * t[-1]:.1f} of {t[-1]:.0f} samples", loc="right", fontsize=7, color=GREY)
        axes.legend(loc="lower left", fontsize=6.5)
        return figure
