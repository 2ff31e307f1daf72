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

from mtrnn_agents import untrained
from mtrnn_agents.baselines import IdealObserver, OptimalStopping, RandomAgent
from mtrnn_agents.benchmark_agents import ideal_observer, integrator, random_agent
from mtrnn_envs import IDS, EvidenceTask, Stream, plugins
from mtrnn_envs.environments.vector_env import EvidenceVectorEnv
from mtrnn_envs.experiments.benchmark import runner as benchmark
from mtrnn_envs.experiments.benchmark import scores
from mtrnn_envs.experiments.benchmark.agents import find_agent, make_agent, train_agent
from mtrnn_envs.experiments.benchmark.runner import load_results, run_benchmark, slug, suite_code, verify
from mtrnn_envs.experiments.benchmark.scores import SCORES, _tested, blind, chance, scored
from mtrnn_envs.experiments.benchmark.suite import NAMES, SETTINGS, Setting, seed_of_tests, task_of
from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.experiments.fingerprints import code_of
from mtrnn_envs.experiments.studies.backends import Backend, Failure
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.ideal_observer.posterior import trial_probabilities
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.stream import shown_task
from mtrnn_envs.testing.diagnose import problems

BY_NAME = {setting.name: setting for setting in SETTINGS}
TASK = EvidenceTask(encoder=None)
score = partial(scored, budgets=(64, 256), n_trials=600)

ONE_RUN: dict[str, Any] = {"settings": ["n2"], "seeds": 1, "n_trials": 64, "progress": False}


class Yes:
    """Always +1."""

    def __init__(self, task: EvidenceTask) -> None:
        self.task = task

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> Any:
        shape = (len(observation), self.task.n_tasks)
        return np.ones(shape if self.task.cueing == "all" else shape[:1], int), None


class Counting(Yes):
    """Keeps its budget."""

    def fit(self, task: EvidenceTask, seed: int, budget: int) -> None:
        self.budget = budget


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_the_ideal_observer_has_1_and_random_0(setting: Setting) -> None:
    best, worst = (
        scored(make, setting, 0, raw_evidence=True, n_trials=1000) for make in (ideal_observer, random_agent)
    )
    task, numbers = task_of(setting, 0), worst["numbers"]
    # Rewards of tasks are independent, for answers are: a fair coin's, or in reaction time those of one task.
    of_one = 0.5 if not task.reaction_time else float(task.reward_table.std()) + task.time_cost
    n = (1000 if setting.held_out is None else 700) * task.n_answers
    error = 4 * of_one / np.sqrt(n) / (numbers["ideal"] - numbers["chance"])
    exact = 1e-6 if setting.name != "reaction-time" else 0.05
    for name in ("performance", "memory"):
        if (score := best["scores"][name]) is not None:
            assert score == pytest.approx(1, abs=exact)
            assert worst["scores"][name] == pytest.approx(0, abs=error)
    if setting.held_out is not None:
        assert (best["scores"]["generalisation"], worst["scores"]["generalisation"]) == (pytest.approx(1, abs=exact), 0)
        assert numbers["held out: score"] < -1
    assert best["scores"]["abstraction"] == pytest.approx(1, abs=exact)
    assert best["scores"]["confidence"] == pytest.approx(1, abs=1e-6)
    assert (worst["scores"]["abstraction"], worst["scores"]["learning"], best["scores"]["learning"]) == (None,) * 3
    assert worst["scores"]["confidence"] in (None, 0)
    assert best["refused"] == worst["refused"] == {}


@pytest.mark.parametrize("stimulus", [3, (2, 5)])
@pytest.mark.parametrize("payoff", ["quadratic", "accuracy"])
def test_chance_is_what_random_actions_earn(payoff: str, stimulus: Any) -> None:
    task = EvidenceTask(
        n_tasks=4, payoff=payoff, decision=0, encoder=None, stimulus=stimulus, n_confidence=2, time_cost=0.05
    )
    recording = _tested(RandomAgent(task, np.random.default_rng(0)), task, 20_000, 0).recording
    rewards = recording.rewards.sum(axis=1)
    assert chance(task) == pytest.approx(rewards.mean(), abs=4 * rewards.std() / np.sqrt(len(rewards)))


