"""Hashes that name a training run: its settings, custom boundaries and arrays, and the source of custom code."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Iterable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from mtrnn_envs import plugins
from mtrnn_envs.components.boundaries import fingerprint
from mtrnn_envs.task import EvidenceTask


def digest(agent: str, task: EvidenceTask, seed: int, training: Any) -> str:
    """The name of a training run: a hash of all that determines it."""
    run = {"agent": agent, "task": task, "seed": seed, "training": training}
    if contents := own_contents(agent, task):
        run["contents"] = contents
    return hashlib.sha256(json.dumps(run, sort_keys=True, default=fields_of).encode()).hexdigest()[:16]


def fields_of(settings: Any) -> dict[str, Any]:
    """A dataclass for JSON, with its class name, since two networks may have the same fields."""
    return {"kind": type(settings).__name__, **{f.name: getattr(settings, f.name) for f in fields(settings)}}


def own_contents(agent: str, task: EvidenceTask, probes: Iterable[str] = ()) -> dict[str, str]:
    """Hashes of custom boundaries, and of the source of agents and probes that are not entry points.

    Entry points belong to installed packages, whose versions are kept with the results.
    """
    found = task_contents(task)
    if agent not in plugins.names("agent"):
        found["agent"] = code_of(plugins.agent(agent))
    installed = plugins.names("probe")
    return found | {f"probe {name}": code_of(plugins.probe(name)) for name in probes if name not in installed}


def task_contents(task: EvidenceTask) -> dict[str, str]:
    """Hashes of the kinds that `task` names as "module:attribute": margins, rewards, and the source of noise."""
    found = {"boundaries": fingerprint(task.boundary, task.n_dims)} if ":" in task.boundaries else {}
    if ":" in task.noise:
        found["noise"] = code_of(type(task.noise_kind))
    return found | ({"payoff": digest_of_bytes(task.reward_table.tobytes())} if ":" in task.payoff else {})


def code_of(make: Any) -> str:
    """A hash of the source of the package in which a module, class or function is; empty if there is none.

    Of a module in no package, the hash is that of all imported modules in its folder.
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
    ordered = sorted(paths, key=lambda path: path.as_posix())
    return digest_of_bytes(*(path.name.encode() + path.read_bytes() for path in ordered))


def digest_of_bytes(*parts: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of `parts`, one after the other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
