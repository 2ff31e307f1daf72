"""Checks that any environment of this package must pass; each raises `AssertionError` that says what is wrong."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env as check_gymnasium_api
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from mtrnn_envs.reward import score_steps
from mtrnn_envs.stream import Stream
from mtrnn_envs.testing.comparisons import (
    assert_same,
    global_generators_untouched,
    random_action,
    rollout,
    task_of,
    vector_rollout,
)
from mtrnn_envs.trials import observe

# Encoded observations come out of matrix products, which round differently in batches of different sizes.
ENCODER_TOLERANCE = 1e-5


def check_env(env_id: str, *, seed: int = 0, n_envs: int = 3, n_steps: int = 120, **kwargs: Any) -> None:
    """Checks an environment of this package: Gymnasium's own checker, and what this package promises besides.

    - the spec, with these arguments, survives JSON; the environment survives pickling, copying and closing twice;
    - a whole rollout repeats bit for bit under `reset(seed)`; other seeds give other trials;
    - the trials are those of `Stream`, and `score` over a trial gives the rewards that the environment gave;
    - single, `SyncVectorEnv` and native vector environments agree bit for bit in every autoreset mode (where the id
      has a `vector_entry_point`);
    - no global random generator is read or moved, and the caller's action space is not reseeded.
    """
    with global_generators_untouched():
        env = gym.make(env_id, **kwargs)
        task_of(env)  # fails for an environment of another package
        check_gymnasium(env)
        check_spec(env)
        first = rollout(env, seed, n_steps)
        assert_same(first, rollout(env, seed, n_steps), "a second rollout with the same seed")
        assert_same(first, rollout(pickle.loads(pickle.dumps(env.unwrapped)), seed, n_steps), "a pickled environment")
        assert_same(first, rollout(copy.deepcopy(env.unwrapped), seed, n_steps), "a copied environment")
        other = rollout(env, seed + 1, 1)
        assert not np.array_equal(first[0][1]["latents"], other[0][1]["latents"]), (
            f"seeds {seed} and {seed + 1} share a trial"
        )
        check_streams(env, seed)
        env.close()
        env.close()
        for mode in AutoresetMode if env.spec is not None and env.spec.vector_entry_point is not None else ():
            check_vector(env_id, mode, seed=seed, n_envs=n_envs, n_steps=n_steps, **kwargs)


def check_gymnasium(env: gym.Env) -> None:
    """Gymnasium's own checker, but for its doubts about bounds: evidence has none, because its noise has none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*Box observation space m\w+ value is -?infinit")
        check_gymnasium_api(env.unwrapped, skip_render_check=True)


def check_spec(env: gym.Env) -> None:
    """Checks that the spec of `env` survives JSON, and makes the same environment."""
    assert env.spec is not None, "an environment made by gym.make has a spec"
    back = EnvSpec.from_json(env.spec.to_json())
    kwargs = json.loads(json.dumps(env.spec.kwargs))
    assert json.loads(json.dumps(back.kwargs)) == kwargs, f"the spec's kwargs {kwargs} came back as {back.kwargs}"
    twin = gym.make(back)
    assert task_of(env) == task_of(twin), f"the spec of {task_of(env)} makes {task_of(twin)}"
    twin.close()


def check_streams(env: gym.Env, seed: int, n_trials: int = 3) -> None:
    """Checks that `env` shows the trials of its `Stream`, and pays what `score` says, step by step."""
    task = task_of(env)
    trials = Stream(task, env.get_wrapper_attr("split"), seed).take(n_trials)
    shown = observe(trials)
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    for n in range(n_trials):
        trial = trials[n : n + 1]
        assert_same(info["latents"], trial.latents[0], f"trial {n} against its stream: latents")
        assert_same(info["labels"], trial.labels[0], f"trial {n} against its stream: labels")
        actions, returned = [], []
        while not (returned and returned[-1][2]):
            what = f"trial {n}, step {len(actions)}: observation"
            assert_same(observation, shown[n, len(actions)], what, ENCODER_TOLERANCE if task.encoder else 0.0)
            actions.append(random_action(env.action_space, task, rng))
            returned.append(env.step(actions[-1]))
            observation = returned[-1][0]
        total, task_reward = 0.0, 0.0
        outcomes = score_steps(task, trial, (np.reshape(action, (1, -1)) for action in actions))
        for t, (outcome, (_, *given, told)) in enumerate(zip(outcomes, returned, strict=True)):
            expected = [float(outcome.reward[0]), bool(outcome.ended[0]), False]
            assert_same(given, expected, f"trial {n}, step {t}: reward, terminated and truncated against `score`")
            # What is paid before the cue falls, in tasks of fixed duration, are penalties of no one task.
            total += given[0] if task.reaction_time or t >= np.max(trial.timing.go) else 0.0
            task_reward += np.sum(told.get("task_reward", 0.0))
        assert abs(total - task_reward) < 1e-9, f"trial {n} paid {total} for answers, its tasks {task_reward}"
        observation, info = env.reset()


def check_vector(
    env_id: str, mode: AutoresetMode, *, seed: int = 0, n_envs: int = 3, n_steps: int = 120, **kwargs: Any
) -> None:
    """Checks that the native vector environment is `SyncVectorEnv` of single ones, infos and dtypes included."""
    native = gym.make_vec(env_id, num_envs=n_envs, autoreset_mode=mode.value, **kwargs)
    sync = SyncVectorEnv([lambda: gym.make(env_id, **kwargs)] * n_envs, autoreset_mode=mode)
    assert native.single_observation_space == sync.single_observation_space, "observation spaces differ"
    assert native.action_space == sync.action_space, "action spaces differ"
    assert native.metadata["autoreset_mode"] is mode, f"metadata says {native.metadata['autoreset_mode']}, not {mode}"
    tolerance = ENCODER_TOLERANCE if task_of(native).encoder else 0.0
    returned = (vector_rollout(env, mode, seed, n_steps) for env in (native, sync))
    for i, (ours, theirs) in enumerate(zip(*returned, strict=True)):
        assert_same(ours, theirs, f"{env_id}, {mode.value}, return {i}: native against SyncVectorEnv", tolerance)
    native.close()
    sync.close()
