"""The conformance suite of environments fails those that break its promises; ours pass it in `test_env.py`."""

import gymnasium as gym
import numpy as np
import pytest

from mtrnn_envs.environments.env import EvidenceEnv
from mtrnn_envs.testing import check_env


class Reshuffles(EvidenceEnv):
    """Repeats its first observation under a seed, but not its rollout."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        observation[1] += np.random.default_rng().random()
        return observation, reward, terminated, truncated, info


class PaysTwice(EvidenceEnv):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, 2 * reward, terminated, truncated, info


@pytest.mark.parametrize(("broken", "message"), [("Reshuffles", "not equivalent"), ("PaysTwice", "against `score`")])
def test_broken_environments_fail(broken, message):
    gym.register("Broken-v0", entry_point=f"{__name__}:{broken}")
    try:
        with pytest.raises(AssertionError, match=message):
            check_env("Broken-v0", encoder=None)
    finally:
        gym.registry.pop("Broken-v0")
