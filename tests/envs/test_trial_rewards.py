"""`payments` against the environments themselves: what they pay, step by step, for the same actions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtrnn_envs
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.reward import action_sizes, is_discrete
from mtrnn_envs.trial_rewards import first_step, trial_rewards
from mtrnn_envs.trials import sample

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{env_id: (env_id, {}) for env_id in mtrnn_envs.IDS},
    "several decisions": ("MultiTaskEvidence-v0", {"decision": 3, "delay": 2}),
    "drawn periods": (
        "MultiTaskEvidence-v0",
        {"fixation": (0, 2), "stimulus": (2, 5), "delay": (0, 3), "decision": (1, 3)},
    ),
    "withheld": ("MultiTaskEvidence-v0", {"withhold": True, "stimulus": (2, 6)}),
    "common stop": ("MultiTaskEvidenceRT-v0", {"commit": "common", "time_cost": 0.1}),
    "drawn deadlines": ("MultiTaskEvidenceRT-v0", {"fixation": (0, 3), "stimulus": (1, 7), "payoff": "log"}),
    "common stop, drawn deadlines": ("MultiTaskEvidenceRT-v0", {"commit": "common", "stimulus": (1, 7)}),
    "cued, own time": ("MultiTaskEvidenceCued-v0", {"payoff": "accuracy", "decision": 0}),
}


def drawn_actions(task: EvidenceTask, n: int, waits: float, rng: np.random.Generator) -> np.ndarray:
    """Actions on every step from the first that counts on; where there is a choice, most wait."""
    shape = (n, task.n_steps - first_step(task))
    actions = np.stack([rng.integers(0, size, shape) for size in action_sizes(task)], -1)
    if task.withhold or task.reaction_time:
        waiting = rng.random(actions.shape) < waits
        if task.commit == "common":
            waiting[..., 1:] = False
        actions[waiting] = 0
    return actions


@pytest.mark.parametrize("name", VARIANTS)
def test_sums_over_tasks_are_what_the_environment_pays(name: str) -> None:
    env_id, fields = VARIANTS[name]
    env: Any = gym.make(env_id, n_tasks=4, encoder=None, **fields)
    task: EvidenceTask = env.unwrapped.task
    rng, n = np.random.default_rng(0), 20
    trials, actions = Stream(task, "train", 3).take(n), drawn_actions(task, n, 0.8, np.random.default_rng(1))
    paid = trial_rewards(task, trials, actions)
    env.reset(seed=3)
    for i in range(n):
        terminated, t, info = False, 0, {}
        while not terminated:
            s = t - first_step(task)
            action = actions[i, s] if s >= 0 else rng.integers(0, action_sizes(task))
            _, reward, terminated, _, info = env.step(action[0] if is_discrete(task) else action)
            assert reward == pytest.approx(paid.rewards[i, s].sum() if s >= 0 else 0, abs=1e-6)
            t += 1
        assert t == paid.n_steps[i]
        assert not paid.rewards[i, t - first_step(task) :].any()
        assert not paid.counts[i, t - first_step(task) :].any()
        np.testing.assert_array_equal(paid.answers[i] == trials.asked[i], info["correct"])
        if paid.response_steps is not None:
            np.testing.assert_array_equal(paid.response_steps[i], info["response_step"])
            np.testing.assert_allclose(paid.rewards[i].sum(0), info["task_reward"], atol=1e-6)
        env.reset()


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([name for name in VARIANTS if "drawn" not in name]),
    part=st.integers(0, 3),
    step=st.integers(0, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_does_not_count_makes_no_difference(name: str, part: int, step: int, seed: int) -> None:
    env_id, fields = VARIANTS[name]
    task = EvidenceTask(**{**mtrnn_envs.IDS[env_id][0], **fields, "n_tasks": 4, "encoder": None})
    rng = np.random.default_rng(seed)
    trials, actions = sample(task, 4, rng), drawn_actions(task, 4, 0.9, rng)
    before = trial_rewards(task, trials, actions)
    part, step = part % actions.shape[2], step % actions.shape[1]
    other = actions.copy()
    other[:, step, part] = (other[:, step, part] + 1) % action_sizes(task)[part]
    after = trial_rewards(task, trials, other)
    idle = ~before.counts[:, step, part]
    np.testing.assert_array_equal(before.rewards[idle], after.rewards[idle])
    np.testing.assert_array_equal(before.counts[idle], after.counts[idle])


def test_a_task_is_paid_for_its_own_answers_alone() -> None:
    task = EvidenceTask(n_tasks=3, payoff="quadratic", decision=0, encoder=None)
    rng = np.random.default_rng(0)
    trials, actions = sample(task, 50, rng), drawn_actions(task, 50, 0.9, rng)
    other = actions.copy()
    other[..., 1] = rng.permutation(other[..., 1])
    before, after = trial_rewards(task, trials, actions).rewards, trial_rewards(task, trials, other).rewards
    np.testing.assert_array_equal(before[..., [0, 2]], after[..., [0, 2]])
    assert not np.array_equal(before[..., 1], after[..., 1])
