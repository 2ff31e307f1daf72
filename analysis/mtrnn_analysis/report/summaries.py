"""Tables of the report of a study: entries of text, ready to be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtrnn_analysis.statistics import interquartile_mean, summary
from mtrnn_analysis.studies.networks import Networks
from mtrnn_envs.experiments.studies.results import Results
from mtrnn_envs.experiments.studies.study import Entry, flat

NOTHING = "–"
# Levels of a setting that are written out; of more, only their number.
MOST = 12
# The states that the decoder is compared with, see `mtrnn_analysis.decoding.controls`.
BOUNDS = {"ideal": "ideal observer", "mean evidence": "mean of the evidence"}
UNTRAINED = {"untrained": "before training", "mean input": "mean of the input", "last input": "last input"}
QUANTITIES = {"accuracy": "accuracy", "reward": "reward", "cross_entropy": "cross-entropy, nat"}
QUANTITIES |= {"response_step": "response step"}


class Grid(NamedTuple):
    """A table to be shown.

    Attributes:
        header: of each column.
        rows: of text.
        n_names: the number of columns, from the left, that name a row.
        words: whether the other columns are words, not numbers.
    """

    header: list[str]
    rows: list[list[str]]
    n_names: int
    words: bool = False


def number(value: float | None) -> str:
    """A number as text: three decimals, or whole from 100 on."""
    if value is None or not np.isfinite(value):
        return NOTHING
    return (f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}").replace("-", "−")


def interval(value: float, low: float, high: float) -> str:
    """A number and its interval."""
    return f"{number(value)} [{number(low)}, {number(high)}]" if np.isfinite(low) else number(value)


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours."""
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


def axes_of(found: Networks) -> list[str]:
    """The names of the axes, also of settings outside the grid; "seed" is left out."""
    names = dict.fromkeys(found.study.axes)
    names |= dict.fromkeys(name for row in found.study.also for name in row.get("labels", {}))
    return [name for name in names if name != "seed"]


def summed_up(found: Networks, rng: np.random.Generator) -> tuple[Grid, list[dict[str, Any]]]:
    """Each measure at each level of the axes, as text, and as rows of numbers.

    The rows have: the axes, networks, and for each measure its interquartile mean, and under "<measure>: low", ": high"
    and ": networks" the ends of its interval and the number of networks with a value.
    """
    axes, shown, rows = axes_of(found), [], []
    for levels, members in groups(found, axes).items():
        texts, row = [], {**dict(zip(axes, levels, strict=True)), "networks": len(members)}
        for title, column in found.study.measures.items():
            values = found.numbers(column)[members]
            values = values[np.isfinite(values)]
            nothing = {"iqm": None, "low": None, "high": None, "networks": 0}
            got = summary({title: values}, rng)[0] if len(values) else nothing
            text = interval(got["iqm"], got["low"], got["high"]) if len(values) else NOTHING
            texts.append(text if len(values) in (0, len(members)) else f"{text} (n = {len(values)})")
            row |= {title: got["iqm"], **{f"{title}: {end}": got[end] for end in ("low", "high", "networks")}}
        shown.append([*levels, str(len(members)), *texts])
        rows.append(row)
    return Grid([*axes, "networks", *found.study.measures], shown, max(1, len(axes))), rows


def absent_measures(found: Networks) -> list[str]:
    """The measures that no network has."""
    return [f"{title} ({c})" for title, c in found.study.measures.items() if not np.isfinite(found.numbers(c)).any()]


def ideals(found: Networks) -> Grid | None:
    """The performance of the networks beside ideal performance, at each level of the axes."""
    axes = axes_of(found)
    names = [name for name in QUANTITIES if np.isfinite(found.numbers(f"ideal.{name}")).any()]
    # Where each right answer is rewarded by 1, the reward is the accuracy.
    if "accuracy" in names and np.allclose(found.numbers("accuracy"), found.numbers("reward"), equal_nan=True):
        names.remove("reward")
    rows = []
    for levels, members in groups(found, axes).items():
        pairs = [(_middle(found.numbers(n)[members]), _mean(found.numbers(f"ideal.{n}")[members])) for n in names]
        rows.append([*levels, *(text for pair in pairs for text in pair)])
    header = [title for name in names for title in (QUANTITIES[name], f"ideal {QUANTITIES[name]}")]
    return Grid([*axes, *header], rows, max(1, len(axes))) if names and axes else None


