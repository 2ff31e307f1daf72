"""Targets, and trained networks and reference agents in every kind of environment."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import mtrnn_envs
from mtrnn_agents import IdealObserver, LeakyRNN, RandomAgent, SupervisedAgent, Training, load, train, untrained
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_envs import EvidenceTask, observe
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.recording import record
from mtrnn_envs.reward import action_sizes
from mtrnn_envs.rng.seeding import generator, torch_generator
from mtrnn_envs.targets import KINDS, targets
from mtrnn_envs.trials import sample

QUICK = Training(network=LeakyRNN(n_units=32), n_updates=300, batch_size=16)
TIMED = {"payoff": "quadratic", "decision": 0}
VARIANTS = [
    {},
    {"cueing": "one", "n_tasks": 3},
    {"payoff": "quadratic", "decision": 0},
    {"payoff": "quadratic", "decision": 0, "commit": "common", "n_confidence": 5},
    {"payoff": "log", "decision": 0, "cueing": "one", "n_tasks": 3},
    {"payoff": "accuracy", "decision": 0, "cueing": "one", "n_tasks": 3, "commit": "common"},
    {"withhold": True, "n_tasks": 2},
    {"action_encoding": "multi_binary"},
    {"stimulus": (3, 9), "delay": (0, 2), "fixation": (0, 2), "n_dims": 3},
]


@pytest.mark.parametrize("kind", ["decision", "stimulus"])
@pytest.mark.parametrize("kwargs", VARIANTS)
def test_targets(kind: str, kwargs: dict) -> None:
    task = EvidenceTask(**kwargs)
    trials = sample(task, 7, generator(0, "train"))
    found = targets(trials, kind)
    assert found.values.shape == (7, task.n_steps, task.n_answers)
    for n, trial in enumerate(trials[i : i + 1] for i in range(7)):
        when = trial.timing
        start, end = (int(np.ravel(v)[0]) for v in (when.go if kind == "decision" else when.stimulus_on, when.end))
        assert (found.values[n, :start] == 0.5).all()
        assert (found.values[n, start:] == (trial.asked[0] > 0)).all()
        assert (found.valid[n] == (np.arange(task.n_steps) < end)).all()
    with pytest.raises(ValueError, match="kind='late' is not one of"):
        targets(trials, "late")


@pytest.mark.parametrize("kwargs", VARIANTS)
def test_targets_in_torch_are_those_in_numpy(kwargs: dict) -> None:
    task = EvidenceTask(**kwargs)
    mine = sample(task, 5, torch_generator(0, "train"))
    parts = {name: getattr(mine, name) for name in ("latents", "noise", "encoder_noise", "lengths", "context")}
    theirs = mtrnn_envs.Trials(task, **{name: None if v is None else v.numpy() for name, v in parts.items()})
    for kind in KINDS:
        for a, b in zip(targets(mine, kind), targets(theirs, kind), strict=True):
            assert a.numpy().dtype == b.dtype
            np.testing.assert_array_equal(a.numpy(), b)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kwargs", VARIANTS)
def test_agent_acts_in_every_kind_of_task(kwargs: dict, network: str) -> None:
    task, training = EvidenceTask(**kwargs), Training(network=NETWORKS[network](n_units=16))
    first = untrained(task, 0, training)
    agent = SupervisedAgent(task, training, first.weights, 0, threshold=0.02)
    env = gym.make("MultiTaskEvidence-v0", split="test", **kwargs)
    recording = record(agent, env, 6, seed=0)
    assert recording.hidden is not None
    assert recording.probabilities is not None
    assert (recording.answers != 0).all()
    np.testing.assert_array_equal(recording.answers > 0, recording.probabilities > 0.5)
    if recording.confidence is not None:
        claim = np.maximum(recording.probabilities, 1 - recording.probabilities)
        assert (np.abs(claim - recording.confidence) <= 0.25 / task.n_confidence + 1e-6).all()
    # One observation without the batch axis gives one action without it.
    observation, _ = env.reset(seed=0)
    action, _ = agent.predict(observation)
    assert env.action_space.contains(action)
    assert np.size(action) == len(action_sizes(task))
    # The state of the whole sequence is the state met step by step.
    rows = sample(task, 3, generator(1, "test"))
    state = None
    for t, shown in enumerate(observe(rows).transpose(1, 0, 2)):
        _, state = agent.predict(shown, state, np.full(3, t == 0))
    assert state is not None
    with torch.no_grad():
        states = agent.network.sequence(agent.weights, torch.from_numpy(observe(rows)))
    np.testing.assert_allclose(agent.hidden(state), states[:, -1], atol=1e-5)


@pytest.mark.parametrize("kwargs", [TIMED, TIMED | {"commit": "common"}, TIMED | {"cueing": "one"}])
@pytest.mark.parametrize("labels", ["stimulus", "accumulator"])
def test_threshold_is_fitted_for_the_highest_reward(kwargs: dict, labels: str) -> None:
    """In the environment itself, on other trials, no threshold of a grid earns clearly more."""
    task = EvidenceTask(n_tasks=4, **kwargs)
    loss = "squared_error" if labels == "accumulator" else "cross_entropy"
    training = replace(QUICK, labels=labels, loss=loss, n_updates=1500)
    fitted = train(task, 0, training, progress=False)
    env = gym.make_vec("MultiTaskEvidenceRT-v0", 64, split="test", n_tasks=4, **kwargs)

    def earned(threshold: float) -> tuple[float, float, float]:
        agent = SupervisedAgent(task, training, fitted.weights, 0, threshold=threshold, gain=fitted.gain)
        recording = record(agent, env, 512, seed=0)
        rewards = recording.rewards.sum(axis=1)
        return rewards.mean(), rewards.std() / np.sqrt(512), recording.response_steps.mean()

    best, error, _ = earned(fitted.threshold)
    others = [earned(threshold) for threshold in (0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5)]
    assert best > max(mean for mean, _, _ in others) - 3 * error
    assert best > others[0][0] + 0.03
    steps = [step for _, _, step in others]
    assert steps == sorted(steps)  # the higher the threshold, the later the answer
    assert (steps[0], steps[-1]) == (1, 20)


@pytest.mark.parametrize("kwargs", [{"decision": 8}, TIMED])
def test_probabilities_of_accumulators_are_calibrated(kwargs: dict) -> None:
    """At every step at which answers count: of those given with a probability near p, a share near p is right."""
    task = EvidenceTask(n_tasks=6, **kwargs)
    training = replace(QUICK, labels="accumulator", loss="squared_error", bound=2.0, n_updates=4000)
    agent = train(task, 0, training, progress=False)
    trials = sample(task, 4000, generator(1, "test"))
    state, checked = None, 0
    for t, shown in enumerate(observe(trials).transpose(1, 0, 2)[: 7 if task.reaction_time else None]):
        _, state = agent.predict(shown, state, np.full(4000, t == 0))
        if state.seen[0] == 0:
            continue
        p, positive = agent.probabilities(state), trials.asked > 0
        for low in np.arange(0.0, 1.0, 0.2):
            here = (p >= low) & (p < low + 0.2)
            tolerance = 0.04 + 3 * 0.5 / np.sqrt(here.sum())
            assert abs(p[here].mean() - positive[here].mean()) < tolerance, (t, low)
            checked += 1
    assert checked >= 30
    assert agent.evaluation["cross_entropy"] < ideal_performance(task).cross_entropy + 0.03


def test_a_network_with_noise_is_random_unless_deterministic() -> None:
    task, training = EvidenceTask(n_tasks=2), Training(network=LeakyRNN(n_units=8, noise=0.5))
    first = untrained(task, 0, training)
    shown = observe(sample(task, 5, generator(0, "test")))[:, 3]
    seen = [first.hidden(first.predict(shown, deterministic=chance)[1]) for chance in (True, True, False, False)]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[2], seen[3])
    again = untrained(task, 0, training)
    np.testing.assert_array_equal(seen[2], again.hidden(again.predict(shown)[1]))


@pytest.mark.parametrize("network", NETWORKS)
def test_files_survive(network: str, tmp_path: Path) -> None:
    task = EvidenceTask(n_tasks=3, sigma=(0.1, 0.3), **TIMED)
    kind = NETWORKS[network](n_units=16)
    kind = replace(kind, noise=0.1, connectivity=0.5, excitatory=0.8) if network == "leaky-rnn" else kind
    agent = train(task, 1, Training(n_updates=20, network=kind, clip_norm=None), progress=False)
    agent.save(tmp_path / "agent.safetensors")
    loaded = load(tmp_path / "agent.safetensors")
    assert (loaded.task, loaded.seed, loaded.training) == (agent.task, agent.seed, agent.training)
    assert (loaded.threshold, loaded.gain, loaded.history) == (agent.threshold, agent.gain, agent.history)
    observation = np.random.default_rng(0).standard_normal((4, task.n_features)).astype(np.float32)
    states = [a.predict(observation, deterministic=True)[1] for a in (agent, loaded)]
    np.testing.assert_array_equal(agent.hidden(states[0]), agent.hidden(states[1]))
    assert os.listdir(tmp_path) == ["agent.safetensors"]
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "other.safetensors")


def test_bad_arguments() -> None:
    task, training = EvidenceTask(), Training()
    agent = untrained(task, 0)
    with pytest.raises(ValueError, match=r"weights\['input.weight'\] has shape \(41, 64\); the task .* need \(3, 64\)"):
        SupervisedAgent(EvidenceTask(encoder=None), training, agent.weights, 0)
    fewer = {name: v for name, v in agent.weights.items() if name != "output.bias"}
    with pytest.raises(ValueError, match=r"weights\['output.bias'\] has shape None"):
        SupervisedAgent(task, training, fewer, 0)
    with pytest.raises(ValueError, match=r"threshold=0\.7 is not in"):
        SupervisedAgent(task, training, agent.weights, 0, threshold=0.7)
    with pytest.raises(ValueError, match=r"observation has shape \(2, 3\); \[N, 41\] is needed"):
        agent.predict(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"observation has shape \(1, 3\); \[N, 41\] is needed"):
        record(agent, gym.make("MultiTaskEvidence-v0", encoder=None), 1, seed=0)


@pytest.mark.parametrize("kwargs", [v for v in VARIANTS if v.get("n_dims", 2) == 2])
def test_references_act_in_every_kind_of_task(kwargs: dict) -> None:
    kwargs = {"encoder": None, **kwargs}
    task, rng = EvidenceTask(**kwargs), np.random.default_rng(0)
    env = gym.make_vec("MultiTaskEvidence-v0", 16, split="test", **kwargs)
    chance, ideal = (record(agent, env, 32, seed=0) for agent in (RandomAgent(task, rng), IdealObserver(task)))
    assert ideal.correct.mean() > 0.85
    assert abs(chance.correct.mean() - 0.5) < 0.3
    assert ideal.rewards.sum() > chance.rewards.sum()


class Silent:
    """The ideal observer without its probabilities: those of every step would take long."""

    def __init__(self, task: EvidenceTask) -> None:
        self.predict = IdealObserver(task).predict


@pytest.mark.parametrize("seed", [0, 1000])
def test_ideal_observer_reaches_its_ceiling_through_the_environment(seed: int) -> None:
    """Exact posterior, real environment: 0.9603 for 24 tasks."""
    task = EvidenceTask(encoder=None)
    env = gym.make_vec("MultiTaskEvidence-v0", 250, split="test", encoder=None)
    each = record(Silent(task), env, 2000, seed=seed).correct.mean(axis=1)
    assert abs(each.mean() - ideal_performance(task).accuracy) < 3.5 * each.std() / np.sqrt(len(each))
    assert ideal_performance(task).accuracy == pytest.approx(0.9603, abs=2e-4)


def test_ideal_observer_refuses_what_it_cannot_see() -> None:
    for name, value in (("encoder", "relu"), ("noise", "gumbel"), ("autocorrelation", 0.5)):
        with pytest.raises(ValueError, match=f"{name}={value!r}: this ideal observer needs {name}="):
            IdealObserver(EvidenceTask(**{"encoder": None, name: value}))
