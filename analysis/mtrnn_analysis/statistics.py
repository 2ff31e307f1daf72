"""Statistics over networks. **The replicate is the network**: one value each, never one a fold, a fit or a trial.

Trials of one network share its weights, and fits to one network its states: taken for replicates they make intervals
that say nothing about the next network. Average within a network first; pass what is left. Axis letters: N networks of
a group, B resamples, R draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import trim_mean

from mtrnn_analysis.nulls import p_value
from mtrnn_envs.utils.validation import check_int

Values = Sequence[float] | np.ndarray


class Interval(NamedTuple):
    """An estimate with a bootstrap interval around it.

    Attributes:
        value: of the statistic, of the networks as they are.
        low: the lower end.
        high: the upper end.
        level: the share of intervals that shall hold the true value. How many do, see `bootstrap`.
    """

    value: float
    low: float
    high: float
    level: float


class Permutation(NamedTuple):
    """What a permutation test found.

    Attributes:
        difference: the statistic of the first group minus that of the second.
        p: how often other ways to divide the networks into such groups give as large a difference, either way.
        exact: whether all ways were looked at; else `n` were drawn.
        n: the ways that were looked at, that of the data among them.
    """

    difference: float
    p: float
    exact: bool
    n: int


def interquartile_mean(values: Float[np.ndarray, "*batch N"]) -> Float[np.ndarray, "*batch"]:
    """The mean of the middle half, along the last axis: of N values floor(N / 4) are left out at each end.

    `scipy.stats.trim_mean(values, 0.25)`, as rliable's IQM (Agarwal et al. 2021, arXiv:2108.13264). Less moved by one
    network that failed than the mean, and less by chance than the median. With fewer than 4 networks it is the mean.
    """
    return np.asarray(trim_mean(values, 0.25, axis=-1), np.float64)


def mean(values: Float[np.ndarray, "*batch N"]) -> Float[np.ndarray, "*batch"]:
    """The mean along the last axis."""
    return np.asarray(np.mean(values, axis=-1), np.float64)


def bootstrap(
    groups: Sequence[Values],
    rng: np.random.Generator,
    *,
    statistic: Callable[[np.ndarray], Any] = interquartile_mean,
    level: float = 0.95,
    n_draws: int = 2000,
) -> Interval:
    """The statistic of all networks together, with a stratified percentile bootstrap interval.

    The strata are `groups`: settings, for example the numbers of tasks. In each draw networks are drawn with
    replacement within each group, and the statistic is taken of all together (rliable's stratified bootstrap). For
    one group's own interval give that group alone.

    **Coverage.** No resampling makes more of few networks. Intervals for the interquartile mean of normal values, at
    the level 0.95, held the true value in this share of groups: 5 networks 0.90, 10 0.93, 20 0.94.

    Arguments:
        groups: values of each, one a network; two or more networks in each: one alone is drawn every time, as if its
            setting knew no chance.
        rng: draws.
        statistic: of the last axis of an array `[..., N]`.
        level: between 0 and 1.
        n_draws: of the bootstrap.

    Raises:
        ValueError: if there is no group, a value is not finite, a group has fewer than two networks, or an argument is
            out of its range.
    """
    strata = [_values(f"groups[{i}]", group, 2) for i, group in enumerate(groups)]
    _check(level, n_draws)
    if not strata:
        raise ValueError("groups is empty; one or more are needed")
    drawn = np.concatenate([_resampled(stratum, n_draws, rng) for stratum in strata], axis=1)
    return _interval(float(statistic(np.concatenate(strata))), statistic(drawn), level)


def difference(
    a: Values,
    b: Values,
    rng: np.random.Generator,
    *,
    statistic: Callable[[np.ndarray], Any] = interquartile_mean,
    level: float = 0.95,
    n_draws: int = 2000,
) -> Interval:
    """The statistic of networks `a` minus that of `b`, with a bootstrap interval: both are drawn anew, apart.

    Coverage is as in `bootstrap`. For whether there is any difference see `permutation_test`, which is exact.

    Raises:
        ValueError: if a value is not finite, a group has fewer than two networks, or an argument is out of its range.
    """
    a, b = (_values(name, values, 2) for name, values in (("a", a), ("b", b)))
    _check(level, n_draws)
    drawn = [np.asarray(statistic(_resampled(values, n_draws, rng))) for values in (a, b)]
    return _interval(float(statistic(a)) - float(statistic(b)), drawn[0] - drawn[1], level)


def probability_of_improvement(
    a: Mapping[str, Values] | Values,
    b: Mapping[str, Values] | Values,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    n_draws: int = 2000,
) -> Interval:
    """How often a network of `a` is better (has more) than one of `b`: the share of pairs, ties counting half.

    Mann & Whitney's U / (N_a N_b); 1/2 where the two are alike. By settings, it is the mean over these, each weighing
    the same (Agarwal et al. 2021, arXiv:2108.13264), and networks are drawn anew within each setting.
    Where all of `a` are above all of `b`, every draw says so, and the interval is the point 1: it tells less than
    `permutation_test`.

    Arguments:
        a: values, one a network, two or more; or these by setting.
        b: likewise, of the same settings.
        rng: draws.
        level: of the interval, between 0 and 1.
        n_draws: of the bootstrap.

    Raises:
        ValueError: if settings differ, a value is not finite, a group has fewer than two networks, or an argument is
            out of its range.
    """
    first, second = (values if isinstance(values, Mapping) else {"": values} for values in (a, b))
    if set(first) != set(second) or not first:
        raise ValueError(f"a has the settings {sorted(first)}, b {sorted(second)}; they must be the same, one or more")
    _check(level, n_draws)
    value, drawn = 0.0, np.zeros(n_draws)
    for setting in first:
        x, y = _values(f"a[{setting!r}]", first[setting], 2), _values(f"b[{setting!r}]", second[setting], 2)
        value += float(_superiority(x[None], y[None])[0]) / len(first)
        drawn += _superiority(_resampled(x, n_draws, rng), _resampled(y, n_draws, rng)) / len(first)
    return _interval(value, drawn, level)


def permutation_test(
    a: Values,
    b: Values,
    rng: np.random.Generator,
    *,
    statistic: Callable[[np.ndarray], Any] = mean,
    n_draws: int = 9999,
) -> Permutation:
    """Are two groups of networks different? By all ways to divide the networks into two such groups, or by chance.

    Null hypothesis: which group a network is in makes no difference, so that every way is as likely. p is the share of
    ways whose difference, either way, is as large. All ways are looked at if there are `n_draws` + 1 or fewer; then p
    is exact. Of two groups of N the data and their mirror image are 2 of C(2 N, N) ways, so that p is never below 0.1
    with 3 networks each, 0.029 with 4, 0.008 with 5.

    The statistic is the mean, unlike that of intervals: the interquartile mean leaves out the extremes of each group,
    so that other ways tie with groups that are fully apart (0.057 at least with 4 networks each, 0.016 with 5).

    Raises:
        ValueError: if a value is not finite, a group is empty, or `n_draws` is not 1 or more.
    """
    a, b = (_values(name, values) for name, values in (("a", a), ("b", b)))
    check_int("n_draws", n_draws, 1)
    together, n = np.concatenate([a, b]), len(a)
    n_ways = comb(len(together), n)
    exact = n_ways <= n_draws + 1
    if exact:
        chosen = np.array(list(combinations(range(len(together)), n)))
        rest = np.array([np.setdiff1d(np.arange(len(together)), row) for row in chosen])
        orders = np.concatenate([chosen, rest], axis=1)
    else:
        orders = np.argsort(rng.random((n_draws, len(together))), axis=1)
    mixed = together[orders]
    differences = np.asarray(statistic(mixed[:, :n])) - np.asarray(statistic(mixed[:, n:]))
    found = float(statistic(a)) - float(statistic(b))
    # Sums in another order differ by rounding.
    as_large = np.abs(differences) >= abs(found) - 1e-12 * max(1.0, float(np.abs(together).max()))
    hits = as_large.astype(float)
    p = float(hits.mean()) if exact else p_value(1.0, hits)
    return Permutation(found, p, exact, n_ways if exact else n_draws + 1)


def summary(
    values: Mapping[Any, Values], rng: np.random.Generator, *, level: float = 0.95, n_draws: int = 2000
) -> list[dict[str, Any]]:
    """One row of a table for each group of networks.

    Columns: group, networks, iqm, low and high (its interval; NaN for one network alone), mean, sd (of n - 1; NaN for
    one), least, greatest.

    Raises:
        ValueError: as `bootstrap`.
    """
    _check(level, n_draws)
    rows = []
    for group, given in values.items():
        each = _values(f"values[{group!r}]", given)
        alone = len(each) < 2
        nothing = float("nan")
        interval = Interval(float(each[0]), nothing, nothing, level)
        if not alone:
            interval = bootstrap([each], rng, level=level, n_draws=n_draws)
        rows.append(
            {
                "group": group,
                "networks": len(each),
                "iqm": interval.value,
                "low": interval.low,
                "high": interval.high,
                "mean": float(each.mean()),
                "sd": nothing if alone else float(each.std(ddof=1)),
                "least": float(each.min()),
                "greatest": float(each.max()),
            }
        )
    return rows


def _superiority(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The share of pairs of each row in which a's is more, ties counting half."""
    return (0.5 + 0.5 * np.sign(a[:, :, None] - b[:, None])).mean(axis=(1, 2))


def _resampled(values: np.ndarray, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    return values[rng.integers(len(values), size=(n_draws, len(values)))]


def _interval(value: float, drawn: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)


def _values(name: str, values: Values, least: int = 1) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) < least:
        raise ValueError(
            f"{name} has the shape {array.shape}; one value for each of {least} or more networks is needed"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {np.count_nonzero(~np.isfinite(array))} values that are not finite")
    return array


def _check(level: float, n_draws: int) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} is not a number between 0 and 1")
    check_int("n_draws", n_draws, 1)
