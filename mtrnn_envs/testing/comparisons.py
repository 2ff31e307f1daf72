"""Rollouts of environments, and exact comparisons of what they return."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from mtrnn_envs.recording import attribute_of
from mtrnn_envs.task import EvidenceTask


def task_of(env: gym.Env | VectorEnv) -> EvidenceTask:
    """The task of an environment of this package, inside any wrappers or vectors."""
    task = attribute_of(env, "task")
    assert isinstance(task, EvidenceTask), f"{env} is not an environment of mtrnn_envs: it has no task"
    return task


def rollout(env: gym.Env, seed: int, n_steps: int) -> list[tuple[Any, ...]]:
    """What `env` returns in `n_steps` steps of actions drawn under `seed`, new trials begun where one ended."""
    rng, task = np.random.default_rng(seed), task_of(env)
    returned: list[tuple[Any, ...]] = [env.reset(seed=seed)]
    for _ in range(n_steps):
        returned.append(env.step(random_action(env.action_space, task, rng)))
        if returned[-1][2] or returned[-1][3]:
            returned.append(env.reset())
    return returned


def vector_rollout(env: VectorEnv, mode: AutoresetMode, seed: int, n_steps: int) -> Iterator[Any]:
    """What a vector environment returns at each reset and step; resets by mask are thrown in."""
    task, rng = task_of(env), np.random.default_rng(seed)
    yield env.reset(seed=seed)
    ended = np.zeros(env.num_envs, bool)
    for t in range(n_steps):
        mask = ended if mode is AutoresetMode.DISABLED else np.zeros(env.num_envs, bool)
        if t % 37 == 36:
            mask = mask | (rng.random(env.num_envs) < 0.5)
        if mask.any():
            yield env.reset(options={"reset_mask": mask.copy()})
        returned = env.step(random_action(env.action_space, task, rng))
        ended = returned[2] | returned[3]
        yield returned


def random_action(space: gym.Space, task: EvidenceTask, rng: np.random.Generator) -> int | np.ndarray:
    """An action drawn from `rng`; where an action can wait, four tasks in five do, so that trials last a while."""
    sizes = getattr(space, "nvec", None)
    if sizes is None:
        sizes = np.full(space.shape or (), getattr(space, "n", 2) if isinstance(space, gym.spaces.Discrete) else 2)
    action = rng.integers(0, sizes)
    if task.reaction_time:
        waits = rng.random(np.shape(action)) < 0.8
        if task.commit == "common":
            waits[..., 1:] = False
        action = np.where(waits, 0, action)
    return int(action) if np.ndim(action) == 0 else np.asarray(action, space.dtype)


@contextmanager
def global_generators_untouched() -> Iterator[None]:
    """Checks that the global generators of numpy and (where it is loaded) torch are where they were."""

    def states() -> list[Any]:
        torch = sys.modules.get("torch")
        return [*np.random.get_state(), None if torch is None else torch.get_rng_state().numpy()]  # noqa: NPY002

    before = states()
    yield
    assert_same(before, states(), "the global generators of numpy and torch")


def assert_same(ours: Any, theirs: Any, what: str, tolerance: float = 0.0) -> None:
    """Asserts that two nested structures are the same: types, keys, shapes, dtypes, and every bit.

    Float32 arrays, which observations are, may differ by `tolerance`.
    """
    assert type(ours) is type(theirs), f"{what}: {type(ours)} is not {type(theirs)}"
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), f"{what}: keys {sorted(ours)} are not {sorted(theirs)}"
        for key in ours:
            assert_same(ours[key], theirs[key], f"{what}: {key}", tolerance)
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), f"{what}: {len(ours)} items are not {len(theirs)}"
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same(*pair, f"{what}: {i}", tolerance)
    elif isinstance(ours, np.ndarray):
        form, other = (ours.dtype, ours.shape), (theirs.dtype, theirs.shape)
        assert form == other, f"{what}: {form} is not {other}"
        if ours.dtype == object:
            assert_same(list(ours), list(theirs), what, tolerance)
        elif tolerance and ours.dtype == np.float32:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance, err_msg=what)
        else:
            assert ours.tobytes() == theirs.tobytes(), f"{what}: {ours!r} is not {theirs!r}"
    else:
        assert ours == theirs, f"{what}: {ours!r} is not {theirs!r}"
