"""Targets, the network, training, and the agent that comes of it."""

from __future__ import annotations

import json
import os

import gymnasium as gym
import numpy as np
import pytest
import torch

import mtrnn_envs
from mtrnn_agents import History, IdealObserver, LeakyRNN, RandomAgent, SupervisedAgent, Training, train, untrained
from mtrnn_agents.settings import Evaluation
from mtrnn_agents.supervised import _batches, evaluate, loss
from mtrnn_envs import EvidenceTask, observe
from mtrnn_envs.recording import record
from mtrnn_envs.score import action_sizes
from mtrnn_envs.seeding import generator, torch_generator
from mtrnn_envs.targets import KINDS, Targets, targets

SEEDS = [0, 1, 2]
QUICK = Training(n_updates=300, n_units=32)
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
    trials = task.sample(7, generator(0, "train"))
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
    mine = task.sample(5, torch_generator(0, "train"))
    parts = {name: getattr(mine, name) for name in ("latents", "noise", "encoder_noise", "lengths", "context")}
    theirs = mtrnn_envs.Trials(task, **{name: None if v is None else v.numpy() for name, v in parts.items()})
    for kind in KINDS:
        for a, b in zip(targets(mine, kind), targets(theirs, kind), strict=True):
            assert a.numpy().dtype == b.dtype
            np.testing.assert_array_equal(a.numpy(), b)


@pytest.mark.parametrize("alpha", [1.0, 0.2])
@pytest.mark.parametrize("seed", SEEDS)
def test_steps_agree_with_sequences_and_with_the_formula(alpha: float, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    network = LeakyRNN(5, 3, 16, alpha, rng)
    observations = torch.randn(4, 9, 5, generator=rng)
    with torch.no_grad():
        logits, states = network(observations)
        hidden, r = network.start(4), np.zeros((4, 16))
        w = {name: value.double().numpy() for name, value in network.state_dict().items()}
        for t in range(9):
            hidden = network.step(hidden, observations[:, t])
            u = observations[:, t].double().numpy()
            drive = u @ w["input.weight"].T + w["input.bias"] + r @ w["recurrent.weight"].T + w["recurrent.bias"]
            r = (1 - alpha) * r + alpha * np.maximum(drive, 0)
            np.testing.assert_allclose(states[:, t], hidden, atol=1e-6)
            np.testing.assert_allclose(hidden, r, atol=1e-6)
            np.testing.assert_allclose(logits[:, t], r @ w["output.weight"].T + w["output.bias"], atol=1e-6)
        _, second = network(observations[:, 4:], states[:, 3])
        np.testing.assert_allclose(second, states[:, 4:], atol=1e-6)


def test_loss_leaves_out_what_is_not_valid() -> None:
    logits, values = torch.zeros(2, 3, 1), torch.tensor([[[0.0], [1.0], [0.5]], [[1.0], [1.0], [0.0]]])
    logits[1, 2] = 100.0
    valid = torch.tensor([[True, True, True], [True, True, False]])
    assert loss(logits, Targets(values, valid)).item() == pytest.approx(np.log(2))


def test_batches_are_the_trials_in_order() -> None:
    task = EvidenceTask(stimulus=(2, 5), n_tasks=3)
    trials = task.sample(12, torch_generator(0, "train"))
    parts = list(_batches(trials, Training(batch_size=4)))
    assert len(parts) == 3
    assert torch.equal(torch.cat([observations for observations, _ in parts]), observe(trials))
    assert torch.equal(torch.cat([target.values for _, target in parts]), targets(trials, "stimulus").values)


def test_training_learns_repeats_and_leaves_global_generators_alone() -> None:
    task = EvidenceTask(n_tasks=4, stimulus=8)
    before = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002 (to see that it stays)
    agents = [train(task, seed, QUICK, progress=False) for seed in (3, 3, 4)]
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == str(np.random.get_state())  # noqa: NPY002
    weights = [torch.nn.utils.parameters_to_vector(agent.network.parameters()) for agent in agents]
    assert torch.equal(weights[0], weights[1])
    assert agents[0].history == agents[1].history
    assert not torch.equal(weights[0], weights[2])
    history = agents[0].history
    assert history is not None
    assert history.updates[-1] == 300
    assert history.accuracy[-1] > 0.85
    first = untrained(task, 3, QUICK)
    assert evaluate(first.network, task.sample(500, torch_generator(0, "test"))).accuracy < 0.8


def test_divergence_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match="training diverged within"):
        train(EvidenceTask(n_tasks=2), 0, Training(n_updates=60, learning_rate=1e20, clip_norm=1e20), progress=False)


