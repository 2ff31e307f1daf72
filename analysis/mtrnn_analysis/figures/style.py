"""Colours, sizes and quadrants of all figures, and how figures are written. No global state is touched.

Colours are those of Okabe & Ito (2008), which colour-blind readers tell apart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

try:
    import matplotlib as mpl
except ImportError as error:
    raise ImportError('mtrnn_analysis.figures needs matplotlib: pip install "mtrnn-envs[analysis]"') from error
import numpy as np
from matplotlib.figure import Figure

from mtrnn_envs.utils.atomic_write import atomic_write

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, GREY, PALE = "#222222", "#7A7F87", "#C9CDD3"
# Quadrants in the order of the angle of x*, by the signs of (x1, x2).
QUADRANTS = {"++": BLUE, "-+": ORANGE, "--": PURPLE, "+-": GREEN}
QUADRANT_NAMES = {signs: f"$x_1$ {'><'[signs[0] == '-']} 0, $x_2$ {'><'[signs[1] == '-']} 0" for signs in QUADRANTS}
Style: TypeAlias = dict[str, Any]  # keyword arguments of a function of matplotlib or plotly
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "pdf.fonttype": 42,
}


def save(figure: Figure, path: str | os.PathLike[str], dpi: int = 200) -> list[Path]:
    """Writes `figure` as PNG and PDF beside each other, each whole or not at all; gives their paths."""
    paths = [Path(path).with_suffix(suffix) for suffix in (".png", ".pdf")]
    for target in paths:
        with mpl.rc_context(STYLE), atomic_write(target) as temporary:
            dates = {"CreationDate": None} if target.suffix == ".pdf" else None
            figure.savefig(temporary, format=target.suffix[1:], dpi=dpi, metadata=dates, facecolor="white")
    return paths


def signs(latents: np.ndarray) -> np.ndarray:
    """The quadrant of each row, such as "+-"."""
    return np.array(["".join("-+"[int(v)] for v in row > 0) for row in latents])
