"""RecurrentPPO on whole trials, held against sb3-contrib's own; and the plug-in."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from helpers.interrupts import Interrupt
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.distributions import BernoulliDistribution, MultiCategoricalDistribution
from stable_baselines3.common.env_util import make_vec_env

import mtrnn_envs
from mtrnn_agents.stable_baselines import recurrent_ppo
from mtrnn_agents.stable_baselines.whole_trial_ppo import (
    StackedCategoricals,
    WholeBernoulli,
    WholeTrialBuffer,
    WholeTrialPPO,
    minibatches,
    sequences,
)
from mtrnn_agents.training import files as storage
from mtrnn_envs import EvidenceTask
from mtrnn_envs.protocols import AgentPlugin
from mtrnn_envs.reward import action_sizes

pytestmark = pytest.mark.usefixtures("single_thread")
BARE = {"encoder": None, "n_tasks": 5}


# Trials of one length, of many lengths, one answer, components of different sizes, episodes that time out.
ENVS: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed duration": ("MultiTaskEvidence-v0", {"env_kwargs": BARE}),
    "drawn periods": ("MultiTaskEvidence-v0", {"env_kwargs": {**BARE, "stimulus": (3, 9)}}),
    "reaction time": ("MultiTaskEvidenceRT-v0", {"env_kwargs": BARE}),
    "common stop": ("MultiTaskEvidenceRT-v0", {"env_kwargs": {**BARE, "commit": "common"}}),
    "cued": ("MultiTaskEvidenceCued-v0", {"env_kwargs": BARE}),
    "continuous": ("Pendulum-v1", {}),
}


def model(kind: type[RecurrentPPO], name: str, n_steps: int = 40, n_envs: int = 3, **settings: Any) -> RecurrentPPO:
    """A small model for one of `ENVS`; 40 steps cut trials in two."""
    env_id, arguments = ENVS[name]
    settings = {"batch_size": n_steps * n_envs, "n_epochs": 1, "gamma": 0.98, "ent_coef": 0.01, **settings}
    envs = make_vec_env(env_id, n_envs, seed=0, **arguments)
    kwargs = {"lstm_hidden_size": 8, "net_arch": [6], **settings.pop("policy_kwargs", {})}
    return kind("MlpLstmPolicy", envs, n_steps=n_steps, seed=1, device="cpu", policy_kwargs=kwargs, **settings)


def collect(agent: RecurrentPPO, n_rollouts: int = 1) -> None:
    """Fills the rollout buffer; what is left there begins in the middle of trials if there are several rollouts."""
    _, callback = agent._setup_learn(10**6, None)
    envs: Any = agent.env
    for _ in range(n_rollouts):
        agent.collect_rollouts(envs, callback, agent.rollout_buffer, agent.n_steps)


def give_rollout(ours: RecurrentPPO, stock: RecurrentPPO) -> None:
    """Gives `ours` the weights of `stock`, and the rollout that it collected."""
    ours.policy.load_state_dict(stock.policy.state_dict())
    mine, theirs = vars(ours.rollout_buffer), vars(stock.rollout_buffer)
    for key, value in theirs.items():
        if isinstance(value, np.ndarray):
            mine[key] = value.astype(np.float32) if key == "actions" else value.copy()
    mine["full"] = True
    _, _ = ours._setup_learn(10**6, None)


def gradients(agent: RecurrentPPO) -> np.ndarray:
    """The gradient of the last minibatch, in a row."""
    return np.concatenate([p.grad.numpy().ravel() for p in agent.policy.parameters() if p.grad is not None])


def weights(agent: RecurrentPPO) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in agent.policy.parameters()])


@pytest.mark.parametrize(
    ("name", "lstms"), [*((name, "two") for name in ENVS), ("reaction time", "shared"), ("fixed duration", "actor")]
)
def test_an_update_on_a_whole_rollout_is_that_of_stock(name: str, lstms: str, monkeypatch: Any) -> None:
    kwargs = {"shared_lstm": lstms == "shared", "enable_critic_lstm": lstms == "two"}
    stock = model(RecurrentPPO, name, policy_kwargs=kwargs, max_grad_norm=1e9)
    ours = model(WholeTrialPPO, name, policy_kwargs=kwargs, max_grad_norm=1e9)
    collect(stock, 2)
    give_rollout(ours, stock)
    # Stock goes through the rollout from a random step on, which it cuts there; this is the start of a trial.
    monkeypatch.setattr(np.random, "randint", lambda high: 0)
    before = weights(ours)
    stock.train()
    ours.train()
    scale = np.abs(gradients(stock)).max()
    np.testing.assert_allclose(gradients(ours), gradients(stock), atol=1e-5 * scale)
    moved = np.abs(weights(stock) - before).max()
    assert moved > 0
    np.testing.assert_allclose(weights(ours), weights(stock), atol=0.02 * moved)
    for key in ("train/policy_gradient_loss", "train/value_loss", "train/entropy_loss", "train/clip_fraction"):
        assert ours.logger.name_to_value[key] == pytest.approx(stock.logger.name_to_value[key], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["fixed duration", "reaction time"])
def test_the_policy_that_made_a_rollout_says_of_it_what_it_said_step_by_step(name: str) -> None:
    """States at the beginning of a rollout, resets at the start of trials and padding are all right, or this is not."""
    agent = model(WholeTrialPPO, name)
    policy: Any = agent.policy
    collect(agent, 3)
    buffer: Any = agent.rollout_buffer
    for batch in buffer.get(30):
        valid = batch.mask > 0
        with torch.no_grad():
            values, log_probs, _ = policy.evaluate_actions(
                batch.observations, batch.actions, batch.lstm_states, batch.episode_starts
            )
        np.testing.assert_allclose(values.flatten()[valid], batch.old_values[valid], atol=1e-5)
        np.testing.assert_allclose(log_probs[valid], batch.old_log_prob[valid], atol=1e-4)


def test_sequences_begin_with_the_states_that_the_rollout_had_there() -> None:
    agent = model(WholeTrialPPO, "fixed duration")
    collect(agent, 2)
    buffer: Any = agent.rollout_buffer
    assert np.abs(buffer.hidden_states_pi[0]).max() > 0, "the rollout begins within trials"
    # With all in one minibatch, shuffled: each sequence is found again by the first observation it shows.
    (batch,) = buffer.get()
    first, lengths = sequences(buffer.episode_starts)
    shown = batch.observations.reshape(len(first), lengths.max(), -1)[:, 0].numpy()
    given = np.concatenate([part[0].numpy() for pair in batch.lstm_states for part in pair], axis=1)
    rows = []
    for start in first:
        t, i = start % agent.n_steps, start // agent.n_steps
        kept = np.concatenate([getattr(buffer, name)[t, 0, i] for name in STATES])
        (row,) = np.flatnonzero((shown == buffer.observations[t, i]).all(1) & (given == kept).all(1))
        assert batch.episode_starts.reshape(len(first), -1)[row, 0] == buffer.episode_starts[t, i]
        rows.append(row)
    assert sorted(rows) == list(range(len(first)))


STATES = ("hidden_states_pi", "cell_states_pi", "hidden_states_vf", "cell_states_vf")


def test_minibatches_hold_every_step_once_and_are_about_as_long_as_asked() -> None:
    rng = np.random.default_rng(0)
    for chance, n_steps, n_envs, batch_size in [(0.05, 40, 7, 64), (0.3, 33, 5, 20), (0.0, 10, 3, 4), (1.0, 8, 2, 5)]:
        starts = (rng.random((n_steps, n_envs)) < chance).astype(np.float32)
        first, lengths = sequences(starts)
        dealt = minibatches(lengths, batch_size)
        assert sorted(np.concatenate(dealt)) == list(range(len(first)))
        steps = [np.arange(lengths[i].item()) + first[i] for part in dealt for i in part]
        assert sorted(np.concatenate(steps)) == list(range(n_steps * n_envs))
        for s in steps:  # one environment, one trial
            assert s[0] // n_steps == s[-1] // n_steps
            assert not starts[s[1:] % n_steps, s[0] // n_steps].any()
        mean = n_steps * n_envs / max(1, round(n_steps * n_envs / batch_size))
        assert all(abs(lengths[part].sum() - mean) <= lengths.max() for part in dealt)


def test_shuffling_follows_the_seed_and_differs_between_epochs() -> None:
    lengths = np.full(50, 4)
    orders = []
    for _ in range(2):
        torch.manual_seed(3)
        orders.append([np.concatenate(minibatches(lengths, 40)) for _ in range(2)])
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0][0] != orders[0][1]).any()


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_one_call_is_the_loop_of_stock(chance: float) -> None:
    torch.manual_seed(0)
    lstm, n, length = torch.nn.LSTM(3, 4), 6, 5
    features, states = torch.randn(n * length, 3), (torch.randn(1, n, 4), torch.randn(1, n, 4))
    starts = torch.zeros(n, length)
    starts[:, 0] = (torch.rand(n) < chance).float()
    within = starts.clone()
    within[2, 3] = 1
    policy: Any = model(WholeTrialPPO, "fixed duration").policy
    for flags in (starts, within):
        mine, (h, c) = policy._process_sequence(features, states, flags.flatten(), lstm)
        theirs, (h_, c_) = RecurrentActorCriticPolicy._process_sequence(features, states, flags.flatten(), lstm)
        for a, b in ((mine, theirs), (h, h_), (c, c_)):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("sizes", [[7] * 4, [2, 6, 6], [3, 2, 5], [2]])
def test_stacked_categoricals_are_those_of_stock(sizes: list[int]) -> None:
    torch.manual_seed(0)
    logits = (3 * torch.randn(11, sum(sizes))).requires_grad_()
    actions = torch.stack([torch.randint(n, (11,)) for n in sizes], 1)
    found = []
    for kind in (StackedCategoricals, MultiCategoricalDistribution):
        told = kind(sizes).proba_distribution(logits)
        log_prob, entropy = told.log_prob(actions), told.entropy()
        (gradient,) = torch.autograd.grad((log_prob + 0.3 * entropy).sum(), logits)
        found.append((log_prob, entropy, gradient, told.mode()))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_stacked_categoricals_draw_by_their_probabilities() -> None:
    torch.manual_seed(0)
    logits, n = torch.tensor([[0.0, 1.0, -1.0, 0.5, 2.0]]), 20_000
    drawn = StackedCategoricals([2, 3]).proba_distribution(logits.repeat(n, 1)).sample()
    for component, part in enumerate(logits[0].split([2, 3])):
        p = part.softmax(0)
        share = torch.bincount(drawn[:, component], minlength=len(p)) / n
        assert len(share) == len(p)
        assert ((share - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all()


def test_multi_binary_is_multi_discrete_by_the_difference_of_logits() -> None:
    torch.manual_seed(0)
    two, actions = torch.randn(9, 5, 2), torch.randint(2, (9, 5))
    binary = WholeBernoulli(5).proba_distribution(two[..., 1] - two[..., 0])
    stock = BernoulliDistribution(5).proba_distribution(two[..., 1] - two[..., 0])
    discrete = MultiCategoricalDistribution([2] * 5).proba_distribution(two.flatten(1))
    for other in (discrete, stock):
        torch.testing.assert_close(binary.log_prob(actions.float()), other.log_prob(actions.float()))
        torch.testing.assert_close(binary.entropy(), other.entropy())
        assert (binary.mode() == other.mode()).all()
    share = torch.stack([binary.sample() for _ in range(4000)]).float().mean(0)
    p = (two[..., 1] - two[..., 0]).sigmoid()
    assert ((share - p).abs() < 5 * (p * (1 - p) / 4000).sqrt()).all()
    assert binary.sample().dtype == binary.mode().dtype == torch.int8, "what the space and the environments take"


def test_multi_binary_trains(tmp_path: Any) -> None:
    kwargs = {**BARE, "action_encoding": "multi_binary"}
    envs = make_vec_env("MultiTaskEvidence-v0", 8, seed=0, env_kwargs=kwargs)
    agent = WholeTrialPPO("MlpLstmPolicy", envs, n_steps=30, batch_size=60, n_epochs=2, seed=0, device="cpu")
    before = weights(agent)
    agent.learn(480)
    assert np.isfinite(weights(agent)).all()
    assert (weights(agent) != before).any()
    observations: Any = envs.reset()
    action, _ = agent.predict(observations, deterministic=True)
    assert all(envs.action_space.contains(each) for each in action)


def test_weights_go_to_stock_and_back() -> None:
    ours, stock = model(WholeTrialPPO, "reaction time"), model(RecurrentPPO, "reaction time")
    ours.learn(120)
    stock.policy.load_state_dict(ours.policy.state_dict())
    envs: Any = ours.env
    observations = envs.reset()
    start = np.ones(3, bool)
    mine, states = ours.predict(observations, episode_start=start, deterministic=True)
    theirs, states_ = stock.predict(observations, episode_start=start, deterministic=True)
    np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_allclose(np.stack(states or ()), np.stack(states_ or ()), atol=1e-6)


def test_a_rollout_that_is_not_full_has_no_minibatches() -> None:
    with pytest.raises(ValueError, match="not full"):
        next(iter(model(WholeTrialPPO, "fixed duration").rollout_buffer.get(8)))


SMALL = EvidenceTask(n_tasks=3, encoder=None, stimulus=4)
QUICK = recurrent_ppo.Training(n_envs=8, total_steps=480, n_units=8, n_layers=1, evaluate_every=100)


def test_it_is_a_plug_in_and_its_agent_is_kept(tmp_path: Path) -> None:
    plugin: Any = recurrent_ppo
    assert isinstance(plugin, AgentPlugin)
    agent = recurrent_ppo.train(SMALL, 0, QUICK, folder=tmp_path, progress=False)
    shown = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    for other in (recurrent_ppo.load(tmp_path), recurrent_ppo.train(SMALL, 0, QUICK, folder=tmp_path, progress=False)):
        np.testing.assert_array_equal(other.predict(shown)[1][0], agent.predict(shown)[1][0])
    assert 0 <= agent.evaluation["accuracy"] <= 1


def test_training_that_was_interrupted_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="goes on from"):
        recurrent_ppo.train(SMALL, 0, QUICK, folder=tmp_path, progress=False, metrics=Interrupt(3))
    resumed = recurrent_ppo.train(SMALL, 0, QUICK, folder=tmp_path, progress=False)
    whole = recurrent_ppo.train(SMALL, 0, QUICK, progress=False)
    for name, value in whole.policy.state_dict().items():
        assert torch.equal(resumed.policy.state_dict()[name], value), name


KILLED = """
import os, signal
from mtrnn_agents.training import resumable
from mtrnn_agents.stable_baselines import recurrent_ppo
from mtrnn_envs import EvidenceTask

