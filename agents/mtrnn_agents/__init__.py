"""Agents for the environments of `mtrnn_envs`: objects with the signature of Stable-Baselines3's `predict`."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('mtrnn_agents needs torch: pip install "mtrnn-envs[agents]"') from error

from mtrnn_agents.baselines import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_agents.loading import load
from mtrnn_agents.networks import GRU, LSTM, NETWORKS, LeakyRNN, Transformer
from mtrnn_agents.supervised import PRESETS, History, SupervisedAgent, Training, ensemble, train, untrained
from mtrnn_agents.training.resumable import one_thread
from mtrnn_agents.trial_ppo import PolicyAgent

__all__ = [
    "GRU",
    "LSTM",
    "NETWORKS",
    "PRESETS",
    "History",
    "IdealObserver",
    "Integrator",
    "LeakyRNN",
    "OptimalStopping",
    "PolicyAgent",
    "RandomAgent",
    "SupervisedAgent",
    "Training",
    "Transformer",
    "ensemble",
    "load",
    "one_thread",
    "train",
    "untrained",
]
