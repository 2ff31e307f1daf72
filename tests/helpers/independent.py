"""Posteriors computed the plain way, for comparison: draws from the prior, weighted by the likelihood."""

from __future__ import annotations

import numpy as np
from scipy import stats

from mtrnn_envs.components.boundaries import labels
from mtrnn_envs.components.latents import draw_latents


def log_likelihood(task, samples, latents):
    """ln p(samples [S, D] | latents [M, D]), from the definition of the noise."""
    z = (samples[None] - latents[:, None]) / np.asarray(task.sigmas)
    n_samples = len(samples)
    if task.noise == "gumbel":
        unit = np.sqrt(6) / np.pi
        return stats.gumbel_r.logpdf(z, loc=-np.euler_gamma * unit, scale=unit).sum(axis=(1, 2))
    lag = np.abs(np.subtract.outer(np.arange(n_samples), np.arange(n_samples)))
    precision = np.linalg.inv(float(task.autocorrelation) ** lag)
    return -0.5 * np.einsum("mtd,ts,msd->m", z, precision, z, optimize=True)


def importance(task, samples, rng, n=200_000):
    """Self-normalised importance sampling from the prior: P(label = +1) [K], E[x*] [D], Var[x*] [D], effective size."""
    latents = np.empty((n, task.n_dims))
    draw_latents(task.latent_correlation, task.excluded_orthants, latents, rng)
    log_w = log_likelihood(task, samples, latents)
    w = np.exp(log_w - log_w.max())
    w /= w.sum()
    mean = w @ latents
    return w @ (labels(task.boundary, latents) > 0), mean, w @ (latents - mean) ** 2, 1 / np.sum(w**2)


def cross(latents):
    """A user's own boundaries: the sign of x_1 x_2, and a ring."""
    product = latents[..., 0] * latents[..., 1]
    squares = latents[..., 0] ** 2 + latents[..., 1] ** 2
    return np.stack([product, 0.1 - squares], axis=-1)
