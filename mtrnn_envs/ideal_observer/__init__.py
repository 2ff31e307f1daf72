"""The ideal observer and optimal stopping: the upper bound that stands beside every number."""

from mtrnn_envs.ideal_observer.ideal_performance import IdealPerformance, ideal_performance
from mtrnn_envs.ideal_observer.multilateration import multilaterate
from mtrnn_envs.ideal_observer.one_latent import running_means
from mtrnn_envs.ideal_observer.posterior import answer_probabilities, posterior, posterior_density, trial_probabilities
from mtrnn_envs.ideal_observer.stopping import Stopping, solve

__all__ = [
    "IdealPerformance",
    "Stopping",
    "answer_probabilities",
    "ideal_performance",
    "multilaterate",
    "posterior",
    "posterior_density",
    "running_means",
    "solve",
    "trial_probabilities",
]
