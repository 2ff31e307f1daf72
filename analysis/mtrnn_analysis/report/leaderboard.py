"""The leaderboard: files of results of the benchmark, merged into a table and a page with a radar of each agent.

    write("results/benchmark")     # results/benchmark/leaderboard.html

A score is the mean, over the settings in which it was measured, of interquartile means over seeds, with a 95 %
bootstrap interval, seeds resampled within each setting. Generalisation and memory are measured in one setting each, in
five values: their intervals contain the true value in about 89 % of cases. A task that an agent refuses counts as 0, in
all scores that it has elsewhere.

Agents are ranked by performance: first agents that learn from the common observations; then agents without learning, or
with raw evidence. Not ranked are agents that exceed the ideal observer somewhere, and results of a part of the suite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

import mtrnn_envs
from mtrnn_analysis.figures.radar import radar_figure
from mtrnn_analysis.report.pages import templates
from mtrnn_analysis.report.pictures import still
from mtrnn_analysis.report.summaries import NOTHING, Grid, duration, interval, number
from mtrnn_analysis.report.tables import table
from mtrnn_analysis.statistics import Interval, bootstrap, interquartile_mean
from mtrnn_envs.experiments.benchmark.runner import load_results, missing_runs
from mtrnn_envs.experiments.benchmark.scores import SCORES, blind, chance
from mtrnn_envs.experiments.benchmark.suite import BUDGETS, NAMES, SETTINGS, VERSION, task_of
from mtrnn_envs.experiments.monitoring import ideals
from mtrnn_envs.utils.atomic_write import atomic_write

NAME = "leaderboard.html"
SEED = 0  # of the bootstrap, anew for each agent, so that intervals do not depend on the other agents
FAR = 5.0  # standard errors above the ideal observer, in one run, that show knowledge beyond the observations
LEARN, GIVEN = "agents that learn", "agents without learning, or with raw evidence"
KNOWS, PART = "not ranked: better than the ideal observer", "not ranked: results of a part of the suite"
KINDS = LEARN, GIVEN, KNOWS, PART
CODE = "code"
RT = task_of(next(setting for setting in SETTINGS if setting.name == "reaction-time"), 0)
BLIND = (blind(RT) - chance(RT)) / (ideals(RT, ["reward"])["reward"] - chance(RT))
# The settings that measure a score; all settings measure the others.
ASKED = {
    "generalisation": [setting.name for setting in SETTINGS if setting.held_out is not None],
    "memory": [setting.name for setting in SETTINGS if setting.long],
}
WHAT = {
    "performance": "mean reward, from random actions (0) to the ideal observer or optimal stopping (1); in the "
    f"setting reaction-time the best blind action has {BLIND:.2f}",
    "learning": f"performance after {BUDGETS[0]:,} to {BUDGETS[-1]:,} trials of training, mean over their logarithm",
    "generalisation": "mean reward in a quadrant of x* without training trials, from answers for the nearest x* with "
    "training trials, or less (0), to the ideal observer (1)",
    "memory": "performance with a much longer delay before the answers than in training",
    "abstraction": "OOD r², CCGP and parallelism of the states, as shares of those of the mean of the samples, times "
    "performance",
    "confidence": "Brier score of the reported probabilities, from no knowledge (0) to the ideal observer (1)",
    CODE: f"abstraction not multiplied by performance, after {BUDGETS[0]:,} trials and in the end: states of an "
    "untrained agent are nearly linear in x*, as its observations are",
}


class Ranked(NamedTuple):
    """One agent of the leaderboard.

    Attributes:
        name: of the agent, with "raw evidence" and the hidden seed, if it is not 0.
        kind: its place: one of `KINDS`.
        about: the file of results.
        scores: by name; None where nothing was measured.
        counts: the number of settings of each score.
        by_setting: interquartile means of performance over seeds, by setting.
        codes: abstraction not multiplied by performance, at the smallest budget and in the end; None if unknown.
        cpu_s: median processor time of training in a run; 0 without learning.
        refused: refused tests, a line each.
        missing: the reason why the agent is not ranked; empty if it is.
        suspect: runs in which it exceeds the ideal observer.
    """

    name: str
    kind: str
    about: Mapping[str, Any]
    scores: Mapping[str, Interval | None]
    counts: Mapping[str, int]
    by_setting: Mapping[str, float | None]
    codes: tuple[float | None, float | None]
    cpu_s: float
    refused: Sequence[str]
    missing: str
    suspect: Sequence[str]


def ranked(results: Sequence[Mapping[str, Any]]) -> list[Ranked]:
    """Agents, by kind, best first."""
    agents = [_ranked(about) for about in results]
    return sorted(agents, key=lambda a: (KINDS.index(a.kind), -_value(a.scores["performance"]), a.name))


def text(folder: Path) -> str:
    """The leaderboard of a folder of results as Markdown tables; raises as `write`."""
    agents, parts = read(folder), []
    for kind in dict.fromkeys(agent.kind for agent in agents):
        grid = scores_of([agent for agent in agents if agent.kind == kind])
        parts.append(f"{kind}:\n\n{table(grid.header, grid.rows)}")
    return "\n\n".join(parts)


def scores_of(agents: Sequence[Ranked]) -> Grid:
    """The scores of agents, a row each, with the number of settings where some are missing."""
    rows = []
    for agent in agents:
        found = [_said(name, each, agent.counts[name]) for name, each in agent.scores.items()]
        codes = " → ".join(number(code) for code in agent.codes if code is not None) or NOTHING
        rows.append([agent.name, *found, codes, duration(agent.cpu_s) if agent.cpu_s else NOTHING])
    return Grid(["agent", *SCORES, CODE, "training, CPU"], rows, 1)


def _said(name: str, score: Interval | None, count: int) -> str:
    if score is None:
        return NOTHING
    of = len(ASKED.get(name, NAMES))
    whole = interval(*score[:3]).replace(", ", ",\N{NO-BREAK SPACE}")
    return whole + (f" in {count} of {of} settings" if count < of else "")


def settings_of(agents: Sequence[Ranked]) -> Grid:
    """The performance of agents in each setting."""
    rows = [[agent.name, *(number(agent.by_setting.get(name)) for name in NAMES)] for agent in agents]
    return Grid(["agent", *NAMES], rows, 1)


def write(folder: str | Path) -> Path:
    """Writes the leaderboard of a folder of results; returns its path.

    Raises:
        ValueError: if the folder has no results, or a file is not valid.
    """
    folder = Path(folder)
    agents = read(folder)
    kinds = dict.fromkeys(agent.kind for agent in agents)
    page = templates().get_template("leaderboard.html.jinja")
    text = page.render(
        suite=VERSION,
        version=mtrnn_envs.__version__,
        scores={kind: scores_of([agent for agent in agents if agent.kind == kind]) for kind in kinds},
        performance=settings_of(agents),
        what=WHAT,
        settings={setting.name: setting.text for setting in SETTINGS},
        agents=[{"p": still(radar_figure(agent.scores)), **agent._asdict()} for agent in agents],
    )
    with atomic_write(folder / NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / NAME


def read(folder: Path) -> list[Ranked]:
    """The agents of a folder of results, ranked; raises as `write`."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    files = {path: load_results(path) for path in sorted(folder.glob("[!.]*.json"))}
    if not files:
        raise ValueError(f"{folder} holds no results of the benchmark; run one first: mtrnn benchmark --agent NAME")
    first: dict[str, Path] = {}
    for path, about in files.items():
        if (other := first.setdefault(_name(about), path)) != path:
            raise ValueError(f"{other} and {path} hold results of the same agent, {_name(about)}; remove one of them")
    return ranked(list(files.values()))


