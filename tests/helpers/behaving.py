"""Agents whose behaviour is known, and recordings of them."""

from __future__ import annotations

from functools import cache

import gymnasium as gym
import numpy as np
from scipy.stats import kstest

from mtrnn_agents.baselines import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_envs import EvidenceTask, Stream, Trials
from mtrnn_envs.ideal_observer.posterior import trial_probabilities
from mtrnn_envs.recording import Recording, record

FIXED = EvidenceTask(n_tasks=6, encoder=None)
TIMED = EvidenceTask(n_tasks=6, encoder=None, payoff="quadratic", decision=0, stimulus=10)
KINDS = {
    "D=1": EvidenceTask(n_tasks=2, n_dims=1, boundaries="affine", encoder=None),
    "D=3": EvidenceTask(n_tasks=5, n_dims=3, encoder=None),
    "cued": EvidenceTask(n_tasks=4, cueing="one", encoder=None),
    "product": EvidenceTask(n_tasks=4, boundaries="product", encoder=None),
    "drawn lengths": EvidenceTask(n_tasks=4, stimulus=(5, 20), encoder=None),
    "held out": EvidenceTask(n_tasks=4, excluded_orthants=("+-",), encoder=None),
    "anisotropic": EvidenceTask(n_tasks=4, sigma=(0.1, 0.3), encoder=None),
    "quadric": EvidenceTask(n_tasks=4, boundaries="quadric", encoder=None),
    "gumbel": EvidenceTask(n_tasks=4, noise="gumbel", encoder=None),
}
AGENTS = {
    "ideal": IdealObserver,
    "optimal": OptimalStopping,
    "integrator": Integrator,
    "random": lambda task: RandomAgent(task, np.random.default_rng(0)),
    "at once": lambda task: IdealObserver(task, threshold=0.0),
    "bound": lambda task: Integrator(task, bound=3.5 * task.sigmas[0]),
}


@cache
def ideal(task: EvidenceTask = FIXED, n: int = 1000, seed: int = 0) -> tuple[Trials, np.ndarray]:
    """Trials, and the ideal observer's p after all evidence, of the tasks asked."""
    trials = Stream(task, "test", seed).take(n)
    p = trial_probabilities(trials)
    return trials, p if trials.context is None else p[np.arange(n), trials.context][:, None]


@cache
def recorded(who: str, task: EvidenceTask, n: int = 300) -> Recording:
    """Trials of one of `AGENTS`."""
    fields = {name: getattr(task, name) for name in task.__dataclass_fields__}
    return record(AGENTS[who](task), gym.make_vec("MultiTaskEvidence-v0", 50, split="test", **fields), n, seed=0)


def is_uniform(ps: list[float], n_null: int = 9) -> bool:
    """Whether p-values by nulls of `n_null` draws are uniform, at the level 0.01."""
    spread = np.random.default_rng(0).random(len(ps)) / (n_null + 1)
    return kstest(np.array(ps) - spread, "uniform").pvalue > 0.01
