"""Recordings of whole trials: the actions, answers, rewards and hidden states of an agent.

Axis letters: N trials, T steps of the longest trial, H units, D latents, K tasks, A answers, M components of an
action, B environments.
"""

from __future__ import annotations

import html
import json
import os
import platform
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from jaxtyping import Bool, Float, Int, Int8

from mtrnn_envs.protocols import Agent
from mtrnn_envs.recorder import Recorder
from mtrnn_envs.reward import action_sizes
from mtrnn_envs.stream import Stream
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, asked, concatenate
from mtrnn_envs.utils.atomic_write import atomic_write
from mtrnn_envs.utils.validation import check_int
from mtrnn_envs.version import __version__

SCHEMA = 1
# Names of the axes of each array, for `to_xarray`; "trial" always comes first.
AXES = {
    "hidden": ("time", "unit"),
    "valid": ("time",),
    "latents": ("latent",),
    "labels": ("task",),
    "actions": ("time", "component"),
    "answers": ("answer",),
    "probabilities": ("answer",),
    "response_steps": ("answer",),
    "confidence": ("answer",),
    "rewards": ("time",),
    "context": (),
}
REQUIRED = ("valid", "latents", "labels", "actions", "answers", "response_steps", "rewards")


@dataclass(frozen=True, eq=False)
class Recording:
    """Whole trials of one agent in one task.

    Attributes:
        valid: which steps belong to the trial, `[N, T]`: those from step 0 to its end.
        latents: x*, `[N, D]`.
        labels: the right answers to all tasks, `[N, K]`, +1 or -1.
        actions: `[N, T, M]`; -1 where not valid.
        answers: the final answers, `[N, A]`: +1, -1, or 0 for none. Fixed duration: those of the last decision step.
            Reaction time: those committed to.
        response_steps: the observation, counted from 1 since the cue fell, that each answer was given to, `[N, A]`; 0
            for none. In reaction-time tasks these are stimulus observations.
        rewards: the reward for the action of each step, `[N, T]`; 0 where not valid.
        metadata: plain JSON: schema, task, agent, seed, split, n_envs, deterministic, versions.
        hidden: the state after the observation of the step, `[N, T, H]` float32; NaN where not valid. None if the agent
            has none.
        probabilities: the agent's probability of +1 at the step it answered (where it did not, at the last step),
            `[N, A]`. None if the agent has no method `probabilities`.
        confidence: in reaction-time tasks, the reported probability of the choice, `[N, A]`; 1/2 for no answer. None in
            fixed-duration tasks, where answers carry none.
        context: the task that was asked, `[N]`, with `cueing="one"`; else None.
    """

    valid: Bool[np.ndarray, "N T"]
    latents: Float[np.ndarray, "N D"]
    labels: Int8[np.ndarray, "N K"]
    actions: Int[np.ndarray, "N T M"]
    answers: Int8[np.ndarray, "N A"]
    response_steps: Int[np.ndarray, "N A"]
    rewards: Float[np.ndarray, "N T"]
    metadata: dict[str, Any]
    hidden: Float[np.ndarray, "N T H"] | None = None
    probabilities: Float[np.ndarray, "N A"] | None = None
    confidence: Float[np.ndarray, "N A"] | None = None
    context: Int[np.ndarray, " N"] | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def _arrays(self) -> dict[str, Any]:
        return {name: value for name in AXES if (value := getattr(self, name)) is not None}

    def _summary(self) -> dict[str, str]:
        """What a user wants to see of it at a glance, by name."""
        about = self.metadata
        return {
            "task": repr(self.task) if "task" in about else "unknown",
            "agent": str(about.get("agent")),
            "trials": f"{len(self)}, " + ", ".join(f"{key}={about.get(key)!r}" for key in ("seed", "split", "n_envs")),
            "accuracy": f"{self.correct.mean():.3f}",
            "mean reward": f"{self.rewards.sum(axis=1).mean():.3f}",
            "arrays": ", ".join(f"{name} {list(value.shape)}" for name, value in self._arrays().items()),
        }

    def __repr__(self) -> str:
        return "Recording\n" + "\n".join(f"  {name}: {text}" for name, text in self._summary().items())

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in self._summary().items())
        return f"<table>{''.join(rows)}</table>"

    @property
    def task(self) -> EvidenceTask:
        """The task recorded."""
        return EvidenceTask.from_fields(self.metadata["task"])

    @property
    def asked(self) -> Int8[np.ndarray, "N A"]:
        """The labels of the tasks that were asked: all, or the cued one."""
        return asked(self.labels, self.context)

    @property
    def correct(self) -> Bool[np.ndarray, "N A"]:
        """Which answers are right; a task without an answer is not."""
        return self.answers == self.asked

    @property
    def last_steps(self) -> Int[np.ndarray, " N"]:
        """The last step of each trial, counted from 0; in fixed-duration tasks a decision step."""
        return np.count_nonzero(self.valid, axis=1) - 1

    def last_hidden(self) -> Float[np.ndarray, "N H"]:
        """The state at the last step of each trial.

        Raises:
            ValueError: if the recording has no hidden state.
        """
        if self.hidden is None:
            raise ValueError(f"hidden is None: the agent {self.metadata['agent']} has no state that could be recorded")
        return self.hidden[np.arange(len(self)), self.last_steps]

    def trials(self) -> Trials:
        """The recorded trials with their evidence, drawn again from the same streams.

        Raises:
            ValueError: if the metadata does not name the streams, or they give other latents: another version drew
                them, or the environments were not seeded as `record` does.
        """
        about = self.metadata
        if about.get("split") is None or about.get("n_envs") is None:
            raise ValueError(f"metadata has split={about.get('split')!r}, n_envs={about.get('n_envs')!r}; give both")
        n_envs = min(about["n_envs"], len(self))
        counts = [len(range(i, len(self), about["n_envs"])) for i in range(n_envs)]
        parts = [Stream(self.task, about["split"], about["seed"] + i).take(n) for i, n in enumerate(counts)]
        order = np.argsort(np.concatenate([np.arange(n) * n_envs + i for i, n in enumerate(counts)]))
        drawn = concatenate(parts)[order]
        if not np.array_equal(drawn.latents, self.latents):
            raise ValueError(
                f"the trials of metadata seed={about['seed']}, split={about['split']!r}, n_envs={about['n_envs']} have "
                "other latents than were recorded: another version or environment drew them"
            )
        return drawn

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an npz file (compressed, no pickle; the metadata is JSON in it), whole or not at all."""
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, metadata=np.array(json.dumps(self.metadata)), **self._arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """The recording that `save` wrote.

        Raises:
            ValueError: if the file is no recording, or one of a schema that this version does not know.
        """
        try:
            with open(path, "rb") as opened, np.lib.npyio.NpzFile(opened, allow_pickle=False) as file:
                metadata = json.loads(file["metadata"].item())
                schema = metadata["schema"]
                arrays = {name: file[name] for name in AXES if name in file} if schema == SCHEMA else {}
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a whole recording: {error!r}") from error
        if schema != SCHEMA:
            raise ValueError(f"{path} has schema {schema!r}; this version reads schema {SCHEMA} only")
        if missing := [name for name in REQUIRED if name not in arrays]:
            raise ValueError(f"{path} is not a whole recording: it lacks {', '.join(missing)}")
        return cls(metadata=metadata, **arrays)

    def to_xarray(self) -> Any:
        """The recording as an `xarray.Dataset`; its times are in ms, its metadata the attribute "metadata" (JSON)."""
        try:
            import xarray  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ImportError("to_xarray() needs xarray: pip install xarray") from error
        variables = {name: (("trial", *AXES[name]), value) for name, value in self._arrays().items()}
        times = ("time", np.arange(self.valid.shape[1]) * self.task.dt, {"units": "ms"})
        return xarray.Dataset(variables, {"time": times}, {"metadata": json.dumps(self.metadata)})


def record(agent: Agent, env: gym.Env | VectorEnv, n_trials: int, seed: int, deterministic: bool = True) -> Recording:
    """Runs `agent` for `n_trials` whole trials of `env` and records its actions, answers, rewards and states.

    With B environments, environment i gives its first n_trials / B trials (the first n_trials % B of them one more),
    and row j B + i is trial j of environment i: which trials are kept does not depend on how long they take.

    Arguments:
        agent: see `mtrnn_envs.protocols.Agent`. Its hidden states are those of its method `hidden(state) -> [B, H]`,
            or else the last layer's h of a state (h, c) of `[layers, B, H]` (as of sb3_contrib's RecurrentPPO), or a
            state that is one array `[B, H]`.
        env: a Gymnasium environment of this package, or a vector environment of them (any autoreset mode).
        seed: the seed that the environment is reset with; environment i of a vector has `seed + i`.

    Raises:
        ValueError: if an argument is not allowed, or the agent does not fit the environment.
    """
    _check(agent, env, n_trials, seed)
    cursors: Any = env if isinstance(env, VectorEnv) else _Single(env)
    task: EvidenceTask = attribute_of(env, "task")
    disabled = cursors.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    next_step = cursors.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    n_envs, n_done = cursors.num_envs, 0
    recorder = Recorder(task, n_trials)

    observation, info = cursors.reset(seed=seed)
    rows, t = np.arange(n_envs), np.zeros(n_envs, np.int64)  # a row of n_trials or more is not kept
    begins, over, state = np.ones(n_envs, bool), np.zeros(n_envs, bool), None
    recorder.begin(np.arange(n_envs), rows, info)
    while n_done < n_trials:
        action, state = _answer(agent, observation, state, begins, deterministic)
        if action.size != n_envs * len(action_sizes(task)) or len(action) != n_envs:
            raise ValueError(
                f"agent.predict gave actions of shape {action.shape} for {n_envs} environments that take "
                f"{len(action_sizes(task))} components each"
            )
        live = np.flatnonzero((rows < n_trials) & ~over)
        # They may be slow to compute: where only the last step counts, those of the others are left out.
        last = task.reaction_time or task.periods is None or bool((t[live] == task.n_steps - 1).any())
        probabilities = _rows(agent, "probabilities", state, n_envs) if last else None
        recorder.see(live, rows, t, observation, action, hidden_of(agent, state, n_envs), probabilities)
        observation, reward, terminated, truncated, info = cursors.step(action)
        if np.any(truncated):
            raise ValueError(f"env={env!r} truncates trials; whole trials are recorded: leave out max_episode_steps")
        recorder.rewards[rows[live], t[live]] = reward[live]
        ended = (terminated | truncated) & ~over
        n_done += int(np.count_nonzero(ended & (rows < n_trials)))
        t += 1
        begins = over if next_step else ended
        over = ended if next_step else np.zeros(n_envs, bool)
        if disabled and ended.any():
            observation, info = cursors.reset(options={"reset_mask": ended})
        if begins.any():
            rows = np.where(begins, rows + n_envs, rows)
            t[begins] = 0
            recorder.begin(np.flatnonzero(begins), rows, info)
    return Recording(metadata=_metadata(agent, env, task, seed, n_envs, deterministic), **recorder.arrays())


class _Single:
    """One environment as a vector of one that resets in the same step."""

    def __init__(self, env: gym.Env) -> None:
        self.env, self.num_envs = env, 1
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def reset(self, *, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed)
        return observation[None], {key: np.asarray(value)[None] for key, value in info.items()}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        observation, reward, terminated, truncated, _ = self.env.step(action[0])
        observation, info = self.reset() if terminated or truncated else (observation[None], {})
        return observation, np.array([reward]), np.array([terminated]), np.array([truncated]), info


def _check(agent: Agent, env: object, n_trials: int, seed: int) -> None:
    if not callable(getattr(agent, "predict", None)):
        raise ValueError(f"agent={agent!r} has no method predict(observation, state, episode_start, deterministic)")
    if not isinstance(env, gym.Env | VectorEnv):
        raise ValueError(f"env={env!r} is neither a gymnasium.Env nor a gymnasium.vector.VectorEnv")
    check_int("n_trials", n_trials, 1)
    check_int("seed", seed, 0)
    theirs, ours = getattr(agent, "task", None), attribute_of(env, "task")
    if not isinstance(ours, EvidenceTask):
        raise ValueError(f"env={env!r} is not an environment of mtrnn_envs: it has no task")
    space = env.single_observation_space if isinstance(env, VectorEnv) else env.observation_space
    made_for = getattr(getattr(agent, "observation_space", None), "shape", space.shape)
    if made_for != space.shape:
        raise ValueError(f"agent={agent!r} is made for observations of shape {made_for}; env shows {space.shape}")
    if isinstance(theirs, EvidenceTask) and action_sizes(theirs) != action_sizes(ours):
        raise ValueError(
            f"agent.task has payoff={theirs.payoff!r}, n_tasks={theirs.n_tasks}, env.task payoff={ours.payoff!r}, "
            f"n_tasks={ours.n_tasks}: actions for one are not actions for the other"
        )


def attribute_of(env: gym.Env | VectorEnv, name: str) -> Any:
    """An attribute of the environment inside of any wrappers, or of the first one of a vector; None if absent."""
    inner = env.unwrapped
    if isinstance(inner, SyncVectorEnv | AsyncVectorEnv):
        try:
            return inner.get_attr(name)[0]
        except AttributeError:
            return None
    return getattr(inner, name, None)


def _answer(
    agent: Agent, observation: np.ndarray, state: Any, begins: np.ndarray, deterministic: bool
) -> tuple[np.ndarray, Any]:
    """The actions `[B, ...]` and the next state of the agent."""
    answer = agent.predict(observation, state=state, episode_start=begins, deterministic=deterministic)
    if not isinstance(answer, tuple) or len(answer) != 2 or np.ndim(answer[0]) == 0:
        raise ValueError(f"agent.predict gave {answer!r}; (action, state) is needed, with actions for a whole batch")
    return np.asarray(answer[0]), answer[1]


def _rows(agent: Agent, name: str, state: Any, n: int) -> np.ndarray | None:
    """The output `[B, ...]` of the agent's method `name` for `state`; None if it has no such method."""
    if not callable(method := getattr(agent, name, None)):
        return None
    values = np.asarray(method(state))
    if values.ndim != 2 or len(values) != n:
        raise ValueError(f"agent.{name}(state) has shape {values.shape}; ({n}, ...) with two axes is needed")
    return values


def hidden_of(agent: Agent, state: Any, n: int) -> np.ndarray | None:
    """The units of the agent, `[B, H]`, if it has any; see `record`."""
    if (units := _rows(agent, "hidden", state, n)) is not None:
        return units
    if isinstance(state, tuple) and len(state) == 2 and all(getattr(part, "ndim", None) == 3 for part in state):
        return np.asarray(state[0])[-1]
    return state if isinstance(state, np.ndarray) and state.ndim == 2 else None


def _metadata(
    agent: Agent, env: gym.Env | VectorEnv, task: EvidenceTask, seed: int, n_envs: int, deterministic: bool
) -> dict[str, Any]:
    versions = {"mtrnn_envs": __version__, "gymnasium": gym.__version__, "numpy": np.__version__}
    return {
        "schema": SCHEMA,
        "task": json.loads(task.to_json()),
        "agent": f"{type(agent).__module__}.{type(agent).__qualname__}",
        "seed": int(seed),
        "split": attribute_of(env, "split"),
        "n_envs": int(n_envs),
        "deterministic": bool(deterministic),
        "versions": versions | {"python": platform.python_version()},
    }
