"""The leaderboard: files of results of the benchmark, merged into a table and a page with a radar of each agent.

    write(Path("results/benchmark"))     # results/benchmark/leaderboard.html

A score is the interquartile mean over all cells (settings × seeds) in which it was measured, with a 95 % bootstrap
interval, networks drawn anew within each setting. What an agent refused counts as chance in its performance. Agents are
ranked by performance, those shown the evidence itself apart: they are given what others must find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

import mtrnn_envs
from mtrnn_analysis.figures.radar import radar_figure
from mtrnn_analysis.report.pictures import still
from mtrnn_analysis.report.summaries import NOTHING, Grid, duration, interval, number
from mtrnn_analysis.report.tables import table
from mtrnn_analysis.statistics import Interval, bootstrap, interquartile_mean
from mtrnn_envs.experiments.benchmark import load
from mtrnn_envs.experiments.scoring import SCORES
from mtrnn_envs.experiments.suite import NAMES, SETTINGS, VERSION
from mtrnn_envs.files import replacing

NAME = "leaderboard.html"
SEED = 0  # of the resampling behind intervals
WHAT = {
    "performance": "mean reward, from actions drawn evenly (0) to the ideal observer or optimal stopping (1)",
    "learning": "performance after 512 to 32,768 trials of training, mean over their logarithm",
    "generalisation": "performance in a quadrant of x* that no training trial was in",
    "memory": "performance where answers are asked for five times as late as in training",
    "abstraction": "OOD r², CCGP and parallelism of the states, as shares of those of the mean of the samples",
    "confidence": "Brier score of what is claimed, from chance (0) to the ideal claims (1)",
}


class Ranked(NamedTuple):
    """One agent, as the leaderboard has it.

    Attributes:
        name: of the agent.
        about: its results, as they are in the file.
        scores: by name; None where nothing was measured.
        by_setting: interquartile means of performance over seeds, by setting; None where there is none.
        cpu_s: processor time of training in a cell, median; 0 for what does not learn.
        refused: settings, and why.
        suspect: whether it does better than can be done with what is shown.
    """

    name: str
    about: Mapping[str, Any]
    scores: Mapping[str, Interval | None]
    by_setting: Mapping[str, float | None]
    cpu_s: float
    refused: Mapping[str, str]
    suspect: bool


def ranked(results: Sequence[Mapping[str, Any]]) -> list[Ranked]:
    """Agents, best first; those shown the evidence itself last."""
    rng = np.random.default_rng(SEED)
    agents = [_ranked(about, rng) for about in results]
    return sorted(agents, key=lambda agent: (agent.about["bare"], -_value(agent.scores["performance"]), agent.name))


def text(folder: Path) -> str:
    """The leaderboard of all files of results in a folder, as a Markdown table; raises as `write`."""
    grid = scores_of(_there(folder))
    return table(grid.header, grid.rows)


def scores_of(agents: Sequence[Ranked]) -> Grid:
    """The scores of agents, a row each."""
    rows = []
    for agent in agents:
        found = [(each and interval(*each[:3])) or NOTHING for each in agent.scores.values()]
        name = f"{agent.name} (shown the evidence)" if agent.about["bare"] else agent.name
        rows.append([name, *found, duration(agent.cpu_s) if agent.cpu_s else NOTHING])
    return Grid(["agent", *SCORES, "training, CPU"], rows, 1)


def settings_of(agents: Sequence[Ranked]) -> Grid:
    """The performance of agents in each setting."""
    rows = [[agent.name, *(number(agent.by_setting.get(name)) for name in NAMES)] for agent in agents]
    return Grid(["agent", *NAMES], rows, 1)


def write(folder: Path) -> Path:
    """Writes the leaderboard of all files of results in a folder; gives its path.

    Raises:
        ValueError: if there is none, or one is not of the form.
    """
    agents = _there(folder)
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("mtrnn_analysis.report", ""),
    )
    page = environment.get_template("leaderboard.html.jinja").render(
        suite=VERSION,
        version=mtrnn_envs.__version__,
        scores=scores_of(agents),
        performance=settings_of(agents),
        what=WHAT,
        settings={setting.name: setting.text for setting in SETTINGS},
        agents=[{"p": still(radar_figure(agent.scores)), **agent._asdict()} for agent in agents],
    )
    with replacing(folder / NAME) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return folder / NAME


def _there(folder: Path) -> list[Ranked]:
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ValueError(f"{folder} holds no results of the benchmark; run one first: mtrnn benchmark --agent NAME")
    return ranked([load(path) for path in paths])


def _ranked(about: Mapping[str, Any], rng: np.random.Generator) -> Ranked:
    cells: list[Mapping[str, Any]] = about["cells"]
    groups = {
        score: [
            np.array(values)
            for name in NAMES
            if (
                values := [c["scores"][score] for c in cells if c["setting"] == name and c["scores"][score] is not None]
            )
        ]
        for score in SCORES
    }
    scores = {score: _estimate(each, rng) for score, each in groups.items()}
    by_setting: dict[str, float | None] = {}
    for name in NAMES:
        values = [c["scores"]["performance"] for c in cells if c["setting"] == name]
        by_setting[name] = float(interquartile_mean(np.array(values, float))) if values else None
    performance = scores["performance"]
    return Ranked(
        about["agent"],
        about,
        scores,
        by_setting,
        float(np.median([c["cpu_s"] for c in cells])),
        {c["setting"]: c["refused"] for c in cells if c["refused"]},
        performance is not None and performance.low > 1.01,
    )


def _estimate(groups: Sequence[np.ndarray], rng: np.random.Generator) -> Interval | None:
    if not groups:
        return None
    if min(map(len, groups)) < 2:
        value = float(interquartile_mean(np.concatenate(groups)))
        return Interval(value, float("nan"), float("nan"), 0.95)
    return bootstrap(groups, rng)


def _value(found: Interval | None) -> float:
    return -np.inf if found is None else found.value
