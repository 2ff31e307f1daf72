"""Agents whose behaviour is known, and recordings of them."""

from __future__ import annotations

from functools import cache

import gymnasium as gym
import numpy as np
from scipy.stats import kstest

from mtrnn_agents.baselines import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_envs import EvidenceTask
from mtrnn_envs.recording import Recording, record

FIXED = EvidenceTask(n_tasks=6, encoder=None)
TIMED = EvidenceTask(n_tasks=6, encoder=None, payoff="quadratic", decision=0, stimulus=10)
AGENTS = {
    "ideal": IdealObserver,
    "optimal": OptimalStopping,
    "integrator": Integrator,
    "random": lambda task: RandomAgent(task, np.random.default_rng(0)),
    "at once": lambda task: IdealObserver(task, threshold=0.0),
    "bound": lambda task: Integrator(task, bound=3.5 * task.sigmas[0]),
}


@cache
def recorded(who: str, task: EvidenceTask, n: int = 300) -> Recording:
    """Trials of one of `AGENTS`."""
    fields = {name: getattr(task, name) for name in task.__dataclass_fields__}
    return record(AGENTS[who](task), gym.make_vec("MultiTaskEvidence-v0", 50, split="test", **fields), n, seed=0)


def is_uniform(ps: list[float], n_null: int = 9) -> bool:
    """Whether p-values by nulls of `n_null` draws are uniform, at the level 0.01."""
    spread = np.random.default_rng(0).random(len(ps)) / (n_null + 1)
    return kstest(np.array(ps) - spread, "uniform").pvalue > 0.01
