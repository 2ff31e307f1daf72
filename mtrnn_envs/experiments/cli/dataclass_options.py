"""Parses a command line into a frozen dataclass, with the help of each field; built on tyro."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, Union, get_args

import docstring_parser
import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

Options = TypeVar("Options")


def parse(options: type[Options] | Options, args: Sequence[str], prog: str, description: str) -> Options:
    """The options that `args` give: `--field value`, `--field.field-of-it value`, and `field:kind` where a field is one
    of several dataclasses. `options` is their dataclass, or an instance with other defaults.

    Raises:
        SystemExit: with 0 after `--help`, with 2 if `args` are not allowed, which is then explained.
    """
    kind = options if isinstance(options, type) else type(options)
    return tyro.cli(
        kind,
        args=args,
        default=tyro.MISSING_NONPROP if isinstance(options, type) else options,
        prog=prog,
        description=description,
        # Options may stand before and after the choice of a kind, and those of the default kind need no choice.
        config=(tyro.conf.CascadeSubcommandArgs,),
        registry=_registry(),
    )


def parse_known(default: Options, args: Sequence[str]) -> Options:
    """`default` with the values that `args` give to its fields; other options are ignored."""
    return tyro.cli(type(default), args=args, default=default, return_unknown_args=True, add_help=False)[0]


def _registry() -> ConstructorRegistry:
    registry = ConstructorRegistry()
    registry.struct_rule(_dataclass)
    return registry


def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """The fields of a dataclass; tyro's own rule reads neither metadata, nor types under `no_type_check`."""
    kind = info.type
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    hints: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        hints |= inspect.get_annotations(base, eval_str=True)
    documented = {p.arg_name: " ".join((p.description or "").split()) for p in _parts(kind).params}
    specs = []
    for field in dataclasses.fields(kind):
        if isinstance(info.default, kind):
            default = getattr(info.default, field.name)
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        else:
            default = tyro.MISSING if field.default is dataclasses.MISSING else field.default
        shown = type(default) if hints[field.name] is Any else _summarised(hints[field.name])
        if field.metadata.get("positional"):
            shown = tyro.conf.Positional[shown]
        specs.append(
            StructFieldSpec(field.name, shown, default, field.metadata.get("help", documented.get(field.name)))
        )
    return StructConstructorSpec(kind, tuple(specs))


def _summarised(hint: Any) -> Any:
    """A union of dataclasses, each described by the first line of its docstring; any other type unchanged."""
    kinds = get_args(hint)
    if not kinds or not all(dataclasses.is_dataclass(kind) for kind in kinds):
        return hint
    lines = [(_parts(kind).short_description or "").rstrip(":") for kind in kinds]
    shown = [Annotated[kind, tyro.conf.subcommand(description=line)] for kind, line in zip(kinds, lines, strict=True)]
    return Union[tuple(shown)]  # noqa: UP007 (there is no other way to write it)


def _parts(kind: Any) -> docstring_parser.Docstring:
    return docstring_parser.parse(kind.__doc__ or "")
