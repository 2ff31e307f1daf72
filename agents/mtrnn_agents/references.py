"""Agents to hold others against: one that knows nothing, and one that knows all that the evidence tells."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mtrnn_agents.decisions import checked_threshold, decide
from mtrnn_envs import EvidenceTask
from mtrnn_envs.ideal_observer import answer_probabilities
from mtrnn_envs.score import action_sizes, is_discrete


class RandomAgent:
    """Draws every component of its actions evenly from the values it can take, whatever it sees.

    Arguments:
        task: the task.
        rng: where its actions come from.
    """

    def __init__(self, task: EvidenceTask, rng: np.random.Generator) -> None:
        self.task, self.rng, self.sizes = task, rng, np.array(action_sizes(task))

    def predict(
        self, observation: np.ndarray, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, None]:
        """Actions for `observation`, `[N, F]`. They are random whatever `deterministic` is."""
        action = self.rng.integers(0, self.sizes, (len(observation), len(self.sizes)))
        return (action[:, 0] if is_discrete(self.task) else action), None


class Belief(NamedTuple):
    """What the ideal observer carries from step to step.

    Attributes:
        total: the sum of the samples, `[N, D]`.
        samples: their number, `[N]`.
        seen: observations since the cue fell, `[N]`.
        context: the task that is asked, `[N]`; 0 where all are.
    """

    total: Float[np.ndarray, "N D"]
    samples: Int[np.ndarray, " N"]
    seen: Int[np.ndarray, " N"]
    context: Int[np.ndarray, " N"]


class IdealObserver:
    """Answers by the posterior given all evidence so far, exact or numerical as `mtrnn_envs.ideal_observer` says.

    In fixed-duration tasks no agent has a better expectation, on trials drawn from the task's own prior. With
    `excluded_orthants` that is the prior of training; for the test split give `shown_task(task, "test")`. In
    reaction-time tasks its answers are ideal but the time at which it gives them is not: see
    `mtrnn_agents.decisions.decide`. It takes observations whose evidence is exactly 0 for steps without evidence.

    Arguments:
        task: a task without encoder (it looks at the evidence itself), whose noise is Gaussian and independent.
        threshold: see `decide`.

    Raises:
        ValueError: if the task is not of that kind.
    """

    def __init__(self, task: EvidenceTask, *, threshold: float = 0.4) -> None:
        for name, needed in (("encoder", None), ("noise", "gaussian"), ("autocorrelation", 0.0)):
            if getattr(task, name) != needed:
                raise ValueError(f"{name}={getattr(task, name)!r}: this ideal observer needs {name}={needed!r}")
        self.task, self.threshold = task, checked_threshold(threshold)

    def predict(
        self,
        observation: np.ndarray,
        state: Belief | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Belief]:
        """Actions for `observation`, `[N, F]`, and the belief after it. There is no chance in them."""
        task, n = self.task, len(observation)
        fresh = np.zeros(n, bool) if episode_start is None else np.asarray(episode_start, bool)
        if state is None:
            state, fresh = Belief(np.zeros((n, task.n_dims)), *np.zeros((3, n), np.int64)), np.ones(n, bool)
        shown = np.asarray(observation[:, 1 : 1 + task.n_dims], np.float64)
        cued = np.argmax(observation[:, 1 + task.n_dims :], axis=1) if task.cueing == "one" else np.zeros(n, np.int64)
        state = Belief(
            np.where(fresh[:, None], 0, state.total) + shown,
            np.where(fresh, 0, state.samples) + shown.any(axis=1),
            np.where(fresh, 0, state.seen) + (observation[:, 0] == 0),
            cued,
        )
        # While the cue is on no answer counts, and the exact posterior is not cheap.
        p = self.probabilities(state) if state.seen.any() else np.full((n, task.n_answers), 0.5)
        return decide(task, p, state.seen, self.threshold), state

    def hidden(self, state: Belief) -> Float[np.ndarray, "N D"]:
        """The mean of the samples, 0 before the first."""
        return (state.total / np.maximum(state.samples, 1)[:, None]).astype(np.float32)

    def probabilities(self, state: Belief) -> Float[np.ndarray, "N A"]:
        """The posterior probability of +1 for every task asked; 1/2 before the first sample."""
        n, some = len(state.samples), np.flatnonzero(state.samples)
        p = np.full((n, self.task.n_tasks), 0.5)
        if len(some):
            means = state.total[some] / state.samples[some, None]
            p[some] = answer_probabilities(self.task, means, state.samples[some])
        return p[np.arange(n), state.context][:, None] if self.task.cueing == "one" else p
