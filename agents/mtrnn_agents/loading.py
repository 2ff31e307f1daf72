"""Trained agents from their files, of every kind."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from mtrnn_agents.training import files as storage
from mtrnn_agents.training.files import AGENT

# The class of each kind of file, imported when one is there: that of Stable-Baselines3 takes seconds.
KINDS = {
    "agent": ("mtrnn_agents.supervised.agent", "SupervisedAgent"),
    "policy": ("mtrnn_agents.trial_ppo.agent", "PolicyAgent"),
    "stable_baselines": ("mtrnn_agents.stable_baselines.agent", "StableBaselinesAgent"),
}


def load(path: str | os.PathLike[str]) -> Any:
    """The agent in the file `path`, or in the folder that was given to `train`; see the `load` of its class.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold an agent, is not whole, or is of an unknown version.
    """
    file = Path(path) / AGENT if Path(path).is_dir() else Path(path)
    if not file.exists() and list(file.parent.glob("checkpoint.*")):
        raise FileNotFoundError(f"there is no {file}: training is not finished; the same call of train goes on with it")
    if (kind := storage.read(file)[1]["kind"]) not in KINDS:
        raise ValueError(f"{file} holds {kind!r}, where one of {sorted(KINDS)} is needed")
    module, name = KINDS[kind]
    return getattr(import_module(module), name).load(file)
