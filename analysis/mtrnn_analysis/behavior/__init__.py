"""Behaviour of the agent: choices (`psychometric`), response steps (`chronometric`, `drift_diffusion`) and the price of
speed (`speed_accuracy`), each beside the ideal observer or the best policy in the same trials.
"""

from mtrnn_analysis.behavior.chronometric import Chronometric, chronometric
from mtrnn_analysis.behavior.drift_diffusion import DriftDiffusion, drift_diffusion
from mtrnn_analysis.behavior.psychometric import Psychometric, psychometric
from mtrnn_analysis.behavior.speed_accuracy import SpeedAccuracy, speed_accuracy

__all__ = [
    "Chronometric",
    "DriftDiffusion",
    "Psychometric",
    "SpeedAccuracy",
    "chronometric",
    "drift_diffusion",
    "psychometric",
    "speed_accuracy",
]
