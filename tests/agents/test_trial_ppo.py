"""Training by reward on whole trials: it learns, repeats, stops and goes on to the same bits, in every kind of task."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from helpers.interrupts import Interrupt
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mtrnn_envs
from mtrnn_agents import trial_ppo
from mtrnn_agents.networks.flat_weights import Layout
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_agents.training import files as storage
from mtrnn_agents.training.settings import from_fields, to_fields
from mtrnn_agents.trial_ppo import PRESETS, PolicyAgent, Training, evaluate, load, train, untrained
from mtrnn_envs import EvidenceTask, Stream, record
from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.testing import check_agent
from mtrnn_envs.trials import sample

TASK = EvidenceTask(n_tasks=4, stimulus=5, encoder=None)
RT = EvidenceTask(n_tasks=4, stimulus=6, encoder=None, payoff="quadratic", decision=0)
QUICK = Training(network=LeakyRNN(n_units=16), n_iterations=6, n_trials=32, n_minibatches=2, evaluate_every=2)
VARIANTS: dict[str, dict[str, Any]] = {
    "several decisions": {"decision": 2, "delay": 1},
    "drawn periods": {"fixation": (0, 2), "stimulus": (2, 4), "delay": (0, 2), "decision": (1, 2)},
    "withheld": {"withhold": True, "stimulus": (2, 4)},
    "cued": {"cueing": "one"},
    "non-linear": {"boundaries": "product"},
    "encoded": {"encoder": "relu"},
    "multi-binary": {"action_encoding": "multi_binary"},
    "excluded orthants": {"excluded_orthants": ("++",)},
    "own time": {"payoff": "quadratic", "decision": 0},
    "own time, drawn deadlines": {"payoff": "log", "decision": 0, "fixation": (0, 2), "stimulus": (2, 5)},
    "common stop": {"payoff": "accuracy", "decision": 0, "commit": "common"},
    "cued, own time": {"payoff": "quadratic", "decision": 0, "cueing": "one"},
}


def flat(agent: PolicyAgent) -> np.ndarray:
    return Layout.of(agent.weights).pack(agent.weights)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("factored", [True, False], ids=["factored", "plain"])
def test_every_kind_of_task_is_trained_on_and_acted_in(name: str, factored: bool) -> None:
    task = replace(TASK, **VARIANTS[name])
    training = replace(QUICK, factored=factored, n_iterations=2, entropy_weight=0.01)
    agent = train(task, 0, training, progress=False)
    assert not np.array_equal(flat(agent), flat(untrained(task, 0, training)))
    assert np.isfinite(flat(agent)).all()
    env_id = "MultiTaskEvidenceRT-v0" if task.reaction_time else "MultiTaskEvidence-v0"
    check_agent(agent, env_id, **json.loads(task.to_json()))


@pytest.mark.parametrize("env_id", mtrnn_envs.IDS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_is_an_agent_in_every_environment(kind: str, env_id: str) -> None:
    task = EvidenceTask(**mtrnn_envs.IDS[env_id][0])
    agent = untrained(task, 0, replace(QUICK, network=NETWORKS[kind](n_units=16)))
    check_agent(agent, env_id)


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_learns_from_reward(kind: str) -> None:
    training = replace(QUICK, network=NETWORKS[kind](n_units=24), n_iterations=60, n_trials=128, evaluate_every=60)
    ideal = ideal_performance(TASK).accuracy
    agent = train(TASK, 0, training, progress=False)
    before = untrained(TASK, 0, training)
    trials = sample(TASK, 4000, np.random.default_rng(0))
    found = [evaluate(TASK, training, one.weights, trials, None)["accuracy"] for one in (before, agent)]
    above = [(accuracy - 0.5) / (ideal - 0.5) for accuracy in found]
    assert above[0] < 0.5
    assert above[1] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("commit", ["each", "common"])
def test_when_to_answer_is_learned_from_reward(commit: str) -> None:
    """It neither answers at once nor never, gets most of what the best rule gets, and means what it claims."""
    task = replace(RT, commit=commit, stimulus=10)
    best = ideal_performance(task)
    assert best.value is not None
    training = replace(QUICK, network=LeakyRNN(n_units=32), n_iterations=150, n_trials=128, n_minibatches=4)
    agent = train(task, 0, replace(training, evaluate_every=150), progress=False)
    assert agent.evaluation["reward"] > 0.85 * best.value
    assert 1.5 < agent.evaluation["response_step"] < 9
    assert agent.evaluation["answered"] > 0.5
    env = gym.make_vec("MultiTaskEvidenceRT-v0", num_envs=100, split="test", **json.loads(task.to_json()))
    found = record(agent, env, n_trials=2000, seed=0)
    assert found.confidence is not None
    distance, taken = np.abs(task.boundary.margins(found.latents)), found.response_steps.astype(float)
    given = found.answers != 0
    error = 0.0
    for claim in (7 / 12, 9 / 12, 11 / 12):  # levels are thirds of [1/2, 1]: how far is the share right from the third?
        right = found.correct[given & np.isclose(found.confidence, claim)]
        error += len(right) / given.sum() * max(0.0, abs(right.mean() - claim) - 1 / 12) if len(right) else 0.0
    assert error < 0.05
    taken[~given] = 10
    thirds = np.quantile(distance, [1 / 3, 2 / 3])
    means = [taken[np.digitize(distance, thirds) == third].mean() for third in range(3)]
    if commit == "each":  # the nearer the boundary, the longer it looks
        assert means[0] > 1.2 * means[1] > 1.2**2 * means[2]


@pytest.mark.parametrize("task", [TASK, RT], ids=["fixed", "own time"])
def test_what_is_evaluated_is_what_the_environment_pays(task: EvidenceTask) -> None:
    agent = train(task, 0, QUICK, progress=False)
    env = gym.make("MultiTaskEvidence-v0", split="test", **json.loads(task.to_json()))
    recording = record(agent, env, n_trials=50, seed=3)
    states: list[np.ndarray] = []

    def keep(hidden: np.ndarray, latents: np.ndarray) -> dict[str, float]:
        states.extend([hidden, latents])
        return {}

    found = evaluate(task, QUICK, agent.weights, Stream(task, "test", 3).take(50), keep)
    assert found["reward"] == pytest.approx(recording.rewards.sum(1).mean(), abs=1e-6)
    assert found["accuracy"] == pytest.approx(recording.correct.mean())
    np.testing.assert_allclose(states[0], recording.last_hidden(), atol=1e-5)
    np.testing.assert_array_equal(states[1], recording.latents)
    if task.reaction_time:
        taken = np.where(recording.response_steps > 0, recording.response_steps, 6)
        assert found["response_step"] == pytest.approx(taken.mean())


def test_actions_that_are_drawn_follow_the_policy_and_the_likeliest_do_not_vary() -> None:
    agent = train(RT, 0, QUICK, progress=False)
    shown = np.tile(np.array([[0, 0.1, -0.2]], np.float32), (500, 1))
    sure = agent.predict(shown, deterministic=True)[0]
    assert (sure == sure[0]).all()
    drawn = agent.predict(shown)[0]
    assert len(np.unique(drawn[:, 0])) > 2
    assert not np.array_equal(drawn, agent.predict(shown)[0])
    np.testing.assert_array_equal(drawn, train(RT, 0, QUICK, progress=False).predict(shown)[0])


@pytest.mark.parametrize("task", [TASK, RT], ids=["fixed", "own time"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(task: EvidenceTask, at: int, tmp_path: Path) -> None:
    whole = train(task, 1, QUICK, progress=False, metrics=Interrupt(0))
    with pytest.raises(KeyboardInterrupt, match=rf"stopped after {2 * at - 1} rollouts; the same call goes on from"):
        train(task, 1, QUICK, folder=tmp_path, progress=False, metrics=Interrupt(at))
    again = train(task, 1, QUICK, folder=tmp_path, progress=False, metrics=Interrupt(0))
    np.testing.assert_array_equal(flat(again), flat(whole))
    assert again.history == whole.history
    assert next(iter(whole.history)) == "steps"
    assert len(whole.history["steps"]) == 3
    loaded = load(tmp_path)
    np.testing.assert_array_equal(flat(loaded), flat(whole))
    assert loaded.history == whole.history
    assert loaded.training == QUICK
    assert train(task, 1, QUICK, folder=tmp_path, progress=False).history == whole.history  # it is there
    with pytest.raises(ValueError, match="seed is 1 there and 2 here"):
        train(task, 2, QUICK, folder=tmp_path, progress=False)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Killed at some moment; what it showed in TensorBoard beyond its last state is not shown twice."""
    training = replace(QUICK, n_iterations=400, n_trials=64)
    code = f"""
from mtrnn_agents import trial_ppo
from mtrnn_agents.training import resumable
from mtrnn_agents.training.settings import from_fields
from mtrnn_envs import EvidenceTask
resumable.SECONDS_BETWEEN_SAVES = 0.05
training = from_fields(trial_ppo.Training, {to_fields(training)!r})
trial_ppo.train(EvidenceTask.from_json({RT.to_json()!r}), 1, training, folder={str(tmp_path)!r}, progress=False)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    checkpoint = tmp_path / "checkpoint.safetensors"
    while process.poll() is None and not (
        checkpoint.exists() and storage.read(checkpoint, "checkpoint")[1]["state"]["n_iterations"] > 20
    ):
        time.sleep(0.01)
    process.kill()
    process.wait()
    time.sleep(1.1)  # TensorBoard tells files apart by the second in which they were begun
    assert 20 < storage.read(checkpoint, "checkpoint")[1]["state"]["n_iterations"] < 400
    again = train(RT, 1, training, folder=tmp_path, progress=False)
    whole = train(RT, 1, training, progress=False)
    np.testing.assert_array_equal(flat(again), flat(whole))
    assert again.history == whole.history
    curves = EventAccumulator(str(tmp_path / "tensorboard"))
    curves.Reload()
    assert [event.step for event in curves.Scalars("reward")] == [int(steps) for steps in whole.history["steps"]]


def test_environment_steps_are_those_that_were_shown() -> None:
    fixed = train(TASK, 0, QUICK, progress=False)
    assert fixed.history["steps"] == tuple(32 * TASK.n_steps * i for i in (2, 4, 6))
    own_time = train(replace(RT, time_cost=1.0), 0, replace(QUICK, wait_bias=0.0), progress=False)
    assert own_time.history["steps"][0] < 2 * 32 * RT.n_steps


def test_what_diverges_says_so_and_keeps_what_was_before(tmp_path: Path) -> None:
    with pytest.raises(
        FloatingPointError,
        match=r"rollout \d+ is not finite, at learning_rate=1e\+30, clip_norm=0.5; lower one of them, in another fol",
    ):
        train(TASK, 0, replace(QUICK, learning_rate=1e30), folder=tmp_path, progress=False)
    assert not (tmp_path / "agent.safetensors").exists()
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_settings_survive_json() -> None:
    for training in (*PRESETS.values(), QUICK):
        assert from_fields(Training, json.loads(json.dumps(to_fields(training)))) == training


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_minibatches": 3}, "n_minibatches=3 does not divide n_trials=256"),
        ({"gae_lambda": 1.5}, r"gae_lambda=1.5 is not a number in \[0, 1\]"),
        ({"clip_range": 0}, r"clip_range=0 is not a number in \(0"),
        ({"schedule": "cosin"}, "schedule='cosin' is not one of"),
        ({"n_iterations": 0}, "n_iterations=0"),
    ],
)
def test_settings_out_of_their_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**fields)


def test_weights_of_another_task_are_refused() -> None:
    agent = untrained(TASK, 0, QUICK)
    with pytest.raises(ValueError, match=r"weights\['output.weight'\] has shape \(16, 8\)"):
        PolicyAgent(replace(TASK, n_tasks=3), QUICK, agent.weights, 0)
    with pytest.raises(ValueError, match=r"observation has shape \(2, 4\)"):
        agent.predict(np.zeros((2, 4), np.float32))


def test_the_command_trains_reports_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--task.n-tasks 3 --task.stimulus 4 --training.n-iterations 3 --training.n-trials 16"
    options += f" --training.n-minibatches 2 --training.evaluate-every 1 --folder {tmp_path}"
    command = ["train", "--agent", "trial_ppo", "--env-id", "MultiTaskEvidenceRT-v0", *options.split()]
    assert main([*command, "training.network:gru", "--training.network.n-units", "8"]) == 0
    said = capsys.readouterr().out
    assert "on validation trials, after " in said
    assert " steps:" in said
    assert "entropy" not in said, "what is told of training was not found on validation trials"
    best = ideal_performance(load(tmp_path).task)
    assert f"ideal {best.value:.4f}" in said
    assert "from mtrnn_agents.trial_ppo import load" in said
    assert load(tmp_path).network == NETWORKS["gru"](n_units=8)
    assert list((tmp_path / "tensorboard").iterdir())
    assert trial_ppo.Training is Training
