"""Reference agents: each does what it says, earns what it must, and none earns more than the oracle."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from scipy.stats import norm

from mtrnn_agents import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_agents import baselines as references
from mtrnn_agents.decision_rule import accumulator_probability
from mtrnn_envs import EvidenceTask, Recording, Stream, record
from mtrnn_envs.ideal_observer import stopping as optimal_stopping
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.ideal_observer.posterior import answer_probabilities
from mtrnn_envs.targets import targets
from mtrnn_envs.testing import check_agent

FIXED, TIMED = "MultiTaskEvidence-v0", "MultiTaskEvidenceRT-v0"
TIMED_VARIANTS = [
    {},
    {"commit": "common"},
    {"cueing": "one"},
    {"cueing": "one", "commit": "common"},
    {"payoff": "log", "stimulus": (3, 6), "fixation": (0, 3)},
    {"payoff": "accuracy", "n_dims": 1, "boundaries": "affine", "n_tasks": 2},
    {"n_dims": 3, "stimulus": 6, "commit": "common"},
    {"excluded_orthants": ("+-",), "stimulus": 5},
]
FIXED_VARIANTS = [
    {},
    {"withhold": True, "delay": (0, 3)},
    {"action_encoding": "multi_binary"},
    {"cueing": "one"},
    {"noise": "gumbel", "n_dims": 3},
]


def timed(**fields: Any) -> EvidenceTask:
    return EvidenceTask(**{"payoff": "quadratic", "decision": 0, "encoder": None, **fields})


def recorded(agent: Any, n_trials: int, seed: int, env_id: str = TIMED, **fields: Any) -> Recording:
    envs = gym.make_vec(env_id, num_envs=min(n_trials, 500), encoder=None, **fields)
    return record(agent, envs, n_trials, seed)


def earned(agent: Any, n_trials: int, seed: int, **fields: Any) -> np.ndarray:
    return recorded(agent, n_trials, seed, **fields).rewards.sum(axis=1)


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("fields", TIMED_VARIANTS, ids=str)
def test_both_pass_the_conformance_suite_where_time_is_free(fields: dict) -> None:
    fields = {"n_tasks": 4, **fields}
    check_agent(OptimalStopping(timed(**fields)), TIMED, encoder=None, **fields)
    check_agent(Integrator(timed(**fields)), TIMED, encoder=None, **fields)


@pytest.mark.parametrize("fields", FIXED_VARIANTS, ids=str)
def test_the_integrator_passes_the_conformance_suite_where_time_is_fixed(fields: dict) -> None:
    fields = {"n_tasks": 4, "encoder": None, **fields}
    check_agent(Integrator(EvidenceTask(**fields)), FIXED, **fields)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "value", "step"),
    [
        ({}, 0.795, 5.93),
        ({"commit": "common", "payoff": "accuracy", "time_cost": 0.003}, 0.919, 8.63),
        ({"payoff": "log", "n_tasks": 6, "stimulus": (5, 20), "fixation": (0, 4)}, None, None),
        ({"boundaries": "product", "n_tasks": 4, "stimulus": 8}, None, None),
    ],
    ids=str,
)
def test_the_oracle_earns_the_best_value_through_the_environment(
    fields: dict, value: float | None, step: float | None
) -> None:
    agent, best = OptimalStopping(timed(**fields)), ideal_performance(timed(**fields))
    recording = recorded(agent, 2000, 10_000, **fields)
    rewards, answered = recording.rewards.sum(axis=1), recording.answers != 0
    assert agent.stopping.method.startswith("dynamic programming")
    assert best.value is not None
    assert best.response_step is not None
    assert abs(rewards.mean() - best.value) < 3 * standard_error(rewards)
    if value is not None:
        assert best.value == pytest.approx(value, abs=5e-4)
        assert best.response_step == pytest.approx(step, abs=0.02)
        taken = np.where(answered, recording.response_steps, 20).mean(axis=1)
        assert abs(taken.mean() - best.response_step) < 3 * standard_error(taken)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields", [{}, {"sigma": (0.1, 0.4), "n_tasks": 8}, {"commit": "common", "n_tasks": 8}], ids=str
)
def test_chance_earns_less_than_the_integrator_and_that_less_than_the_oracle(fields: dict) -> None:
    """The trials are the same, so that differences are known better than means."""
    task = timed(**fields)
    chance = earned(RandomAgent(task, np.random.default_rng(0)), 2000, 4, **fields)
    sums, best = (earned(agent, 2000, 4, **fields) for agent in (Integrator(task), OptimalStopping(task)))
    assert np.mean(sums - chance) > 0.5
    assert np.mean(best - sums) > 3 * standard_error(best - sums)
    # It is no straw man: nine tenths and more of what can be had.
    assert sums.mean() > 0.9 * best.mean()


@pytest.mark.parametrize("fields", [{}, {"n_dims": 3, "sigma": 0.4}, {"boundaries": "affine", "sigma": (0.1, 0.3)}])
def test_the_accuracy_of_the_sum_is_that_of_a_sum_of_normals(fields: dict) -> None:
    task = EvidenceTask(encoder=None, **fields)
    recording = recorded(Integrator(task), 4000, 5, FIXED, **fields)
    noise = np.sqrt(20 * (task.boundary.normals**2 @ np.square(task.sigmas)))  # pyright: ignore[reportAttributeAccessIssue]
    right = norm.cdf(20 * np.abs(task.boundary.margins(recording.latents)) / noise)
    surplus = np.mean(recording.correct - right, axis=1)
    assert abs(surplus.mean()) < 3 * standard_error(surplus)


def test_where_time_is_fixed_the_ideal_observer_is_better_by_what_it_knows_of_the_box() -> None:
    """It matters where there is little evidence: then the corners, which lines meet at other angles, tell."""
    fields: dict[str, Any] = {"sigma": 1.0, "n_tasks": 3, "boundaries": "affine", "stimulus": 4}
    task = EvidenceTask(encoder=None, **fields)
    sums, ideal = (
        recorded(agent, 3000, 6, FIXED, **fields).correct.mean(axis=1)
        for agent in (Integrator(task), IdealObserver(task))
    )
    assert np.mean(ideal - sums) > 3 * standard_error(ideal - sums)


@pytest.mark.parametrize("fields", [{}, {"cueing": "one"}, {"stimulus": (4, 20), "fixation": (0, 5)}], ids=str)
def test_it_answers_when_the_accumulators_that_networks_are_trained_on_reach_the_bound(fields: dict) -> None:
    task, bound = timed(n_tasks=5, **fields), 0.7
    agent, trials = Integrator(task, bound=bound), Stream(timed(n_tasks=5, **fields), "train", 9).take(60)
    recording = record(agent, gym.make(TIMED, n_tasks=5, encoder=None, **fields), 60, seed=9)
    states = targets(trials, "accumulator", bound).values
    at_bound = ((states == 0) | (states == 1)) & recording.valid[:, :, None]
    first = np.argmax(at_bound, axis=1) - np.broadcast_to(trials.timing.go, 60)[:, None] + 1
    # Only the longest deadline can be foreseen; there, what is open is answered by the sign.
    last = np.broadcast_to(trials.n_samples, 60)[:, None]
    expected = np.where(at_bound.any(axis=1), first, np.where(last == 20, 20, 0))
    np.testing.assert_array_equal(recording.response_steps, expected)
    end = states[np.arange(60), recording.last_steps]
    np.testing.assert_array_equal(recording.answers, np.where(expected > 0, np.where(end > 0.5, 1, -1), 0))
    assert recording.hidden is not None
    before = recording.valid[:, :, None] & (np.cumsum(at_bound, axis=1) == 0)
    np.testing.assert_allclose(recording.hidden[before], (bound * (2 * states - 1))[before], atol=1e-5)


def test_its_confidence_is_that_of_accumulators_of_known_noise() -> None:
    task = timed()
    agent, rng = Integrator(task, bound=1.0), np.random.default_rng(0)
    state = None
    for t in range(4):
        observation = np.column_stack([np.full(7, t == 0), rng.normal(0, 0.3, (7, 2)) * (t > 0)])
        _, state = agent.predict(observation, state, np.full(7, t == 0))
        output = 0.5 + np.asarray(agent.hidden(state), float) / 2
        told = accumulator_probability(task, 1.0, 1 / 0.2, output, np.full((7, 1), t))
        np.testing.assert_allclose(agent.probabilities(state), told, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("agent", [Integrator, OptimalStopping])
def test_what_they_claim_is_how_often_they_are_right(agent: Any) -> None:
    """Within a percent for the integrator, whose prior has no ends; to the sampling error for the oracle."""
    recording = recorded(agent(timed(n_tasks=4)), 3000, 7, n_tasks=4)
    p = recording.probabilities
    assert p is not None
    surplus = np.mean((recording.labels > 0) - p, axis=1, where=(recording.answers != 0))[
        (recording.answers != 0).any(1)
    ]
    assert abs(surplus.mean()) < 3 * standard_error(surplus)
    likelier = np.maximum(p, 1 - p)
    miss = np.mean(((p > 0.5) == (recording.labels > 0)) - likelier, axis=1)
    assert abs(miss.mean()) < 3 * standard_error(miss) + (0.01 if agent is Integrator else 0)


@pytest.mark.parametrize("fields", [{}, {"commit": "common"}, {"payoff": "accuracy", "time_cost": 0.003}], ids=str)
def test_the_bound_is_the_best_one(fields: dict) -> None:
    fields = {"n_tasks": 6, **fields}
    task = timed(**fields)
    agent = Integrator(task)
    assert agent.bound is not None
    assert Integrator(task).bound == agent.bound
    rewards = {
        c: earned(Integrator(task, bound=c * agent.bound), 1500, 8, **fields) for c in (0.0, 0.5, 0.8, 1, 1.25, 2)
    }
    for c in (0.0, 0.5, 2):
        gained = rewards[1] - rewards[c]
        assert gained.mean() > 3 * standard_error(gained), c
    for c in (0.8, 1.25):  # it was fitted to other trials
        gained = rewards[1] - rewards[c]
        assert gained.mean() > -3 * standard_error(gained), c


def test_a_bound_of_0_answers_at_once_and_one_out_of_reach_at_the_deadline() -> None:
    for bound, step in ((0.0, 1), (1e6, 20)):
        assert np.all(recorded(Integrator(timed(), bound=bound), 20, 0).response_steps == step)


def test_the_oracle_may_leave_open_what_would_not_pay() -> None:
    """At p = 1/2 the least confidence of three still costs 1/36 on average."""
    recording = recorded(OptimalStopping(timed(stimulus=2, n_tasks=3)), 400, 0, stimulus=2, n_tasks=3)
    assert recording.probabilities is not None
    silent = recording.answers == 0
    assert 0 < silent.mean() < 0.5
    p = recording.probabilities
    at_least = 1 - 4 * (p * (5 / 12) ** 2 + (1 - p) * (7 / 12) ** 2)
    pay = np.maximum(at_least, 1 - 4 * ((1 - p) * (5 / 12) ** 2 + p * (7 / 12) ** 2))
    assert np.all(pay[silent] < 1e-3)


@pytest.mark.parametrize("agent", [IdealObserver, OptimalStopping])
@pytest.mark.parametrize("fields", [{}, {"cueing": "one"}, {"n_dims": 3, "stimulus": 4}], ids=str)
def test_the_posterior_is_computed_once_a_step(agent: Any, fields: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what takes the time, and is needed for the answer, for when to give it, and for the recording."""
    computed = []

    def counted(task: EvidenceTask, mean: np.ndarray, n_samples: np.ndarray, n_points: Any = None) -> np.ndarray:
        computed.append(len(mean))
        return answer_probabilities(task, mean, n_samples, n_points)

    playing = agent(timed(n_tasks=4, **fields))
    monkeypatch.setattr(references, "answer_probabilities", counted)
    monkeypatch.setattr(optimal_stopping, "answer_probabilities", counted)
    recording = recorded(playing, 30, 0, n_tasks=4, **fields)
    assert recording.probabilities is not None
    assert len(computed) == playing.task.longest.stimulus
    assert computed[0] == 30


