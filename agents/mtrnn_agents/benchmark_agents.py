"""The agents of this package in the benchmark: baselines, and learners that train on a number of trials.

These are the entry points `mtrnn.entrants`; see `mtrnn_envs.experiments.benchmark.agents`. The settings of training
follow from the budget alone, the same in all tasks. Thresholds are fitted on trials of the budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module

from mtrnn_agents import supervised, trial_ppo
from mtrnn_agents.baselines import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_agents.networks import GRU, LSTM, LeakyRNN, Network, Transformer
from mtrnn_agents.supervised.batches import training_trials, updates_of_block
from mtrnn_agents.supervised.bptt import fit_decisions
from mtrnn_agents.training.run import Run
from mtrnn_envs import EvidenceTask
from mtrnn_envs.protocols import Agent


@dataclass(frozen=True)
class Learner:
    """An agent before training; `fit` trains it on a task, with a seed, on a number of trials."""

    fit: Callable[[EvidenceTask, int, int], Agent]


def ideal_observer(task: EvidenceTask) -> IdealObserver | OptimalStopping:
    """The ideal observer; in reaction-time tasks, optimal stopping."""
    return OptimalStopping(task) if task.reaction_time else IdealObserver(task)


def by_labels(network: Network, batch_size: int) -> Learner:
    """A network trained by backpropagation through time on labels."""

    def train(task: EvidenceTask, seed: int, budget: int) -> Agent:
        n = max(1, budget // batch_size)
        training = supervised.Training(network=network, batch_size=batch_size, n_updates=n, evaluate_every=n)
        agent = supervised.train(task, seed, training, progress=False)
        if task.reaction_time:  # `train` fits the threshold on validation trials, which the budget does not include
            last = training_trials(Run(task, seed), training, (n - 1) // updates_of_block(training))
            fit_decisions(agent, last[:budget])
        return agent

    return Learner(train)


def by_reward(network: Network) -> Learner:
    """A network trained by a reward for each task."""

    def train(task: EvidenceTask, seed: int, budget: int) -> Agent:
        preset = trial_ppo.PRESETS["reaction_time" if task.reaction_time else "factored"]
        n_trials = max(16, min(256, budget // 32))
        n = max(1, budget // n_trials)
        training = replace(preset, network=network, n_trials=n_trials, n_iterations=n, evaluate_every=n)
        return trial_ppo.train(task, seed, training, progress=False)

    return Learner(train)


def by_rollouts(algorithm: str, preset: str, in_reaction_time: str) -> Learner:
    """A policy of Stable-Baselines3, trained by its `algorithm` from a preset."""

    def train(task: EvidenceTask, seed: int, budget: int) -> Agent:
        # Stable-Baselines3 takes seconds to import.
        plugin = import_module(f"mtrnn_agents.stable_baselines.{algorithm}")
        start = plugin.PRESETS[in_reaction_time if task.reaction_time else preset]
        n_envs = max(8, min(256, budget // 128))
        steps = budget * task.n_steps
        training = replace(start, n_envs=n_envs, total_trials=budget, total_steps=steps, evaluate_every=steps)
        return plugin.train(task, seed, training, progress=False)

    return Learner(train)


integrator, random_agent = Integrator, RandomAgent
leaky_rnn, leaky_rnn_ppo = partial(by_labels, LeakyRNN(), 8), partial(by_reward, LeakyRNN())
gru, gru_ppo = partial(by_labels, GRU(), 16), partial(by_reward, GRU())
lstm, lstm_ppo = partial(by_labels, LSTM(), 16), partial(by_reward, LSTM())
transformer_bptt, transformer_ppo = partial(by_labels, Transformer(), 16), partial(by_reward, Transformer())
recurrent_ppo = partial(by_rollouts, "recurrent_ppo", "whole_trials", "reaction_time")
ppo_history = partial(by_rollouts, "ppo_history", "mean", "mean")
