"""The hyperparameters for RL Baselines3 Zoo make a model for every id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env

import mtrnn_envs
from mtrnn_envs import EvidenceTask

ZOO = Path(__file__).parents[2] / "examples" / "rl_zoo" / "ppo_lstm.yml"


@pytest.mark.parametrize("env_id", list(mtrnn_envs.IDS))
def test_the_settings_for_rl_zoo_make_a_model_for_every_id(env_id: str) -> None:
    of_id: dict[str, Any] = yaml.safe_load(ZOO.read_text())
    assert set(of_id) == set(mtrnn_envs.IDS)
    settings = of_id[env_id]
    assert settings.pop("n_timesteps") >= 1e5
    n_envs, policy = settings.pop("n_envs"), settings.pop("policy")
    # What the Zoo makes of these two: a schedule, and the value of an expression.
    kind, _, rate = settings.pop("learning_rate").partition("_")
    assert kind == "lin"
    settings["policy_kwargs"] = eval(settings["policy_kwargs"])
    envs = make_vec_env(env_id, 2, seed=0)
    agent = RecurrentPPO(policy, envs, learning_rate=lambda left: left * float(rate), device="cpu", **settings)
    steps = EvidenceTask(**mtrnn_envs.IDS[env_id][0]).n_steps
    assert agent.n_steps % steps == 0, "a rollout holds whole trials"
    assert n_envs * agent.n_steps % settings["batch_size"] == 0
