"""The spaces of observations and actions of a task, and actions as the arrays that are scored."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from jaxtyping import Int

from mtrnn_envs.reward import action_sizes, is_discrete
from mtrnn_envs.task import EvidenceTask

Infos: TypeAlias = dict[str, Any]  # of Gymnasium: values, or arrays over environments, by name


def observation_space(task: EvidenceTask) -> spaces.Box:
    """The cue in [0, 1], the evidence without bounds (its noise has none), the one-hot context in [0, 1]."""
    low, high = np.zeros(task.n_features, np.float32), np.ones(task.n_features, np.float32)
    low[1 : 1 + task.n_evidence], high[1 : 1 + task.n_evidence] = -np.inf, np.inf
    return spaces.Box(low, high, dtype=np.float32)


def action_space(task: EvidenceTask) -> spaces.MultiBinary | spaces.Discrete | spaces.MultiDiscrete:
    """One component for each answer (see `mtrnn_envs.reward.action_sizes`); `Discrete` where there is only one."""
    sizes = action_sizes(task)
    if task.action_encoding == "multi_binary":
        return spaces.MultiBinary(len(sizes))
    return spaces.Discrete(sizes[0]) if is_discrete(task) else spaces.MultiDiscrete(sizes)


def as_actions(task: EvidenceTask, action: object, batch: tuple[()] | tuple[int]) -> Int[np.ndarray, "N M"]:
    """Actions as an integer array `[N, M]`; `batch` is `(N,)` for those of a vector, `()` for those of one environment.

    Raises:
        ValueError: if they are not whole numbers, or not of the shape of the action space.
    """
    actions, n_components = np.asarray(action), len(action_sizes(task))
    if actions.dtype.kind == "f" and task.action_encoding == "multi_binary" and np.isin(actions, (0, 1)).all():
        actions = actions.astype(np.int8)  # as `MultiBinary` does, and as Stable-Baselines3 gives them
    if actions.dtype.kind not in "iub":
        raise ValueError(f"action={action!r} is not made of whole numbers")
    if actions.shape != (*batch, n_components) and not (is_discrete(task) and actions.shape == batch):
        needed = batch if is_discrete(task) else (*batch, n_components)
        raise ValueError(f"action has shape {actions.shape}; {needed} is needed")
    return actions.reshape(-1, n_components)
