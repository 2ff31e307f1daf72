"""Two custom reward rules.

gym.make("MultiTaskEvidence-v0", payoff="reward_rules:loss_averse")
gym.make("MultiTaskEvidenceRT-v0", payoff="reward_rules:spherical")
"""

import numpy as np

from mtrnn_envs.components import RewardRule

# Fixed duration: a wrong answer costs twice as much as a right one earns. `reported` is above 1/2 for right answers.
loss_averse = RewardRule(lambda reported: np.where(reported > 0.5, 1.0, -2.0))

# Free reaction time: the spherical score of the reported probability, 0 for a reported 1/2; honesty is best.
spherical = RewardRule(
    lambda reported: reported / np.hypot(reported, 1 - reported) - np.sqrt(0.5),
    reaction_time=True,
)
