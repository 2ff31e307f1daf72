"""Agents as dynamical systems: the same states as the agent goes through, and the right derivatives of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from mtrnn_agents import SupervisedAgent, Training, one_thread, supervised, trial_ppo, untrained
from mtrnn_agents.networks import GRU, LSTM
from mtrnn_agents.networks.base import Sizes
from mtrnn_agents.networks.jacobians import Differentiated, dynamics_of, torch_lstm
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_agents.networks.transformer import Transformer
from mtrnn_agents.stable_baselines import StableBaselinesAgent, make_sb3_env, ppo_history, recurrent_ppo
from mtrnn_agents.trial_ppo.settings import Training as TrialTraining
from mtrnn_envs import EvidenceTask, record
from mtrnn_envs.dynamics import run
from mtrnn_envs.environments.vector_env import EvidenceVectorEnv
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.testing import check_agent
from mtrnn_envs.testing.comparisons import global_generators_untouched
from mtrnn_envs.trials import observe

HALF = np.kron(np.eye(2), np.ones((4, 4)))
OPTIONS: list[dict[str, Any]] = [
    {},
    {"alpha": 0.3},
    {"alpha": 0.3, "activation": "tanh"},
    {"alpha": 0.3, "leaky": False},
    {"activation": "tanh", "leaky": False},
    {"excitatory": 0.75, "alpha": 0.5},
    {"connectivity": 0.4, "initialization": "sparse"},
    {"connectivity": "test_agent_dynamics:HALF", "excitatory": 0.5, "initialization": "orthogonal"},
    {"noise": 0.1},
]
RECURRENT = [*(LeakyRNN(n_units=8, **each) for each in OPTIONS), GRU(n_units=8), LSTM(n_units=8)]
TASK = EvidenceTask(n_tasks=3)


@dataclass(frozen=True, kw_only=True)
class Cubic(LeakyRNN):
    """A network of one's own, which has no derivatives written out."""

    def step(self, weights, state, observation, noise=None):
        return (super().step(weights, (state[0] ** 3 + state[0],), observation)[0] * 0.5,)


class Own(GRU):
    """Another, by another way of being new."""


