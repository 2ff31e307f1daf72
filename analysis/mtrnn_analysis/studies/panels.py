"""Parts that figures of studies share: lines by axis and measure, limits, legends, captions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType, LineStyleType

from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, STYLE, VERMILLION, Style
from mtrnn_analysis.statistics import Interval
from mtrnn_analysis.studies.networks import Networks, axes_of, column_of, estimate, strata, where
from mtrnn_envs.experiments.studies.study import Study, alike, number

# Columns that are r2_prior, which is at most 1; nothing is drawn below the floor.
R2 = re.compile(
    r"((^|.*\.)(r2_prior|r2_ood|r2_id|ood|id|released)|(decoding|plane_decoding|released_holdout|decoding_course)\.value"
    r"|evidence_course\.theory|decoding_course\.(mean|ideal)"
    r"|sample_curve\.(decoded|answers|mean|mean_theory|ideal_theory))( where .*)?"
)
R2_LABEL = "$r^2_{\\mathrm{prior}}$ of $x^*$  $(= 1 - 12\\,\\mathrm{MSE})$"
FLOOR = -1.0
# The names of axes whose levels set one field.
FIELDS = {
    "task.n_tasks": "number of tasks",
    "task.n_dims": "number of latents",
    "task.sigma": "noise of one sample, sd (latent units)",
    "test.sigma": "noise of one test sample, sd (latent units)",
    "task.stimulus": "stimulus (steps)",
    "task.delay": "delay (steps)",
    "test.delay": "delay in the test (steps)",
    "task.latent_correlation": "correlation of latents",
    "task.autocorrelation": "autocorrelation of noise",
    "task.encoder_noise": "noise behind the encoder, sd",
    "task.time_cost": "cost of a step",
    "training.n_updates": "updates",
    "training.network.n_units": "units",
    "training.network.noise": "noise of units, sd",
}
COLOURS = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("s", "o", "^", "D", "v", "P", "X", "<")
DASHES: tuple[LineStyleType, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
ACROSS: tuple[LineStyleType, ...] = ((0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (2, 2)), (0, (8, 1.5)))
SEED = 0  # of the bootstrap: the same networks give the same figure


class Drawn(NamedTuple):
    """A figure of matplotlib or plotly, with the name of its file and a caption in plain text."""

    name: str
    figure: Any
    caption: str


class Request(NamedTuple):
    """The input of a kind of figure: networks, the table of the study, the folder of the results, and a name."""

    found: Networks
    table: Mapping[str, Any]
    out: Path
    name: str


class Line(NamedTuple):
    """One measure of the networks of one level: one line, or one colour."""

    label: str
    column: str
    rows: list[int]
    colour: ColorType
    marker: str
    dash: LineStyleType
    filled: bool


class Mark(NamedTuple):
    """The networks at one place of a line, with their interquartile mean."""

    place: str
    values: np.ndarray
    missing: int
    interval: Interval


def measures_of(study: Study, given: Any) -> dict[str, str]:
    """Columns by title, of a list of measures or a table of columns by title."""
    if isinstance(given, Mapping):
        return {str(title): column_of(study, name, False) for title, name in given.items()}
    names = [given] if isinstance(given, str) else given
    return {name: column_of(study, name, False) for name in names}


def levels_of(found: Networks, axis: str, rows: Iterable[int]) -> list[Any]:
    """The levels of an axis that some of the networks `rows` have, in the study's order."""
    present = {str(found.labels[i].get(axis)) for i in rows}
    return [level for level in axes_of(found.study).get(axis, []) if str(level) in present]


def lines_of(request: Request, measures: Mapping[str, str]) -> list[Line]:
    """One line for each measure and level of the hue; colours are of levels, or, without a hue, of measures."""
    found, table = request.found, request.table
    rows, hue = where(found, table.get("where", {})), table.get("hue")
    if hue is None:
        return [
            Line(title, column, rows, COLOURS[k % 6], MARKERS[k % 8], DASHES[k % 4], filled=True)
            for k, (title, column) in enumerate(measures.items())
        ]
    levels = levels_of(found, hue, rows)
    colours: list[ColorType] = [COLOURS[k % 6] for k in range(len(levels))]
    numbers = np.isfinite([number(level) for level in levels])
    if numbers.sum() > 1:  # dark to light, also in print; levels that are not numbers are grey
        ordered = iter(mpl.colormaps["viridis"](np.linspace(0, 0.85, numbers.sum())))
        colours = [next(ordered) if is_number else GREY for is_number in numbers]
    members = [(level_text(hue, level), where(found, {hue: level}, rows)) for level in levels]
    return [
        Line(name, column, mine, colour, MARKERS[k % 8], DASHES[m % 4], m == 0)
        for m, column in enumerate(measures.values())
        for k, ((name, mine), colour) in enumerate(zip(members, colours, strict=True))
    ]


def level_text(axis: str, level: object) -> str:
    """A level in words: "N = 24", or the level itself, if it is not a number."""
    return f"{axis} = {level}" if np.isfinite(number(level)) else str(level)


def mark(found: Networks, rows: Iterable[int], values: np.ndarray, place: str) -> Mark:
    """The interquartile mean of the networks `rows`; values that are not finite are left out, and counted."""
    rows = list(rows)
    finite = [i for i in rows if np.isfinite(values[i])]
    interval = estimate([values[group] for group in strata(found, finite)], np.random.default_rng(SEED))
    return Mark(place, values[finite], len(rows) - len(finite), interval)


