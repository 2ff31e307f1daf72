"""Figures of decoding: by orthant and beside controls, over time, and of new questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import binned_statistic_2d

from mtrnn_analysis.decoding.decoding import Control, Decoding
from mtrnn_analysis.decoding.decoding_course import DecodingCourse
from mtrnn_analysis.decoding.evidence_course import EvidenceCourse
from mtrnn_analysis.decoding.plane_decoding import PlaneDecoding
from mtrnn_analysis.decoding.released_holdout import ReleasedHoldout
from mtrnn_analysis.decoding.transfer import Transfer
from mtrnn_analysis.figures.marks import dot
from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, PALE, QUADRANTS, STYLE, VERMILLION, Style, signs

R2 = "$r^2_{\\mathrm{prior}}$ of decoded $x^*$"
IDEAL = "ideal observer, same trials"
# Lowest r2 that is drawn; lower values stand at the edge, with their number.
FLOOR = -1.0
# Grid of the map: cells a side of the square [-1/2, 1/2]², an even number, so that none lies in two quadrants.
CELLS = 10


def decoding_figure(result: Decoding) -> Figure:
    """`r2_prior` by orthant beside its null and the controls; and, with two latents, where the decoder puts x*.

    Left: in and out of distribution, a mark an orthant and a bar for the mean; grey bands are the null, from its least
    to its largest draw. Middle: the same numbers of the controls. Right: for each of 10 × 10 cells of x*, the mean of
    x* as decoded without the quadrant that it is in (thick), joined up as a grid that would be even (thin) if decoding
    were right.
    """
    flat = result.latents.shape[1] == 2
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.2 if flat else 5.4, 2.9), layout="constrained")
        panels = figure.subplots(1, 3 if flat else 2, width_ratios=[1, 1.2, 1.4][: 3 if flat else 2])
        scores = (result.in_distribution, result.out_of_distribution)
        drawn = [v for s in scores for v in (*s.r2_prior_by_orthant, *s.null)]
        low = max(FLOOR, min(0.0, *drawn, *(c.ood for c in result.controls.values())))
        _by_orthant(panels[0], result, low)
        pair = (result.in_distribution.r2_prior, result.out_of_distribution.r2_prior)
        _controls(panels[1], pair, result.controls, result.best_untrained, low)
        if flat:
            _map(panels[2], result)
        return figure


def _by_orthant(axes: Axes, result: Decoding, low: float) -> None:
    colours = [QUADRANTS.get(name, INK) for name in result.orthants]
    for i, scores in enumerate((result.in_distribution, result.out_of_distribution)):
        _column(axes, i, scores.r2_prior, scores.null, scores.p, low)
        values = np.clip(scores.r2_prior_by_orthant, low, 1)
        spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [0.0]
        axes.scatter(i + np.array(spread), values, c=colours, s=18, lw=0.5, edgecolors="white", zorder=3, clip_on=False)
    axes.set_xticks([0, 1], ["in\ndistribution", f"held-out\n{result.settings['holdout']}"])
    _r2_axis(axes, low)
    few = len(colours) <= len(QUADRANTS)
    handles: list[Artist] = [*map(dot, colours, result.orthants)] if few else []
    if len(result.out_of_distribution.null):
        handles.append(Patch(color=PALE, lw=0, label="null"))
    axes.legend(handles=handles, loc="lower left", handlelength=1, handletextpad=0.6, labelspacing=0.25)


def _controls(axes: Axes, agent: tuple[float, float], controls: Mapping[str, Control], best: str, low: float) -> None:
    """`r2_prior` in and out of distribution of the agent's states and of others."""
    rows = [("this agent", *agent)]
    rows += [(name, control.id, control.ood) for name, control in controls.items()]
    for y, (name, inside, outside) in enumerate(rows):
        axes.axhline(y, color=PALE, lw=0.5, zorder=1)
        axes.plot(max(inside, low), y, "o", ms=5, color=BLUE, mec="white", mew=0.5, zorder=3, clip_on=False)
        axes.plot(max(outside, low), y, "s", ms=5, color=VERMILLION, mec="white", mew=0.5, zorder=4, clip_on=False)
        weight = "normal" if y else "bold"
        axes.text(1.02, y, f"{outside:.3f}", va="center", fontsize=7, color=VERMILLION, weight=weight)
        if name == best:
            axes.axvline(max(outside, low), color=GREY, lw=0.8, ls=(0, (4, 2)), zorder=2)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(low - 0.03, 1)
    axes.set_xlabel(R2)
    handles = [dot(BLUE, "in distribution", ms=4.5), dot(VERMILLION, "out of distribution", "s", 4.5)]
    if best:
        handles.append(Line2D([], [], color=GREY, lw=0.8, ls=(0, (4, 2)), label="best of untrained and input"))
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), labelspacing=0.2, borderaxespad=0.1)


