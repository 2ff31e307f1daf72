"""Choice, time and reward: agents whose curves are known, and what the probes say of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyddm
import pytest
from helpers.behaving import FIXED, KINDS, TIMED, ideal, is_uniform, recorded
from scipy.optimize import minimize
from scipy.special import ndtr
from scipy.stats import spearmanr

from mtrnn_analysis.behavior import answers as shared
from mtrnn_analysis.behavior import chronometric, drift_diffusion, psychometric, speed_accuracy
from mtrnn_analysis.behavior.answers import bin_means, distances, equal_mass, ideal_at, interval, optimal_run
from mtrnn_analysis.behavior.drift_diffusion import walk
from mtrnn_analysis.behavior.psychometric import _Bins, _interval_without, _shuffled_slopes
from mtrnn_analysis.behavior.psychometric_fit import deviance, fit_curves
from mtrnn_analysis.figures import behavior as figures
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.ideal_observer.posterior import answer_probabilities, running_means, trial_probabilities
from mtrnn_envs.ideal_observer.stopping import solve

QUICK = {"n_null": 20, "n_bootstrap": 20}


def drawn(task, n=1000, seed=0):
    return Stream(task, "test", seed).take(n)


def choices(margin):
    return np.where(margin > 0, 1, -1).astype(np.int8)


def of_choices(trials, answers, rng=0, **settings):
    """The psychometric curve of answers after the whole stimulus."""
    steps = (answers != 0).astype(np.int64)
    return psychometric(answers, steps, trials, np.random.default_rng(rng), **{**QUICK, **settings})


def timed(recording, probe, **settings):
    """A probe of response steps of a recording."""
    inputs = {"answers": recording.answers, "labels": recording.asked, "response_steps": recording.response_steps}
    if probe is speed_accuracy:
        inputs["confidence"] = (
            np.ones(recording.answers.shape) if recording.confidence is None else recording.confidence
        )
    more = settings if probe is drift_diffusion else {**QUICK, **settings}
    return probe(**inputs, trials=recording.trials(), rng=np.random.default_rng(0), **more)


def binomial(rng, per_point=60, slope=3.0):
    """Answers drawn from a curve with lapses 0.03 and 0.06 and the bias 0.2."""
    x = np.linspace(-2, 2, 40)
    p = 0.03 + 0.91 * ndtr(slope * (x - 0.2))
    return x, np.full(40, float(per_point)), rng.binomial(per_point, p).astype(float)


def drift(answers, labels, steps, trials, **settings):
    return drift_diffusion(answers, labels, steps, trials, np.random.default_rng(0), **settings)


# Curves


def test_the_fit_is_the_maximum_of_the_likelihood_that_scipy_finds():
    for seed in range(5):
        x, n, k = binomial(np.random.default_rng(seed))

        def cost(v, x=x, n=n, k=k):
            p = np.clip(v[2] + (1 - v[2] - v[3]) * ndtr(v[0] * (x - v[1])), 1e-12, 1 - 1e-12)
            return -np.sum(k * np.log(p) + (n - k) * np.log1p(-p))

        found = minimize(cost, [2, 0, 0.01, 0.01], method="L-BFGS-B", bounds=[(0, 30), (-2, 2), (0, 0.2), (0, 0.2)])
        mine = fit_curves(x[None], n[None], k[None])
        assert mine.log_likelihood[0] >= -found.fun - 1e-6
        np.testing.assert_allclose([mine.slope[0], mine.bias[0]], found.x[:2], rtol=5e-3, atol=2e-3)
        np.testing.assert_allclose([mine.low[0], mine.high[0]], found.x[2:], atol=2e-3)


def test_many_curves_at_once_are_the_curves_one_by_one():
    sets = [binomial(np.random.default_rng(seed), slope=1.0 + seed) for seed in range(4)]
    x, n, k = (np.stack(v) for v in zip(*sets, strict=True))
    together = fit_curves(x, n, k)
    for i in range(4):
        alone = fit_curves(x[i : i + 1], n[i : i + 1], k[i : i + 1])
        np.testing.assert_allclose(together.slope[i], alone.slope[0], rtol=1e-6)


def test_the_known_curve_comes_back_within_its_error():
    x, n, k = binomial(np.random.default_rng(0), per_point=5000)
    found = fit_curves(x[None], n[None], k[None])
    known = [3.0, 0.2, 0.03, 0.06]
    np.testing.assert_allclose([found.slope[0], found.bias[0], found.low[0], found.high[0]], known, rtol=0.05)


def test_distances_twice_as_large_have_half_the_slope():
    x, n, k = binomial(np.random.default_rng(1))
    one, two = fit_curves(x[None], n[None], k[None]), fit_curves(2 * x[None], n[None], k[None])
    np.testing.assert_allclose(two.slope, one.slope / 2, rtol=1e-4)
    np.testing.assert_allclose(two.bias, one.bias * 2, rtol=1e-3)


def test_a_step_is_said_to_have_no_slope():
    x = np.linspace(-1, 1, 60)
    clean = (x > 0).astype(float)
    lapsed = np.where(np.isin(np.arange(60), [5, 50]), 1 - clean, clean)
    mixed = np.where(np.isin(np.arange(60), [29, 31]), 1 - clean, clean)
    found = fit_curves(x[None], np.ones((1, 60)), np.stack([clean, lapsed, mixed]))
    assert found.separated.tolist() == [True, True, False]


def test_the_deviance_is_that_of_the_binomial():
    n, k, p = np.array([10.0, 20, 30]), np.array([0.0, 12, 30]), np.array([0.1, 0.5, 0.9])
    by_hand = 2 * (10 * np.log(1 / 0.9) + 12 * np.log(0.6 / 0.5) + 8 * np.log(0.4 / 0.5) + 30 * np.log(1 / 0.9))
    assert deviance(n[None], k[None], p[None])[0] == pytest.approx(by_hand)


# Psychometric


def test_the_ideal_observer_through_the_environment_has_the_ideal_slope_and_no_lapses():
    recording = recorded("ideal", FIXED)
    found = of_choices(recording.trials(), recording.answers)
    assert found.value == pytest.approx(1)
    assert found.theory_slope == pytest.approx(np.sqrt(20))
    assert found.slope_interval[0] * 0.97 < found.theory_slope < found.slope_interval[1] * 1.03
    assert max(found.lapse_low, found.lapse_high) < 0.002
    assert abs(found.bias) < 0.05
    assert found.p == pytest.approx(1 / 21)


@pytest.mark.parametrize(("extra", "slope"), [(0.0, 1.0), (1.0, np.sqrt(1 / 2)), (2.0, np.sqrt(1 / 5))])
def test_private_noise_takes_slope_as_theory_says(extra, slope):
    trials, rng = drawn(FIXED, 3000), np.random.default_rng(1)
    means = running_means(trials)[:, -1]
    noise = extra * 0.2 / np.sqrt(20) * rng.standard_normal((len(trials), 6))
    found = of_choices(trials, choices(FIXED.boundary.margins(means) + noise))
    assert found.value == pytest.approx(slope, abs=0.05)
    assert found.efficiency == pytest.approx(found.value**2)


def test_half_of_the_samples_is_an_efficiency_of_one_half():
    trials = drawn(FIXED, 3000)
    found = of_choices(trials, choices(FIXED.boundary.margins(running_means(trials)[:, 9])))
    assert found.efficiency == pytest.approx(0.5, abs=0.06)


def test_lapses_and_bias_are_told_apart_from_slope():
    trials, rng = drawn(FIXED, 4000), np.random.default_rng(2)
    margin = FIXED.boundary.margins(running_means(trials)[:, -1]) - 0.06
    answers = np.where(rng.random(margin.shape) < 0.1, rng.choice([-1, 1], margin.shape), choices(margin))
    found = of_choices(trials, answers.astype(np.int8))
    assert found.value == pytest.approx(1, abs=0.06)
    assert found.bias == pytest.approx(0.06 / 0.2, abs=0.02)
    assert found.lapse_low == pytest.approx(0.05, abs=0.01)
    assert found.lapse_high == pytest.approx(0.05, abs=0.01)
    assert np.nanmedian(found.task_slopes) == pytest.approx(found.slope, rel=0.1)


def test_mixed_up_sides_have_the_slope_with_the_other_sign():
    trials = drawn(FIXED)
    answers = choices(trial_probabilities(trials) - 0.5)
    right, wrong = of_choices(trials, answers), of_choices(trials, -answers)
    assert wrong.value == pytest.approx(-right.value, rel=1e-3)
    assert wrong.p == 1


def test_an_agent_that_sees_nothing_has_no_slope():
    recording = recorded("random", FIXED)
    found = of_choices(recording.trials(), recording.answers)
    assert abs(found.value) < 0.05
    assert found.p > 0.05


@pytest.mark.slow
def test_the_p_value_of_agents_that_see_nothing_is_uniform():
    task = replace(FIXED, n_tasks=2, stimulus=2)
    ps = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        # The same answer to both tasks: answers of a trial that are alike must not look like evidence.
        answers = np.repeat(rng.choice([-1, 1], (60, 1)), 2, axis=1).astype(np.int8)
        ps.append(of_choices(drawn(task, 60, seed), answers, seed, n_null=9, n_bootstrap=0).p)
    assert is_uniform(ps)


@pytest.mark.slow
def test_the_p_value_is_uniform_where_the_ideal_observer_is_computed_of_the_first_trials_only(monkeypatch):
    """Null and value are of the same trials, also where tasks are left open."""
    monkeypatch.setattr(shared, "MOST_EXACT", 80)
    task, ps = replace(FIXED, n_tasks=2, sigma=0.5, stimulus=1), []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        answers = np.repeat(rng.choice([-1, 1], (320, 1)), 2, axis=1).astype(np.int8)
        answers[rng.random(answers.shape) < 0.3] = 0
        found = of_choices(drawn(task, 320, seed), answers, seed, n_null=9, n_bootstrap=0)
        assert found.n_ideal == 80
        ps.append(found.p)
    assert is_uniform(ps)


def test_value_and_null_are_those_of_the_trials_whose_ideal_observer_is_computed(monkeypatch):
    trials, rng = drawn(FIXED, 400), np.random.default_rng(0)
    answers = rng.choice([-1, 1], (400, 6)).astype(np.int8)
    alone = of_choices(trials[:100], answers[:100], n_null=100, n_bootstrap=0)
    monkeypatch.setattr(shared, "MOST_EXACT", 100)
    first = of_choices(trials, answers, n_null=100, n_bootstrap=0)
    assert first.n_ideal == alone.n == 100
    assert first.value == pytest.approx(alone.value, abs=0.005)
    np.testing.assert_allclose(first.null, alone.null, atol=0.005)


def test_shuffled_answers_lie_where_they_are_handed_to_though_other_tasks_were_open_there():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2))
    answers = rng.choice([-1, 0, 1], (400, 2)).astype(np.int8)
    bins = _Bins(x)
    order = rng.permutation(400)
    n, k = bins.counts(np.ones((1, 400)), answers[order])
    by_hand = fit_curves(bins.x[None], n, k).slope
    np.testing.assert_allclose(_shuffled_slopes(bins, answers, order[None]), by_hand)
    exact = fit_curves(
        x.ravel()[None], 1.0 * (answers[order] != 0).ravel()[None], 1.0 * (answers[order] > 0).ravel()[None]
    )
    np.testing.assert_allclose(by_hand, exact.slope, atol=0.01)


def test_bootstrap_samples_that_a_step_fits_have_no_part_in_intervals():
    """Few answers near the boundary: many samples of them have a step of the ideal observer, few of a blunt agent."""
    task = EvidenceTask(n_tasks=1, encoder=None, sigma=0.05)
    trials, rng = drawn(task, 300, 1), np.random.default_rng(1)
    noise = 0.04 * rng.standard_normal((300, 1))
    blunt = of_choices(trials, choices(task.boundary.margins(trials.latents) + noise), n_bootstrap=100)
    assert blunt.left_out[0] > 5 >= blunt.left_out[1]
    assert np.isnan(blunt.interval).all()
    assert blunt.slope_interval[0] < blunt.slope < blunt.slope_interval[1]
    ideal = of_choices(trials, choices(trial_probabilities(trials) - 0.5), n_bootstrap=100)
    assert min(ideal.left_out) > 5
    assert np.isnan([*ideal.interval, *ideal.slope_interval, *ideal.bias_interval, *ideal.lapse_interval]).all()


def test_a_few_such_samples_are_left_out_and_told():
    values, separated = np.arange(100.0), np.arange(100) >= 97
    assert _interval_without(separated, np.where(separated, 1e9, values)) == interval(values[:97])
    assert np.isnan(_interval_without(np.arange(100) >= 94, values)).all()


def test_the_deviance_of_a_curve_that_holds_is_not_unusual_and_of_one_that_does_not_is():
    trials, rng = drawn(FIXED, 3000), np.random.default_rng(4)
    x = distances(FIXED, trials.latents).values
    holds = np.where(rng.random(x.shape) < ndtr(2 * x), 1, -1).astype(np.int8)
    steps = np.where(rng.random(x.shape) < 0.5 + 0.25 * np.sign(x) + 0.2 * np.sin(3 * x), 1, -1).astype(np.int8)
    assert of_choices(trials, holds, n_null=60).deviance_p > 0.05
    assert of_choices(trials, steps, n_null=60).deviance_p < 0.05


def test_tasks_left_open_are_counted_and_change_no_slope():
    trials, rng = drawn(FIXED, 4000), np.random.default_rng(5)
    answers = choices(FIXED.boundary.margins(running_means(trials)[:, -1]))
    answers[rng.random(answers.shape) < 0.3] = 0
    found = of_choices(trials, answers)
    assert found.unanswered == pytest.approx(0.3, abs=0.02)
    assert found.value == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("task", KINDS.values(), ids=KINDS)
def test_the_ideal_observer_is_ideal_in_every_task(task):
    trials, p = ideal(task, 400)
    found = of_choices(trials, choices(p - 0.5), n_null=0)
    assert found.value == pytest.approx(1, abs=0.03)
    assert np.isnan(found.p)


def test_what_cannot_be_fitted_is_refused():
    trials = drawn(FIXED, 60)
    answers = trials.asked.copy()
    with pytest.raises(ValueError, match="right side of one distance"):
        of_choices(trials, answers)
    with pytest.raises(ValueError, match="answers has 0 answers given; 50"):
        of_choices(trials, 0 * answers)
    with pytest.raises(ValueError, match="answers 59; they must be the same"):
        of_choices(trials, answers[:59])
    with pytest.raises(ValueError, match="encoder_noise"):
        of_choices(drawn(EvidenceTask(n_tasks=6, encoder_noise=0.1), 60), answers)
    latents = trials.latents.copy()
    latents[3] = np.nan
    with pytest.raises(ValueError, match="latents has 2 values that are not finite"):
        distances(FIXED, latents)


# What is shared


def test_the_ideal_observer_is_asked_at_the_step_of_each_answer():
    trials = drawn(TIMED, 30)
    steps = np.random.default_rng(0).integers(1, 11, (30, 6))
    found = ideal_at(trials, steps)
    means = running_means(trials)
    for i, k in ((0, 0), (7, 5), (29, 3)):
        one = answer_probabilities(TIMED, means[[i], steps[i, k] - 1], int(steps[i, k]))
        assert found[i, k] == pytest.approx(one[0, k], abs=1e-5)


def test_bins_hold_equally_many_and_never_split_equal_values():
    values = np.random.default_rng(0).standard_normal(1000)
    assert np.ptp(np.bincount(equal_mass(values, 10))) <= 1
    bins = equal_mass(np.repeat([1.0, 2.0, 3.0], [5, 90, 5]), 10)
    assert bins.tolist() == [0] * 5 + [1] * 90 + [2] * 5 or len(np.unique(bins[5:95])) == 1
    assert np.isnan(bin_means(np.array([0, 2]), np.array([1.0, 2.0]), 3)[1])


def test_the_best_policy_is_run_as_the_agent_of_that_name_does():
    for task in (TIMED, replace(TIMED, commit="common"), replace(TIMED, cueing="one")):
        recording = recorded("optimal", task, 60)
        best = optimal_run(recording.trials())
        np.testing.assert_array_equal(best.answers, recording.answers)
        np.testing.assert_array_equal(best.steps[best.answers != 0], recording.response_steps[best.answers != 0])


# Chronometric


def test_the_rank_correlation_is_scipys():
    recording = recorded("bound", TIMED, 200)
    found = timed(recording, chronometric)
    x = np.abs(distances(TIMED, recording.latents).values)
    assert found.value == pytest.approx(spearmanr(x.ravel(), recording.response_steps.ravel())[0])
    assert found.interval[0] < found.value < found.interval[1]


def test_easier_questions_are_answered_sooner_by_whoever_looks_at_the_evidence():
    known = timed(recorded("optimal", TIMED), chronometric, n_optimal=300)
    np.testing.assert_allclose(known.bin_steps, known.optimal_steps)
    assert known.value == pytest.approx(known.optimal)
    assert known.value < -0.5
    assert known.p == pytest.approx(1 / 21)
    blind = timed(recorded("random", TIMED), chronometric)
    assert abs(blind.value) < 0.05
    assert blind.p > 0.05


def test_a_long_walk_to_constant_bounds_has_the_gain_and_the_bound_of_the_evidence():
    """Small steps, so that time is nearly continuous, and a deadline that is never reached."""
    task = EvidenceTask(n_tasks=2, encoder=None, sigma=1.0, payoff="quadratic", decision=0, stimulus=80)
    found = timed(recorded("bound", task, 500), chronometric, n_optimal=0)
    assert found.fit.gain == pytest.approx(1, abs=0.15)
    assert found.fit.bound == pytest.approx(3.5 + 0.58, abs=0.3)
    assert found.mean_step == pytest.approx(found.bin_steps.mean(), rel=0.02)


def test_tasks_left_open_count_with_all_steps():
    recording = recorded("optimal", TIMED, 200)
    answers, steps = recording.answers.copy(), recording.response_steps.copy()
    answers[:, 0], steps[:, 0] = 0, 0
    found = timed(replace(recording, answers=answers, response_steps=steps), chronometric)
    assert found.unanswered == pytest.approx(np.mean(answers == 0))
    assert found.mean_step == pytest.approx(np.where(steps > 0, steps, 10).mean())


def test_the_p_value_of_steps_that_follow_nothing_is_uniform():
    ps = []
    task = replace(TIMED, n_tasks=2)
    for seed in range(200):
        rng, trials = np.random.default_rng(seed), drawn(task, 40, seed)
        steps = np.repeat(rng.integers(1, 11, (40, 1)), 2, axis=1)
        found = chronometric(trials.asked, trials.asked, steps, trials, rng, n_null=9, n_bootstrap=2, n_optimal=0)
        ps.append(found.p)
    assert is_uniform(ps)


@pytest.mark.parametrize("probe", [chronometric, speed_accuracy, drift_diffusion])
def test_fixed_durations_are_refused(probe):
    recording = recorded("ideal", FIXED, 60)
    with pytest.raises(ValueError, match="fixed duration: all answers are given at the same time"):
        timed(recording, probe)


def test_constant_steps_have_no_chronometric_curve():
    with pytest.raises(ValueError, match="response_steps are all 1"):
        timed(recorded("at once", TIMED, 60), chronometric)


# Speed and accuracy


@pytest.mark.parametrize(
    "fields",
    [{}, {"commit": "common"}, {"cueing": "one"}, {"payoff": "log"}, {"payoff": "accuracy"}, {"stimulus": (4, 10)}],
    ids=str,
)
def test_the_reward_is_what_the_environment_paid_and_the_best_policy_earns_the_best(fields):
    task = replace(TIMED, **fields)
    recording = recorded("optimal", task)
    found = timed(recording, speed_accuracy, cost_factors=(4.0,), n_ideal=50)
    assert found.reward == pytest.approx(recording.rewards.sum(axis=1).mean())
    error = (found.interval[1] - found.interval[0]) / 4
    assert found.value == pytest.approx(1, abs=4 * error)
    assert found.p == pytest.approx(1 / 21)
    assert found.optimal_reward == solve(task).value
    assert found.pay - task.time_cost * found.mean_step == pytest.approx(found.reward)


def test_no_policy_is_above_the_frontier():
    recording = recorded("integrator", TIMED)
    found = timed(recording, speed_accuracy)
    assert np.all(np.diff(found.frontier_costs) > 0)
    assert np.all(np.diff(found.frontier_steps) < 0)
    for cost, step, pay in zip(found.frontier_costs, found.frontier_steps, found.frontier_pay, strict=True):
        assert np.all(found.fixed_pay - cost * found.fixed_steps < pay - cost * step + 0.02)
    assert found.fixed_reward < found.optimal_reward
    assert found.chance_reward < found.fixed_reward
    assert found.value == pytest.approx(1, abs=0.06)


def test_the_conditional_accuracy_function_is_the_accuracy_at_each_step():
    recording = recorded("bound", TIMED)
    found = timed(recording, speed_accuracy, cost_factors=())
    for step in (2, 5, 10):
        here = recording.response_steps == step
        assert found.step_counts[step - 1] == np.count_nonzero(here)
        assert found.step_accuracy[step - 1] == pytest.approx(recording.correct[here].mean())
    # A constant bound claims the same at any time, and is right less often the later it is reached.
    assert found.quantile_accuracy[0] > found.quantile_accuracy[-1]
    assert np.all(np.diff(found.quantile_steps) > 0)


def test_who_sees_nothing_earns_no_more_than_chance():
    recording = recorded("random", TIMED)
    found = timed(recording, speed_accuracy, cost_factors=())
    assert found.value < 0
    assert found.p > 0.05


def test_speed_and_accuracy_need_sensible_settings():
    with pytest.raises(ValueError, match=r"cost_factors=\(0.0,\) must be numbers above 0"):
        timed(recorded("optimal", TIMED, 60), speed_accuracy, cost_factors=(0.0,))


# Drift diffusion


def test_the_model_is_a_walk_in_steps_to_bounds():
    """Against a simulation: bounds that shrink, stay and grow, and steps shorter and longer than the noise."""
    x, steps, rng = np.array([0.1, 1.0, 2.5]), np.arange(1, 11), np.random.default_rng(0)
    for gain, bound, collapse in ((1.0, 3.0, 0.05), (0.7, 2.0, 0.0), (1.0, 1.5, -0.08)):
        p, undecided = walk(x, gain, bound, collapse, 0.0, 9)
        for i, distance in enumerate(x):
            sums = np.cumsum(gain * distance + rng.standard_normal((40_000, 10)), axis=1)
            beyond = np.abs(sums) >= bound * np.exp(-collapse * steps)
            first = np.where(beyond.any(axis=1), beyond.argmax(axis=1), 10)
            side = np.take_along_axis(sums, np.minimum(first, 9)[:, None], 1)[:, 0] > 0
            for row, chosen in zip(p[i], (side, ~side), strict=True):
                seen = np.bincount(first[chosen], minlength=11)[:9] / len(sums)
                np.testing.assert_allclose(row, seen, atol=0.01)
            assert undecided[i] == pytest.approx(np.mean(first >= 9), abs=0.01)


def test_an_onset_shifts_all_steps():
    at_once, late = (walk(np.array([1.0]), 1.0, 2.0, 0.0, onset, 9)[0] for onset in (0.0, 2.0))
    np.testing.assert_allclose(late[0, :, 2:], at_once[0, :, :-2], atol=1e-9)
    assert late[0, :, :2].max() < 1e-9


@pytest.mark.parametrize(
    "known", [(0.3, 1.0, 0.0, 2.0), (0.7, 2.0, 0.05, 3.4)], ids=["whole onset", "onset between steps"]
)
def test_a_late_onset_is_found_beyond_the_kinks_of_the_likelihood(known):
    trials, rng = drawn(replace(TIMED, n_tasks=2, stimulus=20), 2000), np.random.default_rng(0)
    gain, bound, collapse, onset = known
    x, steps = distances(trials.task, trials.latents).values, np.arange(1, 21)
    sums = np.cumsum(gain * x[..., None] + rng.standard_normal((*x.shape, 20)), axis=2)
    beyond = np.abs(sums) >= bound * np.exp(-collapse * steps)
    first = np.where(beyond.any(axis=2), beyond.argmax(axis=2), 19)
    answers = choices(np.take_along_axis(sums, first[..., None], 2)[..., 0])
    late = np.floor(onset).astype(int) + (rng.random(x.shape) < onset % 1)
    given = np.minimum(first + 1 + late, 20).astype(np.int64)
    found = drift(answers, trials.asked, given, trials, n_bins=6)
    at = [found.value, found.bound, found.collapse, found.onset]
    np.testing.assert_allclose(at, known, atol=0.15)
    # No free error of an onset at a kink, where the likelihood has no curvature.
    assert np.isnan(found.errors[3]) == (abs(found.onset - round(found.onset)) <= 1e-3)
    assert np.all(np.abs(np.array(at) - known)[:3] < 4 * found.errors[:3])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"commit": "common"}, "commit='common' stops 6 tasks at once"),
        ({"autocorrelation": 0.5}, "autocorrelation=0.5 makes the noise of a sample depend"),
        ({"noise": "gumbel"}, "noise='gumbel': the model adds up Gaussian noise"),
        ({"boundaries": "quadric"}, "boundaries='quadric' with sigma=0.2: .* linear boundaries"),
    ],
)
def test_drift_diffusion_is_refused_where_answers_are_no_such_walks(fields, why):
    trials = drawn(replace(TIMED, **fields), 60)
    steps = np.random.default_rng(0).integers(1, 11, (60, 6))
    with pytest.raises(ValueError, match=why):
        drift(trials.asked, trials.asked, steps, trials)


def test_a_common_stop_of_a_single_answer_is_a_stop_of_its_own():
    trials = drawn(replace(TIMED, n_tasks=1, commit="common"), 300)
    steps = np.random.default_rng(0).integers(1, 10, (300, 1))
    answers = trials.asked * np.random.default_rng(1).choice([-1, 1, 1], (300, 1)).astype(np.int8)
    assert np.isfinite(drift(answers, trials.asked, steps, trials, n_bins=3).log_likelihood)


@pytest.mark.slow
def test_an_integrator_has_the_gain_of_the_evidence_and_its_own_bound():
    recording = recorded("bound", TIMED, 600)
    given = recording.answers, recording.asked, recording.response_steps
    found = drift(*given, recording.trials(), changing=False, n_bins=6)
    assert found.value == pytest.approx(1, abs=3 * found.errors[0])
    assert found.bound == pytest.approx(3.5, abs=0.4)
    assert found.collapse == 0
    assert found.onset < 0.3
    assert found.model_undecided == pytest.approx(found.undecided, abs=0.04)
    assert figures.drift_diffusion_figure(found).axes[0].get_ylabel() == "mean response step"


@pytest.mark.parametrize("rate", [0.2, 1.0])
def test_in_short_steps_the_walk_is_the_diffusion_of_pyddm(rate):
    """Steps of 1/100 of the time that noise takes to the bound; looked at so often, it lies 0.58 of a step higher."""
    model = pyddm.gddm(drift=rate, noise=1, bound=1, mixture_coef=0, nondecision=0, dx=0.002, dt=0.002, T_dur=2)
    solved = model.solve()
    p, undecided = walk(np.array([rate / 10]), 1.0, 10 - 0.5826, 0.0, 0.0, 200)
    assert p[0, 0].sum() == pytest.approx(solved.prob("correct"), abs=3e-3)
    assert p[0, 1].sum() == pytest.approx(solved.prob("error"), abs=3e-3)
    assert undecided[0] == pytest.approx(solved.prob_undecided(), abs=3e-3)
    for t in (30, 80, 150):
        assert p[0, 0, :t].sum() == pytest.approx(np.sum(solved.pdf("correct")[: 5 * t]) * 0.002, abs=5e-3)


def test_drift_diffusion_needs_one_deadline_and_answers_before_it():
    for task, step, why in (
        (replace(TIMED, stimulus=(4, 10)), 1, r"stimulus=\(4, 10\) is drawn per trial"),
        (TIMED, 10, "answers has 0 given before the deadline; 50"),
    ):
        trials = drawn(task, 60)
        with pytest.raises(ValueError, match=why):
            drift(trials.asked, trials.asked, np.full((60, 6), step), trials)


# Figures


def test_figures_name_their_axes_and_show_the_null():
    recording = recorded("bound", TIMED)
    given = recording.answers, recording.response_steps, recording.trials()
    pairs: list[tuple[Any, Any]] = [
        (figures.psychometric_figure, psychometric(*given, np.random.default_rng(0), **QUICK)),
        (figures.chronometric_figure, timed(recording, chronometric)),
        (figures.speed_accuracy_figure, timed(recording, speed_accuracy, cost_factors=())),
    ]
    for draw, found in pairs:
        *curves, against_null = draw(found).axes
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in curves)
        assert any(np.array_equal(line.get_ydata(), found.null) for line in against_null.lines)
