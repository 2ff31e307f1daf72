"""Agents that learn from their own rewards by PPO on whole trials: the agent plug-in "trial_ppo"."""

from mtrnn_agents.loading import load
from mtrnn_agents.trial_ppo.agent import PolicyAgent
from mtrnn_agents.trial_ppo.ppo import evaluate, from_fields, train, untrained
from mtrnn_agents.trial_ppo.settings import PRESETS, Training

__all__ = ["PRESETS", "PolicyAgent", "Training", "evaluate", "from_fields", "load", "train", "untrained"]
