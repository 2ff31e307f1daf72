"""Recurrent PPO: sb3-contrib's algorithm on whole trials.

    agent = train(EvidenceTask(), seed=0, folder="results/ppo")

It has one probability ratio, one advantage and one value for all tasks together, as sb3-contrib has.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import VecEnv

from mtrnn_agents.decision_rule import waiting_parts
from mtrnn_agents.loading import load
from mtrnn_agents.networks.options import option
from mtrnn_agents.stable_baselines.agent import StableBaselinesAgent
from mtrnn_agents.stable_baselines.settings import OnPolicyTraining, inherited
from mtrnn_agents.stable_baselines.training_loop import Algorithm, learn, untrained_agent
from mtrnn_agents.stable_baselines.whole_trial_ppo import WholeTrialPPO
from mtrnn_agents.training.settings import checked_settings, checked_task
from mtrnn_envs import EvidenceTask
from mtrnn_envs.protocols import Metrics
from mtrnn_envs.reward import action_sizes

__all__ = ["PRESETS", "Training", "load", "train", "untrained"]


@dataclass(frozen=True, kw_only=True)
class Training(OnPolicyTraining):
    """The settings of a recurrent policy; `PRESETS` names those to start from.

    Raises:
        ValueError: if a field is out of its range.
    """

    n_envs: int = inherited("n_envs", 256)
    rollout_trials: int = inherited("rollout_trials", 2)
    total_steps: int = inherited("total_steps", 1_000_000)
    learning_rate: float = option(3e-3, "Adam's rate at its highest", above=0)
    schedule: str = inherited("schedule", "linear")
    n_units: int = option(64, "units of an LSTM, and of each layer after it", low=1)
    n_layers: int = option(2, "layers between LSTM and outputs, of the policy, and as many of the value", low=0)
    shared_lstm: bool = option(
        True, "whether the value is read from the policy's LSTM, which its loss does not train, or has an LSTM too"
    )
    wait_bias: float = option(
        3.0, "log-odds that waiting begins with above each other value, where one can wait", low=0, high=100
    )
    stock: bool = option(
        False,
        "sb3-contrib's RecurrentPPO itself, by the same settings: with two logits for an answer of two values, where "
        "there is one here, so that first weights and draws are others, and minibatches that cut trials anywhere",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        most = self.n_envs * self.rollout_trials
        if self.n_minibatches > most:
            raise ValueError(
                f"n_minibatches={self.n_minibatches} are more than there are trials in a rollout, and each needs a "
                f"whole one; at most {most} are allowed with n_envs={self.n_envs}, rollout_trials={self.rollout_trials}"
            )


# In reaction time each of many tasks may answer at every step, so that the one ratio of all soon passes a narrow clip:
# a wider one learned more from as many rollouts.
PRESETS: dict[str, Training] = {
    "whole_trials": Training(),
    "reaction_time": Training(n_minibatches=8, clip_range=0.5, total_steps=3_000_000),
    "stock": Training(stock=True),
}


def train(
    task: EvidenceTask,
    seed: int,
    training: Training | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    metrics: Metrics | None = None,
) -> StableBaselinesAgent:
    """A recurrent policy trained on `task`; see `mtrnn_agents.stable_baselines.training_loop.learn`.

    Raises:
        ValueError: also if `training.stock` is asked for a task with action_encoding="multi_binary".
    """
    training = checked_settings(training, Training)
    if training.stock and checked_task(task).action_encoding == "multi_binary":
        raise ValueError(
            "stock=True with action_encoding='multi_binary': sb3-contrib's RecurrentPPO fails on such actions; take "
            "stock=False, or action_encoding='multi_discrete'"
        )
    return learn(algorithm(training), task, seed, training, folder=folder, progress=progress, metrics=metrics)


def untrained(task: EvidenceTask, seed: int, training: Training | None = None) -> StableBaselinesAgent:
    """The agent that `train` starts from: the control for the effect of first weights and input."""
    training = checked_settings(training, Training)
    return untrained_agent(algorithm(training), task, seed, training)


def algorithm(training: Training) -> Algorithm:
    """RecurrentPPO on whole trials, or as sb3-contrib has it."""
    return Algorithm("recurrent_ppo", make_model, multi_binary=not training.stock)


def make_model(envs: VecEnv, task: EvidenceTask, seed: int, training: Training) -> RecurrentPPO:
    """The untrained model, whose policy begins by waiting where it can."""
    policy = {
        "lstm_hidden_size": training.n_units,
        "net_arch": [training.n_units] * training.n_layers,
        "shared_lstm": training.shared_lstm,
        "enable_critic_lstm": not training.shared_lstm,
    }
    kind = RecurrentPPO if training.stock else WholeTrialPPO
    model = kind("MlpLstmPolicy", envs, policy_kwargs=policy, seed=seed, **training.ppo_keywords(task.n_steps))
    begin_by_waiting(model, task, training.wait_bias)
    return model


@torch.no_grad()
def begin_by_waiting(model: RecurrentPPO, task: EvidenceTask, wait_bias: float) -> None:
    """Sets the bias of waiting, the first value of every part of an action that can wait; all others begin with 0."""
    sizes = action_sizes(task)
    bias: Any = model.policy.action_net.bias
    bias[[sum(sizes[:part]) for part in waiting_parts(task)]] = wait_bias
