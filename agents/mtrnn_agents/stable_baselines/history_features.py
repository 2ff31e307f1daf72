"""Features of the history of a trial, for policies that are not recurrent; the same in training and in the agent."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Float32
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from mtrnn_envs import EvidenceTask

# "frames": every observation of the trial so far, the newest last, zeros before the first; as SB3's VecFrameStack has
# them. "mean": the cue as it is, the mean of the evidence channels over the observations of the trial so far, and the
# context as it is.
KINDS = ("frames", "mean")

Past: TypeAlias = tuple[np.ndarray, ...]


def width(task: EvidenceTask, kind: str) -> int:
    """The number of features.

    Raises:
        ValueError: if `kind` is none of `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of {KINDS} (or None, for a policy that sees observations alone)")
    return task.n_steps * task.n_features if kind == "frames" else task.n_features


def begin(task: EvidenceTask, kind: str, n: int) -> Past:
    """The past of `n` trials before their first observation: frames `[N, T, F]`, or a sum `[N, E]` and a number."""
    if kind == "frames":
        return (np.zeros((n, task.n_steps, task.n_features), np.float32),)
    return np.zeros((n, task.n_evidence)), np.zeros(n)


def extended(
    task: EvidenceTask, kind: str, past: Past, observation: Float[np.ndarray, "N F"], fresh: Bool[np.ndarray, " N"]
) -> tuple[Past, Float32[np.ndarray, "N W"]]:
    """The past with one observation more, and the features; trials that are `fresh` begin with it."""
    past = tuple(np.where(fresh.reshape(-1, *[1] * (part.ndim - 1)), 0, part).astype(part.dtype) for part in past)
    if kind == "frames":
        frames = np.concatenate([past[0][:, 1:], observation[:, None]], axis=1, dtype=np.float32)
        return (frames,), frames.reshape(len(frames), -1)
    evidence = slice(1, 1 + task.n_evidence)
    total, number = past[0] + observation[:, evidence], past[1] + 1
    features = observation.astype(np.float32)
    features[:, evidence] = total / number[:, None]
    return (total, number), features


class FeaturesVecEnv(VecEnvWrapper):
    """The environments `venv` of `task`, with features of a `kind` in `KINDS` as observations."""

    def __init__(self, venv: VecEnv, task: EvidenceTask, kind: str) -> None:
        super().__init__(venv, spaces.Box(-np.inf, np.inf, (width(task, kind),), np.float32))
        self._task, self._kind = task, kind
        self._past = begin(task, kind, self.num_envs)

    def reset(self) -> np.ndarray:
        """Begins a trial in every environment."""
        observations: Any = self.venv.reset()
        self._past, features = extended(self._task, self._kind, self._past, observations, np.ones(self.num_envs, bool))
        return features

    def step_wait(self) -> VecEnvStepReturn:
        """The step of the environments, its observations and those that end trials as features."""
        observations, rewards, dones, infos = self.venv.step_wait()
        ended = np.flatnonzero(dones)
        if len(ended):
            last = np.stack([infos[i]["terminal_observation"] for i in ended])
            past = tuple(part[ended] for part in self._past)
            _, rows = extended(self._task, self._kind, past, last, np.zeros(len(ended), bool))
            for i, row in zip(ended, rows, strict=True):
                infos[i]["terminal_observation"] = row
        shown: Any = observations
        self._past, features = extended(self._task, self._kind, self._past, shown, dones)
        return features, rewards, dones, infos
