"""Figures of the geometry of states: one for each probe of it, drawn from what the probe found."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch, Rectangle

from mtrnn_analysis.figures.style import BLUE, GREY, INK, ORANGE, PALE, PURPLE, QUADRANTS, SKY, STYLE, VERMILLION
from mtrnn_analysis.geometry.axes import Axes
from mtrnn_analysis.geometry.ccgp import Ccgp
from mtrnn_analysis.geometry.dimensionality import Dimensionality
from mtrnn_analysis.geometry.distortion import Distortion
from mtrnn_analysis.geometry.parallelism import Parallelism
from mtrnn_analysis.geometry.principal import principal_components
from mtrnn_analysis.geometry.shattering import Shattering

LATENTS = (BLUE, VERMILLION, PURPLE, ORANGE, SKY)
GEOMETRIC, LABELS = "#8F959E", "#DDE0E5"


def ccgp_figure(found: Ccgp) -> Figure:
    """CCGP of each dichotomy beside its geometric null (dark) and label null (light), and chance."""
    names = list(found.by_dichotomy)
    nulls = [(found.null_by_dichotomy[:, k], found.null_labels_by_dichotomy[:, k]) for k in range(len(names))]
    columns = [("mean of\nlatents", found.value, found.p, found.null, found.null_labels)]
    for name, pair in zip(names, nulls, strict=True):
        columns.append((_shown(name), found.by_dichotomy[name], found.p_by_dichotomy[name], *pair))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.4 + 0.75 * len(columns), 3.0), layout="constrained")
        axes: Any = figure.subplots()
        axes.axhline(0.5, color=GREY, lw=0.8, ls=":")
        axes.annotate("chance", (1, 0.5), (-2, 2), axes.get_yaxis_transform(), "offset points", color=GREY, ha="right")
        for i, (_, value, p, geometric, labels) in enumerate(columns):
            _violins(axes, i, geometric, labels)
            _mark(axes, i, value, BLUE if i else INK)
            _number(axes, i, 1.04, value, p)
        axes.set_xticks(range(len(columns)), [column[0] for column in columns])
        axes.set(ylim=(-0.02, 1.02), xlim=(-0.6, len(columns) - 0.2))
        left_out = {"one_sign": "conditions that differ in one sign", "all": "all pairs of conditions"}
        axes.set_ylabel("CCGP (accuracy)")
        axes.set_xlabel(f"dichotomy; left out: {left_out[found.settings['pairs']]}")
        figure.legend(handles=_null_marks(), loc="outside lower center", ncols=2)
    return figure


def parallelism_figure(found: Parallelism) -> Figure:
    """Left: the mean states of the conditions in their first two principal components, and the coding vectors between
    them, a colour for each latent. Right: the parallelism score, corrected and as measured, beside its nulls.
    """
    names = list(found.by_latent)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6 + 0.6 * len(names), 3.1), layout="constrained")
        plane, axes = figure.subplots(1, 2, width_ratios=[3.0, 0.8 + 0.65 * len(names)])
        components = principal_components(found.centroids, min(2, found.centroids.shape[1]))
        places = components.project(found.centroids)
        places = np.column_stack([places, np.zeros((len(places), 2 - places.shape[1]))])
        for d in range(len(names)):
            for q, sign in enumerate(found.orthants):
                if sign[d] == "+":
                    continue
                ends = places[[q, found.orthants.index(sign[:d] + "+" + sign[d + 1 :])]]
                arrow = {"arrowstyle": "-|>", "color": LATENTS[d % 5], "lw": 1.2, "shrinkA": 4, "shrinkB": 4}
                plane.annotate("", ends[1], ends[0], arrowprops=arrow)
        colours = [QUADRANTS.get(name, INK) for name in found.orthants]
        plane.scatter(*places.T, c=colours, s=34, lw=0.6, edgecolors="white", zorder=3)
        if len(names) == 2:
            for place, name in zip(places, found.orthants, strict=True):
                out = place / max(float(np.linalg.norm(place)), 1e-12)
                plane.annotate(
                    f"$({','.join(name)})$",
                    place,
                    11 * out,
                    textcoords="offset points",
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color=INK,
                )
        plane.set_aspect("equal", "datalim")
        plane.margins(0.32)
        shares = [*components.shares, 0.0]
        plane.set_xlabel(f"PC 1 of mean states (activity; {100 * shares[0]:.0f} %)")
        plane.set_ylabel(f"PC 2 ({100 * shares[1]:.0f} %)")
        columns = [("mean", found.value, found.uncorrected, found.p, found.null, found.null_labels)]
        for d, name in enumerate(names):
            nulls = found.null_by_latent[:, d], found.null_labels_by_latent[:, d]
            values = found.by_latent[name], found.uncorrected_by_latent[name]
            columns.append((_shown(name), *values, found.p_by_latent[name], *nulls))
        axes.axhline(0, color=GREY, lw=0.8, ls=":")
        for i, (_, value, plain, p, geometric, labels) in enumerate(columns):
            _violins(axes, i, np.clip(geometric, -1.2, 1.2), np.clip(labels, -1.2, 1.2))
            axes.plot(i, plain, "o", ms=6, mfc="none", mec=INK, mew=0.8, zorder=5)
            _mark(axes, i, value, LATENTS[(i - 1) % 5] if i else INK)
            _number(axes, i, 1.24, value, p)
        axes.set_xticks(range(len(columns)), [column[0] for column in columns])
        axes.set(ylim=(-1.2, 1.2), xlim=(-0.6, len(columns) - 0.4), ylabel="parallelism score (mean cosine)")
        plain = Line2D([], [], ls="", marker="o", ms=6, mfc="none", mec=INK, mew=0.8, label="as measured")
        arrows = [
            Line2D([], [], color=LATENTS[d % 5], lw=1.2, label=f"{_shown(name)}: from $-$ to $+$")
            for d, name in enumerate(names)
        ]
        figure.legend(
            handles=[*arrows, plain, *_null_marks()], loc="outside lower center", ncols=min(len(names) + 1, 5)
        )
    return figure


def shattering_figure(found: Shattering) -> Figure:
    """The accuracy of each balanced dichotomy, from the easiest on, the 5-95 % range of its null, and the mean.

    Up to 35 dichotomies are drawn below as rows of their conditions, dark for the upper class.
    """
    order = np.argsort(-found.accuracies, kind="stable")
    rows, few = found.dichotomies[order], len(order) <= 35
    signs = np.array([[1 if sign == "+" else -1 for sign in name] for name in found.orthants])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 if len(order) <= 3 else 5.6, 3.4 if few else 2.7), layout="constrained")
        panels: Any = figure.subplots(2 if few else 1, 1, height_ratios=[2.6, 1] if few else [1], sharex=True)
        axes = np.atleast_1d(panels)[0]
        place = np.arange(len(order))
        if len(found.null):
            low, high = np.quantile(found.null_accuracies[:, order], [0.05, 0.95], axis=0)
            edges = np.concatenate([place - 0.5, place[-1:] + 0.5])
            axes.stairs(high, edges, baseline=low, fill=True, color=LABELS, label="labels permuted, 5-95 %")
        colours = [_colour(row, signs) for row in rows]
        axes.scatter(place, found.accuracies[order], c=colours, s=26 if few else 6, lw=0, zorder=3)
        axes.axhline(found.value, color=INK, lw=1.1)
        p = "" if np.isnan(found.p) else f", $p$ = {found.p:.2g}"
        axes.axhline(0.5, color=GREY, lw=0.8, ls=":")
        axes.set(ylim=(min(0.44, found.accuracies.min() - 0.02), 1.01), ylabel="accuracy, cross-validated")
        axes.set_title(f"mean {found.value:.3f}{p}", loc="left")
        axes.spines["bottom"].set_visible(not few)
        marks = [(VERMILLION, "XOR of two signs"), (BLUE, "sign of a latent"), (GREY, "other")]
        here = [(c, n) for c, n in marks if c in colours]
        handles: list[Any] = [Line2D([], [], ls="", marker="o", ms=5, mec="none", mfc=c, label=n) for c, n in here]
        handles += [
            Line2D([], [], color=INK, lw=1.1, label="mean"),
            Patch(color=LABELS, label="labels permuted, 5-95 %"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2 if len(order) <= 3 else 4)
        if few:
            below = panels[1]
            below.pcolormesh(
                np.arange(len(order) + 1) - 0.5,
                np.arange(rows.shape[1] + 1) - 0.5,
                rows.T,
                cmap="Greys",
                vmin=-1.3,
                vmax=1.6,
                edgecolors="white",
                lw=1,
            )
            below.set_yticks(range(rows.shape[1]), found.orthants, family="monospace")
            below.invert_yaxis()
            below.set(ylabel="signs of $x^*$")
            below.tick_params(length=0)
            axes.tick_params(bottom=False)
            for side in ("left", "bottom"):
                below.spines[side].set_visible(False)
        np.atleast_1d(panels)[-1].set(xlabel="dichotomy, easiest first")
        np.atleast_1d(panels)[-1].set_xticks([] if few else [0, len(order) - 1], [] if few else ["1", str(len(order))])
    return figure


def dimensionality_figure(found: Dimensionality) -> Figure:
    """Left: cumulated variance along principal components, of all states and of noise-free ones. Right, or middle: the
    participation ratio beside its null, units permuted each on its own; right: over the steps of a trial.
    """
    timed = len(found.by_step) > 0
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6 if timed else 5.2, 2.7), layout="constrained")
        panels: Any = figure.subplots(1, 3 if timed else 2, width_ratios=[1.3, 0.9, 1.3][: 3 if timed else 2])
        spectrum, axes = found.spectrum, panels[0]
        shown = int(np.clip(2 * found.components["95"], 6, 20))
        axes.plot(
            *_cumulated(spectrum, shown), "-o", ms=3, lw=1.1, color=INK, label="all states" + _counts(found.components)
        )
        if not np.isnan(found.signal):
            named = "noise-free" + _counts(found.signal_components)
            axes.plot(*_cumulated(found.signal_spectrum, shown), "-o", ms=3, lw=1.1, color=BLUE, label=named)
        for share in (0.8, 0.9, 0.95):
            axes.axhline(share, color=PALE, lw=0.7, zorder=0)
        axes.annotate(
            "80, 90, 95 %",
            (1, 0.8),
            (-1, -2),
            axes.get_yaxis_transform(),
            "offset points",
            color=GREY,
            ha="right",
            va="top",
            fontsize=6,
        )
        axes.set(xlabel="components", ylabel="share of the variance, cumulated", ylim=(0, 1.03), xlim=(0, shown + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="lower right")
        ratios = panels[1]
        _violins(ratios, 0, found.null, np.empty(0))
        if len(found.null):
            # A null on thousands of trials may be narrower than a line.
            ratios.hlines(found.null.mean(), -0.35, 0.35, color=GEOMETRIC, lw=2)
        _mark(ratios, 0, found.value, INK)
        if not np.isnan(found.signal):
            _mark(ratios, 1, found.signal, BLUE)
        ratios.set_xticks([0, 1], ["all\nstates", "noise-\nfree"])
        top = max([found.value, *found.null, np.nan_to_num(found.signal)])
        ratios.set(ylabel="participation ratio (dimensions)", xlim=(-0.6, 1.6), ylim=(0, 1.25 * top))
        _number(ratios, 0, 1.25 * top, found.value, found.p, va="top")
        told = "no signal" if np.isnan(found.signal) else f"{found.signal:.2f}"
        ratios.text(1, 1.25 * top, told, ha="center", va="top", fontsize=6.5)
        units = Patch(color=GEOMETRIC, label="null: units permuted each on its own")
        figure.legend(handles=[units], loc="outside lower center")
        if timed:
            over = panels[2]
            steps = np.arange(1, len(found.by_step) + 1)
            over.plot(steps, found.by_step, color=INK, lw=1.3, label="all states")
            over.plot(steps, found.signal_by_step, color=BLUE, lw=1.3, label="noise-free")
            finite = np.concatenate([found.by_step, found.signal_by_step])
            most = float(np.nanmax(np.append(finite, 1)))
            over.set(xlabel="step of the trial", ylabel="participation ratio (dimensions)", ylim=(0, 1.1 * most))
            over.legend(loc="best")
        for axes, letter in zip(panels, "abc", strict=False):
            axes.set_title(letter, loc="left", weight="bold")
    return figure


def axes_figure(found: Axes) -> Figure:
    """Left: encoding axes and the decoder's axes, with lengths of one, in the plane of the first two latents' encoding
    axes; what of the decoder's lies outside the plane is lost. Right: angles between latents beside the null's.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 2.9), layout="constrained")
        plane, angles, ratio = figure.subplots(1, 3, width_ratios=[1.5, 1.2, 0.8])
        unit = found.encoding_axes / np.maximum(np.linalg.norm(found.encoding_axes, axis=1, keepdims=True), 1e-300)
        weights = found.decoding_axes / np.maximum(np.linalg.norm(found.decoding_axes, axis=1, keepdims=True), 1e-300)
        # The two orthonormal vectors halfway between the axes stand at 45 degrees, so that no axis lies on the frame.
        both = [unit[0] + unit[1], unit[0] - unit[1]]
        basis = np.stack([vector / max(float(np.linalg.norm(vector)), 1e-300) for vector in both])
        turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
        plane.add_patch(Ellipse((0, 0), 2, 2, fc="none", ec=PALE, lw=0.8))
        for d in range(2):
            for vector, dashes, width in ((unit[d], "-", 1.6), (weights[d], (0, (3, 1.5)), 1.2)):
                x, y = turn.T @ basis @ vector
                arrow = {
                    "arrowstyle": "-|>",
                    "color": LATENTS[d],
                    "lw": width,
                    "ls": dashes,
                    "shrinkA": 0,
                    "shrinkB": 0,
                }
                plane.annotate("", (x, y), (0, 0), arrowprops=arrow)
            x, y = 1.17 * turn.T @ basis @ unit[d]
            plane.text(x, y, f"$x_{d + 1}$", color=LATENTS[d], ha="center", va="center")
        plane.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xticks=[], yticks=[])
        plane.set_aspect("equal")
        for side in ("left", "bottom"):
            plane.spines[side].set_visible(False)
        plane.set_title("a   axes of unit length", loc="left")
        columns = [(found.value, found.p, found.null), (found.decoding, found.p_decoding, found.null_decoding)]
        for i, (value, p, null) in enumerate(columns):
            _violins(angles, i, null, np.empty(0))
            for angle in (found.encoding_angles, found.decoding_angles)[i].values():
                angles.plot(i, angle, "o", ms=3, color=GREY, zorder=4)
            _mark(angles, i, value, INK)
            _number(angles, i, 92, value, p, "{:.1f}°")
        angles.set_xticks([0, 1], ["encoding", "decoder"])
        angles.set(ylim=(0, 90), yticks=[0, 30, 60, 90], xlim=(-0.6, 1.6), ylabel="angle between latents (degrees)")
        _violins(ratio, 0, found.null_isometry, np.empty(0))
        _mark(ratio, 0, found.isometry, INK)
        _number(ratio, 0, 1.022, found.isometry, found.p_isometry)
        ratio.set(ylim=(0, 1), xlim=(-0.6, 0.6), xticks=[], ylabel="singular values, least / greatest")
        handles: list[Any] = [
            Line2D([], [], color=INK, lw=1.6, label="encoding axis"),
            Line2D([], [], color=INK, lw=1.2, ls=(0, (3, 1.5)), label="decoder's axis"),
            Patch(color=GEOMETRIC, label="null: vectors with the states' covariance"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def distortion_figure(found: Distortion) -> Figure:
    """How far states move with x*, from place to place, and the distortion beside that of a linear map with the noise.

    For two latents each ellipse shows how far the state moves for a step of the same length in each direction, to the
    scale of the mean over places (thin circle); its colour is its area relative to the mean. All circles, all of one
    size: an isometry. For one latent the length is drawn over x*; for more, from the least to the greatest in places.
    Nulls have two bulges, above and below 0, as corrected squares that are about 0 are drawn by their signed roots.
    """
    n_dims = found.bins.shape[1]
    values, vectors = np.linalg.eigh(found.metrics)
    stretch = np.sqrt(np.maximum(values, 0) / np.einsum("bdd->b", found.metrics).mean() * n_dims)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 3.0), layout="constrained")
        axes, beside, turned = figure.subplots(1, 3, width_ratios=[2.3, 0.7, 0.7])
        if n_dims == 2:
            _ellipses(figure, axes, found, stretch, vectors)
        elif n_dims == 1:
            axes.axhline(1, color=PALE, lw=0.8)
            axes.plot(found.bins[:, 0], stretch[:, 0], "-o", ms=4, color=BLUE)
            axes.set(xlabel="$x_1$ (latent units)", ylabel="local length relative to the mean", ylim=(0, None))
        else:
            order = np.argsort(stretch.sum(axis=1))
            axes.axhline(1, color=PALE, lw=0.8)
            axes.vlines(range(len(order)), stretch[order, 0], stretch[order, -1], color=BLUE, lw=2)
            axes.set(xlabel="bins of $x^*$, sorted", ylabel="local lengths relative to the mean")
            axes.set_ylim(0, None)
        for panel, value, p, null, name, form in (
            (beside, found.value, found.p, found.null, "distortion (relative SD of lengths)", "{:.3f}"),
            (turned, found.turning, found.p_turning, found.null_turning, "turning of local maps (degrees)", "{:.1f}°"),
        ):
            panel.axhline(0, color=GREY, lw=0.8, ls=":")
            _violins(panel, 0, null, np.empty(0))
            _mark(panel, 0, value, BLUE)
            low, high = min([0, value, *null]), max([0, value, *null])
            low, high = low - 0.06 * (high - low), high + 0.08 * (high - low) + 1e-9
            _number(panel, 0, high + 0.02 * (high - low), value, p, form)
            panel.set(xlim=(-0.6, 0.6), ylim=(low, high), xticks=[], ylabel=name)
        handles: list[Any] = [Patch(color=GEOMETRIC, label="null: linear map, the same noise")]
        if n_dims == 2:
            handles.insert(0, Line2D([], [], color=GREY, lw=0.7, label="mean over places, both directions"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _ellipses(figure: Any, axes: Any, found: Distortion, stretch: np.ndarray, vectors: np.ndarray) -> None:
    n_bins = found.settings["n_bins"]
    width = np.ptp(found.bins, axis=0) / np.maximum([len(np.unique(c.round(9))) - 1 for c in found.bins.T], 1)
    scale = 0.8 * float(np.min(width[width > 0], initial=1.0))
    areas = stretch.prod(axis=1) / max(float(stretch.prod(axis=1).mean()), 1e-300)
    norm, cmap = TwoSlopeNorm(1, 0, max(2.0, float(areas.max()))), mpl.colormaps["PuOr_r"]
    low, high = found.bins.min(axis=0) - width / 2, found.bins.max(axis=0) + width / 2
    axes.add_patch(Rectangle(tuple(low), *(high - low), fc="#F4F5F7", ec=GREY, lw=0.6, zorder=0))
    # Ellipses may not be larger than three bins, to be told apart.
    for place, lengths, directions, area in zip(found.bins, np.minimum(stretch, 3), vectors, areas, strict=True):
        angle = float(np.degrees(np.arctan2(directions[1, 1], directions[0, 1])))
        axes.add_patch(
            Ellipse(
                tuple(place), scale * lengths[1], scale * lengths[0], angle=angle, fc=cmap(norm(area)), ec=INK, lw=0.6
            )
        )
        axes.add_patch(Ellipse(tuple(place), scale, scale, fc="none", ec=GREY, lw=0.5, zorder=3))
    axes.set_aspect("equal")
    margin = 0.25 * width
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.set(xlabel="$x_1$ (latent units)", ylabel="$x_2$ (latent units)")
    axes.set_title(f"isometry {found.isometry:.2f}, {n_bins} × {n_bins} places", loc="left", fontsize=8)
    figure.colorbar(ScalarMappable(norm, cmap), ax=axes, label="area relative to the mean", shrink=0.75, aspect=18)


def _shown(name: str) -> str:
    return "XOR" if name == "xor" else f"$x_{{{name[1:]}}}$"


def _colour(row: np.ndarray, signs: np.ndarray) -> str:
    """Of a dichotomy: a latent's, the product of two latents' signs, or another."""
    n_dims = signs.shape[1]
    if any((row == side * signs[:, d]).all() for d in range(n_dims) for side in (-1, 1)):
        return BLUE
    pairs = [signs[:, d] * signs[:, e] for d in range(n_dims) for e in range(d)]
    return VERMILLION if any((row == side * pair).all() for pair in pairs for side in (-1, 1)) else GREY


def _cumulated(shares: np.ndarray, shown: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.cumsum(shares)[:shown]
    return np.arange(len(values) + 1), np.concatenate([[0], values])


def _violins(axes: Any, place: float, geometric: np.ndarray, labels: np.ndarray) -> None:
    """Null distributions; two stand side by side."""
    both = len(geometric) > 0 and len(labels) > 0
    for null, colour, side in ((geometric, GEOMETRIC, "low"), (labels, LABELS, "high")):
        if not len(null):
            continue
        parts = axes.violinplot(null, [place], widths=0.8, showextrema=False, side=side if both else "both")
        for body in parts["bodies"]:
            body.set(facecolor=colour, alpha=1, edgecolor="none", zorder=1)


def _mark(axes: Any, place: float, value: float, colour: str) -> None:
    axes.plot(place, value, "D", ms=5.5, color=colour, mec="white", mew=0.7, zorder=6, clip_on=False)


def _number(
    axes: Any, place: float, height: float, value: float, p: float, form: str = "{:.2f}", va: str = "bottom"
) -> None:
    told = form.format(value) + ("" if np.isnan(p) else f"\n$p$ = {p:.2g}")
    axes.text(place, height, told, ha="center", va=va, fontsize=6.5)


def _null_marks() -> list[Patch]:
    return [
        Patch(color=GEOMETRIC, label="null: units permuted within each condition"),
        Patch(color=LABELS, label="null: labels permuted"),
    ]


def _counts(components: Any) -> str:
    return ": " + ", ".join(f"{count:.0f}" for count in components.values())
