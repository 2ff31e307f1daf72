"""What the report of a study says in tables: cells of text, ready to be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtrnn_analysis.statistics import interquartile_mean, summary
from mtrnn_analysis.studies.networks import Networks, networks
from mtrnn_envs.experiments.studies.results import Results
from mtrnn_envs.experiments.studies.study import Entry, flat

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
        words: whether the others are words, not numbers.
    """

    header: list[str]
    rows: list[list[str]]
    n_names: int
    words: bool = False


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


def ideals(results: Results) -> Grid | None:
    """What the networks reach, and what the ideal observer would, at each level of the axes."""
    found, axes = networks(results), axes_of(results)
    names = [name for name in QUANTITIES if np.isfinite(found.numbers(f"ideal.{name}")).any()]
    # Where each right answer is paid 1, the reward is the accuracy.
    if "accuracy" in names and np.allclose(found.numbers("accuracy"), found.numbers("reward"), equal_nan=True):
        names.remove("reward")
    rows = []
    for levels, members in groups(found, axes).items():
        pairs = [(_middle(found.numbers(n)[members]), _mean(found.numbers(f"ideal.{n}")[members])) for n in names]
        rows.append([*levels, *(text for pair in pairs for text in pair)])
    header = [title for name in names for title in (QUANTITIES[name], f"ideal {QUANTITIES[name]}")]
    return Grid([*axes, *header], rows, max(1, len(axes))) if names and axes else None


def controls(results: Results) -> Grid | None:
    """What is decoded from the networks, from the ideal observer, and from what needs no training, at each level."""
    found, axes = networks(results), axes_of(results)
    rows = []
    for title, own, end in (("OOD r²", RIGHT, "ood"), ("ID r²", "decoding.in_distribution.r2_prior", "id")):
        columns = [found.numbers(f"decoding.controls.{name}.{end}") for name in (*CEILINGS, *FLOORS)]
        if not any(np.isfinite(column).any() for column in columns):
            continue
        for levels, members in groups(found, axes).items():
            means = [_mean(column[members]) for column in columns]
            rows.append([title, *levels, _middle(found.numbers(own)[members]), *means])
    return Grid(["", *axes, "networks", *CEILINGS.values(), *FLOORS.values()], rows, 1 + len(axes)) if rows else None


def _middle(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return number(float(interquartile_mean(values))) if len(values) else NOTHING


def _mean(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return number(float(values.mean())) if len(values) else NOTHING


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
    return Grid(["setting", "value"], shared, 1, words=True), Grid(["setting", "values"], varied, 1, words=True)


def spent(results: Results) -> dict[str, list[float]]:
    """Seconds of "cpu_s" and "wall_s": of each cell, and (after them) of the training of each network.

    Cells that ask other things of the same network share its training, which is counted once.
    """
    pairs = list(zip(results.entries, results.found, strict=True))
    trained = {entry.cell.run: each["cost"] for entry, each in pairs if "training_cpu_s" in each["cost"]}
    return {
        name: [each["cost"][name] for _, each in pairs] + [cost[f"training_{name}"] for cost in trained.values()]
        for name in ("cpu_s", "wall_s")
    }


def costs(results: Results) -> Grid:
    """What training and probing took, in processor time and on the clock."""
    n, rows = len(results.found), []
    for title, name in (("CPU", "cpu_s"), ("wall clock", "wall_s")):
        seconds = spent(results)[name]
        for part, each in (("training a network", seconds[n:]), ("recording and probing it", seconds[:n])):
            if each:
                rows.append([part, title, *(duration(f(each)) for f in (np.median, min, max, sum))])
        rows.append(["together", title, "", "", "", duration(sum(seconds))])
    return Grid(["", "time", "median", "least", "most", "sum"], rows, 2)


def versions(results: Results) -> list[str]:
    """The versions that cells were run with, one sentence each kind."""
    kinds = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in each["versions"].items()) for each in results.found
    )
    return list(kinds)


class Absent(NamedTuple):
    """What there are no numbers of: cells that diverged, failed, or are not there for another reason; probes left out.

    Attributes:
        diverged: labels of each cell, and why.
        failed: labels of each cell, and the last that it said.
        missing: labels of the other cells that are not there.
        left_out: probe, how many cells it does not go with, and why, each.
    """

    diverged: Grid
    failed: Grid
    missing: list[str]
    left_out: Grid


def absent(results: Results, entries: Iterable[Entry], failed: Mapping[str, str]) -> Absent:
    """What there are no numbers of, among the cells `entries` of a study; `failed` has the reason by cell."""
    pairs = list(zip(results.entries, results.found, strict=True))
    there = {entry.cell.id for entry in results.entries}
    lacking = [(labelled(entry.labels), entry.cell.id) for entry in entries if entry.cell.id not in there]
    diverged = [[labelled(e.labels), str(f.get("why", ""))] for e, f in pairs if f["status"] != "done"]
    counts: dict[tuple[str, str], int] = {}
    for _, each in pairs:
        for reason in each["left_out"].items():
            counts[reason] = counts.get(reason, 0) + 1
    left_out = [[name, f"{why} ({n} cells)" if n > 1 else why] for (name, why), n in counts.items()]
    return Absent(
        Grid(["cell", "why"], diverged, 1, words=True),
        Grid(
            ["cell", "last words"], [[about, failed[cell]] for about, cell in lacking if cell in failed], 1, words=True
        ),
        [about for about, cell in lacking if cell not in failed],
        Grid(["probe", "why"], left_out, 1, words=True),
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
