"""Trained agents from their files, whatever trained them; and the best that their numbers stand beside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrnn_agents import LeakyRNN, PolicyAgent, SupervisedAgent, Training, load, train, trial_ppo
from mtrnn_agents.stable_baselines import StableBaselinesAgent, ppo_history
from mtrnn_envs import EvidenceTask, plugins
from mtrnn_envs.experiments.monitoring import ideals
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance

TASK = EvidenceTask(n_tasks=3, stimulus=3, encoder=None)
NETWORK = LeakyRNN(n_units=8)


def test_one_load_takes_what_every_plug_in_left(tmp_path: Path) -> None:
    supervised = train(TASK, 0, Training(network=NETWORK, n_updates=2), folder=tmp_path / "a", progress=False)
    quick = trial_ppo.Training(network=NETWORK, n_iterations=1, n_trials=16, n_minibatches=2)
    by_reward = trial_ppo.train(TASK, 0, quick, folder=tmp_path / "b", progress=False)
    few = replace(ppo_history.PRESETS["mean"], n_envs=4, total_steps=20)
    stable = ppo_history.train(TASK, 0, few, folder=tmp_path / "c", progress=False)
    shown = np.array([[0, 0.1, -0.2], [1, 0.3, 0.0]], np.float32)
    agents: tuple[Any, ...] = (supervised, by_reward, stable)
    for name, kind, agent in zip("abc", (SupervisedAgent, PolicyAgent, StableBaselinesAgent), agents, strict=True):
        for path in (tmp_path / name, tmp_path / name / "agent.safetensors"):
            found: Any = load(path)
            _, mine = agent.predict(shown, deterministic=True)
            _, theirs = found.predict(shown, deterministic=True)
            np.testing.assert_array_equal(found.probabilities(theirs), agent.probabilities(mine))
            assert type(found) is kind


def test_every_plug_in_loads_by_the_same_function() -> None:
    assert {plugins.agent(name).load for name in plugins.names("agent")} == {load}
    assert set(plugins.names("agent")) >= {"supervised", "trial_ppo", "recurrent_ppo", "ppo_history"}


def test_what_is_no_agent_is_refused(tmp_path: Path) -> None:
    train(TASK, 0, Training(network=NETWORK, n_updates=2), folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors holds 'checkpoint', where one of"):
        load(tmp_path / "checkpoint.safetensors")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    (tmp_path / "agent.safetensors").write_bytes(b"no agent")
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        load(tmp_path)


def test_numbers_stand_beside_the_best_of_their_kind() -> None:
    fixed, own_time = EvidenceTask(), EvidenceTask(payoff="quadratic", decision=0)
    best, in_time = ideal_performance(fixed), ideal_performance(own_time)
    assert ideals(fixed, ["loss", "accuracy", "reward"]) == {"accuracy": best.accuracy, "reward": best.accuracy}
    # Who stops early knows less than who waits: beside a reward, accuracy has no ideal.
    assert ideals(own_time, ["reward", "accuracy"]) == {"reward": in_time.value}
    assert ideals(own_time, ["accuracy", "cross_entropy"]) == {
        "accuracy": in_time.accuracy,
        "cross_entropy": in_time.cross_entropy,
    }
    assert ideals(EvidenceTask(encoder_noise=0.1), ["accuracy"]) == {}
    deep = replace(own_time, n_dims=3, n_tasks=3, stimulus=3)
    assert ideal_performance(deep).stopping_method.startswith("lower bound")
    assert ideals(deep, ["reward", "response_step"]) == {}  # no lower bound is called ideal
