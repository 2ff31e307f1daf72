"""Checks of values that users give, shared by several modules."""

from __future__ import annotations

import difflib
import importlib
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

# The plurals of nouns of `check_choice` that need more than an s.
PLURALS = {"axis": "axes", "study": "studies"}


def check_int(name: str, value: object, low: int, high: int | None = None) -> int:
    """`value` as an int, if it is a whole number from `low` to `high` (None: without end) and not a bool.

    Raises:
        ValueError: if it is not, naming the argument, the value and what is allowed.
    """
    number = int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else None
    if number is None or number < low or (high is not None and number > high):
        allowed = f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"
        raise ValueError(f"{name}={value!r} is not {allowed}")
    return number


def attribute_named(name: str) -> Any:
    """The object that "module:attribute" names; importing it raises whatever that module raises."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def kind_named(field: str, name: str, kinds: Mapping[str, Any]) -> Any:
    """The kind that `field` names: one of `kinds`, or the object of "module:attribute".

    Raises:
        ValueError: if it is neither, or cannot be imported.
    """
    if name in kinds:
        return kinds[name]
    if ":" not in name:
        raise ValueError(f"{field}={name!r} is not one of {sorted(kinds)} nor of the form 'module:attribute'")
    try:
        return attribute_named(name)
    except Exception as error:  # importing runs a user's code, which may raise anything
        raise ValueError(f"{field}={name!r} cannot be imported: {error!r}") from error


class UnknownKeyword(ValueError, TypeError):
    """An unknown keyword argument: a `ValueError`, and the `TypeError` that other libraries expect.

    TorchRL, for one, passes `frameskip` to every environment, and drops it at Python's own message for this mistake.
    """


def check_choice(name: Any, names: Iterable[str], noun: str, of: str) -> str:
    """`name`, if it is one of `names`, a `noun` each, `of` something.

    Raises:
        ValueError: if it is not, saying which was probably meant, or which there are.
    """
    names = list(names)
    if name not in names:
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the {PLURALS.get(noun, noun + 's')} are {', '.join(names)}"
        raise ValueError(f"{name!r} is not {'an' if noun[0] in 'aeiou' else 'a'} {noun} of {of}; {hint}")
    return name