def _ranked(about: Mapping[str, Any]) -> Ranked:
    cells: list[Mapping[str, Any]] = about["cells"]
    rng, groups = np.random.default_rng(SEED), {score: _groups(cells, score) for score in SCORES}
    suspect = [f"{c['setting']}, seed {c['seed']}" for c in cells if any(_above(c["numbers"]))]
    codes = [[v for c in cells if (v := c["numbers"].get(name)) is not None] for name in ("code at first", "code")]
    learns, lacking = any(c["learns"] for c in cells), missing_runs(about, [(c["setting"], c["seed"]) for c in cells])
    return Ranked(
        _name(about),
        KNOWS if suspect else PART if lacking else LEARN if learns and not about["bare"] else GIVEN,
        about,
        {score: _estimate(list(each.values()), rng) for score, each in groups.items()},
        {score: len(each) for score, each in groups.items()},
        {name: float(interquartile_mean(values)) for name, values in groups["performance"].items()},
        (float(np.mean(codes[0])) if codes[0] else None, float(np.mean(codes[1])) if codes[1] else None),
        float(np.median([c["cpu_s"] for c in cells])) if learns else 0.0,
        [f"{c['setting']}, seed {c['seed']}: {name}: {why}" for c in cells for name, why in c["refused"].items()],
        lacking,
        suspect,
    )


def _name(about: Mapping[str, Any]) -> str:
    more = ["raw evidence"] * about["bare"] + [f"hidden seed {about['secret']}"] * (about["secret"] > 0)
    return f"{about['agent']} ({', '.join(more)})" if more else about["agent"]


def _groups(cells: Sequence[Mapping[str, Any]], score: str) -> dict[str, np.ndarray]:
    """The values of a score, by setting; 0 where an agent that has it elsewhere refuses the test."""
    has = any(c["scores"][score] is not None for c in cells)
    asked = ASKED.get(score, NAMES)

    def value(cell: Mapping[str, Any]) -> float | None:
        could_not = has and "performance" in cell["refused"] and cell["setting"] in asked
        return 0.0 if could_not and cell["scores"][score] is None else cell["scores"][score]

    values = {name: [value(c) for c in cells if c["setting"] == name] for name in NAMES}
    known = {name: [v for v in each if v is not None] for name, each in values.items()}
    return {name: np.array(each, float) for name, each in known.items() if each}


def _above(numbers: Mapping[str, Any]) -> list[bool]:
    """Whether the agent is far above the ideal observer, for each test."""
    return [value > FAR for name, value in numbers.items() if name.rpartition(": ")[2] == "z" and value is not None]


def _estimate(groups: Sequence[np.ndarray], rng: np.random.Generator) -> Interval | None:
    """The mean over settings of the interquartile mean over seeds."""
    if not groups:
        return None
    ends = np.cumsum([len(group) for group in groups])[:-1]

    def statistic(values: Float[np.ndarray, "*batch N"]) -> Float[np.ndarray, "*batch"]:
        return np.asarray(np.mean([interquartile_mean(part) for part in np.split(values, ends, axis=-1)], axis=0))

    if min(map(len, groups)) < 2:
        return Interval(float(statistic(np.concatenate(groups))), float("nan"), float("nan"), 0.95)
    return bootstrap(groups, rng, statistic=statistic)


def _value(found: Interval | None) -> float:
    return -np.inf if found is None else found.value
