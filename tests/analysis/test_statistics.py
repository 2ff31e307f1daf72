"""Statistics over networks: definitions in closed form, coverage and false alarms by simulation, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from mtrnn_analysis.statistics import bootstrap, interquartile_mean, summary

numbers = st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=40)


def test_interquartile_mean_is_that_of_the_middle_half() -> None:
    assert interquartile_mean(np.array([100.0, 1, 2, 3, 4, 5, 6, -50])) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean(np.array([1.0, 2, 3, 4, 50])) == 3  # one of five is left out at each end
    assert interquartile_mean(np.array([1.0, 2, 6])) == 3  # of three none
    np.testing.assert_allclose(interquartile_mean(np.arange(12.0).reshape(2, 6)), [2.5, 8.5])


@given(numbers, st.floats(-100, 100), st.floats(0.1, 10))
def test_interquartile_mean_moves_with_the_values_and_not_with_their_order(values, shift: float, scale: float) -> None:
    array = np.array(values)
    mine = interquartile_mean(array)
    assert interquartile_mean(scale * array[::-1] + shift) == pytest.approx(scale * mine + shift, abs=1e-6)
    ordered = np.sort(array)
    cut = len(array) // 4  # rliable: scipy.stats.trim_mean(scores, proportiontocut=0.25)
    assert mine == pytest.approx(ordered[cut : len(array) - cut].mean(), abs=1e-9)
    ordered[-1] += 1e6  # the greatest of four or more is not in it
    assert interquartile_mean(ordered) == pytest.approx(mine, abs=1e-9)


@pytest.mark.parametrize(("n", "expected"), [(5, 0.90), (10, 0.93), (20, 0.94)])
def test_coverage_of_intervals_is_what_the_documentation_says(n: int, expected: float) -> None:
    """Of 500 groups, within what chance makes of that share (one in a thousand on each side)."""
    rng = np.random.default_rng(n)
    hits = 0
    for _ in range(500):
        found = bootstrap([rng.standard_normal(n)], rng, n_draws=400)
        hits += found.low <= 0 <= found.high
    low, high = binom.ppf([0.001, 0.999], 500, expected)
    assert low <= hits <= high


def test_intervals_of_the_mean_are_those_of_theory() -> None:
    """With many networks and the mean: the standard error, sd / sqrt(N)."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(400)
    found = bootstrap([values], rng, statistic=lambda x: x.mean(axis=-1), n_draws=10_000, level=0.9)
    half = norm.ppf(0.95) * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    np.testing.assert_allclose([found.low, found.high], values.mean() + np.array([-half, half]), atol=0.05 * half)


def test_strata_are_drawn_apart() -> None:
    """Two settings far from each other: the distance between them is no uncertainty."""
    rng = np.random.default_rng(0)
    near, far = rng.standard_normal(20), 100 + rng.standard_normal(20)
    mean = lambda x: x.mean(axis=-1)  # noqa: E731
    apart = bootstrap([near, far], rng, statistic=mean)
    together = bootstrap([np.concatenate([near, far])], rng, statistic=mean)
    assert apart.value == together.value == pytest.approx(np.concatenate([near, far]).mean())
    assert apart.high - apart.low < 1 < 10 < together.high - together.low


def test_the_same_generator_gives_the_same_interval_and_no_other_is_read() -> None:
    values = np.random.default_rng(0).standard_normal(9)
    first, second = (bootstrap([values], np.random.default_rng(4)) for _ in range(2))
    assert first == second != bootstrap([values], np.random.default_rng(5))


def test_summary_has_a_row_for_each_group() -> None:
    rng = np.random.default_rng(0)
    rows = summary({1: [0.3, 0.4, 0.2, 0.35], 24: np.array([0.95]), "untrained": (0.5, 0.6)}, rng)
    assert [row["group"] for row in rows] == [1, 24, "untrained"]
    assert [row["networks"] for row in rows] == [4, 1, 2]
    first, alone, _ = rows
    assert first["iqm"] == pytest.approx((0.3 + 0.35) / 2)
    assert first["least"] <= first["low"] < first["iqm"] < first["high"] <= first["greatest"]
    assert first["sd"] == pytest.approx(np.std([0.3, 0.4, 0.2, 0.35], ddof=1))
    assert alone["iqm"] == alone["mean"] == 0.95
    assert np.isnan([alone["low"], alone["high"], alone["sd"]]).all()
    assert summary({}, rng) == []


def test_bad_values_are_refused() -> None:
    rng = np.random.default_rng(0)
    good = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"groups\[0\] has 1 values that are not finite"):
        bootstrap([[1.0, float("nan")]], rng)
    with pytest.raises(ValueError, match=r"groups\[1\] has the shape \(1,\); one value for each of 2 or more networks"):
        bootstrap([good, [1.0]], rng)
    with pytest.raises(ValueError, match="groups is empty"):
        bootstrap([], rng)
    with pytest.raises(ValueError, match="level=95 is not a number between 0 and 1"):
        bootstrap([good], rng, level=95)
    with pytest.raises(ValueError, match=r"groups\[0\] has the shape \(2, 2\)"):
        bootstrap([np.ones((2, 2))], rng)
    with pytest.raises(ValueError, match="n_draws=0 is not a whole number, 1 or more"):
        bootstrap([good], rng, n_draws=0)
    with pytest.raises(
        ValueError, match=r"values\['g'\] has the shape \(0,\); one value for each of 1 or more networks"
    ):
        summary({"g": []}, rng)
    with pytest.raises(ValueError, match=r"values\['g'\] has 1 values that are not finite"):
        summary({"g": [1.0, np.inf]}, rng)
