"""What answers pay, against what design and docstrings say, worked out by hand or by brute force."""

import gymnasium as gym
import numpy as np
import pytest

from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.reward import (
    action_sizes,
    choices,
    open_commitments,
    reported_probability,
    response_options,
    score,
    task_outcomes,
)
from mtrnn_envs.testing.comparisons import task_of

RT = EvidenceTask(payoff="quadratic", decision=0)
LEVELS = np.arange(7)


def test_levels_claim_the_midpoints_of_their_bins():
    """K = 3 per side: q is the midpoint of its third of [1/2, 1]."""
    np.testing.assert_allclose(reported_probability(RT, LEVELS), [0.5, 1 / 12, 3 / 12, 5 / 12, 7 / 12, 9 / 12, 11 / 12])
    assert choices(RT, LEVELS).tolist() == [0, -1, -1, -1, 1, 1, 1]


@pytest.mark.parametrize(
    ("payoff", "right", "wrong"),
    [
        ("quadratic", lambda q: 1 - 4 * (1 - q) ** 2, lambda q: 1 - 4 * q**2),
        ("log", lambda q: 1 + np.log2(q), lambda q: 1 + np.log2(1 - q)),
        ("accuracy", lambda q: 1.0, lambda q: 0.0),
    ],
)
def test_payoffs_by_confidence_in_the_chosen_side(payoff, right, wrong):
    table = EvidenceTask(payoff=payoff, decision=0).reward_table
    for label, row in ((-1, 0), (1, 1)):
        assert table[row, 0] == 0
        for level in range(1, 7):
            side = 1 if level > 3 else -1
            q = (7 + 2 * (level - 4)) / 12 if side == 1 else (7 + 2 * (3 - level)) / 12
            expected = right(q) if side == label else wrong(q)
            assert table[row, level] == pytest.approx(expected)


@pytest.mark.parametrize("payoff", ["quadratic", "log"])
def test_honesty_pays(payoff):
    """For every belief p the best level is that whose bin p lies in."""
    table = EvidenceTask(payoff=payoff, decision=0, n_confidence=10).reward_table
    p = np.linspace(0.001, 0.999, 999)
    p = p[np.abs(p * 20 - np.round(p * 20)) > 0.05]  # off the edges of the bins
    best = np.argmax(np.outer(1 - p, table[0, 1:]) + np.outer(p, table[1, 1:]), axis=1)
    if payoff == "quadratic":
        assert np.array_equal(best, np.floor(p * 20))
    else:  # the log score's indifference points are not the edges of the bins, but close to them
        assert np.all(np.abs(best - np.floor(p * 20)) <= 1)
    fine = EvidenceTask(payoff="quadratic", decision=0, n_confidence=60).reward_table
    value = np.max(np.outer(1 - p, fine[0]) + np.outer(p, fine[1]), axis=1)
    np.testing.assert_allclose(value, (2 * p - 1) ** 2, atol=1e-3)


def test_fixed_duration_pays_the_share_of_right_answers_at_the_decision_alone():
    task = EvidenceTask(n_tasks=4, stimulus=3, delay=1, decision=2, encoder=None)
    trials = Stream(task, "train", 0).take(50)
    action = np.random.default_rng(0).integers(0, 2, (50, 4))
    share = np.mean(2 * action - 1 == trials.labels, axis=1)
    outcomes = [score(task, trials, t, action) for t in range(task.n_steps)]
    for t, outcome in enumerate(outcomes):
        np.testing.assert_allclose(outcome.reward, share / 2 if t >= 5 else 0)
        assert np.all(outcome.ended == (t == 6))
    paid = task_outcomes(task, trials, outcomes[-1])
    np.testing.assert_allclose(paid.task_reward.sum(1), share / 2)


def test_answering_early_costs_where_withholding_is_possible():
    task = EvidenceTask(n_tasks=4, withhold=True, early_penalty=0.3, stimulus=2, encoder=None)
    trials = Stream(task, "train", 0).take(5)
    assert action_sizes(task) == [3] * 4
    action = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 2, 0, 0], [2, 2, 2, 0], [1, 1, 1, 1]])
    np.testing.assert_allclose(score(task, trials, 1, action).reward, -0.3 * np.arange(5) / 4)
    answered = np.where(action == 0, 0, 2 * action - 3)
    np.testing.assert_allclose(score(task, trials, 3, action).reward, np.mean(answered == trials.labels, axis=1))


