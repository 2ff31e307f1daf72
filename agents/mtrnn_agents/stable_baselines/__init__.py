"""Stable-Baselines3 and sb3-contrib in this suite: fast environments for them, and their policies as agents."""

from __future__ import annotations

try:
    import sb3_contrib as _sb3_contrib  # noqa: F401
    import stable_baselines3 as _stable_baselines3  # noqa: F401
except ImportError as error:
    raise ImportError(f'this agent needs {error.name}: pip install "mtrnn-envs[agents]"') from error

from mtrnn_agents.stable_baselines.agent import StableBaselinesAgent
from mtrnn_agents.stable_baselines.vec_env import SB3VecEnv, make_sb3_env

__all__ = ["SB3VecEnv", "StableBaselinesAgent", "make_sb3_env"]
