"""The benchmark: an agent in all settings of the suite, and a file of results that another person can obtain again.

    results = run("my_package.my_agent:Mine", "results/benchmark")
    verify(results)          # three of its cells, run again: equal to the bit

Files, in the folder of the results: <agent>.json, one for each agent, whose form is `benchmark.schema.json`, and
cells/<agent>/<cell>.json, from which a run that was stopped goes on. A cell is named by a hash of all that determines
it, the source of the agent's package and what the suite measures (`suite_code`) included; files that an agent reads, as
weights, are not: give results of other weights another folder. Results of agents shown the evidence itself, of another
secret, or not of the whole suite are files of their own: <agent>-bare.json, <agent>-secret1.json, <agent>-part.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mtrnn_envs.experiments.benchmark.agents import entrant
from mtrnn_envs.experiments.benchmark.scores import scored
from mtrnn_envs.experiments.benchmark.suite import BUDGETS, N_SEEDS, N_TRIALS, NAMES, SETTINGS, VERSION
from mtrnn_envs.experiments.fingerprints import code_of
from mtrnn_envs.experiments.probe_output import plain
from mtrnn_envs.experiments.studies.backends import Backend, Failure, outcomes
from mtrnn_envs.experiments.studies.cell import PACKAGES as OF_STUDIES
from mtrnn_envs.experiments.studies.cell import versions
from mtrnn_envs.experiments.studies.folder import locked
from mtrnn_envs.testing.probes import Average
from mtrnn_envs.utils.atomic_write import atomic_write
from mtrnn_envs.utils.validation import check_choice, check_int

SCHEMA = 1
Job: TypeAlias = tuple[str, int]  # a setting, and a seed
BY_NAME = {setting.name: setting for setting in SETTINGS}
N_VERIFIED = 3
N_HASHED = 125  # test trials of a setting, from which it is known whether the suite measures the same
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
            `mtrnn_envs.experiments.benchmark.agents`.
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
        OSError: if another process runs something in `out`, or nothing can be written there.
        KeyboardInterrupt: if interrupted, saying how far it got; what is done is kept.
    """

    make = entrant(agent)
    chosen = list(dict.fromkeys(check_choice(name, NAMES, "setting", VERSION) for name in settings))
    check_int("seeds", seeds, 1)
    rising = [check_int("budgets", budget, 1) for budget in budgets]
    if not rising or rising != sorted(set(rising)):
        raise ValueError(f"budgets={list(budgets)!r} must be numbers of trials, rising")
    about = {
        "agent": agent,
        "code": code_of(make),
        "suite": VERSION,
        "suite_code": suite_code(),
        "secret": check_int("secret", secret, 0),
        "bare": bool(bare),
        "budgets": rising,
        "n_trials": check_int("n_trials", n_trials, 1),
        "versions": versions(PACKAGES),
    }
    place = Path(out)
    folder = place / "cells" / slug(agent)
    with locked(place):
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [(name, seed) for name in chosen for seed in range(seeds)]
        _run(about, folder, jobs, backend, progress)
        return _write(about, place, folder, max(seeds, N_SEEDS), progress)


def _run(about: Mapping[str, Any], folder: Path, jobs: Sequence[Job], backend: Backend, progress: bool) -> None:
    """Runs the cells that are not there."""
    from tqdm import tqdm

    left = [job for job in jobs if _read(folder, about, job) is None]
    agent = about["agent"]
    work = outcomes(partial(_one, about, folder), left, backend, lambda sentence: tqdm.write(sentence, file=sys.stderr))
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(left), desc=slug(agent), unit="cell", disable=not progress)
    try:
        with bar, closing(work) as ended:
            for i, outcome in ended:
                if isinstance(outcome, Failure):
                    raise RuntimeError(f"{left[i][0]}, seed {left[i][1]}: the agent failed:\n{outcome.text}")
                bar.update()
    except KeyboardInterrupt:
        said = f"stopped; {bar.n} of {len(jobs)} cells are done, in {folder}; the same command goes on with the rest"
        raise KeyboardInterrupt(said) from None


