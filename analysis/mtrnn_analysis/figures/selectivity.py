"""Figures of single units: their selectivity, and their alignment with latents."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecBase
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from mtrnn_analysis.figures.style import BLUE, GREY, ORANGE, PALE, SKY, STYLE, VERMILLION
from mtrnn_analysis.selectivity.directions import ORDERS
from mtrnn_analysis.selectivity.selectivity import KINDS, Selectivity
from mtrnn_analysis.selectivity.unit_alignment import UnitAlignment

MOST_PAIRS = 6  # more opposed pairs than these are not marked: among many units each has an opposite
KIND_COLOURS = dict(zip(KINDS, ("#EDEEF0", PALE, "#AEB4BC", GREY, SKY, BLUE, VERMILLION), strict=True))


def selectivity_figure(result: Selectivity) -> Figure:
    """Kinds of units, sparseness, what explains their variance, chance, preferred directions, and maps over the plane.

    Directions and maps are drawn for two latents alone.
    """
    n_maps = len(result.maps)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.7 + (1.5 if n_maps else 0)), layout="constrained")
        heights = [1, 1, 0.66] if n_maps else [1, 1]
        rows = figure.add_gridspec(len(heights), 1, height_ratios=heights)
        upper, middle = (rows[i].subgridspec(1, 3) for i in range(2))
        panels = [figure.add_subplot(grid[i]) for grid in (upper, middle) for i in range(3)]
        _kinds(panels[0], result)
        _sparseness(panels[1], result)
        _directions(panels[2], result)
        _shares(panels[3], result)
        _null(panels[4], result.value, result.null, result.p, "interaction share, mean over live units")
        _resultants(panels[5], result)
        titles = ("Units", "Sparseness", "Preferred directions", "What explains live units", "Mixing", "Clustering")
        for letter, title, axes in zip("abcdef", titles, panels, strict=True):
            axes.set_title(f"{letter}   {title}", loc="left", weight="bold")
        if n_maps:
            _maps(figure, rows[2].subgridspec(1, max(n_maps, 6)), result)
        return figure


def unit_alignment_figure(result: UnitAlignment) -> Figure:
    """Importance of units for latents, mutual information, and the scores beside those of a random basis."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.1), layout="constrained")
        axes = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
        share = result.importance.max(axis=1)
        order = np.lexsort((-share, result.importance.argmax(axis=1)))
        for panel, values, label in (
            (axes[0], result.importance, "importance: |weight| × sd (latent units)"),
            (axes[1], result.information, "mutual information (nats)"),
        ):
            image = panel.imshow(np.maximum(values[order], 0), aspect="auto", cmap="cividis", vmin=0)
            n_latents = values.shape[1]
            panel.set_xticks(range(n_latents), [f"$x_{d + 1}$" for d in range(n_latents)])
            few = len(order) <= 12
            panel.set_yticks(range(len(order)) if few else [], result.units[order] if few else [])
            panel.set_ylabel("live unit" if few else f"{len(order)} live units, by latent")
            panel.spines[:].set_visible(False)
            panel.tick_params(length=0)
            figure.colorbar(image, ax=panel, shrink=0.9, label=label).outline.set_visible(False)
        _scores(axes[2], result)
        if result.null_means:
            figure.legend(*axes[2].get_legend_handles_labels(), loc="outside lower right", ncols=2)
        titles = ("Ridge decoder", "Single units", "Unit alignment")
        for letter, title, panel in zip("abc", titles, axes, strict=True):
            panel.set_title(f"{letter}   {title}", loc="left", weight="bold")
        return figure