def test_the_best_that_can_be_done_blindly() -> None:
    """The least sure of three levels claims 7/12: it pays (1 - 4 (5/12)²) / 2 + (1 - 4 (7/12)²) / 2 = -1/36."""
    assert blind(EvidenceTask(payoff="quadratic", decision=0)) == pytest.approx(-1 / 36 - 0.01)
    assert blind(EvidenceTask(payoff="quadratic", decision=0, time_cost=0)) == 0
    assert blind(EvidenceTask()) == 0.5


def test_an_agent_that_always_answers_yes_has_0() -> None:
    for name in ("n24", "nonlinear"):
        found = score(Yes, BY_NAME[name], 0)
        assert found["scores"]["performance"] == pytest.approx(0, abs=0.06)
    # It does not know what an answer with confidence is: action 1 is the least sure no.
    found = score(Yes, BY_NAME["reaction-time"], 0)
    assert found["scores"]["performance"] < 0.3


def test_who_answers_for_the_nearest_point_of_training_does_not_generalise() -> None:
    """Nor does who believes that x* is never in the quadrant, and answers what is then best."""

    class Believing(IdealObserver):
        """Integrates by quadrature over the three quadrants of training."""

        def __init__(self, task: EvidenceTask) -> None:
            super().__init__(task)
            grid = (np.arange(200) + 0.5) / 200 - 0.5
            points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
            self.points = points[(points[:, 0] < 0) | (points[:, 1] > 0)]
            self.labels = task.boundary.margins(self.points) > 0

        def predict(self, *args: Any, **how: Any) -> Any:
            _, state = super().predict(*args, **how)
            n = state.belief.samples[:, None]
            means = state.belief.total / np.maximum(n, 1)
            distance = ((means[:, None] - self.points) ** 2).sum(axis=2)
            logs = -n * (distance - distance.min(axis=1, keepdims=True)) / 2 / 0.2**2
            weights = np.exp(logs)
            return (weights @ self.labels > weights.sum(axis=1, keepdims=True) / 2).astype(int), state

    class Nearest(IdealObserver):
        def predict(self, *args: Any, **how: Any) -> Any:
            _, state = super().predict(*args, **how)
            x, y = (state.belief.total / np.maximum(state.belief.samples[:, None], 1)).T
            inside, upwards = (x > 0) & (y <= 0), np.abs(y) < np.abs(x)
            x, y = np.where(inside & ~upwards, -1e-6, x), np.where(inside & upwards, 1e-6, y)
            return (self.task.boundary.margins(np.column_stack([x, y])) > 0).astype(int), state

    found = scored(Nearest, BY_NAME["new-quadrant"], 0, raw_evidence=True, n_trials=600)
    assert found["scores"]["generalisation"] == pytest.approx(0, abs=1e-9)
    found = scored(Believing, BY_NAME["new-quadrant"], 0, raw_evidence=True, n_trials=600)
    # Where two edges are about as near it weighs both; the likeliest point is on one of them.
    assert found["numbers"]["held out: score"] == pytest.approx(0, abs=0.15)
    assert found["scores"]["performance"] == pytest.approx(1, abs=0.01)


def test_an_agent_that_forgets_is_told_apart() -> None:
    """One sample in 20 has sqrt(20) times the error, and after a delay there is nothing left of it."""

    class Forgetful(IdealObserver):
        def predict(
            self, observation: Any, state: Any = None, episode_start: Any = None, *args: Any, **how: Any
        ) -> Any:
            if not observation[:, 1:].any():  # the step of the answer
                return super().predict(observation, state, np.zeros(len(observation), bool), *args, **how)
            return super().predict(observation, None, np.ones(len(observation), bool), *args, **how)

    last = score(Forgetful, BY_NAME["n24"], 0, raw_evidence=True)
    task = shown_task(task_of(BY_NAME["n24"], 0), "test")
    of_one = ideal_performance(replace(task, encoder=None, encoder_seed=0, stimulus=1)).accuracy
    of_all = ideal_performance(replace(task, encoder=None, encoder_seed=0)).accuracy
    assert last["scores"]["performance"] == pytest.approx((of_one - 0.5) / (of_all - 0.5), abs=0.03)
    assert last["scores"]["performance"] < 0.85


