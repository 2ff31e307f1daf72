"""Policies of Stable-Baselines3 as agents, and their training: against SB3's own `predict`, frames and loop."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecFrameStack, VecMonitor, VecNormalize
from torch import nn

import mtrnn_envs
from mtrnn_agents.stable_baselines import SB3VecEnv, StableBaselinesAgent, make_sb3_env, ppo_history
from mtrnn_agents.stable_baselines import training_loop as learning
from mtrnn_agents.stable_baselines.checkpoints import Progress
from mtrnn_agents.stable_baselines.history_features import KINDS, FeaturesVecEnv, begin, extended
from mtrnn_agents.stable_baselines.normalisation import Scaling
from mtrnn_agents.stable_baselines.ppo_history import PRESETS, Training, load, train
from mtrnn_agents.training import files as storage
from mtrnn_agents.training.history import OF_TRAINING
from mtrnn_agents.training.run import N_VALIDATION
from mtrnn_agents.training.settings import SCHEDULES
from mtrnn_agents.trial_ppo.settings import Training as TrialTraining
from mtrnn_envs import EvidenceTask, record
from mtrnn_envs.environments.vector_env import EvidenceVectorEnv
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.protocols import AgentPlugin
from mtrnn_envs.reward import action_sizes, choices, is_discrete, reported_probability
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.testing import check_agent
from mtrnn_envs.testing.comparisons import assert_same, global_generators_untouched, random_action

FEW: dict[str, Any] = {"n_steps": 24, "batch_size": 96, "n_epochs": 1, "seed": 0, "device": "cpu"}
TASKS: list[dict[str, Any]] = [
    {"n_tasks": 4, "boundaries": "product"},
    {"n_tasks": 3, "withhold": True, "encoder": None},
    {"n_tasks": 3, "action_encoding": "multi_binary", "stimulus": (2, 6), "decision": 2},
    {"n_tasks": 3, "cueing": "one", "encoder": None},
    {"n_tasks": 3, "cueing": "one", "withhold": True},
    {"n_tasks": 3, "payoff": "quadratic", "decision": 0, "fixation": (0, 2)},
    {"n_tasks": 3, "payoff": "log", "decision": 0, "commit": "common", "encoder": None},
    {"n_tasks": 3, "payoff": "accuracy", "decision": 0, "commit": "common", "n_confidence": 1},
    {"n_tasks": 3, "payoff": "quadratic", "decision": 0, "cueing": "one"},
    {"n_tasks": 3, "payoff": "quadratic", "decision": 0, "cueing": "one", "commit": "common"},
]
pytestmark = pytest.mark.usefixtures("single_thread")
every_task = pytest.mark.parametrize("kwargs", TASKS, ids=str)
every_algorithm = pytest.mark.parametrize("algorithm", [PPO, RecurrentPPO])
QUICK = Training(n_envs=4, rollout_trials=2, total_steps=900, evaluate_every=300, n_epochs=2, n_minibatches=2)


def model_of(algorithm: Any, n_envs: int = 4, env_id: str = "MultiTaskEvidence-v0", **kwargs: Any) -> Any:
    """An untrained model whose policy is not even: SB3 begins with almost none."""
    policy = {PPO: "MlpPolicy", RecurrentPPO: "MlpLstmPolicy"}[algorithm]
    model = algorithm(policy, make_sb3_env(env_id, n_envs, seed=0, **kwargs), **FEW)
    with torch.no_grad():
        model.policy.action_net.weight.mul_(100)
        model.policy.action_net.bias.normal_(generator=torch.Generator().manual_seed(0))
    return model


def walk(model: Any, n_steps: int = 60) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Observations and episode starts of environments in which actions are random."""
    envs, rng = model.get_env(), np.random.default_rng(0)
    task = envs.get_attr("task")[0]
    observation, starts = envs.reset(), np.ones(envs.num_envs, bool)
    for _ in range(n_steps):
        yield observation, starts
        actions = np.array([random_action(envs.action_space, task, rng) for _ in range(envs.num_envs)])
        observation, _, starts, _ = envs.step(actions)


# Policies as agents.


@every_algorithm
@pytest.mark.parametrize("env_id", list(mtrnn_envs.IDS))
def test_a_live_model_is_an_agent_in_every_id(env_id: str, algorithm: Any) -> None:
    task = EvidenceTask(**mtrnn_envs.IDS[env_id][0])
    check_agent(StableBaselinesAgent(model_of(algorithm, env_id=env_id), task), env_id)


@every_algorithm
@every_task
def test_a_live_model_is_an_agent_in_every_kind_of_task(kwargs: dict[str, Any], algorithm: Any) -> None:
    agent = StableBaselinesAgent(model_of(algorithm, **kwargs), EvidenceTask(**kwargs))
    check_agent(agent, "MultiTaskEvidence-v0", **kwargs)
    recording = record(agent, gym.make_vec("MultiTaskEvidence-v0", num_envs=3, **kwargs), 7, seed=0)
    assert recording.hidden is not None
    assert recording.probabilities is not None
    assert recording.probabilities.shape == recording.answers.shape


@every_algorithm
@every_task
def test_actions_and_states_are_those_of_sb3(kwargs: dict[str, Any], algorithm: Any) -> None:
    model = model_of(algorithm, **kwargs)
    agent = StableBaselinesAgent(model, EvidenceTask(**kwargs))
    mine = other = None
    for observation, starts in walk(model):
        ours, mine = agent.predict(observation, mine, starts, deterministic=True)
        theirs, other = model.predict(observation, other, starts, deterministic=True)
        assert ours.dtype == agent.action_space.dtype
        np.testing.assert_array_equal(ours, theirs)
        if algorithm is RecurrentPPO:
            assert_same(mine, other, "(h, c)")
            np.testing.assert_array_equal(agent.hidden(mine), other[0][-1])


