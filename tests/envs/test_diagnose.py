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


def changed(**methods: Any) -> Any:
    """An agent that sums, but for these methods (or attributes)."""
    return type("Changed", (Summing,), methods)()


def keeps_its_own_state(self: Any, observation: Any, state: Any = None, **how: Any) -> Any:
    action, self.state = Summing.predict(self, observation, getattr(self, "state", None), **how)
    return action, None


def writes(self: Any, observation: Any, *args: Any, **how: Any) -> Any:
    answer = Summing.predict(self, observation, *args, **how)
    observation[:] = 0
    return answer


def raises(self: Any, *args: Any, **how: Any) -> Any:
    raise RuntimeError("no weights")


def in_place(self: Any, state: np.ndarray, evidence: np.ndarray, begins: np.ndarray) -> np.ndarray:
    state[begins] = 0
    state += evidence
    return state


def begins_where(which: Any) -> Any:
    """A step that begins anew in all environments, or in none."""
    return lambda self, state, evidence, begins: Summing.step(
        self, state, evidence, np.full(len(begins), which(begins))
    )


def answering(function: Any) -> Any:
    """An agent whose answers are a function of the right ones."""
    return changed(answers=lambda self, state: function(Summing.answers(self, state)))


UNSURE = [  # (an agent that breaks the protocol in more than one way, its sentence)
    (RandomAgent(TASK, np.random.default_rng(0)), "It is not deterministic"),
    (answering(np.random.default_rng(0).permutation), "It is not deterministic"),
    # Takes the mean over environments off, as batch normalisation does.
    (
        changed(answers=lambda self, state: Summing.answers(self, state - state.mean(axis=0))),
        "Environments leak into each other",
    ),
    (changed(step=lambda self, state, evidence, begins: state + evidence), "It remembers the trial before"),
    (changed(predict=keeps_its_own_state), "It changes the state that it is given, or keeps one of its own"),
]
SURE = [  # (an agent with one fault, its sentence)
    (object(), "It has no method predict"),
    (
        changed(predict=lambda self, *args, **how: Summing.predict(self, *args, **how)[0]),
        "predict gives a ndarray, where a pair (action, state) is needed.",
    ),
    (changed(predict=raises), "predict raises RuntimeError: no weights (test_diagnose.py, line"),
    (changed(predict=writes), "predict writes into the observation"),
    (
        answering(lambda right: right[:, :2]),
        "Its actions have the shape (64, 2), where (64, 3) is needed for 64 environments.",
    ),
    (
        answering(lambda right: right.astype(float)),
        "Its actions are of the kind float64, where whole numbers are needed.",
    ),
    (answering(lambda right: right + 1), "Its actions reach from 1 to 2; each must be in 0 to 1."),
    (changed(step=in_place), "It changes the state that it is given"),
    (changed(step=begins_where(np.any)), "It loses its memory where a trial begins in another environment."),
    (changed(step=begins_where(np.all)), "It does not begin anew where episode_start says so"),
    (
        changed(probabilities=lambda self, state: state[:, :1].repeat(3, axis=1) + 1),
        "probabilities(state) reach from",
    ),
    (
        changed(probabilities=lambda self, state: np.full((len(state), 5), 0.5)),
        "probabilities(state) has the shape (64, 5), where (64, 3) is needed.",
    ),
    (
        changed(hidden=lambda self, state: state.sum(axis=1)),
        "hidden(state) has the shape (64,), where (64, units) is needed.",
    ),
    (changed(hidden=lambda self, state: np.full((len(state), 2), np.nan)), "hidden(state) is not finite."),
    (changed(hidden=lambda self, state: state["units"]), "hidden(state) raises IndexError"),
]
# An agent that has learned nothing yet keeps to the protocol: always yes; or answers from what is shown now alone.
BLIND = [answering(np.ones_like), changed(step=lambda self, state, evidence, begins: evidence)]


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
    ("agent", "sentence"), UNSURE + SURE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_fault_has_its_sentence(agent: Any, sentence: str) -> None:
    said = problems(agent, TASK)
    assert any(each.startswith(sentence) for each in said), said
    assert len(said) == 1 or agent in [each for each, _ in UNSURE], said
    with pytest.raises(AssertionError, match=re.escape(sentence)):
        check_agent(agent, ID, **FIELDS)


@pytest.mark.parametrize("agent", BLIND)
def test_answers_that_ignore_the_evidence_are_said_but_break_no_promise(agent: Any) -> None:
    (said,) = problems(agent, TASK)
    assert said.startswith("What it answers does not depend on the evidence")
    check_agent(agent, ID, **FIELDS)


def test_training_that_cannot_be_had_again_is_said() -> None:
    assert unlike(untrained(TASK, 0), untrained(TASK, 0), TASK) == []
    (said,) = unlike(untrained(TASK, 0), untrained(TASK, 1), TASK)
    assert said.startswith("It does not learn the same again")


def test_an_ideal_observer_that_cannot_see_the_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="encoder='relu'"):
        IdealObserver(EvidenceTask())
