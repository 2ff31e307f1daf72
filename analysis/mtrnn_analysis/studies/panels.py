"""What figures of studies share: lines by axis and measure, the two panels of a fault, limits, legends, captions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtrnn_analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, STYLE, VERMILLION
from mtrnn_analysis.statistics import Interval
from mtrnn_analysis.studies.networks import Networks, alike, axes_of, column_of, estimate, number, strata, where
from mtrnn_envs.experiments.studies.results import Results
from mtrnn_envs.experiments.studies.study import Study

# Of what the fault of the public code's out-of-distribution test changes, the column with the fault.
RELEASED = {
    "decoding.value": "released_holdout.value",
    "decoding.out_of_distribution.r2_prior": "released_holdout.value",
    "plane_decoding.value": "plane_decoding.released",
    "evidence_course.ood": "evidence_course.released",
    "history.r2_ood": "history.r2_ood_released",
}
RIGHT, FAULTY = "quadrants right", "public code's faulty draw"
ABOUT_FAULT = (
    "b: the same by the out-of-distribution test as the public code has it, which draws the trials of held-out "
    "quadrants of mixed signs from quadrants that the decoder was fitted to: no measure of generalisation."
)
# Columns that are r2_prior: nothing is drawn below the floor, and 1 is the most there is.
R2 = re.compile(
    r"((^|.*\.)(r2_prior|r2_ood|r2_id|r2_ood_released|ood|id)|(decoding|plane_decoding|released_holdout|decoding_course)\.value"
    r"|plane_decoding\.released|evidence_course\.(released|theory)|decoding_course\.(mean|ideal)|sample_curve\.(decoded|answers|mean|mean_theory|ideal_theory))"
    r"( where .*)?"
)
R2_LABEL = "$r^2_{\\mathrm{prior}}$ of $x^*$  $(= 1 - 12\\,\\mathrm{MSE})$"
FLOOR = -1.0
# What an axis is, whose levels set one field.
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
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
ACROSS: tuple[Any, ...] = ((0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (2, 2)), (0, (8, 1.5)))
SEED = 0  # of the resampling behind intervals: a figure of the same networks is the same figure


class Drawn(NamedTuple):
    """A figure of a study, of matplotlib or plotly; its name is that of a file, its caption plain text."""

    name: str
    figure: Any
    caption: str


class Asked(NamedTuple):
    """What a kind of figure is given: results, their networks, the table of the study, the folder, and a name."""

    results: Results
    found: Networks
    table: Mapping[str, Any]
    out: Path
    name: str


class Line(NamedTuple):
    """One measure of the networks of one level: what a line, or a colour, stands for."""

    label: str
    column: str
    rows: list[int]
    colour: Any
    marker: str
    dash: Any
    filled: bool


class Mark(NamedTuple):
    """What stands at one place of a line: the networks' interquartile mean."""

    place: str
    values: np.ndarray
    missing: int
    interval: Interval


def measures_of(study: Study, given: Any) -> dict[str, str]:
    """Columns by title: of a list of measures, or of titles with their columns."""
    if isinstance(given, Mapping):
        return {str(title): column_of(study, name, False) for title, name in given.items()}
    names = [given] if isinstance(given, str) else given
    return {name: column_of(study, name, False) for name in names}


def levels_of(found: Networks, axis: str, rows: Iterable[int]) -> list[Any]:
    """The levels of an axis that some of the networks `rows` have, in the study's order."""
    present = {str(found.labels[i].get(axis)) for i in rows}
    return [level for level in axes_of(found.study).get(axis, []) if str(level) in present]


def lines_of(asked: Asked, measures: Mapping[str, str]) -> list[Line]:
    """One line a measure and level of the hue; one colour and marker a level, or, without a hue, a measure."""
    found, table = asked.found, asked.table
    rows, hue = where(found, table.get("where", {})), table.get("hue")
    if hue is None:
        looks = [(COLOURS[k % 6], MARKERS[k % 8], DASHES[k % 4]) for k in range(len(measures))]
        pairs = zip(measures.items(), looks, strict=True)
        return [Line(title, column, rows, *look, filled=True) for (title, column), look in pairs]
    levels = levels_of(found, hue, rows)
    colours: Any = [COLOURS[k % 6] for k in range(len(levels))]
    numbers = np.isfinite([number(level) for level in levels])
    if numbers.sum() > 1:  # dark to light: ordered in grey too; what is no number is grey
        ordered = iter(mpl.colormaps["viridis"](np.linspace(0, 0.85, numbers.sum())))
        colours = [next(ordered) if is_number else GREY for is_number in numbers]
    return [
        Line(told(hue, level), column, where(found, {hue: level}, rows), colour, MARKERS[k % 8], DASHES[m % 4], m == 0)
        for m, column in enumerate(measures.values())
        for k, (level, colour) in enumerate(zip(levels, colours, strict=True))
    ]