@every_algorithm
@every_task
def test_probabilities_are_those_of_the_distribution_of_sb3(kwargs: dict[str, Any], algorithm: Any) -> None:
    """Each joint action of a task's part is weighed by SB3's own probability of it, and by what it claims."""
    task = EvidenceTask(**kwargs)
    model = model_of(algorithm, **kwargs)
    agent, policy, state = StableBaselinesAgent(model, task), model.policy, None
    size = action_sizes(task)[-1]
    values = np.arange(size)
    if task.reaction_time:
        levels = values + 1 if task.commit == "common" else values
        told = reported_probability(task, levels)
    else:
        levels = values if task.withhold else values + 1
        told = (choices(task, levels) > 0).astype(float)
    for observation, starts in walk(model, 30):
        before = state
        _, state = agent.predict(observation, state, starts, deterministic=True)
        shown = torch.from_numpy(observation)
        if algorithm is RecurrentPPO:
            zeros = np.zeros((1, len(observation), policy.lstm_actor.hidden_size), np.float32)
            past = tuple(map(torch.from_numpy, before or (zeros, zeros)))
            found, _ = policy.get_distribution(shown, past, torch.from_numpy(starts.astype(np.float32)))
        else:
            found = policy.get_distribution(shown)
        parts = found.distribution
        if isinstance(policy.action_space, spaces.MultiBinary):
            p = np.stack([1 - parts.probs.detach().numpy(), parts.probs.detach().numpy()], -1)
        else:
            parts = [parts] if is_discrete(task) else parts[-task.n_answers :]
            p = np.stack([part.probs.detach().numpy() for part in parts], 1)
        p = p * (levels > 0)
        expected = (p / p.sum(-1, keepdims=True)) @ told
        np.testing.assert_allclose(agent.probabilities(state), expected, atol=1e-5)


@every_task
def test_draws_follow_the_policy_and_no_global_generator(kwargs: dict[str, Any]) -> None:
    n = 4000
    model = model_of(PPO, **kwargs)
    agent, observation = StableBaselinesAgent(model, EvidenceTask(**kwargs)), model.get_env().reset()[:1]
    with global_generators_untouched():
        actions, _ = agent.predict(np.repeat(observation, n, 0))
        again, _ = StableBaselinesAgent(model, EvidenceTask(**kwargs)).predict(np.repeat(observation, n, 0))
        other, _ = StableBaselinesAgent(model, EvidenceTask(**kwargs), seed=1).predict(np.repeat(observation, n, 0))
    np.testing.assert_array_equal(actions, again)
    assert not np.array_equal(actions, other)
    parts = model.policy.get_distribution(torch.from_numpy(observation)).distribution
    if isinstance(model.action_space, spaces.MultiBinary):
        expected = [np.array([1 - p, p]) for p in parts.probs[0].tolist()]
    else:
        expected = [part.probs[0].detach().numpy() for part in (parts if isinstance(parts, list) else [parts])]
    for column, p in zip(actions.reshape(n, -1).T, expected, strict=True):
        found = np.bincount(column, minlength=len(p)) / n
        assert np.all(np.abs(found - p) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-6)


def test_draws_are_of_the_stream_of_actions_which_nothing_else_takes() -> None:
    agent = StableBaselinesAgent(model_of(PPO, n_tasks=3), EvidenceTask(n_tasks=3), seed=5)
    assert agent._rng.bit_generator.state == generator(5, "actions").bit_generator.state
    with pytest.raises(ValueError, match="seed=-1 is not a whole number, 0 or more"):
        StableBaselinesAgent(agent.policy, agent.task, seed=-1)


def test_one_observation_alone_is_answered_as_a_batch_of_one() -> None:
    model = model_of(RecurrentPPO, n_tasks=3)
    agent, observation = StableBaselinesAgent(model, EvidenceTask(n_tasks=3)), model.get_env().reset()
    alone, state = agent.predict(observation[0], deterministic=True)
    batch, states = agent.predict(observation[:1], deterministic=True)
    assert alone.shape == (3,)
    np.testing.assert_array_equal(alone, batch[0])
    assert_same(state, states, "state")
    with pytest.raises(ValueError, match=r"observation has shape \(4, 7\); \[N, 41\] is needed"):
        agent.predict(np.zeros((4, 7), np.float32))


@every_algorithm
@every_task
def test_a_file_gives_the_agent_back(kwargs: dict[str, Any], algorithm: Any, tmp_path: Path) -> None:
    model = model_of(algorithm, **kwargs)
    agent = StableBaselinesAgent(model, EvidenceTask(**kwargs), history={"steps": (5.0,), "reward": (0.5,)})
    with global_generators_untouched():
        agent.save(tmp_path / "agent.safetensors")
        back = StableBaselinesAgent.load(tmp_path / "agent.safetensors")
    assert (back.task, back.history, back.evaluation) == (agent.task, agent.history, {"steps": 5.0, "reward": 0.5})
    mine = other = None
    for observation, starts in walk(model, 30):
        ours, mine = agent.predict(observation, mine, starts, deterministic=True)
        theirs, other = back.predict(observation, other, starts, deterministic=True)
        assert_same(ours, theirs, "actions")
        assert_same(agent.probabilities(mine), back.probabilities(other), "probabilities")
        assert_same(agent.hidden(mine), back.hidden(other), "hidden")


def test_a_file_whose_arrays_do_not_fit_is_refused(tmp_path: Path) -> None:
    task, path = EvidenceTask(n_tasks=3, encoder=None), tmp_path / "agent.safetensors"
    scaled = VecNormalize(make_sb3_env("MultiTaskEvidence-v0", 4, seed=0, n_tasks=3, encoder=None))
    StableBaselinesAgent(PPO("MlpPolicy", scaled, **FEW), task).save(path)
    arrays, about = storage.read(path, "stable_baselines")
    about = {name: value for name, value in about.items() if name not in ("schema", "kind", "version")}
    for name, values in arrays.items():
        spoiled = {
            "missing": None,
            "longer": np.concatenate([values, values]),
            "flatter": values.ravel()[:, None, None],
        }
        for part in spoiled.values():
            rest = {other: v for other, v in arrays.items() if other != name}
            storage.write(path, "stable_baselines", rest | ({} if part is None else {name: part}), about)
            found = re.escape(str(None if part is None else part.shape))
            with pytest.raises(ValueError, match=rf"arrays\['{name}'\] has shape {found}; the policy needs \("):
                StableBaselinesAgent.load(path)
    storage.write(path, "stable_baselines", arrays | {"policy.more": np.zeros(2)}, about)
    with pytest.raises(ValueError, match=r"arrays\['policy.more'\] has shape \(2,\); the policy needs None"):
        StableBaselinesAgent.load(path)


