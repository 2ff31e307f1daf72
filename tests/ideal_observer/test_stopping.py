from __future__ import annotations

import numpy as np
import pytest

from mtrnn_envs.ideal_observer import stopping as optimal_stopping
from mtrnn_envs.ideal_observer.expected_accuracy import distinct_tasks, draw_statistics
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.ideal_observer.posterior import answer_probabilities, running_means
from mtrnn_envs.ideal_observer.stopping import alive, solve
from mtrnn_envs.reward import best_options, expected_rewards
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import sample


def reaction_time(**fields):
    return EvidenceTask(**{"payoff": "quadratic", "decision": 0, **fields})


def run(task, n, seed, n_points=32):
    """Plays the policy on sampled trials: reward and mean response step of each trial."""
    best, trials = solve(task), sample(task, n, generator(seed, "test"))
    means, length = running_means(trials), np.broadcast_to(np.asarray(trials.n_samples), n)
    table, label = task.reward_table, (trials.labels > 0).astype(int)
    still = np.ones((n, task.n_tasks), bool)
    paid, taken = np.zeros(still.shape), np.zeros(still.shape)
    for t in range(1, means.shape[1] + 1):
        still &= (length >= t)[:, None]
        taken += still
        rows = np.flatnonzero(still.any(axis=1))
        p = answer_probabilities(task, means[rows, t - 1], t, n_points)
        stop = best.policy(means[rows, t - 1], t, p)
        answer = np.zeros(still.shape, bool)
        answer[rows] = still[rows] & (stop[:, None] if stop.ndim == 1 else stop)
        level = np.zeros(still.shape, int)
        level[rows] = best_options(task, p)
        paid[answer] = table[label, level][answer]
        still &= ~answer
    return (paid - task.time_cost * taken).mean(axis=1), taken.mean(axis=1)


def standard_error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


def test_the_best_value_at_the_defaults():
    best = solve(reaction_time())
    assert best.method.startswith("dynamic programming")
    assert best.value == pytest.approx(0.795, abs=5e-4)
    assert best.response_step == pytest.approx(5.93, abs=0.02)
    assert best.accuracy == pytest.approx(0.959, abs=5e-4)


@pytest.mark.parametrize(
    ("commit", "step", "accuracy"), [("common", 8.63, 0.9452), ("each", 5.36, 0.958)], ids=["common", "each"]
)
def test_known_speed_and_accuracy_when_only_right_answers_pay(commit, step, accuracy):
    best = solve(reaction_time(payoff="accuracy", time_cost=0.003, commit=commit))
    assert best.response_step == pytest.approx(step, abs=0.03)
    assert best.accuracy == pytest.approx(accuracy, abs=5e-4)
    assert best.value == pytest.approx(best.accuracy - 0.003 * best.response_step, abs=1e-4)
    if commit == "common":
        assert best.value == pytest.approx(0.919, abs=5e-4)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"commit": "common"},
        {"payoff": "log", "sigma": (0.2, 0.4), "n_tasks": 5},
        {"boundaries": "affine", "n_tasks": 4},
        {"boundaries": "product", "n_tasks": 4, "commit": "common"},
        {"boundaries": "quadric", "n_tasks": 3, "stimulus": (3, 12)},
        {"n_dims": 1, "n_tasks": 2, "boundaries": "affine"},
        {"n_tasks": 1, "sigma": 0.05, "n_confidence": 1},
    ],
    ids=str,
)
def test_the_policy_earns_its_value_on_sampled_trials(fields):
    task = reaction_time(**fields)
    reward, step = run(task, 2000, seed=3)
    best = solve(task)
    assert best.method.startswith("dynamic programming")
    assert abs(reward.mean() - best.value) < 3 * standard_error(reward) + 2e-4
    assert abs(step.mean() - best.response_step) < 3 * standard_error(step)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {"n_tasks": 6},
        {"n_tasks": 6, "commit": "common", "payoff": "accuracy", "time_cost": 0.003},
        {"n_tasks": 2, "n_dims": 1, "boundaries": "affine"},
    ],
    ids=str,
)
def test_the_response_step_is_that_of_the_policy_on_many_trials(fields):
    task = reaction_time(**fields)
    _, step = run(task, 10_000, seed=1)
    assert abs(step.mean() - solve(task).response_step) < 3 * standard_error(step)