def _write(about: Mapping[str, Any], place: Path, folder: Path, seeds: int, progress: bool) -> Path:
    """Writes the results of all cells that are there, whichever run they are of; gives the path."""
    there = {(n, s): found for n in NAMES for s in range(seeds) if (found := _read(folder, about, (n, s))) is not None}
    if progress and (others := len([*folder.glob("[!.]*.json")]) - len(there)):
        print(f"{others} cells in {folder} are of other code, options or seeds, and are left out", file=sys.stderr)
    names, agent = list(dict.fromkeys(name for name, _ in there)), about["agent"]
    n_seeds = 1 + max(seed for _, seed in there)
    part = bool(missing(about, list(there)))
    options = [f"--agent {shlex.quote(agent)}", f"--seeds {n_seeds}", f"--secret {about['secret']}"]
    options += ["--bare"] * about["bare"] + [f"--settings {' '.join(names)}"] * (names != list(NAMES))
    command = f"mtrnn benchmark {' '.join(options)}"
    if tuple(about["budgets"]) != BUDGETS or about["n_trials"] != N_TRIALS:
        command += f"  # in Python, with budgets={tuple(about['budgets'])}, n_trials={about['n_trials']}"
    whole_file = {"schema": SCHEMA, **about, "seeds": n_seeds, "command": command}
    ends = ["bare"] * about["bare"] + [f"secret{about['secret']}"] * (about["secret"] > 0)
    path = place / f"{'-'.join([slug(agent), *ends, *['part'] * part])}.json"
    if not part:  # what was there before it was whole
        path.with_name(f"{path.stem}-part.json").unlink(missing_ok=True)
    cells = list(there.values())
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps({**whole_file, "cells": cells}, indent=1, allow_nan=False))
        load(temporary)
    return path