def test_every_shape_of_policy_survives_a_file(tmp_path: Path) -> None:
    task = EvidenceTask(n_tasks=3, encoder=None)
    shapes: list[tuple[Any, dict[str, Any]]] = [
        (PPO, {"net_arch": []}),
        (PPO, {"net_arch": {"pi": [8, 5], "vf": [7]}, "activation_fn": nn.ReLU, "share_features_extractor": False}),
        (RecurrentPPO, {"lstm_hidden_size": 6, "n_lstm_layers": 2, "net_arch": [4]}),
        (RecurrentPPO, {"lstm_hidden_size": 6, "shared_lstm": True, "enable_critic_lstm": False}),
        (RecurrentPPO, {"lstm_hidden_size": 6, "enable_critic_lstm": False, "net_arch": {"pi": [], "vf": [3]}}),
    ]
    for algorithm, settings in shapes:
        policy = {PPO: "MlpPolicy", RecurrentPPO: "MlpLstmPolicy"}[algorithm]
        envs = make_sb3_env("MultiTaskEvidence-v0", 4, n_tasks=3, encoder=None)
        agent = StableBaselinesAgent(algorithm(policy, envs, policy_kwargs=settings, **FEW), task)
        agent.save(tmp_path / "agent.safetensors")
        back = StableBaselinesAgent.load(tmp_path / "agent.safetensors")
        assert_same(agent.policy.state_dict().keys(), back.policy.state_dict().keys(), "names of weights")
        observation: Any = envs.reset()
        mine, other = (each.predict(observation, deterministic=True) for each in (agent, back))
        assert_same(agent.probabilities(mine[1]), back.probabilities(other[1]), f"{settings}")


def test_scaled_observations_are_scaled_for_the_agent_too(tmp_path: Path) -> None:
    task = EvidenceTask(n_tasks=3, encoder=None)
    scaled = VecNormalize(make_sb3_env("MultiTaskEvidence-v0", 4, seed=0, n_tasks=3, encoder=None), clip_obs=1.5)
    model = PPO("MlpPolicy", scaled, **FEW).learn(400)
    agent = StableBaselinesAgent(model, task)
    agent.save(tmp_path / "agent.safetensors")
    back = StableBaselinesAgent.load(tmp_path / "agent.safetensors")
    observation = 3 * np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    seen = torch.from_numpy(np.asarray(scaled.normalize_obs(observation)))
    parts: Any = model.policy.get_distribution(seen).distribution
    p = np.stack([part.probs[:, 1].detach().numpy() for part in parts], 1)
    for each in (agent, back):
        np.testing.assert_allclose(each.probabilities(each.predict(observation)[1]), p, atol=1e-6)
    bare = StableBaselinesAgent(model.policy, task)
    assert np.abs(bare.probabilities(bare.predict(observation)[1]) - p).max() > 1e-3


def test_a_zip_needs_the_scaling_that_is_not_in_it(tmp_path: Path) -> None:
    task, kwargs = EvidenceTask(n_tasks=3, encoder=None), {"n_tasks": 3, "encoder": None}
    scaled = VecNormalize(make_sb3_env("MultiTaskEvidence-v0", 4, seed=0, **kwargs))
    model = PPO("MlpPolicy", scaled, **FEW).learn(200)
    model.save(tmp_path / "model.zip")
    scaled.save(str(tmp_path / "scaling.pkl"))
    kept = VecNormalize.load(str(tmp_path / "scaling.pkl"), make_sb3_env("MultiTaskEvidence-v0", 1, **kwargs))
    observation = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    parts: Any = model.policy.get_distribution(torch.from_numpy(np.asarray(scaled.normalize_obs(observation))))
    p = np.stack([part.probs[:, 1].detach().numpy() for part in parts.distribution], 1)
    for scaling in (kept, Scaling.of(scaled)):
        agent = StableBaselinesAgent.from_zip(tmp_path / "model.zip", PPO, task, trust=True, scaling=scaling)
        np.testing.assert_allclose(agent.probabilities(agent.predict(observation)[1]), p, atol=1e-6)
    with pytest.raises(ValueError, match="scaling is of 2 channels; the policy sees 3"):
        StableBaselinesAgent(model.policy, task, scaling=Scaling(np.zeros(2), np.ones(2), 1.0))


@pytest.mark.usefixtures("unannotated")
def test_a_scaling_that_is_none_is_refused() -> None:
    path: Any = "scaling.pkl"
    with pytest.raises(ValueError, match=r"scaling='scaling\.pkl' is neither a VecNormalize nor a Scaling"):
        StableBaselinesAgent(model_of(PPO, n_tasks=3), EvidenceTask(n_tasks=3), scaling=path)


