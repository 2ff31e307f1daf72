"""The parallelism score: coding vectors of a linear code are parallel, whatever the noise, of random places not."""

import numpy as np
import pytest
from helpers import codes
from scipy.stats import kstest
from sklearn.metrics.pairwise import cosine_similarity

from mtrnn_analysis.geometry import parallelism
from mtrnn_analysis.nulls import mixed_places


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_dims", [2, 3])
def test_codes_are_told_apart(seed, n_dims):
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng, n_dims=n_dims)
    linear, expanded, unrelated = (
        parallelism(code(rng, latents), latents, rng, n_null=20)
        for code in (codes.linear, codes.expanded, codes.unrelated)
    )
    assert linear.value == pytest.approx(1, abs=0.02)
    assert linear.p == 1 / 21
    assert 0.5 < expanded.value < linear.value
    assert abs(unrelated.value) < 0.4
    assert all(abs(value) < 1 for value in unrelated.signal_to_noise.values()), "there is no signal"


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_noise_lowers_the_cosine_and_the_correction_undoes_it(noise):
    """Four places whose two coding vectors of x1 have the cosine 0.6, and noise in 40 units."""
    corrected, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        signs = np.repeat([[-1, -1], [-1, 1], [1, -1], [1, 1]], 30, axis=0)
        v = np.zeros((2, 40))
        v[0, 0], v[1, :2] = 3, (1.8, 2.4)
        states = np.zeros((120, 40))
        for row, vector in zip((-1, 1), v, strict=True):
            states += 0.5 * signs[:, :1] * vector * (signs[:, 1:] == row)
        states[:, 5] += 2 * signs[:, 1]
        found = parallelism(states + noise * rng.standard_normal(states.shape), 0.3 * signs, rng, n_null=0)
        corrected.append(found.by_latent["x1"])
        plain.append(found.uncorrected_by_latent["x1"])
    error = np.std(corrected) / np.sqrt(60)
    assert np.mean(corrected) == pytest.approx(0.6, abs=4 * error + 0.01)
    assert np.mean(plain) == pytest.approx(0.6 * 9 / (9 + 40 * noise**2 / 15), abs=0.03)


def test_the_corrected_length_is_the_mean_product_over_halves():
    """|v|² - e, against random halvings of the trials of every condition."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 400)
    states = codes.linear(rng, latents, 10, noise=1.5)
    which = (latents > 0) @ [2, 1]
    rows = [np.flatnonzero(which == q) for q in range(4)]
    for q in range(4):
        rows[q] = rows[q][: len(rows[q]) // 2 * 2]
    used = np.concatenate(rows)
    found = parallelism(states[used], latents[used], rng, n_null=0)
    products = np.zeros((2, 2))
    for _ in range(3000):
        halves = np.stack([states[rng.permutation(r)].reshape(2, -1, 10).mean(axis=1) for r in rows], axis=1)
        a, b = halves[:, 2:] - halves[:, :2]
        products += (a @ b.T + b @ a.T) / 2 / 3000
    cosine = products[0, 1] / np.sqrt(products[0, 0] * products[1, 1])
    assert found.by_latent["x1"] == pytest.approx(cosine, abs=0.01)
    assert found.uncorrected_by_latent["x1"] < cosine - 0.02


def test_without_noise_it_is_the_plain_mean_cosine():
    rng = np.random.default_rng(3)
    places = rng.standard_normal((8, 6))
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    found = parallelism(np.repeat(places, 2, axis=0), 0.2 * np.repeat(signs, 2, axis=0), rng, n_null=0)
    v = places[4:] - places[:4]
    pairs = np.triu_indices(4, 1)
    expected, centred = (np.asarray(each)[pairs].mean() for each in (cosine_similarity(v), np.corrcoef(v)))
    assert abs(expected - centred) > 0.04, "or cosines could not be told from correlations"
    assert found.by_latent["x1"] == pytest.approx(expected, abs=1e-9)
    assert found.uncorrected_by_latent["x1"] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(found.coding[0], v, atol=1e-12)


def dead(rng, latents):
    return np.hstack([codes.conjunctive(rng, latents, 6), np.zeros((len(latents), 58))])


def unequal(rng, latents):
    return codes.conjunctive(rng, latents, 30) * rng.lognormal(0, 1, 30)


def spread(rng, latents):
    return codes.conjunctive(rng, latents, 6) @ np.linalg.qr(rng.standard_normal((32, 6)))[0].T


@pytest.mark.parametrize(
    ("code", "which"),
    [
        (codes.conjunctive, "p"),
        (dead, "p"),
        (unequal, "p"),
        (spread, "p"),
        (codes.unrelated, "p_labels"),
    ],
)
def test_p_is_uniform_where_the_null_holds(code, which):
    """Random places in 64 units, in 6 beside dead ones, in units of unequal gains, in 6 dimensions of 32 units."""
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 160)
        p.append(getattr(parallelism(code(rng, latents), latents, rng, n_null=19), which) - rng.uniform(0, 0.05))
    assert kstest(p, "uniform").statistic < 1.63 / np.sqrt(200)


def test_the_null_keeps_the_mean_and_the_scatter_of_the_places_and_turns_them_uniformly():
    rng = np.random.default_rng(0)
    places = 5 + rng.standard_normal((8, 20)) * np.arange(20)
    drawn = mixed_places(places, 4000, rng)
    np.testing.assert_allclose(drawn.mean(axis=1), np.tile(places.mean(axis=0), (4000, 1)), atol=1e-9)
    about, them = places - places.mean(axis=0), drawn - drawn.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(them[:9].transpose(0, 2, 1) @ them[:9], np.tile(about.T @ about, (9, 1, 1)), atol=1e-8)
    distances = (them**2).sum(axis=2)
    expected = (about**2).sum() / 8
    assert np.abs(distances.mean(axis=0) - expected).max() < 4.5 * distances.std() / np.sqrt(4000)
    assert np.abs(them.mean(axis=0)).max() < 4.5 * them.std(axis=0).max() / np.sqrt(4000)


def test_a_latent_that_states_do_not_hold_has_no_parallel_code():
    rng = np.random.default_rng(4)
    latents = codes.latents_of(rng)
    found = parallelism(codes.linear(rng, latents[:, :1]), latents, rng, n_null=20)
    assert found.by_latent["x1"] > 0.95
    exact = parallelism(np.sign(latents[:, :1]), latents, rng, n_null=3).by_latent
    assert exact == pytest.approx({"x1": 1.0, "x2": 0.0}, abs=1e-4)
