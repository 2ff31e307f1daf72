"""One run of a study ("cell"): train an agent, record it, probe the recording, and keep the results.

The results follow from the cell alone, on one machine with one build: not from the order of the runs, the number of
processes, or interruptions. Files, in the folder of the results:

    agents/<run>/                weights, state and cost of training; <run> is a hash of agent, task, seed and training
    cells/<cell>.json            the results; <cell> is a hash of the whole cell
    arrays/<cell>-<probe>.npz    the arrays that a probe found, for figures of single networks

Cells that differ in recording and probes alone share the agent.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.experiments.fingerprints import digest, fields_of, own_contents
from mtrnn_envs.experiments.monitoring import decoding, ideals
from mtrnn_envs.experiments.probe_output import curves, numbers, plain, words
from mtrnn_envs.probing import probe
from mtrnn_envs.protocols import Agent
from mtrnn_envs.recording import Recording, record
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.utils.atomic_write import atomic_write
from mtrnn_envs.utils.validation import check_choice, check_int

Settings: TypeAlias = Mapping[str, Any]
SCHEMA = 1
AGENTS, CELLS, ARRAYS = "agents", "cells", "arrays"
LOCK = ".lock"  # in the folder of an agent: of the process that trains it
COST = "cost.json"  # of training, beside the agent
# Environments of a recording; the test trials depend on their number.
N_ENVS = 256
# The packages that the numbers of a cell may depend on.
PACKAGES = ("mtrnn-envs", "numpy", "scipy", "torch", "numba", "scikit-learn")


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """The identity of one run, and the probes whose arrays are kept of it.

    Attributes:
        agent: the agent plug-in.
        task: the training task.
        training: settings of the plug-in.
        seed: seed of the first weights and of the training trials.
        trained: False for the agent before training, from the plug-in's `untrained`.
        test: fields of the task in which the test trials differ from the training trials.
        n_trials: test trials recorded.
        probes: settings by probe; see `mtrnn_envs.probing.probe`.
        kept: probes whose arrays are kept; not part of the identity.
    """

    agent: str
    task: EvidenceTask
    training: Any
    seed: int
    trained: bool = True
    test: Settings = field(default_factory=dict)
    n_trials: int = 2000
    probes: Mapping[str, Settings] = field(default_factory=dict)
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_int("seed", self.seed, 0)
        check_int("n_trials", self.n_trials, 1)
        _ = self.tested  # raises if it is not a task

    @property
    def tested(self) -> EvidenceTask:
        """The task of the test trials."""
        return EvidenceTask.from_fields({**asdict(self.task), **self.test})

    @property
    def run(self) -> str:
        """The name of the trained agent: a hash of all that determines it."""
        return digest(self.agent, self.task, self.seed, self.training)

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines the results, as plain JSON."""
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
    """The name of the cell with this identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def run_cell(cell: Cell, out: Path) -> dict[str, Any]:
    """The results of `cell`, read from the folder `out`, or else run and written there.

    One thread is used. If training diverges, that is the result, without numbers.

    Raises:
        Exception: any error but divergence; training so far is kept.
    """
    from threadpoolctl import threadpool_limits

    if (before := read(out, cell.id)) is not None:
        if not is_complete(cell, out, before):
            with threadpool_limits(1):
                agent = agent_of(cell, out)
                _keep_arrays(cell, out, recorded(cell, agent), agent)
        return before
    with threadpool_limits(1):
        found = _found(cell, out)
    whole_cell = plain({"schema": SCHEMA, "cell": cell.identity, "versions": versions(), **found})
    with atomic_write(path_of(out, cell.id)) as temporary:
        temporary.write_text(json.dumps(whole_cell, allow_nan=False))
    return whole_cell


def arrays_of(out: Path, cell_id: str, probe_name: str) -> Path:
    """The file of the arrays of a probe."""
    return out / ARRAYS / f"{cell_id}-{probe_name.replace(':', '.')}.npz"


def is_complete(cell: Cell, out: Path, found: Mapping[str, Any] | None) -> bool:
    """Whether `found`, the results of a cell, are there with all arrays that are to be kept."""
    if found is None or found["status"] == "diverged":
        return found is not None
    return all(arrays_of(out, cell.id, name).exists() for name in cell.kept)


def path_of(out: Path, cell_id: str) -> Path:
    """The file of a cell."""
    return out / CELLS / f"{cell_id}.json"


def read(out: Path, cell_id: str) -> dict[str, Any] | None:
    """The results of a cell; None if it is not there.

    Raises:
        ValueError: if `run_cell` did not write the file.
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
        raise ValueError(f"{path} is not a whole cell: {error!r}; remove it and run the study again") from error
    if schema != SCHEMA:
        raise ValueError(f"{path} has schema {schema!r}; this version reads schema {SCHEMA} only")
    return found


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """The versions of Python and of those of `packages` that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except ImportError:
            continue
    return found


def agent_of(cell: Cell, out: Path) -> Agent:
    """The agent of a cell, loaded or trained, by one process at a time.

    Raises:
        FloatingPointError: if training diverges.
    """
    from filelock import FileLock

    plugin: Any = plugins.agent(cell.agent)
    if not cell.trained:
        if not callable(getattr(plugin, "untrained", None)):
            raise ValueError(f"trained=False: agent {cell.agent!r} has no function untrained(task, seed, training)")
        return plugin.untrained(cell.task, cell.seed, cell.training)
    folder = out / AGENTS / cell.run
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK), costed(folder / COST):
        metrics = decoding(lambda sentence: None)
        return plugin.train(cell.task, cell.seed, cell.training, folder=folder, progress=False, metrics=metrics)


@contextmanager
def costed(path: Path) -> Iterator[None]:
    """Adds the cost of the block to the file `path`, until the block has ended once.

    The cost of killed processes is not counted.
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
    """Adds a cost to the one in a file, if there is one; the host is that of the last process."""
    before = json.loads(path.read_text()) if path.exists() else {}
    total = {name: v + before.get(name, 0) if isinstance(v, float) else v for name, v in cost.items()}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(total))


