"""A custom agent for the benchmark: the mean of its observations, and a ridge regression of the labels.

    cd examples
    mtrnn check-agent 12_my_agent:MeanAndRidge
    mtrnn benchmark --agent 12_my_agent:MeanAndRidge --out ../results/benchmark

An agent requires only `predict`, on batches; `fit`, `hidden` and `probabilities` are optional.
"""

import numpy as np

from mtrnn_envs import EvidenceTask, Stream, observe


class MeanAndRidge:
    """Answers by a linear read-out of the running mean of the evidence; the first observation shows none."""

    def __init__(self, task: EvidenceTask) -> None:
        self.task = task
        self.weights = np.zeros((1 + task.n_evidence, task.n_tasks))

    def fit(self, task: EvidenceTask, seed: int, budget: int) -> None:
        """Learns from `budget` labelled trials."""
        trials, state = Stream(task, "train", seed).take(budget), None
        for t, observation in enumerate(observe(trials).swapaxes(0, 1)):
            _, state = self.predict(observation, state, np.full(budget, t == 0))
        mean = self._with_one(self.hidden(state))
        self.weights = np.linalg.solve(mean.T @ mean + 1e-3 * budget * np.eye(mean.shape[1]), mean.T @ trials.labels)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        """Actions `[B, ...]` and the state: nothing's evidence, sum and number of samples, and the task asked."""
        evidence = observation[:, 1 : 1 + self.task.n_evidence]
        zero, total, count, _ = state or (evidence, np.zeros_like(evidence), np.zeros(len(evidence)), None)
        if episode_start is not None:
            zero = np.where(episode_start[:, None], evidence, zero)
            total, count = np.where(episode_start[:, None], 0, total), np.where(episode_start, 0, count)
        new = np.abs(evidence - zero).max(axis=1) > 1e-5
        state = zero, total + new[:, None] * (evidence - zero), count + new, observation[:, 1 + evidence.shape[1] :]
        p = self.probabilities(state)
        if self.task.reaction_time:  # waits for all evidence, then says how sure it is
            level = 1 + np.floor(p * 2 * self.task.n_confidence - 1e-9).astype(int)
            return np.where(state[2][:, None] == self.task.longest.stimulus, level, 0), state
        action = (p > 0.5).astype(int)
        return (action[:, 0] if self.task.cueing == "one" else action), state

    def hidden(self, state):
        """The running mean `[B, F]`."""
        return state[1] / np.maximum(state[2], 1)[:, None]

    def probabilities(self, state):
        """Of +1, for the tasks asked `[B, A]`."""
        p = np.clip(0.5 + 0.5 * self._with_one(self.hidden(state)) @ self.weights, 0.01, 0.99)
        return np.sum(p * state[3], axis=1, keepdims=True) if self.task.cueing == "one" else p

    @staticmethod
    def _with_one(mean: np.ndarray) -> np.ndarray:
        return np.concatenate([np.ones((len(mean), 1)), mean], axis=1)
