"""Agents for the environments of `mtrnn_envs`: anything with the signature of Stable-Baselines3's `predict`."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('mtrnn_agents needs torch: pip install "mtrnn-envs[agents]"') from error

from mtrnn_agents.networks import LeakyRNN
from mtrnn_agents.references import IdealObserver, RandomAgent
from mtrnn_agents.settings import History, Training
from mtrnn_agents.supervised import SupervisedAgent, train, untrained

__all__ = [
    "History",
    "IdealObserver",
    "LeakyRNN",
    "RandomAgent",
    "SupervisedAgent",
    "Training",
    "train",
    "untrained",
]
