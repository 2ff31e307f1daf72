"""The conformance suite, for environments, agents and probes of this package and of third parties.

Each check raises `AssertionError` with what was expected and what came.
"""

from __future__ import annotations

import copy
import json
import pickle
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env as check_gymnasium_api
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from mtrnn_envs.dynamics import TOLERANCE, differences, jacobians, run
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.recording import hidden_of
from mtrnn_envs.reward import open_commitments, score
from mtrnn_envs.stream import Stream
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.testing.diagnose import told
from mtrnn_envs.testing.probes import check_probe as check_probe
from mtrnn_envs.trials import observe

# Encoded observations come out of matrix products, which round differently in batches of different sizes.
ENCODER_TOLERANCE = 1e-5
# The rounding of differences, as a share of the largest of them.
JACOBIAN_TOLERANCE = 1e-5


def check_env(env_id: str, *, seed: int = 0, n_envs: int = 3, n_steps: int = 120, **kwargs: Any) -> None:
    """Checks an environment of this package: Gymnasium's own checker, and what this package promises besides.

    - the spec, with these arguments, survives JSON; the environment survives pickling, copying and closing twice;
    - a whole rollout repeats bit for bit under `reset(seed)`; other seeds give other trials;
    - the trials are those of `Stream`, and `score` over a trial gives the rewards that the environment gave;
    - single, `SyncVectorEnv` and native vector environments agree bit for bit in every autoreset mode (where the id
      has a `vector_entry_point`);
    - no global random generator is read or moved, and the caller's action space is not reseeded.

    Arguments:
        env_id: a registered id.
        seed: of everything that is drawn.
        n_envs: environments in a vector.
        n_steps: steps of a rollout.
        kwargs: arguments of `gym.make`.
    """
    with global_generators_untouched():
        env = gym.make(env_id, **kwargs)
        assert isinstance(task_of(env), EvidenceTask), f"{env_id} is no environment of mtrnn_envs: it has no task"
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


def check_agent(agent: Any, env_id: str, *, seed: int = 0, n_envs: int = 3, n_steps: int = 60, **kwargs: Any) -> None:
    """Checks an agent against the protocol of this package: Stable-Baselines3's `predict` on batches.

    Actions are whole numbers within the action space; `hidden` is `[n_envs, H]` and finite; `probabilities` are
    `[n_envs, A]`, or `[n_envs, K]`, and in [0, 1].
    Every episode, shown to the agent again, alone and from no state, is answered in the same way: `episode_start`
    wipes the memory of what was before, environments do not leak into each other, and, with `deterministic=True`,
    there is no chance. (So an agent that is random by design cannot pass.)
    Its `dynamics()`, where it has them (it may raise `ValueError` to say that it has none), go through the same states
    in float64, and their Jacobian, if they have one, agrees with differences.

    Arguments:
        agent: the agent.
        env_id: the id of an environment it is made for.
        seed: of the environment.
        n_envs: environments in the batch.
        n_steps: steps taken.
        kwargs: arguments of `gym.make_vec`.
    """
    envs = gym.make_vec(env_id, num_envs=n_envs, **kwargs)
    task = envs.unwrapped.task  # pyright: ignore[reportAttributeAccessIssue]
    observation, _ = envs.reset(seed=seed)
    begins, state = np.ones(n_envs, bool), None
    episodes: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(n_envs)]
    for t in range(n_steps):
        answer = agent.predict(observation, state=state, episode_start=begins, deterministic=True)
        assert isinstance(answer, tuple), f"step {t}: predict gave {type(answer).__name__}, not (action, state)"
        assert len(answer) == 2, f"step {t}: predict gave a tuple of {len(answer)}, not (action, state)"
        action, state = answer
        assert np.asarray(action).dtype.kind in "iub", f"step {t}: actions are {np.asarray(action).dtype}, not integers"
        assert np.asarray(action) in envs.action_space, f"step {t}: {action!r} is not in {envs.action_space}"
        for i, episode in enumerate(episodes):
            episode.append((observation[i : i + 1].copy(), np.array(action[i])))
        wrong = told(agent, state, n_envs, task)
        assert not wrong, f"step {t}: {' '.join(wrong)}"
        observation, _, terminated, truncated, _ = envs.step(action)
        begins = terminated | truncated
        for i in np.flatnonzero(begins):
            _replay(agent, episodes[i], f"environment {i}, the episode that ends at step {t}")
            episodes[i] = []
    envs.close()
    if callable(getattr(agent, "dynamics", None)):
        check_dynamics(agent, task, seed=seed)