def controls(found: Networks) -> Grid | None:
    """r² of networks, of the ideal observer, and of states that need no training, at each level of the axes."""
    axes = axes_of(found)
    rows = []
    for title, own, end in (("OOD r²", "decoding.value", "ood"), ("ID r²", "decoding.in_distribution.r2_prior", "id")):
        columns = [found.numbers(f"decoding.controls.{name}.{end}") for name in (*BOUNDS, *UNTRAINED)]
        if not any(np.isfinite(column).any() for column in columns):
            continue
        for levels, members in groups(found, axes).items():
            means = [_mean(column[members]) for column in columns]
            rows.append([title, *levels, _middle(found.numbers(own)[members]), *means])
    return Grid(["", *axes, "networks", *BOUNDS.values(), *UNTRAINED.values()], rows, 1 + len(axes)) if rows else None


def _middle(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return number(float(interquartile_mean(values))) if len(values) else NOTHING


def _mean(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return number(float(values.mean())) if len(values) else NOTHING


def settings(entries: Sequence[Entry]) -> tuple[Grid, Grid]:
    """The settings that all runs share, and those in which they differ."""
    every = [{"probes": ", ".join(entry.cell.probes) or "none", **flat(entry.cell.identity)} for entry in entries]
    names = list(dict.fromkeys(name for each in every for name in each))
    shared, varied = [], []
    for name in names:
        # A run may lack a setting, such as one of another kind of network.
        levels = list(dict.fromkeys(plain(each[name]) for each in every if name in each))
        everywhere = all(name in each for each in every)
        if len(levels) == 1 and everywhere:
            shared.append([name, levels[0]])
        else:
            text = ", ".join(levels) if len(levels) <= MOST else f"{', '.join(levels[:3])}, … ({len(levels)} of them)"
            varied.append([name, text if everywhere else f"{text} (some runs have none)"])
    return Grid(["setting", "value"], shared, 1, words=True), Grid(["setting", "values"], varied, 1, words=True)


def spent(results: Results) -> dict[str, list[float]]:
    """Seconds of "cpu_s" and "wall_s" of each run, followed by those of the training of each network.

    Runs with the same network share its training, which is counted once.
    """
    pairs = list(zip(results.entries, results.found, strict=True))
    trained = {entry.cell.run: each["cost"] for entry, each in pairs if "training_cpu_s" in each["cost"]}
    return {
        name: [each["cost"][name] for _, each in pairs] + [cost[f"training_{name}"] for cost in trained.values()]
        for name in ("cpu_s", "wall_s")
    }


def costs(results: Results) -> Grid:
    """The processor time and wall-clock time of training and probing."""
    n, rows = len(results.found), []
    for title, name in (("CPU", "cpu_s"), ("wall clock", "wall_s")):
        seconds = spent(results)[name]
        for part, each in (("training a network", seconds[n:]), ("recording and probing it", seconds[:n])):
            if each:
                rows.append([part, title, *(duration(f(each)) for f in (np.median, min, max, sum))])
        rows.append(["together", title, "", "", "", duration(sum(seconds))])
    return Grid(["", "time", "median", "least", "most", "sum"], rows, 2)


def versions(results: Results) -> list[str]:
    """The sets of versions of the runs, one sentence each."""
    kinds = [", ".join(f"{name} {version}" for name, version in each["versions"].items()) for each in results.found]
    return list(dict.fromkeys(kinds))


class Absent(NamedTuple):
    """Runs and probes without numbers.

    Attributes:
        diverged: labels and reason of each run that diverged.
        failed: labels and error of each run that failed.
        missing: labels of the other runs without results.
        left_out: inapplicable probes, with the reason and the number of runs.
    """

    diverged: Grid
    failed: Grid
    missing: list[str]
    left_out: Grid


def absent(results: Results, entries: Iterable[Entry], failed: Mapping[str, str]) -> Absent:
    """The runs and probes without numbers among the `entries` of a study; `failed` has the error by cell."""
    pairs = list(zip(results.entries, results.found, strict=True))
    there = {entry.cell.id for entry in results.entries}
    lacking = [(labelled(entry.labels), entry.cell.id) for entry in entries if entry.cell.id not in there]
    diverged = [[labelled(e.labels), str(f.get("why", ""))] for e, f in pairs if f["status"] != "done"]
    counts: dict[tuple[str, str], int] = {}
    for _, each in pairs:
        for reason in each["left_out"].items():
            counts[reason] = counts.get(reason, 0) + 1
    left_out = [[name, f"{why} ({n} runs)" if n > 1 else why] for (name, why), n in counts.items()]
    return Absent(
        Grid(["run", "reason"], diverged, 1, words=True),
        Grid(["run", "error"], [[about, failed[cell]] for about, cell in lacking if cell in failed], 1, words=True),
        [about for about, cell in lacking if cell not in failed],
        Grid(["probe", "reason"], left_out, 1, words=True),
    )


def labelled(labels: Mapping[str, object]) -> str:
    """The levels of a run in one line."""
    return ", ".join(f"{name} {plain(level)}" for name, level in labels.items())


def plain(value: object) -> str:
    """A setting or a level as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, which blank lines separate."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