@pytest.mark.parametrize("first", [True, False])
def test_frames_are_scaled_before_they_are_stacked_or_after(first: bool, tmp_path: Path) -> None:
    task, kwargs = EvidenceTask(n_tasks=3, encoder=None), {"n_tasks": 3, "encoder": None}
    envs = make_sb3_env("MultiTaskEvidence-v0", 4, seed=0, **kwargs)
    if first:
        stacked: Any = VecFrameStack(VecNormalize(envs, clip_obs=1.5), task.n_steps)
    else:
        stacked = VecNormalize(VecFrameStack(envs, task.n_steps), clip_obs=1.5)
    model = PPO("MlpPolicy", stacked, **FEW).learn(200)
    scaling: Any = model.get_vec_normalize_env()
    scaling.training = False
    agent = StableBaselinesAgent(model, task, kind="frames")
    agent.save(tmp_path / "agent.safetensors")
    model.save(tmp_path / "model.zip")
    zipped = {"trust": True, "scaling": scaling, "kind": "frames"}
    agents = [
        agent,
        StableBaselinesAgent.load(tmp_path / "agent.safetensors"),
        StableBaselinesAgent.from_zip(tmp_path / "model.zip", PPO, task, **zipped),
    ]
    bare = make_sb3_env("MultiTaskEvidence-v0", 4, **kwargs)
    for each in (stacked, bare):
        each.seed(5)
    seen, shown, starts, rng = stacked.reset(), bare.reset(), np.ones(4, bool), np.random.default_rng(0)
    states: list[Any] = [None] * len(agents)
    for _ in range(30):
        latent = model.policy.mlp_extractor.forward_actor(torch.from_numpy(seen)).detach().numpy()
        for i, each in enumerate(agents):
            _, states[i] = each.predict(np.asarray(shown), states[i], starts)
            np.testing.assert_allclose(each.hidden(states[i]), latent, atol=1e-5)
        actions = np.array([random_action(stacked.action_space, task, rng) for _ in range(4)])
        seen, (shown, _, starts, _) = stacked.step(actions)[0], bare.step(actions)


def test_means_of_what_was_scaled_before_are_refused() -> None:
    task = EvidenceTask(n_tasks=3, encoder=None)
    envs = make_sb3_env("MultiTaskEvidence-v0", 4, n_tasks=3, encoder=None)
    after = PPO("MlpPolicy", VecNormalize(FeaturesVecEnv(envs, task, "mean")), **FEW)
    assert StableBaselinesAgent(after, task, kind="mean").scaling is not None
    before = PPO("MlpPolicy", FeaturesVecEnv(VecNormalize(envs), task, "mean"), **FEW)
    with pytest.raises(ValueError, match="kind='mean' of observations that were scaled before"):
        StableBaselinesAgent(before, task, kind="mean")


@every_algorithm
def test_files_of_sb3_are_read_only_where_they_are_trusted(algorithm: Any, tmp_path: Path) -> None:
    model, task = model_of(algorithm, n_tasks=3), EvidenceTask(n_tasks=3)
    model.save(tmp_path / "model.zip")
    with pytest.raises(ValueError, match=r"trust=False: reading .*model.zip runs whatever code is in it"):
        StableBaselinesAgent.from_zip(tmp_path / "model.zip", algorithm, task)
    back, agent = (
        StableBaselinesAgent.from_zip(tmp_path / "model.zip", algorithm, task, trust=True),
        StableBaselinesAgent(model, task),
    )
    observation = model.get_env().reset()
    mine, other = (each.predict(observation, deterministic=True) for each in (agent, back))
    assert_same(agent.probabilities(mine[1]), back.probabilities(other[1]), "probabilities")


