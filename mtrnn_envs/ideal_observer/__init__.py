"""The ideal observer and optimal stopping: the upper bound that stands beside every number."""

from mtrnn_envs.ideal_observer.latent_posterior import running_means
from mtrnn_envs.ideal_observer.observer import (
    Ceilings,
    answer_probabilities,
    ceilings,
    multilaterate,
    posterior,
    posterior_density,
    trial_probabilities,
)
from mtrnn_envs.ideal_observer.stopping import Stopping, best_levels, solve

__all__ = [
    "Ceilings",
    "Stopping",
    "answer_probabilities",
    "best_levels",
    "ceilings",
    "multilaterate",
    "posterior",
    "posterior_density",
    "running_means",
    "solve",
    "trial_probabilities",
]
