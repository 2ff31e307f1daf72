"""One cell of a study: an agent is trained, its weights are kept, it is recorded and probed, and what is found is kept.

What a cell finds follows from the cell alone, on one machine with one build: not from the order in which cells are
run, nor from the number of processes, nor from how often it was stopped. Files, in the folder of the results:

    agents/<run>/        weights, state and cost of training; <run> is a hash of agent, task, seed and training
    cells/<cell>.json    what was found; <cell> is a hash of the whole cell

Cells that differ in what is asked of an agent, and no more, share the agent.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.experiments.fingerprints import own_contents
from mtrnn_envs.experiments.monitoring import decoding, digest, fields_of, ideals
from mtrnn_envs.experiments.probe_output import curves, numbers, plain, words
from mtrnn_envs.probing import probe
from mtrnn_envs.recording import Recording, record
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.utils.atomic_write import atomic_write
from mtrnn_envs.utils.validation import check_choice, check_int

SCHEMA = 1
AGENTS, CELLS = "agents", "cells"
LOCK = ".lock"  # in an agent's folder: of the process that trains it
COST = "cost.json"  # of training, beside the agent
# Environments that a recording is made in; which trials come depends on it.
N_ENVS = 256
# What the numbers of a cell may depend on, besides the cell.
PACKAGES = ("mtrnn-envs", "numpy", "scipy", "torch", "numba", "scikit-learn")


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """All that determines what one cell finds.

    Attributes:
        agent: the agent plug-in.
        task: what it is trained on.
        training: the plug-in's settings.
        seed: of the first weights and the trials of training.
        trained: False for the agent before training, from the plug-in's `untrained`.
        test: fields of the task in which the trials it is recorded on differ from those it was trained on.
        n_trials: test trials recorded.
        probes: settings by probe; see `mtrnn_envs.probing.probe`.
    """

    agent: str
    task: EvidenceTask
    training: Any
    seed: int
    trained: bool = True
    test: Mapping[str, Any] = field(default_factory=dict)
    n_trials: int = 2000
    probes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_int("seed", self.seed, 0)
        check_int("n_trials", self.n_trials, 1)
        _ = self.tested  # is it a task?

    @property
    def tested(self) -> EvidenceTask:
        """The task that the agent is recorded in."""
        return EvidenceTask.from_fields({**asdict(self.task), **self.test})

    @property
    def run(self) -> str:
        """The name of the agent: a hash of all that determines it."""
        return digest(self.agent, self.task, self.seed, self.training)

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines the cell, as plain JSON."""
        training = json.loads(json.dumps(self.training, default=fields_of))
        parts = {"agent": self.agent, "task": asdict(self.task), "training": training, "seed": self.seed}
        parts |= {"trained": self.trained, "test": dict(self.test), "n_trials": self.n_trials}
        if contents := own_contents(self.agent, self.task, self.probes):
            parts["contents"] = contents
        return json.loads(json.dumps(parts | {"probes": {name: dict(s) for name, s in self.probes.items()}}))

    @property
    def id(self) -> str:
        """The name of the cell."""
        return name_of(self.identity)


def name_of(identity: Mapping[str, Any]) -> str:
    """The name of the cell that has this identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def run_cell(cell: Cell, out: Path) -> dict[str, Any]:
    """What is found in `cell`, from its file in the folder `out` if it is there; else it is run, and written there.

    One thread is used. If training diverges, that is what was found, and there are no numbers.

    Raises:
        Exception: whatever goes wrong but for divergence; what was trained so far is kept.
    """
    from threadpoolctl import threadpool_limits

    if (before := read(out, cell.id)) is not None:
        return before
    with threadpool_limits(1):
        found = _found(cell, out)
    whole_cell = plain({"schema": SCHEMA, "cell": cell.identity, "versions": versions(), **found})
    with atomic_write(path_of(out, cell.id)) as temporary:
        temporary.write_text(json.dumps(whole_cell, allow_nan=False))
    return whole_cell


def path_of(out: Path, cell_id: str) -> Path:
    """The file of a cell."""
    return out / CELLS / f"{cell_id}.json"


def read(out: Path, cell_id: str) -> dict[str, Any] | None:
    """What was found in a cell; None if it is not there.

    Raises:
        ValueError: if the file is none that `run_cell` wrote.
    """
    path = path_of(out, cell_id)
    try:
        found = json.loads(path.read_text())
        schema = found["schema"]
        if schema == SCHEMA:
            check_choice(found["status"], ("done", "diverged"), "status", "cells")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no whole cell: {error!r}; remove it, and it is run again") from error
    if schema != SCHEMA:
        raise ValueError(f"{path} has schema {schema!r}; this version reads schema {SCHEMA} only")
    return found


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """The versions that numbers may depend on: of Python, and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except ImportError:
            continue
    return found