def _map(axes: Axes, result: Decoding) -> None:
    """The mean decoded x* of each cell of x*, as a grid."""
    edges: Any = [np.linspace(-0.5, 0.5, CELLS + 1)] * 2
    decoded = list(result.out_of_distribution.predictions.T)
    x1, x2 = result.latents.T
    values, count = (binned_statistic_2d(x1, x2, decoded, kind, edges)[0] for kind in ("mean", "count"))
    means = np.moveaxis(np.where(count > 2, values, np.nan), 0, -1)
    centres = np.stack(np.meshgrid(*[(edge[1:] + edge[:-1]) / 2 for edge in edges], indexing="ij"), axis=-1)
    grids: list[tuple[np.ndarray, Style]] = [
        (centres, {"color": GREY, "lw": 0.5, "zorder": 1}),
        (means, {"lw": 1.1, "zorder": 3}),
    ]
    for grid, style in grids:
        for i in range(CELLS):
            for line, places in ((grid[i], centres[i]), (grid[:, i], centres[:, i])):
                # Lines end at the borders of quadrants: the two sides are decoded by different decoders.
                for part in np.split(np.arange(CELLS), 2):
                    colour = QUADRANTS[str(signs(places[part[:1]])[0])]
                    look: Style = {"color": colour, **style}
                    axes.plot(*line[part].T, **look)
    reach = 0.62
    lost = np.count_nonzero(np.abs(np.nan_to_num(means)).max(axis=2) > reach)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[-0.5, 0, 0.5], yticks=[-0.5, 0, 0.5])
    axes.set(xlabel="$x_1$ (latent units)", ylabel="$x_2$ (latent units)")
    more = f"; {lost} cells lie outside" if lost else ""
    axes.set_title(f"mean decoded $x^*$, held-out {result.settings['holdout']}{more}", fontsize=7.5, loc="left")


