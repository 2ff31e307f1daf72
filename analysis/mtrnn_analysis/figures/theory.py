"""Figures of theory: x* from answers alone, the rank condition, and what more samples tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, STYLE, VERMILLION
from mtrnn_analysis.multilateration import Multilateration
from mtrnn_analysis.rank_condition import RankCondition
from mtrnn_analysis.theory import SampleCurve

R2 = "$r^2_{\\mathrm{prior}}$ of $x^*$"
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
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handletextpad=0.2, columnspacing=1)


def _distances(axes: Any, found: Multilateration) -> None:
    axes.set(xlabel="$z$ of the ideal answer", ylabel="$z$ of the agent's answer")
    axes.set_box_aspect(1)
    if np.isnan(found.z_agent).all():
        axes.text(0.5, 0.5, "not known", ha="center", transform=axes.transAxes, color=GREY)
        return
    low, median, high = found.z_agent
    axes.plot([-8, 8], [-8, 8], color=GREY, lw=0.8, label="ideal")
    axes.axvspan(-found.settings["cut"], found.settings["cut"], color="#F4F5F7", lw=0, label="below the cut")
    axes.fill_between(found.z_ideal, low, high, color=BLUE, alpha=0.25, lw=0)
    axes.plot(found.z_ideal, median, color=BLUE, lw=1.3, label="median, quartiles")
    axes.set(xlim=(-8, 8), ylim=(-8, 8))
    axes.legend(loc="upper left", handlelength=1.2)


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
    null = float(np.median(found.null)) if len(found.null) else float("nan")
    low = max(-0.1, float(np.nanmin([0.5, null, *(row[1] for row in rows)])) - 0.05)
    for y, (_, value, colour, marker) in enumerate(rows):
        axes.plot(max(value, low), y, marker if value >= low else "<", color=colour, ms=5, clip_on=False)
    if np.isfinite(null):
        axes.axvline(max(null, low), color=GREY, lw=1, ls=(0, (1, 1.5)), label="null: the sides named alone")
    for value, dash, label in (
        (found.r2_ideal, "-", "ideal observer"),
        (found.r2_ideal_answers[found.settings["form"]], (0, (4, 2)), "ideal answers alone"),
    ):
        if np.isfinite(value):
            axes.axvline(value, color=INK, lw=0.8, ls=dash, label=label)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set(xlim=(low, 1), ylim=(len(rows) - 0.4, -0.6), xlabel=R2)
    rank = "" if found.rank == found.n_dims else f"rank {found.rank} < D = {found.n_dims}: $x^*$ is left open"
    axes.set_title(rank, loc="right", color=VERMILLION, fontsize=7)
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
        left.set(xlabel="answers used, $n$", ylabel=R2, ylim=(min(-0.02, left.get_ylim()[0]), 1))
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        left.annotate("$n = D$", (found.n_dims, 0.02), xytext=(4, 0), textcoords="offset points", color=GREY)
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
    """What is lacking to r² = 1 after t samples, on logarithmic axes: 12 sigma² / t is a straight line."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 2.9), layout="constrained")
        axes = figure.subplots()
        t = found.n_samples
        for values, style in (
            (found.mean_theory, {"color": GREY, "lw": 1, "label": "$1 - 12\\,\\sigma^2/t$"}),
            (found.mean, {"color": GREY, "marker": "+", "ls": "", "ms": 5, "label": "mean of the evidence"}),
            (found.ideal_theory, {"color": INK, "lw": 1, "label": "exact posterior mean"}),
            (found.decoded, {"color": VERMILLION, "marker": "D", "ms": 3, "lw": 0.8, "label": "decoded from states"}),
            (found.answers, {"color": BLUE, "marker": "o", "ms": 3, "lw": 0.8, "label": "agent's answers alone"}),
        ):
            if not np.isnan(values).all():
                axes.loglog(t, 1 - values, **style)  # pyright: ignore[reportArgumentType]
        axes.set(xlabel="samples seen, $t$", ylabel="1 − " + R2)
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

    Lines across are the ideal observer's. What is below the lower edge is drawn at it, as a triangle.
    """
    styles = [(BLUE, "o"), (SKY, "v"), (GREEN, "s"), (PURPLE, "P"), (VERMILLION, "D"), (ORANGE, "d")]
    with mpl.rc_context(STYLE):
        kinds, names = list(dict.fromkeys(r.kind for r in results)), list(results[0].r2)
        figure = Figure(figsize=(max(3.6, 1.6 + 0.42 * len(kinds)), 3.1), layout="constrained")
        axes = figure.subplots()
        low = 0.3
        for i, (name, (colour, marker)) in enumerate(zip(names, styles, strict=False)):
            shift = 0.7 * (i / max(1, len(names) - 1) - 0.5)
            for x, kind in enumerate(kinds):
                values = np.array([r.r2[name] for r in results if r.kind == kind])
                inside = values[values >= low]
                at = x + shift
                axes.plot([at] * len(inside), inside, marker, color=colour, ms=3.5, mec="white", mew=0.3, zorder=3)
                if len(inside) < np.count_nonzero(~np.isnan(values)):
                    axes.plot(at, low, "v", color="white", mec=colour, ms=4, mew=0.9, clip_on=False, zorder=4)
            axes.plot([], [], marker, color=colour, ms=4, label=name)
        for x, kind in enumerate(kinds):
            ideal = np.mean([r.ideal for r in results if r.kind == kind])
            axes.hlines(ideal, x - 0.42, x + 0.42, color=INK, lw=0.8, zorder=2)
            axes.axvspan(x - 0.46, x + 0.46, color="#F4F5F7", lw=0, zorder=0)
        axes.plot([], [], color=INK, lw=0.8, label="ideal observer")
        axes.set_xticks(range(len(kinds)), kinds, rotation=35, ha="right", rotation_mode="anchor")
        axes.set(ylabel=R2, ylim=(low, 1), xlim=(-0.5, len(kinds) - 0.5))
        figure.legend(loc="outside upper center", ncols=4, fontsize=6.5)
        return figure
