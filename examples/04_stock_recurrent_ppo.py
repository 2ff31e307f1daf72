"""Trains stock RecurrentPPO of sb3-contrib on six tasks, and decodes x* from its LSTM. A minute or two on one core.

The agent sees ordinary environments from `gym.make`. Recording and decoding are the same for all agents.
"""

import argparse
import time

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env

from mtrnn_analysis.decoding import decode
from mtrnn_analysis.report import table
from mtrnn_envs import EvidenceTask, record
from mtrnn_envs.ideal_observer import ideal_performance

ENV_ID, FIELDS = "MultiTaskEvidence-v0", {"n_tasks": 6, "encoder": None}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--steps", type=int, default=400_000, help="steps of experience")
    parser.add_argument("--envs", type=int, default=64, help="environments side by side")
    parser.add_argument("--trials", type=int, default=2000, help="test trials of the agent")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the actions, and the first environment")
    a = parser.parse_args()
    torch.set_num_threads(1)
    start, task = time.process_time(), EvidenceTask(**FIELDS)
    # Four trials of each environment to an update. The default learning rate, 3e-4, is far slower; a trial has an end,
    # so nothing need be discounted.
    model = RecurrentPPO(
        "MlpLstmPolicy",
        make_vec_env(ENV_ID, a.envs, seed=a.seed, env_kwargs=FIELDS),
        n_steps=4 * task.n_steps,
        batch_size=task.n_steps * a.envs,
        n_epochs=4,
        learning_rate=1e-3,
        gamma=1.0,
        policy_kwargs={"lstm_hidden_size": 64},
        seed=a.seed,
        device="cpu",
    )
    model.learn(a.steps)
    recording = record(model, gym.make_vec(ENV_ID, a.envs, split="test", **FIELDS), a.trials, seed=0)
    found, ideal = (
        decode(recording.last_hidden(), recording.latents, np.random.default_rng(0), n_null=0),
        ideal_performance(task),
    )
    agent = [recording.correct.mean(), found.in_distribution.r2_prior, found.out_of_distribution.r2_prior]
    print(table(["", "accuracy", "r2_prior ID", "r2_prior OOD"], [
        [f"RecurrentPPO, {model.num_timesteps} steps", *map(float, agent)],
        ["ideal observer", ideal.accuracy, ideal.r2_prior, ""],
    ]))  # fmt: skip
    print(f"{time.process_time() - start:.0f} CPU s")
