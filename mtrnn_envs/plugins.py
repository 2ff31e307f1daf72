"""Agents and probes by name. A third party's stand exactly as ours do, in the pyproject.toml of what is installed:

    [project.entry-points."mtrnn.agents"]
    mine = "my_package.my_agent"

"package.module", "package.module:attribute", and "module" where no plug-in has that name, are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mtrnn_envs.protocols import AgentPlugin
from mtrnn_envs.utils.validation import check_choice

# The group of entry points of a kind of plug-in, and the extra of ours that brings what it needs. A figure has the name
# of the probe whose finding it draws.
GROUPS = {
    "agent": ("mtrnn.agents", "agents"),
    "entrant": ("mtrnn.entrants", "agents"),
    "probe": ("mtrnn.probes", "analysis"),
    "figure": ("mtrnn.figures", "analysis"),
    "report": ("mtrnn.reports", "analysis"),
}


def agent(name: str) -> AgentPlugin:
    """The agent plug-in called `name`.

    Raises:
        ValueError: if there is none, saying which was probably meant, or several, or it is no `AgentPlugin`.
        ImportError: if it cannot be imported, with the command that installs what is missing.
    """
    found = _find("agent", name)
    missing = [part for part in ("train", "Training", "PRESETS", "load") if not hasattr(found, part)]
    if missing:
        raise ValueError(f"agent {name!r} has no {missing[0]!r}; it needs train, Training, PRESETS and load")
    return found


def entrant(name: str) -> Callable[..., Any]:
    """What makes the agent of that name for the benchmark; raises as `probe`. See
    `mtrnn_envs.experiments.benchmark.agents`."""
    return _function("entrant", name)


def probe(name: str) -> Callable[..., Any]:
    """The probe called `name`: from arrays to a frozen dataclass.

    Raises:
        ValueError: if there is none, saying which was probably meant, or several, or it cannot be called.
        ImportError: if it cannot be imported, with the command that installs what is missing.
    """
    return _function("probe", name)


def figure(name: str) -> Callable[..., Any]:
    """The function that draws what the probe called `name` finds; raises as `probe`."""
    return _function("figure", name)


def report(name: str) -> Callable[..., Any]:
    """The function that writes the report called `name` about studies; raises as `probe`."""
    return _function("report", name)


def names(kind: str) -> list[str]:
    """The names of the plug-ins of a kind, one of `GROUPS`, that are installed."""
    return sorted({entry.name for entry in entry_points(group=GROUPS[kind][0])})


def _function(kind: str, name: str) -> Callable[..., Any]:
    found = _find(kind, name)
    if not callable(found):
        raise ValueError(f"{kind} {name!r} cannot be called; give a function, as package.module:function")
    return found


def _find(kind: str, name: str) -> Any:
    group, extra = GROUPS[kind]
    if "." in name or ":" in name or (name not in names(kind) and name.isidentifier() and find_spec(name)):
        return _imported(kind, name)
    check_choice(name, names(kind), "name", f"entry-point group {group}")
    entry, *others = entry_points(group=group, name=name)
    if others:
        values = sorted(each.value for each in (entry, *others))
        raise ValueError(f"{kind} {name!r} may be {' or '.join(values)}; give one of these")
    try:
        found = import_module(entry.module)
        for part in (entry.attr or "").split(".") if entry.attr else []:
            if not hasattr(found, part):
                raise ValueError(f"{kind} {name!r} is {entry.value}, and there is no {part!r} there: install it anew")
            found = getattr(found, part)
        return found
    except ImportError as error:
        # A package that says by itself what it needs raises from the error that told it.
        missing = getattr(error.__cause__ or error, "name", None) or error
        theirs = entry.dist.name if entry.dist else "mtrnn-envs"
        needed = f"mtrnn-envs[{extra}]" if theirs == "mtrnn-envs" else theirs
        raise ImportError(f'{kind} {name!r} needs {missing}: pip install "{needed}"') from error


def _imported(kind: str, name: str) -> Any:
    """What "package.module" or "package.module:attribute" names."""
    module, _, attribute = name.partition(":")
    if not module or module.startswith(".") or "/" in module or module.endswith(".py"):
        stem = Path(module).stem or "my_module"
        raise ValueError(f"{kind} {name!r} is no package.module:attribute; in the folder of the file it is {stem}:...")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # something else, which the module needs, is not there
        raise ValueError(f"{kind} {name!r}: there is no module {error.name!r} to import") from error
    return getattr(found, check_choice(attribute, dir(found), "name", module)) if attribute else found