def test_an_agent_that_knows_the_trials_does_better_than_can_be_done() -> None:
    setting = BY_NAME["n2"]

    class Peeking:
        def __init__(self, task: EvidenceTask) -> None:
            first = seed_of_tests(setting, 0, 0)
            self.labels = np.stack([Stream(task, "test", first + i).take(8).labels for i in range(256)])
            self.trial = -np.ones(256, int)

        def predict(
            self, observation: np.ndarray, state: Any = None, episode_start: Any = None, deterministic: bool = False
        ) -> tuple[np.ndarray, None]:
            self.trial = self.trial + np.asarray(episode_start, int)
            return (self.labels[np.arange(256), np.minimum(self.trial, 7)] > 0).astype(int), None

    found = scored(Peeking, setting, 0, n_trials=2000)
    assert found["numbers"]["accuracy"] == 1
    assert found["scores"]["performance"] > 1.05
    assert found["numbers"]["z"] > 5


def test_the_integrator_refuses_curves_which_counts_as_chance() -> None:
    found = score(integrator, BY_NAME["nonlinear"], 0, raw_evidence=True)
    assert found["scores"]["performance"] == 0
    assert "ValueError: boundaries='quadric'" in found["refused"]["performance"]
    assert found["scores"]["abstraction"] is None


def test_what_an_agent_cannot_do_is_0_and_takes_nothing_else_with_it() -> None:
    """States that are all the same hold no x*; a delay that is longer than its memory makes this one raise."""

    class Limited(IdealObserver):
        def predict(self, observation: Any, state: Any = None, *args: Any, **how: Any) -> Any:
            action, state = super().predict(observation, state, *args, **how)
            if state.belief.samples.max() == 20 and not observation[:, 1:].any():
                self.waited += 1
            if self.waited > 60:
                raise RuntimeError("out of memory")
            return action, state

        waited = 0

        def hidden(self, state: Any) -> Any:
            return np.zeros((len(state.belief.samples), 3), np.float32)

    found = scored(lambda task: Limited(task), BY_NAME["delay"], 0, raw_evidence=True, n_trials=256)
    assert found["scores"]["performance"] == pytest.approx(1)
    assert found["scores"]["memory"] == 0
    assert found["scores"]["abstraction"] == 0
    assert found["scores"]["confidence"] == pytest.approx(1)
    assert found["refused"]["memory"] == "RuntimeError: out of memory"


def test_training_that_fails_is_0() -> None:
    class Diverging:
        def fit(self, task: EvidenceTask, seed: int, budget: int) -> None:
            raise FloatingPointError("nan")

    found = score(Diverging, BY_NAME["new-quadrant"], 0)
    scores = {name: found["scores"][name] for name in ("performance", "learning", "generalisation")}
    assert scores == dict.fromkeys(scores, 0.0)
    assert found["scores"]["memory"] is None
    assert found["learns"]


def test_learning_is_the_mean_over_the_logarithm_of_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    at = {1: 0.0, 4: 0.4, 64: 1.0}
    tested = scores._tested

    def as_if_learned(agent: Any, task: EvidenceTask, **how: Any) -> Any:
        recording, trials = tested(agent, task, **how)
        best = np.mean((trial_probabilities(trials) > 0.5) == (trials.labels > 0))
        rewards = np.zeros_like(recording.rewards)
        rewards[:, -1] = 0.5 + at[agent.budget] * (best - 0.5)
        return scores.Tested(replace(recording, rewards=rewards), trials)

    monkeypatch.setattr(scores, "_tested", as_if_learned)
    found = scored(Counting, BY_NAME["n6"], 0, budgets=(1, 4, 64), n_trials=256)
    assert found["numbers"]["curve"] == pytest.approx([0, 0.4, 1])
    # Two of the six doublings at a mean of 0.2, four at 0.7.
    assert found["scores"]["learning"] == pytest.approx((2 * 0.2 + 4 * 0.7) / 6)


def test_a_network_that_has_learned_nothing_has_no_abstraction() -> None:
    """Its states hold x*, as what it is shown does; but it answers by chance."""

    class New:
        def fit(self, task: EvidenceTask, seed: int, budget: int) -> Any:
            return untrained(task, seed)

    found = score(New, BY_NAME["n6"], 0)
    assert found["scores"]["abstraction"] == pytest.approx(0, abs=0.1)
    assert found["numbers"]["code at first"] > 0.5


