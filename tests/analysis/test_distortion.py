"""Local distortion: none for a linear code, known stretches and bends found, and states that follow nothing refused."""

import numpy as np
import pytest
from helpers import codes
from scipy.stats import kstest

from mtrnn_analysis.geometry import distortion


def embedded(rng, points, noise=0.01, n_units=30):
    """Points in a random isometric embedding among units, with noise."""
    basis = np.linalg.qr(rng.standard_normal((n_units, points.shape[1])))[0].T
    return points @ basis + noise * rng.standard_normal((len(points), n_units))


@pytest.mark.parametrize("n_dims", [1, 2, 3])
@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_a_rotated_linear_code_is_an_isometry_whatever_the_noise(n_dims, noise):
    values, isometries, turns = [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, n_dims=n_dims)
        found = distortion(embedded(rng, 3 * latents, noise), latents, rng, n_null=0)
        values.append(np.sign(found.value) * found.value**2)
        isometries.append(found.isometry)
        turns.append(np.sign(found.turning) * found.turning**2)
    assert np.mean(values) == pytest.approx(0, abs=4 * np.std(values) / np.sqrt(8) + 1e-6)
    assert np.mean(isometries) == pytest.approx(1, abs=4 * np.std(isometries) / np.sqrt(8) + 1e-3)
    assert np.mean(turns) == pytest.approx(0, abs=4 * np.std(turns) / np.sqrt(8) + 1e-3)


def test_a_stretched_linear_code_is_undistorted_and_no_isometry():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng)
    found = distortion(embedded(rng, latents * [3, 1]), latents, rng, n_null=20)
    assert found.isometry == pytest.approx((9 + 1) ** 2 / (2 * (81 + 1)), abs=0.01)
    assert found.isotropy == pytest.approx(found.isometry, abs=0.01), "the same in all places"
    assert abs(found.value) < 0.02
    assert found.p > 1 / 21


def test_a_known_stretch_is_found():
    """f(x) = x + 0.8 x² has slopes of 1 + 1.6 x: their squares have a known spread over the bins' middles."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 4000, 1)
    found = distortion(embedded(rng, latents + 0.8 * latents**2), latents, rng, n_null=20)
    slopes = 1 + 1.6 * found.bins[:, 0]
    np.testing.assert_allclose(found.metrics[:, 0, 0], slopes**2, rtol=0.1)
    assert found.value == pytest.approx(np.std(slopes**2) / np.mean(slopes**2) / 2, rel=0.05)
    assert found.p == found.p_area_variation == 1 / 21
    assert abs(found.turning) < 3, "a straight line does not turn"
    assert found.isotropy == pytest.approx(1)


def test_a_bent_sheet_keeps_lengths_and_turns_its_axes():
    """x1 runs along an arc of 120 degrees: an isometry, whose axis is up to 60 degrees away from the middle's."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 4000)
    angle = latents[:, 0] * np.radians(120)
    radius = 1 / np.radians(120)
    points = np.column_stack([radius * np.sin(angle), radius * (1 - np.cos(angle)), latents[:, 1]])
    found = distortion(embedded(rng, points), latents, rng, n_null=20)
    assert found.isometry == pytest.approx(1, abs=0.02)
    assert found.isotropy == pytest.approx(1, abs=0.02)
    middles = np.radians(120) * found.bins[:, 0]
    assert found.turning == pytest.approx(np.degrees(np.arccos(np.sqrt((1 + np.cos(middles).mean() ** 2) / 2))), abs=2)
    assert found.p_turning == 1 / 21


@pytest.mark.parametrize("seed", range(3))
def test_codes_are_told_apart(seed):
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng)
    linear, expanded, conjunctive = (
        distortion(code(rng, latents), latents, rng, n_null=20)
        for code in (codes.linear, codes.expanded, codes.conjunctive)
    )
    assert abs(linear.value) < 0.03 < expanded.value < conjunctive.value
    assert expanded.p == expanded.p_turning == conjunctive.p == 1 / 21
    with pytest.raises(ValueError, match="states do not follow latents: within 25 bins"):
        distortion(codes.unrelated(rng, latents), latents, rng)


@pytest.mark.slow
def test_p_is_uniform_for_a_linear_map_with_noise():
    p = {"p": [], "p_area_variation": [], "p_turning": []}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 300)
        states = codes.linear(rng, latents, 6, noise=0.15)
        found = distortion(states, latents, rng, n_null=19, n_bins=2)
        for name, values in p.items():
            values.append(getattr(found, name) - rng.uniform(0, 0.05))
    for values in p.values():
        assert kstest(values, "uniform").statistic < 1.63 / np.sqrt(200)


def test_bins_without_trials_are_left_out():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 3000)
    latents = latents[latents.max(axis=1) > 0]
    found = distortion(codes.linear(rng, latents), latents, rng, n_null=20, n_bins=4)
    assert found.n_left_out == 4
    assert len(found.bins) == 12
    assert abs(found.value) < 0.03


def test_fewer_trials_than_units_and_silent_units_are_defined():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 120)
    states = np.hstack([codes.linear(rng, latents, 200), np.zeros((120, 6))])
    assert abs(distortion(states, latents, rng, n_null=5).value) < 0.1


def test_what_cannot_be_scored_is_refused():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 200)
    states = codes.linear(rng, latents, 8)
    with pytest.raises(ValueError, match=r"n_bins=8: 0 of 64 bins have 16 trials or more, of 200 in all; 2 or more"):
        distortion(states, latents, rng, n_bins=8)
    with pytest.raises(ValueError, match="latents are constant"):
        distortion(states, latents * [1, 0], rng)
    with pytest.raises(ValueError, match="n_bins=1"):
        distortion(states, latents, rng, n_bins=1)
