"""Reward rules: of a fixed duration, and with free reaction time."""

from __future__ import annotations

import numpy as np

from mtrnn_envs.components import RewardRule

# 1 for right answers, -1 for wrong ones.
signed = RewardRule(lambda reported: np.sign(reported - 0.5))
# To miss a label of +1 costs 3: answers of +1 pay even where they are likely to be wrong.
misses_are_dear = RewardRule(lambda reported: np.where(reported > 0.5, 1.0, np.array([[0.0], [-3.0]])))
# As "quadratic", in other units.
doubled = RewardRule(lambda reported: 2 - 8 * (1 - reported) ** 2, reaction_time=True)