def test_a_task_left_open_claims_one_half() -> None:
    class Waiting(OptimalStopping):
        def predict(self, *args: Any, **how: Any) -> Any:
            action, state = super().predict(*args, **how)
            return np.zeros_like(action), state

    found = score(Waiting, BY_NAME["reaction-time"], 0, raw_evidence=True)
    assert found["numbers"]["brier"] == 0.25
    assert found["scores"]["confidence"] == 0
    assert score(OptimalStopping, BY_NAME["reaction-time"], 0, raw_evidence=True)["scores"][
        "confidence"
    ] == pytest.approx(1)


def test_tests_share_no_trial() -> None:
    first = {
        (setting.name, seed, secret, long): seed_of_tests(setting, seed, secret, long=long)
        for setting in SETTINGS
        for seed in range(5)
        for secret in range(3)
        for long in (False, True)
    }
    seeds = np.sort(np.array(list(first.values())))
    assert np.diff(seeds).min() > 256  # environment i has this seed plus i


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

    ready = make_agent(Ready, task, tested, 3)
    assert ready.task == tested
    assert ready.rng.random() == generator(3, "actions").random()
    learns: Any = train_agent(make_agent(Learns, task, tested, 3), task, 3, 100)
    assert (learns.seed, learns.fitted) == (3, (task, 3, 100))
    with pytest.raises(ValueError, match=r"the agent, a str, has no method predict"):
        make_agent(lambda: "nothing", task, tested, 0)


@pytest.mark.parametrize("setting", ["n2", "reaction-time"])
@pytest.mark.parametrize(
    "name",
    [name for name in plugins.names("benchmark agent") if hasattr(make_agent(find_agent(name), TASK, TASK, 0), "fit")],
)
def test_ours_learn_from_as_many_trials_as_they_may(name: str, setting: str) -> None:
    task = task_of(BY_NAME[setting], 0)
    agent: Any = train_agent(make_agent(find_agent(name), task, task, 0), task, 0, 64)
    training = agent.training if hasattr(agent, "training") else agent.run["training"]
    if isinstance(training, dict):  # what is begun is counted: see the tests of these agents
        assert training["total_trials"] == 64
        assert training["n_envs"] < 64
    elif hasattr(training, "n_updates"):
        assert 32 < training.n_updates * training.batch_size <= 64
    else:
        assert 32 < training.n_iterations * training.n_trials <= 64
    assert problems(agent, task) == []


def test_names_of_agents() -> None:
    assert find_agent("random") is random_agent
    assert set(plugins.names("benchmark agent")) >= {
        "ideal_observer",
        "leaky_rnn",
        "gru_ppo",
        "recurrent_ppo",
        "ppo_history",
    }
    with pytest.raises(ValueError, match="did you mean 'random'"):
        find_agent("randm")
    with pytest.raises(ValueError, match=r"requires 'name', which has no default; the benchmark gives task, seed"):
        find_agent("mtrnn_envs.utils.validation:check_int")


def test_results_are_written_resumed_and_verified(tmp_path: Path) -> None:
    how: dict[str, Any] = {"settings": ["n2", "nonlinear"], "seeds": 2, "progress": False}
    how |= {"backend": Backend(n_jobs=1), "budgets": (8,), "n_trials": 64}
    path = run_benchmark("integrator", tmp_path / "results", raw_evidence=True, **how)
    found = load_results(path)
    runs = [("n2", 0), ("n2", 1), ("nonlinear", 0), ("nonlinear", 1)]
    assert [(cell["setting"], cell["seed"]) for cell in found["cells"]] == runs
    assert found["command"] == (
        "mtrnn benchmark --agent integrator --seeds 2 --secret 0 --bare --settings n2 nonlinear"
        "  # in Python, with budgets=(8,), n_trials=64"
    )
    assert path.name == "integrator-bare-part.json"
    before = {cell: cell.stat().st_mtime_ns for cell in (tmp_path / "results" / "cells").rglob("*.json")}
    assert len(before) == 4
    assert run_benchmark("integrator", tmp_path / "results", raw_evidence=True, **how) == path
    assert {cell: cell.stat().st_mtime_ns for cell in before} == before
    assert verify(path) == []
    other = run_benchmark(
        "integrator", tmp_path / "results", raw_evidence=True, **{**how, "settings": ["n6"], "seeds": 1}
    )
    assert other == path
    assert len(load_results(path)["cells"]) == 5  # those that are there already are kept
    found["cells"][0]["numbers"]["reward"] += 1e-12
    path.write_text(json.dumps(found))
    (said,) = verify(path, n_runs=4)
    assert said.startswith("n2, seed 0: numbers: reward was")


