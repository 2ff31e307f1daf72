"""What an agent that is a network carries from step to step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mtrnn_agents.networks.base import Network, Weights, noise_of
from mtrnn_envs import EvidenceTask


class Memory(NamedTuple):
    """What the agent carries from step to step.

    Attributes:
        state: of the network, in which the last observation has been seen; its hidden activity `[N, H]` comes first.
        seen: observations since the cue fell, `[N]`.
    """

    state: tuple[Tensor, ...]
    seen: Int[np.ndarray, " N"]


def checked_observation(task: EvidenceTask, observation: np.ndarray) -> Float[np.ndarray, "N F"]:
    """`observation`, `[N, F]` or `[F]`, as a batch; `ValueError` if it is not `task.n_features` wide."""
    shown = np.atleast_2d(np.asarray(observation, np.float32))
    if shown.ndim != 2 or shown.shape[1] != task.n_features:
        raise ValueError(f"observation has shape {np.shape(observation)}; [N, {task.n_features}] is needed")
    return shown


def remembered(
    network: Network,
    weights: Weights,
    memory: Memory | None,
    shown: Float[np.ndarray, "N F"],
    episode_start: Bool[np.ndarray, " N"] | None,
    noise: torch.Generator | None,
) -> Memory:
    """The memory in which `shown` has been seen; where `episode_start`, it knows of nothing else.

    With `noise`, a network that has noise of its own draws it from there.
    """
    n = len(shown)
    if memory is None:
        memory = Memory(network.start(weights, n), np.zeros(n, np.int64))
    before, seen = memory
    if episode_start is not None:
        fresh = np.asarray(episode_start, bool).reshape(n)
        wiped = torch.from_numpy(fresh)
        before = tuple(torch.where(wiped.view(n, *[1] * (v.ndim - 1)), torch.zeros_like(v), v) for v in before)
        seen = np.where(fresh, 0, seen)
    drawn = torch.randn(n, network.n_units, generator=noise) if noise is not None and noise_of(network) else None
    return Memory(network.step(weights, before, torch.from_numpy(shown), drawn), seen + (shown[:, 0] == 0))
