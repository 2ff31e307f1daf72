"""Agents that are one network, and their state from step to step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
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
    """The part that agents which are one network share."""

    task: EvidenceTask
    training: Any  # the settings of its trainer
    network: Network
    weights: Weights
    seed: int

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


def next_state(
    network: Network,
    weights: Weights,
    before: AgentState | None,
    shown: Float[np.ndarray, "N F"],
    episode_start: Bool[np.ndarray, " N"] | None,
    noise: torch.Generator | None,
) -> AgentState:
    """The state after `shown`, from the one `before` it; where `episode_start`, a trial begins.

    A network that has noise of its own draws it from `noise`, if given.
    """
    n = len(shown)
    if before is None:
        before = AgentState(network.start(weights, n), np.zeros(n, np.int64))
    state, seen = before
    if episode_start is not None:
        fresh = np.asarray(episode_start, bool).reshape(n)
        wiped = torch.from_numpy(fresh)
        state = tuple(torch.where(wiped.view(n, *[1] * (v.ndim - 1)), torch.zeros_like(v), v) for v in state)
        seen = np.where(fresh, 0, seen)
    drawn = torch.randn(n, network.n_units, generator=noise) if noise is not None and noise_of(network) else None
    return AgentState(network.step(weights, state, torch.from_numpy(shown), drawn), seen + (shown[:, 0] == 0))
