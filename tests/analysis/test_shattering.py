"""Shattering dimensionality: a linear code has the latents and not XOR, a conjunctive one has every dichotomy."""

import sys

import numpy as np
import pytest
from helpers import codes
from scipy.stats import kstest
from sklearn.linear_model import RidgeClassifier

from mtrnn_analysis.geometry import Shattering, shattering
from mtrnn_analysis.orthants import orthants


@pytest.mark.parametrize("seed", range(3))
def test_codes_are_told_apart(seed):
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng)
    linear, expanded, conjunctive, unrelated = (
        shattering(code(rng, latents), latents, rng, n_null=20)
        for code in (codes.linear, codes.expanded, codes.conjunctive, codes.unrelated)
    )
    assert linear.xor == pytest.approx(0.5, abs=0.06)
    assert linear.value == pytest.approx((2 * linear.latents_only + linear.xor) / 3, abs=1e-12)
    assert linear.latents_only > 0.93
    assert linear.p == 1 / 21
    assert linear.p_xor > 1 / 21
    assert linear.share_significant == pytest.approx(2 / 3)
    assert expanded.value > 0.9
    assert expanded.xor > 0.8
    assert conjunctive.value > 0.99
    assert conjunctive.share_significant == 1
    assert unrelated.value == pytest.approx(0.5, abs=0.04)
    assert unrelated.p > 0.05


def test_a_linear_code_of_three_latents_has_what_theory_says():
    """The best linear read-out of a dichotomy has weights E[y sign(x)]: accuracy by its agreement, at corners."""
    rng = np.random.default_rng(0)
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    latents = np.repeat(signs, 60, axis=0) * 0.25
    states = codes.linear(rng, latents, 20, noise=1e-3)
    found = shattering(states, latents, rng, n_null=0)
    drive = signs @ (signs.T @ found.dichotomies.T) / 8
    right = np.where(np.abs(drive) < 1e-9, np.nan, np.sign(drive) == found.dichotomies.T)
    clear = ~np.isnan(right).any(axis=0)
    assert clear.sum() > 10
    np.testing.assert_allclose(found.accuracies[clear], right.mean(axis=0)[clear], atol=1e-9)


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_agrees_with_a_loop_over_scikit_learn(n_dims):
    """The folds that the probe deals are dealt once more here."""
    latents = codes.latents_of(np.random.default_rng(n_dims), 300, n_dims)
    states = codes.expanded(np.random.default_rng(5), latents, 15, noise=3)
    found = shattering(states, latents, np.random.default_rng(7), n_null=0)
    again, where = np.random.default_rng(7), orthants(latents)
    fold = np.empty(300, int)
    for q, count in enumerate(where.counts):
        fold[where.which == q] = again.permutation(np.arange(count) % 4)
    for row, ours in zip(found.dichotomies, found.accuracies, strict=True):
        right = np.empty(300)
        for f in range(4):
            fitted, tested = fold != f, fold == f
            counts = np.bincount(where.which[fitted])
            weights = fitted.sum() / len(counts) / counts[where.which[fitted]]
            about = states[fitted] - np.average(states[fitted], axis=0, weights=weights)
            alpha = 1e-3 * (weights @ about**2).mean()
            model = RidgeClassifier(alpha=alpha).fit(states[fitted], row[where.which][fitted], weights)
            right[tested] = model.predict(states[tested]) == row[where.which][tested]
        assert ours == pytest.approx(np.mean([right[where.which == q].mean() for q in range(2**n_dims)]), abs=1e-12)


def test_one_latent_has_one_dichotomy():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, n_dims=1)
    found = shattering(codes.linear(rng, latents), latents, rng, n_null=20)
    assert found.dichotomies.tolist() == [[-1, 1]]
    assert found.value == found.latents_only > 0.9
    assert np.isnan(found.xor)


def test_of_four_latents_a_sample_of_dichotomies_is_scored(monkeypatch):
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 600, n_dims=4)
    monkeypatch.setattr(sys.modules[Shattering.__module__], "MOST", 40)
    found = shattering(codes.conjunctive(rng, latents), latents, rng, n_null=2)
    assert len(found.dichotomies) == len(found.accuracies) == len(np.unique(found.dichotomies, axis=0)) == 40
    np.testing.assert_array_equal(found.dichotomies[:4], orthants(latents).signs.T)
    assert found.latents_only == found.accuracies[:4].mean()
    # The latents are 4 of 6435, whatever share of the 40 they are.
    assert found.value == pytest.approx((4 * found.latents_only + 6431 * found.accuracies[4:].mean()) / 6435)
    assert found.value > 0.9
    assert np.isnan(found.share_significant), "2 draws tell no p of 0.05"


def test_latents_that_are_correlated_over_trials_hardly_change_it():
    """The same places and noise, in 500 trials of each condition or in 900 and 100: a read-out that counts trials
    takes x1 from x2.
    """
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    found = []
    for counts in ([500] * 4, [900, 100, 100, 900]):
        latents = 0.3 * np.repeat(signs, counts, axis=0)
        for seed in range(3):
            rng = np.random.default_rng(seed)
            one = shattering(codes.linear(rng, latents, 4, noise=0.6), latents, rng, n_null=0)
            found.append((one.value, one.latents_only))
    even, correlated = np.reshape(found, (2, 3, 2)).mean(axis=1)
    assert 0.6 < even[1] < 0.9, "neither perfect nor chance"
    np.testing.assert_allclose(correlated, even, atol=0.015)


def test_p_is_uniform_where_states_hold_nothing():
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 120)
        p.append(shattering(codes.unrelated(rng, latents, 8), latents, rng, n_null=19).p - rng.uniform(0, 0.05))
    assert kstest(p, "uniform").statistic < 1.63 / np.sqrt(200)


def test_what_cannot_be_scored_is_refused():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 200)
    states = codes.linear(rng, latents, 8)
    few = np.repeat([[-0.1, -0.1], [-0.1, 0.1], [0.1, -0.1], [0.1, 0.1]], [1, 2, 3, 4], axis=0)
    with pytest.raises(ValueError, match=r"orthant -- has 1 trials; 4 or more"):
        shattering(states[:10], few, rng)
