"""Environment steps per CPU second of agents that learn from reward, as ratios to sb3-contrib's own, in the same run.

64 environments, 88 steps (4 trials), 64 units, 24 tasks, the encoder on, 4 epochs of 4 minibatches. What is of
Stable-Baselines3 learns in the same native environments, so that what differs is the algorithm alone; `trial_ppo` has
as many whole trials, and no environments.
"""

import time

import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from threadpoolctl import threadpool_limits

from mtrnn_agents.networks.base import FIXED
from mtrnn_agents.networks.flat_weights import Layout
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_agents.stable_baselines import make_sb3_env
from mtrnn_agents.stable_baselines.whole_trial_ppo import WholeTrialPPO
from mtrnn_agents.training.run import Run
from mtrnn_agents.trial_ppo import ppo as trial_ppo
from mtrnn_envs import EvidenceTask

N_ENVS, N_STEPS, ROUNDS = 64, 88, 9
SHARED = {"shared_lstm": True, "enable_critic_lstm": False}
# What learns, in which actions, with which policy; and how many times as fast as stock it is to be.
LEARNERS = {
    "stock, MultiDiscrete": (RecurrentPPO, {}, {}, "1"),
    "stock, MultiDiscrete, LSTM shared": (RecurrentPPO, {}, SHARED, ""),
    "MultiDiscrete": (WholeTrialPPO, {}, {}, ""),
    "MultiBinary": (WholeTrialPPO, {"action_encoding": "multi_binary"}, {}, "3"),
    "MultiBinary, LSTM shared": (WholeTrialPPO, {"action_encoding": "multi_binary"}, SHARED, ""),
}
# Networks of `trial_ppo`, and how many times as fast as stock they are to be.
TRIAL_PPO = {"lstm": "4", "gru": "", "leaky-rnn": "6"}


def iteration(network: str, n_trials: int):
    """A call for one rollout of `trial_ppo`, and all that is learned from it."""
    run = Run(EvidenceTask(), 0)
    training = trial_ppo.Training(network=NETWORKS[network](), n_trials=n_trials, n_epochs=4, n_minibatches=4)
    weights, first = trial_ppo.first_weights(run, training), trial_ppo.resume(run, training, None)
    fixed = {name: value for name, value in weights.items() if name.startswith(FIXED)}
    return lambda: trial_ppo.improved(run, training, Layout.of(weights), fixed, first)


def learner(kind: type[RecurrentPPO], env_kwargs: dict, policy_kwargs: dict) -> RecurrentPPO:
    return kind(
        "MlpLstmPolicy",
        make_sb3_env("MultiTaskEvidence-v0", N_ENVS, seed=0, **env_kwargs),
        n_steps=N_STEPS,
        batch_size=N_ENVS * N_STEPS // 4,
        n_epochs=4,
        learning_rate=1e-3,
        gamma=1.0,
        seed=0,
        device="cpu",
        policy_kwargs={"lstm_hidden_size": 64, **policy_kwargs},
    )


@pytest.mark.benchmark(timer=time.process_time, min_rounds=3, warmup=True)
def test_recurrent_ppo_against_stock(benchmark, ratios):
    torch.set_num_threads(1)
    with threadpool_limits(1):
        models = {name: learner(*parts) for name, (*parts, _) in LEARNERS.items()}
        for model in models.values():
            model.learn(N_ENVS * N_STEPS)
        calls = {name: lambda model=model: model.learn(N_ENVS * N_STEPS) for name, model in models.items()}
        calls |= {name: iteration(name, 256) for name in TRIAL_PPO} | {"256 environments": iteration("lstm", 1024)}
        seconds = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, call in calls.items():
                start = time.process_time()
                call()
                seconds[name].append(time.process_time() - start)
        stock = np.array(seconds["stock, MultiDiscrete"])
        for name, (*_, aim) in LEARNERS.items():
            faster = float(np.median(stock / np.array(seconds[name])))
            rate = N_ENVS * N_STEPS / np.median(seconds[name]) / 1000
            ratios(f"recurrent PPO, {name} ({rate:.1f} k steps/s): times stock", faster, aim)
        for name, aim in TRIAL_PPO.items():
            faster = float(np.median(stock / np.array(seconds[name])))
            rate = N_ENVS * N_STEPS / np.median(seconds[name]) / 1000
            ratios(f"trial_ppo, {name} ({rate:.0f} k steps/s): times stock recurrent PPO", faster, aim)
        rate = 4 * N_ENVS * N_STEPS / np.median(seconds["256 environments"]) / 1000
        ratios("trial_ppo, lstm, as many trials as 256 environments: k steps/s", float(rate), "30")
        benchmark(lambda: models["MultiBinary"].learn(N_ENVS * N_STEPS))
