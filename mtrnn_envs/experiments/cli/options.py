"""How a command declares its options, a frozen dataclass with one field an option, and reads and reports them.

This module imports nothing heavy: the parser (`dataclass_options`), which needs an extra, is imported when used.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import MISSING, field
from types import ModuleType
from typing import Any, TypeVar

Options = TypeVar("Options")


class Failed(Exception):
    """A command ran to its end, and its result is a failure."""


def say(sentence: str) -> None:
    """Prints a sentence to stderr at once."""
    print(sentence, file=sys.stderr, flush=True)


def option(default: Any, text: str) -> Any:
    """A field that is an option `--name`, with its help."""
    return field(default=default, metadata={"help": text})


def argument(text: str, default: Any = MISSING) -> Any:
    """A field that is a positional argument, with its help."""
    return field(default=default, metadata={"help": text, "positional": True})


def parse(options: type[Options] | Options, args: Sequence[str], command: str, *about: str | None) -> Options:
    """The options of a command; `options` is their dataclass, or an instance with other defaults."""
    return parser().parse(options, args, f"mtrnn {command}", "\n\n".join(filter(None, about)))


def parser() -> ModuleType:
    """The module that parses; raises `ImportError` with the command that installs what it needs."""
    try:
        from mtrnn_envs.experiments.cli import dataclass_options
    except ImportError as error:
        raise ImportError(f'mtrnn needs {error.name}: pip install "mtrnn-envs[all]"') from error
    return dataclass_options
