"""A run: one agent to be trained, its identity, and its validation trials."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from mtrnn_agents.networks.base import Network
from mtrnn_agents.training.settings import to_fields
from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.experiments.fingerprints import digest_of_bytes, task_contents
from mtrnn_envs.rng.philox import Counter
from mtrnn_envs.trials import sample

N_VALIDATION = 2048


class Run(NamedTuple):
    """One network to be trained: its task, and the seed of its weights and trials."""

    task: EvidenceTask
    seed: int


def named_contents(task: EvidenceTask, network: Network) -> dict[str, str]:
    """Hashes of the contents that `task` and `network` name as "module:attribute".

    A network may offer `named_arrays() -> dict[str, np.ndarray]`: such arrays by the name of their field.
    """
    arrays = getattr(network, "named_arrays", dict)()
    return task_contents(task) | {name: digest_of_bytes(array.tobytes()) for name, array in arrays.items()}


def identity(run: Run, training: Any) -> dict[str, Any]:
    """All that determines a run, as JSON; of what it names as "module:attribute", a hash of the present content."""
    return {
        "task": json.loads(run.task.to_json()),
        "seed": run.seed,
        "training": to_fields(training),
        "contents": named_contents(run.task, training.network),
    }


def validation_trials(run: Run) -> Trials:
    """The trials (numpy) on which a network is evaluated, which share nothing with those that it is trained on."""
    return sample(run.task, N_VALIDATION, Counter(run.seed, "validation"))
