"""Supervised agents, trained by backpropagation through time: the agent plug-in "supervised"."""

from mtrnn_agents.loading import load
from mtrnn_agents.supervised.agent import SupervisedAgent
from mtrnn_agents.supervised.bptt import from_fields, train, untrained
from mtrnn_agents.supervised.ensemble_training import ensemble
from mtrnn_agents.supervised.settings import PRESETS, History, Training

__all__ = ["PRESETS", "History", "SupervisedAgent", "Training", "ensemble", "from_fields", "load", "train", "untrained"]