def test_symmetric_tasks_solved_once_give_what_each_gives_alone():
    task = reaction_time(n_tasks=6, stimulus=6)
    together = {c: optimal_stopping._dynamic_programming(t, distinct_tasks(t)) for c, t in commits(task).items()}
    plain = distinct_tasks(task)._replace(
        boundary=task.boundary, index=np.arange(6), flips=np.ones((6, 2)), swap=np.zeros(6, bool)
    )
    mean = np.random.default_rng(0).uniform(-0.7, 0.7, (400, 2))
    for commit, t in commits(task).items():
        alone = optimal_stopping._dynamic_programming(t, plain)
        assert alone.value == pytest.approx(together[commit].value, abs=1e-10)
        assert np.mean(alone.policy(mean, 3) == together[commit].policy(mean, 3)) > 0.999


def commits(task):
    return {c: reaction_time(n_tasks=task.n_tasks, stimulus=task.stimulus, commit=c) for c in ("each", "common")}


def twice_as_fine(grid):
    def finer(task, d, t):
        points = grid(task, d, t)
        return np.linspace(points[0], points[-1], 2 * len(points) - 1)

    return finer


def test_a_finer_grid_changes_the_value_by_less_than_2e_4(monkeypatch):
    task = reaction_time(n_tasks=4, stimulus=8)
    coarse = solve(task).value
    monkeypatch.setattr(optimal_stopping, "time_grid", twice_as_fine(optimal_stopping.time_grid))
    fine = optimal_stopping._dynamic_programming(task, distinct_tasks(task)).value
    assert coarse == pytest.approx(fine, abs=2e-4)


@pytest.mark.parametrize("fields", [{}, {"commit": "common", "payoff": "accuracy", "time_cost": 0.003}], ids=str)
def test_the_policy_answers_when_that_of_a_finer_grid_does(monkeypatch, fields):
    """Where the bound is, pay and waiting are nearly equal, and small errors of one sign move it far."""
    task = reaction_time(n_tasks=6, **fields)
    coarse = solve(task)
    monkeypatch.setattr(optimal_stopping, "time_grid", twice_as_fine(optimal_stopping.time_grid))
    fine = optimal_stopping._dynamic_programming(task, distinct_tasks(task))
    shares = []
    for t in range(3, 20, 3):
        mean, _ = statistics(6, t)
        p = answer_probabilities(task, mean, t, n_points=48)
        shares.append([best.policy(mean, t, p).mean() for best in (coarse, fine)])
    assert 0.1 < np.mean(shares) < 0.9
    assert np.mean(np.diff(shares)) == pytest.approx(0, abs=1e-3)


def test_the_policy_computes_the_answers_that_it_is_not_given():
    for task in (reaction_time(n_tasks=4), reaction_time(n_tasks=4, n_dims=3, stimulus=5, commit="common")):
        mean = np.random.default_rng(0).uniform(-0.7, 0.7, (300, task.n_dims))
        given = solve(task).policy(mean, 4, answer_probabilities(task, mean, 4))
        assert np.mean(given == solve(task).policy(mean, 4)) > 0.98
        assert 0.1 < given.mean() < 0.9
        surely_not = solve(task).policy(mean, 4, np.full((300, 4), 0.5))
        assert not surely_not.any()


def test_no_fixed_moment_and_no_common_stop_beats_the_best_policy():
    each = solve(reaction_time(n_tasks=6))
    common = solve(reaction_time(n_tasks=6, commit="common"))
    assert common.value < each.value
    for t in (2, 6, 12, 20):
        p = answer_probabilities(reaction_time(n_tasks=6), *statistics(6, t))
        pay = expected_rewards(reaction_time(n_tasks=6), p)[0].mean(axis=1)
        assert pay.mean() - 0.01 * t < common.value + 3 * pay.std() / np.sqrt(len(pay))


