"""The decoder against codes whose answers are known, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.linear_model
from sklearn.metrics import r2_score

from mtrnn_analysis.decoding import PENALTIES, _checked, decode, r2_local, r2_prior, ridge
from mtrnn_envs import EvidenceTask, Stream

SEEDS = [0, 1, 2]


def latents_of(rng: np.random.Generator, n: int = 4000, n_dims: int = 2) -> np.ndarray:
    return rng.uniform(-0.5, 0.5, (n, n_dims))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [2, 3, 5])
def test_a_linear_code_is_decoded_everywhere(seed: int, n_dims: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, n_dims=n_dims)
    states = latents @ rng.standard_normal((n_dims, 30)) + rng.standard_normal(30) * 100
    result = decode(states, latents, rng)
    assert len(result.orthants) == 2**n_dims
    for scores in (result.in_distribution, result.out_of_distribution):
        assert scores.r2_prior > 0.999999
        assert scores.r2_local > 0.99999
        assert scores.r2_prior_by_orthant.shape == (2**n_dims,)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_conjunctive_code_tells_the_orthant_only(seed: int) -> None:
    """One unit a quadrant: within it x* is unknown, so MSE = 1/48 and r2_prior = 3/4; a new quadrant means nothing."""
    rng = np.random.default_rng(seed)
    latents = latents_of(rng)
    states = np.eye(4)[(latents > 0) @ [2, 1]]
    result = decode(states, latents, rng)
    assert result.in_distribution.r2_prior == pytest.approx(0.75, abs=0.01)
    assert result.in_distribution.r2_local == pytest.approx(0, abs=0.01)
    # All that the others tell is that it is not one of them: their mean, 1/12 away from 0 in each latent, is predicted.
    assert result.out_of_distribution.r2_prior < 0
    # A code that factors into one unit for each sign carries over, for the same knowledge.
    factored = decode((latents > 0).astype(float), latents, rng)
    assert factored.out_of_distribution.r2_prior == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", [0.05, 0.1, 0.3])
def test_noise_on_the_code_costs_what_it_should(seed: int, noise: float) -> None:
    """h = x* + noise: the best affine decoder has MSE = v s² / (v + s²), with v = 1/12."""
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, n=20_000)
    result = decode(latents + noise * rng.standard_normal(latents.shape), latents, rng)
    expected = 1 / (1 + 12 * noise**2)
    assert result.in_distribution.r2_prior == pytest.approx(expected, abs=0.01)
    mse = np.mean((result.in_distribution.predictions - latents) ** 2)
    assert result.in_distribution.r2_prior == pytest.approx(1 - 12 * mse, abs=1e-3)
    assert result.in_distribution.r2_local == pytest.approx(1 - 48 * mse, abs=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_shuffled_latents_cannot_be_decoded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng)
    result = decode(rng.standard_normal((len(latents), 40)), latents, rng)
    assert abs(result.in_distribution.r2_prior) < 0.02
    assert result.out_of_distribution.r2_prior < 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_the_running_mean_of_the_evidence_reaches_the_affine_ceiling(seed: int) -> None:
    task = EvidenceTask()
    trials = Stream(task, "test", seed).take(40_000)
    result = decode(trials.evidence.mean(axis=1).astype(float), trials.latents, np.random.default_rng(seed))
    assert result.in_distribution.r2_prior == pytest.approx(1 / (1 + 12 * 0.2**2 / 20), abs=5e-4)
    assert result.in_distribution.r2_prior == pytest.approx(0.9766, abs=5e-4)
    assert result.out_of_distribution.r2_prior == pytest.approx(0.976, abs=2e-3)


@pytest.mark.parametrize("penalty", [0.0, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("seed", SEEDS)
def test_ridge_is_that_of_scikit_learn(penalty: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 300, 3)
    states = np.maximum(latents @ rng.standard_normal((3, 12)) + rng.standard_normal((300, 12)), 0) + 5
    mine = ridge(states, latents, penalty)
    theirs = sklearn.linear_model.Ridge(alpha=penalty).fit(states, latents)
    np.testing.assert_allclose(mine.weights, theirs.coef_.T, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(mine.intercept, theirs.intercept_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(mine.predict(states), theirs.predict(states), atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_decode_is_the_plain_loop_written_fast(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 400)
    states = np.maximum(latents @ rng.standard_normal((2, 20)) + 0.3 * rng.standard_normal((400, 20)), 0)
    result = decode(states, latents, rng, penalties=(1e-4, 1e-2, 1.0))
    orthant = np.array([result.orthants.index("".join("-+"[int(s)] for s in row > 0)) for row in latents])

    def fit(rows: np.ndarray, relative: float) -> sklearn.linear_model.Ridge:
        scale = np.sum(np.var(states[rows], axis=0)) * rows.sum() / states.shape[1]
        return sklearn.linear_model.Ridge(alpha=relative * scale).fit(states[rows], latents[rows])

    for q in range(4):
        errors = [
            sum(
                np.sum(
                    (fit((orthant != q) & (orthant != v), p).predict(states[orthant == v]) - latents[orthant == v]) ** 2
                )
                for v in range(4)
                if v != q
            )
            for p in result.penalty_grid
        ]
        best = result.penalty_grid[int(np.argmin(errors))]
        assert result.out_of_distribution.penalties[q] == best
        predicted = fit(orthant != q, best).predict(states[orthant == q])
        np.testing.assert_allclose(result.out_of_distribution.predictions[orthant == q], predicted, atol=1e-8)
        assert result.out_of_distribution.r2_local_by_orthant[q] == pytest.approx(
            r2_score(latents[orthant == q], predicted)
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_invariances(seed: int) -> None:
    """Rotating, scaling and shifting the units changes nothing; nor does the held-out orthant's own data."""
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 600)
    states = np.tanh(latents @ rng.standard_normal((2, 10))) + 0.1 * rng.standard_normal((600, 10))
    rotation = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    first = decode(states, latents, np.random.default_rng(0))
    second = decode(1e3 * states @ rotation + 7, latents, np.random.default_rng(0))
    for name in ("in_distribution", "out_of_distribution"):
        np.testing.assert_allclose(getattr(first, name).predictions, getattr(second, name).predictions, atol=1e-6)
    held_out = (latents > 0).all(axis=1)
    spoilt = states.copy()
    spoilt[held_out] = rng.standard_normal((held_out.sum(), 10))
    q = first.orthants.index("++")
    assert decode(spoilt, latents, rng).out_of_distribution.penalties[q] == first.out_of_distribution.penalties[q]


