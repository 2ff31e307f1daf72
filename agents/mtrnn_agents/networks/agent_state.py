"""Agents that are one network, and their state from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mtrnn_agents.networks.base import Network, Weights, noise_of
from mtrnn_agents.networks.jacobians import dynamics_of
from mtrnn_envs import EvidenceTask
from mtrnn_envs.protocols import Dynamics


class AgentState(NamedTuple):
    """The state of an agent between two steps.

    Attributes:
        state: of the network after the last observation; its hidden activity `[N, H]` comes first.
        seen: observations since the cue fell, `[N]`.
    """

    state: tuple[Tensor, ...]
    seen: Int[np.ndarray, " N"]


class NetworkAgent:
    """The part that agents which are one network share; a subclass defines `_actions`."""

    task: EvidenceTask
    training: Any  # the settings of its trainer
    network: Network
    weights: Weights
    seed: int
    _noise: torch.Generator
    _actions: Callable[[AgentState, bool], np.ndarray]  # those of [N] trials in a state; whether deterministic

    @torch.no_grad()
    def predict(
        self,
        observation: np.ndarray,
        state: AgentState | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, AgentState]:
        """Actions for `observation`, `[N, F]` or `[F]`, and the agent state after it.

        `episode_start` `[N]` says which trials begin with this observation. With `deterministic` nothing is drawn:
        neither the noise of a network that has some, nor actions, of which the likeliest are taken.

        Raises:
            ValueError: if the observation is not `task.n_features` wide.
        """
        shown, network = checked_observation(self.task, observation), self.network
        n = len(shown)
        before, seen = AgentState(network.start(self.weights, n), np.zeros(n, np.int64)) if state is None else state
        if episode_start is not None:
            fresh = np.asarray(episode_start, bool).reshape(n)
            wiped = torch.from_numpy(fresh)
            before = tuple(torch.where(wiped.view(n, *[1] * (v.ndim - 1)), torch.zeros_like(v), v) for v in before)
            seen = np.where(fresh, 0, seen)
        noisy = noise_of(network) and not deterministic
        noise = torch.randn(n, network.n_units, generator=self._noise) if noisy else None
        after = network.step(self.weights, before, torch.from_numpy(shown), noise)
        state = AgentState(after, seen + (shown[:, 0] == 0))
        action = self._actions(state, deterministic)
        return (action.squeeze(axis=0) if np.ndim(observation) == 1 else action), state

    def hidden(self, state: AgentState) -> Float[np.ndarray, "N H"]:
        """The activity of the network's units."""
        return state.state[0].numpy()

    def dynamics(self) -> Dynamics:
        """The network as a dynamical system, in float64 and without its noise.

        Raises:
            ValueError: if its state is not a vector of units, as that of a transformer.
        """
        return dynamics_of(self.network, self.weights)


def checked_observation(task: EvidenceTask, observation: np.ndarray) -> Float[np.ndarray, "N F"]:
    """`observation`, `[N, F]` or `[F]`, as a batch; `ValueError` if it is not `task.n_features` wide."""
    shown = np.atleast_2d(np.asarray(observation, np.float32))
    if shown.ndim != 2 or shown.shape[1] != task.n_features:
        raise ValueError(f"observation has shape {np.shape(observation)}; [N, {task.n_features}] is needed")
    return shown
