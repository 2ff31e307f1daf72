"""The ceilings are reached, and not passed, by ideal agents acting in the real environments."""

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import mtrnn_envs
from mtrnn_agents import IdealObserver, OptimalStopping
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.testing.comparisons import task_of
from mtrnn_envs.trials import sample


@pytest.mark.parametrize("fields", [{}, {"commit": "common"}, {"payoff": "accuracy", "time_cost": 0.003, "n_tasks": 6}])
def test_the_optimal_policy_earns_its_value_in_the_environment(fields):
    envs = gym.make_vec("MultiTaskEvidenceRT-v0", num_envs=250, encoder=None, **fields)
    task = task_of(envs)
    best: Any = ideal_performance(task)
    agent = OptimalStopping(task)
    recording = mtrnn_envs.record(agent, envs, n_trials=2000, seed=1)
    # A task that is left open is seen to the end.
    taken = np.where(recording.answers != 0, recording.response_steps, 20).mean(1)
    for measured, expected in ((recording.rewards.sum(1), best.value), (taken, best.response_step)):
        error = measured.std(ddof=1) / np.sqrt(len(measured))
        assert abs(measured.mean() - expected) < 3 * error


@pytest.mark.parametrize("fields", [{}, {"n_dims": 1, "boundaries": "affine"}, {"boundaries": "product"}])
def test_the_ideal_observer_reaches_its_closed_form_accuracy_in_the_environment(fields):
    envs = gym.make_vec("MultiTaskEvidence-v0", num_envs=500, encoder=None, **fields)
    task = task_of(envs)
    agent = IdealObserver(task)
    silent: Any = SimpleNamespace(predict=agent.predict, hidden=agent.hidden)  # its probabilities take long
    recording = mtrnn_envs.record(silent, envs, n_trials=4000, seed=2)
    share = recording.correct.mean(1)
    error = share.std(ddof=1) / np.sqrt(len(share))
    assert abs(share.mean() - ideal_performance(task).accuracy) < 3 * error
    np.testing.assert_allclose(recording.rewards.sum(1), share)


def knowing_nothing(task: EvidenceTask) -> float:
    """What the best agent that sees nothing earns: the more frequent label of each task, or not answering."""
    if task.reaction_time:
        return 0.0
    positive = np.mean(sample(task, 40_000, np.random.default_rng(0)).labels > 0, axis=0)
    return float(np.mean(np.maximum(positive, 1 - positive)))


@pytest.mark.parametrize("env_id", mtrnn_envs.IDS)
def test_reward_thresholds_are_95_percent_of_what_can_be_learned(env_id):
    env = gym.make(env_id)
    ideal: Any = ideal_performance(task_of(env))
    best, nothing = ideal.value if ideal.value is not None else ideal.accuracy, knowing_nothing(task_of(env))
    assert env.spec is not None
    assert env.spec.reward_threshold == pytest.approx(nothing + 0.95 * (best - nothing), abs=2e-3)
