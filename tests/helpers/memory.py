"""Tasks, trials and dynamics of which it is known what they hold."""

from __future__ import annotations

import numpy as np

from helpers.codes import LinearDynamics
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.trials import Trials

SEEDS = [0, 1, 2]


def task_of(n_dims: int = 2, **fields) -> EvidenceTask:
    return EvidenceTask(n_tasks=6, n_dims=n_dims, encoder=None, **fields)


def trials_of(task: EvidenceTask, n: int = 400, seed: int = 0) -> Trials:
    return Stream(task, "test", seed).take(n)


def linear(task: EvidenceTask, multipliers, seed: int = 0, **kwargs) -> LinearDynamics:
    """Evidence adds up along slow directions with these multipliers a step."""
    return LinearDynamics(np.random.default_rng(seed), np.array(multipliers, float), task.n_features, **kwargs)


def first_rng() -> np.random.Generator:
    return np.random.default_rng(0)