def started() -> tuple[float, float]:
    """CPU and wall time now, in seconds."""
    return time.process_time(), time.perf_counter()


def since(begun: tuple[float, float]) -> dict[str, Any]:
    """The time spent since `started`, and the host."""
    cpu, wall = (now - then for now, then in zip(started(), begun, strict=True))
    return {"cpu_s": cpu, "wall_s": wall, "host": platform.node()}


def recorded(cell: Cell, agent: Agent) -> Recording:
    """The recording of the test trials of a cell."""
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
    _keep_arrays(cell, out, recording, agent)
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
        drawn |= {f"history.{name}": values for name, values in _history(history).items()}
    for name, settings in cell.probes.items():
        try:
            finding = probe(recording, name, agent=agent, **settings)
        except np.linalg.LinAlgError:  # a ValueError, but no refusal
            raise
        except ValueError as error:  # the probe is not applicable to the recording
            left_out[name] = str(error)
            continue
        found |= {f"{name}.{key}": value for key, value in numbers(finding).items()}
        said |= {f"{name}.{key}": value for key, value in words(finding).items()}
        drawn |= {f"{name}.{key}": values for key, values in curves(finding).items()}
    parts = {"numbers": found, "words": said, "curves": drawn, "left_out": left_out}
    return {"status": "done", **parts, "cost": _cost(cell, out, begun)}


def _keep_arrays(cell: Cell, out: Path, recording: Recording, agent: Agent) -> None:
    """Writes the arrays and numbers that the probes `cell.kept` find; of a probe that is not applicable, why."""
    for name in cell.kept:
        try:
            result = probe(recording, name, agent=agent)
            kept: dict[str, Any] = {
                f.name: np.asarray(getattr(result, f.name)) for f in fields(result) if f.name != "settings"
            }
            kept = {key: value for key, value in kept.items() if value.dtype.kind in "biufU"}
        except ValueError as error:
            kept = {"left_out": np.asarray(str(error))}
        with atomic_write(arrays_of(out, cell.id, name)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **kept)


def _cost(cell: Cell, out: Path, begun: tuple[float, float]) -> dict[str, Any]:
    """The cost of training, and the time spent since `begun`.

    The device is that of agents trained together; None: each was trained by itself.
    """
    cost = since(begun)
    if cell.trained:
        training = json.loads((out / AGENTS / cell.run / COST).read_text())
        cost |= {f"training_{name}": training.get(name) for name in ("cpu_s", "wall_s", "host", "device")}
    return cost


def _history(history: Any) -> dict[str, list[float]]:
    """The training history: rows of numbers by name, metrics among them."""
    parts = dict(history) if isinstance(history, Mapping) else asdict(history)
    metrics = parts.pop("metrics", {})
    return {name: list(values) for name, values in {**parts, **metrics}.items() if values}