def test_the_code_of_an_agent_is_that_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_package_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "agent.py").write_text("from a_package_of_a_test.network import Mine")
    (package / "network.py").write_text("class Mine: ...")
    monkeypatch.syspath_prepend(tmp_path)
    make = find_agent("a_package_of_a_test.agent:Mine")
    before = code_of(make)
    (package / "network.py").write_text("class Mine: x = 1")
    assert code_of(make) != before
    assert code_of(partial(make, 3)) == code_of(make)
    (tmp_path / "without_init").mkdir()
    (tmp_path / "without_init" / "agent.py").write_text("class Mine: ...")
    make = find_agent("without_init.agent:Mine")
    before = code_of(make)
    (tmp_path / "without_init" / "agent.py").write_text("class Mine: x = 1")
    assert before != code_of(make)
    assert slug("a.b:C") != slug("a.b-C") == "a.b-C"


def test_files_that_are_no_results_are_refused(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a.json is not a file of results: .*is a required property"):
        load_results(path)
    path.write_text("not JSON")
    with pytest.raises(ValueError, match=r"a.json is not a file of results"):
        load_results(path)
    with pytest.raises(FileNotFoundError, match=r"b.json does not exist; files of results beside it: a.json"):
        load_results(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cells: cells[0]["numbers"].pop("reward"), r"n2, seed 0: each must be a number: reward=None"),
        (lambda cells: cells[0]["numbers"].update(z="high"), "z='high'"),
        (lambda cells: cells[0]["scores"].update(performance=None), "performance is None; from its numbers follows"),
        (lambda cells: cells.append(cells[0]), "n2, seed 0 occurs twice"),
        (
            lambda cells: cells[0]["scores"].update(performance=1.5),
            "n2, seed 0: performance is 1.5; from its numbers follows",
        ),
        (lambda cells: cells[0]["scores"].update(abstraction=7), "7 is greater than the maximum"),
        (lambda cells: cells[0]["scores"].update(confidence=float("nan")), "NaN is not a number"),
    ],
)
def test_results_that_were_edited_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    path = run_benchmark("random", tmp_path, backend=Backend(n_jobs=1), **ONE_RUN)
    found = json.loads(path.read_text())
    change(found["cells"])
    path.write_text(json.dumps(found))
    with pytest.raises(ValueError, match=message):
        load_results(path)


def test_a_broken_cell_is_named(tmp_path: Path) -> None:
    run_benchmark("random", tmp_path, backend=Backend(n_jobs=1), **ONE_RUN)
    (cell,) = (tmp_path / "cells").rglob("*.json")
    cell.write_text(cell.read_text()[:40])
    with pytest.raises(ValueError, match=rf"{cell.name} is not a complete run: .*; remove it"):
        run_benchmark("random", tmp_path, **ONE_RUN)


def test_the_schema_knows_the_settings_and_scores() -> None:
    schema = json.loads((resources.files("mtrnn_envs.experiments.benchmark") / "benchmark.schema.json").read_text())
    cell = schema["properties"]["cells"]["items"]["properties"]
    assert cell["setting"]["enum"] == list(NAMES)
    assert cell["scores"]["required"] == list(SCORES)
    assert schema["properties"]["suite"]["const"] == benchmark.VERSION


@pytest.mark.slow
def test_the_kept_files_are_stamped_with_the_measurements_of_this_suite() -> None:
    kept = sorted((Path(__file__).parents[2] / "examples" / "benchmark").glob("*.json"))
    assert len(kept) == 13
    assert {load_results(path)["suite_code"] for path in kept} == {suite_code()}


