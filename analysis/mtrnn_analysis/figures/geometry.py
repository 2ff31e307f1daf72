"""Figures of geometry: dimensions, axes, and how evenly x* is laid out."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes as Panel
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch, Rectangle

from mtrnn_analysis.figures.marks import GEOMETRIC, LATENTS, value_label, value_mark, violins
from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE
from mtrnn_analysis.geometry.axes import Axes
from mtrnn_analysis.geometry.dimensionality import Dimensionality
from mtrnn_analysis.geometry.distortion import Distortion


def dimensionality_figure(result: Dimensionality) -> Figure:
    """Left: cumulated variance along principal components, of all states and of noise-free ones. Right, or middle: the
    participation ratio beside its null, units permuted each on its own; right: over the steps of a trial.
    """
    timed = len(result.by_step) > 0
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6 if timed else 5.2, 2.7), layout="constrained")
        panels = figure.subplots(1, 3 if timed else 2, width_ratios=[1.3, 0.9, 1.3][: 3 if timed else 2])
        spectrum, axes = result.spectrum, panels[0]
        shown = int(np.clip(2 * result.components["95"], 6, 20))
        named = "all states" + _counts(result.components)
        axes.plot(*_cumulated(spectrum, shown), "-o", ms=3, lw=1.1, color=INK, label=named)
        if not np.isnan(result.signal):
            named = "noise-free" + _counts(result.signal_components)
            axes.plot(*_cumulated(result.signal_spectrum, shown), "-o", ms=3, lw=1.1, color=BLUE, label=named)
        for share in (0.8, 0.9, 0.95):
            axes.axhline(share, color=PALE, lw=0.7, zorder=0)
        across = axes.get_yaxis_transform()
        axes.text(0.99, 0.79, "80, 90, 95 %", transform=across, color=GREY, ha="right", va="top", size=6)
        axes.set(xlabel="components", ylabel="share of the variance, cumulated", ylim=(0, 1.03), xlim=(0, shown + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="lower right")
        ratios = panels[1]
        violins(ratios, 0, result.null)
        if len(result.null):
            # A null on thousands of trials may be narrower than a line.
            ratios.hlines(result.null.mean(), -0.35, 0.35, color=GEOMETRIC, lw=2)
        value_mark(ratios, 0, result.value, INK)
        if not np.isnan(result.signal):
            value_mark(ratios, 1, result.signal, BLUE)
        ratios.set_xticks([0, 1], ["all\nstates", "noise-\nfree"])
        top = max([result.value, *result.null, np.nan_to_num(result.signal)])
        ratios.set(ylabel="participation ratio (dimensions)", xlim=(-0.6, 1.6), ylim=(0, 1.25 * top))
        value_label(ratios, 0, 1.25 * top, result.value, result.p, va="top")
        text = "no signal" if np.isnan(result.signal) else f"{result.signal:.2f}"
        ratios.text(1, 1.25 * top, text, ha="center", va="top", fontsize=6.5)
        units = Patch(color=GEOMETRIC, label="null: units permuted each on its own")
        figure.legend(handles=[units], loc="outside lower center")
        if timed:
            over = panels[2]
            steps = np.arange(1, len(result.by_step) + 1)
            over.plot(steps, result.by_step, color=INK, lw=1.3, label="all states")
            over.plot(steps, result.signal_by_step, color=BLUE, lw=1.3, label="noise-free")
            finite = np.concatenate([result.by_step, result.signal_by_step])
            most = float(np.nanmax(np.append(finite, 1)))
            over.set(xlabel="step of the trial", ylabel="participation ratio (dimensions)", ylim=(0, 1.1 * most))
            over.legend(loc="best")
        for axes, letter in zip(panels, "abc", strict=False):
            axes.set_title(letter, loc="left", weight="bold")
    return figure


def axes_figure(result: Axes) -> Figure:
    """Left: encoding axes and the decoder's axes, with lengths of one, in the plane of the first two latents' encoding
    axes; parts of the decoder's outside the plane are lost. Right: angles between latents beside the null's.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 2.9), layout="constrained")
        plane, angles, ratio = figure.subplots(1, 3, width_ratios=[1.5, 1.2, 0.8])
        unit = result.encoding_axes / np.maximum(np.linalg.norm(result.encoding_axes, axis=1, keepdims=True), 1e-300)
        weights = result.decoding_axes / np.maximum(np.linalg.norm(result.decoding_axes, axis=1, keepdims=True), 1e-300)
        # The two orthonormal vectors halfway between the axes stand at 45 degrees, so that no axis lies on the frame.
        both = [unit[0] + unit[1], unit[0] - unit[1]]
        basis = np.stack([vector / max(float(np.linalg.norm(vector)), 1e-300) for vector in both])
        turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
        plane.add_patch(Ellipse((0, 0), 2, 2, fc="none", ec=PALE, lw=0.8))
        for d in range(2):
            for vector, dashes, width in ((unit[d], "-", 1.6), (weights[d], (0, (3, 1.5)), 1.2)):
                x, y = turn.T @ basis @ vector
                arrow = {"arrowstyle": "-|>", "color": LATENTS[d], "lw": width, "ls": dashes}
                arrow |= {"shrinkA": 0, "shrinkB": 0}
                plane.annotate("", (x, y), (0, 0), arrowprops=arrow)
            x, y = 1.17 * turn.T @ basis @ unit[d]
            plane.text(x, y, f"$x_{d + 1}$", color=LATENTS[d], ha="center", va="center")
        plane.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xticks=[], yticks=[])
        plane.set_aspect("equal")
        for side in ("left", "bottom"):
            plane.spines[side].set_visible(False)
        plane.set_title("a   axes of unit length", loc="left")
        columns = [(result.value, result.p, result.null), (result.decoding, result.p_decoding, result.null_decoding)]
        for i, (value, p, null) in enumerate(columns):
            violins(angles, i, null)
            for angle in (result.encoding_angles, result.decoding_angles)[i].values():
                angles.plot(i, angle, "o", ms=3, color=GREY, zorder=4)
            value_mark(angles, i, value, INK)
            value_label(angles, i, 92, value, p, "{:.1f}°")
        angles.set_xticks([0, 1], ["encoding", "decoder"])
        angles.set(ylim=(0, 90), yticks=[0, 30, 60, 90], xlim=(-0.6, 1.6), ylabel="angle between latents (degrees)")
        violins(ratio, 0, result.null_isometry)
        value_mark(ratio, 0, result.isometry, INK)
        value_label(ratio, 0, 1.022, result.isometry, result.p_isometry)
        ratio.set(ylim=(0, 1), xlim=(-0.6, 0.6), xticks=[], ylabel="singular values, least / greatest")
        handles: list[Artist] = [
            Line2D([], [], color=INK, lw=1.6, label="encoding axis"),
            Line2D([], [], color=INK, lw=1.2, ls=(0, (3, 1.5)), label="decoder's axis"),
            Patch(color=GEOMETRIC, label="null: vectors with the states' covariance"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def distortion_figure(result: Distortion) -> Figure:
    """How far states move with x*, from place to place, and the distortion beside that of a linear map with the noise.

    For two latents each ellipse shows how far the state moves for a step of the same length in each direction, to the
    scale of the mean over places (thin circle); its colour is its area relative to the mean. All circles, all of one
    size: an isometry. For one latent the length is drawn over x*; for more, from the least to the greatest in places.
    Nulls have two bulges, above and below 0, as corrected squares that are about 0 are drawn by their signed roots.
    """
    n_dims = result.bins.shape[1]
    values, vectors = np.linalg.eigh(result.metrics)
    stretch = np.sqrt(np.maximum(values, 0) / np.einsum("bdd->b", result.metrics).mean() * n_dims)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 3.0), layout="constrained")
        axes, beside, turned = figure.subplots(1, 3, width_ratios=[2.3, 0.7, 0.7])
        if n_dims == 2:
            _ellipses(figure, axes, result, stretch, vectors)
        elif n_dims == 1:
            axes.axhline(1, color=PALE, lw=0.8)
            axes.plot(result.bins[:, 0], stretch[:, 0], "-o", ms=4, color=BLUE)
            axes.set(xlabel="$x_1$ (latent units)", ylabel="local length relative to the mean", ylim=(0, None))
        else:
            order = np.argsort(stretch.sum(axis=1))
            axes.axhline(1, color=PALE, lw=0.8)
            axes.vlines(range(len(order)), stretch[order, 0], stretch[order, -1], color=BLUE, lw=2)
            axes.set(xlabel="bins of $x^*$, sorted", ylabel="local lengths relative to the mean")
            axes.set_ylim(0, None)
        turning = result.turning, result.p_turning, result.null_turning
        for panel, (value, p, null), name, form in (
            (beside, (result.value, result.p, result.null), "distortion (relative SD of lengths)", "{:.3f}"),
            (turned, turning, "turning of local maps (degrees)", "{:.1f}°"),
        ):
            panel.axhline(0, color=GREY, lw=0.8, ls=":")
            violins(panel, 0, null)
            value_mark(panel, 0, value, BLUE)
            low, high = min([0, value, *null]), max([0, value, *null])
            low, high = low - 0.06 * (high - low), high + 0.08 * (high - low) + 1e-9
            value_label(panel, 0, high + 0.02 * (high - low), value, p, form)
            panel.set(xlim=(-0.6, 0.6), ylim=(low, high), xticks=[], ylabel=name)
        handles: list[Artist] = [Patch(color=GEOMETRIC, label="null: linear map, the same noise")]
        if n_dims == 2:
            handles.insert(0, Line2D([], [], color=GREY, lw=0.7, label="mean over places, both directions"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _ellipses(figure: Figure, axes: Panel, result: Distortion, stretch: np.ndarray, vectors: np.ndarray) -> None:
    n_bins = result.settings["n_bins"]
    width = np.ptp(result.bins, axis=0) / np.maximum([len(np.unique(c.round(9))) - 1 for c in result.bins.T], 1)
    scale = 0.8 * float(np.min(width[width > 0], initial=1.0))
    areas = stretch.prod(axis=1) / max(float(stretch.prod(axis=1).mean()), 1e-300)
    norm, cmap = TwoSlopeNorm(1, 0, max(2.0, float(areas.max()))), mpl.colormaps["PuOr_r"]
    low, high = result.bins.min(axis=0) - width / 2, result.bins.max(axis=0) + width / 2
    axes.add_patch(Rectangle(tuple(low), *(high - low), fc="#F4F5F7", ec=GREY, lw=0.6, zorder=0))
    # Ellipses may not be larger than three bins, to be told apart.
    for place, lengths, directions, area in zip(result.bins, np.minimum(stretch, 3), vectors, areas, strict=True):
        angle = float(np.degrees(np.arctan2(directions[1, 1], directions[0, 1])))
        sizes, colour = scale * lengths[::-1], cmap(norm(area))
        axes.add_patch(Ellipse(tuple(place), *sizes, angle=angle, fc=colour, ec=INK, lw=0.6))
        axes.add_patch(Ellipse(tuple(place), scale, scale, fc="none", ec=GREY, lw=0.5, zorder=3))
    axes.set_aspect("equal")
    margin = 0.25 * width
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.set(xlabel="$x_1$ (latent units)", ylabel="$x_2$ (latent units)")
    axes.set_title(f"isometry {result.isometry:.2f}, {n_bins} × {n_bins} places", loc="left", fontsize=8)
    figure.colorbar(ScalarMappable(norm, cmap), ax=axes, label="area relative to the mean", shrink=0.75, aspect=18)


def _cumulated(shares: np.ndarray, shown: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.cumsum(shares)[:shown]
    return np.arange(len(values) + 1), np.concatenate([[0], values])


def _counts(components: Mapping[str, float]) -> str:
    return ": " + ", ".join(f"{count:.0f}" for count in components.values())
