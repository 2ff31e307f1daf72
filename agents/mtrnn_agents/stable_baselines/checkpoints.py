"""The state of training of a model of Stable-Baselines3, and its file: without any code, unlike SB3's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from mtrnn_agents.stable_baselines.policies import check_shapes
from mtrnn_agents.training import files as storage
from mtrnn_agents.training import history as columns
from mtrnn_agents.training.checkpoint import refuse_other
from mtrnn_agents.training.history import Columns


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of training after whole iterations.

    Attributes:
        arrays: the policy's weights, "policy.<name>", and the optimiser's, "optimizer.<parameter>.<name>".
        numbers: what the optimiser keeps besides arrays, by the same names.
        iteration: iterations made.
        history: the evaluations so far.
        trials: begun so far, those that were cut off included, and those of a last rollout that were too many.
        diverged: the steps after which weights or logits were not finite; training has stopped before. It is not kept.
    """

    arrays: dict[str, np.ndarray]
    numbers: dict[str, float]
    iteration: int = 0
    history: Columns = field(default_factory=dict)
    trials: int = 0
    diverged: int | None = None


def snapshot(model: OnPolicyAlgorithm, iteration: int, history: Columns, trials: int = 0) -> Progress:
    """The state of the model, copied."""
    arrays = {f"policy.{name}": v.detach().cpu().numpy().copy() for name, v in model.policy.state_dict().items()}
    numbers: dict[str, float] = {}
    for index, parts in model.policy.optimizer.state_dict()["state"].items():
        for name, value in parts.items():
            if isinstance(value, torch.Tensor):
                arrays[f"optimizer.{index}.{name}"] = value.cpu().numpy().copy()
            else:
                numbers[f"optimizer.{index}.{name}"] = value
    return Progress(arrays, numbers, iteration, history, trials)


def restore(model: OnPolicyAlgorithm, state: Progress) -> None:
    """Puts the model in a state from a file.

    Raises:
        ValueError: if that is not one of such a model.
    """
    check_shapes(state.arrays, _shapes(model, state.arrays))
    weights: dict[str, Any] = {}
    optimizer: dict[int, dict[str, Any]] = {}
    tensors: dict[str, Any] = {name: torch.from_numpy(v.copy()) for name, v in state.arrays.items()}
    for name, value in {**tensors, **state.numbers}.items():
        part, _, rest = name.partition(".")
        if part == "policy":
            weights[rest] = value
        else:
            index, _, what = rest.partition(".")
            optimizer.setdefault(int(index), {})[what] = value
    model.policy.load_state_dict(weights)
    groups = model.policy.optimizer.state_dict()["param_groups"]
    model.policy.optimizer.load_state_dict({"state": optimizer, "param_groups": groups})


def _shapes(model: OnPolicyAlgorithm, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shape of each array; of the optimiser's, whose names are not known before, of all that go with `names`."""
    found = [name.split(".")[1:] for name in names if name.startswith("optimizer.")]
    parameters = model.policy.optimizer.param_groups[0]["params"]
    shapes = {f"policy.{name}": tuple(v.shape) for name, v in model.policy.state_dict().items()}
    for index, what in product({int(i) for i, _ in found}, {what for _, what in found}):
        if index < len(parameters):  # a file has no array of no axis
            shapes[f"optimizer.{index}.{what}"] = (1,) if what == "step" else tuple(parameters[index].shape)
    return shapes


def write(path: Path, run: dict[str, Any], state: Progress) -> None:
    """Writes the state of the run that has the identity `run`."""
    about = {"numbers": state.numbers, "iteration": state.iteration, "history": state.history, "trials": state.trials}
    storage.write(path, "checkpoint", state.arrays, {"run": run, **about})


def read(path: Path, run: dict[str, Any]) -> Progress:
    """The state that `write` wrote.

    Raises:
        ValueError: if it is that of another run, or the file is not whole.
    """
    arrays, about = storage.read(path, "checkpoint")
    refuse_other(path, about["run"], run)
    history = columns.from_json(about["history"])
    return Progress(arrays, about["numbers"], about["iteration"], history, about["trials"])
