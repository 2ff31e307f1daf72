"""Figures of training: how far agents had come after so many updates, or environment steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, STYLE, VERMILLION
from mtrnn_envs import EvidenceTask
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance


class Course(NamedTuple):
    """How one network was trained, and what it had reached after so many updates: accuracy and OOD `r2_prior`."""

    name: str
    updates: Sequence[int]
    accuracy: Sequence[float]
    r2_ood: Sequence[float]


class Curve(NamedTuple):
    """What one run of an agent had reached after so many environment steps: the `values` of `what`."""

    name: str
    what: str
    steps: Sequence[float]
    values: Sequence[float]


def courses_figure(courses: Sequence[Course], task: EvidenceTask) -> Figure:
    """What accuracy and OOD `r2_prior` of networks lack of the ideal observer's, while they are trained.

    Thin lines are networks, thick ones medians over those of one name; what lacks less than 1e-3, about the error of
    accuracy on 2048 trials, is drawn there.
    """
    names, ideal = list(dict.fromkeys(course.name for course in courses)), ideal_performance(task)
    best = {"accuracy": ideal.accuracy, "r2_ood": ideal.r2_prior}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 2.7), layout="constrained")
        for axes, (field, most), letter in zip(figure.subplots(1, 2), best.items(), "ab", strict=True):
            for name, colour in zip(names, (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY), strict=False):
                mine = [course for course in courses if course.name == name]
                lacks = [np.maximum(most - np.asarray(getattr(course, field)), 1e-3) for course in mine]
                for lack in lacks:
                    axes.semilogy(mine[0].updates[: len(lack)], lack, color=colour, lw=0.4, alpha=0.5)
                median = np.median(list(zip(*lacks, strict=False)), axis=1)
                label = f"{name} ({len(mine)} networks)"
                axes.semilogy(mine[0].updates[: len(median)], median, color=colour, lw=1.6, label=label)
            what = {"accuracy": "accuracy", "r2_ood": r"OOD $r^2_\mathrm{prior}$"}[field]
            axes.set(xlabel="updates", ylabel=f"{what}: lacking to the ideal observer")
            axes.set_title(letter, loc="left", fontweight="bold")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
        figure.axes[-1].legend()
    return figure


def learning_figure(curves: Sequence[Curve], best: Mapping[str, float]) -> Figure:
    """What agents reached while they learned, one panel for each `what` in `best`, with the best that can be had.

    A line is the median over the runs of one name, at steps that all of them have; the band is from the least to the
    greatest.
    """
    names = list(dict.fromkeys(curve.name for curve in curves))
    styles = [(colour, dash) for dash in ("-", "--") for colour in (INK, BLUE, SKY, GREEN, VERMILLION, ORANGE, PURPLE)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 2.9), layout="constrained")
        panels = figure.subplots(1, len(best), squeeze=False)[0]
        for axes, (what, most), letter in zip(panels, best.items(), "abcdef", strict=False):
            for name, (colour, dash) in zip(names, styles, strict=False):
                mine = [curve for curve in curves if (curve.name, curve.what) == (name, what)]
                if not mine:
                    continue
                first, last = max(c.steps[0] for c in mine), min(c.steps[-1] for c in mine)
                steps = np.geomspace(first, last, 200 if last > first else 1)
                values = [np.interp(steps, c.steps, c.values) for c in mine]
                mark = None if len(steps) > 1 else "o"
                axes.semilogx(
                    steps, np.median(values, axis=0), marker=mark, ls=dash, color=colour, lw=1.3, ms=3, label=name
                )
                axes.fill_between(steps, np.min(values, axis=0), np.max(values, axis=0), color=colour, alpha=0.15, lw=0)
            axes.axhline(most, color=GREY, lw=0.8, ls=":")
            axes.annotate(
                "best possible",
                (0, most),
                (2, 2),
                axes.get_yaxis_transform(),
                "offset points",
                color=GREY,
            )
            axes.set(xlabel="environment steps", ylabel=what)
            axes.xaxis.set_major_formatter(
                lambda value, _: f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"
            )
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_title(letter, loc="left", fontweight="bold")
        lines = {line.get_label(): line for axes in panels for line in axes.get_lines() if line.get_label() in names}
        figure.legend([lines[name] for name in names], names, loc="outside right upper")
    return figure
