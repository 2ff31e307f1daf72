"""Agents that learn from their own rewards by PPO on whole trials: the agent plug-in "trial_ppo"."""

from mtrnn_agents.trial_ppo.ppo import PRESETS, Training, evaluate, from_fields, load, train, untrained

__all__ = ["PRESETS", "Training", "evaluate", "from_fields", "load", "train", "untrained"]
