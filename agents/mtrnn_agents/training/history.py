"""The training history: columns of numbers by name, one entry for each evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

# Statistics of the rollouts that an agent learns from; all others are computed on validation trials.
OF_TRAINING = ("rollout_reward", "entropy", "approx_kl", "clip_fraction", "value_loss")
# Of agents that are trained by reward the first column is "steps", the environment steps made so far.
Columns: TypeAlias = dict[str, tuple[float, ...]]


def extended(history: Columns, row: Mapping[str, float], n: int) -> Columns:
    """`history`, which has `n` entries, with one more in each column; what is missing now, or was before, is NaN."""
    before = (math.nan,) * n
    names = dict.fromkeys([*history, *row])
    return {name: (*history.get(name, before), float(row.get(name, math.nan))) for name in names}


def from_json(values: Mapping[str, Any]) -> Columns:
    """The history that was written as JSON."""
    return {name: tuple(column) for name, column in values.items()}


def evaluation(history: Columns) -> dict[str, float]:
    """The last evaluation on validation trials, by name; empty if there was none."""
    return {name: value for name, value in last(history).items() if name not in OF_TRAINING}


def last(history: Columns) -> dict[str, float]:
    """The last entry of each column; empty if there is none."""
    return {name: column[-1] for name, column in history.items() if column}
