"""Agents, probes, figures, reports, networks and backends by name, whichever package they come from.

A package registers a plug-in with one line of its pyproject.toml; this one registers its own in the same way:

    [project.entry-points."mtrnn.agents"]
    mine = "my_package.my_agent"

Instead of a name, "package.module:attribute" and "package.module" are accepted, and "module" where no plug-in has that
name.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from mtrnn_envs.protocols import AgentPlugin
from mtrnn_envs.utils.validation import check_choice


class Group(NamedTuple):
    """A kind of plug-in: its entry-point group, and the extra of mtrnn-envs that installs what our own need."""

    entry_points: str
    extra: str


# A figure has the name of the probe whose result it draws.
GROUPS = {
    "agent": Group("mtrnn.agents", "agents"),
    "benchmark agent": Group("mtrnn.entrants", "agents"),
    "network": Group("mtrnn.networks", "agents"),
    "probe": Group("mtrnn.probes", "analysis"),
    "figure": Group("mtrnn.figures", "analysis"),
    "report": Group("mtrnn.reports", "analysis"),
    "backend": Group("mtrnn.backends", "studies"),
}


def agent(name: str) -> AgentPlugin:
    """The agent plug-in called `name`; raises as `find`, and `ValueError` if it is not an `AgentPlugin`."""
    plugin = find("agent", name)
    missing = [part for part in ("train", "Training", "PRESETS", "load") if not hasattr(plugin, part)]
    if missing:
        raise ValueError(f"agent {name!r} has no {missing[0]!r}; it needs train, Training, PRESETS and load")
    return plugin


def probe(name: str) -> Callable[..., Any]:
    """The probe called `name`: a function of arrays that returns a frozen dataclass; raises as `find_function`."""
    return find_function("probe", name)


def figure(name: str) -> Callable[..., Any]:
    """The function that draws a result of the probe called `name`; raises as `find_function`."""
    return find_function("figure", name)


def report(name: str) -> Callable[..., Any]:
    """The function that writes the report called `name`; raises as `find_function`."""
    return find_function("report", name)


def names(kind: str) -> list[str]:
    """The names of all installed plug-ins of a kind, one of `GROUPS`."""
    return sorted({entry.name for entry in entry_points(group=GROUPS[kind].entry_points)})


def find_function(kind: str, name: str) -> Callable[..., Any]:
    """The plug-in of a kind called `name`; raises as `find`, and `ValueError` if it cannot be called."""
    function = find(kind, name)
    if not callable(function):
        raise ValueError(f"{kind} {name!r} cannot be called; give a function, as package.module:function")
    return function


def find(kind: str, name: str) -> Any:
    """The plug-in of a kind, one of `GROUPS`, called `name`.

    Raises:
        ValueError: if no plug-in has that name, with the closest one, or if several have it.
        ImportError: if it cannot be imported, with the command that installs what is missing.
    """
    group, extra = GROUPS[kind]
    if "." in name or ":" in name or (name not in names(kind) and name.isidentifier() and find_spec(name)):
        return _imported(kind, name)
    check_choice(name, names(kind), "name", f"entry-point group {group}")
    entry, *others = entry_points(group=group, name=name)
    if others:
        values = sorted(each.value for each in (entry, *others))
        raise ValueError(f"{kind} {name!r} may be {' or '.join(values)}; give one of these")
    try:
        plugin = import_module(entry.module)
        for part in (entry.attr or "").split(".") if entry.attr else []:
            if not hasattr(plugin, part):
                raise ValueError(f"{kind} {name!r} is {entry.value}, which has no {part!r}: reinstall its package")
            plugin = getattr(plugin, part)
        return plugin
    except ImportError as error:
        # A package that reports a missing dependency itself raises from the original error.
        missing = getattr(error.__cause__ or error, "name", None) or error
        theirs = entry.dist.name if entry.dist else "mtrnn-envs"
        needed = f"mtrnn-envs[{extra}]" if theirs == "mtrnn-envs" else theirs
        raise ImportError(f'{kind} {name!r} needs {missing}: pip install "{needed}"') from error


def _imported(kind: str, name: str) -> Any:
    """The object that "package.module" or "package.module:attribute" names."""
    module, _, attribute = name.partition(":")
    if not module or module.startswith(".") or "/" in module or module.endswith(".py"):
        stem = Path(module).stem or "my_module"
        raise ValueError(
            f"{kind} {name!r} is not package.module:attribute; from the folder of the file, use {stem}:..."
        )
    try:
        plugin = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module exists, and needs another one that does not
        raise ValueError(f"{kind} {name!r}: there is no module {error.name!r} to import") from error
    return getattr(plugin, check_choice(attribute, dir(plugin), "name", module)) if attribute else plugin
