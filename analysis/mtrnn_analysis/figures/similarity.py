"""Figures of similarity: of states and x*, and of agents."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE, VERMILLION, Style
from mtrnn_analysis.similarity.agents import X_STAR, Comparison
from mtrnn_analysis.similarity.rsa import Rsa


def rsa_figure(result: Rsa) -> Figure:
    """Dissimilarities of states and of x*, one against the other, and their agreement beside chance and ceiling."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.9), layout="constrained")
        axes = figure.subplots(1, 4, width_ratios=[1, 1, 1.05, 1.15])
        for panel, matrix, label in ((axes[0], result.dissimilarities, "states"), (axes[1], result.model, "$x^*$")):
            image = panel.imshow(matrix / matrix.max(), cmap="cividis", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.set_xlabel(f"{label}, {len(matrix)} conditions")
            panel.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=axes[:2], shrink=0.75, label="distance² / largest", pad=0.02, aspect=14)
        bar.outline.set_visible(False)
        bar.set_ticks([0, 1])
        upper = np.triu_indices(len(result.model), 1)
        axes[2].plot(result.model[upper], result.dissimilarities[upper], ".", color=BLUE, ms=2, mec="none", alpha=0.5)
        axes[2].set(xlabel="$x^*$: distance² (latent units²)", ylabel="states: distance²\n(activity²)")
        axes[2].set_box_aspect(1)
        axes[2].xaxis.set_major_locator(MaxNLocator(3))
        axes[2].yaxis.set_major_locator(MaxNLocator(4))
        if len(result.null):
            axes[3].hist(result.null, 15, color=PALE, ec=GREY, lw=0.4, label="conditions shuffled")
        p = f", p = {result.p:.2g}" if len(result.null) else ""
        axes[3].axvline(result.value, color=VERMILLION, lw=1.4, label=f"found: {result.value:.2f}{p}")
        axes[3].axvline(result.ceiling, color=INK, lw=0.9, ls=":", label=f"ceiling: {result.ceiling:.2f}")
        axes[3].set(xlim=(min(-0.5, result.null.min(initial=0)), 1.05), xlabel="Spearman's correlation", ylabel="draws")
        axes[3].set_ylim(0, 1.6 * max(1.0, axes[3].get_ylim()[1]))
        axes[3].legend(loc="upper left", fontsize=6)
        for letter, panel in zip("abcd", axes, strict=True):
            panel.set_title(letter, loc="left", weight="bold")
        return figure


def comparison_figure(result: Comparison) -> Figure:
    """Similarity of agents, each with each and with x*: matrices with their numbers, and a map of the angles.

    Below the diagonal are the values, above it those by chance.
    """
    m = len(result.names)
    with mpl.rc_context(STYLE):
        side = max(2.6, 0.34 * m + 0.6)
        figure = Figure(figsize=(2 * side + 1.8, 2 * side + 0.2), layout="constrained")
        axes = figure.subplots(2, 2)
        drawn = (
            ("cka", result.cka, "a   Debiased CKA", "cividis", 1.0),
            ("rsa", result.rsa, "b   Dissimilarities (Spearman)", "cividis", 1.0),
            ("procrustes", np.degrees(result.procrustes), "c   Procrustes angle (degrees)", "cividis_r", 90.0),
        )
        for panel, (name, matrix, title, colours, high) in zip(axes.flat, drawn, strict=False):
            chance = np.degrees(result.chance[name]) if name == "procrustes" else result.chance[name]
            _matrix(panel, result.names, matrix, chance, colours, high)
            panel.set_title(title, loc="left", weight="bold")
            panel.set_xlabel("above the diagonal: by chance" if np.isfinite(chance).any() else "", color=GREY)
        _embedding(axes[1, 1], result)
        axes[1, 1].set_title("d   Map of the angles", loc="left", weight="bold")
        return figure


def _matrix(
    axes: Axes, names: tuple[str, ...], matrix: np.ndarray, chance: np.ndarray, colours: str, high: float
) -> None:
    m = len(names)
    shown = np.where(np.tri(m, dtype=bool), matrix, chance)
    image = axes.imshow(shown, cmap=colours, vmin=0, vmax=high)
    size = float(np.clip(70 / m, 4, 7.5))
    for i in range(m):
        for j in range(m):
            if np.isfinite(shown[i, j]):
                red, green, blue, _ = image.cmap(image.norm(shown[i, j]))
                dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
                text = f"{shown[i, j]:.0f}" if high > 1 else f"{shown[i, j]:.2f}".replace("-0.00", "0.00")
                style = "italic" if j > i else "normal"
                ink = "white" if dark else INK
                axes.text(j, i, text, ha="center", va="center", fontsize=size, color=ink, style=style)
    axes.set_xticks(range(m), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(m), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _embedding(axes: Axes, result: Comparison) -> None:
    points = np.degrees(result.embedding)
    # Agents that are alike lie on each other: their names stand in a column beside, from top to bottom as they do.
    order = np.argsort(-points[:, 1], kind="stable")
    heights = np.linspace(0.97, 0.03, len(order)) if len(order) > 1 else np.array([0.5])
    for i, height in zip(order, heights, strict=True):
        star = result.names[i] == X_STAR
        colour = VERMILLION if star else BLUE
        axes.plot(*points[i], "*" if star else "o", color=colour, ms=11 if star else 5, mec="white", mew=0.6, zorder=3)
        arrow = {"arrowstyle": "-", "color": PALE, "lw": 0.5, "shrinkA": 0, "shrinkB": 2}
        x, y = points[i].tolist()
        style: Style = {"textcoords": "axes fraction", "va": "center", "fontsize": 7, "arrowprops": arrow}
        axes.annotate(result.names[i], (x, y), (1.04, float(height)), **style)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_box_aspect(1)
    axes.margins(0.1)
    shown = f"({100 * result.embedded:.0f} % of squared distances)"
    axes.set(xlabel=f"classical scaling, axis 1 (degrees)\n{shown}", ylabel="axis 2 (degrees)")
