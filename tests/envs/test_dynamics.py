"""Dynamics as data of any source: paths, derivatives, and what is seen when nothing is shown."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from helpers.codes import LinearDynamics

from mtrnn_envs import EvidenceTask, Stream, observe
from mtrnn_envs.dynamics import differences, jacobians, resting_observation, run
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.testing import check_agent, check_dynamics
from mtrnn_envs.testing.comparisons import task_of


class Bistable:
    """Independent units h' = tanh(g h + u): without derivatives written out."""

    n_units = 3

    def __init__(self, gain: float = 2.0) -> None:
        self.gain = gain

    def start(self, n: int) -> np.ndarray:
        return np.zeros((n, 3))

    def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return np.tanh(self.gain * states + inputs[:, 1:4])


def test_a_path_is_one_step_after_the_other(rng):
    linear = LinearDynamics(rng, np.array([0.9]), 4)
    inputs = rng.standard_normal((5, 6, 4))
    path = run(linear, linear.start(5), inputs)
    state = np.zeros((5, 8))
    for t in range(6):
        state = state @ linear.matrix.T + inputs[:, t] @ linear.inputs.T
        np.testing.assert_allclose(path[:, t], state, atol=1e-12)


def test_derivatives_are_the_dynamics_own_or_differences(rng):
    linear, bistable = LinearDynamics(rng, np.array([0.9]), 4), Bistable()
    assert isinstance(linear, Dynamics)
    assert isinstance(bistable, Dynamics)
    states, inputs = rng.standard_normal((5, 3)), rng.standard_normal((5, 4))
    known = 2 * (1 - np.tanh(2 * states + inputs[:, 1:]) ** 2)
    np.testing.assert_allclose(jacobians(bistable, states, inputs), known[:, :, None] * np.eye(3), atol=1e-8)
    wide = 1e4 * rng.standard_normal((5, 8))
    np.testing.assert_allclose(differences(linear, wide, inputs), np.tile(linear.matrix, (5, 1, 1)), atol=1e-8)
    np.testing.assert_array_equal(jacobians(linear, wide, inputs)[0], linear.matrix)


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"encoder": None}, {"encoder": "square", "n_dims": 3}, {"payoff": "quadratic", "decision": 0, "fixation": 2}],
    ids=str,
)
def test_the_resting_observation_is_what_a_trial_shows_without_evidence(kwargs):
    task = EvidenceTask(**({"delay": 3} if "payoff" not in kwargs else {}), **kwargs)
    shown = observe(Stream(task, "test", 0).take(1))[0]
    if task.reaction_time:
        np.testing.assert_array_equal(resting_observation(task, cue=1), shown[0])
        assert resting_observation(task)[0] == 0
    else:
        np.testing.assert_array_equal(resting_observation(task), shown[task.timing.stimulus_off])
        np.testing.assert_array_equal(resting_observation(task, cue=0), shown[-1])


def test_with_one_task_asked_the_resting_observation_names_it():
    task = EvidenceTask(n_tasks=3, cueing="one", delay=1)
    trials = Stream(task, "test", 0).take(5)
    shown = observe(trials)[:, task.timing.stimulus_off]
    assert trials.context is not None
    for context, seen in zip(trials.context, shown, strict=True):
        np.testing.assert_array_equal(resting_observation(task, context=int(context)), seen)


@pytest.mark.parametrize(
    ("cueing", "context", "message"),
    [("all", 1, "context=1 does not go"), ("one", None, "context=None does not"), ("one", 3, "context=3 is not")],
)
def test_a_context_must_be_one_of_the_task(cueing, context, message):
    with pytest.raises(ValueError, match=message):
        resting_observation(EvidenceTask(n_tasks=3, cueing=cueing), context=context)


class Sums:
    """An agent that sums the evidence of two latents, and its dynamics; the ways to break these are below."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        total = np.zeros((len(observation), 2), np.float32) if state is None else state
        total = np.where(np.asarray(episode_start)[:, None], 0, total) + observation[:, 1:3]
        return (total[:, :1] > 0).astype(int), total.astype(np.float32)

    def hidden(self, state):
        return state

    def dynamics(self):
        return SumsDynamics()


class SumsDynamics:
    n_units = 2

    def start(self, n):
        return np.zeros((n, 2))

    def __call__(self, states, inputs):
        return states + inputs[:, 1:3]


def overwrites(self, states, inputs):
    states += inputs[:, 1:3]
    return states


BARE = {"encoder": None, "n_tasks": 1}


def test_right_dynamics_pass_the_suite():
    check_agent(Sums(), "MultiTaskEvidence-v0", **BARE)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"__call__": lambda self, states, inputs: 0.9 * states + inputs[:, 1:3]}, "dynamics and agent are .* apart"),
        ({"start": lambda self, n: np.zeros((n, 2), np.float32)}, "start from float32"),
        ({"__call__": overwrites}, "changed the states"),
        (
            {"jacobian": lambda self, states, inputs: np.zeros((len(states), 2, 2))},
            "the Jacobian and differences are 1",
        ),
        ({"start": None}, "lacks a part of Dynamics"),
    ],
)
def test_wrong_dynamics_fail_the_suite(methods, message, monkeypatch):
    monkeypatch.setattr(Sums, "dynamics", lambda self: type("Broken", (SumsDynamics,), methods)())
    with pytest.raises(AssertionError, match=message):
        check_dynamics(Sums(), task_of(gym.make("MultiTaskEvidence-v0", **BARE)))
