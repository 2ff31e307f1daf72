"""Trials of many environments that begin, go on and end together: the fast path of the vector environment."""

from __future__ import annotations

import numpy as np

from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, observe

# Observations are made for so many trials, or values, at a time: enough to spread the cost of the calls, little enough
# for the processor's cache.
MOST_TRIALS = 1024
MOST_VALUES = 2**17


class Lockstep:
    """Trials of all environments that begin, go on and end together.

    Some trials of every environment are loaded at a time, and then shown one after the other. Time comes first in the
    observations of a trial, so that a step returns a contiguous row of them; they are copied out of the work buffer
    once a trial, because users keep them.

    Attributes:
        capacity: how many trials of every environment can be loaded.
        n_left: how many of those that are loaded have not been shown.
        observations: of the trial that is on, `[T, n_envs, F]`.
        asked: the labels of the tasks that it asks, `[n_envs, A]`.
        quiet: its remaining steps before answers count, last step first: observations, rewards, terminations and
            truncations of each.
        decided: how many decision steps of it are over.
    """

    def __init__(self, task: EvidenceTask, n_envs: int) -> None:
        values = n_envs * task.n_steps * task.n_features
        self.capacity = max(1, min(MOST_VALUES // values, MOST_TRIALS // n_envs))
        self.n_left = 0
        self._task, self._n_envs = task, n_envs
        self._buffer = np.empty((task.n_steps, self.capacity * n_envs, task.n_features), np.float32)

    @property
    def t(self) -> int:
        """The step that the trial is at."""
        return self._task.timing.go - len(self.quiet) + self.decided

    def load(self, trials: Trials) -> None:
        """Loads trials: the first of every environment, then the second of every environment, and so on."""
        self._trials, self.n_left = trials, len(trials) // self._n_envs
        observe(trials, self._buffer[:, : len(trials)].transpose(1, 0, 2))

    def next(self) -> dict[str, np.ndarray]:
        """Begins the next of the trials that are loaded; gives its infos."""
        first = len(self._trials) - self.n_left * self._n_envs
        rows, steps = slice(first, first + self._n_envs), (self._task.timing.go, self._n_envs)
        self.n_left -= 1
        self.observations = self._buffer[:, rows].copy()
        self.asked, self.decided = self._trials.asked[rows], 0
        self.quiet = list(
            zip(self.observations[1:], np.zeros(steps), np.zeros(steps, bool), np.zeros(steps, bool), strict=False)
        )
        self.quiet.reverse()
        infos = {"latents": self._trials.latents[rows].copy(), "labels": self._trials.labels[rows].copy()}
        return infos if self._trials.context is None else infos | {"context": self._trials.context[rows].copy()}
