"""The ideal observer: the posterior of x*, and the probability of every label.

It knows the task (prior, noise, boundaries) and sees the evidence. The encoder takes nothing away from it, as long as
no noise is added behind it. What is not exact is labelled so, in `IdealPerformance.method` and here:

| case | posterior | answers |
|---|---|---|
| D = 1 | exact | closed form |
| D = 2, boundaries with sections | exact | Gauss-Legendre quadrature, exact to rounding (quadrics: near it) |
| D > 2 | exact | quasi-Monte Carlo with one latent integrated in closed form |
| boundaries without sections, such as a user's function | exact | quasi-Monte Carlo |
| correlated latents, excluded orthants | weighted quasi-Monte Carlo | weighted quasi-Monte Carlo |

Each kind of noise has an exact sufficient statistic; see `mtrnn_envs.components.noise`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import special

from mtrnn_envs.components.boundaries import SectionedBoundary
from mtrnn_envs.components.boundaries.base import HALF
from mtrnn_envs.components.latents import in_orthants
from mtrnn_envs.ideal_observer import label_probabilities as answers
from mtrnn_envs.ideal_observer.one_latent import marginal, moments, running_means
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.arrays import Numbers

N_POINTS = 512  # quasi-random points, with one latent integrated in closed form
N_WEIGHTED = 2048  # quasi-random points without


def check_ideal(task: EvidenceTask) -> None:
    """Raises `ValueError` naming the field if the ideal observer of `task` is not computed."""
    if task.encoder_noise > 0:
        raise ValueError(
            f"encoder_noise={task.encoder_noise!r}: the ideal observer of noise behind the encoder is not computed; "
            "it needs encoder_noise=0"
        )


def flat_prior(task: EvidenceTask) -> bool:
    """Whether x* is uniform on the whole cube, so that the posterior is a product over latents."""
    return not task.latent_correlation and not task.excluded_orthants


def is_exact(task: EvidenceTask) -> bool:
    """Whether one latent can be integrated in closed form: by a flat prior, and boundaries that have sections."""
    return flat_prior(task) and isinstance(task.boundary, SectionedBoundary)


def prior_ratio(task: EvidenceTask, latents: Float[np.ndarray, "*N D"]) -> Float[np.ndarray, "*N"]:
    """The prior density of `task` over the flat one, up to a constant: Gaussian copula density, 0 where excluded."""
    ratio = np.ones(latents.shape[:-1])
    if c := task.latent_correlation:
        n = task.n_dims
        g = special.ndtri(np.clip(latents + HALF, 1e-15, 1 - 1e-15))
        # The inverse of (1 - c) I + c 11ᵀ, less I.
        square, total = np.sum(g**2, axis=-1), np.sum(g, axis=-1) ** 2
        quadratic = (square - c / (1 + (n - 1) * c) * total) / (1 - c) - square
        ratio = np.exp(-0.5 * quadratic)
    if task.excluded_orthants:
        flat = latents.reshape(-1, task.n_dims)
        ratio = ratio * ~in_orthants(flat, task.excluded_orthants).reshape(ratio.shape)
    return ratio


def posterior(
    task: EvidenceTask, mean: Float[np.ndarray, "*N D"], n_samples: Numbers
) -> tuple[Float[np.ndarray, "*N D"], Float[np.ndarray, "*N D"]]:
    """Mean and variance of x* given the sufficient statistic `mean` of `n_samples` samples (int, or `[*N]`).

    For Gaussian noise each latent has a normal of mean m and sd s = sigma / sqrt(n), truncated to the box: with
    a = (-1/2 - m) / s, b = (1/2 - m) / s, Z = Phi(b) - Phi(a), the mean is m + s (phi(a) - phi(b)) / Z and the
    variance s² [1 + (a phi(a) - b phi(b)) / Z - ((phi(a) - phi(b)) / Z)²]; computed by quadrature of the density,
    which holds in any tail. With correlated latents or excluded orthants: weighted quasi-Monte Carlo.
    """
    check_ideal(task)
    shape, (means, counts) = mean.shape, _flat(mean, n_samples)
    expected, variance = np.empty(means.shape), np.empty(means.shape)
    if flat_prior(task):
        for d in range(task.n_dims):
            expected[:, d], variance[:, d] = moments(marginal(task, d, means[:, d], counts))
    else:
        for rows in _chunks(len(means), N_WEIGHTED * task.n_dims):
            points, weights = _weighted_points(task, means[rows], counts[rows])
            expected[rows] = np.einsum("nj,njd->nd", weights, points)
            variance[rows] = np.einsum("nj,njd->nd", weights, (points - expected[rows][:, None]) ** 2)
    return expected.reshape(shape), variance.reshape(shape)


def posterior_density(
    task: EvidenceTask, mean: Float[np.ndarray, "*N D"], n_samples: Numbers, grid_points: int = 101
) -> tuple[Float[np.ndarray, " G"], Float[np.ndarray, "*N D G"]]:
    """A grid over [-1/2, 1/2], and the posterior density of every latent on it under the flat prior.

    With a flat prior the joint density is their product; else multiply by `prior_ratio` and normalise.
    """
    check_ideal(task)
    grid, counts = np.linspace(-HALF, HALF, grid_points), np.broadcast_to(n_samples, mean.shape[:-1])
    density = np.empty((*mean.shape, grid_points))
    for d in range(task.n_dims):
        post = marginal(task, d, mean[..., d, None], counts[..., None])
        density[..., d, :] = np.exp(post.log_density(grid) - post.log_mass())
    return grid, density


def answer_probabilities(
    task: EvidenceTask, mean: Float[np.ndarray, "N D"], n_samples: Numbers, n_points: int | None = None
) -> Float[np.ndarray, "N K"]:
    """P(label = +1) of every task given the sufficient statistic of `n_samples` samples (int, or `[N]`).

    Exact for D = 1 and D = 2 (see the table of the module), else quasi-Monte Carlo, with the same points at every
    call. `n_points` sets their number (a power of 2), or that of the nodes of the quadrature.
    """
    check_ideal(task)
    means, counts = _flat(mean, n_samples)
    smooth = is_exact(task)
    if smooth and task.n_dims == 1:
        return answers.line_answers(task.boundary, marginal(task, 0, means, counts[:, None]))
    if smooth and task.n_dims == 2:
        return np.clip(answers.plane_answers(task, means, counts, n_points or answers.N_GAUSS), 0, 1)
    n = n_points or (N_POINTS if smooth else N_WEIGHTED)
    out = np.empty((len(means), task.n_tasks))
    for rows in _chunks(len(means), n * (task.n_dims + task.n_tasks)):
        if flat_prior(task):
            points, weights = answers.posterior_points(task, means[rows], counts[rows], n), None
        else:
            points, weights = _weighted_points(task, means[rows], counts[rows], n)
        out[rows] = answers.point_answers(task, points, means[rows], counts[rows], weights)
    return np.clip(out, 0, 1)


def trial_probabilities(trials: Trials) -> Float[np.ndarray, "N K"]:
    """P(label = +1) of every task after the last stimulus step of each trial."""
    n = np.broadcast_to(np.asarray(trials.n_samples), len(trials))
    return answer_probabilities(trials.task, running_means(trials)[np.arange(len(n)), n - 1], n)


def _weighted_points(
    task: EvidenceTask, means: np.ndarray, counts: np.ndarray, n_points: int = N_WEIGHTED
) -> tuple[np.ndarray, np.ndarray]:
    """Quasi-random points `[N, J, D]` and weights `[N, J]` that add up to 1."""
    points = answers.posterior_points(task, means, counts, n_points)
    weights = prior_ratio(task, points) + 1e-300
    return points, weights / weights.sum(axis=1, keepdims=True)


def _flat(mean: Float[np.ndarray, "*N D"], n_samples: Numbers) -> tuple[np.ndarray, np.ndarray]:
    counts = np.broadcast_to(np.asarray(n_samples, float), mean.shape[:-1])
    if np.any(counts < 1):
        raise ValueError(f"n_samples={n_samples!r} must be 1 or more; before the first sample the prior holds")
    return np.asarray(mean, float).reshape(-1, mean.shape[-1]), counts.reshape(-1)


def _chunks(n: int, per_row: int) -> list[slice]:
    step = max(1, 4 * answers.CHUNK // per_row)
    return [slice(i, i + step) for i in range(0, n, step)]
