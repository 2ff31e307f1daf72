"""Supervised agents, trained by backpropagation through time: the agent plug-in "supervised"."""

from mtrnn_agents.supervised.bptt import PRESETS, Training, ensemble, from_fields, load, train, untrained

__all__ = ["PRESETS", "Training", "ensemble", "from_fields", "load", "train", "untrained"]
