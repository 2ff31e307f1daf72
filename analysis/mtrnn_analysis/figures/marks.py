"""Marks that figures of probes share: a value, its nulls, latents."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtrnn_analysis.figures.style import BLUE, GREY, ORANGE, PURPLE, SKY, VERMILLION
from mtrnn_analysis.result import NO_NULL

LATENTS = (BLUE, VERMILLION, PURPLE, ORANGE, SKY)
GEOMETRIC, LABELS = "#8F959E", "#DDE0E5"


def latent_name(name: str) -> str:
    """The label of a latent, or of XOR."""
    return "XOR" if name == "xor" else f"$x_{{{name[1:]}}}$"


def latent_colour(row: np.ndarray, signs: np.ndarray) -> str:
    """The colour of a dichotomy: of a latent's sign, of the product of two latents' signs, or of another."""
    n_dims = signs.shape[1]
    if any((row == side * signs[:, d]).all() for d in range(n_dims) for side in (-1, 1)):
        return BLUE
    pairs = [signs[:, d] * signs[:, e] for d in range(n_dims) for e in range(d)]
    return VERMILLION if any((row == side * pair).all() for pair in pairs for side in (-1, 1)) else GREY


def violins(axes: Any, place: float, geometric: np.ndarray, labels: np.ndarray = NO_NULL) -> None:
    """Null distributions; two stand side by side."""
    both = len(geometric) > 0 and len(labels) > 0
    for null, colour, side in ((geometric, GEOMETRIC, "low"), (labels, LABELS, "high")):
        if not len(null):
            continue
        parts = axes.violinplot(null, [place], widths=0.8, showextrema=False, side=side if both else "both")
        for body in parts["bodies"]:
            body.set(facecolor=colour, alpha=1, edgecolor="none", zorder=1)


def value_mark(axes: Axes, place: float, value: float, colour: str) -> None:
    """The value itself, at `place` of the axis across."""
    axes.plot(place, value, "D", ms=5.5, color=colour, mec="white", mew=0.7, zorder=6, clip_on=False)


def value_label(
    axes: Axes, place: float, height: float, value: float, p: float, form: str = "{:.2f}", va: str = "bottom"
) -> None:
    """The value and its p, as text."""
    text = form.format(value) + ("" if np.isnan(p) else f"\n$p$ = {p:.2g}")
    axes.text(place, height, text, ha="center", va=va, fontsize=6.5)


def dot(colour: str, label: str, marker: str = "o", ms: float = 4) -> Line2D:
    """A mark without a line, for a legend."""
    return Line2D([], [], ls="", marker=marker, ms=ms, mec="none", mfc=colour, label=label)


def null_marks() -> list[Patch]:
    """The two nulls, for a legend."""
    return [
        Patch(color=GEOMETRIC, label="null: places of conditions mixed by a rotation"),
        Patch(color=LABELS, label="null: labels permuted"),
    ]
