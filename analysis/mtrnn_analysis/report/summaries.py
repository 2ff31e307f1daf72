"""What the report of a study says in tables: cells of text, ready to be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtrnn_analysis.statistics import interquartile_mean, summary
from mtrnn_analysis.study_values import Networks, networks
from mtrnn_envs.experiments.results import Results
from mtrnn_envs.experiments.study import Entry, flat

NOTHING = "–"
# Levels of a setting that are written out; of more, how many there are.
MOST = 12
# What `value` of a decoder on held-out orthants is, drawn right, and as the public code draws it.
RIGHT, FAULTY = "decoding.value", "released_holdout.value"
# The states that the decoder is held against, see `mtrnn_analysis.decoding.controls`.
CEILINGS = {"ideal": "ideal observer", "mean evidence": "mean of the evidence"}
FLOORS = {"untrained": "before training", "mean input": "mean of the input", "last input": "last input"}
QUANTITIES = {"accuracy": "accuracy", "reward": "reward", "cross_entropy": "cross-entropy, nat"}
QUANTITIES |= {"response_step": "response step"}


class Grid(NamedTuple):
    """A table to be shown.

    Attributes:
        header: of each column.
        rows: of text.
        n_names: how many columns, from the left, say what a row is about.
    """

    header: list[str]
    rows: list[list[str]]
    n_names: int


def number(value: float | None) -> str:
    """A number as it is shown: three decimals, or four digits of a large one."""
    if value is None or not np.isfinite(value):
        return NOTHING
    return (f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}").replace("-", "−")


def interval(value: float, low: float, high: float) -> str:
    """A number and its interval."""
    return f"{number(value)} [{number(low)}, {number(high)}]" if np.isfinite(low) else number(value)


def duration(seconds: float) -> str:
    """A time, in the unit that fits it."""
    for unit, size, ends in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, float("inf"))):
        if seconds < ends:
            return f"{seconds / size:.3g} {unit}"
    return NOTHING


def groups(found: Networks, axes: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    """The networks, by index, of each combination of levels of `axes`."""
    grouped: dict[tuple[str, ...], list[int]] = {}
    for i, labels in enumerate(found.labels):
        grouped.setdefault(tuple(plain(labels.get(axis, NOTHING)) for axis in axes), []).append(i)
    return grouped


def axes_of(results: Results) -> list[str]:
    """The names of the axes, those of settings outside the grid too; that of the seed is left out."""
    names = dict.fromkeys(results.study.axes)
    names |= dict.fromkeys(name for row in results.study.also for name in row.get("labels", {}))
    return [name for name in names if name != "seed"]


def measures_of(found: Networks) -> dict[str, str]:
    """The columns to be summed up, by title; beside OOD r² that of the faulty draw, where it was found."""
    shown: dict[str, str] = {}
    for title, column in found.study.measures.items():
        shown[title] = column
        if column == RIGHT and np.isfinite(found.numbers(FAULTY)).any():
            shown[f"{title}, faulty draw"] = FAULTY
    return shown


def summed_up(results: Results, rng: np.random.Generator) -> tuple[Grid, list[dict[str, Any]]]:
    """Each measure at each level of the axes, to be shown, and as rows of numbers.

    The rows have: the axes, networks, and for each measure its interquartile mean, and under "<measure>: low", ": high"
    and ": networks" the ends of its interval and how many networks it is of.
    """
    found, axes = networks(results), axes_of(results)
    measures = measures_of(found)
    shown, rows = [], []
    for levels, members in groups(found, axes).items():
        texts, row = [], {**dict(zip(axes, levels, strict=True)), "networks": len(members)}
        for title, column in measures.items():
            values = found.numbers(column)[members]
            values = values[np.isfinite(values)]
            nothing = {"iqm": None, "low": None, "high": None, "networks": 0}
            got = summary({title: values}, rng)[0] if len(values) else nothing
            text = interval(got["iqm"], got["low"], got["high"]) if len(values) else NOTHING
            texts.append(text if len(values) in (0, len(members)) else f"{text} (n = {len(values)})")
            row |= {title: got["iqm"], **{f"{title}: {end}": got[end] for end in ("low", "high", "networks")}}
        shown.append([*levels, str(len(members)), *texts])
        rows.append(row)
    return Grid([*axes, "networks", *measures], shown, max(1, len(axes))), rows


def absent_measures(results: Results) -> list[str]:
    """The measures that no network has."""
    found = networks(results)
    return [f"{title} ({c})" for title, c in results.study.measures.items() if not np.isfinite(found.numbers(c)).any()]


def ceilings(results: Results) -> Grid | None:
    """What the networks reach, what the ideal observer would, and what needs no training, at each level of the axes."""
    found, axes = networks(results), axes_of(results)
    columns = {
        title: {"networks": name, "ideal": f"ideal.{name}"}
        for name, title in QUANTITIES.items()
        if np.isfinite(found.numbers(f"ideal.{name}")).any()
    }
    for title, own, end in (("OOD r²", RIGHT, "ood"), ("ID r²", "decoding.in_distribution.r2_prior", "id")):
        each = {name: f"decoding.controls.{name}.{end}" for name in (*CEILINGS, *FLOORS)}
        if any(np.isfinite(found.numbers(column)).any() for column in each.values()):
            columns[title] = {"networks": own, **each}
    rows = []
    for title, each in columns.items():
        for levels, members in groups(found, axes).items():
            values = {name: found.numbers(column)[members] for name, column in each.items()}
            got = [_middle(values["networks"], iqm=True)]
            got += [_middle(values.get(name, np.empty(0))) for name in (*CEILINGS, *FLOORS)]
            rows.append([title, *levels, *got])
    header = ["", *axes, "networks", *CEILINGS.values(), *FLOORS.values()]
    return Grid(header, rows, 1 + len(axes)) if rows else None


def _middle(values: np.ndarray, iqm: bool = False) -> str:
    values = values[np.isfinite(values)]
    if not len(values):
        return NOTHING
    return number(float(interquartile_mean(values) if iqm else values.mean()))


def settings(entries: Sequence[Entry]) -> tuple[Grid, Grid]:
    """The settings that all cells share, and those in which they differ."""
    every = [{"probes": ", ".join(entry.cell.probes) or "none", **flat(entry.cell.identity)} for entry in entries]
    names = list(dict.fromkeys(name for each in every for name in each))
    shared, varied = [], []
    for name in names:
        # A setting that a cell has not got, such as one of another kind of network, is none of its settings.
        levels = list(dict.fromkeys(plain(each[name]) for each in every if name in each))
        everywhere = all(name in each for each in every)
        if len(levels) == 1 and everywhere:
            shared.append([name, levels[0]])
        else:
            text = ", ".join(levels) if len(levels) <= MOST else f"{', '.join(levels[:3])}, … ({len(levels)} of them)"
            varied.append([name, text if everywhere else f"{text} (some cells have none)"])
    return Grid(["setting", "value"], shared, 1), Grid(["setting", "values"], varied, 1)


def costs(results: Results) -> Grid:
    """What the cells took, in processor time and on the clock."""
    rows = []
    for title, name in (("CPU", "cpu_s"), ("wall clock", "wall_s")):
        seconds = [float(each["cost"][name]) for each in results.found]
        rows.append([title, *(duration(f(seconds)) for f in (np.median, min, max, sum))])
    return Grid(["time", "of a cell: median", "least", "most", "of all cells"], rows, 1)


def versions(results: Results) -> list[str]:
    """The versions that cells were run with, one sentence each kind."""
    kinds = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in each["versions"].items()) for each in results.found
    )
    return list(kinds)


class Absent(NamedTuple):
    """What there are no numbers of.

    Attributes:
        diverged: labels of a cell, and why, each.
        missing: labels of the cells that are not there.
        left_out: probe, how many cells it does not go with, and why, each.
    """

    diverged: Grid
    missing: list[str]
    left_out: Grid


def absent(results: Results, entries: Iterable[Entry]) -> Absent:
    """The cells of a study (`entries`) that diverged or are not there, and the probes that cells left out."""
    pairs = list(zip(results.entries, results.found, strict=True))
    there = {entry.cell.id for entry in results.entries}
    diverged = [[labelled(e.labels), str(f.get("why", ""))] for e, f in pairs if f["status"] != "done"]
    counts: dict[tuple[str, str], int] = {}
    for _, each in pairs:
        for reason in each["left_out"].items():
            counts[reason] = counts.get(reason, 0) + 1
    return Absent(
        Grid(["cell", "why"], diverged, 1),
        [labelled(entry.labels) for entry in entries if entry.cell.id not in there],
        Grid(["probe", "cells", "why"], [[name, str(n), why] for (name, why), n in counts.items()], 1),
    )


def labelled(labels: Mapping[str, Any]) -> str:
    """The levels of a cell in one line."""
    return ", ".join(f"{name} {plain(level)}" for name, level in labels.items())


def plain(value: Any) -> str:
    """A setting or a level as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def paragraphs(text: str) -> list[str]:
    """What blank lines divide."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
