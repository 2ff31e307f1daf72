"""The benchmark: an agent in all settings of the suite, and a file of results that another person can obtain again.

    results = run("my_package.my_agent:Mine", "results/benchmark")
    verify(results)          # three of its cells, run again: equal to the bit

Files, in the folder of the results: <agent>.json, one for each agent, whose form is `benchmark.schema.json`, and
cells/<agent>/<cell>.json, from which a run that was stopped goes on. A cell is named by a hash of all that determines
it, the source of the agent's package and of this one included. Results of agents shown the evidence itself, of another
secret, or not of the whole suite are files of their own: <agent>-bare.json, <agent>-secret1.json, <agent>-part.json.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from mtrnn_envs.checks import known, whole
from mtrnn_envs.experiments.backends import Backend, Failure, outcomes
from mtrnn_envs.experiments.cell import PACKAGES as OF_STUDIES
from mtrnn_envs.experiments.cell import versions
from mtrnn_envs.experiments.entrants import entrant
from mtrnn_envs.experiments.findings import plain
from mtrnn_envs.experiments.scoring import scored
from mtrnn_envs.experiments.suite import BUDGETS, N_SEEDS, N_TRIALS, NAMES, SETTINGS, VERSION
from mtrnn_envs.files import replacing

SCHEMA = 1
BY_NAME = {setting.name: setting for setting in SETTINGS}
N_VERIFIED = 3
PACKAGES = (*OF_STUDIES, "gymnasium", "stable-baselines3", "sb3-contrib")


def run(
    agent: str,
    out: str | os.PathLike[str],
    *,
    settings: Sequence[str] = NAMES,
    seeds: int = N_SEEDS,
    secret: int = 0,
    bare: bool = False,
    backend: Backend = Backend(),  # noqa: B008 (it is frozen)
    progress: bool = True,
    budgets: Sequence[int] = BUDGETS,
    n_trials: int = N_TRIALS,
) -> Path:
    """Runs what is not yet there of the benchmark of `agent`, and gives the path of its results.

    Arguments:
        agent: a name of the entry points `mtrnn.entrants`, or package.module:Class; see
            `mtrnn_envs.experiments.entrants`.
        out: the folder of the results.
        settings: of the suite, by name.
        seeds: how many; 0, 1, ...
        secret: a number that the makers of agents did not know, of which what is unannounced, and the test trials,
            are drawn.
        bare: show the evidence itself, without the encoder: for agents that compute with it. The results say so.
        backend: where cells are run.
        progress: whether to show a bar.
        budgets: trials of training; what is not the suite's own is said in the results.
        n_trials: test trials of a cell.

    Raises:
        ValueError: if an argument is not allowed, before anything is run.
        RuntimeError: if a cell failed, with its traceback; what is done is kept.
        KeyboardInterrupt: if interrupted; what is done is kept.
    """
    from tqdm import tqdm

    make = entrant(agent)
    chosen = list(dict.fromkeys(known(name, NAMES, "setting", VERSION) for name in settings))
    whole("seeds", seeds, 1)
    rising = [whole("budgets", budget, 1) for budget in budgets]
    if not rising or rising != sorted(set(rising)):
        raise ValueError(f"budgets={list(budgets)!r} must be numbers of trials, rising")
    about = {
        "agent": agent,
        "code": code_of(make),
        "suite": VERSION,
        "suite_code": _digest(Path(__file__).parents[1]),
        "secret": whole("secret", secret, 0),
        "bare": bool(bare),
        "budgets": rising,
        "n_trials": whole("n_trials", n_trials, 1),
        "versions": versions(PACKAGES),
    }
    place = Path(out)
    folder = place / "cells" / slug(agent)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(name, seed) for name in chosen for seed in range(seeds)]
    left = [job for job in jobs if not _path(folder, about, job).exists()]
    work = outcomes(partial(_one, about, folder), left, backend, lambda sentence: tqdm.write(sentence, file=sys.stderr))
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(left), desc=slug(agent), unit="cell", disable=not progress)
    with bar, closing(work) as ended:
        for i, outcome in ended:
            if isinstance(outcome, Failure):
                raise RuntimeError(f"{left[i][0]}, seed {left[i][1]}: the agent failed:\n{outcome.text}")
            bar.update()
    cells = [json.loads(_path(folder, about, job).read_text()) for job in jobs]
    part = chosen != list(NAMES) or seeds < N_SEEDS or tuple(rising) != BUDGETS or n_trials != N_TRIALS
    options = [f"--agent {agent}", f"--seeds {seeds}", f"--secret {secret}", *(["--bare"] if bare else [])]
    options += [f"--settings {' '.join(chosen)}"] if chosen != list(NAMES) else []
    command = f"mtrnn benchmark {' '.join(options)}"
    if tuple(rising) != BUDGETS or n_trials != N_TRIALS:
        command += f"  # in Python, with budgets={tuple(rising)}, n_trials={n_trials}"
    whole_file = {"schema": SCHEMA, **about, "seeds": seeds, "command": command}
    ends = ["bare"] * bare + [f"secret{secret}"] * (secret > 0) + ["part"] * part
    path = place / f"{'-'.join([slug(agent), *ends])}.json"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({**whole_file, "cells": cells}, indent=1, allow_nan=False))
    load(path)
    return path


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The results in a file, checked against `benchmark.schema.json`.

    Raises:
        ValueError: if the file is not of that form, saying where.
    """
    import jsonschema

    schema = json.loads(resources.files("mtrnn_envs.experiments").joinpath("benchmark.schema.json").read_text())
    try:
        found = json.loads(Path(path).read_text())
        jsonschema.validate(found, schema)
    except (ValueError, jsonschema.ValidationError) as error:
        where = ".".join(map(str, getattr(error, "absolute_path", ())))
        said = getattr(error, "message", str(error))
        raise ValueError(f"{path} is no file of results{f', at {where}' if where else ''}: {said}") from error
    return found


