"""The course of a training that is paid by reward: columns of numbers by name, one entry for each evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

# The first column is "steps", the environment steps made so far.
Course: TypeAlias = dict[str, tuple[float, ...]]


def extended(course: Course, row: Mapping[str, float]) -> Course:
    """`course` with one entry more in each column; what is missing now, or was before, is NaN there."""
    before = (math.nan,) * max(map(len, course.values()), default=0)
    names = dict.fromkeys([*course, *row])
    return {name: (*course.get(name, before), float(row.get(name, math.nan))) for name in names}


def from_json(values: Mapping[str, Any]) -> Course:
    """The course that was written as JSON."""
    return {name: tuple(column) for name, column in values.items()}


def last(course: Course) -> dict[str, float]:
    """The last entry of each column; empty if there is none."""
    return {name: column[-1] for name, column in course.items() if column}
