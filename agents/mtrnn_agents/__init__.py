"""Agents for the environments of `mtrnn_envs`: anything with the signature of Stable-Baselines3's `predict`."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('mtrnn_agents needs torch: pip install "mtrnn-envs[agents]"') from error

from mtrnn_agents.baselines import IdealObserver, Integrator, OptimalStopping, RandomAgent
from mtrnn_agents.loading import load
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.supervised.agent import SupervisedAgent
from mtrnn_agents.supervised.bptt import train, untrained
from mtrnn_agents.supervised.ensemble_training import ensemble
from mtrnn_agents.supervised.settings import PRESETS, History, Training
from mtrnn_agents.trial_ppo.agent import PolicyAgent

__all__ = [
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
    "ensemble",
    "load",
    "train",
    "untrained",
]