class Deaf(ActorCriticPolicy):
    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.extra = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("policy", "settings", "message"),
    [
        (Deaf, {}, r"has weights of its own, .*: extra.bias, extra.weight"),
        ("MlpPolicy", {"activation_fn": nn.Softsign}, r"activation_fn=.* cannot be written to a file; use one of"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(policy: Any, settings: Any, message: str, tmp_path: Path) -> None:
    envs = make_sb3_env("MultiTaskEvidence-v0", 4, n_tasks=3)
    agent = StableBaselinesAgent(PPO(policy, envs, policy_kwargs=settings, **FEW), EvidenceTask(n_tasks=3))
    with pytest.raises(ValueError, match=message):
        agent.save(tmp_path / "agent.safetensors")
    assert not list(tmp_path.iterdir())


def test_models_that_do_not_fit_are_refused() -> None:
    model = model_of(PPO, n_tasks=3)
    with pytest.raises(
        ValueError, match=r"acts in MultiDiscrete\(\[2 2 2\]\); the task takes MultiDiscrete\(\[2 2 2 2"
    ):
        StableBaselinesAgent(model, EvidenceTask(n_tasks=4))
    with pytest.raises(ValueError, match=r"sees observations of shape \(41,\); the task shows \(3,\)"):
        StableBaselinesAgent(model, EvidenceTask(n_tasks=3, encoder=None))
    timed = EvidenceTask(n_tasks=3, payoff="quadratic", decision=0, n_confidence=1, commit="common")
    binary = model_of(PPO, n_tasks=4, action_encoding="multi_binary")
    with pytest.raises(ValueError, match=r"acts in MultiBinary\(4\); the task takes MultiDiscrete"):
        StableBaselinesAgent(binary, timed)
    with pytest.raises(ValueError, match="model=<DQN>: its policy is not an ActorCriticPolicy"):
        StableBaselinesAgent(DQN("MlpPolicy", "CartPole-v1", buffer_size=10), EvidenceTask())


@every_algorithm
def test_refusals_name_the_class_and_fit_on_a_line(algorithm: Any) -> None:
    model = model_of(algorithm, n_tasks=3)
    for task in (EvidenceTask(n_tasks=4), EvidenceTask(n_tasks=3, encoder=None)):
        with pytest.raises(ValueError, match=rf"^model=<{type(model.policy).__name__}> (acts|sees)") as refused:
            StableBaselinesAgent(model, task)
        assert "\n" not in str(refused.value)


def test_stacked_frames_are_refused_with_the_kind_that_they_need() -> None:
    task = EvidenceTask(n_tasks=3, encoder=None)

    def stacked(algorithm: Any, n_frames: int) -> Any:
        envs = make_sb3_env("MultiTaskEvidence-v0", 4, n_tasks=3, encoder=None)
        policy = {PPO: "MlpPolicy", RecurrentPPO: "MlpLstmPolicy"}[algorithm]
        return algorithm(policy, VecFrameStack(envs, n_frames), **FEW)

    with pytest.raises(ValueError, match=r"the task shows \(3,\); for stacked frames .* give kind='frames'$"):
        StableBaselinesAgent(stacked(PPO, 22), task)
    for kind in (None, "frames"):
        with pytest.raises(ValueError, match=r"kind='frames' needs those of the whole trial, task.n_steps=22$"):
            StableBaselinesAgent(stacked(PPO, 4), task, kind=kind)
    with pytest.raises(ValueError, match=r"shows \(66,\) as kind='frames'; for .* alone, give kind=None"):
        StableBaselinesAgent(model_of(PPO, n_tasks=3, encoder=None), task, kind="frames")
    with pytest.raises(ValueError, match=r"sees observations of shape \(66,\); the task shows \(3,\)$"):
        StableBaselinesAgent(stacked(RecurrentPPO, 22), task)
    with pytest.raises(ValueError, match="kind='frames': model=<RecurrentActorCriticPolicy> is recurrent"):
        StableBaselinesAgent(stacked(RecurrentPPO, 22), task, kind="frames")
    with pytest.raises(ValueError, match=r"kind='frame' is not one of \('frames', 'mean'\) \(or None"):
        StableBaselinesAgent(stacked(PPO, 22), task, kind="frame")


@pytest.mark.usefixtures("unannotated")
def test_what_is_no_task_is_refused() -> None:
    model, none = model_of(PPO, n_tasks=3), {"n_tasks": 3}
    refused: list[Callable[[Any], Any]] = [
        lambda task: StableBaselinesAgent(model, task),
        lambda task: StableBaselinesAgent.from_zip("model.zip", PPO, task, trust=True),
        lambda task: train_quietly(task, 0, QUICK),
        lambda task: train_recurrent(task, 0, QUICK),
    ]
    for each in refused:
        with pytest.raises(ValueError, match=r"task=\{'n_tasks': 3\} is not an EvidenceTask"):
            each(none)


# The history of a trial.


@pytest.mark.parametrize("kwargs", [{}, {"n_tasks": 3, "stimulus": (1, 5)}, {"n_tasks": 3, "cueing": "one"}], ids=str)
def test_frames_are_those_of_sb3s_frame_stack(kwargs: dict[str, Any]) -> None:
    task = EvidenceTask(encoder=None, **kwargs)

    def make() -> SB3VecEnv:
        return SB3VecEnv(gym.make_vec("MultiTaskEvidence-v0", num_envs=3, encoder=None, **kwargs))

    ours, theirs = FeaturesVecEnv(make(), task, "frames"), VecFrameStack(make(), task.n_steps)
    rng, n_ended = np.random.default_rng(0), 0
    for t in range(90):
        if t in (0, 50):
            for env in (ours, theirs):
                env.seed(t)
            np.testing.assert_array_equal(ours.reset(), theirs.reset())
        actions = np.array([random_action(ours.action_space, task, rng) for _ in range(3)])
        (*mine, infos), (*other, infos_there) = ours.step(actions), theirs.step(actions)
        assert_same(mine, other, f"step {t}")
        assert_same(infos, infos_there, f"step {t}: infos")
        n_ended += sum("terminal_observation" in info for info in infos)
    assert n_ended > 6


def test_means_are_over_the_observations_of_the_trial() -> None:
    task = EvidenceTask(encoder=None, n_tasks=3, cueing="one", stimulus=(2, 5))
    shown = np.random.default_rng(0).normal(size=(30, 4, task.n_features)).astype(np.float32)
    fresh = np.random.default_rng(1).random((30, 4)) < 0.2
    fresh[0] = True
    past = begin(task, "mean", 4)
    for t in range(30):
        past, found = extended(task, "mean", past, shown[t], fresh[t])
        for i in range(4):
            first = t - np.argmax(fresh[t::-1, i])
            expected = shown[t, i].copy()
            expected[1:3] = shown[first : t + 1, i, 1:3].mean(axis=0)
            np.testing.assert_allclose(found[i], expected, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kwargs", [{}, {"payoff": "quadratic", "decision": 0}, {"delay": (0, 3)}], ids=str)
def test_the_agent_sees_what_the_policy_was_trained_on(kind: str, kwargs: dict[str, Any]) -> None:
    task = EvidenceTask(n_tasks=3, encoder=None, **kwargs)
    envs = FeaturesVecEnv(SB3VecEnv(EvidenceVectorEnv(3, n_tasks=3, encoder=None, **kwargs)), task, kind)
    bare = SB3VecEnv(EvidenceVectorEnv(3, n_tasks=3, encoder=None, **kwargs))
    model = PPO("MlpPolicy", envs, n_steps=24, batch_size=72, seed=0, device="cpu")
    agent, state, starts = StableBaselinesAgent(model, task, kind=kind), None, np.ones(3, bool)
    for env in (envs, bare):
        env.seed(0)
    seen, shown, rng = envs.reset(), bare.reset(), np.random.default_rng(0)
    for _ in range(70):
        _, state = agent.predict(np.asarray(shown), state, starts, deterministic=True)
        latent = model.policy.mlp_extractor.forward_actor(torch.from_numpy(np.asarray(seen))).detach().numpy()
        np.testing.assert_array_equal(agent.hidden(state), latent)
        actions = np.array([random_action(envs.action_space, task, rng) for _ in range(3)])
        seen, (shown, _, starts, _) = envs.step(actions)[0], bare.step(actions)


# Training.


def test_the_plug_in_is_what_the_command_line_needs() -> None:
    assert isinstance(ppo_history, AgentPlugin)
    assert all(isinstance(preset, Training) for preset in PRESETS.values())
    assert next(iter(PRESETS.values())) == Training()


def stock_recurrent(envs: Any, task: EvidenceTask, seed: int, training: Any) -> RecurrentPPO:
    return RecurrentPPO(
        "MlpLstmPolicy",
        envs,
        learning_rate=training.rate,
        n_steps=44,
        batch_size=88,
        n_epochs=2,
        seed=seed,
        device="cpu",
        policy_kwargs={"lstm_hidden_size": 8, "n_lstm_layers": 2},
    )


def train_recurrent(task: EvidenceTask, seed: int, training: Any, **options: Any) -> StableBaselinesAgent:
    algorithm = learning.Algorithm("stock", stock_recurrent, multi_binary=False)
    return learning.learn(algorithm, task, seed, training, progress=False, **options)


def train_quietly(task: EvidenceTask, seed: int, training: Any, **options: Any) -> StableBaselinesAgent:
    return train(task, seed, training, progress=False, **options)


SMALL = EvidenceTask(n_tasks=3, encoder=None)
RUNS: dict[str, tuple[Callable[..., StableBaselinesAgent], Any]] = {
    "ppo": (train_quietly, replace(QUICK, schedule="linear")),
    "a2c": (train_quietly, replace(QUICK, algorithm="a2c", history="mean")),
    "recurrent": (train_recurrent, QUICK),
}


def weights_of(agent: StableBaselinesAgent) -> dict[str, np.ndarray]:
    return {name: v.numpy() for name, v in agent.policy.state_dict().items()}


@pytest.mark.parametrize("history", KINDS)
@pytest.mark.parametrize("env_id", list(mtrnn_envs.IDS))
def test_it_trains_in_every_id(env_id: str, history: str) -> None:
    task = EvidenceTask(**mtrnn_envs.IDS[env_id][0])
    training = replace(QUICK, history=history, total_steps=200, evaluate_every=100)
    agent = train_quietly(task, 0, training)
    check_agent(agent, env_id)
    course = agent.history
    assert next(iter(course)) == "steps"
    assert course["steps"][-1] >= 200
    assert {"reward", "accuracy"} <= course.keys()
    assert ("response_step" in course) == task.reaction_time
    assert len({len(column) for column in course.values()}) == 1
    assert agent.evaluation == {name: column[-1] for name, column in course.items() if name not in OF_TRAINING}


@every_task
def test_it_trains_in_every_kind_of_task(kwargs: dict[str, Any]) -> None:
    agent = train_quietly(EvidenceTask(**kwargs), 0, replace(QUICK, history="mean", total_steps=100))
    check_agent(agent, "MultiTaskEvidence-v0", **kwargs)


def stopped_after(made: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has training interrupted in the iteration after so many, of which nothing is kept."""
    iterate = learning.iterate

    def interrupted(learner: Any, callback: Any, now: Progress) -> dict[str, float]:
        told = iterate(learner, callback, now)
        if now.iteration == made:
            raise KeyboardInterrupt
        return told

    monkeypatch.setattr(learning, "iterate", interrupted)


@pytest.mark.parametrize("name", RUNS)
def test_a_stopped_run_goes_on_to_the_same_bits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, training = RUNS[name]
    whole = train(SMALL, 3, training)
    for made in sorted(np.random.default_rng(len(name)).choice(5, 2, replace=False)):
        with monkeypatch.context() as patch:
            stopped_after(int(made), patch)
            with pytest.raises(KeyboardInterrupt, match=f"stopped after {made * 176} steps; .* on from {tmp_path}"):
                train(SMALL, 3, training, folder=tmp_path)
        torch.rand(3)  # what others draw in between does not matter
    resumed = train(SMALL, 3, training, folder=tmp_path)
    assert_same(weights_of(resumed), weights_of(whole), "weights")
    assert resumed.history == whole.history
    assert whole.history["steps"] == (352, 704, 1056)
    assert_same(weights_of(train(SMALL, 3, training, folder=tmp_path)), weights_of(whole), "the finished run")
    assert_same(weights_of(load(tmp_path)), weights_of(whole), "from the folder")


@pytest.mark.parametrize("name", RUNS)
def test_training_may_be_of_so_many_trials(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long they are; the rate falls by them, and a run that was stopped has not forgotten them."""
    train, training = RUNS[name]
    task = replace(SMALL, payoff="quadratic", decision=0, time_cost=0.3)
    training = replace(training, total_trials=300, total_steps=10**6, schedule="linear")
    begun, left, iterate = [], [], learning.iterate

    def watched(learner: Any, callback: Any, now: Progress) -> dict[str, float]:
        assert sum(begun) == now.trials
        told = iterate(learner, callback, now)
        assert (told == {}) == (sum(begun) + learning.begun(learner.model) > 300)
        if told:
            left.append(learner.model._current_progress_remaining)
            begun.append(learning.begun(learner.model))
        return told

    monkeypatch.setattr(learning, "iterate", watched)
    whole = train(task, 3, training)
    assert 300 - max(begun) < sum(begun) <= 300
    assert whole.history["reward"]
    assert left == pytest.approx(1 - np.cumsum([0, *begun[:-1]]) / 300)
    with monkeypatch.context() as patch:
        stopped_after(1, patch)
        begun.clear()
        with pytest.raises(KeyboardInterrupt):
            train(task, 3, training, folder=tmp_path)
    begun.pop()  # the iteration that was lost
    resumed = train(task, 3, training, folder=tmp_path)
    assert_same(weights_of(resumed), weights_of(whole), "weights")
    assert resumed.history == whole.history


def test_an_agent_draws_the_same_actions_however_it_is_had(tmp_path: Path) -> None:
    training, shown = replace(QUICK, total_steps=1), np.zeros((500, 3), np.float32)
    agents = [train_quietly(SMALL, 7, training, folder=tmp_path) for _ in range(2)]  # the second is from the file
    agents += [load(tmp_path), StableBaselinesAgent(agents[0].policy, SMALL, kind="frames", seed=7)]
    drawn = [agent.predict(shown)[0] for agent in agents]
    for other in drawn[1:]:
        np.testing.assert_array_equal(drawn[0], other)
    assert {agent.seed for agent in agents} == {7}
    other = StableBaselinesAgent(agents[0].policy, SMALL, kind="frames")
    assert not np.array_equal(drawn[0], other.predict(shown)[0])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_one_iteration_learns(name: str, schedule: str) -> None:
    train, training = RUNS[name]
    training = replace(training, total_steps=1, schedule=schedule)
    first, learned = (
        weights_of(train(SMALL, 0, replace(training, learning_rate=rate)))["action_net.weight"]
        for rate in (1e-30, 1e-3)
    )
    assert np.abs(learned - first).max() > 1e-4


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_are_those_of_trial_ppo(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rates, iterate = [], learning.iterate

    def watched(learner: Any, callback: Any, now: Progress) -> dict[str, float]:
        told = iterate(learner, callback, now)
        rates.append(learner.model.policy.optimizer.param_groups[0]["lr"])
        return told

    monkeypatch.setattr(learning, "iterate", watched)
    train_quietly(SMALL, 0, replace(QUICK, schedule=schedule))
    theirs = TrialTraining(schedule=schedule, learning_rate=QUICK.learning_rate, n_iterations=6)
    assert rates == pytest.approx([theirs.rate(i) for i in range(6)])


@pytest.mark.parametrize("name", RUNS)
def test_training_leaves_the_global_generators_alone_and_does_not_hear_them(name: str) -> None:
    train, training = RUNS[name]
    runs = []
    for seed in range(2):
        random.seed(seed)
        torch.manual_seed(seed)
        before = random.getstate()
        with global_generators_untouched():
            runs.append(train(SMALL, 0, replace(training, total_steps=200)))
        assert random.getstate() == before
    assert_same(weights_of(runs[0]), weights_of(runs[1]), "weights")
    other = train(SMALL, 1, replace(training, total_steps=200))
    assert not np.array_equal(weights_of(other)["action_net.weight"], weights_of(runs[0])["action_net.weight"])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_an_iteration_is_one_of_sb3s_own_loop(schedule: str) -> None:
    """Given the seeds, a run of one rollout is what `learn` of SB3 makes of it, at the rate that a run begins with."""
    agent = train_recurrent(SMALL, 5, replace(QUICK, total_steps=1, schedule=schedule))
    assert QUICK.schedule == "constant"
    envs = SB3VecEnv(EvidenceVectorEnv(QUICK.n_envs, n_tasks=3, encoder=None))
    model = stock_recurrent(envs, SMALL, int(learning.seed_sequence(5, "network", 0).generate_state(1)[0]), QUICK)
    with learning.own_generators(learning.seed_sequence(5, "actions", 0)):
        envs.seed(learning._start(5, "train", 0))
        model.learn(QUICK.n_envs * 44)
    theirs = {name: v.numpy() for name, v in model.policy.state_dict().items()}
    assert_same(weights_of(agent), theirs, "weights")


def test_every_iteration_shows_other_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    iterate = learning.iterate

    def watched(learner: Any, callback: Any, now: Progress) -> dict[str, float]:
        told = iterate(learner, callback, now)
        shown.append(learner.model.rollout_buffer.observations.copy())
        return told

    monkeypatch.setattr(learning, "iterate", watched)
    train_recurrent(SMALL, 0, QUICK)
    assert len(shown) == 6
    evidence = np.concatenate(shown)[..., 1]
    assert len(np.unique(evidence[evidence != 0])) > 0.999 * np.count_nonzero(evidence)


def test_the_reward_of_a_rollout_is_the_mean_of_the_episodes_that_vec_monitor_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, iterate = [], learning.iterate

    def monitored(envs: Any, task: EvidenceTask, seed: int, training: Any) -> RecurrentPPO:
        model = stock_recurrent(VecMonitor(envs), task, seed, training)
        model._stats_window_size = 10_000
        return model

    def watched(learner: Any, callback: Any, now: Progress) -> dict[str, float]:
        learner.model.ep_info_buffer.clear()
        told.append(iterate(learner, callback, now))
        assert not learner.model._last_episode_starts.all(), "none is cut off: the test shows little"
        episodes = [episode["r"] for episode in learner.model.ep_info_buffer]
        assert told[-1]["rollout_reward"] == pytest.approx(np.mean(episodes), abs=1e-5)
        return told[-1]

    monkeypatch.setattr(learning, "iterate", watched)
    task = replace(SMALL, payoff="quadratic", decision=0, stimulus=30, time_cost=0.3)
    learning.learn(learning.Algorithm("monitored", monitored), task, 0, QUICK, progress=False)
    assert len(told) == 6
    assert math.isnan(learning.reward_of_ended(np.ones((3, 2)), np.zeros((3, 2), bool)))


@pytest.mark.parametrize("name", ["ppo", "recurrent"])  # of Bernoulli variables, where it can, and not
@pytest.mark.parametrize("kwargs", [{}, {"payoff": "quadratic", "decision": 0}, {"withhold": True}], ids=str)
def test_the_entropy_is_that_of_a_part_of_an_action(kwargs: dict[str, Any], name: str) -> None:
    """The first policy of SB3 is nearly even."""
    train, training = RUNS[name]
    task = replace(SMALL, **kwargs)
    agent = train(task, 0, replace(training, total_steps=1, learning_rate=1e-30))
    (size,) = set(action_sizes(task))
    assert agent.history["entropy"] == pytest.approx((np.log(size),), rel=0.01)
    assert agent.history["approx_kl"] == pytest.approx((0,), abs=1e-6)
    assert agent.history["clip_fraction"] == (0,)


def test_metrics_and_the_evaluation() -> None:
    asked = []

    def metrics(states: np.ndarray, latents: np.ndarray) -> dict[str, float]:
        asked.append((states.shape, latents.shape))
        return {"size": float(states.shape[1])}

    agent = train_quietly(SMALL, 0, replace(QUICK, n_units=16), metrics=metrics)
    n = N_VALIDATION
    assert asked == [((n, 16), (n, 2))] * 3
    assert agent.history["size"] == (16.0,) * 3
    envs = gym.make_vec("MultiTaskEvidence-v0", num_envs=50, split="validation", n_tasks=3, encoder=None)
    accuracy = record(agent, envs, 4000, seed=123).correct.mean()
    # A mean over trials varies at most as if the answers to one were right or wrong together.
    error = np.sqrt(accuracy * (1 - accuracy) * (1 / n + 1 / 4000))
    assert accuracy == pytest.approx(agent.evaluation["accuracy"], abs=4 * error)
    assert agent.evaluation["reward"] == pytest.approx(agent.evaluation["accuracy"])


def test_tensorboard_has_the_course(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    agent = train_quietly(SMALL, 0, QUICK, folder=tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    for name in ("reward", "accuracy", "value_loss", "rollout_reward"):
        points = events.Scalars(name)
        assert [point.step for point in points] == list(agent.history["steps"])
        np.testing.assert_allclose([point.value for point in points], agent.history[name], rtol=1e-6)
    assert events.Scalars("accuracy_ideal")[0].value == pytest.approx(ideal_performance(SMALL).accuracy)


def test_another_runs_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[tuple[Callable[..., Any], EvidenceTask, int, Training, str]] = [
        (train_quietly, SMALL, 1, QUICK, "seed is 0 there and 1 here"),
        (train_quietly, replace(SMALL, sigma=0.3), 0, QUICK, "task.sigma is 0.2 there and 0.3 here"),
        (train_quietly, SMALL, 0, replace(QUICK, gamma=0.9), "training.gamma is 1.0 there and 0.9 here"),
        (train_recurrent, SMALL, 0, QUICK, "name is 'ppo_history' there and 'stock' here"),
    ]
    with monkeypatch.context() as patch:
        stopped_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            train_quietly(SMALL, 0, QUICK, folder=tmp_path)
    for name in ("checkpoint.safetensors", "agent.safetensors"):
        file = re.escape(str(tmp_path / name))
        for other, task, seed, training, message in others:
            with pytest.raises(ValueError, match=f"{file} is of another run: {message}"):
                other(task, seed, training, folder=tmp_path)
        train_quietly(SMALL, 0, QUICK, folder=tmp_path)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    for name in ("checkpoint.safetensors", "agent.safetensors"):
        (tmp_path / name).write_bytes(b"no tensors")
        with pytest.raises(ValueError, match=f"{name} is not a whole safetensors file"):
            train_quietly(SMALL, 0, QUICK, folder=tmp_path)
    with pytest.raises(ValueError, match="names no folder"):
        train_quietly(SMALL, 0, QUICK, folder="")
    with pytest.raises(ValueError, match="seed=-1 is not a whole number"):
        train_quietly(SMALL, -1, QUICK)


def test_states_whose_arrays_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with monkeypatch.context() as patch:
        stopped_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            train_quietly(SMALL, 0, QUICK, folder=tmp_path)
    arrays, about = storage.read(path, "checkpoint")
    about = {name: value for name, value in about.items() if name not in ("schema", "kind", "version")}
    for name in ("policy.action_net.bias", "optimizer.0.exp_avg", "optimizer.3.step"):
        rest = {other: v for other, v in arrays.items() if other != name}
        for spoiled in (rest, arrays | {name: np.zeros((4, 7), np.float32)}):
            storage.write(path, "checkpoint", spoiled, about)
            with pytest.raises(ValueError, match=rf"arrays\['{name}'\] has shape (None|\(4, 7\)); the policy needs"):
                train_quietly(SMALL, 0, QUICK, folder=tmp_path)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")  # as it should
def test_training_that_diverges_says_so_and_keeps_the_state_before(tmp_path: Path) -> None:
    training = replace(QUICK, learning_rate=1e30, clip_norm=1e20)
    for _ in range(2):
        with pytest.raises(
            FloatingPointError,
            match=r"not finite after \d+ steps, at learning_rate=1e\+30, .*; lower one of them, in another folder; the "
            "state before it is kept in",
        ):
            train_quietly(SMALL, 0, training, folder=tmp_path)
    with pytest.raises(FloatingPointError, match=r"; lower one of them$"):
        train_quietly(SMALL, 0, training)
    arrays, _ = learning.checkpoints.storage.read(tmp_path / "checkpoint.safetensors", "checkpoint")
    assert all(np.isfinite(values).all() for values in arrays.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "dqn"}, r"algorithm='dqn' is not one of \['a2c', 'ppo'\]"),
        ({"history": "all"}, "history='all' is not one of"),
        ({"schedule": "step"}, "schedule='step' is not one of"),
        ({"n_envs": 0}, "n_envs=0 is not a whole number, 1 or more"),
        ({"gamma": 1.5}, r"gamma=1.5 is not a number in \[0, 1\]"),
        ({"learning_rate": 0}, "learning_rate=0 is not a number in"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**settings)


@pytest.mark.usefixtures("unannotated")
def test_learn_itself_takes_all_settings_of_on_policy_training() -> None:
    needed = r"is a \S+.trial_ppo.settings.Training; a \S+.settings.OnPolicyTraining is needed"
    with pytest.raises(ValueError, match=needed):
        train_recurrent(SMALL, 0, TrialTraining())


def test_minibatches_of_less_than_two_steps_are_refused(tmp_path: Path) -> None:
    training = replace(QUICK, n_epochs=1, total_steps=1, n_envs=1)  # of 44 steps
    train_quietly(SMALL, 0, replace(training, n_minibatches=22))
    train_quietly(SMALL, 0, replace(training, n_minibatches=23, algorithm="a2c"))  # which has none
    with pytest.raises(ValueError, match=r"n_minibatches=23 leaves less than 2 of the 44 steps .*; at most 22 are"):
        train_quietly(SMALL, 0, replace(training, n_minibatches=23), folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_learn(preset: str) -> None:
    """At least 70 % of what the ideal observer knows beyond chance, in 60 000 steps, which is part of the training."""
    task = EvidenceTask(n_tasks=4, encoder=None)
    assert PRESETS[preset].total_steps > 60_000
    agent = train_quietly(task, 0, replace(PRESETS[preset], total_steps=60_000))
    assert (agent.evaluation["accuracy"] - 0.5) / (ideal_performance(task).accuracy - 0.5) > 0.7


def test_answers_in_binary_are_answers_of_the_task(tmp_path: Path) -> None:
    agent = train_quietly(SMALL, 0, QUICK, folder=tmp_path)
    assert isinstance(agent.policy.action_space, spaces.MultiBinary)
    assert agent.action_space == spaces.MultiDiscrete([2, 2, 2])
    back = load(tmp_path)
    assert isinstance(back.policy.action_space, spaces.MultiBinary)
    check_agent(back, "MultiTaskEvidence-v0", n_tasks=3, encoder=None)
