"""Figures over networks: one mark a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, NullLocator

from mtrnn_analysis.figures.style import BLUE, GREY, STYLE, VERMILLION


class Result(NamedTuple):
    """One network: its number of tasks, its share of right answers, and `r2_prior` in and out of distribution."""

    n_tasks: int
    accuracy: float
    r2_id: float
    r2_ood: float


class Reference(NamedTuple):
    """What the networks are held against: `r2_prior` in and out of distribution, and what of."""

    name: str
    r2_id: float
    r2_ood: float


def r2_figure(results: Sequence[Result], references: Sequence[Reference] = ()) -> Figure:
    """`r2_prior` of decoded x* against the number of tasks: one mark a network, lines through the means.

    References are drawn as lines across, dashed in and dotted out of distribution; one name for two that are close.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.0, 3.1), layout="constrained")
        axes = figure.subplots()
        numbers = sorted({result.n_tasks for result in results})
        for field, colour, marker, name in (
            ("r2_id", BLUE, "o", "in distribution"),
            ("r2_ood", VERMILLION, "s", "out of distribution: held-out quadrant"),
        ):
            values = [[getattr(r, field) for r in results if r.n_tasks == n] for n in numbers]
            axes.plot(numbers, [np.mean(v) for v in values], color=colour, lw=1.4, label=name, zorder=3)
            for n, group in zip(numbers, values, strict=True):
                axes.plot([n] * len(group), group, marker, color=colour, ms=5, mec="white", mew=0.6, ls="", zorder=4)
        for name, *levels in references:
            together = abs(levels[0] - levels[1]) < 0.02
            for level, dashes, side in zip(levels, ((0, (5, 2)), (0, (1, 1.5))), ("in", "out"), strict=True):
                axes.axhline(level, color=GREY, lw=0.9, ls=dashes, zorder=2)
                label = name if together else f"{name}, {side}"
                if not together or side == "in":
                    axes.text(
                        1.02, level, label, transform=axes.get_yaxis_transform(), va="center", fontsize=7, color=GREY
                    )
        axes.set_xscale("log", base=2)
        axes.set_xticks(numbers, [str(n) for n in numbers])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MultipleLocator(0.1))
        axes.set_xlabel("number of tasks $N$")
        axes.set_ylabel("$r^2_{\\mathrm{prior}}$ of decoded $x^*$  $(= 1 - 12\\,\\mathrm{MSE})$")
        lowest = min([0.6, *(r.r2_ood for r in results), *(r.r2_ood for r in references)])
        axes.set_ylim(np.floor(20 * (lowest - 0.02)) / 20, 1)
        axes.legend(loc="lower right")
        return figure
