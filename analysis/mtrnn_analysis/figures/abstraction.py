"""Figures of abstraction (CCGP, parallelism) and of shattering."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtrnn_analysis.figures.marks import (
    LABELS,
    LATENTS,
    dot,
    latent_colour,
    latent_name,
    null_marks,
    value_label,
    value_mark,
    violins,
)
from mtrnn_analysis.figures.style import BLUE, GREY, INK, QUADRANTS, STYLE, VERMILLION, Style
from mtrnn_analysis.geometry.ccgp import Ccgp
from mtrnn_analysis.geometry.parallelism import Parallelism
from mtrnn_analysis.geometry.principal import principal_components
from mtrnn_analysis.geometry.shattering import Shattering


def ccgp_figure(result: Ccgp) -> Figure:
    """CCGP of each dichotomy beside its geometric null (dark) and label null (light), and chance."""
    names = list(result.by_dichotomy)
    nulls = [(result.null_by_dichotomy[:, k], result.null_labels_by_dichotomy[:, k]) for k in range(len(names))]
    columns = [("mean of\nlatents", result.value, result.p, result.null, result.null_labels)]
    for name, pair in zip(names, nulls, strict=True):
        columns.append((latent_name(name), result.by_dichotomy[name], result.p_by_dichotomy[name], *pair))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.4 + 0.75 * len(columns), 3.0), layout="constrained")
        axes = figure.subplots()
        axes.axhline(0.5, color=GREY, lw=0.8, ls=":")
        axes.annotate("chance", (1, 0.5), (-2, 2), axes.get_yaxis_transform(), "offset points", color=GREY, ha="right")
        for i, (_, value, p, geometric, labels) in enumerate(columns):
            violins(axes, i, geometric, labels)
            value_mark(axes, i, value, BLUE if i else INK)
            value_label(axes, i, 1.04, value, p)
        axes.set_xticks(range(len(columns)), [column[0] for column in columns])
        axes.set(ylim=(-0.02, 1.02), xlim=(-0.6, len(columns) - 0.2))
        left_out = {"one_sign": "conditions that differ in one sign", "all": "all pairs of conditions"}
        axes.set_ylabel("CCGP (accuracy)")
        axes.set_xlabel(f"dichotomy; left out: {left_out[result.settings['pairs']]}")
        figure.legend(handles=null_marks(), loc="outside lower center", ncols=2)
    return figure


def parallelism_figure(result: Parallelism) -> Figure:
    """Left: the mean states of the conditions in their first two principal components, and the coding vectors between
    them, a colour for each latent. Right: the parallelism score, corrected and as measured, beside its nulls.
    """
    names = list(result.by_latent)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6 + 0.6 * len(names), 3.1), layout="constrained")
        plane, axes = figure.subplots(1, 2, width_ratios=[3.0, 0.8 + 0.65 * len(names)])
        components = principal_components(result.centroids, min(2, result.centroids.shape[1]))
        places = components.project(result.centroids)
        places = np.column_stack([places, np.zeros((len(places), 2 - places.shape[1]))])
        for d in range(len(names)):
            for q, sign in enumerate(result.orthants):
                if sign[d] == "+":
                    continue
                ends = places[[q, result.orthants.index(sign[:d] + "+" + sign[d + 1 :])]]
                arrow = {"arrowstyle": "-|>", "color": LATENTS[d % 5], "lw": 1.2, "shrinkA": 4, "shrinkB": 4}
                plane.annotate("", ends[1], ends[0], arrowprops=arrow)
        colours = [QUADRANTS.get(name, INK) for name in result.orthants]
        plane.scatter(*places.T, c=colours, s=34, lw=0.6, edgecolors="white", zorder=3)
        if len(names) == 2:
            for place, name in zip(places, result.orthants, strict=True):
                out = place / max(float(np.linalg.norm(place)), 1e-12)
                middle: Style = {"ha": "center", "va": "center", "fontsize": 6.5, "color": INK}
                plane.annotate(f"$({','.join(name)})$", place, 11 * out, textcoords="offset points", **middle)
        plane.set_aspect("equal", "datalim")
        plane.margins(0.32)
        shares = [*components.shares, 0.0]
        plane.set_xlabel(f"PC 1 of mean states (activity; {100 * shares[0]:.0f} %)")
        plane.set_ylabel(f"PC 2 ({100 * shares[1]:.0f} %)")
        columns = [("mean", result.value, result.uncorrected, result.p, result.null, result.null_labels)]
        for d, name in enumerate(names):
            nulls = result.null_by_latent[:, d], result.null_labels_by_latent[:, d]
            values = result.by_latent[name], result.uncorrected_by_latent[name]
            columns.append((latent_name(name), *values, result.p_by_latent[name], *nulls))
        axes.axhline(0, color=GREY, lw=0.8, ls=":")
        for i, (_, value, plain, p, geometric, labels) in enumerate(columns):
            violins(axes, i, np.clip(geometric, -1.2, 1.2), np.clip(labels, -1.2, 1.2))
            axes.plot(i, plain, "o", ms=6, mfc="none", mec=INK, mew=0.8, zorder=5)
            value_mark(axes, i, value, LATENTS[(i - 1) % 5] if i else INK)
            value_label(axes, i, 1.24, value, p)
        axes.set_xticks(range(len(columns)), [column[0] for column in columns])
        axes.set(ylim=(-1.2, 1.2), xlim=(-0.6, len(columns) - 0.4), ylabel="parallelism score (mean cosine)")
        plain = Line2D([], [], ls="", marker="o", ms=6, mfc="none", mec=INK, mew=0.8, label="as measured")
        arrows = [
            Line2D([], [], color=LATENTS[d % 5], lw=1.2, label=f"{latent_name(name)}: from $-$ to $+$")
            for d, name in enumerate(names)
        ]
        figure.legend(handles=[*arrows, plain, *null_marks()], loc="outside lower center", ncols=min(len(names) + 1, 5))
    return figure


def shattering_figure(result: Shattering) -> Figure:
    """The accuracy of each balanced dichotomy, from the easiest on, the 5-95 % range of its null, and the mean.

    Up to 35 dichotomies are drawn below as rows of their conditions, dark for the upper class.
    """
    order = np.argsort(-result.accuracies, kind="stable")
    rows, few = result.dichotomies[order], len(order) <= 35
    signs = np.array([[1 if sign == "+" else -1 for sign in name] for name in result.orthants])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 if len(order) <= 3 else 5.6, 3.4 if few else 2.7), layout="constrained")
        panels = figure.subplots(2 if few else 1, 1, height_ratios=[2.6, 1] if few else [1], sharex=True)
        axes = np.atleast_1d(panels)[0]
        place = np.arange(len(order))
        if len(result.null):
            low, high = np.quantile(result.null_accuracies[:, order], [0.05, 0.95], axis=0)
            edges = np.concatenate([place - 0.5, place[-1:] + 0.5])
            axes.stairs(high, edges, baseline=low, fill=True, color=LABELS, label="labels permuted, 5-95 %")
        colours = [latent_colour(row, signs) for row in rows]
        axes.scatter(place, result.accuracies[order], c=colours, s=26 if few else 6, lw=0, zorder=3)
        axes.axhline(result.value, color=INK, lw=1.1)
        p = "" if np.isnan(result.p) else f", $p$ = {result.p:.2g}"
        axes.axhline(0.5, color=GREY, lw=0.8, ls=":")
        axes.set(ylim=(min(0.44, result.accuracies.min() - 0.02), 1.01), ylabel="accuracy, cross-validated")
        axes.set_title(f"mean {result.value:.3f}{p}", loc="left")
        axes.spines["bottom"].set_visible(not few)
        marks = [(VERMILLION, "XOR of two signs"), (BLUE, "sign of a latent"), (GREY, "other")]
        handles: list[Artist] = [dot(colour, label, ms=5) for colour, label in marks if colour in colours]
        handles.append(Line2D([], [], color=INK, lw=1.1, label="mean"))
        handles.append(Patch(color=LABELS, label="labels permuted, 5-95 %"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2 if len(order) <= 3 else 4)
        if few:
            below = panels[1]
            x, y = np.arange(len(order) + 1) - 0.5, np.arange(rows.shape[1] + 1) - 0.5
            below.pcolormesh(x, y, rows.T, cmap="Greys", vmin=-1.3, vmax=1.6, edgecolors="white", lw=1)
            below.set_yticks(range(rows.shape[1]), result.orthants, family="monospace")
            below.invert_yaxis()
            below.set(ylabel="signs of $x^*$")
            below.tick_params(length=0)
            axes.tick_params(bottom=False)
            for side in ("left", "bottom"):
                below.spines[side].set_visible(False)
        np.atleast_1d(panels)[-1].set(xlabel="dichotomy, easiest first")
        np.atleast_1d(panels)[-1].set_xticks([] if few else [0, len(order) - 1], [] if few else ["1", str(len(order))])
    return figure
