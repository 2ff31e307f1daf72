"""Ensembles of networks: on a GPU as one batched problem, on a CPU one process per core, with the same draws."""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from joblib import Parallel, delayed
from tqdm import tqdm

from mtrnn_agents.supervised.agent import SupervisedAgent
from mtrnn_agents.supervised.batches import batch_of
from mtrnn_agents.supervised.bptt import failure, train, trained_agent
from mtrnn_agents.supervised.loop import resume, train_together
from mtrnn_agents.supervised.settings import Training
from mtrnn_agents.training.checkpoint import finished
from mtrnn_agents.training.resumable import completed, kept_in
from mtrnn_agents.training.run import Run, identity
from mtrnn_agents.training.signals import held_back
from mtrnn_envs import EvidenceTask
from mtrnn_envs.experiments.fingerprints import digest
from mtrnn_envs.protocols import Metrics
from mtrnn_envs.rng.philox import Counter
from mtrnn_envs.trials import sample
from mtrnn_envs.utils.validation import check_int

Cell: TypeAlias = tuple[Run, Path | None]
# An agent, or why there is none.
Outcome: TypeAlias = SupervisedAgent | FloatingPointError


def ensemble(
    runs: Sequence[tuple[EvidenceTask, int]],
    training: Training | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
    metrics: Metrics | None = None,
) -> list[Outcome]:
    """Trains a network for each (task, seed), as `train` does; a network that diverges gives its error, not an agent.

    Tasks may differ in everything. On a CPU each network has a process of its own. On a CUDA `device` all are one
    problem: padded to the largest task, one batched product for all, and one CUDA graph for an update; agreement with
    the CPU is to rounding, which training amplifies.

    Arguments:
        runs: pairs of a task and a seed.
        training: the settings of all; `Training()` if None.
        folder: each run has a folder of its own in it, named by a hash of all that determines it, in which it can go
            on from where it was stopped, on whichever device.
        device: "cpu" or a CUDA device; None for a GPU if there is one, else the CPU.
        n_jobs: processes on a CPU; None for one per core.

    Raises:
        ValueError: as `train`, before anything is trained.
        KeyboardInterrupt: if interrupted; the states are kept in the folder.
    """
    training = training or Training()
    named = [Run(task, check_int("seed", seed, 0)) for task, seed in runs]
    place = _device(device)
    folders = [None if folder is None else Path(folder) / digest("supervised", *run, training) for run in named]
    cells = list(zip(named, folders, strict=True))
    found = [finished(SupervisedAgent, identity(run, training), where) for run, where in cells]
    left = [cell for cell, agent in zip(cells, found, strict=True) if agent is None]
    for run, where in left:  # errors are raised before anything is trained
        resume(run, training, where)
        batch_of(sample(run.task, 1, Counter(run.seed, "train")), training)
    if place.type == "cpu":
        new = iter(_in_processes(left, training, n_jobs, progress, metrics))
    else:
        new = iter(_as_one(left, training, place, progress, metrics))
    return [next(new) if agent is None else agent for agent in found]


def _device(device: str | torch.device | None) -> torch.device:
    """The device named, or the best that there is."""
    there = torch.cuda.is_available()
    try:
        place = torch.device(("cuda" if there else "cpu") if device is None else device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is not a torch device: {error}") from error
    if place.type != "cpu" and not (place.type == "cuda" and there):
        raise ValueError(f"device={device!r} is neither 'cpu' nor a CUDA device that is there")
    return place


def _in_processes(
    cells: Sequence[Cell], training: Training, n_jobs: int | None, progress: bool, metrics: Metrics | None
) -> list[Outcome]:
    """Each network in a process of its own, as many at once as there are cores."""
    parallel = Parallel(n_jobs=-1 if n_jobs is None else check_int("n_jobs", n_jobs, 1), return_as="generator")
    call, outcomes = uuid.uuid4().hex, []
    # Ctrl-C reaches all processes. Each saves its state and gives the interrupt as a result; then it is raised here.
    with held_back() as interrupt:
        done: Any = parallel(delayed(_attempt)(call, run, folder, training, metrics) for run, folder in cells)
        for outcome in tqdm(done, "networks", len(cells), disable=not (progress and cells)):
            outcomes.append(outcome)
            if isinstance(outcome, KeyboardInterrupt):
                _stopped.add(call)
        stop = next((outcome for outcome in outcomes if isinstance(outcome, KeyboardInterrupt)), None)
        if stop is not None:
            folder = cells[0][1]
            raise KeyboardInterrupt(f"stopped; {kept_in(None if folder is None else folder.parent)}")
        interrupt()
    return outcomes


# Calls of `ensemble` that were interrupted: their remaining runs in this process are not begun.
_stopped: set[str] = set()


def _attempt(
    call: str, run: Run, folder: Path | None, training: Training, metrics: Metrics | None
) -> Outcome | KeyboardInterrupt:
    if call in _stopped:
        return KeyboardInterrupt()
    try:
        return train(*run, training, folder=folder, progress=False, metrics=metrics)
    except FloatingPointError as error:
        return error
    except KeyboardInterrupt as stop:
        _stopped.add(call)
        return stop


def _as_one(
    cells: Sequence[Cell], training: Training, device: torch.device, progress: bool, metrics: Metrics | None
) -> list[Outcome]:
    """All networks at once; those that were stopped at different updates, one group after the other."""
    groups: dict[int, list[int]] = defaultdict(list)
    states = [resume(run, training, folder) for run, folder in cells]
    for i, state in enumerate(states):
        groups[state.n_updates].append(i)
    for members in groups.values():
        folders = [folder for i in members if (folder := cells[i][1]) is not None]
        runs, before = [cells[i][0] for i in members], [states[i] for i in members]
        how = {"folders": folders or None, "device": device, "progress": progress, "metrics": metrics}
        after = train_together(runs, training, before, **how)
        for i, state in zip(members, after, strict=True):
            states[i] = state
    outcomes: list[Outcome] = []
    for (run, folder), state in zip(cells, states, strict=True):
        try:
            outcomes.append(completed(folder, training, failure(state), partial(trained_agent, run, training, state)))
        except FloatingPointError as error:
            outcomes.append(error)
    return outcomes
