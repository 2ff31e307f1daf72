"""A trained network as an agent, in any environment of its task."""

from __future__ import annotations

import os
from dataclasses import asdict

import numpy as np
import torch
from jaxtyping import Float

from mtrnn_agents.decision_rule import accumulator_probability, checked_threshold, decide
from mtrnn_agents.networks.agent_state import AgentState, NetworkAgent
from mtrnn_agents.networks.base import Sizes, Weights, fitting, read
from mtrnn_agents.supervised.settings import History, Training
from mtrnn_agents.training.files import read_network, write_network
from mtrnn_agents.training.run import Run
from mtrnn_envs import EvidenceTask
from mtrnn_envs.rng.seeding import torch_generator


def first_weights(run: Run, training: Training) -> Weights:
    """The weights that training starts from: they follow from the seed alone."""
    return training.network.first_weights(Sizes.of(run.task), torch_generator(run.seed, "network"))


class SupervisedAgent(NetworkAgent):
    """A trained network as an agent: it answers by its probabilities, with the signature of SB3's `predict`.

    In fixed-duration tasks it gives the likelier answer. In reaction-time tasks it answers once its probability, or its
    accumulator, has passed a threshold, and its confidence is the probability: see
    `mtrnn_agents.decision_rule.decide`. The probability is sigmoid(logit), or for accumulators
    `mtrnn_agents.decision_rule.accumulator_probability`.

    Arguments:
        training: what it was trained by, its architecture included.
        seed: of its first weights and trials.
        threshold: on the distance of the probability (the accumulator, as a share of twice its bound) from the middle,
            in [0, 0.5]; used in reaction-time tasks only.
        gain: of accumulators; see there.
        history: the training history, if known.

    Raises:
        ValueError: if the weights do not fit the task, or the threshold is out of its range.
    """

    def __init__(
        self,
        task: EvidenceTask,
        training: Training,
        weights: Weights,
        seed: int,
        *,
        threshold: float = 0.4,
        gain: float = 1.0,
        history: History | None = None,
    ) -> None:
        self.task, self.training, self.network = task, training, training.network
        self.weights = fitting(self.network, Sizes.of(task), weights)
        self.seed, self.history = seed, history
        self.threshold, self.gain = checked_threshold(threshold), gain
        self._noise = torch_generator(seed, "noise")

    def probabilities(self, state: AgentState) -> Float[np.ndarray, "N A"]:
        """The probability of +1 for every task asked."""
        return self._probability(self._output(state), state.seen)

    def untrained(self) -> SupervisedAgent:
        """The agent that training began with: the first weights of the same seed."""
        weights = first_weights(Run(self.task, self.seed), self.training)
        return SupervisedAgent(self.task, self.training, weights, self.seed)

    def _actions(self, state: AgentState, deterministic: bool) -> np.ndarray:
        output = self._output(state)
        p = self._probability(output, state.seen)
        return decide(self.task, p, state.seen, self.threshold, np.abs(output - 0.5))

    @torch.no_grad()
    def _output(self, state: AgentState) -> Float[np.ndarray, "N A"]:
        """sigmoid(logit): the probability, or (1 + a / bound) / 2 for an accumulator a."""
        return torch.sigmoid(read(self.weights, state.state[0])).numpy()

    def _probability(self, output: np.ndarray, seen: np.ndarray) -> np.ndarray:
        if self.training.labels != "accumulator":
            return output
        return accumulator_probability(self.task, self.training.bound, self.gain, output, seen[:, None])

    @property
    def evaluation(self) -> dict[str, float]:
        """The last evaluation of these weights in training, by name; empty if there was none."""
        history = self.history
        if history is None or not history.updates:
            return {}
        at = -1 if self.training.patience is None else history.best(self.training.curriculum)
        found = {name: getattr(history, name)[at] for name in ("updates", "accuracy", "cross_entropy")}
        return {name: values[at] for name, values in history.metrics.items()} | found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes weights, task and settings to one safetensors file; the latter two are JSON in its header."""
        history = None if self.history is None else asdict(self.history)
        write_network(path, "agent", self, threshold=self.threshold, gain=self.gain, history=history)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SupervisedAgent:
        """The agent that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file was not written by `save`, is not whole, or is of a version that is not known.
        """
        made_of, about = read_network(path, "agent", Training)
        history = None if about["history"] is None else History.from_fields(about["history"])
        return cls(*made_of, threshold=about["threshold"], gain=about["gain"], history=history)