def has(found: Networks, column: str, rows: Iterable[int], curves: bool) -> bool:
    """Whether any of the networks `rows` has a number, or a curve, of that name."""
    if curves:
        return any(np.isfinite(found.curve(i, column)).any() for i in rows)
    return bool(np.isfinite(found.numbers(column)[list(rows)]).any())


def start(height: float = 3.0, wide: float = 3.5) -> tuple[Figure, Axes]:
    """A figure with one panel."""
    figure = Figure(figsize=(wide, height), layout="constrained")
    return figure, figure.subplots()


def limit(axes: Axes, table: Mapping[str, Any], columns: Iterable[str], values: Sequence[np.ndarray]) -> str:
    """Sets the vertical limits; the sentence of the caption about values outside them."""
    low, high = axes.get_ylim()
    if all(R2.fullmatch(column) for column in columns):
        low, high = max(low, FLOOR), min(high, 1.0)
    low, high = table.get("ylim", (low, high))
    axes.set_ylim(low, high)
    every = np.concatenate([np.ravel(each) for each in values]) if values else np.empty(0)
    outside = int(((every < low - 1e-9) | (every > high + 1e-9)).sum())
    return f"{count(outside, 'value lies', 'values lie')} outside the limits." if outside else ""


def ylabel(columns: Mapping[str, str]) -> str:
    """The label of the vertical axis: r2_prior, the title of the measure, or the words that all titles end with."""
    if all(R2.fullmatch(column) for column in columns.values()):
        return R2_LABEL
    words = [title.split() for title in columns]
    shared = 0
    while shared < min(map(len, words)) and len({each[-shared - 1] for each in words}) == 1:
        shared += 1
    return " ".join(words[0][len(words[0]) - shared :]) if shared else ", ".join(columns)


def axis_label(study: Study, axis: str) -> str:
    """The label of an axis: the field that its levels set, if it is known, and the name of the axis."""
    levels = study.axes.get(axis, {}).items()
    what = next((FIELDS[f] for f in FIELDS if levels and all(alike(x, given.get(f)) for x, given in levels)), "")
    return f"{what} {axis}" if what and len(axis) <= 2 else what or axis


def handles_of(lines: Sequence[Line], measures: Mapping[str, str], dashed: bool) -> list[Line2D]:
    """The entries of a legend: levels by colour and marker, then, if there are several, measures by dash or filling."""
    first = [line for line in lines if line.column == lines[0].column and line.filled] if lines else []
    plain = len(first) == 1 and first[0].label in measures  # no hue: a line is a measure
    style: Style = {"ms": 4, "lw": 1.3}
    handles = [
        Line2D([], [], color=e.colour, marker=e.marker, ls=e.dash if dashed else "", label=e.label, **style)
        for e in (lines if plain else first)
    ]
    if not plain and len(measures) > 1:
        for m, title in enumerate(measures):
            face = INK if m == 0 else "white"
            ls = DASHES[m % 4] if dashed else ""
            handles.append(Line2D([], [], color=INK, marker="o", ms=4, mfc=face, lw=1.1, ls=ls, label=title))
    return handles


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Draws the legend below the panel, in as many columns as there is room for."""
    if handles:
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = int(figure.get_figwidth() * 72 / (7 * 0.55 * (longest + 9)))
        look: Style = {"loc": "outside lower center", "columnspacing": 1.2, "handlelength": 2.4}
        figure.legend(handles=handles, ncols=max(1, min(len(handles), columns)), **look)


def caption(request: Request, says: Sequence[str], marks: Sequence[Mark] = (), lines: Sequence[Line] = ()) -> str:
    """The caption in whole sentences: title, content and networks of a figure."""
    found, table = request.found, request.table
    said = [f"{table['title'].rstrip('.')}." if "title" in table else "", *says]
    if table.get("where"):
        said.append(f"Only {', '.join(level_text(axis, level) for axis, level in table['where'].items())}.")
    n = [len(each.values) for each in marks if len(each.values)]
    if max(n, default=0) > 1:
        said.append(f"{n[0]} networks each." if min(n) == max(n) else f"{min(n)} to {max(n)} networks each.")
    alone = dict.fromkeys(each.place for each in marks if len(each.values) == 1)
    if alone:
        where_alone = "" if len(alone) == len({each.place for each in marks}) else f" at {', '.join(alone)}"
        said.append(f"One network only{where_alone}: no interval.")
    axes = {table[key] for key in ("x", "y", "hue") if isinstance(table.get(key), str)} | {*table.get("where", {})}
    rows = {i for line in lines for i in line.rows}
    pooled = [axis for axis in found.study.axes if axis not in axes and len(levels_of(found, axis, rows)) > 1]
    if pooled:
        said.append(f"Networks of all levels of {' and '.join(pooled)} are taken together.")
    if missing := sum(each.missing for each in marks):
        said.append(f"Left out: {count(missing, 'value')} that networks do not have.")
    if found.n_diverged:
        said.append(f"Left out: {count(found.n_diverged, 'network')} of the study that diverged.")
    if found.n_there < found.n_cells:
        said.append(f"So far {found.n_there} of {found.n_cells} networks are done.")
    return " ".join(sentence for sentence in said if sentence)


def count(n: int, one: str, several: str = "") -> str:
    """ "1 network", "3 networks"."""
    return f"{n} {one if n == 1 else several or f'{one}s'}"


def nothing(request: Request, why: str, suffix: str = "") -> Drawn:
    """A figure without data, whose caption gives the reason."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.5, 0.8), layout="constrained")
        figure.text(0.5, 0.5, "nothing to draw", ha="center", va="center", color=GREY)
    return Drawn(request.name + suffix, figure, caption(request, [why]))