def plane_decoding_figure(result: PlaneDecoding) -> Figure:
    """`r2_prior` by plane of x*, on its held-out quadrants, beside its null and the controls.

    Left: in and out of distribution, a mark a plane and a bar for the mean; grey bands are the null of the mean, from
    its least to its largest draw. Right: the same means of the controls.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
        inside = (result.in_distribution, result.in_distribution_by_plane, result.null_in_distribution)
        columns = ((*inside, result.p_in_distribution), (result.value, result.by_plane, result.null, result.p))
        drawn = [v for _, by_plane, null, _ in columns for v in (*by_plane, *null)]
        low = max(FLOOR, min(0.0, *drawn, *(c.ood for c in result.controls.values())))
        for i, (mean, by_plane, null, p) in enumerate(columns):
            _column(left, i, mean, null, p, low)
            spread = np.linspace(-0.2, 0.2, len(by_plane)) if len(by_plane) > 1 else np.zeros(1)
            values = np.clip(by_plane, low, 1)
            left.plot(i + spread, values, "o", color=INK, ms=3.5, mec="white", mew=0.4, clip_on=False)
        left.set_xticks([0, 1], ["in\ndistribution", "held-out\nquadrant"])
        _r2_axis(left, low)
        if len(result.null):
            left.legend(handles=[Patch(color=PALE, lw=0, label="null")], loc="lower left", handlelength=1)
        _controls(right, (result.in_distribution, result.value), result.controls, result.best_untrained, low)
        names = [f"$x_{{{i + 1}}}, x_{{{j + 1}}}$" for i, j in result.planes]
        left.set_xlabel("plane " + names[0] if len(names) == 1 else f"{len(names)} planes, {names[0]} to {names[-1]}")
        return figure


def released_holdout_figure(result: ReleasedHoldout) -> Figure:
    """`r2_prior` of each held-out orthant, tested right and with the error of the public code, joined by a line.

    Bars are the means; the grey band is the null of the wrong mean, from its least to its largest draw.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 3.0), layout="constrained")
        axes = figure.subplots()
        low = max(FLOOR, min(0.0, *result.by_orthant, *result.right_by_orthant, *result.null))
        _column(axes, 0, result.right, np.empty(0), float("nan"), low)
        _column(axes, 1, result.value, result.null, result.p, low)
        for name, *ends in zip(result.left_out, result.right_by_orthant, result.by_orthant, strict=True):
            mixed = len(set(name)) > 1
            label = f"{name} left out" if len(result.left_out) <= len(QUADRANTS) else None
            style = {"color": QUADRANTS.get(name, VERMILLION if mixed else BLUE), "zorder": 3 if mixed else 4}
            axes.plot([0, 1], np.clip(ends, low, 1), "o-", ms=3.5, lw=0.9, clip_on=False, label=label, **style)
        axes.set_xticks([0, 1], ["tested on the\nheld-out orthant", "as released (wrong):\none sign for all latents"])
        _r2_axis(axes, low)
        handles = axes.get_legend_handles_labels()[0] or [
            Line2D([], [], marker="o", ms=3.5, lw=0.9, color=colour, label=label)
            for colour, label in ((VERMILLION, "mixed signs left out"), (BLUE, "one sign left out"))
        ]
        if len(result.null):
            handles.append(Patch(color=PALE, lw=0, label="null"))
        axes.legend(handles=handles, loc="lower left", labelspacing=0.25)
        return figure


def _column(axes: Axes, at: float, mean: float, null: np.ndarray, p: float, low: float) -> None:
    """A mean as a bar, above it its number, behind it the reach of its null."""
    if len(null):
        edges = np.clip([null.min(), null.max()], low, 1)
        axes.fill_between([at - 0.35, at + 0.35], *edges, color=PALE, lw=0, zorder=1)
    axes.plot([at - 0.35, at + 0.35], [np.clip(mean, low, 1)] * 2, color=INK, lw=1.4, zorder=2)
    beyond = "" if np.isnan(p) else f"\n$p$ = {p:.2g}"
    axes.text(at, 1.03, f"{mean:.3f}{beyond}", ha="center", va="bottom", fontsize=7)


def _r2_axis(axes: Axes, low: float) -> None:
    axes.set_xlim(-0.6, 1.6)
    axes.set_ylim(low - 0.03, 1)
    axes.set_ylabel(f"{R2}  $(= 1 - 12\\,\\mathrm{{MSE}})$")


def decoding_course_figure(result: DecodingCourse) -> Figure:
    """`r2_prior` at each step of the trial, in and out of distribution, beside the best that is possible there.

    Steps with too few trials are left out; a thin line below shows the share of trials that have not ended.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 2.9), layout="constrained")
        axes, steps = figure.subplots(), np.arange(len(result.ood))
        if np.isfinite(result.ideal).any():
            axes.plot(steps, np.maximum(result.ideal, FLOOR), color=INK, lw=0.9, zorder=3, label=IDEAL, clip_on=False)
        _time_course(axes, steps, result.mean, result.id, result.ood, f"held-out {result.settings['holdout']}")
        share = result.n_trials / max(result.n_trials.max(), 1)
        if share.min() < 1:
            axes.plot(steps, share, color=GREEN, lw=0.8, ls=":", label="share of trials not ended")
        axes.set_xlabel("step of the trial" + ("" if np.isnan(result.dt) else f" ({result.dt:g} ms each)"))
        axes.set_xlim(-0.5, len(steps) - 0.5)
        axes.legend(loc="lower right")
        return figure


def evidence_course_figure(result: EvidenceCourse) -> Figure:
    """`r2_prior` after each sample, in and out of distribution, beside that of the mean of the samples."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 2.9), layout="constrained")
        axes = figure.subplots()
        _time_course(axes, result.n_samples, result.theory, result.id, result.ood, "held-out orthant")
        axes.set_xlabel("samples of the evidence")
        axes.legend(loc="lower right")
        return figure


