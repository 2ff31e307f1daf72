"""The faults of an agent are said in sentences: each of these has one fault, and that one is found."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import mtrnn_envs
from mtrnn_agents import Training, untrained
from mtrnn_agents.baselines import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_envs import EvidenceTask
from mtrnn_envs.testing import check_agent
from mtrnn_envs.testing.comparisons import task_of
from mtrnn_envs.testing.diagnose import problems, unlike

ID = "MultiTaskEvidence-v0"
FIELDS: dict[str, Any] = {"n_tasks": 3, "encoder": None, "stimulus": 6}
TASK, TIMED = EvidenceTask(**FIELDS), EvidenceTask(**FIELDS, payoff="quadratic", decision=0)
VARIANTS = [(id_, {}) for id_ in mtrnn_envs.IDS] + [
    (ID, {"action_encoding": "multi_binary"}),
    (ID, {"withhold": True}),
    ("MultiTaskEvidenceRT-v0", {"commit": "common"}),
    ("MultiTaskEvidenceRT-v0", {"cueing": "one", "stimulus": (3, 6)}),
]


class Summing:
    """Sums the evidence; +1 where the sum of the first latent is positive. Nothing is wrong with it."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> Any:
        state = np.zeros((len(observation), 2)) if state is None else state
        state = self.step(state, observation[:, 1:3], np.asarray(episode_start))
        return self.answers(state), state

    def step(self, state: np.ndarray, evidence: np.ndarray, begins: np.ndarray) -> np.ndarray:
        return np.where(begins[:, None], 0, state) + evidence

    def answers(self, state: np.ndarray) -> Any:
        return np.repeat((state[:, :1] > 0).astype(int), 3, axis=1)


class NoPair(Summing):
    def predict(self, *args: Any, **how: Any) -> Any:
        return super().predict(*args, **how)[0]


class Narrow(Summing):
    def answers(self, state: np.ndarray) -> Any:
        return super().answers(state)[:, :2]


class Real(Summing):
    def answers(self, state: np.ndarray) -> Any:
        return super().answers(state).astype(float)


class Beyond(Summing):
    def answers(self, state: np.ndarray) -> Any:
        return super().answers(state) + 1


class Chancy(Summing):
    rng = np.random.default_rng(0)

    def answers(self, state: np.ndarray) -> Any:
        return self.rng.integers(0, 2, (len(state), 3))


class Together(Summing):
    """Takes the mean over environments off, as batch normalisation does."""

    def answers(self, state: np.ndarray) -> Any:
        return super().answers(state - state.mean(axis=0))


class Remembering(Summing):
    def step(self, state: np.ndarray, evidence: np.ndarray, begins: np.ndarray) -> np.ndarray:
        return state + evidence


class InPlace(Summing):
    def step(self, state: np.ndarray, evidence: np.ndarray, begins: np.ndarray) -> np.ndarray:
        state[begins] = 0
        state += evidence
        return state


class Keeping(Summing):
    """Its memory is its own, and not the state."""

    def predict(self, observation: Any, state: Any = None, **how: Any) -> Any:
        action, self.state = super().predict(observation, getattr(self, "state", None), **how)
        return action, None


class WipesAll(Summing):
    def step(self, state: np.ndarray, evidence: np.ndarray, begins: np.ndarray) -> np.ndarray:
        return super().step(state, evidence, np.full(len(begins), begins.any()))


class WipesNone(Summing):
    """Begins anew only where all do."""

    def step(self, state: np.ndarray, evidence: np.ndarray, begins: np.ndarray) -> np.ndarray:
        return super().step(state, evidence, np.full(len(begins), begins.all()))


class Yes(Summing):
    def answers(self, state: np.ndarray) -> Any:
        return np.ones((len(state), 3), int)


class Forgetful(Summing):
    """Looks at nothing but what is shown now: at the decision, nothing."""

    def step(self, state: np.ndarray, evidence: np.ndarray, begins: np.ndarray) -> np.ndarray:
        return evidence


class Writing(Summing):
    def predict(self, observation: Any, *args: Any, **how: Any) -> Any:
        answer = super().predict(observation, *args, **how)
        observation[:] = 0
        return answer


class Raising(Summing):
    def predict(self, *args: Any, **how: Any) -> Any:
        raise RuntimeError("no weights")