def agent_of(cell: Cell, out: Path) -> Any:
    """The agent of a cell, trained now if it is not there, by one process at a time.

    Raises:
        FloatingPointError: if training diverges.
    """
    from filelock import FileLock

    plugin = plugins.agent(cell.agent)
    if not cell.trained:
        if not callable(make := getattr(plugin, "untrained", None)):
            raise ValueError(f"trained=False: agent {cell.agent!r} has no function untrained(task, seed, training)")
        return make(cell.task, cell.seed, cell.training)
    folder = out / AGENTS / cell.run
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK), costed(folder / COST):
        metrics = decoding(lambda sentence: None, released=True)
        return plugin.train(cell.task, cell.seed, cell.training, folder=folder, progress=False, metrics=metrics)


@contextmanager
def costed(path: Path) -> Iterator[None]:
    """Adds what the block costs to what stands in `path`, until it has once been gone through.

    What a process spent that was killed is not counted.
    """
    if path.exists() and json.loads(path.read_text()).get("whole", True):
        yield
        return
    begun, whole_block = started(), False
    try:
        yield
        whole_block = True
    finally:
        add_cost(path, {**since(begun), "whole": whole_block})


def add_cost(path: Path, cost: Mapping[str, Any]) -> None:
    """Adds a cost to the one in a file, if one is there; the host is that of the last, and whether it is whole."""
    before = json.loads(path.read_text()) if path.exists() else {}
    total = {name: v + before.get(name, 0) if isinstance(v, float) else v for name, v in cost.items()}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(total))


def started() -> tuple[float, float]:
    """CPU and wall time now, in seconds."""
    return time.process_time(), time.perf_counter()


def since(begun: tuple[float, float]) -> dict[str, Any]:
    """What was spent since `started`, and where."""
    cpu, wall = (now - then for now, then in zip(started(), begun, strict=True))
    return {"cpu_s": cpu, "wall_s": wall, "host": platform.node()}


def recorded(cell: Cell, agent: Any) -> Recording:
    """The test trials of a cell."""
    import gymnasium as gym

    n_envs = min(N_ENVS, cell.n_trials)
    env = gym.make_vec("MultiTaskEvidence-v0", n_envs, split="test", **asdict(cell.tested))
    return record(agent, env, cell.n_trials, seed=0)


def _found(cell: Cell, out: Path) -> dict[str, Any]:
    try:
        agent = agent_of(cell, out)
    except FloatingPointError as error:
        nothing: dict[str, Any] = {"numbers": {}, "words": {}, "curves": {}, "left_out": {}}
        return {"status": "diverged", "why": str(error), **nothing, "cost": _cost(cell, out, started())}
    begun = started()
    recording = recorded(cell, agent)
    found: dict[str, Any] = {"accuracy": float(recording.correct.mean())}
    found["reward"] = float(recording.rewards.sum(axis=1).mean())
    if recording.task.reaction_time:
        found["response_step"] = float(recording.response_steps[recording.response_steps > 0].mean())
    if recording.probabilities is not None:
        p = np.clip(np.where(recording.asked > 0, recording.probabilities, 1 - recording.probabilities), 1e-7, 1)
        found["cross_entropy"] = float(-np.log(p).mean())
    found |= {f"ideal.{name}": value for name, value in ideals(recording.task, list(found)).items()}
    said: dict[str, str] = {}
    drawn: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    if cell.trained and (history := getattr(agent, "history", None)) is not None:
        drawn |= {f"history.{name}": values for name, values in _course(history).items()}
    for name, settings in cell.probes.items():
        try:
            finding = probe(recording, name, agent=agent, **settings)
        except np.linalg.LinAlgError:  # a ValueError, but no refusal
            raise
        except ValueError as error:  # the probe does not go with the recording, and never will
            left_out[name] = str(error)
            continue
        found |= {f"{name}.{key}": value for key, value in numbers(finding).items()}
        said |= {f"{name}.{key}": value for key, value in words(finding).items()}
        drawn |= {f"{name}.{key}": values for key, values in curves(finding).items()}
    parts = {"numbers": found, "words": said, "curves": drawn, "left_out": left_out}
    return {"status": "done", **parts, "cost": _cost(cell, out, begun)}


def _cost(cell: Cell, out: Path, begun: tuple[float, float]) -> dict[str, Any]:
    """What training cost, whenever and wherever that was, and what has been spent since `begun`.

    The device is that on which agents were trained together; None: each by itself.
    """
    cost = since(begun)
    if cell.trained:
        training = json.loads((out / AGENTS / cell.run / COST).read_text())
        cost |= {f"training_{name}": training.get(name) for name in ("cpu_s", "wall_s", "host", "device")}
    return cost


def _course(history: Any) -> dict[str, list[float]]:
    """The course of training: its numbers, and the metrics among them, by name."""
    parts = dict(history) if isinstance(history, Mapping) else asdict(history)
    metrics = parts.pop("metrics", {})
    return {name: list(values) for name, values in {**parts, **metrics}.items() if values}
