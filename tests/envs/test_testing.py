"""The conformance suite: our own agents pass it, and it fails what breaks its promises."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import mtrnn_envs
from mtrnn_agents import IdealObserver, Training, untrained
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_envs import EvidenceTask
from mtrnn_envs.environments.env import EvidenceEnv
from mtrnn_envs.testing import check_agent, check_env
from mtrnn_envs.testing.envs import task_of

VARIANTS = [(id_, {}) for id_ in mtrnn_envs.IDS] + [
    ("MultiTaskEvidence-v0", {"action_encoding": "multi_binary"}),
    ("MultiTaskEvidence-v0", {"withhold": True}),
    ("MultiTaskEvidenceRT-v0", {"commit": "common"}),
    ("MultiTaskEvidenceRT-v0", {"cueing": "one", "stimulus": (3, 6)}),
]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("id_", "kwargs"), VARIANTS)
def test_our_networks_pass(id_, kwargs, network):
    training = Training(network=NETWORKS[network](n_units=16))
    check_agent(untrained(task_of(gym.make(id_, **kwargs)), 0, training), id_, **kwargs)


@pytest.mark.parametrize(("id_", "kwargs"), VARIANTS)
def test_the_ideal_observer_passes(id_, kwargs):
    bare = {**kwargs, "encoder": None, "n_tasks": 4}
    check_agent(IdealObserver(task_of(gym.make(id_, **bare))), id_, **bare)


class Integrator:
    """Sums the evidence of the first task; the ways in which it can be broken are below."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False) -> tuple[Any, Any]:
        total = np.zeros(len(observation)) if state is None else state
        total = np.where(np.asarray(episode_start), 0, total) + observation[:, 1]
        return (total[:, None] > 0).astype(int), total


class NeverForgets(Integrator):
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return super().predict(observation, state, np.zeros(len(observation), bool), deterministic)


class Leaks(Integrator):
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return super().predict(observation + observation.sum(0), state, episode_start, deterministic)


class Gambles(Integrator):
    rng = np.random.default_rng(0)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return self.rng.integers(0, 2, (len(observation), 1)), None


class AnswersInFloats(Integrator):
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        action, state = super().predict(observation, state, episode_start)
        return action * 1.0, state


class AnswersOutOfRange(Integrator):
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        action, state = super().predict(observation, state, episode_start)
        return action + 1, state


class TellsNonsense(Integrator):
    def probabilities(self, state):
        return state[:, None]


class TellsTooMuch(Integrator):
    def probabilities(self, state):
        return np.full((len(state), 5), 0.5)


class HasNoUnits(Integrator):
    def hidden(self, state):
        return np.full((len(state), 2), np.nan)


class GivesNoState(Integrator):
    def predict(self, *args, **kwargs):
        return super().predict(*args, **kwargs)[0]


BARE = {"encoder": None, "n_tasks": 1}


def test_an_integrator_passes():
    check_agent(Integrator(), "MultiTaskEvidence-v0", **BARE)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (NeverForgets(), "in the batch, and .* alone"),
        (Leaks(), "in the batch, and .* alone"),
        (Gambles(), "in the batch, and .* alone"),
        (AnswersInFloats(), "actions are float64, not integers"),
        (AnswersOutOfRange(), "is not in Box"),
        (TellsNonsense(), r"probabilities\(state\) reach from .* out of \[0, 1\]"),
        (TellsTooMuch(), r"probabilities\(state\) has the shape \(\d+, 5\), where \(\d+, 1\) is needed"),
        (HasNoUnits(), r"hidden\(state\) is not finite"),
        (GivesNoState(), r"predict gave ndarray, not \(action, state\)"),
    ],
)
def test_broken_agents_fail(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_agent(broken, "MultiTaskEvidence-v0", n_steps=200, **BARE)


class Reshuffles(EvidenceEnv):
    """Repeats its first observation under a seed, but not its rollout."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        observation[1] += np.random.default_rng().random()
        return observation, reward, terminated, truncated, info


class PaysTwice(EvidenceEnv):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, 2 * reward, terminated, truncated, info


@pytest.mark.parametrize(("broken", "message"), [("Reshuffles", "not equivalent"), ("PaysTwice", "against `score`")])
def test_broken_environments_fail(broken, message):
    gym.register("Broken-v0", entry_point=f"{__name__}:{broken}")
    try:
        with pytest.raises(AssertionError, match=message):
            check_env("Broken-v0", encoder=None)
    finally:
        gym.registry.pop("Broken-v0")


def test_an_ideal_observer_that_cannot_see_the_evidence_is_refused():
    with pytest.raises(ValueError, match="encoder='relu'"):
        IdealObserver(EvidenceTask())