class Telling(Summing):
    """Its outputs beside the actions are `hidden` or `probabilities`, functions of the state."""

    def __init__(self, **methods: Any) -> None:
        self.__dict__.update(methods)


@pytest.mark.parametrize(
    ("agent", "task"),
    [(each, TASK) for each in (Summing(), IdealObserver(TASK), Integrator(TASK), untrained(TASK, 0))]
    + [(each, TIMED) for each in (Integrator(TIMED), OptimalStopping(TIMED), untrained(TIMED, 0))],
)
def test_nothing_is_wrong(agent: Any, task: EvidenceTask) -> None:
    assert problems(agent, task) == []


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("id_", "kwargs"), VARIANTS)
def test_our_networks_pass(id_: str, kwargs: dict[str, Any], network: str) -> None:
    training = Training(network=NETWORKS[network](n_units=16))
    check_agent(untrained(task_of(gym.make(id_, **kwargs)), 0, training), id_, **kwargs)


@pytest.mark.parametrize(("id_", "kwargs"), VARIANTS)
def test_the_ideal_observer_passes(id_: str, kwargs: dict[str, Any]) -> None:
    bare = {**kwargs, "encoder": None, "n_tasks": 4}
    check_agent(IdealObserver(task_of(gym.make(id_, **bare))), id_, **bare)


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        (object(), "It has no method predict"),
        (NoPair(), "predict gives a ndarray, where a pair (action, state) is needed."),
        (Narrow(), "Its actions have the shape (64, 2), where (64, 3) is needed for 64 environments."),
        (Real(), "Its actions are of the kind float64, where whole numbers are needed."),
        (Beyond(), "Its actions reach from 1 to 2; each must be in 0 to 1."),
        (Chancy(), "It is not deterministic"),
        (RandomAgent(TASK, np.random.default_rng(0)), "It is not deterministic"),
        (Together(), "Environments leak into each other"),
        (Remembering(), "It remembers the trial before"),
        (InPlace(), "It changes the state that it is given"),
        (Keeping(), "It changes the state that it is given, or keeps one of its own"),
        (WipesAll(), "It loses its memory where a trial begins in another environment."),
        (WipesNone(), "It does not begin anew where episode_start says so"),
        (Yes(), "What it answers does not depend on the evidence"),
        (Forgetful(), "What it answers does not depend on the evidence"),
        (Raising(), "predict raises RuntimeError: no weights (test_agent_testing.py, line"),
        (Writing(), "predict writes into the observation"),
        (Telling(probabilities=lambda state: state[:, :1].repeat(3, axis=1) + 1), "probabilities(state) reach from"),
        (
            Telling(probabilities=lambda state: np.full((len(state), 5), 0.5)),
            "probabilities(state) has the shape (64, 5), where (64, 3) is needed.",
        ),
        (
            Telling(hidden=lambda state: state.sum(axis=1)),
            "hidden(state) has the shape (64,), where (64, units) is needed.",
        ),
        (Telling(hidden=lambda state: np.full((len(state), 2), np.nan)), "hidden(state) is not finite."),
        (Telling(hidden=lambda state: state["units"]), "hidden(state) raises IndexError"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_each_fault_has_its_sentence(agent: Any, sentence: str) -> None:
    said = problems(agent, TASK)
    assert any(each.startswith(sentence) for each in said), said
    if not isinstance(agent, Chancy | RandomAgent | Remembering | Together | Keeping):  # these show in several ways
        assert len(said) == 1, said
    if isinstance(agent, Yes | Forgetful):  # an agent that has learned nothing yet keeps to the protocol
        check_agent(agent, ID, **FIELDS)
    else:
        with pytest.raises(AssertionError, match=re.escape(sentence)):
            check_agent(agent, ID, **FIELDS)


def test_training_that_cannot_be_had_again_is_said() -> None:
    assert unlike(untrained(TASK, 0), untrained(TASK, 0), TASK) == []
    (said,) = unlike(untrained(TASK, 0), untrained(TASK, 1), TASK)
    assert said.startswith("It does not learn the same again")


def test_an_ideal_observer_that_cannot_see_the_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="encoder='relu'"):
        IdealObserver(EvidenceTask())
