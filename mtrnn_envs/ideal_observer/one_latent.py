"""The exact posterior of one latent under the flat prior on [-1/2, 1/2], from the statistic of the samples seen.

It depends on the samples through a statistic m and their number t alone: m is sufficient. Each kind of noise has its
own; see `mtrnn_envs.components.noise`. Everything in D dimensions is a product of these, unless the prior couples the
latents (see `mtrnn_envs.ideal_observer.posterior`). Arrays broadcast; units are those of the latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from mtrnn_envs.components.noise import Likelihood
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.arrays import Numbers, Values, to_numpy


def standard_errors(task: EvidenceTask, n_samples: Numbers) -> Float[np.ndarray, "*N D"]:
    """s, in units of the latents: the standard deviation of a mean of `n_samples` samples, per stream.

    With AR(1) noise, of the generalised least squares mean; with Gumbel noise, of the plain mean (a scale only).
    """
    counts = np.asarray(n_samples, float)[..., None]
    return np.asarray(task.noise_kind.standard_error(counts, np.asarray(task.sigmas)))


def effective_samples(task: EvidenceTask, n_samples: Numbers | Sequence[int]) -> Values:
    """The number of independent samples that say as much as `n_samples` of the task's: fewer if they are alike."""
    return task.noise_kind.effective_samples(np.asarray(n_samples, float))


def marginal(task: EvidenceTask, d: int, mean: Numbers, n_samples: Numbers) -> Likelihood:
    """The posterior of latent `d` under a flat prior, given the statistic `mean` of `n_samples` samples of it."""
    return task.noise_kind.likelihood(np.asarray(mean, float), n_samples, task.sigmas[d])


def running_means(trials: Trials) -> Float[np.ndarray, "N S D"]:
    """The sufficient statistic m after every stimulus step, in units of the latents (see the module).

    `trials.evidence` is read up to and including that step. For trials whose stimulus is shorter than the longest,
    entries beyond `trials.n_samples` are of evidence that was never shown.
    """
    return running_statistic(trials.task, to_numpy(trials.evidence))


def running_statistic(task: EvidenceTask, evidence: Float[np.ndarray, "N S D"]) -> Float[np.ndarray, "N S D"]:
    """The same of evidence given as an array."""
    return task.noise_kind.statistic(evidence, np.asarray(task.sigmas))


def quadrature(posterior: Likelihood, n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights (adding up to 1) of a posterior, on a new last axis; safe in any tail."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    low, high = map(np.asarray, posterior.support())
    x = 0.5 * (low + high)[..., None] + 0.5 * (high - low)[..., None] * nodes
    wider: Any = type(posterior)
    log_w = wider(*(np.asarray(v)[..., None] for v in vars(posterior).values())).log_density(x)
    w = np.exp(log_w - log_w.max(axis=-1, keepdims=True)) * weights
    return x, w / w.sum(axis=-1, keepdims=True)


def moments(posterior: Likelihood) -> tuple[Values, Values]:
    """Mean and variance of a posterior, by 96-node quadrature of its density (exact to rounding)."""
    x, w = quadrature(posterior, 96)
    mean = np.sum(w * x, axis=-1)
    return mean, np.sum(w * (x - mean[..., None]) ** 2, axis=-1)