def told(axis: str, level: Any) -> str:
    """A level in words: "N = 24", or the level itself, if it is no number."""
    return f"{axis} = {level}" if np.isfinite(number(level)) else str(level)


def mark(found: Networks, rows: Iterable[int], values: np.ndarray, place: str) -> Mark:
    """The interquartile mean of the networks `rows`; those whose value is not finite are left out, and counted."""
    rows = list(rows)
    finite = [i for i in rows if np.isfinite(values[i])]
    interval = estimate([values[group] for group in strata(found, finite)], np.random.default_rng(SEED))
    return Mark(place, values[finite], len(rows) - len(finite), interval)


def panels_of(
    found: Networks, columns: Iterable[str], rows: Sequence[int], curves: bool = False
) -> tuple[list[Any], str]:
    """For each panel, by title, what stands in the place of which columns; and what a caption has to say of it.

    One panel without a title if the fault of the public code's test has no part in what is drawn.
    """
    changed = {column: twin for column in columns if (twin := faulty(column)) is not None}
    if not changed:
        return [("", {})], ""
    if all(has(found, column, rows, curves) for column in changed.values()):
        return [(RIGHT, {}), (FAULTY, changed)], ABOUT_FAULT
    lacking = [column for column in changed.values() if not has(found, column, rows, curves)]
    return [(RIGHT, {})], f"Without the panel of the {FAULTY}: no network has {' and '.join(lacking)}."


def faulty(column: str) -> str | None:
    """The column of the same by the faulty draw; None if the fault has no part in it."""
    curve, where_it_is, condition = column.partition(" where ")
    return RELEASED[curve] + where_it_is + condition if curve in RELEASED else None


def has(found: Networks, column: str, rows: Iterable[int], curves: bool) -> bool:
    """Whether any of the networks `rows` has a number, or a curve, of that name."""
    if curves:
        return any(np.isfinite(found.curve(i, column)).any() for i in rows)
    return bool(np.isfinite(found.numbers(column)[list(rows)]).any())


def start(n_panels: int, height: float = 3.0, wide: float = 3.5, **shared: Any) -> tuple[Figure, list[Any]]:
    """A figure with panels side by side."""
    figure = Figure(figsize=(wide if n_panels == 1 else min(1.9 * wide, 7.2), height), layout="constrained")
    return figure, list(figure.subplots(1, n_panels, squeeze=False, sharex=True, sharey=True, **shared)[0])


def entitle(panels: Sequence[Any], titles: Sequence[str]) -> None:
    """Letters, where there are two panels, and titles."""
    for axes, letter, title in zip(panels, "ab", titles, strict=False):
        if title:
            axes.set_title(f"$\\bf{{{letter}}}$   {title}" if len(panels) > 1 else title, loc="left", size=8)


def limit(panels: Sequence[Any], table: Mapping[str, Any], columns: Iterable[str], values: Sequence[np.ndarray]) -> str:
    """Sets the limits up and down, of all panels; gives what a caption has to say of values outside."""
    low, high = panels[0].get_ylim()
    if all(R2.fullmatch(column) for column in columns):
        low, high = max(low, FLOOR), min(high, 1.0)
    low, high = table.get("ylim", (low, high))
    for axes in panels:
        axes.set_ylim(low, high)
    every = np.concatenate([np.ravel(each) for each in values]) if values else np.empty(0)
    outside = int(((every < low - 1e-9) | (every > high + 1e-9)).sum())
    return f"{count(outside, 'value lies', 'values lie')} outside the limits." if outside else ""


