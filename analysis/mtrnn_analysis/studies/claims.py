"""Claims about a study, tested by intervals over its networks.

A claim is a table of a study (`Study.claims`):

    [[claims]]
    text = "With 24 tasks x* is decoded better out of distribution than with 2"
    source = "Fig. 1f"
    measure = "OOD r²"          # a measure of the study, or a column of its table
    of = { N = 24 }             # the networks with these levels; without it all networks
    minus = { N = 2 }           # tests the difference of two groups
    expect = "> 0"              # or >=, <, <=

Instead of `minus` there may be `minus_measure`, the difference within each network, or `trend`, an axis of numbers or
another measure: Spearman's correlation with it, over networks. The tested number is the interquartile mean over
networks, the difference of two, or the correlation, with a 95 % bootstrap interval (`mtrnn_analysis.statistics` gives
the coverage for few networks). A claim "holds" if the whole interval fulfils `expect`, "does not hold" if none of it
does, and is "open" otherwise, or where a group has fewer than three networks.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from mtrnn_analysis.statistics import Interval, interquartile_mean
from mtrnn_analysis.studies.networks import NOTHING, Networks, axes_of, column_of, estimate, levels_known, strata, where
from mtrnn_envs.experiments.studies.study import PAPER, Study, has_levels, number
from mtrnn_envs.utils.validation import check_choice

FIELDS = ("text", "source", "measure", "of", "minus", "minus_measure", "trend", "expect")
SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
HOLDS, FAILS, OPEN = "holds", "does not hold", "open"
# 95 % intervals of normal values contain the true mean in 50 % of cases with 2 networks, 74 % with 3, 90 % with 5.
FEWEST = 3


class Judged(NamedTuple):
    """A claim with its test.

    Attributes:
        text: the claim.
        source: its author, and the place.
        expect: the bound, such as "> 0.9".
        value: an interquartile mean, a difference of two, or a correlation; NaN without networks.
        low: the lower end of its interval; NaN where a setting has fewer than two networks.
        high: the upper end.
        n: the number of networks in each group.
        verdict: "holds", "does not hold" or "open".
    """

    text: str
    source: str
    expect: str
    value: float
    low: float
    high: float
    n: tuple[int, ...]
    verdict: str


def judge(found: Networks, rng: np.random.Generator) -> list[Judged]:
    """The claims of a study, tested by the networks so far.

    Networks that diverged, and values that are not finite, are left out; `n` counts the rest. Claims about levels that
    the profile lacks are left out, too.

    Raises:
        ValueError: if a claim names an unknown field, axis, level or measure; see `check`.
    """
    study = found.study
    _check(study, found.profile == PAPER)
    grid = [dict(zip(study.axes, row, strict=True)) for row in itertools.product(*study.axes.values())]
    grid += [row.get("labels", {}) for row in study.also]
    judged = []
    for claim in study.claims:
        if not all(any(has_levels(row, claim.get(key, {})) for row in grid) for key in ("of", "minus")):
            continue
        interval, n = _found(found, claim, rng)
        expect = str(claim["expect"])
        about = str(claim["text"]), str(claim.get("source", "")), expect
        said = verdict(expect, interval) if min(n) >= FEWEST else OPEN
        judged.append(Judged(*about, interval.value, interval.low, interval.high, n, said))
    return judged


def verdict(expect: str, interval: Interval) -> str:
    """Whether all of the interval fulfils `expect` ("holds"), none of it ("does not hold"), or a part ("open").

    Raises:
        ValueError: if `expect` is not a sign and a number.
    """
    fulfils = _expected(expect)
    if not np.isfinite([interval.low, interval.high]).all():
        return OPEN
    ends = {fulfils(interval.low), fulfils(interval.high)}
    return OPEN if len(ends) > 1 else HOLDS if ends.pop() else FAILS


def sentence(judged: Judged) -> str:
    """The test in words: "0.612 (0.580 to 0.640; 5 and 5 networks): holds"."""
    if not all(judged.n):
        return f"no network yet: {judged.verdict}"
    many = " and ".join(map(str, judged.n)) + (" network" if judged.n == (1,) else " networks")
    interval = "one network a setting, no interval"
    if np.isfinite(judged.low):
        interval = f"{judged.low:.3f} to {judged.high:.3f}"
    value = f"{judged.value:.3f}" if np.isfinite(judged.value) else "not defined"
    return f"{value} ({interval}; {many}): {judged.verdict}"


def check(study: Study) -> None:
    """Checks the claims of a study.

    Raises:
        ValueError: if a claim lacks a field, or names an unknown field, axis, level or measure.
    """
    _check(study, True)


def _check(study: Study, declared: bool) -> None:
    """As `check`; a profile of the `declared` study may lack levels and probes."""
    axes = axes_of(study)
    for i, claim in enumerate(study.claims):
        for key in claim:
            check_choice(key, FIELDS, "field", f"claims[{i}]")
        for key in ("text", "measure", "expect"):
            if key not in claim:
                raise ValueError(f"claims[{i}] has no {key}; it needs text, measure and expect")
        _expected(claim["expect"])
        if len(kinds := [key for key in ("minus", "minus_measure", "trend") if key in claim]) > 1:
            raise ValueError(f"claims[{i}] has {' and '.join(kinds)}; give one of them")
        for key in ("measure", "minus_measure"):
            if key in claim:
                column_of(study, claim[key], declared)
        for key in ("of", "minus"):
            levels_known(study, claim.get(key, {}), f"claims[{i}].{key}", declared)
        if (trend := claim.get("trend")) in axes:
            if declared and np.isfinite([number(level) for level in axes[trend]]).sum() < 2:
                raise ValueError(
                    f"claims[{i}].trend={trend!r} has the levels {axes[trend]}; two or more must be numbers"
                )
        elif trend is not None and trend not in study.measures:
            check_choice(trend, [*axes, *study.measures], "axis or measure", f"study {study.name!r}")


def _expected(expect: str) -> Callable[[float], bool]:
    """The function that tells whether a number fulfils `expect`."""
    match = re.fullmatch(r"\s*(>=|<=|>|<)\s*(\S+)\s*", str(expect))
    if match is None or np.isnan(bound := number(match[2])):
        raise ValueError(f"expect={expect!r} must be one of {', '.join(SIGNS)} and a number, such as '> 0.9'")
    return lambda value: bool(SIGNS[match[1]](value, bound))


def _found(found: Networks, claim: Mapping[str, Any], rng: np.random.Generator) -> tuple[Interval, tuple[int, ...]]:
    """The tested number with its interval, and the number of networks in each group."""
    values = found.numbers(column_of(found.study, claim["measure"], False))
    if "minus_measure" in claim:
        values = values - found.numbers(column_of(found.study, claim["minus_measure"], False))
    level = _levels(found, claim["trend"]) if "trend" in claim else np.zeros(len(values))
    usable = np.isfinite(values) & np.isfinite(level)
    groups = [
        [np.array(rows) for rows in strata(found, [i for i in where(found, levels) if usable[i]])]
        for levels in (claim.get("of", {}), *([claim["minus"]] if "minus" in claim else []))
    ]
    n = tuple(sum(map(len, group)) for group in groups)
    if not all(n):
        return NOTHING, n
    each = [[values[rows] for rows in group] for group in groups]
    if "trend" in claim:
        drawn = claim["trend"] not in axes_of(found.study)
        return _trend(each[0], np.concatenate([level[rows] for rows in groups[0]]), drawn, rng), n
    if "minus" in claim:
        return _difference(each[0], each[1], rng), n
    return estimate(each[0], rng), n


def _levels(found: Networks, trend: str) -> Float[np.ndarray, " N"]:
    """The abscissa of a trend: the level of each network, or its value of a measure."""
    if trend in axes_of(found.study):
        return np.array([number(labels.get(trend)) for labels in found.labels])
    return found.numbers(column_of(found.study, trend, False))


def _difference(a: list[np.ndarray], b: list[np.ndarray], rng: np.random.Generator) -> Interval:
    """The interquartile mean of the networks of some settings minus that of others, resampled within each setting."""
    together, n = [*a, *b], sum(map(len, a))

    def apart(values: Float[np.ndarray, "*batch N"]) -> Float[np.ndarray, "*batch"]:
        return np.asarray(interquartile_mean(values[..., :n]) - interquartile_mean(values[..., n:]))

    return estimate(together, rng, apart)


def _trend(
    groups: list[np.ndarray], level: Float[np.ndarray, " N"], drawn_too: bool, rng: np.random.Generator
) -> Interval:
    """Spearman's correlation of the networks' values with `level`; networks are resampled within each setting.

    For levels of an axis, the spread of the ranks is that of the networks as they are: a network drawn twice ties with
    itself, and with the spread of such ranks nearly all resampled correlations would exceed that of the networks. For
    a measure (`drawn_too`) both ranks tie, and each sample has its own spread.
    """

    def centred(values: Float[np.ndarray, "*batch N"]) -> Float[np.ndarray, "*batch N"]:
        return rankdata(values, axis=-1) - (len(level) + 1) / 2

    values = np.concatenate(groups)
    x, y = centred(level), centred(values)
    spread = float(np.sqrt((x @ x) * (y @ y)))
    if not x.any():
        return NOTHING  # one level alone

    def correlation(networks: Float[np.ndarray, "*batch N"]) -> Float[np.ndarray, "*batch"]:
        drawn = networks.astype(int)
        a, b = centred(level[drawn]), centred(values[drawn])
        size = np.sqrt(np.sum(a**2, axis=-1) * np.sum(b**2, axis=-1)) if drawn_too else spread
        products = np.sum(a * b, axis=-1)
        # Values that are all the same have no trend.
        return np.asarray(np.clip(products / np.where(size == 0, 1, size), -1, 1))

    numbered = np.split(np.arange(len(values), dtype=float), np.cumsum([len(group) for group in groups])[:-1])
    return estimate(numbered, rng, correlation)
