"""What names of the user's own, "module:attribute", hold: a run with another content is another run."""

from __future__ import annotations

import hashlib

import torch

from mtrnn_agents.networks.base import FIXED, Network, Sizes
from mtrnn_envs import EvidenceTask
from mtrnn_envs.components.boundaries import fingerprint


def named_contents(task: EvidenceTask, network: Network | None = None) -> dict[str, str]:
    """A hash of what the boundaries of `task`, and the connectivity of `network`, hold now, if they are named."""
    contents = {}
    if ":" in task.boundaries:
        contents["boundaries"] = fingerprint(task.boundary, task.n_dims)
    if network is not None and isinstance(getattr(network, "connectivity", None), str):
        weights = network.first_weights(Sizes.of(task), torch.Generator())
        mask = weights[FIXED + "mask"].numpy()
        contents["connectivity"] = hashlib.sha256(mask.tobytes()).hexdigest()[:16]
    return contents