def ylabel(columns: Mapping[str, str]) -> str:
    """What the axis up is: r2_prior, one measure's title, or what the titles end with."""
    if all(R2.fullmatch(column) for column in columns.values()):
        return R2_LABEL
    words = [title.split() for title in columns]
    shared = 0
    while shared < min(map(len, words)) and len({each[-shared - 1] for each in words}) == 1:
        shared += 1
    return " ".join(words[0][len(words[0]) - shared :]) if shared else ", ".join(columns)


def axis_label(study: Study, axis: str) -> str:
    """What an axis is: the field whose value is the name of each level, if we know it, and the axis' name."""
    levels = study.axes.get(axis, {}).items()
    what = next((FIELDS[f] for f in FIELDS if levels and all(alike(x, given.get(f)) for x, given in levels)), "")
    return f"{what} {axis}" if what and len(axis) <= 2 else what or axis


def handles_of(lines: Sequence[Line], measures: Mapping[str, str], dashed: bool) -> list[Line2D]:
    """What a legend shows: levels by colour and marker, then, if there are several, measures by dash or filling."""
    first = [line for line in lines if line.column == lines[0].column and line.filled] if lines else []
    plain = len(first) == 1 and first[0].label in measures  # no hue: a line is a measure
    handles = [
        Line2D(
            [],
            [],
            color=line.colour,
            marker=line.marker,
            ms=4,
            lw=1.3,
            ls=line.dash if dashed else "",
            label=line.label,
        )
        for line in (lines if plain else first)
    ]
    if not plain and len(measures) > 1:
        for m, title in enumerate(measures):
            face = INK if m == 0 else "white"
            ls = DASHES[m % 4] if dashed else ""
            handles.append(Line2D([], [], color=INK, marker="o", ms=4, mfc=face, lw=1.1, ls=ls, label=title))
    return handles


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """All handles below the panels, in as many columns as there is room for."""
    if handles:
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = int(figure.get_figwidth() * 72 / (7 * 0.55 * (longest + 7)))
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=max(1, min(len(handles), columns)),
            columnspacing=1.2,
            handlelength=2.4,
        )


def caption(asked: Asked, says: Sequence[str], marks: Sequence[Mark] = (), lines: Sequence[Line] = ()) -> str:
    """The title of a figure, what it shows, and which networks it rests on, in whole sentences."""
    results, found, table = asked.results, asked.found, asked.table
    said = [f"{table['title'].rstrip('.')}." if "title" in table else "", *says]
    if table.get("where"):
        said.append(f"Only {', '.join(told(axis, level) for axis, level in table['where'].items())}.")
    n = [len(each.values) for each in marks if len(each.values)]
    if max(n, default=0) > 1:
        said.append(f"{n[0]} networks each." if min(n) == max(n) else f"{min(n)} to {max(n)} networks each.")
    alone = dict.fromkeys(each.place for each in marks if len(each.values) == 1)
    if alone:
        where_alone = "" if len(alone) == len({each.place for each in marks}) else f" at {', '.join(alone)}"
        said.append(f"One network only{where_alone}: no interval.")
    axes = {table.get(key) for key in ("x", "y", "hue") if isinstance(table.get(key), str)} | set(
        table.get("where", {})
    )
    rows = {i for line in lines for i in line.rows}
    pooled = [axis for axis in found.study.axes if axis not in axes and len(levels_of(found, axis, rows)) > 1]
    if pooled:
        said.append(f"Networks of all levels of {' and '.join(pooled)} are taken together.")
    if missing := sum(each.missing for each in marks):
        said.append(f"Left out: {count(missing, 'value')} that networks do not have.")
    if found.n_diverged:
        said.append(f"Left out: {count(found.n_diverged, 'network')} of the study that diverged.")
    if len(results.entries) < results.n_cells:
        said.append(f"So far {len(results.entries)} of {results.n_cells} networks are done.")
    return " ".join(sentence for sentence in said if sentence)


def count(n: int, one: str, several: str = "") -> str:
    """ "1 network", "3 networks"."""
    return f"{n} {one if n == 1 else several or f'{one}s'}"


def nothing(asked: Asked, why: str, suffix: str = "") -> Drawn:
    """A figure that says why there is none."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.5, 0.8), layout="constrained")
        figure.text(0.5, 0.5, "nothing to draw", ha="center", va="center", color=GREY)
    return Drawn(asked.name + suffix, figure, caption(asked, [why]))
