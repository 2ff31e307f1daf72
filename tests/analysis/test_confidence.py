"""Confidence: claims whose calibration is known, and what the probes say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.behaving import FIXED, KINDS, TIMED, ideal, is_uniform, recorded
from hypothesis import given
from hypothesis import strategies as st
from netcal.metrics import ECE
from scipy.special import expit, logit, ndtr
from sklearn.metrics import brier_score_loss, roc_auc_score

from mtrnn_analysis.confidence import calibration, metacognition
from mtrnn_analysis.confidence.calibration import brier
from mtrnn_analysis.confidence.reported import calibrated_draws, directions, reported
from mtrnn_analysis.figures import confidence as figures
from mtrnn_envs import EvidenceTask
from mtrnn_envs.components.boundaries import even_lines
from mtrnn_envs.ideal_observer.posterior import running_means


def of_p(probe, trials, p, seed=0, **settings):
    """A probe of an agent of fixed duration that answers by its probabilities `p`."""
    answers = np.where(p >= 0.5, 1, -1).astype(np.int8)
    inputs = {"answers": answers, "labels": trials.asked, "response_steps": np.ones(p.shape, np.int64)}
    inputs |= {"probabilities": p, "context": trials.context, "trials": trials, "rng": np.random.default_rng(seed)}
    if probe is calibration:
        inputs |= {"task": trials.task, "latents": trials.latents}
    return probe(**inputs, **{"n_null": 20, **settings})


def of_recording(probe, recording, **settings):
    names = ("answers", "response_steps", "probabilities", "confidence", "context")
    inputs = {name: getattr(recording, name) for name in names} | {"labels": recording.asked}
    if probe is calibration:
        inputs |= {"task": recording.task, "latents": recording.latents}
    return probe(**inputs, trials=recording.trials(), rng=np.random.default_rng(0), **{"n_null": 20, **settings})


# Calibrated draws


def test_a_calibrated_agents_claims_come_true_as_often_as_they_say():
    trials, p = ideal()
    c = np.maximum(p, 1 - p)[:20]
    favoured = np.where(p >= 0.5, 1, -1)[:20]
    drawn = calibrated_draws(c, favoured, directions(FIXED, trials.latents[:20], None), 4000, np.random.default_rng(0))
    assert np.abs(drawn.mean(axis=0) - c).max() < 5 * 0.5 / np.sqrt(4000)


def test_its_labels_are_as_alike_as_those_that_one_hidden_point_gives():
    """x* drawn from the posterior of one trial, and the labels of all tasks read off it."""
    rng, normals = np.random.default_rng(0), even_lines(6, 2, 0).normals
    m, s = np.array([0.02, -0.01]), 0.2 / np.sqrt(20)
    p = ndtr(normals @ m / s)
    labels = (m + s * rng.standard_normal((40_000, 2))) @ normals.T > 0
    favoured = np.where(p >= 0.5, 1, -1)[None]
    draws = calibrated_draws(np.maximum(p, 1 - p)[None], favoured, directions(FIXED, m[None], None), 40_000, rng)[:, 0]
    drawn = np.where(favoured > 0, draws, ~draws)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(labels.T), atol=0.03)


@pytest.mark.parametrize("boundaries", ["linear", "affine", "quadric", "product"])
def test_directions_are_unit_gradients(boundaries):
    task = EvidenceTask(n_tasks=4, boundaries=boundaries, encoder=None, sigma=(0.1, 0.3))
    latents = np.random.default_rng(0).uniform(-0.4, 0.4, (5, 2))
    found = directions(task, latents, None)
    step = 1e-6 * found * task.sigmas
    for i, k in ((0, 0), (3, 2)):
        rise = task.boundary.margins(latents[i] + step[i, k]) - task.boundary.margins(latents[i])
        size = np.linalg.norm(found[i, k])
        assert size == pytest.approx(1) or (size == 0 and rise[k] == 0)
        # No other direction of the noise raises the margin more.
        for angle in np.linspace(0, 2 * np.pi, 16):
            other = 1e-6 * np.array([np.cos(angle), np.sin(angle)]) * task.sigmas
            assert (task.boundary.margins(latents[i] + other) - task.boundary.margins(latents[i]))[k] <= rise[k] + 1e-10
    cued = directions(task, latents, np.array([0, 1, 2, 3, 0]))
    np.testing.assert_array_equal(cued[:, 0], found[np.arange(5), [0, 1, 2, 3, 0]])


# Calibration


def test_the_ideal_observer_is_calibrated_through_the_environment():
    found = of_recording(calibration, recorded("ideal", FIXED))
    assert found.p > 0.05
    assert abs(found.excess) < 0.005
    assert found.brier.score == pytest.approx(found.ideal_brier, abs=1e-6)
    assert found.log_score == pytest.approx(found.ideal_log_score, abs=1e-5)
    assert np.isnan(found.ece_beyond_levels)


@pytest.mark.parametrize("n_bins", [5, 10, 15])
def test_the_error_in_bins_of_equal_width_is_netcals(n_bins):
    trials, p = ideal()
    p = expit(1.7 * logit(np.clip(p, 1e-9, 1 - 1e-9)))
    found = of_p(calibration, trials, p, n_null=0, n_bins=n_bins)
    confidence, right = np.maximum(p, 1 - p).ravel(), (np.where(p >= 0.5, 1, -1) == trials.asked).ravel()
    # netcal's bins are those of [0, 1]: twice as many are as wide.
    assert found.ece_width == pytest.approx(ECE(2 * n_bins).measure(confidence, right.astype(int)), abs=1e-9)


@pytest.mark.slow
def test_the_p_value_of_calibrated_agents_is_uniform_though_their_answers_depend_on_each_other():
    """The answers to 6 tasks of a trial rest on one mean."""
    ps = [of_p(calibration, *ideal(FIXED, 100, seed), seed, n_null=9, n_bins=4).p for seed in range(200)]
    assert is_uniform(ps)


@pytest.mark.parametrize(("gain", "sign"), [(2.0, 1), (0.5, -1)])
def test_exaggeration_and_understatement_are_found(gain, sign):
    trials, p = ideal()
    told = expit(gain * logit(np.clip(p, 1e-9, 1 - 1e-9)))
    found = of_p(calibration, trials, told)
    assert np.sign(found.overconfidence) == sign
    assert found.p == pytest.approx(1 / 21)
    assert found.excess > 0.005
    assert found.log_score < found.ideal_log_score
    assert found.brier.score > found.ideal_brier


def test_optimal_stopping_claims_levels_and_is_as_right_as_levels_can_be():
    task = EvidenceTask(encoder=None, payoff="quadratic", decision=0)
    found = of_recording(calibration, recorded("optimal", task, 300))
    assert found.n_levels == 3
    np.testing.assert_allclose(found.bin_claims, [7 / 12, 9 / 12, 11 / 12])
    assert found.value == pytest.approx(0.062, abs=0.01)
    assert found.ece_beyond_levels < 0.005
    assert found.overconfidence < 0
    blind = of_recording(calibration, recorded("random", task, 300))
    assert blind.ece_beyond_levels == pytest.approx(0.17, abs=0.02)


def test_claims_of_answers_that_were_not_given_do_not_count():
    recording = recorded("optimal", TIMED)
    answers = recording.answers.copy()
    answers[:, 0] = 0
    found = of_recording(calibration, replace(recording, answers=answers))
    assert found.n_claims == np.count_nonzero(answers)
    assert found.bin_n.sum() == found.n_claims


@given(st.integers(0, 10_000), st.integers(2, 200), st.integers(1, 12))
def test_the_parts_of_the_brier_score_add_up(seed, n, n_bins):
    rng = np.random.default_rng(seed)
    claim, true = rng.random(n), rng.integers(0, 2, n).astype(float)
    found = brier(rng.integers(0, n_bins, n), claim, true)
    total = found.reliability - found.resolution + found.uncertainty + found.within_variance - found.within_covariance
    assert total == pytest.approx(found.score, abs=1e-12)
    assert found.score == pytest.approx(brier_score_loss(true, claim, pos_label=1))


def test_consistency_bars_hold_the_ideal_observer():
    found = of_p(calibration, *ideal(), n_null=100)
    inside = (found.bin_shares >= found.bin_low - 1e-9) & (found.bin_shares <= found.bin_high + 1e-9)
    assert inside.mean() >= 0.7


# Type-2 sensitivity


def test_the_area_is_scikit_learns():
    trials, p = ideal()
    found = of_p(metacognition, trials, np.round(p, 2), n_bootstrap=5)
    right = (np.where(np.round(p, 2) >= 0.5, 1, -1) == trials.asked).ravel()
    confidence = np.maximum(np.round(p, 2), 1 - np.round(p, 2)).ravel()
    assert found.value == pytest.approx(roc_auc_score(right, confidence))
    assert np.trapezoid(found.hits, found.false_alarms) == pytest.approx(found.value, abs=1e-3)
    assert found.interval[0] < found.value < found.interval[1]
    assert (found.n_right, found.n_errors) == (right.sum(), (~right).sum())


def test_the_ideal_observer_through_the_environment_has_the_ideals_area_and_log_odds():
    found = of_recording(metacognition, recorded("ideal", FIXED))
    assert found.value == pytest.approx(found.ideal, abs=1e-4)
    assert found.slope == pytest.approx(1, abs=1e-4)
    assert found.intercept == pytest.approx(0, abs=1e-4)
    assert found.p == pytest.approx(1 / 21)


def test_optimal_stopping_has_the_area_that_its_levels_leave_the_ideal_observer():
    found = of_recording(metacognition, recorded("optimal", TIMED))
    assert found.value_there == pytest.approx(found.ideal, abs=0.01)
    assert found.ideal_graded > found.ideal + 0.05
    assert found.slope == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_the_area_knows_no_calibration_and_the_slope_does(gain):
    trials, p = ideal()
    honest, told = p, expit(gain * logit(np.clip(p, 1e-9, 1 - 1e-9)))
    one, two = (of_p(metacognition, trials, q, n_bootstrap=5) for q in (honest, told))
    assert two.value == pytest.approx(one.value, abs=1e-3)
    assert two.slope == pytest.approx(gain, rel=0.02)
    assert two.slope_interval[0] <= two.slope <= two.slope_interval[1]


def test_a_shift_of_the_log_odds_is_the_intercept():
    trials, p = ideal()
    found = of_p(metacognition, trials, expit(logit(np.clip(p, 1e-9, 1 - 1e-9)) + 0.5))
    assert found.intercept == pytest.approx(0.5, abs=0.02)
    assert found.slope == pytest.approx(1, abs=0.01)


def test_private_noise_costs_area():
    trials, p = ideal()
    noise = 0.2 / np.sqrt(20) * np.random.default_rng(0).standard_normal(p.shape)
    noisy = ndtr((FIXED.boundary.margins(running_means(trials)[:, -1]) + noise) / (0.2 / np.sqrt(10)))
    found = of_p(metacognition, trials, noisy)
    assert found.value < found.ideal - 0.01
    assert found.logit_r2 < 0.9


def test_confidence_that_says_nothing_has_an_area_of_one_half():
    found = of_recording(metacognition, recorded("random", TIMED))
    assert found.value == pytest.approx(0.5, abs=0.05)
    assert found.p > 0.05
    assert abs(found.slope) < 0.1


def test_the_p_value_of_confidence_that_says_nothing_is_uniform():
    ps = []
    for seed in range(200):
        trials, _ = ideal(FIXED, 100, seed)
        rng = np.random.default_rng(seed + 10_000)
        # Answers from one sample less, so that there are errors; one claim for all tasks of a trial.
        side = np.where(FIXED.boundary.margins(running_means(trials)[:, 0]) > 0, 1, -1)
        told = 0.5 + side * np.repeat(rng.uniform(0.01, 0.5, (100, 1)), 6, axis=1)
        ps.append(of_p(metacognition, trials, told, seed, n_null=9, n_bootstrap=0).p)
    assert is_uniform(ps)


# What is refused, and other tasks


@pytest.mark.parametrize("task", list(KINDS.values())[:6], ids=list(KINDS)[:6])
def test_the_ideal_observer_is_ideal_in_every_task(task):
    trials, p = ideal(task, 500)
    found = of_p(calibration, trials, p)
    assert found.p > 0.04
    sure = of_p(metacognition, trials, p, n_bootstrap=0)
    assert sure.value_there == pytest.approx(sure.ideal, abs=1e-3)
    assert sure.slope == pytest.approx(1, abs=0.01)


def test_without_the_ideal_observer_calibration_is_still_there():
    trials, p = ideal()
    answers = np.where(p >= 0.5, 1, -1).astype(np.int8)
    found = calibration(
        FIXED, trials.latents, answers, trials.asked, np.ones(p.shape, np.int64), np.random.default_rng(0), p
    )
    assert np.isnan(found.ideal_brier)
    assert found.p > 0.04


def test_what_is_no_claim_is_refused():
    trials, p = ideal()
    labels = trials.asked
    with pytest.raises(ValueError, match="probabilities is None, and answers of fixed duration carry no confidence"):
        reported(FIXED, labels, labels, None, None)
    bad = p.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"probabilities has values that are not in \[0, 1\], or not finite"):
        of_p(calibration, trials, bad)
    with pytest.raises(ValueError, match="answers has 48 answers given; 50 or more are needed"):
        of_p(calibration, *ideal(FIXED, 8, 0))
    perfect = np.where(labels > 0, 0.9, 0.1)
    with pytest.raises(ValueError, match="6000 right and 0 wrong ones"):
        of_p(metacognition, trials, perfect)
    with pytest.raises(ValueError, match="n_bins=0 is not a whole number"):
        of_p(calibration, trials, p, n_bins=0)


def test_figures_name_their_axes_and_show_the_null():
    trials, p = ideal()
    calibrated, sure = of_p(calibration, trials, p), of_p(metacognition, trials, p, n_bootstrap=5)
    diagram, shares, errors = figures.calibration_figure(calibrated).axes
    assert diagram.get_ylabel() == "share of right answers"
    assert shares.get_xlabel() == "reported probability"
    left, middle, area = figures.metacognition_figure(sure).axes
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (left, middle))
    for axes, null in ((errors, calibrated.null), (area, sure.null)):
        assert any(np.array_equal(line.get_ydata(), null) for line in axes.lines)
    levels = figures.calibration_figure(of_recording(calibration, recorded("optimal", TIMED)))
    assert len(levels.axes[0].collections) == 4  # the bins of three levels, and the consistency bars
