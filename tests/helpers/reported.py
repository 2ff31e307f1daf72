"""Studies whose numbers are given, written as if they had been run, for tests of the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from helpers.studied import results_of, study_of
from mtrnn_envs.experiments.studies import results
from mtrnn_envs.experiments.studies.cell import path_of
from mtrnn_envs.experiments.studies.study import Study

OFFSETS = (0.0, 0.01, -0.02, 0.02, -0.01)
TITLE = 'Many <tasks> & "few" – x*'
CLAIMS = (
    {"text": "More tasks <b>help</b>", "source": "arXiv:2407.11249, Fig. 1f", "measure": "OOD r²", "expect": "> 0.5"},
    {"text": "All is decoded", "measure": "OOD r²", "expect": "> 0.95"},
    {"text": "It is much", "measure": "OOD r²", "of": {"N": 24}, "minus": {"N": 2}, "expect": "> 0.2"},
)


class Drawn(NamedTuple):
    """A figure as the report takes it."""

    name: str
    figure: Any
    caption: str


def numbers(labels: Mapping[str, Any]) -> dict[str, float]:
    """Known numbers of the network with these labels: 0.8 for 2 tasks, 0.9 for 6, 1.0 for 24, and a little by seed."""
    ood = {2: 0.8, 6: 0.9, 24: 1.0}[labels["N"]] + OFFSETS[labels["seed"]]
    found = {"accuracy": 0.9, "reward": 0.9, "ideal.accuracy": 0.96, "ideal.reward": 0.96, "decoding.value": ood}
    found["decoding.in_distribution.r2_prior"] = 0.97
    return found | {f"decoding.controls.{name}.ood": 0.976 for name in ("ideal", "mean evidence", "untrained")}


def study(**given: Any) -> Study:
    """A study over N with claims, and a title that would be markup."""
    fields = {"title": TITLE, "text": "What is <asked>?\n\nAnd how (doi:10.1000/a.b).", "claims": CLAIMS}
    fields |= {"settings": {"agent": "mtrnn_agents.supervised"}}
    return study_of(**(fields | given))


def keep(
    out: Path,
    study: Study,
    numbers: Callable[[Mapping[str, Any]], Mapping[str, float | None]] = numbers,
    diverged: Callable[[Mapping[str, Any]], bool] = lambda labels: False,
    there: Callable[[Mapping[str, Any]], bool] = lambda labels: True,
) -> None:
    """Writes a study to the folder `out`, and those of its cells that are to be there."""
    results.write_study(study, out, "paper")
    made = results_of(study, numbers, diverged=diverged)
    for (labels, cell), found in zip(made.entries, made.found, strict=True):
        if there(labels):
            path = path_of(out, cell.id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({**found, "versions": {"python": "3"}}))


def lines() -> Figure:
    """A figure that is small as lines."""
    figure = Figure(figsize=(7, 2.6))
    for axes in figure.subplots(1, 2):
        axes.plot([0, 1], [0, 1])
        axes.set_title('"a" <b> & $x_1$')
    return figure


def cloud() -> Figure:
    """A figure that is small as dots."""
    figure = Figure(figsize=(3, 3))
    figure.subplots().plot([i * 7919 % 10007 for i in range(10007)], range(10007), ".", ms=1)
    return figure


def scene() -> Any:
    """A figure to be turned."""
    import plotly.graph_objects as go

    figure = go.Figure(go.Scatter3d(x=[0, 1, 0], y=[0, 0, 1], z=[0, 1, 1], name="</script><b>", mode="lines+markers"))
    return figure.update_layout(title="x < y & z", width=900)
