"""Our agents as the benchmark takes them: each learns from a number of trials that it is given.

These are the entry points `mtrnn.entrants`; see `mtrnn_envs.experiments.benchmark.agents`. Of a budget of n trials the
settings of training follow, the same in all tasks. Where a threshold is fitted, it is on trials that were trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from mtrnn_agents import supervised, trial_ppo
from mtrnn_agents.baselines import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_agents.networks import gated, transformer
from mtrnn_agents.networks import leaky_rnn as leaky
from mtrnn_agents.supervised.batches import Run, training_trials, updates_of_block
from mtrnn_agents.supervised.bptt import fit_decisions
from mtrnn_envs import EvidenceTask

Train = Callable[[EvidenceTask, int, int], Any]


@dataclass(frozen=True)
class Learner:
    """An agent before it has learned: `fit` gives the one that has."""

    train: Train

    def fit(self, task: EvidenceTask, seed: int, budget: int) -> Any:
        """An agent that has learned `task` from `budget` trials."""
        return self.train(task, seed, budget)


def ideal_observer(task: EvidenceTask) -> IdealObserver | OptimalStopping:
    """The ideal observer; where one may answer when one likes, optimal stopping."""
    return OptimalStopping(task) if task.reaction_time else IdealObserver(task)


def integrator(task: EvidenceTask) -> Integrator:
    """Integration to bound."""
    return Integrator(task)


def random_agent(task: EvidenceTask, rng: np.random.Generator) -> RandomAgent:
    """Actions drawn evenly."""
    return RandomAgent(task, rng)


def leaky_rnn() -> Learner:
    """A leaky RNN, by backpropagation through time on labels."""
    return Learner(_by_labels(leaky.LeakyRNN(), 8))


def gru() -> Learner:
    """A GRU, by labels."""
    return Learner(_by_labels(gated.GRU(), 16))


def lstm() -> Learner:
    """An LSTM, by labels."""
    return Learner(_by_labels(gated.LSTM(), 16))


def transformer_bptt() -> Learner:
    """A causal transformer, by labels."""
    return Learner(_by_labels(transformer.Transformer(), 16))


def leaky_rnn_ppo() -> Learner:
    """A leaky RNN, by a reward for each task."""
    return Learner(_by_reward(leaky.LeakyRNN()))


def gru_ppo() -> Learner:
    """A GRU, by a reward for each task."""
    return Learner(_by_reward(gated.GRU()))


def lstm_ppo() -> Learner:
    """An LSTM, by a reward for each task."""
    return Learner(_by_reward(gated.LSTM()))


def transformer_ppo() -> Learner:
    """A causal transformer, by a reward for each task."""
    return Learner(_by_reward(transformer.Transformer()))


def recurrent_ppo() -> Learner:
    """sb3-contrib's recurrent PPO on whole trials."""
    return Learner(_by_rollouts("recurrent_ppo", "whole_trials", "reaction_time"))


def ppo_history() -> Learner:
    """PPO without memory, on the mean of the evidence so far."""
    return Learner(_by_rollouts("ppo_history", "mean", "mean"))


def _by_labels(network: Any, batch_size: int) -> Train:
    def train(task: EvidenceTask, seed: int, budget: int) -> Any:
        n = max(1, budget // batch_size)
        training = supervised.Training(network=network, batch_size=batch_size, n_updates=n, evaluate_every=n)
        agent = supervised.train(task, seed, training, progress=False)
        if task.reaction_time:  # the threshold was fitted on validation trials, which would come on top
            last = training_trials(Run(task, seed), training, (n - 1) // updates_of_block(training))
            fit_decisions(agent, last[:budget])
        return agent

    return train


def _by_reward(network: Any) -> Train:
    def train(task: EvidenceTask, seed: int, budget: int) -> Any:
        preset = trial_ppo.PRESETS["reaction_time" if task.reaction_time else "factored"]
        n_trials = max(16, min(256, budget // 32))
        n = max(1, budget // n_trials)
        training = replace(preset, network=network, n_trials=n_trials, n_iterations=n, evaluate_every=n)
        return trial_ppo.train(task, seed, training, progress=False)

    return train


def _by_rollouts(algorithm: str, preset: str, in_reaction_time: str) -> Train:
    def train(task: EvidenceTask, seed: int, budget: int) -> Any:
        plugin = import_module(f"mtrnn_agents.stable_baselines.{algorithm}")  # it needs what is not always installed
        start = plugin.PRESETS[in_reaction_time if task.reaction_time else preset]
        n_envs = max(8, min(256, budget // 128))
        steps = budget * task.n_steps
        training = replace(start, n_envs=n_envs, total_trials=budget, total_steps=steps, evaluate_every=steps)
        return plugin.train(task, seed, training, progress=False)

    return train