resumable.SECONDS_BETWEEN_SAVES = 0
looks = []


def metrics(states, latents):
    looks.append(states)
    if len(looks) == 3:  # after an update, of which nothing is kept
        os.kill(os.getpid(), signal.SIGKILL)
    return {{}}


recurrent_ppo.train({task!r}, 0, recurrent_ppo.{training!r}, folder={folder!r}, progress=False, metrics=metrics)
"""


@pytest.mark.slow
def test_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    code = KILLED.format(task=SMALL, training=QUICK, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    _, about = storage.read(tmp_path / "checkpoint.safetensors", "checkpoint")
    assert about["iteration"] == 3, "of 5"
    resumed = recurrent_ppo.train(SMALL, 0, QUICK, folder=tmp_path, progress=False)
    whole = recurrent_ppo.train(SMALL, 0, QUICK, progress=False)
    assert resumed.history == whole.history
    for name, value in whole.policy.state_dict().items():
        assert torch.equal(resumed.policy.state_dict()[name], value), name


TIMED = EvidenceTask(**mtrnn_envs.IDS["MultiTaskEvidenceRT-v0"][0], n_tasks=3, encoder=None)


@pytest.mark.parametrize(
    ("task", "waits"),
    [
        (TIMED, [True] * 3),
        (replace(TIMED, commit="common"), [True, False, False, False]),
        (replace(SMALL, withhold=True), [True] * 3),
        (SMALL, [False] * 3),
    ],
)
def test_the_first_policy_waits_where_one_can(task: EvidenceTask, waits: list[bool]) -> None:
    # Stock has a logit for each value in every task.
    settings = replace(QUICK, total_steps=1, learning_rate=1e-12, wait_bias=2.0, stock=True)
    agent = recurrent_ppo.train(task, 0, settings, progress=False)
    _, state = agent.predict(np.zeros((1, 3), np.float32))
    policy: Any = agent.policy
    with torch.no_grad():
        logits = policy.action_net(policy.mlp_extractor.forward_actor(torch.from_numpy(state[0][-1])))[0]
    sizes = action_sizes(task)
    for part, size, can_wait in zip(logits.split(sizes), sizes, waits, strict=True):
        odds = np.exp(2.0) if can_wait else 1.0
        assert part.softmax(0)[0].item() == pytest.approx(odds / (odds + size - 1), abs=0.02)


def test_stock_is_the_class_of_sb3_contrib_with_the_same_settings() -> None:
    stock, ours = (recurrent_ppo.PRESETS[name] for name in ("stock", "whole_trials"))
    assert replace(stock, stock=False) == ours
    agent = recurrent_ppo.train(SMALL, 0, replace(QUICK, total_steps=1, stock=True), progress=False)
    assert type(agent.policy) is RecurrentActorCriticPolicy
    assert isinstance(agent.policy.action_space, spaces.MultiDiscrete)


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"wait_bias": -1.0}, "wait_bias=-1.0"),
        ({"n_layers": -1}, "n_layers=-1"),
        ({"clip_range": 0.0}, "clip_range=0.0"),
        ({"n_envs": 3, "n_minibatches": 7}, "n_minibatches=7 are more than .* whole one; at most 6 are allowed"),
    ],
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        recurrent_ppo.Training(**bad)


def test_as_many_minibatches_as_trials_are_as_many_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    made, batch = [], WholeTrialBuffer._batch
    monkeypatch.setattr(WholeTrialBuffer, "_batch", lambda *given: made.append(len(given[1])) or batch(*given))
    recurrent_ppo.train(SMALL, 0, replace(QUICK, n_minibatches=16, n_epochs=1, total_steps=1), progress=False)
    assert made == [1] * 16


def test_stock_is_refused_where_it_would_fail(tmp_path: Path) -> None:
    binary = replace(SMALL, action_encoding="multi_binary")
    with pytest.raises(ValueError, match="stock=True with action_encoding='multi_binary'"):
        recurrent_ppo.train(binary, 0, replace(QUICK, stock=True), folder=tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_it_learns() -> None:
    settings = recurrent_ppo.Training(n_envs=32, total_steps=40_000, n_units=32)
    agent = recurrent_ppo.train(EvidenceTask(n_tasks=2, encoder=None), 0, settings, progress=False)
    assert agent.evaluation["accuracy"] > 0.85, "chance is 0.5, and the ideal observer's is 0.95"
