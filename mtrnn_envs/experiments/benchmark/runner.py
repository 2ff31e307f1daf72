"""Runs an agent through all settings of the benchmark, and writes a file of results that anyone can reproduce.

    results = run_benchmark("my_package.my_agent:Mine", "results/benchmark")
    verify(results)          # repeats three of its runs, drawn at random: they are bit-identical

A run is one setting with one seed. Files, in the folder of the results: <agent>.json, one for each agent, of the form
`benchmark.schema.json`, and cells/<agent>/<hash>.json, one for each run, from which an interrupted benchmark resumes.
The hash covers all that determines a run, including the source of the agent's package and the measurements of the suite
(`suite_code`). It does not cover files that an agent reads, such as weights: use another folder for other weights.
Results with raw evidence, another hidden seed, or only part of the suite have files of their own: <agent>-bare.json,
<agent>-secret1.json, <agent>-part.json.
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
from typing import Any, NoReturn, TypeAlias

import numpy as np

from mtrnn_envs.experiments.benchmark.agents import find_agent
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
Job: TypeAlias = tuple[str, int]  # a run: a setting, and a seed
BY_NAME = {setting.name: setting for setting in SETTINGS}
N_VERIFIED = 3
N_HASHED = 125  # test trials of a setting, on which `suite_code` is computed
PACKAGES = (*OF_STUDIES, "gymnasium", "stable-baselines3", "sb3-contrib")


def run_benchmark(
    agent: str,
    out: str | os.PathLike[str],
    *,
    settings: Sequence[str] = NAMES,
    seeds: int = N_SEEDS,
    hidden_seed: int = 0,
    raw_evidence: bool = False,
    backend: Backend = Backend(),  # noqa: B008 (it is frozen)
    progress: bool = True,
    budgets: Sequence[int] = BUDGETS,
    n_trials: int = N_TRIALS,
) -> Path:
    """Does the runs of the benchmark that are missing for `agent`, and returns the path of its results.

    Arguments:
        agent: a name of the entry points `mtrnn.entrants`, or package.module:Class; see
            `mtrnn_envs.experiments.benchmark.agents`.
        settings: of the suite, by name.
        seeds: how many; 0, 1, ...
        hidden_seed: of the randomised setting and of the test trials: a number that the makers of agents did not know.
        raw_evidence: whether to show raw evidence (no encoder), to agents that compute with it; the results say so.
        budgets: trials of training; the results say so if they are not the suite's.
        n_trials: test trials of a run.

    Raises:
        ValueError: if an argument is not allowed, before anything is run.
        RuntimeError: if a run failed, with its traceback; finished runs are kept.
        OSError: if another process uses `out`, or nothing can be written there.
        KeyboardInterrupt: if interrupted, with the progress; finished runs are kept.
    """
    make = find_agent(agent)
    chosen = list(dict.fromkeys(check_choice(name, NAMES, "setting", VERSION) for name in settings))
    check_int("seeds", seeds, 1)
    rising = [check_int("budgets", budget, 1) for budget in budgets]
    if not rising or rising != sorted(set(rising)):
        raise ValueError(f"budgets={list(budgets)!r} must be increasing numbers of trials")
    about = {
        "agent": agent,
        "code": code_of(make),
        "suite": VERSION,
        "suite_code": suite_code(),
        "secret": check_int("hidden_seed", hidden_seed, 0),
        "bare": bool(raw_evidence),
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
    """Does the runs that are missing."""
    from tqdm import tqdm

    left = [job for job in jobs if _read(folder, about, job) is None]
    agent = about["agent"]
    work = outcomes(partial(_one, about, folder), left, backend, lambda sentence: tqdm.write(sentence, file=sys.stderr))
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(left), desc=slug(agent), unit="run", disable=not progress)
    try:
        with bar, closing(work) as ended:
            for i, outcome in ended:
                if isinstance(outcome, Failure):
                    raise RuntimeError(f"{left[i][0]}, seed {left[i][1]}: the agent failed:\n{outcome.text}")
                bar.update()
    except KeyboardInterrupt:
        message = f"stopped; {bar.n} of {len(jobs)} runs are done, in {folder}; repeat the command to resume"
        raise KeyboardInterrupt(message) from None


def _write(about: Mapping[str, Any], place: Path, folder: Path, seeds: int, progress: bool) -> Path:
    """Writes the results of all finished runs with these options, also earlier ones; returns the path."""
    there = {(n, s): cell for n in NAMES for s in range(seeds) if (cell := _read(folder, about, (n, s))) is not None}
    if progress and (others := len([*folder.glob("[!.]*.json")]) - len(there)):
        print(f"{others} runs in {folder} are of other code, options or seeds, and are not included", file=sys.stderr)
    names, agent = list(dict.fromkeys(name for name, _ in there)), about["agent"]
    n_seeds = 1 + max(seed for _, seed in there)
    part = bool(missing_runs(about, list(there)))
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
        load_results(temporary)
    return path


def missing_runs(about: Mapping[str, Any], there: Sequence[Job]) -> str:
    """Which runs of the whole suite are missing from results with these ones, in words; empty if none."""
    lacking = [name for name in NAMES if any((name, seed) not in there for seed in range(N_SEEDS))]
    said = [f"fewer than {N_SEEDS} seeds of {', '.join(lacking)}"] if lacking else []
    if len(lacking) > len(NAMES) / 2:
        said = [f"{N_SEEDS} seeds of {', '.join(n for n in NAMES if n not in lacking) or 'no setting'} only"]
    if tuple(about["budgets"]) != BUDGETS:
        said.append(f"budgets of {about['budgets']} trials")
    if about["n_trials"] != N_TRIALS:
        said.append(f"{about['n_trials']} test trials")
    return "; ".join(said)


def load_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The results in a file, checked against `benchmark.schema.json`.

    Raises:
        ValueError: if the file is not of that form, with the place.
        FileNotFoundError: if there is no such file.
    """
    import jsonschema

    schema = json.loads(
        resources.files("mtrnn_envs.experiments.benchmark").joinpath("benchmark.schema.json").read_text()
    )
    if not Path(path).is_file():
        near = ", ".join(sorted(p.name for p in Path(path).parent.glob("[!.]*.json")) or ["none"])
        raise FileNotFoundError(f"{path} does not exist; files of results beside it: {near}")
    try:
        results = json.loads(Path(path).read_text(), parse_constant=_not_a_number)
        jsonschema.validate(results, schema)
        _check_scores(results["cells"])
    except (ValueError, jsonschema.ValidationError) as error:
        where = ".".join(map(str, getattr(error, "absolute_path", ())))
        message = getattr(error, "message", str(error))
        raise ValueError(f"{path} is not a file of results{f', at {where}' if where else ''}: {message}") from error
    return results


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _check_scores(cells: Sequence[Mapping[str, Any]]) -> None:
    """Raises `ValueError` if a run is there twice, or a score does not follow from the numbers of its run."""
    seen = set()
    for cell in cells:
        here, scores = f"{cell['setting']}, seed {cell['seed']}", cell["scores"]
        if here in seen:
            raise ValueError(f"{here} occurs twice")
        seen.add(here)
        could = "performance" not in cell["refused"]
        expected = {"performance": _score(cell, "", "chance")} if could else {"performance": 0.0}
        if could and scores["generalisation"] is not None:
            expected["generalisation"] = max(0.0, _score(cell, "held out: ", "held out: nearest"))
        if could and scores["memory"] is not None:
            expected["memory"] = 0.0 if "memory" in cell["refused"] else _score(cell, "long: ", "chance")
        for name, value in expected.items():
            if scores[name] is None or not np.isclose(value, scores[name], atol=1e-9):
                raise ValueError(f"{here}: {name} is {scores[name]}; from its numbers follows {value}")


