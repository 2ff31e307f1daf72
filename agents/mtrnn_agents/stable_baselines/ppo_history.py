"""The baseline without recurrence: feed-forward PPO or A2C that sees the history of the trial.

    agent = train(EvidenceTask(), seed=0, training=PRESETS["mean"], folder="results/baseline")

Its failures show where memory is needed; its successes, how much of the task is no more than a mean.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from mtrnn_agents.loading import load
from mtrnn_agents.networks.options import option
from mtrnn_agents.stable_baselines import history_features as features
from mtrnn_agents.stable_baselines.agent import StableBaselinesAgent
from mtrnn_agents.stable_baselines.settings import OnPolicyTraining, inherited
from mtrnn_agents.stable_baselines.training_loop import Algorithm, learn, untrained_agent
from mtrnn_agents.training.settings import checked_settings
from mtrnn_envs import EvidenceTask
from mtrnn_envs.protocols import Metrics

__all__ = ["PRESETS", "Training", "load", "train", "untrained"]

ALGORITHMS = ("ppo", "a2c")


@dataclass(frozen=True, kw_only=True)
class Training(OnPolicyTraining):
    """The settings of a feed-forward policy; `PRESETS` names those to start from.

    Raises:
        ValueError: if a field is out of its range.
    """

    rollout_trials: int = inherited("rollout_trials", 1)
    total_steps: int = inherited("total_steps", 400_000)
    algorithm: str = option("ppo", "'ppo' (arXiv:1707.06347), or 'a2c' (arXiv:1602.01783)", among=ALGORITHMS)
    history: str = option(
        "frames",
        "the features of the trial: 'frames' (all its observations so far, zeros before it), or 'mean' (the mean of "
        "the evidence so far, and the current cue)",
        among=features.KINDS,
    )
    n_units: int = option(64, "units of each layer of the policy's network, and of the value's", low=1)
    n_layers: int = option(2, "layers of either", low=1)


# Tuned for 24 tasks without the encoder: "frames" learns best from many small rollouts, "mean" from large ones, each
# gone over often.
PRESETS: dict[str, Training] = {
    "frames": Training(),
    "mean": Training(history="mean", rollout_trials=4, n_epochs=10),
    "a2c": Training(algorithm="a2c", history="mean", learning_rate=3e-3),
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
    """A feed-forward policy trained on the history of the trials of `task`.

    Arguments and errors are those of `mtrnn_agents.stable_baselines.training_loop.learn`; `training` is
    `Training()`, which is `PRESETS["frames"]`, if None.
    """
    training = checked_settings(training, Training)
    return learn(algorithm(training), task, seed, training, folder=folder, progress=progress, metrics=metrics)


def untrained(task: EvidenceTask, seed: int, training: Training | None = None) -> StableBaselinesAgent:
    """The agent that `train` starts from: the control for the effect of first weights and input."""
    training = checked_settings(training, Training)
    return untrained_agent(algorithm(training), task, seed, training)


def algorithm(training: Training) -> Algorithm:
    """PPO or A2C on the features of the history."""
    return Algorithm("ppo_history", make_model, kind=training.history)


def make_model(envs: VecEnv, task: EvidenceTask, seed: int, training: Training) -> OnPolicyAlgorithm:
    """The untrained model."""
    layers = {"net_arch": [training.n_units] * training.n_layers}
    if training.algorithm == "a2c":
        return A2C("MlpPolicy", envs, seed=seed, policy_kwargs=layers, **training.keywords(task.n_steps))
    return PPO("MlpPolicy", envs, seed=seed, policy_kwargs=layers, **training.ppo_keywords(task.n_steps))
