"""Figures of groups of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mtrnn_analysis.figures.style import BLUE, GREY, INK, STYLE


def groups_figure(
    values: Mapping[Any, Sequence[float] | np.ndarray],
    rows: Sequence[Mapping[str, Any]],
    label: str,
    references: Mapping[str, float] | None = None,
) -> Figure:
    """One dot a network, beside the interquartile mean of its group and its interval.

    Arguments:
        values: by group, one a network.
        rows: what `statistics.summary` gives for these groups.
        label: of the axis: what the values are, with their unit.
        references: levels to draw across, such as a ceiling or chance, by name.

    Raises:
        ValueError: if `rows` are not of these groups, in this order.
    """
    if [row["group"] for row in rows] != list(values):
        raise ValueError(f"rows are of the groups {[row['group'] for row in rows]}, values of {list(values)}")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.4 + 0.62 * len(values), 2.8), layout="constrained")
        axes = figure.subplots()
        for i, (row, each) in enumerate(zip(rows, values.values(), strict=True)):
            # Spread sideways in the order given: which dot is which network stays to be seen.
            sideways = np.linspace(-0.16, 0.16, len(each)) if len(each) > 1 else np.zeros(1)
            axes.plot(i - 0.12 + sideways, each, "o", color=BLUE, ms=3.8, mec="white", mew=0.4, alpha=0.8, zorder=3)
            if np.isfinite(row["low"]):
                axes.plot([i + 0.24] * 2, [row["low"], row["high"]], color=INK, lw=1.3, zorder=3)
            axes.plot(i + 0.24, row["iqm"], "D", color=INK, ms=4.2, mec="white", mew=0.5, zorder=4)
        for name, level in (references or {}).items():
            axes.axhline(level, color=GREY, lw=0.9, ls=(0, (4, 2)), zorder=1)
            axes.text(1.02, level, name, transform=axes.get_yaxis_transform(), va="center", fontsize=7, color=GREY)
        axes.set_xticks(range(len(rows)), [f"{row['group']}\n(n = {row['networks']})" for row in rows])
        axes.set_xlim(-0.6, len(rows) - 0.4)
        axes.set_ylabel(label)
        axes.set_xlabel("dots: networks; diamonds: interquartile means, with bootstrap intervals", size=6.5, color=GREY)
        return figure
