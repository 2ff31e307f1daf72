"""The parts that all settings share: schedules of the learning rate, JSON, and checks of arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

from mtrnn_agents.networks import registry as networks
from mtrnn_envs import EvidenceTask
from mtrnn_envs.utils.validation import check_choice

Settings = TypeVar("Settings")

# A schedule is one row: the factor of the rate when a share of training, from 0 to 1, is done.
SCHEDULES = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
}


def to_fields(training: Any) -> dict[str, Any]:
    """Settings, one of whose fields is a network, as JSON; `from_fields` gives them back, equal."""
    values = {f.name: getattr(training, f.name) for f in fields(training)}
    return values | {"network": networks.to_fields(training.network)}


def from_fields(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Settings from names and values; an unknown name raises `ValueError` with the name that was probably meant."""
    names = [f.name for f in fields(cast(Any, kind))]
    parts = {check_choice(name, names, "field", kind.__name__): value for name, value in values.items()}
    if "network" in parts:
        parts["network"] = networks.from_fields(parts["network"])
    return kind(**parts)


def checked_settings(training: object, kind: type[Settings]) -> Settings:
    """`training`, or the defaults if it is None; `ValueError` if it is the `Training` of another trainer."""
    if training is None:
        return kind()
    if not isinstance(training, kind):
        theirs, ours = (f"{one.__module__}.{one.__qualname__}" for one in (type(training), kind))
        raise ValueError(f"training={training!r} is a {theirs}; a {ours} is needed here")
    return training


def checked_task(task: object) -> EvidenceTask:
    """`task`, if it is an `EvidenceTask`; else `ValueError`."""
    if not isinstance(task, EvidenceTask):
        raise ValueError(f"task={task!r} is not an EvidenceTask; give one, as EvidenceTask(n_tasks=6)")
    return task