def test_without_a_recording_the_ideal_observer_computes_no_posterior_before_it_may_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(references, "answer_probabilities", lambda *_: pytest.fail("there is no need of it"))
    agent, env = IdealObserver(EvidenceTask(encoder=None)), gym.make(FIXED, encoder=None)
    observation, state = env.reset(seed=0)[0], None
    for _ in range(20):
        _, state = agent.predict(observation[None], state)
        observation = env.step(env.action_space.sample())[0]
    assert state is not None
    assert np.all(state.belief.samples == 19)


def test_what_they_cannot_know_is_refused_by_name() -> None:
    for agent in (Integrator, OptimalStopping):
        with pytest.raises(ValueError, match="encoder='relu'"):
            agent(timed(encoder="relu"))
    with pytest.raises(ValueError, match="boundaries='product': the integrator sums distances from linear"):
        Integrator(timed(boundaries="product"))
    with pytest.raises(ValueError, match=r"bound=0\.5: with payoff='share' of fixed duration there is no bound"):
        Integrator(EvidenceTask(encoder=None), bound=0.5)
    for bound in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=f"bound={bound}"):
            Integrator(timed(), bound=bound)
    with pytest.raises(ValueError, match="payoff='share' has a fixed duration"):
        OptimalStopping(EvidenceTask(encoder=None))
    for name, value in (("noise", "gumbel"), ("autocorrelation", 0.5)):
        with pytest.raises(ValueError, match=f"{name}={value!r}: this oracle needs {name}="):
            OptimalStopping(timed(**{name: value}))
