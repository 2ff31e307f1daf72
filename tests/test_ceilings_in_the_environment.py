"""The ceilings are reached, and not passed, by ideal agents acting in the real environments."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import mtrnn_envs
from mtrnn_agents.references import IdealObserver
from mtrnn_envs.ideal_observer import answer_probabilities
from mtrnn_envs.optimal_stopping import Stopping, best_levels, solve
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.testing import task_of


class OptimalStopper:
    """Follows the policy of `solve` on the bare evidence of reaction-time tasks with one fixation step."""

    def __init__(self, task: EvidenceTask) -> None:
        self.task = task
        self.stopping: Stopping = solve(task)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        total, t = (
            (np.zeros_like(observation[:, 1:], np.float64), np.zeros(len(observation), int)) if state is None else state
        )
        fresh = np.asarray(episode_start, bool)
        total = np.where(fresh[:, None], 0, total) + observation[:, 1:]
        t = np.where(fresh, 0, t + 1)  # the first observation is the fixation
        actions = np.zeros((len(observation), self.task.n_answers), int)
        stops = np.zeros((len(observation), 1), int)
        for step in np.unique(t[t > 0]):
            rows = np.flatnonzero(t == step)
            mean = total[rows] / step
            level = best_levels(self.task, answer_probabilities(self.task, mean, int(step)))
            stop = np.asarray(self.stopping.policy(mean, int(step)))
            if self.task.commit == "common":
                actions[rows], stops[rows, 0] = level - 1, stop
            else:
                actions[rows] = np.where(stop, level, 0)
        return (np.hstack([stops, actions]) if self.task.commit == "common" else actions), (total, t)


@pytest.mark.parametrize("fields", [{}, {"commit": "common"}, {"payoff": "accuracy", "time_cost": 0.003, "n_tasks": 6}])
def test_the_optimal_policy_earns_its_value_in_the_environment(fields):
    envs = gym.make_vec("MultiTaskEvidenceRT-v0", num_envs=250, encoder=None, **fields)
    agent = OptimalStopper(task_of(envs))
    recording = mtrnn_envs.record(agent, envs, n_trials=2000, seed=1)
    earned = recording.rewards.sum(1)
    error = earned.std(ddof=1) / np.sqrt(len(earned))
    assert abs(earned.mean() - agent.stopping.value) < 3 * error
    answered = recording.answers != 0
    steps = recording.response_steps[answered].mean()
    assert steps == pytest.approx(agent.stopping.response_step, abs=0.15)


@pytest.mark.parametrize("fields", [{}, {"n_dims": 1, "boundaries": "affine"}, {"boundaries": "product"}])
def test_the_ideal_observer_reaches_its_closed_form_accuracy_in_the_environment(fields):
    envs = gym.make_vec("MultiTaskEvidence-v0", num_envs=500, encoder=None, **fields)
    task = task_of(envs)
    recording = mtrnn_envs.record(IdealObserver(task), envs, n_trials=4000, seed=2)
    share = recording.correct.mean(1)
    error = share.std(ddof=1) / np.sqrt(len(share))
    assert abs(share.mean() - task.ideal().accuracy) < 3 * error
    np.testing.assert_allclose(recording.rewards.sum(1), share)


def knowing_nothing(task: EvidenceTask) -> float:
    """What the best agent that sees nothing earns: the more frequent label of each task, or not answering."""
    if task.reaction_time:
        return 0.0
    positive = np.mean(task.sample(40_000, np.random.default_rng(0)).labels > 0, axis=0)
    return float(np.mean(np.maximum(positive, 1 - positive)))


@pytest.mark.parametrize("env_id", mtrnn_envs.IDS)
def test_reward_thresholds_are_95_percent_of_what_can_be_learned(env_id):
    env = gym.make(env_id)
    ideal: Any = task_of(env).ideal()
    best, nothing = ideal.value if ideal.value is not None else ideal.accuracy, knowing_nothing(task_of(env))
    assert env.spec is not None
    assert env.spec.reward_threshold == pytest.approx(nothing + 0.95 * (best - nothing), abs=2e-3)
