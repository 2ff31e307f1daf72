"""Agents of other libraries, and one in a single file, learn in our environments and are recorded like our own."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from helpers.needed import needed

import mtrnn_envs
from mtrnn_envs import record
from mtrnn_envs.ideal_observer import ideal_performance
from mtrnn_envs.testing import check_agent

EXAMPLES = Path(__file__).parents[2] / "examples"
BARE = {"encoder": None, "n_tasks": 3, "stimulus": 3}


def run(name: str, *arguments: str) -> str:
    """What the example prints."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_stock_recurrent_ppo_is_recorded_and_decoded() -> None:
    printed = run("04_stock_recurrent_ppo.py", "--steps", "6000", "--envs", "16", "--trials", "400")
    agent, ideal = ([cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()[2:4])
    assert agent[0].startswith("RecurrentPPO, ")
    assert float(ideal[1]) == pytest.approx(ideal_performance(mtrnn_envs.EvidenceTask(n_tasks=6)).accuracy, abs=1e-4)
    assert 0.4 < float(agent[1]) <= float(ideal[1])
    # A network that is hardly trained still carries what it has seen, if not as far as where it was not decoded.
    assert 0.2 < float(agent[2]) <= float(ideal[2])
    assert float(agent[3]) < float(ideal[2])


@pytest.fixture(scope="module")
def single_file() -> Any:
    """The single-file agent as a module."""
    spec = importlib.util.spec_from_file_location("cleanrl_ppo_lstm", EXAMPLES / "05_cleanrl_ppo_lstm.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def private_generator() -> Any:
    """The global generator of torch as it was before: the single file seeds it, as its kind does."""
    before = torch.get_rng_state()
    yield
    torch.set_rng_state(before)


@pytest.mark.slow
def test_the_single_file_learns() -> None:
    """Three tasks of three samples, in seconds: most of the way from chance to the ideal observer."""
    few = ["--env-kwargs", json.dumps(BARE), "--num-steps", "5", "--total-timesteps", "60000", "--trials", "2000"]
    printed = run("05_cleanrl_ppo_lstm.py", *few)
    share = re.search(r"([\d.]+)% of the way", printed)
    assert share is not None
    assert 85 < float(share[1]) < 104
    assert len(re.findall(r"CPU s  reward of a trial", printed)) >= 10


@pytest.mark.parametrize("env_id", mtrnn_envs.IDS)
def test_the_single_file_takes_every_id(env_id: str, single_file: Any, private_generator: None) -> None:
    kwargs = {**BARE, "n_tasks": 4, "fixation": 1}
    small = {"total_timesteps": 400, "num_envs": 8, "num_steps": 7, "hidden_size": 8, "num_minibatches": 2}
    args = single_file.Args(env_id=env_id, env_kwargs=json.dumps(kwargs), **small)
    agent, task = single_file.train(args)
    assert task.n_tasks == 4
    check_agent(agent, env_id, **kwargs)
    recording = record(agent, gym.make_vec(env_id, 4, **kwargs), 9, seed=0)
    assert recording.hidden is not None
    assert recording.hidden.shape[2] == 8
    again, _ = single_file.train(args)
    for one, other in zip(agent.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_components_of_other_sizes_are_never_drawn_beyond_them(single_file: Any, private_generator: None) -> None:
    envs = gym.make_vec("MultiTaskEvidenceRT-v0", 2, commit="common", **BARE)
    agent = single_file.Agent(envs.single_observation_space, envs.single_action_space, 8)
    torch.manual_seed(0)
    actions = np.concatenate([agent.predict(np.zeros((200, 3), np.float32))[0] for _ in range(5)])
    assert actions.max(axis=0).tolist() == [1, 5, 5, 5]
    assert actions.min(axis=0).tolist() == [0, 0, 0, 0]


def test_every_option_of_the_single_file_has_its_help() -> None:
    printed = run("05_cleanrl_ppo_lstm.py", "--help")
    text = " ".join(re.sub("[│╭╰─╮╯]", " ", printed).split())
    options = re.findall(r"(--[a-z-]+)(?:, --no-[a-z-]+)?(?: [A-Z]+)? (\S+)", text)
    assert len(options) >= 17
    assert not [name for name, first in options if first.startswith(("(default", "--"))]


def same_steps(steps: Any, env: gym.Env, seed: int) -> None:
    """Asserts that a rollout of TorchRL has what `env` gives to the same actions, bit for bit."""
    observation, _ = env.reset(seed=seed)
    for t in range(len(steps)):
        np.testing.assert_array_equal(steps["observation"][t].numpy(), observation)
        action = steps["action"][t].numpy()
        observation, reward, terminated, _, _ = env.step(action if action.ndim else int(action))
        np.testing.assert_array_equal(steps["next", "observation"][t].numpy(), observation)
        assert steps["next", "reward"][t].item() == np.float32(reward)
        assert steps["next", "terminated"][t].item() == terminated
        if terminated:
            observation, _ = env.reset()


@pytest.mark.parametrize("env_id", mtrnn_envs.IDS)
def test_torchrl_steps_one_and_many(env_id: str) -> None:
    envs, utils = (needed(f"torchrl.{name}", sys.version_info >= (3, 11)) for name in ("envs", "envs.utils"))
    options: dict[str, Any] = {"auto_reset": False, "break_when_any_done": False}

    one = envs.GymEnv(env_id, encoder=None, categorical_action_encoding=True)
    utils.check_env_specs(one)
    steps = one.rollout(70, tensordict=one.reset(seed=3), **options)
    assert steps["next", "done"].sum() >= 3
    same_steps(steps, gym.make(env_id, encoder=None), 3)

    native = gym.make_vec(env_id, 3, encoder=None, autoreset_mode="Disabled")
    many = envs.GymWrapper(native, categorical_action_encoding=True)
    utils.check_env_specs(many)
    steps = many.rollout(70, tensordict=many.reset(seed=3), **options)
    for i in range(3):
        same_steps(steps[i], gym.make(env_id, encoder=None), 3 + i)

    serial = envs.SerialEnv(2, lambda: envs.GymEnv(env_id, categorical_action_encoding=True))
    utils.check_env_specs(serial)
    serial.close()


@pytest.mark.slow
def test_torchrl_example() -> None:
    needed("torchrl", sys.version_info >= (3, 11))
    printed = run("06_torchrl.py", "--envs", "4", "--steps", "44")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if "| Multi" in line]
    assert [row[0] for row in rows] == [env_id for env_id in mtrnn_envs.IDS for _ in range(2)]
    assert [row[3] for row in rows[:2]] == ["2", "8"]