def check_dynamics(agent: Any, task: EvidenceTask, *, seed: int = 0, n_trials: int = 3) -> None:
    """Checks the dynamics of an agent that has some, in `task`.

    Over the observations of whole trials they go through the states that `agent.hidden` tells, but for the rounding of
    float32; they are float64, and change nothing that they are given; and their own Jacobian, where they have one, is
    that of differences at the states in the middle of the trials.
    """
    try:
        dynamics = agent.dynamics()
    except ValueError:  # it says that it has none
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


def _replay(agent: Any, episode: list[tuple[np.ndarray, np.ndarray]], what: str) -> None:
    state = None
    for t, (observation, answered) in enumerate(episode):
        start = np.array([t == 0])
        action, state = agent.predict(observation, state=state, episode_start=start, deterministic=True)
        assert np.array_equal(action[0], answered), (
            f"{what}: at its step {t} the agent answered {answered!r} in the batch, and {action[0]!r} alone"
        )


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
    tolerance = ENCODER_TOLERANCE if task.encoder else 0.0
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    for n in range(n_trials):
        trial = trials[n : n + 1]
        assert_same(info["latents"], trial.latents[0], f"trial {n} against its stream: latents")
        assert_same(info["labels"], trial.labels[0], f"trial {n} against its stream: labels")
        committed = open_commitments(1, task.n_answers) if task.reaction_time else None
        total, task_reward, ended, t = 0.0, 0.0, False, 0
        while not ended:
            assert_same(observation, shown[n, t], f"trial {n}, step {t}: observation", tolerance)
            action = random_action(env.action_space, task, rng)
            outcome = score(task, trial, t, np.reshape(action, (1, -1)), committed)
            observation, reward, ended, truncated, told = env.step(action)
            committed = outcome.committed
            assert_same(
                (reward, ended, truncated),
                (float(outcome.reward[0]), bool(outcome.ended[0]), False),
                f"trial {n}, step {t}: reward, terminated and truncated against `score`",
            )
            # What is paid before the cue falls, in tasks of fixed duration, are penalties of no one task.
            total += float(reward) if task.reaction_time or t >= np.max(trial.timing.go) else 0.0
            task_reward += np.sum(told.get("task_reward", 0.0))
            t += 1
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
    task: Any = task_of(native)
    tolerance = ENCODER_TOLERANCE if task.encoder else 0.0
    returned = (steps(env, mode, seed, n_steps) for env in (native, sync))
    for i, (ours, theirs) in enumerate(zip(*returned, strict=True)):
        assert_same(ours, theirs, f"{env_id}, {mode.value}, return {i}: native against SyncVectorEnv", tolerance)
    native.close()
    sync.close()


def task_of(env: gym.Env | VectorEnv) -> EvidenceTask:
    """The task of an environment of this package, in whatever wrappers or vectors."""
    inner: Any = env.unwrapped
    if isinstance(inner, SyncVectorEnv):
        inner = inner.envs[0].unwrapped
    return getattr(inner, "task", None)  # pyright: ignore[reportReturnType]: the checks look for it


def steps(env: VectorEnv, mode: AutoresetMode, seed: int, n_steps: int) -> Iterator[Any]:
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


def rollout(env: gym.Env, seed: int, n_steps: int) -> list[tuple[Any, ...]]:
    """What `env` returns in `n_steps` steps of actions drawn under `seed`, new trials begun where one ended."""
    rng, task = np.random.default_rng(seed), task_of(env)
    returned: list[tuple[Any, ...]] = [env.reset(seed=seed)]
    for _ in range(n_steps):
        returned.append(env.step(random_action(env.action_space, task, rng)))
        if returned[-1][2] or returned[-1][3]:
            returned.append(env.reset())
    return returned


def random_action(space: gym.Space, task: EvidenceTask, rng: np.random.Generator) -> Any:
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
