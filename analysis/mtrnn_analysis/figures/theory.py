"""Figures of theory: x* from answers alone, the rank condition, and what more samples tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, STYLE, VERMILLION
from mtrnn_analysis.theory.multilateration import Multilateration
from mtrnn_analysis.theory.rank_condition import RankCondition
from mtrnn_analysis.theory.sample_curve import SampleCurve

R2 = "$r^2_{\\mathrm{prior}}$ of $x^*$"
# r² is drawn by what it lacks to 1, on a logarithmic axis, labelled with r² itself; what is below is drawn at the edge.
R2_LOW, R2_TICKS = -0.2, (0, 0.5, 0.8, 0.9, 0.95, 0.98)
LIMITS = (float(-np.log10(1 - R2_LOW)), 1.85)
N_CELLS = 6  # of the map, along each side
FORMS = {
    "weighted": (BLUE, "o", "answers alone, weighted"),
    "unsaturated": (SKY, "v", "answers alone, unsaturated ones"),
    "bounded": (GREEN, "s", "answers alone, within the cube"),
}


def multilateration_figure(found: Multilateration) -> Figure:
    """Where x* is and where the answers put it; the agent's distances against the ideal ones; r² beside null and ideal.

    a: x* in cells of a grid (grey: the mean of x* in each) and the mean of the estimates of the same trials (a bar of
    one standard deviation along either axis), of the first two latents. b: z = Phi⁻¹(answer) of the agent against the
    ideal observer's, median and quartiles. c: r² of all forms, with the null of the form in the settings, and what
    else has x*.
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
    """Where an r² is drawn."""
    return float(-np.log10(1 - max(r2, R2_LOW)))


def _map(axes: Any, found: Multilateration) -> None:
    if found.n_dims < 2:
        axes.plot(found.latents[:, 0], found.estimates[:, 0], ".", color=BLUE, ms=2, alpha=0.4, mec="none")
        axes.plot([-0.5, 0.5], [-0.5, 0.5], color=GREY, lw=0.8)
        axes.set(xlabel="$x^*$ (latent units)", ylabel="from answers (latent units)")
        return
    true, told = found.latents[:, :2], found.estimates[:, :2]
    cell = np.clip(((true + 0.5) * N_CELLS).astype(int), 0, N_CELLS - 1) @ [N_CELLS, 1]
    some = [np.flatnonzero(cell == c) for c in range(N_CELLS**2) if np.count_nonzero(cell == c) > 1]
    places, means = (np.array([v[rows].mean(axis=0) for rows in some]) for v in (true, told))
    spread = np.array([(told[rows] - true[rows]).std(axis=0) for rows in some])
    axes.add_patch(mpl.patches.Rectangle((-0.5, -0.5), 1, 1, fill=False, ec=GREY, lw=0.6))  # pyright: ignore
    for place, mean in zip(places, means, strict=True):
        axes.plot(*np.stack([place, mean]).T, color=INK, lw=0.6, zorder=2)
    axes.plot(*places.T, "o", color=GREY, ms=3.2, mec="none", zorder=3, label="$x^*$")
    axes.errorbar(*means.T, *spread.T[::-1], fmt="o", color=BLUE, ms=3, elinewidth=0.5, zorder=4, label="from answers")
    far = max(0.6, float(np.abs(means).max(initial=0)) * 1.05)
    axes.set(xlim=(-far, far), ylim=(-far, far), xlabel="$x_1$ (latent units)", ylabel="$x_2$ (latent units)")
    axes.set_box_aspect(1)
    axes.legend(loc="lower right", bbox_to_anchor=(1.04, 0.98), ncols=2, handletextpad=0.1, columnspacing=0.6)


def _distances(axes: Any, found: Multilateration) -> None:
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


def _levels(axes: Any, found: Multilateration) -> None:
    rows: list[tuple[str, float, str, str]] = []
    for name, (colour, marker, label) in FORMS.items():
        rows.append((label.replace("answers alone, ", ""), found.r2[name], colour, marker))
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
        axes.axvline(_at(null), color=GREY, lw=1, ls=(0, (1, 1.5)), label="null: the sides named alone")
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


