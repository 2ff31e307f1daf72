"""From probabilities to actions: the simple rule of agents that are not trained to act."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs import EvidenceTask
from mtrnn_envs.score import is_discrete, n_confidence


def decide(
    task: EvidenceTask, p: Float[np.ndarray, "N A"], seen: Int[np.ndarray, " N"], threshold: float
) -> Int[np.ndarray, "N ..."]:
    """The actions of `task` that state the probabilities `p` of +1, `[N, M]`, or `[N]` where the space is Discrete.

    Fixed duration: the likelier side of every task asked; with `withhold`, only once the cue has fallen. Free
    reaction time: a task is answered once its probability is further than `threshold` from 1/2, or at the (longest)
    deadline, at the level of confidence whose bin it lies in; with one common stop, once the mean distance is. This
    is not the best time to stop: see `mtrnn_envs.optimal_stopping`.

    Arguments:
        task: the task.
        p: the probability of +1 for every task asked.
        seen: observations since the cue fell, this one included.
        threshold: in [0, 0.5]; used in reaction-time tasks only.
    """
    if task.reaction_time:
        n_levels = 2 * n_confidence(task)
        level = 1 + np.minimum((p * n_levels).astype(np.int64), n_levels - 1)
        far, last = np.abs(p - 0.5), (seen >= task.longest.stimulus)[:, None]
        if task.commit == "common":
            stop = (far.mean(axis=1, keepdims=True) > threshold) | last
            action = np.concatenate([stop.astype(np.int64), level - 1], axis=1)
        else:
            action = np.where((far > threshold) | last, level, 0)
    else:
        action = (p > 0.5).astype(np.int64)
        if task.withhold:
            action = np.where(seen[:, None] > 0, action + 1, 0)
    if task.action_encoding == "multi_binary":
        return action.astype(np.int8)
    return action[:, 0] if is_discrete(task) else action


def checked_threshold(threshold: float) -> float:
    """`threshold`, if it is in [0, 0.5]; else `ValueError`."""
    if not 0 <= threshold <= 0.5:
        raise ValueError(f"threshold={threshold!r} is not in [0, 0.5]")
    return threshold
