"""What all tests share: one thread, a generator, and small tasks."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported: rounding must not depend on the machine

import numpy as np
import pytest

from mtrnn_envs import EvidenceTask


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def small_task() -> EvidenceTask:
    """Three tasks on raw evidence, with a short stimulus."""
    return EvidenceTask(n_tasks=3, encoder=None, stimulus=6)


@pytest.fixture
def small_timed_task() -> EvidenceTask:
    """The same with free reaction time."""
    return EvidenceTask(n_tasks=3, encoder=None, stimulus=6, payoff="quadratic", decision=0)