def _score(cell: Mapping[str, Any], prefix: str, nothing: str) -> float:
    """A score from the numbers of a run."""
    names = f"{prefix}reward", nothing, f"{prefix}ideal", f"{prefix}z"
    numbers = [cell["numbers"].get(name) for name in names]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        pairs = ", ".join(f"{name}={value!r}" for name, value in zip(names, numbers, strict=True))
        raise ValueError(f"{cell['setting']}, seed {cell['seed']}: each must be a number: {pairs}")
    reward, low, best, _ = numbers
    return (reward - low) / (best - low)


def verify(path: str | os.PathLike[str], n_runs: int = N_VERIFIED, seed: int | None = None) -> list[str]:
    """Repeats runs of a file of results; returns a sentence for each difference: none, if they are bit-identical.

    Arguments:
        n_runs: how many runs to draw and repeat.
        seed: of the draw; None: one that nobody can foresee.

    Raises:
        ValueError: if the file is not of the form, or there is no such agent.
    """
    about = load_results(path)
    make, cells, said = find_agent(about["agent"]), about["cells"], []
    n_runs = min(check_int("n_runs", n_runs, 1), len(cells))
    chosen = np.random.default_rng(seed).choice(len(cells), n_runs, replace=False)
    drawn = [cells[i] for i in sorted(chosen)]
    jobs = [(cell["setting"], cell["seed"]) for cell in drawn]
    for i, again in outcomes(partial(_scored, about), jobs, Backend(n_jobs=1), said.append):
        cell = drawn[i]
        here = f"{cell['setting']}, seed {cell['seed']}"
        if isinstance(again, Failure):
            said.append(f"{here}: {again.kind}: {again.message}")
            continue
        if again["learns"] != cell["learns"]:
            said.append(f"{here}: learns was {cell['learns']}, and is {again['learns']}")
        for part in ("scores", "numbers", "refused"):
            before, now = cell[part], again[part]
            for name in dict.fromkeys((*before, *now)):
                if before.get(name) != now.get(name):
                    said.append(f"{here}: {part}: {name} was {before.get(name)}, and is {now.get(name)}")
    if said and code_of(make) != about["code"]:
        said.append(f"the code of {about['agent']} has changed")
    if said and suite_code() != about["suite_code"]:
        said.append("the measurements of the suite have changed")
    if said and (now := versions(PACKAGES)) != about["versions"]:
        said.append(f"versions were {about['versions']}, and are {now}")
    return said