def points(network: Any, dynamics: Dynamics, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(dynamics.start(n).shape), rng.standard_normal((n, 6))


def differences(dynamics: Dynamics, states: np.ndarray, inputs: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences, one point and one component at a time."""
    found = np.empty((len(states), states.shape[1], states.shape[1]))
    for n, (state, seen) in enumerate(zip(states, inputs, strict=True)):
        for j in range(len(state)):
            aside = np.zeros_like(state)
            aside[j] = step
            ahead, behind = (dynamics((state + sign * aside)[None], seen[None])[0] for sign in (1, -1))
            found[n, :, j] = (ahead - behind) / (2 * step)
    return found


def weights_of(network: Any, seed: int = 0) -> dict[str, torch.Tensor]:
    return network.first_weights(Sizes(6, 2, 5), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("network", RECURRENT, ids=str)
def test_a_step_is_that_of_the_network_in_float64(network):
    weights = weights_of(network)
    dynamics = dynamics_of(network, weights)
    states, inputs = points(network, dynamics)
    double = {name: v.double() for name, v in weights.items()}
    parts = torch.from_numpy(states).split(8, -1)
    theirs = torch.cat(network.step(double, parts, torch.from_numpy(inputs)), -1).numpy()
    np.testing.assert_allclose(dynamics(states, inputs), theirs, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(dynamics.start(2), np.zeros((2, states.shape[1])))


@pytest.mark.parametrize("network", RECURRENT, ids=str)
def test_derivatives_are_those_of_autograd_and_of_differences(network):
    weights = weights_of(network)
    dynamics: Any = dynamics_of(network, weights)
    states, inputs = points(network, dynamics)
    double = {name: v.double() for name, v in weights.items()}
    theirs = Differentiated(network, double).jacobian(states, inputs)
    np.testing.assert_allclose(dynamics.jacobian(states, inputs), theirs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dynamics.jacobian(states, inputs), differences(dynamics, states, inputs), atol=1e-8)


def test_a_network_of_ones_own_is_differentiated():
    network = Cubic(n_units=4, activation="tanh")
    dynamics: Any = dynamics_of(network, weights_of(network))
    states, inputs = points(network, dynamics)
    np.testing.assert_allclose(dynamics.jacobian(states, inputs), differences(dynamics, states, inputs), atol=1e-7)
    assert isinstance(dynamics_of(Own(n_units=4), weights_of(Own(n_units=4))), Differentiated)


def test_at_the_kink_of_a_relu_the_derivative_is_that_of_the_silent_side():
    network = LeakyRNN(n_units=2)
    weights = {name: torch.zeros_like(v) for name, v in weights_of(network).items()}
    weights["recurrent.weight"] = torch.eye(2)
    dynamics: Any = dynamics_of(network, weights)
    found = dynamics.jacobian(np.array([[0.0, 1.0]]), np.zeros((1, 6)))
    np.testing.assert_array_equal(found[0], [[0, 0], [0, 1]])


@pytest.mark.parametrize(("layers", "bias"), [(1, True), (2, True), (3, False)])
def test_lstms_of_torch_in_layers(layers, bias):
    torch_rng = torch.Generator().manual_seed(0)
    lstm = nn.LSTM(6, 4, layers, bias=bias).double()
    with torch.no_grad():
        for part in lstm.parameters():
            part.normal_(generator=torch_rng)
    dynamics = torch_lstm(lstm)
    inputs = np.random.default_rng(0).standard_normal((3, 7, 6))
    path = run(dynamics, dynamics.start(3), inputs)
    with torch.no_grad():
        hidden, (last, memory) = lstm(torch.from_numpy(inputs.swapaxes(0, 1)))
    np.testing.assert_allclose(path[:, :, : dynamics.n_units], hidden.numpy().swapaxes(0, 1), atol=1e-12)
    ends = np.concatenate([part[k].numpy() for k in reversed(range(layers)) for part in (last, memory)], axis=1)
    np.testing.assert_allclose(path[:, -1], ends, atol=1e-12)
    states = path[:, 3]
    theirs = differences(dynamics, states, inputs[:, 4])
    np.testing.assert_allclose(dynamics.jacobian(states, inputs[:, 4]), theirs, atol=1e-8)


def test_a_transformer_has_no_dynamics():
    training = Training(network=Transformer(n_units=8, n_heads=2))
    with pytest.raises(ValueError, match="looks back at its past"):
        untrained(TASK, 0, training).dynamics()


def model(policy: dict[str, Any], scaled: bool = False) -> Any:
    envs: Any = make_sb3_env("MultiTaskEvidence-v0", 4, seed=0, n_tasks=3)
    if scaled:
        envs = VecNormalize(envs, clip_obs=1.5)
        envs.reset()
        for _ in range(30):
            envs.step(np.zeros((4, 3), np.int64))
    with one_thread():
        return RecurrentPPO("MlpLstmPolicy", envs, n_steps=8, batch_size=16, seed=0, device="cpu", policy_kwargs=policy)


AGENTS: dict[str, Any] = {
    "supervised leaky": lambda: untrained(TASK, 0, Training(network=LeakyRNN(n_units=12, alpha=0.4, noise=0.2))),
    "supervised gru": lambda: untrained(TASK, 0, Training(network=GRU(n_units=12))),
    "supervised lstm": lambda: untrained(TASK, 0, Training(network=LSTM(n_units=12))),
    "trial_ppo": lambda: trial_ppo.untrained(TASK, 0, TrialTraining(network=GRU(n_units=12))),
    "recurrent_ppo": lambda: StableBaselinesAgent(model({"lstm_hidden_size": 12}), TASK),
    "recurrent_ppo, two layers, scaled": lambda: StableBaselinesAgent(
        model({"lstm_hidden_size": 12, "n_lstm_layers": 2, "enable_critic_lstm": False, "shared_lstm": True}, True),
        TASK,
    ),
}


@pytest.mark.parametrize("name", AGENTS)
def test_agents_go_through_the_states_of_their_dynamics(name):
    agent = AGENTS[name]()
    recording = record(agent, EvidenceVectorEnv(8, split="test", n_tasks=3), 16, seed=0)
    dynamics = agent.dynamics()
    seen = observe(recording.trials()).astype(np.float64)
    path = run(dynamics, dynamics.start(16), seen)
    assert recording.hidden is not None
    np.testing.assert_allclose(path[:, :, : dynamics.n_units], recording.hidden, atol=2e-5)
    assert path.std() > 1e-3
    check_agent(agent, "MultiTaskEvidence-v0", n_tasks=3)


def test_policies_without_a_state_have_no_dynamics():
    envs = make_sb3_env("MultiTaskEvidence-v0", 2, seed=0, n_tasks=3)
    agent = StableBaselinesAgent(PPO("MlpPolicy", envs, n_steps=8, batch_size=16, seed=0, device="cpu"), TASK)
    with pytest.raises(ValueError, match="no recurrent state"):
        agent.dynamics()


def test_dynamics_do_not_change_the_agent():
    agent = AGENTS["recurrent_ppo, two layers, scaled"]()
    before = {name: v.clone() for name, v in agent.policy.state_dict().items()}
    agent.dynamics()
    for name, value in agent.policy.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def same_weights(first: Any, second: Any) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first.keys() | second.keys())


@pytest.mark.parametrize(
    ("module", "training"),
    [
        (supervised, Training(network=GRU(n_units=8), n_updates=20, evaluate_every=10)),
        (trial_ppo, TrialTraining(network=LeakyRNN(n_units=8), n_iterations=1, n_trials=64)),
    ],
    ids=["supervised", "trial_ppo"],
)
def test_untrained_is_what_training_began_with(module, training):
    trained = module.train(TASK, 5, training, progress=False)
    first = trained.untrained()
    assert type(first) is type(trained)
    assert same_weights(first.weights, module.untrained(TASK, 5, training).weights)
    assert not same_weights(first.weights, trained.weights)


@pytest.mark.parametrize(
    ("module", "training"),
    [
        (recurrent_ppo, recurrent_ppo.Training(n_envs=4, n_units=8, total_steps=1, n_epochs=1, learning_rate=1e-9)),
        (recurrent_ppo, recurrent_ppo.Training(n_envs=4, n_units=8, total_steps=1, n_epochs=1, stock=True)),
        (ppo_history, ppo_history.Training(n_envs=4, n_units=8, total_steps=1, n_epochs=1)),
    ],
    ids=["recurrent_ppo", "stock", "ppo_history"],
)
def test_untrained_policies_of_stable_baselines_are_what_training_began_with(module, training):
    still = replace(training, learning_rate=1e-20)
    trained = module.train(TASK, 5, still, progress=False)
    with global_generators_untouched():
        first = trained.untrained()
    # With a rate of next to nothing, training ends where it began.
    for name, value in trained.policy.state_dict().items():
        torch.testing.assert_close(first.policy.state_dict()[name], value, rtol=0, atol=1e-12)
    assert first.run == trained.run
    other = module.untrained(TASK, 6, still).policy.state_dict()
    assert not same_weights(other, first.policy.state_dict())


def test_what_an_agent_of_stable_baselines_was_before_training_is_not_always_known():
    with pytest.raises(ValueError, match="names no agent plug-in: the first weights"):
        StableBaselinesAgent(model({"lstm_hidden_size": 8}), TASK).untrained()


def test_every_network_has_dynamics_or_says_why_not():
    for name, kind in NETWORKS.items():
        agent = untrained(TASK, 0, Training(network=kind(n_units=8)))
        assert isinstance(agent, SupervisedAgent)
        if name == "transformer":
            continue
        assert agent.dynamics().n_units == 8, name


def test_untrained_agents_pass_the_suite():
    agent = untrained(TASK, 0, Training(network=LSTM(n_units=8)))
    check_agent(agent.untrained(), "MultiTaskEvidence-v0", n_tasks=3)
    gym.make("MultiTaskEvidence-v0").close()