def rank_figure(found: RankCondition) -> Figure:
    """r² of x* against the number of answers used: of the agent (left), and of ideal answers for several D (right)."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
        left.axvline(found.n_dims, color=PALE, lw=4, zorder=0)
        left.plot(found.n_answers, found.exact, color=GREY, lw=0.9, marker="_", label="ideal, any precision")
        for (low, median, high), colour, marker, label in (
            (found.r2_ideal_answers, INK, "o", "ideal, same lines and precision"),
            (found.r2, BLUE, "s", "agent: quartiles over sets of tasks"),
        ):
            bars = np.stack([median - low, high - median])
            left.errorbar(
                found.n_answers, median, bars, color=colour, marker=marker, ms=4, lw=1.1, elinewidth=0.8, label=label
            )
        at = min(found.n_dims, int(found.n_answers[-1]))
        if len(found.null):
            left.plot(
                at, np.median(found.null), "x", color=VERMILLION, ms=6, mew=1.3, label="null: the sides named alone"
            )
        left.set(xlabel="answers used, $n$ (grey: $n = D$)", ylabel=R2, ylim=(min(-0.02, left.get_ylim()[0]), 1))
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        for curve, colour, marker in zip(found.curves, (GREEN, ORANGE, PURPLE, SKY, BLUE), "osD^v", strict=False):
            low, median, high = curve.r2
            x = curve.n_answers / curve.n_dims
            right.plot(x, curve.exact, color=colour, lw=0.8, ls=(0, (4, 2)))
            right.errorbar(
                x,
                median,
                np.stack([median - low, high - median]),
                color=colour,
                marker=marker,
                ms=3.5,
                lw=1.1,
                elinewidth=0.7,
                label=f"$D$ = {curve.n_dims}",
            )
        right.plot([], [], color=GREY, lw=0.8, ls=(0, (4, 2)), label="any precision")
        right.plot([], [], color=GREY, lw=1.1, marker="o", ms=3.5, label="float32: quartiles over sets")
        right.axvline(1, color=PALE, lw=4, zorder=0)
        right.set(
            xlabel="ideal answers to random hyperplanes, $n/D$", ylabel=R2, ylim=(min(-0.02, right.get_ylim()[0]), 1)
        )
        for axes, letter in ((left, "a"), (right, "b")):
            axes.set_title(letter, loc="left", weight="bold")
            axes.legend(loc="lower right", fontsize=6.5)
        return figure


def samples_figure(found: SampleCurve) -> Figure:
    """What is lacking to r² = 1 after t samples, on logarithmic axes: 12 sigma² / t is a straight line.

    Open marks, beside the last sample, are of the last step of the trial.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 2.9), layout="constrained")
        axes = figure.subplots()
        t = found.n_samples
        for values, style in (
            (found.mean_theory, {"color": GREY, "lw": 1, "label": "theory, $12\\,\\sigma^2/t$"}),
            (found.mean, {"color": GREY, "marker": "+", "ls": "", "ms": 5, "label": "mean of the evidence"}),
            (found.ideal_theory, {"color": INK, "lw": 1, "label": "exact posterior mean"}),
            (found.decoded, {"color": VERMILLION, "marker": "D", "ms": 3, "lw": 0.8, "label": "decoded from states"}),
            (found.answers, {"color": BLUE, "marker": "o", "ms": 3, "lw": 0.8, "label": "agent's answers alone"}),
        ):
            if not np.isnan(values).all():
                axes.loglog(t, 1 - values, **style)  # pyright: ignore[reportArgumentType]
        for value, colour, marker in ((found.decoded_at_end, VERMILLION, "D"), (found.answers_at_end, BLUE, "o")):
            if np.isfinite(value):
                axes.plot(t[-1] * 1.15, 1 - value, marker, mfc="none", mec=colour, ms=4.5)
        axes.plot([], [], "o", mfc="none", mec=GREY, ms=4.5, label="at the end of the trial")
        axes.set(xlabel="samples seen, $t$", ylabel="1 − " + R2)
        for axis, marks in ((axes.xaxis, (1, 2, 5, 10, 20, 50)), (axes.yaxis, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1))):
            axis.set_minor_locator(NullLocator())
            axis.set_ticks([m for m in marks if axis.get_view_interval()[0] <= m <= axis.get_view_interval()[1]])
            axis.set_major_formatter("{x:g}")
        axes.set_title(f"worth {found.value * t[-1]:.1f} of {t[-1]:.0f} samples", loc="right", fontsize=7, color=GREY)
        axes.legend(loc="lower left", fontsize=6.5)
        return figure


class Located(NamedTuple):
    """One network: its kind, `r2_prior` by the name of what it is of, and the best that can be had."""

    kind: str
    r2: dict[str, float]
    ideal: float


def networks_figure(results: Sequence[Located]) -> Figure:
    """`r2_prior` of x* by kinds of networks, from answers alone and from fitted decoders: one mark a network.

    Lines across are the ideal observer's. The axis is that of what is lacking to 1; what is far below 0 is drawn at the
    lower edge, as an open triangle.
    """
    styles = [(BLUE, "o"), (SKY, "v"), (GREEN, "s"), (PURPLE, "P"), (VERMILLION, "D"), (ORANGE, "d")]
    with mpl.rc_context(STYLE):
        kinds, names = list(dict.fromkeys(r.kind for r in results)), list(results[0].r2)
        figure = Figure(figsize=(max(3.6, 1.2 + 0.42 * len(kinds)), 3.3), layout="constrained")
        axes = figure.subplots()
        for i, (name, (colour, marker)) in enumerate(zip(names, styles, strict=False)):
            shift = 0.7 * (i / max(1, len(names) - 1) - 0.5)
            axes.plot([], [], marker, color=colour, ms=4, label=name)
            for result in results:
                x, value = kinds.index(result.kind) + shift, result.r2[name]
                if value > R2_LOW:
                    axes.plot(x, _at(value), marker, color=colour, ms=3.5, mec="white", mew=0.3, zorder=3)
                elif np.isfinite(value):
                    axes.plot(x, LIMITS[0], "v", color="white", mec=colour, ms=4, mew=0.9, clip_on=False, zorder=4)
        for x, kind in enumerate(kinds):
            best = float(np.mean([r.ideal for r in results if r.kind == kind]))
            axes.axvspan(x - 0.46, x + 0.46, color="#F4F5F7", lw=0, zorder=0)
            if np.isfinite(best):
                axes.hlines(_at(best), x - 0.42, x + 0.42, color=INK, lw=0.8, zorder=2)
        axes.plot([], [], color=INK, lw=0.8, label="ideal observer")
        axes.set_xticks(range(len(kinds)), kinds, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks([_at(v) for v in R2_TICKS], [f"{v:g}" for v in R2_TICKS])
        axes.set(ylabel=R2, ylim=LIMITS, xlim=(-0.5, len(kinds) - 0.5))
        figure.legend(loc="outside upper center", ncols=4, fontsize=6.5)
        return figure