def slug(agent: str) -> str:
    """The name of an agent's files: its own if a file can have it, else with a hash, so that names differ."""
    plain_name = re.sub(r"[^\w.-]+", "-", agent)
    return plain_name if plain_name == agent else f"{plain_name}-{hashlib.sha256(agent.encode()).hexdigest()[:4]}"


@lru_cache(maxsize=1)
def suite_code() -> str:
    """A hash of the suite's measurements: scores and their numbers, of one fixed agent on few trials, in every setting.

    It changes with the results of task, trials, reward, settings, ideal observer, probes or scores, not with their
    source text. Evidence is raw, and numbers are rounded, so that every processor gives the same hash.
    """
    digest = hashlib.sha256(VERSION.encode())
    for setting in SETTINGS:
        result = scored(Average, setting, 0, raw_evidence=True, budgets=(1,), n_trials=N_HASHED)
        measured = {**result["numbers"], **{f"score: {name}": value for name, value in result["scores"].items()}}
        rounded = {name: None if value is None else round(float(value), 6) for name, value in measured.items()}
        digest.update(json.dumps([setting.name, rounded], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _read(folder: Path, about: Mapping[str, Any], job: Job) -> dict[str, Any] | None:
    """The result of a run; None if it is missing; raises `ValueError` if its file is broken."""
    path = _path(folder, about, job)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is not a complete run: {error}; remove it, and repeat the command") from error


def _one(about: Mapping[str, Any], folder: Path, job: Job) -> None:
    """Does a run, in a worker, and writes its result."""
    with atomic_write(_path(folder, about, job)) as temporary:
        temporary.write_text(json.dumps(_scored(about, job), allow_nan=False))


def _scored(about: Mapping[str, Any], job: Job) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    setting, seed = job
    how = {"hidden_seed": about["secret"], "raw_evidence": about["bare"]}
    how |= {name: about[name] for name in ("budgets", "n_trials")}
    with threadpool_limits(1):
        result = scored(find_agent(about["agent"]), BY_NAME[setting], seed, **how)
    return plain({"setting": setting, "seed": seed, **result})


def _path(folder: Path, about: Mapping[str, Any], job: Job) -> Path:
    identity = json.dumps([about, *job], sort_keys=True)
    return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"
