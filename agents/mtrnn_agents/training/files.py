"""Files of weights: safetensors, with everything else as JSON in the header.

Files hold no code. But a task or a network may name a custom boundary or mask as "module:attribute", and that module is
then imported, from wherever Python finds it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mtrnn_agents.networks.agent_state import NetworkAgent
from mtrnn_agents.networks.base import Weights
from mtrnn_agents.training.run import named_contents
from mtrnn_agents.training.settings import Settings, from_fields, to_fields
from mtrnn_envs import EvidenceTask, __version__
from mtrnn_envs.utils.atomic_write import atomic_write

# The file of an agent in the folder that was given to `train`.
AGENT = "agent.safetensors"
SCHEMA = 3
HEADER = "mtrnn_agents"


def write(path: str | os.PathLike[str], kind: str, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Writes `arrays` and, as JSON, the header `about`; the file is whole or not there (`OSError`)."""
    header = json.dumps({"schema": SCHEMA, "kind": kind, "version": __version__, **about})
    with atomic_write(path) as temporary:
        try:
            save_file({name: np.ascontiguousarray(v) for name, v in arrays.items()}, temporary, {HEADER: header})
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from error


def read(path: str | os.PathLike[str], kind: str | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the header that `write` wrote; of any kind, if None.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not whole, of another kind, or was not written by `write` of this schema.
    """
    try:
        with safe_open(path, "np") as file:
            about = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a dict)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}; to begin anew, delete it") from error
    if about.get("schema") != SCHEMA:
        raise ValueError(f"{path} has schema {about.get('schema')!r}; this version reads schema {SCHEMA} only")
    if kind not in (None, about["kind"]):
        raise ValueError(f"{path} holds {about['kind']!r}, where {kind!r} is needed")
    return arrays, about


def write_network(path: str | os.PathLike[str], kind: str, agent: NetworkAgent, **more: object) -> None:
    """Writes the weights, task, settings and seed of an agent that is a network, and `more` that JSON can hold."""
    about = {"task": json.loads(agent.task.to_json()), "training": to_fields(agent.training)}
    about |= {"seed": agent.seed, "contents": named_contents(agent.task, agent.network)}
    arrays = {name: v.detach().numpy() for name, v in agent.weights.items()}
    write(path, kind, arrays, {**about, **more})


def read_network(
    path: str | os.PathLike[str], kind: str, trained_by: type[Settings]
) -> tuple[tuple[EvidenceTask, Settings, Weights, int], dict[str, Any]]:
    """The task, settings (of the class `trained_by`), weights and seed that `write_network` wrote; all else by name."""
    arrays, about = read(path, kind)
    weights = {name: torch.from_numpy(v) for name, v in arrays.items()}
    task, training = EvidenceTask.from_fields(about["task"]), from_fields(trained_by, about["training"])
    return (task, training, weights, about["seed"]), about


def difference(ours: object, theirs: object, name: str = "") -> str | None:
    """Where two JSON values differ first, as "name is x there and y here"; None if nowhere."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*ours, *theirs]):
            mine, other = ours.get(key, "missing"), theirs.get(key, "missing")
            if found := difference(mine, other, f"{name}.{key}" if name else key):
                return found
        return None
    return None if ours == theirs else f"{name} is {theirs!r} there and {ours!r} here"
