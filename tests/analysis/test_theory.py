"""x* from answers alone, the rank condition and the curve over samples: on ideal answers, and on some that are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from mtrnn_analysis.decoding import r2_prior
from mtrnn_analysis.decoding.decoding import mean_r2
from mtrnn_analysis.figures.theory import multilateration_figure, rank_condition_figure, sample_curve_figure
from mtrnn_analysis.theory import multilateration, rank_condition, sample_curve
from mtrnn_analysis.theory.distances import FORMS, lines, located, samples, scaled, temperature, usable
from mtrnn_analysis.theory.rank_condition import rank_curve
from mtrnn_analysis.theory.sample_curve import ideal_r2
from mtrnn_envs import EvidenceTask, Stream, Trials
from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.ideal_observer.multilateration import multilaterate
from mtrnn_envs.ideal_observer.one_latent import running_means, standard_errors
from mtrnn_envs.testing import check_probe

RNG = np.random.default_rng


def ideal(task: EvidenceTask, n: int = 1000, seed: int = 0) -> tuple[np.ndarray, Trials]:
    """The answers Phi(z) of the formula, which knows no edge of the cube, and the trials."""
    trials = Stream(task, "test", seed).take(n)
    t = np.broadcast_to(np.asarray(trials.n_samples), n)
    means = running_means(trials)[np.arange(n), t - 1]
    errors = np.sqrt(standard_errors(task, t) ** 2 @ of(task).normals.T ** 2)
    return special.ndtr(task.boundary.margins(means) / errors), trials


def of(task: EvidenceTask) -> Linear:
    assert isinstance(task.boundary, Linear)
    return task.boundary


def mean_of(trials: Trials) -> np.ndarray:
    return running_means(trials)[:, -1]


class Formula:
    """An agent that sums the evidence it sees and answers by the formula, its log-odds times `factor`."""

    def __init__(self, task: EvidenceTask, factor: float = 1.0) -> None:
        self.task, self.factor = task, factor

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        shown = observation[:, 1:] * (observation[:, 1:] != 0).any(axis=1, keepdims=True)
        count = (observation[:, 1:] != 0).any(axis=1, keepdims=True)
        state = np.zeros((len(shown), self.task.n_dims + 1)) if state is None else state
        state = np.where(np.asarray(episode_start)[:, None], 0, state) + np.concatenate([shown, count], axis=1)
        return (self.probabilities(state) > 0.5).astype(int), state

    def hidden(self, state):
        return state

    def probabilities(self, state):
        n = np.maximum(state[:, -1:], 1)
        z = self.task.boundary.margins(state[:, :-1] / n) * np.sqrt(n) / self.task.sigmas[0]
        return special.expit(self.factor * (special.log_ndtr(z) - special.log_ndtr(-z)))


# What the formula says.


@settings(max_examples=30, deadline=None)
@given(
    n_dims=st.integers(1, 4),
    boundaries=st.sampled_from(["random", "affine"]),
    sigma=st.floats(0.2, 1.0),
    t=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_every_form_inverts_answers_that_are_not_saturated(n_dims, boundaries, sigma, t, seed):
    task = EvidenceTask(n_dims=n_dims, n_tasks=3 * n_dims, boundaries=boundaries, boundary_seed=seed, sigma=sigma)
    m = RNG(seed).uniform(-0.4, 0.4, (20, n_dims))
    m = m * min(1.0, 2 * sigma / np.sqrt(t))  # within a few standard errors of the lines
    p = special.ndtr(np.sqrt(t) * task.boundary.margins(m) / sigma)
    here = lines(p, task, t)
    some = np.asarray((np.abs(here.z) < 4).all(axis=1))
    if np.linalg.cond(here.normals) < 20 and some.any():
        for form in FORMS:
            np.testing.assert_allclose(located(here.rows(some), form, 4.5), m[some], atol=1e-4)


def test_noise_that_differs_among_latents_and_times_that_differ_among_answers_are_taken_into_account():
    task = EvidenceTask(n_tasks=7, boundaries="affine", sigma=(0.5, 0.2))
    rng = RNG(0)
    m, normals = rng.uniform(-0.2, 0.2, (30, 2)), of(task).normals
    offsets, one = of(task).offsets, np.sqrt(normals**2 @ np.square(task.sigmas))
    for t in (np.array(9), rng.integers(1, 12, 30), rng.integers(1, 12, (30, 7))):
        each = t[:, None] if t.ndim == 1 else t
        p = special.ndtr(task.boundary.margins(m) * np.sqrt(each) / one)
        np.testing.assert_allclose(multilaterate(p, normals, offsets, task.sigma, t), m, atol=1e-5)
        np.testing.assert_allclose(located(lines(p, task, t)), m, atol=1e-5)


def test_the_weighted_form_is_weighted_least_squares():
    task = EvidenceTask(n_tasks=9, n_dims=3)
    p = RNG(1).uniform(0.01, 0.99, (5, 9))
    here = lines(p, task)
    for x, z in zip(located(here), here.z, strict=True):
        root = stats.norm.pdf(z) / np.sqrt(stats.norm.cdf(z) * stats.norm.sf(z))
        left, right = here.normals * root[:, None], (here.offsets + here.errors[0] * z) * root
        np.testing.assert_allclose(x, np.linalg.lstsq(left, right)[0], atol=1e-10)


@pytest.mark.parametrize(
    "fields", [{"n_tasks": 6}, {"n_tasks": 5, "n_dims": 3, "boundaries": "affine"}, {"n_tasks": 1}]
)
def test_the_bounded_form_is_the_point_of_the_cube_with_the_nearest_answers(fields):
    task = EvidenceTask(**fields)
    p = special.ndtr(4 * RNG(2).standard_normal((25, task.n_tasks)))
    here = lines(p, task)
    p, q = special.ndtr(here.z), special.ndtr(-here.z)
    found = located(here, "bounded")
    assert np.abs(found).max() <= 0.5

    def loss(x, i):
        z = (here.normals @ x - here.offsets) / here.errors[0]
        return -np.sum(p[i] * special.log_ndtr(z) + q[i] * special.log_ndtr(-z))

    for i, x in enumerate(found):
        by_scipy = optimize.minimize(loss, np.zeros(task.n_dims), (i,), bounds=[(-0.5, 0.5)] * task.n_dims)
        assert loss(x, i) <= by_scipy.fun + 1e-6


@pytest.mark.parametrize("fields", [{}, {"boundaries": "affine"}, {"n_dims": 3}, {"n_dims": 5, "n_tasks": 40}])
def test_ideal_answers_give_what_the_mean_of_the_evidence_gives(fields):
    task = EvidenceTask(**fields)
    p, trials = ideal(task)
    found = multilateration(p, trials.latents, task, RNG(0), trials=trials, n_null=9)
    reached = r2_prior(trials.latents, mean_of(trials))
    assert reached == pytest.approx(mean_r2(task, 20), abs=0.003)
    for form in ("weighted", "bounded"):
        assert found.r2[form] == pytest.approx(reached, abs=0.004)
        assert found.r2[form] == pytest.approx(found.r2_ideal_answers[form], abs=1e-9)
    assert found.slope_near == pytest.approx(1, abs=1e-9)
    assert found.noise_near == pytest.approx(0, abs=1e-9)
    assert found.temperature == pytest.approx(1, abs=0.2)  # of finite trials, and of an edge that it does not know


def test_drawn_lengths_of_the_stimulus_are_those_of_each_trial():
    task = EvidenceTask(stimulus=(2, 30))
    p, trials = ideal(task)
    found = multilateration(p, trials.latents, task, RNG(0), trials=trials, n_null=0)
    n = np.asarray(trials.n_samples)
    own = r2_prior(trials.latents, running_means(trials)[np.arange(len(n)), n - 1])
    assert found.value == pytest.approx(own, abs=0.003)
    assert found.value > r2_prior(trials.latents, located(lines(p, task, 16))) + 0.02


def test_reaction_time_answers_rest_on_the_samples_before_each():
    task = EvidenceTask(payoff="quadratic", decision=0)
    trials = Stream(task, "test", 0).take(500)
    steps = RNG(0).integers(1, 21, (500, 24))
    means = running_means(trials)[np.arange(500)[:, None], steps - 1]
    margins = np.einsum("nkd,kd->nk", means, of(task).normals)
    p = special.ndtr(np.sqrt(steps) * margins / 0.2)
    found = multilateration(p, trials.latents, task, RNG(0), steps, trials, n_null=0)
    assert found.value > r2_prior(trials.latents, located(lines(p, task, 10))) + 0.02
    assert found.value > 0.88
    assert np.isnan([found.r2_ideal, found.slope_near]).all()
    steps[:, 3] = 0  # no answer: the deadline's
    assert np.all(samples(task, steps, None)[:, 3] == 20)


# Where it says no.


def test_with_the_right_sides_and_confidences_that_say_nothing_p_is_uniform():
    task, p_values = EvidenceTask(n_tasks=3), []
    for seed in range(200):
        rng = RNG(seed)
        latents = rng.uniform(-0.5, 0.5, (30, 2))
        p = special.ndtr(np.sign(task.boundary.margins(latents)) * rng.gamma(1, 1, (30, 3)))
        p_values.append(multilateration(p, latents, task, rng, n_null=19).p)
    assert stats.kstest(np.array(p_values) - RNG(0).uniform(0, 0.05, 200), "uniform").pvalue > 0.01


def test_confidences_that_tell_the_distance_stand_out_from_the_sides_alone():
    p, trials = ideal(task := EvidenceTask())
    found = multilateration(p, trials.latents, task, RNG(0), trials=trials)
    assert found.null.max() < 0.9 < found.value
    assert found.p == pytest.approx(1 / 101)
    assert found.n_patterns == 48  # two for each of 24 lines: the cells of the arrangement


def test_answers_that_have_nothing_to_do_with_x_give_nothing():
    task = EvidenceTask()
    latents = RNG(0).uniform(-0.5, 0.5, (1000, 2))
    p = special.ndtr(RNG(1).standard_normal((1000, 24)))
    found = multilateration(p, latents, task, RNG(0))
    assert max(found.r2.values()) < 0.02
    assert found.p > 0.01
    half = multilateration(np.full((1000, 24), 0.5), latents, task, RNG(0), n_null=9)
    assert half.value == pytest.approx(0, abs=0.05)
    assert half.null == pytest.approx(half.value, abs=1e-9)  # all estimates are the same


def test_below_the_rank_x_is_left_open_and_it_is_said():
    p, trials = ideal(task := EvidenceTask(n_tasks=1))
    found = multilateration(p, trials.latents, task, RNG(0), trials=trials)
    (normal,) = of(task).normals
    assert (found.rank, found.n_dims) == (1, 2)
    assert max(found.r2.values()) <= 0.5
    assert 2 * found.value == pytest.approx(found.r2_identifiable, abs=0.06)  # the other half has an r2 of 0
    np.testing.assert_allclose(found.estimates @ [normal[1], -normal[0]], 0, atol=1e-9)
    assert "rank 1 < D = 2" in multilateration_figure(found).axes[2].get_title(loc="right")


def test_saturated_answers_of_too_few_tasks_are_counted():
    p, trials = ideal(task := EvidenceTask(n_tasks=2))
    found = multilateration(p, trials.latents, task, RNG(0), trials=trials, cut=1.5, n_null=0)
    use, enough = usable(lines(p, task), 1.5)
    assert found.fallback_share == np.mean(use.sum(axis=1) < 2) > 0.9
    assert np.array_equal(enough, use.all(axis=1))
    assert found.r2["weighted"] < 0.85 < mean_r2(task, 20)  # float32 is what they lack
    fine = lines(p, task, clip=1e-15)
    assert r2_prior(trials.latents, located(fine)) > found.value + 0.05


# Answers whose scale is wrong.


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_one_factor_on_all_log_odds_is_found_by_the_labels_and_taken_back(factor):
    p, trials = ideal(task := EvidenceTask(), 2000)
    wrong = special.expit(factor * special.logit(np.clip(p, 1e-3, 1 - 1e-3)))
    found = multilateration(wrong, trials.latents, task, RNG(0), n_null=0)
    right = multilateration(np.clip(p, 1e-3, 1 - 1e-3), trials.latents, task, RNG(0), n_null=0)
    assert found.temperature * factor == pytest.approx(right.temperature, rel=0.02)
    assert found.r2_recalibrated["bounded"] == pytest.approx(right.r2_recalibrated["bounded"], abs=0.005)
    assert found.r2["bounded"] < found.r2_recalibrated["bounded"] - 0.005
    again = scaled(lines(p, task), 1.0)
    np.testing.assert_allclose(again.z, lines(p, task).z, atol=1e-6)
    assert temperature(lines(np.full((9, 24), 0.7), task), np.ones((9, 24))) > 10  # more confidence is always better


# The rank condition.


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_n_answers_tell_of_n_dimensions(n_dims):
    task = EvidenceTask(n_dims=n_dims, n_tasks=24, boundaries="spread" if n_dims > 2 else "random")
    p, trials = ideal(task, 600)
    found = rank_condition(p, trials.latents, task, RNG(0), trials=trials, n_null=19)
    n = found.n_answers
    assert n.tolist() == list(range(1, 2 * n_dims + 1))
    np.testing.assert_allclose(found.exact, np.minimum(n, n_dims) / n_dims * mean_r2(task, 20))
    below = n < n_dims
    assert np.all(found.r2[1, below] < n[below] / n_dims)
    assert found.r2[1, -1] > found.most_below
    for values in (found.singular_values, found.information):
        assert np.all(values[~below] > 1e-9)
        for i in np.flatnonzero(below):
            assert np.all(values[i, : n[i]] > 1e-9)
            np.testing.assert_allclose(values[i, n[i] :], 0, atol=1e-9)
    np.testing.assert_allclose(np.square(found.singular_values[0]).sum(), 1)  # a unit normal
    np.testing.assert_allclose(found.r2[1], found.r2_ideal_answers[1], atol=0.15)  # other draws of the noise
    assert found.p <= 0.1


def test_p_of_the_rank_condition_is_uniform_where_confidences_say_nothing():
    task, p_values = EvidenceTask(n_tasks=4), []
    for seed in range(200):
        rng = RNG(seed)
        latents = rng.uniform(-0.5, 0.5, (40, 2))
        p = special.ndtr(np.sign(task.boundary.margins(latents)) * rng.gamma(1, 1, (40, 4)))
        found = rank_condition(p, latents, task, rng, n_null=19, n_sets=6, form="weighted", dims=())
        p_values.append(found.p)
    p_values = np.array(p_values)
    assert stats.kstest(p_values - RNG(0).uniform(0, 0.05, 200), "uniform").pvalue > 0.01
    assert np.mean(p_values <= 0.05) < 0.1  # binomial, 200 of 0.05: 0.1 is beyond 3 standard errors


@pytest.mark.parametrize("fields", [{"stimulus": (2, 30)}, {"payoff": "quadratic", "decision": 0}])
def test_exact_answers_have_the_noise_of_the_samples_they_rest_on(fields):
    task = EvidenceTask(n_tasks=6, encoder=None, **fields)
    trials = Stream(task, "test", 0).take(2000)
    steps = RNG(0).integers(1, 21, (2000, 6)) if task.reaction_time else None
    t = steps if steps is not None else np.asarray(trials.n_samples)[:, None]
    p = np.full((2000, 6), 0.7)
    found = rank_condition(p, trials.latents, task, RNG(0), steps, trials, n_null=0, n_sets=1, dims=())
    means = running_means(trials)
    squares = (means[np.arange(2000)[:, None], t - 1] - trials.latents[:, None]) ** 2
    assert found.exact[-1] == pytest.approx(1 - 12 * squares.mean(), abs=0.01)
    assert found.exact[-1] < mean_r2(task, task.longest.stimulus) - 0.03


def test_fewer_tasks_than_dimensions_leave_the_last_of_them_open():
    p, trials = ideal(task := EvidenceTask(n_dims=3, n_tasks=2), 400)
    found = rank_condition(p, trials.latents, task, RNG(0), n_null=9, dims=())
    assert (found.rank, found.n_answers.tolist(), found.curves) == (2, [1, 2], ())
    assert found.value <= found.most_below == pytest.approx(2 / 3)


def test_answers_known_exactly_need_no_more_than_rank():
    for n_dims in (2, 3):
        blurred, fine = (rank_curve(n_dims, 0.05, RNG(0), form="weighted", clip=c, n_sets=9) for c in (0.01, 1e-15))
        assert np.all(fine.r2[1, n_dims:] > blurred.r2[1, n_dims:])
        assert fine.r2[2, -1] == pytest.approx(fine.exact[-1], abs=0.1)
        assert np.all(fine.r2[1, : n_dims - 1] <= fine.exact[: n_dims - 1] + 0.05)
    for n_dims, error, match in ((0, 0.1, "n_dims"), (2, 0.0, r"error=0\.0")):
        with pytest.raises(ValueError, match=match):
            rank_curve(n_dims, error, RNG(0))


# The curve over samples.


@pytest.mark.parametrize("fields", [{}, {"sigma": (0.1, 0.3)}, {"autocorrelation": 0.6}, {"n_dims": 3}])
def test_the_mean_of_the_evidence_follows_its_curve_and_the_ideal_observer_is_above_it(fields):
    task = EvidenceTask(encoder=None, **fields)
    trials = Stream(task, "test", 3).take(4000)
    found = sample_curve(trials.latents, task, trials, RNG(0), n_null=19)
    np.testing.assert_allclose(found.mean, found.mean_theory, atol=0.04 * (1 - found.mean_theory[0]))
    assert found.settings["of"] == "mean"
    assert found.value == pytest.approx(found.worth[-1] / 20)
    assert np.isnan([found.answers_at_end, found.decoded_at_end]).all()
    assert np.all(found.ideal_theory > found.mean_theory)
    assert found.ideal_theory[-1] == pytest.approx(ideal_performance(task).r2_prior, abs=1e-6)
    assert np.isnan(found.answers).all()
    assert found.p == pytest.approx(1 / 20)


def test_the_answers_of_an_agent_that_sums_are_worth_all_samples():
    task = EvidenceTask(encoder=None)
    trials = Stream(task, "test", 3).take(1500)
    own = sample_curve(trials.latents, task, trials, RNG(0), agent=Formula(task), n_null=19)
    np.testing.assert_allclose(own.answers, own.mean, atol=0.004)
    assert own.worth[0] == pytest.approx(1, abs=0.1)
    assert own.value == pytest.approx(1, abs=0.1)
    assert own.null.max() < 0.1
    bold = sample_curve(trials.latents, task, trials, RNG(0), agent=Formula(task, 3.0), n_null=0)
    assert np.all(bold.answers[3:] < own.answers[3:])
    assert own.answers_at_end == pytest.approx(own.answers[-1], abs=1e-6)  # it forgets nothing

    class Late(Formula):
        """Says 1/2 before the cue falls."""

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            self.cue = observation[:, :1]
            return super().predict(observation, state, episode_start, deterministic)

        def probabilities(self, state):
            return np.where(self.cue > 0, 0.5, super().probabilities(state))

    late = sample_curve(trials.latents, task, trials, RNG(0), agent=Late(task), n_null=0)
    assert np.abs(late.answers).max() < 0.05
    assert late.value == pytest.approx(own.value)
    assert "worth" in sample_curve_figure(own).axes[0].get_title(loc="right")


def test_states_are_decoded_step_by_step_and_those_that_know_nothing_are_worth_nothing():
    task = EvidenceTask(stimulus=(2, 10), fixation=(0, 3), encoder=None)
    trials = Stream(task, "test", 3).take(1200)
    rng, steps = RNG(0), task.n_steps
    n, on = np.asarray(trials.n_samples), np.asarray(trials.timing.stimulus_on)
    hidden = np.full((1200, steps, 6), np.nan)
    valid = np.arange(steps) < np.asarray(trials.timing.end)[:, None]
    hidden[valid] = 0
    axes, means = rng.standard_normal((2, 6)), running_means(trials)
    for i in range(10):
        rows = np.flatnonzero(n > i)
        hidden[rows, on[rows] + i] = means[rows, i] @ axes
    found = sample_curve(trials.latents, task, trials, RNG(0), hidden, valid, n_null=19)
    assert found.settings["of"] == "decoded"
    assert np.all(found.decoded > found.mean - 0.02)  # a decoder shrinks
    assert found.decoded_at_end < 0.05  # the state of the decision step is 0
    noise = np.where(valid[:, :, None], rng.standard_normal(hidden.shape), np.nan)
    nothing = sample_curve(trials.latents, task, trials, RNG(0), noise, valid, n_null=19)
    assert nothing.decoded.max() < 0.05
    assert nothing.p > 0.05
    with pytest.raises(ValueError, match="hidden is not finite"):
        sample_curve(trials.latents, task, trials, RNG(0), np.full_like(hidden, np.nan), valid)
    with pytest.raises(ValueError, match="trials are not those"):
        sample_curve(trials.latents[::-1].copy(), task, trials, RNG(0))


def test_trials_that_ended_early_leave_nothing_to_decode_at_the_end_and_it_is_said():
    task = EvidenceTask(payoff="quadratic", decision=0, encoder=None)
    trials, rng = Stream(task, "test", 3).take(1200), RNG(0)
    lasted = rng.integers(5, 16, 1200)  # of 20 steps with evidence
    valid = np.arange(task.n_steps) < (np.asarray(trials.timing.stimulus_on) + lasted)[:, None]
    noise = np.where(valid[:, :, None], rng.standard_normal((*valid.shape, 6)), np.nan)
    with pytest.raises(ValueError, match="0 trials left at the last step; least=50 are needed"):
        sample_curve(trials.latents, task, trials, RNG(0), noise, valid)
    valid[:60] = True
    noise[:60] = rng.standard_normal(noise[:60].shape)
    found = sample_curve(trials.latents, task, trials, RNG(0), noise, valid, n_null=19)
    assert (found.settings["of"], found.n) == ("decoded", 60)
    assert found.value < 0.1  # the evidence is worth all samples, 1
    assert found.p > 0.05
    asked = sample_curve(trials.latents, task, trials, RNG(0), noise, valid, Formula(task), n_null=0, least=61)
    assert (asked.settings["of"], asked.n) == ("answers", 1200)
    assert np.isnan(asked.decoded_at_end)


def test_the_curves_of_theory_where_there_is_none():
    assert np.isnan(ideal_r2(EvidenceTask(latent_correlation=0.5), 5))
    assert np.isnan(ideal_r2(EvidenceTask(encoder_noise=0.5), 5))
    assert mean_r2(EvidenceTask(), 20) == pytest.approx(0.976)
    assert mean_r2(EvidenceTask(sigma=1.0), 1) == pytest.approx(-11)


# What is refused, and what is left out.


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"boundaries": "product"}, "boundaries='product' are not hyperplanes"),
        ({"noise": "gumbel"}, "noise='gumbel'"),
        ({"encoder_noise": 0.1}, r"encoder_noise=0\.1"),
        ({"stimulus": (3, 9)}, r"stimulus=\(3, 9\)"),
        ({"payoff": "quadratic", "decision": 0}, "response_steps are needed"),
    ],
)
def test_tasks_whose_answers_are_no_distances_are_refused(fields, match):
    task = EvidenceTask(**fields)
    p, x = np.full((9, 24), 0.5), np.zeros((9, 2))
    for probe in (multilateration, rank_condition):
        with pytest.raises(ValueError, match=match):
            probe(p, x, task, RNG(0))


def test_bad_input_is_refused_by_name():
    task, p, x = EvidenceTask(), np.full((9, 24), 0.5), np.zeros((9, 2))
    cued = EvidenceTask(cueing="one")
    with pytest.raises(ValueError, match="cueing='one'"):
        multilateration(p[:, :1], x, cued, RNG(0))
    for bad in (np.nan, 1.5, -0.1):
        with pytest.raises(ValueError, match="probabilities holds 1 values"):
            multilateration(np.where(np.arange(216).reshape(9, 24) == 5, bad, p), x, task, RNG(0))
    with pytest.raises(ValueError, match="of 23 tasks"):
        multilateration(p[:, 1:], x, task, RNG(0))
    with pytest.raises(ValueError, match="latents has 2 values"):
        multilateration(p, np.where(np.arange(9)[:, None] == 3, np.nan, x), task, RNG(0))
    for probe in (multilateration, rank_condition):
        with pytest.raises(ValueError, match="'best' is not a form of multilateration"):
            probe(p, x, task, RNG(0), form="best")
    with pytest.raises(ValueError, match=r"cut=0\.0"):
        multilateration(p, x, task, RNG(0), cut=0.0)
    with pytest.raises(ValueError, match=r"clip=0\.5"):
        lines(p, task, clip=0.5)
    for n_samples in (np.ones(5), 0):
        with pytest.raises(ValueError, match="n_samples of shape"):
            lines(p, task, n_samples)


def test_decoders_beside_it_are_left_out_where_they_cannot_be_had():
    p, trials = ideal(task := EvidenceTask(), 600)
    states = np.concatenate([mean_of(trials), np.ones((600, 1))], axis=1)  # one unit is constant
    found = multilateration(p, trials.latents, task, RNG(0), trials=trials, states=states, n_null=0)
    assert min(found.r2_decoder_id, found.r2_decoder_ood) > 0.96
    assert np.isnan(found.p)
    rows = (trials.latents > 0).all(axis=1)  # all other orthants are empty
    one = multilateration(p[rows], trials.latents[rows], task, RNG(0), states=states[rows], n_null=9)
    assert np.isnan([one.r2_decoder_id, one.r2_readout_ood]).all()
    states[3, 1] = np.nan
    with pytest.raises(ValueError, match="states has 1 values"):
        multilateration(p, trials.latents, task, RNG(0), states=states)
    p, trials = ideal(task := EvidenceTask(n_dims=1, n_tasks=3, boundaries="affine"), 600)
    line = multilateration(p, trials.latents, task, RNG(0), trials=trials, states=mean_of(trials), n_null=9)
    assert np.isnan(line.r2_decoder_id)
    assert line.r2["bounded"] > 0.8
    assert multilateration_figure(line).axes[0].get_xlabel() == "$x^*$ (latent units)"


# Probes and pictures.


@pytest.mark.parametrize("probe", ["multilateration", "rank_condition", "sample_curve"])
def test_probes_are_as_probes_must_be(probe):
    check_probe(f"mtrnn_analysis.theory:{probe}")


def names(axes: Any) -> set[str]:
    return {text.get_text() for text in axes.get_legend().get_texts()}


def test_figures_show_value_null_and_ceiling():
    p, trials = ideal(task := EvidenceTask(), 400)
    found = multilateration(p, trials.latents, task, RNG(0), trials=trials, n_null=9)
    left, middle, right = multilateration_figure(found).axes
    assert "latent units" in left.get_xlabel()
    assert "$z$" in middle.get_xlabel()
    assert {"ideal observer", "ideal answers alone", "null: the choices alone"} <= names(right)
    unknown = multilateration(p, trials.latents, task, RNG(0), n_null=0)
    assert [t.get_text() for t in multilateration_figure(unknown).axes[1].texts] == ["not known"]
    ranks = rank_condition(p, trials.latents, task, RNG(0), n_null=9, dims=(2, 5))
    a, b = rank_condition_figure(ranks).axes
    assert "answers used" in a.get_xlabel()
    assert {"$D$ = 2", "$D$ = 5"} <= names(b)
