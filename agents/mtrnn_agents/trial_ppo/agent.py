"""A network trained by reward as an agent, in any environment of its task."""

from __future__ import annotations

import os

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mtrnn_agents.networks.agent_state import AgentState, NetworkAgent
from mtrnn_agents.networks.base import Sizes, Weights, fitting, read
from mtrnn_agents.training import history as columns
from mtrnn_agents.training.files import read_network, write_network
from mtrnn_agents.training.history import Columns
from mtrnn_agents.training.run import Run
from mtrnn_agents.trial_ppo.action_heads import Head, draw, likeliest, stated
from mtrnn_agents.trial_ppo.settings import Training
from mtrnn_envs import EvidenceTask
from mtrnn_envs.reward import is_discrete
from mtrnn_envs.rng.seeding import torch_generator


def head_of(task: EvidenceTask, training: Training) -> Head:
    """The head of a network that is trained on `task` by `training`."""
    return Head.of(task, training.factored)


def sizes_of(task: EvidenceTask, training: Training) -> Sizes:
    """The numbers of inputs, outputs and steps that the task and its policy need."""
    return Sizes(task.n_features, head_of(task, training).n_outputs, task.n_steps)


def first_weights(run: Run, training: Training) -> Weights:
    """The weights that training starts from: they follow from the seed alone."""
    weights = training.network.first_weights(sizes_of(run.task, training), torch_generator(run.seed, "network"))
    head_of(run.task, training).patient(weights["output.bias"], training.wait_bias)
    return weights


class PolicyAgent(NetworkAgent):
    """A trained policy as an agent, with the signature of SB3's `predict`.

    Arguments:
        training: what it was trained by, its architecture included.
        seed: of its first weights and trials.
        history: the training history, if known.

    Raises:
        ValueError: if the weights do not fit the task.
    """

    def __init__(
        self, task: EvidenceTask, training: Training, weights: Weights, seed: int, *, history: Columns | None = None
    ) -> None:
        self.task, self.training, self.network = task, training, training.network
        self.head = head_of(task, training)
        self.weights = fitting(self.network, sizes_of(task, training), weights)
        self.seed, self.history = seed, history or {}
        self._noise, self._chance = torch_generator(seed, "noise"), torch_generator(seed, "actions")

    @torch.no_grad()
    def probabilities(self, state: AgentState) -> Float[np.ndarray, "N A"]:
        """The probability of +1 that the policy states; see `mtrnn_agents.decision_rule.answer_probabilities`."""
        return stated(self.task, self.head, self._outputs(state))

    @torch.no_grad()
    def values(self, state: AgentState) -> Float[np.ndarray, "N E"]:
        """The reward still expected: of each task, times their number; or of all, if training is not factored."""
        return self.head.values(self._outputs(state)).numpy()

    def untrained(self) -> PolicyAgent:
        """The agent that training began with: the first weights of the same seed."""
        weights = first_weights(Run(self.task, self.seed), self.training)
        return PolicyAgent(self.task, self.training, weights, self.seed)

    def _actions(self, state: AgentState, deterministic: bool) -> np.ndarray:
        outputs = self._outputs(state)
        if deterministic:
            parts = likeliest(self.head, outputs)
        else:
            parts = draw(self.head, outputs, torch.rand(len(outputs), self.head.n_parts, generator=self._chance))
        action = parts.numpy()
        if self.task.action_encoding == "multi_binary":
            action = action.astype(np.int8)
        return action[:, 0] if is_discrete(self.task) else action

    def _outputs(self, state: AgentState) -> Tensor:
        return read(self.weights, state.state[0])

    @property
    def evaluation(self) -> dict[str, float]:
        """The last evaluation in training, by name; empty if there was none."""
        return columns.evaluation(self.history)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes weights, task and settings to one safetensors file; the latter two are JSON in its header."""
        write_network(path, "policy", self, history=self.history)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PolicyAgent:
        """The agent that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file was not written by `save`, is not whole, or is of a version that is not known.
        """
        made_of, about = read_network(path, "policy", Training)
        return cls(*made_of, history=columns.from_json(about["history"]))