def test_definitions_of_r2() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng)
    predictions = latents + rng.standard_normal(latents.shape) * 0.1
    assert r2_prior(latents, predictions) == pytest.approx(1 - 12 * np.mean((latents - predictions) ** 2))
    assert r2_local(latents, predictions) == pytest.approx(r2_score(latents, predictions))


def test_bad_arguments() -> None:
    rng = np.random.default_rng(0)
    latents, states = latents_of(rng, 100), rng.standard_normal((100, 5))
    with pytest.raises(ValueError, match="states has 99 trials, latents 100"):
        _checked(states[1:], latents)
    with pytest.raises(ValueError, match="not finite"):
        decode(np.where(states > 0, np.nan, states), latents, rng)
    with pytest.raises(ValueError, match=r"n_folds=2 is not a whole number, 3 or more"):
        decode(states, latents, rng, n_folds=2)
    with pytest.raises(ValueError, match="penalties="):
        decode(states, latents, rng, penalties=(0.0, 1.0))
    with pytest.raises(ValueError, match="lie in 2 orthants"):
        decode(states, latents[:, :1], rng)
    with pytest.raises(ValueError, match="has 4 trials; 2 \\* n_folds=8"):
        decode(states[:16], np.tile([[0.1, 0.1], [0.1, -0.1], [-0.1, 0.1], [-0.1, -0.1]], (4, 1)), rng)
    with pytest.raises(ValueError, match="penalty=-1 is not a number of 0 or more"):
        ridge(states, latents, -1)
    assert min(PENALTIES) > 0