def statistics(n_tasks, t):
    return draw_statistics(EvidenceTask(n_tasks=n_tasks, stimulus=t), 2000, np.random.default_rng(t))


def test_free_waiting_waits_and_dear_waiting_answers_at_once():
    assert solve(reaction_time(n_tasks=2, time_cost=0.0, payoff="log", n_confidence=30)).response_step > 15
    assert solve(reaction_time(n_tasks=2, time_cost=1.0, payoff="accuracy")).response_step == pytest.approx(1, abs=1e-6)


def test_bounds_collapse_with_time():
    task = reaction_time(payoff="accuracy", n_tasks=1, time_cost=0.003)  # the one line is x_1 = 0
    best, m = solve(task), np.column_stack([np.linspace(0, 0.5, 2001), np.zeros(2001)])
    bounds = []
    for t in range(2, 20):
        p = answer_probabilities(task, m, t)[:, 0]
        bounds.append(np.max(np.maximum(p, 1 - p)[~best.policy(m, t)[:, 0]], initial=0.5))
    assert np.all(np.diff(bounds) < 0.005)
    assert bounds[-1] < bounds[0] - 0.05


@pytest.mark.parametrize("commit", ["each", "common"])
def test_the_lower_bound_is_below_the_best_value_and_near_it(commit):
    task = reaction_time(n_tasks=6, commit=commit)
    bound, best = optimal_stopping._thresholds(task), solve(task)
    assert bound.method.startswith("lower bound")
    assert best.value - 0.02 - 3 * bound.standard_error < bound.value < best.value + 3 * bound.standard_error


@pytest.mark.parametrize(
    "fields",
    [{"n_dims": 3, "commit": "common"}, {"autocorrelation": 0.7}, {"latent_correlation": 0.5}, {"noise": "gumbel"}],
    ids=str,
)
def test_what_is_not_solved_is_called_a_lower_bound_that_its_policy_earns(fields):
    task = reaction_time(n_tasks=3, stimulus=6, **fields)
    best = ideal_performance(task)
    assert best.stopping_method.startswith("lower bound")
    reward, _ = run(task, 400, seed=2, n_points=64)
    spread = np.hypot(standard_error(reward), solve(task).standard_error)
    assert abs(reward.mean() - best.value) < 3 * spread


def test_one_cued_task_is_worth_the_mean_over_tasks():
    cued = solve(reaction_time(n_tasks=4, cueing="one", commit="common"))
    assert cued.value == pytest.approx(solve(reaction_time(n_tasks=4)).value, abs=1e-12)


def test_ceilings_of_reaction_time_tasks_hold_the_best_value():
    best = ideal_performance(reaction_time())
    assert (best.value, best.stopping_method[:19]) == (solve(reaction_time()).value, "dynamic programming")
    assert best.accuracy == pytest.approx(0.9603, abs=1e-4)
    too_large = ideal_performance(reaction_time(n_dims=3, n_tasks=2000, stimulus=200))
    assert too_large.value is None
    assert "stimulus=200 with n_tasks=2000" in too_large.stopping_method


def test_what_cannot_be_stopped_is_refused_by_name():
    with pytest.raises(ValueError, match="payoff='share' has a fixed duration"):
        solve(EvidenceTask())
    with pytest.raises(ValueError, match=r"encoder_noise=0\.1"):
        solve(reaction_time(encoder_noise=0.1))


def test_answers_are_the_best_of_the_levels_there_are():
    task = reaction_time()
    p = np.array([0.0, 0.3, 0.5001, 0.7, 1.0])
    assert best_options(task, p).tolist() == [1, 2, 4, 5, 6]
    pay, right = expected_rewards(task, p)
    np.testing.assert_allclose(right, [1, 0.7, 0.5001, 0.7, 1])
    assert pay[0] == pytest.approx(1 - 4 / 12**2)


def test_a_drawn_deadline_is_a_constant_share_of_those_left():
    task = reaction_time(stimulus=(2, 4))
    assert [alive(task, t) for t in (1, 2, 3, 4)] == pytest.approx([1, 2 / 3, 1 / 2, 0])