def _kinds(axes: Axes, result: Selectivity) -> None:
    counts = [result.units[kind] for kind in KINDS]
    axes.barh(range(len(KINDS)), counts, color=[KIND_COLOURS[kind] for kind in KINDS], ec=GREY, lw=0.4)
    for i, count in enumerate(counts):
        axes.annotate(str(count), (count, i), (3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(range(len(KINDS)), KINDS)
    axes.set_xlim(0, 1.15 * max(counts))
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("units")


def _sparseness(axes: Axes, result: Selectivity) -> None:
    bins = [float(edge) for edge in np.linspace(0, 1, 21)]
    for values, colour, name in (
        (result.lifetime, BLUE, "lifetime, of units"),
        (result.population, ORANGE, "population, of trials"),
    ):
        values = values[np.isfinite(values)]
        if len(values):
            weights = np.full(len(values), 1 / len(values))
            axes.hist(values, bins, weights=weights, histtype="stepfilled", color=colour, alpha=0.35)
            axes.hist(values, bins, weights=weights, histtype="step", color=colour, lw=1, label=name)
            axes.axvline(values.mean(), 0, 0.76, color=colour, lw=0.9, ls="--")
    axes.set(xlim=(0, 1), xlabel="sparseness $S$ (0 even, 1 one alone)", ylabel="share")
    axes.set_ylim(0, 1.28 * axes.get_ylim()[1])
    axes.legend(loc="upper left", ncols=1)


def _directions(axes: Axes, result: Selectivity) -> None:
    directions = result.directions
    axes.set_box_aspect(1)
    if np.isnan(directions.degrees).any() or not len(directions.units):
        many = directions.slopes.shape[1] != 2
        axes.text(0.5, 0.5, "drawn for two latents" if many else "no unit has one", ha="center", color=GREY)
        axes.set_axis_off()
        return
    reach = float(np.linalg.norm(directions.slopes, axis=1).max())
    axes.add_artist(Circle((0, 0), reach, fc="none", ec=PALE, lw=0.6))
    axes.plot([-reach, reach], [0, 0], color=PALE, lw=0.6, zorder=0)
    axes.plot([0, 0], [-reach, reach], color=PALE, lw=0.6, zorder=0)
    paired = set(directions.pairs.ravel()) if len(directions.pairs) <= MOST_PAIRS else set()
    for unit, (x, y) in zip(directions.units, directions.slopes, strict=True):
        colour = VERMILLION if unit in paired else BLUE
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.2, "shrinkA": 0, "shrinkB": 0, "alpha": 0.85}
        axes.annotate("", (x, y), (0, 0), arrowprops=arrow)
    axes.set(xlim=(-1.12 * reach, 1.12 * reach), ylim=(-1.12 * reach, 1.12 * reach))
    text = f"{len(directions.units)} units"
    if paired:
        text = f"{len(directions.pairs)} opposed pair" + ("s" if len(directions.pairs) > 1 else "")
    if np.isfinite(directions.between_pairs):
        text += f", {directions.between_pairs:.0f}° apart"
    axes.set_xlabel(f"slope along $x_1$\n{text}")
    axes.set_ylabel("along $x_2$ (activity / latent unit)")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _shares(axes: Axes, result: Selectivity) -> None:
    live = np.flatnonzero(np.isfinite(result.explained))
    live = live[np.argsort(-result.explained[live], kind="stable")]
    linear = np.maximum(result.explained - result.nonlinear, 0)[live]
    additive = np.maximum(result.explained - result.interaction, 0)[live]
    levels = [np.zeros(len(live)), linear, np.maximum(additive, linear), np.maximum(result.explained[live], additive)]
    names = ("linear", "curved, one latent each", "interaction")
    for low, high, colour, name in zip(levels, levels[1:], (BLUE, SKY, VERMILLION), names, strict=False):
        axes.bar(range(len(live)), np.maximum(high - low, 0), 1, low, color=colour, label=name, ec="white", lw=0.2)
    axes.set(xlim=(-0.5, len(live) - 0.5), ylim=(0, 1.42), xlabel="live units, sorted", ylabel="share of variance")
    axes.set_yticks([0, 0.5, 1])
    axes.axhline(1, color=PALE, lw=0.6, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.legend(loc="upper left", ncols=1, labelspacing=0.2, handlelength=1)


def _null(axes: Axes, value: float, null: np.ndarray, p: float, what: str) -> None:
    if len(null):
        axes.hist(null, 15, color=PALE, ec=GREY, lw=0.4, label=f"additive units ({len(null)} draws)")
    name = f"found: {value:.3f}" + (f", p = {p:.2g}" if len(null) else "")
    axes.axvline(value, color=VERMILLION, lw=1.4, label=name)
    axes.set(xlabel=what, ylabel="draws")
    axes.set_ylim(0, 1.35 * max(1.0, axes.get_ylim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.legend(loc="upper center")


def _resultants(axes: Axes, result: Selectivity) -> None:
    if not result.directions.resultants:
        axes.text(0.5, 0.5, "drawn for two latents", ha="center", color=GREY)
        axes.set_axis_off()
        return
    for i, order in enumerate(map(str, ORDERS)):
        null = result.directions.resultants_null[order]
        if len(null):
            low, middle, high = np.quantile(null, [0.025, 0.5, 0.975])
            label = "even directions, 95 %" if i == 0 else None
            axes.plot([i, i], [low, high], color=PALE, lw=9, solid_capstyle="butt", zorder=1, label=label)
            axes.plot([i - 0.22, i + 0.22], [middle] * 2, color=GREY, lw=0.8, zorder=2)
    values = [result.directions.resultants[str(order)] for order in ORDERS]
    axes.plot(range(len(ORDERS)), values, "o", color=VERMILLION, ms=5, mec="white", mew=0.5, zorder=3, label="found")
    names = {1: "1 way", 2: "1 axis", 3: "3 ways", 4: "2 axes", 6: "3 axes"}
    axes.set_xticks(range(len(ORDERS)), [f"{order}\n{names[order]}" for order in ORDERS], fontsize=6.5)
    axes.set(xlim=(-0.6, len(ORDERS) - 0.4), ylim=(0, 1.4), xlabel="order", ylabel="resultant of directions")
    axes.set_yticks([0, 0.5, 1])
    axes.legend(loc="upper left", ncols=2, columnspacing=1)


def _maps(figure: Figure, grid: GridSpecBase, result: Selectivity) -> None:
    for i, (unit, cells) in enumerate(zip(result.map_units, result.maps, strict=True)):
        axes = figure.add_subplot(grid[i])
        edges = result.map_edges
        image = axes.pcolormesh(edges[0], edges[1], cells, cmap="cividis", rasterized=True)
        axes.set_box_aspect(1)
        axes.set_xticks([-0.5, 0.5] if edges[0, 0] >= -0.5 and edges[0, -1] <= 0.5 else [])
        axes.set_yticks(axes.get_xticks() if i == 0 else [])
        axes.set_title(f"unit {unit}\n{result.kinds[unit]}", fontsize=7)
        axes.set_xlabel("$x_1$", fontsize=7)
        if i == 0:
            axes.set_ylabel("$x_2$ (latent units)", fontsize=7)
            axes.text(-0.75, 1.3, "g", transform=axes.transAxes, weight="bold", fontsize=9)
        bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.9, pad=0.04, aspect=12)
        bar.ax.tick_params(labelsize=6, length=1.5, pad=0.5)
        if i == 0:
            bar.set_label("mean activity", fontsize=6)
        bar.ax.xaxis.set_major_locator(MaxNLocator(2))
        bar.outline.set_visible(False)


def _scores(axes: Axes, result: UnitAlignment) -> None:
    scores = {
        "disentanglement\n(DCI)": ("disentanglement", result.value),
        "completeness\n(DCI)": ("completeness", result.completeness),
        "informativeness\n(DCI, $r^2$)": ("", result.informativeness),
        "MIG": ("mig", result.mig),
        "SAP": ("sap", result.sap),
        "modularity": ("modularity", result.modularity),
    }
    for i, (name, value) in enumerate(scores.values()):
        axes.barh(i, 0 if np.isnan(value) else value, 0.6, color=GREY if name == "" else BLUE, zorder=2)
        if name in result.null_means:
            chance = result.null_means[name]
            label = "random basis, mean" if i == 0 else None
            axes.plot([chance] * 2, [i - 0.38, i + 0.38], color=VERMILLION, lw=1.6, zorder=3, label=label)
        p = f", p = {result.p_values[name]:.2g}" if np.isfinite(result.p_values.get(name, np.nan)) else ""
        axes.text(1.03, i, f"{value:.2f}{p}", va="center", fontsize=6.5, transform=axes.get_yaxis_transform())
    if len(result.null):
        floor = np.zeros(len(result.null))
        axes.plot(result.null, floor, "|", color=ORANGE, ms=7, mew=0.6, zorder=3, label="its draws")
    axes.set_yticks(range(len(scores)), list(scores))
    axes.set(xlim=(0, 1), ylim=(len(scores) - 0.4, -0.6), xlabel="score of this basis, not of abstraction")
