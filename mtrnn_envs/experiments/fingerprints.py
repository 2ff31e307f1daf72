"""Hashes of what may change under the name that a run has for it: one's own boundaries, agents and probes."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from mtrnn_envs import plugins
from mtrnn_envs.components.boundaries import fingerprint
from mtrnn_envs.task import EvidenceTask


def own_contents(agent: str, task: EvidenceTask, probes: Iterable[str] = ()) -> dict[str, str]:
    """Hashes of what one's own boundaries hold, and of the source of agents and probes that are no entry points.

    Those that are come of packages, whose versions are kept with what was found.
    """
    found = {"boundaries": fingerprint(task.boundary, task.n_dims)} if ":" in task.boundaries else {}
    if agent not in plugins.names("agent"):
        found["agent"] = code_of(plugins.agent(agent))
    installed = plugins.names("probe")
    return found | {f"probe {name}": code_of(plugins.probe(name)) for name in probes if name not in installed}


def code_of(make: Any) -> str:
    """A hash of the source of the package in which a module, class or function is; empty if there is none.

    Of a module in no package, that of all modules in its folder which have been imported.
    """
    while isinstance(make, partial):
        make = make.func
    name = make.__name__ if inspect.ismodule(make) else inspect.unwrap(make).__module__
    top = sys.modules.get(name.partition(".")[0])
    if (places := getattr(top, "__path__", None)) is not None:  # a package, with or without an __init__.py
        return digest_of(path for place in places for path in Path(place).rglob("*.py"))
    if (file := getattr(top, "__file__", None)) is None:
        return ""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return digest_of({Path(each) for each in files if each is not None and Path(each).parent == Path(file).parent})


def digest_of(paths: Iterable[Path]) -> str:
    """A hash of files, in whatever order and folder."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.as_posix()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
