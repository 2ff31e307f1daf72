"""The leaderboard: scores over settings and seeds, ranks, and a page that a browser shows without network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrnn_analysis.figures.radar import radar_figure, radars_figure
from mtrnn_analysis.report.leaderboard import GIVEN, KNOWS, LEARN, PART, ranked, text, write
from mtrnn_analysis.statistics import Interval
from mtrnn_envs.experiments.benchmark.scores import SCORES
from mtrnn_envs.experiments.benchmark.suite import BUDGETS, N_TRIALS, NAMES, VERSION


def reward(score: float, prefix: str = "", nothing: str = "chance") -> dict[str, float]:
    """Numbers that make a score."""
    return {f"{prefix}reward": 0.5 + score / 4, nothing: 0.5, f"{prefix}ideal": 0.75, f"{prefix}z": -1.0}


def results_of(
    agent: str, performance: Any, bare: bool = False, learns: bool = True, **scores: float
) -> dict[str, Any]:
    """A file of results; performance is a function of setting and seed."""
    cells = [
        {
            "setting": name,
            "seed": seed,
            "scores": {**dict.fromkeys(SCORES), "performance": float(performance(name, seed)), **scores},
            "numbers": {
                **reward(performance(name, seed)),
                **reward(0.5, "held out: ", "held out: nearest"),
                **reward(0.5, "long: "),
                "z": 9.0 if performance(name, seed) > 1.05 else -1.0,
                "code at first": 0.25,
                "code": 0.5,
            },
            "cpu_s": 2.0,
            "learns": learns,
            "refused": {"performance": "it cannot"} if performance(name, seed) == 0 else {},
        }
        for name in NAMES
        for seed in range(5)
    ]
    return {
        "schema": 1,
        "suite": VERSION,
        "agent": agent,
        "code": "",
        "secret": 0,
        "bare": bare,
        "budgets": list(BUDGETS),
        "n_trials": N_TRIALS,
        "suite_code": "",
        "versions": {"python": "3"},
        "seeds": 5,
        "command": f"mtrnn benchmark --agent {agent}",
        "cells": cells,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "worse": results_of("worse", lambda name, seed: 0.5 + 0.01 * seed, abstraction=0.4),
        "better": results_of("better<b>", lambda name, seed: 0.0 if name == "nonlinear" else 0.9, abstraction=0.8),
        "peeks": results_of("peeks", lambda name, seed: 1.08),
        "ideal": results_of("ideal", lambda name, seed: 1.0, bare=True),
    }
    for name, about in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(about))
    return tmp_path


def test_agents_are_ranked_by_what_they_were_given() -> None:
    part = results_of("part", lambda name, seed: 0.9)
    part["cells"] = [cell for cell in part["cells"] if cell["setting"] == "n2"]
    agents = ranked(
        [
            part,
            results_of("seeing", lambda name, seed: 1, bare=True),
            results_of("ready", lambda name, seed: 0.99, learns=False),
            results_of("low", lambda name, seed: 0.2),
            results_of("peeks", lambda name, seed: 1.08),
            results_of("high", lambda name, seed: 0.8),
        ]
    )
    names = ["high", "low", "seeing (raw evidence)", "ready", "peeks", "part"]
    assert [agent.name for agent in agents] == names
    assert [agent.kind for agent in agents] == [LEARN, LEARN, GIVEN, GIVEN, KNOWS, PART]
    assert agents[-1].missing == "5 seeds of n2 only"
    assert [bool(agent.suspect) for agent in agents] == [False] * 4 + [True, False]
    assert agents[0].codes == (0.25, 0.5)


def test_a_score_is_the_mean_over_settings_of_interquartile_means_over_seeds() -> None:
    """Of five seeds one is left out at either end."""
    rng = np.random.default_rng(0)
    values = {(name, seed): rng.uniform(0.1, 1) for name in NAMES for seed in range(5)}
    (agent,) = ranked([results_of("mine", lambda name, seed: values[name, seed])])
    means = [np.mean(sorted(values[name, seed] for seed in range(5))[1:-1]) for name in NAMES]
    found = agent.scores["performance"]
    assert found is not None
    assert found.value == pytest.approx(np.mean(means))
    assert found.low < found.value < found.high
    assert agent.scores["memory"] is None
    assert list(agent.by_setting.values()) == pytest.approx(means)


def test_what_cannot_be_done_lowers_the_score() -> None:
    whole, less = (
        ranked([results_of("a", lambda name, seed, n=n: 0.0 if name in NAMES[:n] else 0.9)])[0].scores["performance"]
        for n in (0, 3)
    )
    assert whole is not None
    assert less is not None
    assert less.value == pytest.approx(whole.value * (len(NAMES) - 3) / len(NAMES))


def test_who_refuses_a_setting_has_0_there_in_all_that_it_has_elsewhere() -> None:
    """In what is asked there: memory is asked elsewhere only."""
    some = results_of("a", lambda name, seed: 0.0 if name in NAMES[:3] else 0.9)
    for cell in some["cells"]:
        if not cell["refused"]:
            cell["scores"] |= {"abstraction": 0.8, "memory": 0.7 if cell["setting"] == "delay" else None}
    (agent,) = ranked([some])
    assert {name: each.value for name, each in agent.scores.items() if each} == pytest.approx(
        {"performance": 0.9 * 10 / 13, "abstraction": 0.8 * 10 / 13, "memory": 0.7}
    )
    assert (agent.counts["abstraction"], agent.counts["memory"], agent.counts["confidence"]) == (13, 1, 0)


def test_what_a_score_rests_on_is_said_where_it_is_not_all(tmp_path: Path) -> None:
    some = results_of("a", lambda name, seed: 0.9)
    for cell in some["cells"]:
        cell["scores"]["confidence"] = 0.5 if cell["setting"] == "reaction-time" else None
    (tmp_path / "a.json").write_text(json.dumps(some))
    assert "0.500 [0.500,\N{NO-BREAK SPACE}0.500] in 1 of 13 settings" in text(tmp_path)
    (tmp_path / "b.json").write_text(json.dumps({**some, "secret": 3, "suite_code": "f"}))
    assert "| a (hidden seed 3) |" in text(tmp_path)
    assert "These results were measured by different versions of the suite" in write(tmp_path).read_text()
    (tmp_path / "c.json").write_text(json.dumps(some))
    with pytest.raises(ValueError, match=r"a.json and \S+c.json hold results of the same agent, a; remove one"):
        text(tmp_path)


def test_who_does_better_than_can_be_done_is_named(folder: Path) -> None:
    page = write(folder).read_text()
    assert page.count("Better than the ideal observer, so that it uses more than its observations:") == 1
    assert page.count("nonlinear, seed 0: performance: it cannot") == 1
    assert "better&lt;b&gt;" in page
    assert "better<b>" not in page
    for name in NAMES:
        assert f"<dt>{name}</dt>" in page
    assert write(folder).read_text() == page
    assert [line for line in text(folder).splitlines() if "peeks" in line]


def test_without_results_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no results of the benchmark; run one first: mtrnn benchmark --agent"):
        write(tmp_path)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        write(tmp_path / "nowhere")


def test_the_radar_shows_what_was_measured() -> None:
    scores: dict[str, Interval | None] = {
        name: Interval(0.5 + 0.1 * i, 0.4, 1.0, 0.95) for i, name in enumerate(SCORES)
    }
    scores["memory"] = None
    axes = radar_figure(scores).axes[0]
    marks = [
        float(np.hypot(*np.asarray(line.get_data(), float).ravel()))
        for line in axes.get_lines()
        if line.get_marker() == "o"
    ]
    assert marks == pytest.approx([0.5, 0.6, 0.7, 0.9, 1.0])
    said = [t.get_text() for t in axes.texts]
    assert said[3] == "memory\nnot measured"
    assert said[0] == "performance\n0.50"
    assert len(radar_figure(dict.fromkeys(SCORES)).axes[0].texts) == 6
    both = radars_figure({"one": scores, "other": dict.fromkeys(SCORES)}, columns=1)
    assert [each.get_title() for each in both.axes] == ["one", "other"]
    assert both.axes[0].get_position().y0 > both.axes[1].get_position().y0
