"""Dimensionality: closed forms of the participation ratio, and noise that does not count as dimensions of the code."""

import numpy as np
import pytest
from helpers import codes
from scipy.stats import kstest

from mtrnn_analysis.geometry import dimensionality, participation_ratio


def test_the_participation_ratio_has_its_closed_forms():
    assert participation_ratio(np.ones(7)) == pytest.approx(7)
    assert participation_ratio(np.array([5.0, 0, 0])) == 1
    assert participation_ratio(np.array([2.0, 1.0])) == pytest.approx(9 / 5)
    assert participation_ratio(np.array([2e200, 1e200])) == pytest.approx(9 / 5)
    assert np.isnan(participation_ratio(np.zeros(3)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_a_linear_code_has_as_many_dimensions_as_latents_whatever_the_noise(seed, n_dims):
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng, n_dims=n_dims)
    axes = np.linalg.qr(rng.standard_normal((40, n_dims)))[0].T
    for noise in (0.02, 0.2):
        states = latents @ axes + noise * rng.standard_normal((2000, 40))
        found = dimensionality(states, latents, rng, n_null=19)
        assert found.signal == pytest.approx(n_dims, rel=0.06)
        assert found.p_signal == 0.01
        assert found.signal_components["95"] == n_dims
        assert found.signal_share == pytest.approx(n_dims / 12 / (n_dims / 12 + 40 * noise**2), abs=0.03)
    assert found.value > n_dims + 5, "noise in all units counts among all states"


def test_noise_free_dimensions_are_unbiased_where_noise_depends_on_the_latents_and_has_few_dimensions():
    """Axes of lengths 2 and 1, noise-free 25/17; the noise is along a third direction, and grows with x1."""
    ratios, shares = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 600)
        states = np.zeros((600, 10))
        states[:, :2] = latents * [2, 1]
        states[:, 1:4] += 0.5 * (latents[:, :1] + 0.6) * rng.standard_normal((600, 3))
        found = dimensionality(states, latents, rng, n_null=0)
        ratios.append(found.signal)
        shares.append(found.signal_share * states.var(axis=0).sum())
    assert np.mean(ratios) == pytest.approx(25 / 17, abs=4 * np.std(ratios) / np.sqrt(40))
    assert np.mean(shares) == pytest.approx(5 / 12, abs=4 * np.std(shares) / np.sqrt(40))


def test_the_signal_does_not_depend_on_how_many_draws_the_other_null_has():
    latents = codes.latents_of(np.random.default_rng(0), 400)
    for code in (codes.linear, codes.unrelated):
        states = code(np.random.default_rng(1), latents, 10)
        found = [dimensionality(states, latents, np.random.default_rng(2), n_null=n) for n in (0, 1, 18, 40)]
        assert {one.p_signal for one in found} == {0.01 if code is codes.linear else found[0].p_signal}
        np.testing.assert_array_equal([one.signal for one in found], found[0].signal)
        assert np.isnan(found[0].signal) == (found[0].p_signal > 0.05) == (code is codes.unrelated)


def test_codes_are_told_apart():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng)
    linear, expanded, conjunctive, unrelated = (
        dimensionality(code(rng, latents), latents, rng, n_null=19)
        for code in (codes.linear, codes.expanded, codes.conjunctive, codes.unrelated)
    )
    assert linear.signal < 2.05 < expanded.signal < conjunctive.signal
    assert linear.signal_components["90"] == 2 < expanded.signal_components["90"]
    assert np.isnan(unrelated.signal)
    assert unrelated.p_signal > 0.05
    assert abs(unrelated.signal_share) < 0.02
    assert unrelated.value == pytest.approx(64 / (1 + 64 / 2000), rel=0.01)


def test_components_count_up_to_their_share():
    """Independent units with variances 6, 3, 1: 60 %, 90 %, all."""
    rng = np.random.default_rng(0)
    states = np.linalg.qr(rng.standard_normal((500, 4)))[0][:, :3]
    states = np.linalg.qr(states - states.mean(axis=0))[0] * np.sqrt([6.0, 3.0, 1.0])
    found = dimensionality(states, codes.latents_of(rng, 500), rng, n_null=0)
    assert found.components == {"80": 2, "90": 2, "95": 3}
    assert found.value == pytest.approx(100 / 46)
    np.testing.assert_allclose(found.spectrum, [0.6, 0.3, 0.1], atol=1e-12)


def test_p_is_uniform_where_units_are_independent_and_where_there_is_no_signal():
    p, p_signal = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 100)
        states = rng.standard_normal((100, 6)) ** 3 * [1, 2, 3, 1, 1, 2]
        found = dimensionality(states, latents, rng, n_null=19)
        p.append(found.p - rng.uniform(0, 0.05))
        p_signal.append(found.p_signal - rng.uniform(0, 0.01))
    assert kstest(p, "uniform").statistic < 1.63 / np.sqrt(200)
    assert kstest(p_signal, "uniform").statistic < 1.63 / np.sqrt(200)


def test_over_time_a_code_that_grows_and_steps_that_end():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 400)
    axes = np.linalg.qr(rng.standard_normal((20, 2)))[0].T
    hidden = np.zeros((400, 5, 20), np.float32)
    for t in range(1, 5):
        known = latents * [1, t > 2] if t > 1 else 0 * latents
        hidden[:, t] = known @ axes + 0.05 * rng.standard_normal((400, 20))
    valid = np.ones((400, 5), bool)
    valid[:300, 4], hidden[:300, 4] = False, np.nan
    found = dimensionality(hidden[:, 3], latents, rng, hidden, valid, n_null=19)
    assert np.isnan(found.by_step[0]), "states that are the same have no dimension"
    assert np.isnan(found.signal_by_step[:2]).all(), "nothing is known of x* yet"
    assert found.signal_by_step[2] == pytest.approx(1, abs=0.1)
    assert found.signal_by_step[3] == pytest.approx(2, abs=0.1)
    assert found.by_step[1] > 15
    about = hidden[300:, 4] - hidden[300:, 4].mean(axis=0)
    assert found.by_step[4] == pytest.approx(participation_ratio(np.linalg.eigvalsh(about.T @ about)), rel=1e-4)
    assert 1 < found.over_time < 20


def test_one_orthant_empty_and_few_trials_are_defined():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng)
    latents = latents[latents.max(axis=1) > 0]
    found = dimensionality(codes.linear(rng, latents), latents, rng, n_null=19)
    assert found.signal_components["95"] == 2
    few = dimensionality(codes.linear(rng, latents[:40]), latents[:40], rng, n_null=19)
    assert few.settings["degree"] == 1
    assert few.value < 3


def test_what_cannot_be_scored_is_refused():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 200)
    states = codes.linear(rng, latents, 8)
    with pytest.raises(ValueError, match=r"states has 15 trials; 4 \(D \+ 2\) = 16"):
        dimensionality(states[:15], latents[:15], rng)
    with pytest.raises(ValueError, match="hidden has values that are not finite at valid steps"):
        dimensionality(states, latents, rng, np.full((200, 3, 8), np.nan))
