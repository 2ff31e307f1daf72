"""Ridge regression from sums of products: against scikit-learn, and where a fit is not determined."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import sklearn.linear_model

from mtrnn_analysis.decoding.ridge import PENALTIES, ridge

SEEDS = [0, 1, 2]


@pytest.mark.parametrize("penalty", [0.0, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("seed", SEEDS)
def test_ridge_is_that_of_scikit_learn(penalty: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = rng.uniform(-0.5, 0.5, (300, 3))
    states = np.maximum(latents @ rng.standard_normal((3, 12)) + rng.standard_normal((300, 12)), 0) + 5
    mine = ridge(states, latents, penalty)
    theirs = sklearn.linear_model.Ridge(alpha=penalty).fit(states, latents)
    np.testing.assert_allclose(mine.weights, theirs.coef_.T, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(mine.intercept, theirs.intercept_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(mine.predict(states), theirs.predict(states), atol=1e-9)


def test_directions_without_variance_get_no_weight() -> None:
    rng = np.random.default_rng(0)
    latents = rng.uniform(-0.5, 0.5, (50, 2))
    states = np.concatenate([latents, latents, np.full((50, 3), 1e6)], axis=1)
    found = ridge(states, latents, 0.0)
    np.testing.assert_allclose(found.weights[:2] + found.weights[2:4], np.eye(2), atol=1e-9)
    np.testing.assert_allclose(found.weights[4:], 0, atol=1e-12)


def test_bad_arguments() -> None:
    rng = np.random.default_rng(0)
    states, latents = rng.standard_normal((100, 5)), rng.standard_normal((100, 2))
    for penalty in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"penalty={penalty} is not a number of 0 or more"):
            ridge(states, latents, penalty)
    with pytest.raises(ValueError, match="states has 99 trials, targets 100"):
        inspect.unwrap(ridge)(states[1:], latents, 1)  # without the check of annotations, which tests have
    assert min(PENALTIES) > 0
