"""Gymnasium environments in which an agent answers many binary questions about one hidden point.

Importing this package registers its Gymnasium ids; see `mtrnn_envs.IDS`.
"""

from __future__ import annotations

from typing import Any

import gymnasium

from mtrnn_envs.recording import Recording, record
from mtrnn_envs.stream import Stream
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, observe, sample
from mtrnn_envs.version import __version__

# A variant is a row: its id, the fields of `EvidenceTask` in which it differs from the defaults, and the mean reward
# per trial from which it counts as solved: 95 % of the way from chance to ideal performance.
IDS: dict[str, tuple[dict[str, Any], float]] = {
    "MultiTaskEvidence-v0": ({}, 0.937),
    "MultiTaskEvidenceRT-v0": ({"payoff": "quadratic", "decision": 0}, 0.755),
    "MultiTaskEvidenceNonlinear-v0": ({"boundaries": "product"}, 0.98),
    "MultiTaskEvidenceCued-v0": ({"cueing": "one"}, 0.937),
}


def register() -> None:
    """Registers the ids with Gymnasium; calling it again changes nothing."""
    for env_id, (kwargs, threshold) in IDS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point="mtrnn_envs.environments.env:EvidenceEnv",
                vector_entry_point="mtrnn_envs.environments.vector_env:EvidenceVectorEnv",
                reward_threshold=threshold,
                kwargs=dict(kwargs),
            )


register()

__all__ = [
    "IDS",
    "EvidenceTask",
    "Recording",
    "Stream",
    "Trials",
    "__version__",
    "observe",
    "record",
    "register",
    "sample",
]
