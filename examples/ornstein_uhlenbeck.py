"""A custom noise kind: an Ornstein-Uhlenbeck process with a correlation time of 300 ms.

gym.make("MultiTaskEvidence-v0", noise="ornstein_uhlenbeck:OrnsteinUhlenbeck")
"""

import math

from mtrnn_envs.components import Gaussian

CORRELATION_TIME, STEP = 300, 100  # ms


class OrnsteinUhlenbeck(Gaussian):
    """Seen once a step, the process is AR(1) with the coefficient exp(-step / correlation time)."""

    def __init__(self) -> None:
        super().__init__(autocorrelation=math.exp(-STEP / CORRELATION_TIME))
