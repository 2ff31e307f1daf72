"""What names of the user's own, "module:attribute", hold: a run with another content is another run."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from mtrnn_agents.network import FIXED, Network, Sizes
from mtrnn_envs import EvidenceTask


def named_contents(task: EvidenceTask, network: Network | None = None) -> dict[str, str]:
    """A hash of what the boundaries of `task`, and the connectivity of `network`, hold now, if they are named."""
    contents = {}
    if ":" in task.boundaries:
        points = np.linspace(-0.49, 0.48, 16 * task.n_dims).reshape(16, task.n_dims)
        contents["boundaries"] = task.boundary.margins(points)
    if network is not None and isinstance(getattr(network, "connectivity", None), str):
        weights = network.first_weights(Sizes.of(task), torch.Generator())
        contents["connectivity"] = weights[FIXED + "mask"].numpy()
    return {name: hashlib.sha256(values.tobytes()).hexdigest()[:16] for name, values in contents.items()}
