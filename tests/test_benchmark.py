"""The benchmark: scores that are 0 by chance and 1 at the best, and results that can be obtained again."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrnn_agents.entrants import ideal_observer, integrator, random_agent
from mtrnn_agents.references import RandomAgent
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.experiments import benchmark, plugins
from mtrnn_envs.experiments.backends import Backend
from mtrnn_envs.experiments.benchmark import load, run, verify
from mtrnn_envs.experiments.entrants import entrant, made, trained
from mtrnn_envs.experiments.scoring import SCORES, chance, scored
from mtrnn_envs.experiments.suite import NAMES, SETTINGS, Setting, task_of
from mtrnn_envs.seeding import generator
from mtrnn_envs.stream import shown_task

BY_NAME = {setting.name: setting for setting in SETTINGS}
score = partial(scored, budgets=(64, 256), n_trials=600)

AGENTS = '''
import numpy as np
from mtrnn_envs import Stream

class Yes:
    """Always +1."""
    def __init__(self, task):
        self.task = task
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        shape = (len(observation), self.task.n_tasks)
        return np.ones(shape if self.task.cueing == "all" else shape[:1], int), None

class Counting:
    """Keeps its budget."""
    def __init__(self, task):
        self.task = task
    def fit(self, task, seed, budget):
        self.budget = budget
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.zeros((len(observation), self.task.n_tasks), int), None
'''


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of agents of a third party."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "agents_of_a_test.py").write_text(AGENTS)
    monkeypatch.syspath_prepend(folder)
    return "agents_of_a_test"


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_the_ideal_observer_has_1_and_random_0(setting: Setting) -> None:
    best, worst = (scored(make, setting, 0, bare=True, n_trials=600) for make in (ideal_observer, random_agent))
    # The reward of a trial is the mean over tasks: at most that of one task, whose standard deviation is below 1/2.
    error = 4 * 0.5 / np.sqrt(600 if setting.held_out is None else 150) / (best["numbers"]["ideal"] - 0.5)
    if setting.name == "reaction-time":
        error = 0.1
    for name in ("performance", "learning", "generalisation", "memory"):
        if (score := best["scores"][name]) is not None:
            assert score == pytest.approx(1, abs=error)
            assert worst["scores"][name] == pytest.approx(0, abs=error)
    assert best["scores"]["abstraction"] == pytest.approx(1, abs=0.01)
    assert best["scores"]["confidence"] == pytest.approx(1, abs=1e-6)
    assert worst["scores"]["abstraction"] is None
    assert (best["refused"], worst["refused"]) == ("", "")


@pytest.mark.parametrize("stimulus", [3, (2, 5)])
@pytest.mark.parametrize("payoff", ["quadratic", "accuracy"])
def test_chance_is_what_random_actions_earn(payoff: str, stimulus: Any) -> None:
    from mtrnn_envs.experiments.scoring import _recorded

    task = EvidenceTask(
        n_tasks=4, payoff=payoff, decision=0, encoder=None, stimulus=stimulus, n_confidence=2, time_cost=0.05
    )
    recording = _recorded(RandomAgent(task, np.random.default_rng(0)), task, 20_000, 0)
    rewards = recording.rewards.sum(axis=1)
    assert chance(task) == pytest.approx(rewards.mean(), abs=4 * rewards.std() / np.sqrt(len(rewards)))


def test_an_agent_that_always_says_yes_has_0(theirs: str) -> None:
    for name in ("n24", "nonlinear"):
        found = score(entrant(f"{theirs}:Yes"), BY_NAME[name], 0)
        assert found["scores"]["performance"] == pytest.approx(0, abs=0.06)
    # It does not know what an answer with confidence is: action 1 is the least sure no.
    found = score(entrant(f"{theirs}:Yes"), BY_NAME["reaction-time"], 0)
    assert found["scores"]["performance"] < 0.3


def test_an_agent_that_knows_the_trials_does_better_than_can_be_done() -> None:
    class Peeking:
        def __init__(self, task: EvidenceTask) -> None:
            streams = [Stream(task, "test", i).take(40).labels for i in range(256)]
            self.labels = np.stack(streams)
            self.trial = -np.ones(256, int)

        def predict(
            self, observation: np.ndarray, state: Any = None, episode_start: Any = None, deterministic: bool = False
        ) -> tuple[np.ndarray, None]:
            self.trial = self.trial + np.asarray(episode_start, int)
            return (self.labels[np.arange(256), self.trial] > 0).astype(int), None

    found = scored(Peeking, BY_NAME["n2"], 0, n_trials=2000)
    assert found["numbers"]["accuracy"] == 1
    assert found["scores"]["performance"] > 1.05


def test_the_integrator_refuses_curves_which_counts_as_chance() -> None:
    found = score(integrator, BY_NAME["nonlinear"], 0, bare=True)
    assert found["scores"]["performance"] == 0
    assert "boundaries='quadric'" in found["refused"]
    assert found["scores"]["abstraction"] is None


def test_learning_is_the_mean_over_the_logarithm_of_trials(theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mtrnn_envs.experiments import scoring

    at, recorded = {1: 0.0, 4: 0.4, 64: 1.0}, scoring._recorded

    def as_if_learned(agent: Any, task: EvidenceTask, n: int, seed: int) -> Any:
        recording = recorded(agent, task, n, seed)
        rewards = np.zeros_like(recording.rewards)
        rewards[:, -1] = 0.5 + at[agent.budget] * (scoring._best(task) - 0.5)
        return replace(recording, rewards=rewards)

    monkeypatch.setattr(scoring, "_recorded", as_if_learned)
    found = scored(entrant(f"{theirs}:Counting"), BY_NAME["n6"], 0, budgets=(1, 4, 64), n_trials=256)
    assert found["numbers"]["curve"] == pytest.approx([0, 0.4, 1])
    # Two of the six doublings at a mean of 0.2, four at 0.7.
    assert found["scores"]["learning"] == pytest.approx((2 * 0.2 + 4 * 0.7) / 6)


def test_noise_for_states_is_no_abstraction() -> None:
    class Noisy(RandomAgent):
        def hidden(self, state: Any) -> np.ndarray:
            return self.rng.standard_normal((256, 8)).astype(np.float32)

    noisy = scored(lambda task: Noisy(task, np.random.default_rng(0)), BY_NAME["n2"], 0, n_trials=2000)
    assert noisy["scores"]["abstraction"] == pytest.approx(0, abs=0.15)


def test_what_is_unannounced_follows_from_seed_and_secret() -> None:
    setting = BY_NAME["unannounced"]
    tasks = {(seed, secret): task_of(setting, seed, secret) for seed in range(5) for secret in (0, 1)}
    assert len(set(tasks.values())) == 10
    assert tasks[3, 1] == task_of(setting, 3, 1)
    for task in tasks.values():
        assert 2 <= task.n_dims <= task.n_tasks <= 4 * task.n_dims <= 16
        assert 0.1 <= task.sigmas[0] <= 0.4
    assert all(task_of(BY_NAME["n6"], 2, secret) == task_of(BY_NAME["n6"], 2) for secret in (1, 2))


def test_agents_are_given_what_they_name() -> None:
    task, tested = EvidenceTask(excluded_orthants=("+-",)), EvidenceTask()

    class Ready:
        def __init__(self, task: EvidenceTask, rng: np.random.Generator, *, threshold: float = 0.1) -> None:
            self.task, self.rng = task, rng

        def predict(self) -> None: ...

    class Learns:
        def __init__(self, seed: int) -> None:
            self.seed, self.fitted = seed, ()

        def fit(self, task: EvidenceTask, seed: int, budget: int) -> None:
            self.fitted = task, seed, budget

        predict = Ready.predict

    ready = made(Ready, task, tested, 3)
    assert ready.task == tested
    assert ready.rng.random() == generator(3, "actions").random()
    learns = trained(made(Learns, task, tested, 3), task, 3, 100)
    assert (learns.seed, learns.fitted) == (3, (task, 3, 100))
    with pytest.raises(ValueError, match=r"the agent, a str, has no method predict"):
        made(lambda: "nothing", task, tested, 0)


def test_names_of_agents(theirs: str) -> None:
    assert entrant("random") is random_agent
    assert set(plugins.names("entrant")) >= {"ideal_observer", "leaky_rnn", "gru_ppo", "recurrent_ppo", "ppo_history"}
    with pytest.raises(ValueError, match="did you mean 'random'"):
        entrant("randm")
    with pytest.raises(
        ValueError, match=r"is made with 'name', which has no default; the benchmark gives task, seed, rng"
    ):
        entrant("mtrnn_envs.checks:whole")


def test_results_are_written_resumed_and_verified(theirs: str, tmp_path: Path) -> None:
    how: dict[str, Any] = {"settings": ["n2", "nonlinear"], "seeds": 2, "progress": False}
    how |= {"backend": Backend(n_jobs=1), "budgets": (8,), "n_trials": 64}
    path = run("integrator", tmp_path / "results", bare=True, **how)
    found = load(path)
    assert [(cell["setting"], cell["seed"]) for cell in found["cells"]] == [
        ("n2", 0),
        ("n2", 1),
        ("nonlinear", 0),
        ("nonlinear", 1),
    ]
    assert found["command"] == (
        "mtrnn benchmark --agent integrator --seeds 2 --secret 0 --bare --settings n2 nonlinear"
    )
    before = {cell: cell.stat().st_mtime_ns for cell in (tmp_path / "results" / "cells").rglob("*.json")}
    assert len(before) == 4
    assert run("integrator", tmp_path / "results", bare=True, **how) == path
    assert {cell: cell.stat().st_mtime_ns for cell in before} == before
    assert verify(path) == []
    found["cells"][0]["numbers"]["reward"] += 1e-12
    path.write_text(json.dumps(found))
    (said,) = verify(path, n_cells=4)
    assert said.startswith("n2, seed 0: numbers were")


def test_files_that_are_no_results_are_refused(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a.json is no file of results: .*is a required property"):
        load(path)
    path.write_text("not JSON")
    with pytest.raises(ValueError, match=r"a.json is no file of results"):
        load(path)


def test_the_schema_knows_the_settings_and_scores() -> None:
    schema = json.loads(resources.files("mtrnn_envs.experiments").joinpath("benchmark.schema.json").read_text())
    cell = schema["properties"]["cells"]["items"]["properties"]
    assert cell["setting"]["enum"] == list(NAMES)
    assert cell["scores"]["required"] == list(SCORES)
    assert schema["properties"]["suite"]["const"] == benchmark.VERSION


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"settings": ["n25"]}, "'n25' is not a setting of MTE-v1; did you mean 'n2'"),
        ({"seeds": 0}, "seeds=0"),
        ({"secret": -1}, "secret=-1"),
        ({"budgets": (4, 2)}, r"budgets=\[4, 2\] must be numbers of trials, rising"),
        ({"n_trials": 0}, "n_trials=0"),
    ],
)
def test_what_is_not_allowed(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        run("random", tmp_path / "results", **given)
    assert not (tmp_path / "results").exists()


def test_held_out_quadrants_are_not_trained_on_and_are_tested() -> None:
    task = task_of(BY_NAME["new-quadrant"], 0)
    assert task.excluded_orthants == ("+-",)
    assert shown_task(task, "test").excluded_orthants == ()
    latents = Stream(task, "train", 0).take(500).latents
    assert not np.any((latents[:, 0] > 0) & (latents[:, 1] <= 0))
