"""What is wrong with an agent is said in a sentence: each of these has one fault, and that one is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtrnn_agents import untrained
from mtrnn_agents.baselines import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_envs import EvidenceTask
from mtrnn_envs.testing.diagnose import problems, unlike

TASK = EvidenceTask(n_tasks=3, encoder=None, stimulus=6)
TIMED = EvidenceTask(n_tasks=3, encoder=None, stimulus=6, payoff="quadratic", decision=0)


class Summing:
    """Sums the evidence; +1 where the sum of the first latent is positive. Nothing is wrong with it."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        state = np.zeros((len(observation), 2)) if state is None else state
        state = np.where(np.asarray(episode_start)[:, None], 0, state) + observation[:, 1:3]
        return self.answers(state), state

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
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        state = (np.zeros((len(observation), 2)) if state is None else state) + observation[:, 1:3]
        return self.answers(state), state


class InPlace(Summing):
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        state = np.zeros((len(observation), 2)) if state is None else state
        state[np.asarray(episode_start, bool)] = 0
        state += observation[:, 1:3]
        return self.answers(state), state


class Keeping(Summing):
    """Its memory is its own, and not the state."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        action, self.state = super().predict(observation, getattr(self, "state", None), episode_start, deterministic)
        return action, None


class WipesAll(Summing):
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        anew = np.full(len(observation), bool(np.any(episode_start)))
        return super().predict(observation, state, anew, deterministic)


class WipesNone(Summing):
    """Begins anew only where all do."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        anew = np.full(len(observation), bool(np.all(episode_start)))
        return super().predict(observation, state, anew, deterministic)


class Yes(Summing):
    def answers(self, state: np.ndarray) -> Any:
        return np.ones((len(state), 3), int)


class Forgetful(Summing):
    """Looks at nothing but what is shown now: at the decision, nothing."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        return self.answers(observation[:, 1:3]), None


class Unsure(Summing):
    def probabilities(self, state: Any) -> Any:
        return state[:, :1].repeat(3, axis=1) + 1


class Flat(Summing):
    def hidden(self, state: Any) -> Any:
        return state.sum(axis=1)


class Writing(Summing):
    def predict(self, observation: Any, *args: Any, **how: Any) -> Any:
        answer = super().predict(observation, *args, **how)
        observation[:] = 0
        return answer


class NoState(Summing):
    def hidden(self, state: Any) -> Any:
        return state["units"]


class Raising(Summing):
    def predict(self, *args: Any, **how: Any) -> Any:
        raise RuntimeError("no weights")


@pytest.mark.parametrize(
    "agent",
    [Summing(), IdealObserver(TASK), Integrator(TASK), untrained(TASK, 0)],
)
def test_nothing_is_wrong(agent: Any) -> None:
    assert problems(agent, getattr(agent, "task", TASK)) == []


@pytest.mark.parametrize("agent", [Integrator(TIMED), OptimalStopping(TIMED), untrained(TIMED, 0)])
def test_nothing_is_wrong_in_reaction_time(agent: Any) -> None:
    assert problems(agent, TIMED) == []


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
        (Unsure(), "probabilities(state) reach from"),
        (Flat(), "hidden(state) has the shape (64,), where (64, units) is needed."),
        (Raising(), "predict raises RuntimeError: no weights (test_agent_testing.py, line"),
        (Writing(), "predict writes into the observation"),
        (NoState(), "hidden(state) raises IndexError"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_each_fault_has_its_sentence(agent: Any, sentence: str) -> None:
    said = problems(agent, TASK)
    assert any(each.startswith(sentence) for each in said), said
    if not isinstance(agent, Chancy | RandomAgent | Remembering | Together | Keeping):  # these show in several ways
        assert len(said) == 1, said


def test_training_that_cannot_be_had_again_is_said() -> None:
    assert unlike(untrained(TASK, 0), untrained(TASK, 0), TASK) == []
    (said,) = unlike(untrained(TASK, 0), untrained(TASK, 1), TASK)
    assert said.startswith("It does not learn the same again")