def test_the_stamp_depends_on_measurements_and_not_on_the_source_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A docstring and names change nothing; a smaller reward does."""

    def stamp() -> str:
        suite_code.cache_clear()
        return suite_code()

    monkeypatch.setattr(benchmark, "SETTINGS", SETTINGS[:2])
    before = stamp()
    monkeypatch.setattr(scores.performance, "__doc__", "Another text.")
    monkeypatch.setattr(scores.performance, "__name__", "mean_reward")
    monkeypatch.setattr(scores.performance, "__code__", scores.performance.__code__.replace(co_filename="other.py"))
    assert stamp() == before
    step = EvidenceVectorEnv.step

    def pays_less(env: EvidenceVectorEnv, actions: Any) -> Any:
        observations, rewards, *others = step(env, actions)
        return observations, 0.9 * rewards, *others

    monkeypatch.setattr(EvidenceVectorEnv, "step", pays_less)
    assert stamp() != before
    suite_code.cache_clear()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"settings": ["n25"]}, "'n25' is not a setting of MTE-v1; did you mean 'n2'"),
        ({"seeds": 0}, "seeds=0"),
        ({"hidden_seed": -1}, "hidden_seed=-1"),
        ({"budgets": (4, 2)}, r"budgets=\[4, 2\] must be increasing numbers of trials"),
        ({"n_trials": 0}, "n_trials=0"),
    ],
)
def test_what_is_not_allowed(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        run_benchmark("random", tmp_path / "results", **given)
    assert not (tmp_path / "results").exists()


def test_held_out_quadrants_are_not_trained_on_and_are_tested() -> None:
    task = task_of(BY_NAME["new-quadrant"], 0)
    assert task.excluded_orthants == ("+-",)
    assert shown_task(task, "test").excluded_orthants == ()
    latents = Stream(task, "train", 0).take(500).latents
    assert not np.any((latents[:, 0] > 0) & (latents[:, 1] <= 0))


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("benchmark", 2, "agent='', verify=None: give one of them"),
        ("benchmark --agent randm", 2, "did you mean 'random'"),
        ("benchmark --agent random --settings n25", 2, "'n25' is not a setting of MTE-v1"),
        ("benchmark --verify nowhere.json", 2, "nowhere.json"),
        ("leaderboard nowhere", 2, "nowhere is not a folder"),
        ("check-agent random --env-id MultiTask-v0", 2, "'MultiTask-v0' is not an environment"),
        ("check-agent random", 1, "It is not deterministic"),
        ("check-agent integrator --bare --env-id MultiTaskEvidence-v0", 0, "nothing is wrong with integrator"),
        ("check-agent random --settings n3", 2, "'n3' is not a setting"),
        ("check-agent random --settings n2 cued", 1, "cued: It is not deterministic"),
        ("check-agent integrator --bare --settings n2 nonlinear", 1, "nonlinear: to make it raises ValueError: bound"),
        ("check-agent ideal_observer --bare --settings delay d5-n3", 0, "ideal_observer in d5-n3"),
        ("check-agent ./mine.py:Mine", 2, "from the folder of the file, use mine:..."),
        ("benchmark --agent integrator --settings n2 --seeds 1 --n-jobs 1", 1, "failed in every run"),
    ],
)
def test_what_the_commands_say(command: str, code: int, message: str, capsys: Any, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main(command.split()) == code
    said = capsys.readouterr()
    assert message in said.out + said.err


def test_a_cell_that_fails_is_said_and_the_others_are_kept(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(about: Any, folder: Path, job: tuple[str, int]) -> Any:
        if job == ("n2", 1):
            raise RuntimeError("a fault of ours")
        return one(about, folder, job)

    def here(work: Any, jobs: Any, *args: Any) -> Any:
        for i, job in enumerate(jobs):
            try:
                yield i, work(job)
            except RuntimeError as error:
                yield i, Failure.of(error)

    one = benchmark._one
    monkeypatch.setattr(benchmark, "_one", fails)
    monkeypatch.setattr(benchmark, "outcomes", here)
    monkeypatch.chdir(tmp_path)
    command = ["benchmark", "--agent", "random", "--settings", "n2", "--seeds", "2"]
    assert main(command) == 1
    assert "n2, seed 1: the agent failed" in capsys.readouterr().err
    assert len(list((tmp_path / "results" / "benchmark" / "cells").rglob("*.json"))) == 1
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--n-jobs", "1"]) == 0
    assert "| random " in capsys.readouterr().out


@pytest.mark.parametrize("env_id", IDS)
def test_nothing_is_wrong_with_the_agent_of_the_examples(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    make, task = find_agent("12_my_agent:MeanAndRidge"), EvidenceTask.from_fields(IDS[env_id][0])
    assert problems(train_agent(make_agent(make, task, task, 0), task, 0, 512), task) == []


def test_the_agent_of_the_examples_waits_as_long_as_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    found = score(find_agent("12_my_agent:MeanAndRidge"), BY_NAME["delay"], 0, budgets=(512,))
    assert found["refused"] == {}
    assert found["scores"]["performance"] > 0.9
    assert found["scores"]["memory"] > 0.9