def verify(path: str | os.PathLike[str], n_cells: int = N_VERIFIED, seed: int | None = None) -> list[str]:
    """Runs cells of a file of results again; gives what differs, a sentence each: nothing, if they agree to the bit.

    Arguments:
        path: of the results.
        n_cells: how many, drawn.
        seed: of the draw; None: one that nobody can foresee.

    Raises:
        ValueError: if the file is not of the form, or the agent is not there.
    """
    about = load(path)
    make, cells = entrant(about["agent"]), about["cells"]
    said = [] if code_of(make) == about["code"] else [f"{about['agent']} is not made by the same code any more"]
    chosen = np.random.default_rng(seed).choice(
        len(cells), min(whole("n_cells", n_cells, 1), len(cells)), replace=False
    )
    drawn = [cells[i] for i in sorted(chosen)]
    jobs = [(cell["setting"], cell["seed"]) for cell in drawn]
    for i, again in outcomes(partial(_scored, about), jobs, Backend(n_jobs=1), said.append):
        cell = drawn[i]
        if isinstance(again, Failure):
            said.append(f"{cell['setting']}, seed {cell['seed']}: {again.kind}: {again.message}")
            continue
        for part in ("scores", "numbers", "learns", "refused"):
            if again[part] != cell[part]:
                here = f"{cell['setting']}, seed {cell['seed']}"
                said.append(f"{here}: {part} were {cell[part]}, and are {again[part]}")
    if said and (now := versions(PACKAGES)) != about["versions"]:
        said.append(f"versions were {about['versions']}, and are {now}")
    return said


def slug(agent: str) -> str:
    """The name of the files of an agent: its own if that can be a file's, else with a hash: no two are alike."""
    plain_name = re.sub(r"[^\w.-]+", "-", agent)
    return plain_name if plain_name == agent else f"{plain_name}-{hashlib.sha256(agent.encode()).hexdigest()[:4]}"


def code_of(make: Any) -> str:
    """A hash of the source of the package, or the file, in which an entrant is defined; empty if there is none."""
    top = sys.modules.get(inspect.unwrap(make).__module__.partition(".")[0])
    file = getattr(top, "__file__", None)
    if file is None:
        return ""
    return _digest(Path(file).parent if Path(file).name == "__init__.py" else Path(file))


def _digest(place: Path) -> str:
    """A hash of a file, or of all Python files in a folder."""
    digest, paths = hashlib.sha256(), sorted(place.rglob("*.py")) if place.is_dir() else [place]
    for path in paths:
        digest.update(str(path.relative_to(place.parent)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _one(about: Mapping[str, Any], folder: Path, job: tuple[str, int]) -> None:
    """Runs a cell, in a worker, and writes it."""
    with replacing(_path(folder, about, job)) as temporary:
        temporary.write_text(json.dumps(_scored(about, job), allow_nan=False))


def _scored(about: Mapping[str, Any], job: tuple[str, int]) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    how = {name: about[name] for name in ("secret", "bare", "budgets", "n_trials")}
    with threadpool_limits(1):
        found = scored(entrant(about["agent"]), BY_NAME[job[0]], job[1], **how)
    return plain({"setting": job[0], "seed": job[1], **found})


def _path(folder: Path, about: Mapping[str, Any], job: tuple[str, int]) -> Path:
    identity = json.dumps([about, *job], sort_keys=True)
    return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"