@pytest.mark.parametrize("cost", [0.0, 0.01])
def test_reaction_time_trials_by_brute_force(cost):
    """An answer to the t-th stimulus observation has response step t, cost t · time_cost, and is final."""
    task = EvidenceTask(payoff="quadratic", decision=0, n_tasks=3, stimulus=6, fixation=2, time_cost=cost)
    rng, table = np.random.default_rng(1), task.reward_table
    trials = Stream(task, "train", 0).take(200)
    actions = np.where(rng.random((8, 200, 3)) < 0.7, 0, rng.integers(1, 7, (8, 200, 3)))
    rewards, ended = np.zeros((8, 200)), np.zeros(200, bool)
    outcome = score(task, trials, 0, actions[0])
    for t in range(8):
        if t > 0:
            outcome = score(task, trials, t, actions[t], outcome.committed)
        rewards[t] = np.where(ended, 0, outcome.reward)
        ended |= outcome.ended
    assert ended.all()
    paid, committed = task_outcomes(task, trials, outcome), outcome.committed
    assert committed is not None
    for n in range(200):
        for k in range(3):
            answered = [t for t in range(2, 8) if actions[t, n, k] != 0]
            step = answered[0] - 1 if answered else 0
            assert committed.response_steps[n, k] == step
            level = actions[answered[0], n, k] if answered else 0
            expected = table[int(trials.labels[n, k] > 0), level] - cost * (step or 6)
            assert paid.task_reward[n, k] == pytest.approx(expected / 3)
            assert paid.correct[n, k] == (choices(task, np.array(level)) == trials.labels[n, k])
    # Rewards add over tasks and steps.
    np.testing.assert_allclose(rewards.sum(0), paid.task_reward.sum(1))


def test_one_common_stop_answers_all_tasks_at_once():
    task = EvidenceTask(payoff="accuracy", decision=0, n_tasks=3, commit="common", stimulus=4, fixation=0)
    trials = Stream(task, "train", 0).take(1)
    assert action_sizes(task) == [2, 6, 6, 6]
    right = np.where(trials.labels > 0, 5, 0)
    waits, stops = np.hstack([[[0]], right]), np.hstack([[[1]], right])
    first = score(task, trials, 0, waits, open_commitments(1, 3))
    assert not first.ended
    assert first.reward == pytest.approx(-0.01)
    second = score(task, trials, 1, stops, first.committed)
    assert second.ended
    assert second.reward == pytest.approx(1 - 0.01)
    assert task_outcomes(task, trials, second).task_reward.sum() == pytest.approx(1 - 0.02)


def test_levels_refuse_what_is_out_of_range():
    for bad in (np.array([[2, 0]]), np.array([[-1, 0]]), np.array([[256, 0]])):
        with pytest.raises(ValueError, match="in component 0 of environment 0 is not one of"):
            response_options(EvidenceTask(n_tasks=2), bad)
    with pytest.raises(ValueError, match="in component 0 of environment 0 is not one of"):
        response_options(EvidenceTask(n_tasks=2, payoff="log", decision=0, commit="common"), np.array([[2, 0, 0]]))


@pytest.mark.parametrize("env_id", ["MultiTaskEvidence-v0", "MultiTaskEvidenceRT-v0"])
def test_knowing_the_labels_earns_the_most_there_is(env_id):
    env = gym.make(env_id, encoder=None)
    task = task_of(env)
    _, info = env.reset(seed=0)
    total, ended, told = 0.0, False, {}
    action = np.where(info["labels"] > 0, action_sizes(task)[0] - 1, int(task.reaction_time))
    while not ended:
        _, reward, ended, _, told = env.step(action)
        total += float(reward)
    best = 1.0 if not task.reaction_time else 1 - 4 * (1 / 12) ** 2 - 0.01
    assert total == pytest.approx(best)
    assert told["correct"].all()
    assert told["task_reward"].sum() == pytest.approx(best)
