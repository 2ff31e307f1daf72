"""Files of training states, and the agents of runs that are finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from mtrnn_agents.training import files as storage
from mtrnn_agents.training.files import AGENT
from mtrnn_agents.training.run import Run, identity

CHECKPOINT = "checkpoint.safetensors"


def write(path: Path, run: dict[str, Any], state: Any) -> None:
    """Writes a state, a dataclass of arrays and of JSON, of the run that has the identity `run`."""
    values = {f.name: getattr(state, f.name) for f in fields(state)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    others = {name: value for name, value in asdict(state).items() if name not in arrays}
    storage.write(path, "checkpoint", arrays, {"run": run, "state": others})


def read(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """The fields of the state that `write` wrote, arrays and JSON.

    Raises:
        ValueError: if the state is that of another run, or the file is not whole.
    """
    arrays, about = storage.read(path, "checkpoint")
    refuse_other(path, about["run"], run)
    return {**about["state"], **arrays}


def finished(kind: type[Any], run: Mapping[str, Any], folder: Path | None) -> Any:
    """The agent of class `kind` in `folder` of the run that has the identity `run`; None if it is not there.

    Raises:
        ValueError: if the agent there is that of another run.
    """
    if folder is None or not (folder / AGENT).exists():
        return None
    agent, about = kind.load(folder / AGENT), storage.read(folder / AGENT)[1]
    if "run" in about:
        theirs = about["run"] or {}
    else:  # the contents of names are those at the time of training; other contents make another run
        theirs = identity(Run(agent.task, agent.seed), agent.training) | {"contents": about["contents"]}
    refuse_other(folder / AGENT, theirs, run)
    return agent


def refuse_other(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raises `ValueError` if the file at `path` is of another run than ours."""
    if found := storage.difference(ours, theirs):
        raise ValueError(f"{path} is of another run: {found}; give another folder, or the settings of that run")
