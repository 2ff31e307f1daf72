"""The course of a training: columns of numbers by name, one entry for each evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

# What is told of training itself, by those that learn from their own rollouts; all else is found on validation trials.
OF_TRAINING = ("rollout_reward", "entropy", "approx_kl", "clip_fraction", "value_loss")
# Of agents that are trained by reward the first column is "steps", the environment steps made so far.
Course: TypeAlias = dict[str, tuple[float, ...]]


def extended(course: Course, row: Mapping[str, float], n: int) -> Course:
    """`course`, which has `n` entries, with one more in each column; what is missing now, or was before, is NaN."""
    before = (math.nan,) * n
    names = dict.fromkeys([*course, *row])
    return {name: (*course.get(name, before), float(row.get(name, math.nan))) for name in names}


def from_json(values: Mapping[str, Any]) -> Course:
    """The course that was written as JSON."""
    return {name: tuple(column) for name, column in values.items()}


def evaluation(course: Course) -> dict[str, float]:
    """What the last evaluation found on validation trials; empty if there was none."""
    return {name: value for name, value in last(course).items() if name not in OF_TRAINING}


def last(course: Course) -> dict[str, float]:
    """The last entry of each column; empty if there is none."""
    return {name: column[-1] for name, column in course.items() if column}
