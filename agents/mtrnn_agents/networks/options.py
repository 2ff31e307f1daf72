"""Fields of settings: each has its default, its help and the values that it allows."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from dataclasses import field, fields
from typing import Any

from mtrnn_envs.utils.validation import check_int


def option(
    default: object,
    help: str,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float = 1e30,
    among: Iterable[str] | None = None,
) -> Any:
    """A field of a settings dataclass, with its help for the command line and the values that `check_fields` allows.

    Arguments:
        low: the least number allowed.
        above: a number below all that are allowed, instead of `low`.
        high: the greatest number allowed, of a field that is a float.
        among: the strings allowed.
    """
    return field(default=default, metadata={"help": help, "low": low, "above": above, "high": high, "among": among})


def check_fields(settings: Any) -> None:
    """Checks the fields of frozen `settings` that were made by `option`, and makes Python's numbers of numpy's.

    Raises:
        ValueError: if a field is out of its range, naming it, its value and what is allowed.
    """
    for each in fields(settings):
        name, value, allowed = each.name, getattr(settings, each.name), each.metadata
        kinds = str(getattr(each.type, "__name__", each.type)).split(" | ")
        if (value is None and "None" in kinds) or (isinstance(value, str) and kinds == ["float", "str"]):
            continue
        if (among := allowed.get("among")) is not None:
            if value not in among:
                raise ValueError(f"{name}={value!r} is not one of {sorted(among)}")
        elif kinds[0] == "bool":
            if not isinstance(value, bool):
                raise ValueError(f"{name}={value!r} is neither True nor False")
        elif kinds[0] == "int":
            object.__setattr__(settings, name, check_int(name, value, allowed["low"]))
        elif kinds[0] == "float":
            object.__setattr__(settings, name, _real(name, value, **allowed))


def _real(name: str, value: object, low: float | None, above: float | None, high: float, **_: object) -> float:
    number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    if not number <= high or (number <= above if above is not None else low is not None and number < low):
        bound = f"({above}" if above is not None else f"[{low}"
        raise ValueError(f"{name}={value!r} is not a number in {bound}, {high}]")
    return number
