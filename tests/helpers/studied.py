"""Results of studies that were not run: the numbers are given, so that figures and verdicts are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mtrnn_analysis.studies import Networks, networks
from mtrnn_envs.experiments.studies import Results, Study
from mtrnn_envs.experiments.studies.study import PAPER

NUMBERS = {"OOD r²": "decoding.value", "ID r²": "decoding.in_distribution.r2_prior", "accuracy": "accuracy"}
PROBES = ("decoding", "decoding_course", "sample_curve")


def study_of(**given: Any) -> Study:
    """A study over N with five seeds."""
    fields: dict[str, Any] = {
        "name": "mine",
        "probes": PROBES,
        "measures": NUMBERS,
        "axes": {"N": {n: {"task.n_tasks": n} for n in (2, 6, 24)}},
    }
    return Study(**(fields | given))


def results_of(
    study: Study,
    numbers: Callable[[Mapping[str, Any]], Mapping[str, float | None]],
    curves: Callable[[Mapping[str, Any]], Mapping[str, list[Any]]] = lambda labels: {},
    diverged: Callable[[Mapping[str, Any]], bool] = lambda labels: False,
    profile: str = PAPER,
) -> Results:
    """Results in which a network with `labels` has these numbers and curves, or diverged."""
    entries, found = study.cells(profile), []
    for labels, cell in entries:
        lost = diverged(labels)
        found.append(
            {
                "schema": 1,
                "cell": cell.identity,
                "versions": {},
                "status": "diverged" if lost else "done",
                "numbers": {} if lost else dict(numbers(labels)),
                "words": {},
                "curves": {} if lost else dict(curves(labels)),
                "left_out": {},
                "cost": {"cpu_s": 1.0, "wall_s": 1.0, "host": ""},
            }
        )
    return Results(study.at(profile), profile, entries, found, len(entries))


def networks_of(study: Study, *given: Any, **more: Any) -> Networks:
    """The networks of results with these numbers; see `results_of`."""
    return networks(results_of(study, *given, **more))
