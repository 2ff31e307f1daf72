"""The parts of a task: boundaries, noise, reward rules, the prior over the latents, and the encoder.

Each kind is one file or one entry, and carries its own behaviour; one of your own is named "module:attribute".
"""

from mtrnn_envs.components.boundaries import Boundary, Linear, Section, SectionedBoundary
from mtrnn_envs.components.noise import Gaussian, Gumbel, Likelihood, Noise
from mtrnn_envs.components.rewards import RewardRule

__all__ = [
    "Boundary",
    "Gaussian",
    "Gumbel",
    "Likelihood",
    "Linear",
    "Noise",
    "RewardRule",
    "Section",
    "SectionedBoundary",
]
