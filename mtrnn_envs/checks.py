"""Checks of numbers that users give, where several places need the same one."""

from __future__ import annotations

import numbers
from typing import Any


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as an int, if it is a whole number from `low` to `high` (or without end); no bool is one.

    Raises:
        ValueError: if it is not, naming the argument, the value and what is allowed.
    """
    number = int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else None
    if number is None or number < low or (high is not None and number > high):
        allowed = f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"
        raise ValueError(f"{name}={value!r} is not {allowed}")
    return number