def _time_course(
    axes: Axes, across: np.ndarray, theory: np.ndarray, inside: np.ndarray, outside: np.ndarray, region: str
) -> None:
    axes.axhline(0, color=PALE, lw=0.6, zorder=0)
    for values, style, label in (
        (theory, {"color": GREY, "lw": 1.0, "ls": (0, (4, 2))}, "mean of samples, $1 - 12\\,\\sigma^2/t$"),
        (inside, {"color": BLUE, "lw": 1.2, "marker": "o", "ms": 3}, "in distribution"),
        (outside, {"color": VERMILLION, "lw": 1.2, "marker": "s", "ms": 3}, region),
    ):
        if np.isfinite(values).any():
            axes.plot(across, np.maximum(values, FLOOR), label=label, clip_on=False, **style)
    axes.set(ylabel=R2, ylim=(max(FLOOR, float(np.nanmin([*inside, *outside, 0]))) - 0.03, 1))


def transfer_figure(result: Transfer) -> Figure:
    """Accuracy on new questions in the held-out orthant: against the ideal observer's, and the mean beside its null.

    Left: a mark for each pair of question and orthant; with two latents, coloured by quadrant. Right: the means. The
    grey histogram is the null.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
        colours = [QUADRANTS.get(result.orthants[q], INK) for q in result.orthant]
        known = np.isfinite(result.ideal_by_pair).all()
        across = result.ideal_by_pair if known else result.chance_by_pair
        low = max(0.0, min(0.5, result.accuracy.min()) - 0.03)
        left.axhline(0.5, color=PALE, lw=0.6, zorder=0)
        left.plot([0, 1], [0, 1], color=GREY, lw=0.8, zorder=1)
        left.scatter(across, result.accuracy, c=colours, s=14, lw=0.4, edgecolors="white", zorder=3, clip_on=False)
        left.set_xlim(min(0.7, across.min() - 0.02), 1)
        left.set_ylim(low, 1)
        left.set_xlabel(f"accuracy of {'the ideal observer' if known else 'the more frequent answer'}")
        left.set_ylabel("accuracy where never learned")
        present = [name for name in QUADRANTS if name in result.orthants]
        handles = [dot(QUADRANTS[name], name) for name in present]
        left.legend(handles=handles, loc="lower left", handlelength=1, labelspacing=0.2)
        if len(result.null):
            right.hist(result.null, bins=15, color=PALE, lw=0)
        top = max(right.get_ylim()[1], 1) * 1.05
        levels = [
            (result.value, VERMILLION, "-", f"read-out of labels, {result.value:.3f}"),
            (result.through_latents, BLUE, "-", f"through decoded $x^*$, {result.through_latents:.3f}"),
            (result.ideal, INK, "-", f"ideal observer, {result.ideal:.3f}"),
            (result.nearest, GREEN, ":", f"nearest trained question, {result.nearest:.3f}"),
            (result.chance, GREY, "--", f"more frequent answer, {result.chance:.3f}"),
        ]
        for level, colour, style, label in levels:
            if np.isfinite(level):
                right.axvline(level, color=colour, ls=style, lw=1.3, label=label)
        if len(result.null):
            right.fill_between([], [], color=PALE, lw=0, label=f"null, $p$ = {result.p:.2g}")
        right.set_ylim(0, top)
        right.set_yticks([])
        right.spines["left"].set_visible(False)
        right.set_xlabel("mean accuracy, new questions")
        right.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), labelspacing=0.2, borderaxespad=0.1)
        return figure