def missing(about: Mapping[str, Any], there: Sequence[Job]) -> str:
    """What results with such cells lack to be of the whole suite; empty if nothing."""
    lacking = [name for name in NAMES if any((name, seed) not in there for seed in range(N_SEEDS))]
    said = [f"fewer than {N_SEEDS} seeds of {', '.join(lacking)}"] if lacking else []
    if len(lacking) > len(NAMES) / 2:
        said = [f"{N_SEEDS} seeds of {', '.join(n for n in NAMES if n not in lacking) or 'no setting'} only"]
    if tuple(about["budgets"]) != BUDGETS:
        said.append(f"budgets of {about['budgets']} trials")
    if about["n_trials"] != N_TRIALS:
        said.append(f"{about['n_trials']} test trials")
    return "; ".join(said)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The results in a file, checked against `benchmark.schema.json`.

    Raises:
        ValueError: if the file is not of that form, saying where.
    """
    import jsonschema

    schema = json.loads(
        resources.files("mtrnn_envs.experiments.benchmark").joinpath("benchmark.schema.json").read_text()
    )
    if not Path(path).is_file():
        near = ", ".join(sorted(p.name for p in Path(path).parent.glob("[!.]*.json")) or ["none"])
        raise FileNotFoundError(f"{path} is no file; files of results beside it: {near}")
    try:
        found = json.loads(Path(path).read_text(), parse_constant=_no_number)
        jsonschema.validate(found, schema)
        _agree(found["cells"])
    except (ValueError, jsonschema.ValidationError) as error:
        where = ".".join(map(str, getattr(error, "absolute_path", ())))
        said = getattr(error, "message", str(error))
        raise ValueError(f"{path} is no file of results{f', at {where}' if where else ''}: {said}") from error
    return found


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _agree(cells: Sequence[Mapping[str, Any]]) -> None:
    """Raises `ValueError` if a cell is there twice, or a score is not what its numbers make, or has none."""
    seen = set()
    for cell in cells:
        here, scores = f"{cell['setting']}, seed {cell['seed']}", cell["scores"]
        if here in seen:
            raise ValueError(f"{here} is there twice")
        seen.add(here)
        could = "performance" not in cell["refused"]
        made = {"performance": _made(cell, "", "chance")} if could else {"performance": 0.0}
        if could and scores["generalisation"] is not None:
            made["generalisation"] = max(0.0, _made(cell, "held out: ", "held out: nearest"))
        if could and scores["memory"] is not None:
            made["memory"] = 0.0 if "memory" in cell["refused"] else _made(cell, "long: ", "chance")
        for name, value in made.items():
            if scores[name] is None or not np.isclose(value, scores[name], atol=1e-9):
                raise ValueError(f"{here}: {name} is {scores[name]}; its numbers make {value}")


def _made(cell: Mapping[str, Any], prefix: str, nothing: str) -> float:
    """A score from the numbers of a cell."""
    names = f"{prefix}reward", nothing, f"{prefix}ideal", f"{prefix}z"
    numbers = [cell["numbers"].get(name) for name in names]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        said = ", ".join(f"{name}={value!r}" for name, value in zip(names, numbers, strict=True))
        raise ValueError(f"{cell['setting']}, seed {cell['seed']}: each must be a number: {said}")
    reward, low, best, _ = numbers
    return (reward - low) / (best - low)


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
    make, cells, said = entrant(about["agent"]), about["cells"], []
    chosen = np.random.default_rng(seed).choice(
        len(cells), min(check_int("n_cells", n_cells, 1), len(cells)), replace=False
    )
    drawn = [cells[i] for i in sorted(chosen)]
    jobs = [(cell["setting"], cell["seed"]) for cell in drawn]
    for i, again in outcomes(partial(_scored, about), jobs, Backend(n_jobs=1), said.append):
        cell = drawn[i]
        here = f"{cell['setting']}, seed {cell['seed']}"
        if isinstance(again, Failure):
            said.append(f"{here}: {again.kind}: {again.message}")
            continue
        if again["learns"] != cell["learns"]:
            said.append(f"{here}: whether it learns was {cell['learns']}, and is {again['learns']}")
        for part in ("scores", "numbers", "refused"):
            before, now = cell[part], again[part]
            for name in dict.fromkeys((*before, *now)):
                if before.get(name) != now.get(name):
                    said.append(f"{here}: {part}: {name} was {before.get(name)}, and is {now.get(name)}")
    if said and code_of(make) != about["code"]:
        said.append(f"{about['agent']} is not made by the same code any more")
    if said and suite_code() != about["suite_code"]:
        said.append("nor does the suite, or what it asks of states, measure the same any more")
    if said and (now := versions(PACKAGES)) != about["versions"]:
        said.append(f"versions were {about['versions']}, and are {now}")
    return said


def slug(agent: str) -> str:
    """The name of the files of an agent: its own if that can be a file's, else with a hash: no two are alike."""
    plain_name = re.sub(r"[^\w.-]+", "-", agent)
    return plain_name if plain_name == agent else f"{plain_name}-{hashlib.sha256(agent.encode()).hexdigest()[:4]}"


@lru_cache(maxsize=1)
def suite_code() -> str:
    """A hash of what the suite measures: scores and their numbers, of one fixed agent on few trials, in every setting.

    It changes with the results of task, trials, reward, settings, ideal observer, probes or scores, and not with their
    text. The agent is shown the evidence, and numbers are rounded, so that every processor gives the same hash.
    """
    digest = hashlib.sha256(VERSION.encode())
    for setting in SETTINGS:
        found = scored(Average, setting, 0, bare=True, budgets=(1,), n_trials=N_HASHED)
        measured = {**found["numbers"], **{f"score: {name}": value for name, value in found["scores"].items()}}
        rounded = {name: None if value is None else round(float(value), 6) for name, value in measured.items()}
        digest.update(json.dumps([setting.name, rounded], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _read(folder: Path, about: Mapping[str, Any], job: Job) -> dict[str, Any] | None:
    """A cell; None if it is not there.

    Raises:
        ValueError: if its file is broken.
    """
    path = _path(folder, about, job)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is no whole cell: {error}; remove it, and it is run again") from error


def _one(about: Mapping[str, Any], folder: Path, job: tuple[str, int]) -> None:
    """Runs a cell, in a worker, and writes it."""
    with atomic_write(_path(folder, about, job)) as temporary:
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
