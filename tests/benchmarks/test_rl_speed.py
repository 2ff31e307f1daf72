"""Environment steps per CPU second of recurrent PPO, as ratios to sb3-contrib's own, in the same run.

64 environments, 88 steps (4 trials), an LSTM of 64 units, 24 tasks, the encoder on, 4 epochs of 4 minibatches; all
learn in the same native environments, so that what differs is the algorithm alone.
"""

import time

import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from threadpoolctl import threadpool_limits

from mtrnn_agents.stable_baselines import make_sb3_env
from mtrnn_agents.stable_baselines.whole_trials import WholeTrialPPO

N_ENVS, N_STEPS, ROUNDS = 64, 88, 9
SHARED = {"shared_lstm": True, "enable_critic_lstm": False}
# What learns, in which actions, with which policy; and how many times as fast as stock it is to be.
LEARNERS = {
    "stock, MultiDiscrete": (RecurrentPPO, {}, {}, "1"),
    "MultiDiscrete": (WholeTrialPPO, {}, {}, ""),
    "MultiBinary": (WholeTrialPPO, {"action_encoding": "multi_binary"}, {}, "3"),
    "MultiBinary, LSTM shared": (WholeTrialPPO, {"action_encoding": "multi_binary"}, SHARED, ""),
}


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
        seconds = {name: [] for name in models}
        for _ in range(ROUNDS):
            for name, model in models.items():
                start = time.process_time()
                model.learn(N_ENVS * N_STEPS)
                seconds[name].append(time.process_time() - start)
        stock = np.array(seconds["stock, MultiDiscrete"])
        for name, (*_, aim) in LEARNERS.items():
            faster = float(np.median(stock / np.array(seconds[name])))
            rate = N_ENVS * N_STEPS / np.median(seconds[name]) / 1000
            ratios(f"recurrent PPO, {name} ({rate:.1f} k steps/s): times stock", faster, aim)
        benchmark(lambda: models["MultiBinary"].learn(N_ENVS * N_STEPS))
