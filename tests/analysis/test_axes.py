"""Encoding and decoding axes: what they are on codes whose axes are known, and what noise does to each."""

import sys

import numpy as np
import pytest
from helpers import codes
from scipy.stats import kstest
from sklearn.linear_model import LinearRegression, Ridge

from mtrnn_analysis.geometry.axes import Axes, axes, encoding


def planted(rng, angle, n_units=30, lengths=(1.0, 1.0)):
    """Two axes at `angle` degrees."""
    basis = np.linalg.qr(rng.standard_normal((n_units, 2)))[0].T
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[lengths[0], 0], [lengths[1] * c, lengths[1] * s]]) @ basis


@pytest.fixture
def penalty(monkeypatch):
    """Sets the penalty of the decoder."""
    return lambda value: monkeypatch.setattr(sys.modules[Axes.__module__], "PENALTY", value)


@pytest.mark.parametrize("angle", [20, 60, 90])
@pytest.mark.parametrize("seed", range(3))
def test_planted_angles_are_found(angle, seed, penalty):
    penalty(1e-2)
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng)
    states = latents @ planted(rng, angle) + 0.002 * rng.standard_normal((2000, 30))
    found = axes(states, latents, rng, n_null=20)
    assert found.value == pytest.approx(angle, abs=1)
    assert found.isometry == pytest.approx(np.tan(np.radians(angle / 2)), abs=0.02)
    assert found.decoding == pytest.approx(angle, abs=1), "without much noise the decoder's axes are the dual ones"
    assert found.encoding_to_decoding["x1"] == pytest.approx(90 - angle, abs=1.5)


def test_an_isometry_is_one_whatever_the_rotation():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng)
    states = latents @ planted(rng, 90) + 0.01 * rng.standard_normal((2000, 30))
    for other in (states, codes.rotated(rng, states), 8 * states - 4):
        assert axes(other, latents, rng, n_null=0).isometry == pytest.approx(1, abs=0.02)
    stretched = latents @ planted(rng, 90, lengths=(2, 1)) + 0.01 * rng.standard_normal((2000, 30))
    found = axes(stretched, latents, rng, n_null=0)
    assert found.isometry == pytest.approx(0.5, abs=0.01)
    assert found.gain["x1"] == pytest.approx(2, abs=0.02)


def test_noise_draws_axes_apart_and_the_correction_undoes_it():
    corrected, plain, gains = [], [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 300)
        # Noise that grows with x1, so that a formula for one variance would not do.
        noise = rng.standard_normal((300, 30)) * (0.1 + 1.6 * np.abs(latents[:, :1]))
        states = latents @ planted(rng, 50) + noise
        found = axes(states, latents, rng, n_null=0)
        corrected.append(np.cos(np.radians(found.value)))
        plain.append(np.cos(np.radians(found.encoding_uncorrected)))
        gains.append(encoding(states, latents).products[0, 0])
    error = np.std(corrected) / 10
    assert np.mean(gains) == pytest.approx(1, abs=float(4 * np.std(gains) / 10))
    assert np.mean(corrected) == pytest.approx(np.cos(np.radians(50)), abs=float(4 * error + 0.02))
    assert np.mean(plain) < np.cos(np.radians(50)) - 0.15


def test_the_decoder_turns_away_from_noise_and_the_encoding_axis_does_not(penalty):
    """Haufe's example: a unit that holds only the noise of another gets a weight, and no slope."""
    penalty(1e-9)
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 4000)
    shared = rng.standard_normal((4000, 2))
    states = np.column_stack([latents + shared, shared])
    found = axes(states, latents, rng, n_null=0)
    np.testing.assert_allclose(found.encoding_axes[:, 2:], 0, atol=0.2)
    np.testing.assert_allclose(found.decoding_axes, np.hstack([np.eye(2), -np.eye(2)]), atol=1e-3)
    assert found.encoding_to_decoding["x1"] > 40


def test_axes_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 300, 3)
    states = codes.expanded(rng, latents, 12, noise=2)
    found = axes(states, latents, rng, n_null=0)
    model = LinearRegression().fit(latents, states)
    np.testing.assert_allclose(found.encoding_axes, model.coef_.T, atol=1e-9)
    residual = states - model.predict(latents)
    assert found.explained == pytest.approx(1 - (residual**2).sum() / states.var(axis=0).sum() / 300)
    ridge = Ridge(alpha=1e-3 * 300 * states.var(axis=0).mean()).fit(states, latents)
    np.testing.assert_allclose(found.decoding_axes, ridge.coef_, atol=1e-9)


def test_the_null_is_that_of_axes_of_permuted_latents():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 500)
    states = codes.linear(rng, latents, 20, noise=0.3)
    found = axes(states, latents, rng, n_null=400)
    permuted = [axes(states, rng.permutation(latents), rng, n_null=0).encoding_uncorrected for _ in range(200)]
    assert kstest(found.null, permuted).pvalue > 1e-3
    assert found.null.mean() < 70, "isotropic vectors in 20 units would be at 80 degrees"


def test_p_is_uniform_where_axes_are_drawn_as_states_vary():
    p, p_isometry = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        shape = rng.standard_normal((20, 20)) * 0.7 ** np.arange(20)[:, None]
        latents = codes.latents_of(rng, 1000)
        planted_axes = rng.standard_normal((2, 20)) @ shape
        states = latents @ planted_axes + rng.standard_normal((1000, 20)) @ shape
        found = axes(states, latents, rng, n_null=19)
        p.append(found.p - rng.uniform(0, 0.05))
        p_isometry.append(found.p_isometry - rng.uniform(0, 0.05))
    assert kstest(p, "uniform").statistic < 1.63 / np.sqrt(200)
    assert kstest(p_isometry, "uniform").statistic < 1.63 / np.sqrt(200)


def test_states_that_hold_nothing_have_no_special_angle():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng)
    found = axes(codes.unrelated(rng, latents), latents, rng)
    assert found.p > 0.05
    assert max(found.signal_to_noise.values()) < 1
    assert found.isometry < 0.5


def test_many_latents_few_trials_and_silent_units_are_defined():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 50, 4)
    states = np.hstack([codes.linear(rng, latents), np.zeros((50, 6))])
    found = axes(states, latents, rng, n_null=5)
    assert len(found.encoding_angles) == 6
    assert found.value > 70


def test_what_cannot_be_scored_is_refused():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 200)
    states = codes.linear(rng, latents, 8)
    with pytest.raises(ValueError, match=r"latents are constant or collinear"):
        axes(states, latents[:, [0, 0]], rng)
    with pytest.raises(ValueError, match=r"states has 3 trials; D \+ 2 = 4 or more"):
        axes(states[:3], latents[:3], rng)
