"""Checks that any agent, and its dynamics, must pass; each raises `AssertionError` that says what is wrong."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from mtrnn_envs.dynamics import TOLERANCE, differences, jacobians, run
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.recording import hidden_of
from mtrnn_envs.stream import Stream
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.testing.comparisons import task_of
from mtrnn_envs.testing.diagnose import problems
from mtrnn_envs.trials import observe

# The rounding of differences, as a share of the largest of them.
JACOBIAN_TOLERANCE = 1e-5


def check_agent(agent: object, env_id: str, *, seed: int = 0, **kwargs: Any) -> None:
    """Checks an agent against `mtrnn_envs.protocols.Agent`, on trials of `gym.make(env_id, **kwargs)` under `seed`.

    Actions are whole numbers within the action space; `hidden` is `[B, H]` and finite; `probabilities` are `[B, A]`, or
    `[B, K]`, and in [0, 1]. Trials get the same answers again from no state, alone, in another row, after other trials,
    and beside trials that begin later: `episode_start` wipes the memory, environments do not leak into each other,
    states are not changed, and, with `deterministic=True`, there is no chance. (So an agent that is random by design
    cannot pass.) Dynamics, where the agent has them, pass `check_dynamics`.
    """
    task = task_of(gym.make(env_id, **kwargs))
    wrong = problems(agent, task, seed, uses_evidence=False)
    assert not wrong, " ".join(wrong)
    if callable(getattr(agent, "dynamics", None)):
        check_dynamics(agent, task, seed=seed)


def check_dynamics(agent: Any, task: EvidenceTask, *, seed: int = 0, n_trials: int = 3) -> None:
    """Checks the dynamics of an agent; an agent whose `dynamics()` raises `ValueError` has none.

    Over the observations of whole trials they go through the states that `agent.hidden` gives, up to the rounding of
    float32; they are float64 and leave their arguments unchanged; and their own Jacobian, where they have one, is that
    of differences at the states in the middle of the trials.
    """
    try:
        dynamics = agent.dynamics()
    except ValueError:
        return
    assert isinstance(dynamics, Dynamics), f"dynamics() gave {type(dynamics).__name__}, which lacks a part of Dynamics"
    shown, state, hidden = observe(Stream(task, "test", seed).take(n_trials)), None, []
    for t in range(task.n_steps):
        begins = np.full(n_trials, t == 0)
        _, state = agent.predict(shown[:, t], state=state, episode_start=begins, deterministic=True)
        units = hidden_of(agent, state, n_trials)
        assert units is not None, "the agent has dynamics() and no hidden activity"
        hidden.append(units)
    units, seen = np.stack(hidden, axis=1), shown.astype(np.float64)
    start = dynamics.start(n_trials)
    given = start.copy()
    path = run(dynamics, start, seen)
    assert path.dtype == start.dtype == np.float64, f"dynamics start from {start.dtype} and give {path.dtype}"
    assert np.array_equal(start, given), "dynamics changed the states that they were given"
    error, size = np.abs(path[:, :, : dynamics.n_units] - units).max(), np.abs(units).max()
    assert units.shape[2] == dynamics.n_units, f"dynamics have {dynamics.n_units} units, the agent {units.shape[2]}"
    assert error <= TOLERANCE * max(1, size), f"dynamics and agent are {error} apart in states up to {size}"
    middle = task.n_steps // 2
    states, inputs = path[:, middle - 1], seen[:, middle]
    slopes, apart = jacobians(dynamics, states, inputs), differences(dynamics, states, inputs)
    error, size = np.abs(slopes - apart).max(), np.abs(apart).max()
    assert error <= JACOBIAN_TOLERANCE * max(1, size), f"the Jacobian and differences are {error} apart"