@pytest.mark.parametrize("kwargs", VARIANTS)
def test_agent_acts_in_every_kind_of_task(kwargs: dict) -> None:
    task = EvidenceTask(**kwargs)
    agent = SupervisedAgent(task, untrained(task, 0).network, threshold=0.02)
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
    rows = task.sample(3, generator(1, "test"))
    state = None
    for t, shown in enumerate(observe(rows).transpose(1, 0, 2)):
        _, state = agent.predict(shown, state, np.full(3, t == 0))
    assert state is not None
    with torch.no_grad():
        _, states = agent.network(torch.from_numpy(observe(rows)))
    np.testing.assert_allclose(agent.hidden(state), states[:, -1], atol=1e-5)


def test_reaction_times_follow_the_threshold() -> None:
    task = EvidenceTask(payoff="quadratic", decision=0, n_tasks=4)
    network = train(task, 0, QUICK, progress=False).network
    env = gym.make_vec("MultiTaskEvidenceRT-v0", 16, split="test", n_tasks=4)
    means = []
    for threshold in (0.0, 0.3, 0.5):
        recording = record(SupervisedAgent(task, network, threshold=threshold), env, 64, seed=0)
        means.append(recording.response_steps.mean())
    assert means[0] == 1
    assert means[1] > 1.5
    assert means[2] == 20


def test_files_survive(tmp_path) -> None:
    task = EvidenceTask(n_tasks=3, sigma=(0.1, 0.3))
    agent = train(task, 1, Training(n_updates=20, alpha=0.5), progress=False)
    agent.save(tmp_path / "agent.safetensors")
    loaded = SupervisedAgent.load(tmp_path / "agent.safetensors")
    assert (loaded.task, loaded.seed, loaded.training) == (agent.task, agent.seed, agent.training)
    assert loaded.history == agent.history
    observation = np.random.default_rng(0).standard_normal((4, task.n_features)).astype(np.float32)
    for a, b in zip(agent.predict(observation)[1], loaded.predict(observation)[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert os.listdir(tmp_path) == ["agent.safetensors"]
    from safetensors.torch import save_file

    save_file({}, tmp_path / "other.safetensors", {"mtrnn_agents": json.dumps({"schema": 7})})
    with pytest.raises(ValueError, match="has schema 7; this version reads schema 1 only"):
        SupervisedAgent.load(tmp_path / "other.safetensors")


def test_bad_arguments() -> None:
    task = EvidenceTask()
    network = LeakyRNN(41, 24, generator=torch.Generator())
    with pytest.raises(ValueError, match=r"has \(inputs, outputs\) \(41, 24\); the task needs \(3, 24\)"):
        SupervisedAgent(EvidenceTask(encoder=None), network)
    with pytest.raises(ValueError, match=r"threshold=0\.7 is not in"):
        SupervisedAgent(task, network, threshold=0.7)
    with pytest.raises(ValueError, match=r"observation has shape \(2, 3\); \[N, 41\] is needed"):
        SupervisedAgent(task, network).predict(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"observation has shape \(1, 3\); \[N, 41\] is needed"):
        record(SupervisedAgent(task, network), gym.make("MultiTaskEvidence-v0", encoder=None), 1, seed=0)
    for name, value in {
        "n_updates": 0,
        "learning_rate": 0.0,
        "alpha": 1.5,
        "labels": "late",
        "clip_norm": -1.0,
    }.items():
        with pytest.raises(ValueError, match=f"{name}="):
            Training(**{name: value})
    with pytest.raises(ValueError, match="n_units=0"):
        LeakyRNN(41, 24, 0)
    with pytest.raises(ValueError, match="alpha=0"):
        LeakyRNN(41, 24, 8, 0.0)
    assert History().extended(3, 0.5, Evaluation(0.4, 0.9)) == History((3,), (0.5,), (0.4,), (0.9,))


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
    assert abs(each.mean() - task.ideal().accuracy) < 3.5 * each.std() / np.sqrt(len(each))
    assert task.ideal().accuracy == pytest.approx(0.9603, abs=2e-4)


def test_ideal_observer_refuses_what_it_cannot_see() -> None:
    for name, value in (("encoder", "relu"), ("noise", "gumbel"), ("autocorrelation", 0.5)):
        with pytest.raises(ValueError, match=f"{name}={value!r}: this ideal observer needs {name}="):
            IdealObserver(EvidenceTask(**{"encoder": None, name: value}))
