"""The ideal observer: the posterior of x*, the probability of every answer, and the ceilings that follow from them.

It knows the task (prior, noise, boundaries) and sees the evidence. The encoder takes nothing away from it, as long as
no noise is added behind it. What is not exact is labelled so, in `Ceilings.method` and here:

| case | posterior | answers |
|---|---|---|
| D = 1 | exact | closed form |
| D = 2; linear, affine, product, quadric | exact | Gauss-Legendre quadrature, exact to rounding (quadrics: near it) |
| D > 2 | exact | quasi-Monte Carlo with one latent integrated in closed form |
| a user's own boundary | exact | quasi-Monte Carlo |
| correlated latents, excluded orthants | weighted quasi-Monte Carlo | weighted quasi-Monte Carlo |

Gaussian (also anisotropic), AR(1) and Gumbel noise have an exact sufficient statistic each; see `marginals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy import special

from mtrnn_envs.components.boundaries import Custom
from mtrnn_envs.components.latents import in_orthants
from mtrnn_envs.ideal_observer import label_probabilities as answers
from mtrnn_envs.ideal_observer.latent_posterior import HALF, marginal, moments, running_means

if TYPE_CHECKING:
    from mtrnn_envs.task import EvidenceTask
    from mtrnn_envs.trials import Trials

__all__ = [
    "Ceilings",
    "answer_information",
    "answer_probabilities",
    "ceilings",
    "distance_errors",
    "least_squares_point",
    "multilaterate",
    "posterior",
    "posterior_density",
    "prior_ratio",
    "running_means",
    "trial_probabilities",
]

N_POINTS = 512  # quasi-random points, with one latent integrated in closed form
N_WEIGHTED = 2048  # quasi-random points without


@dataclass(frozen=True, eq=False, kw_only=True)
class Ceilings:
    """The best that any agent can reach in a task, in fixed-duration terms (all samples seen) and by stopping.

    Attributes:
        accuracy: share of right answers after the whole stimulus, mean over tasks.
        task_accuracies: the same, per task, `[K]`.
        cross_entropy: mean cross-entropy of the ideal answers with the labels, in nat.
        r2_prior: 1 - 12 MSE of the posterior mean, mean over latents. The denominator is the variance of the flat
            prior, whatever the prior of the task; not scikit-learn's r2 on a part of the latents.
        r2_prior_affine: the same of the best affine decoder of the sample mean (with AR(1) noise, of the generalised
            least squares mean), one for each length of the stimulus.
        standard_errors: of "accuracy", "cross_entropy" and "r2_prior", where averages over drawn trials were used;
            0 where they were not.
        method: how the numbers were got, and under which prior.
        value: the best expected reward of a trial of a reaction-time task; None in other tasks, or if not computed.
        response_step: the mean stimulus observation answered to under that policy.
        response_accuracy: the share of right answers at that step; tasks that are best left open count with the
            answer that they would have been given.
        stopping_method: how these three were got, or why not. A "lower bound" is the value of a policy that can be
            run, not the best one.
    """

    accuracy: float
    task_accuracies: Float[np.ndarray, " K"]
    cross_entropy: float
    r2_prior: float
    r2_prior_affine: float
    standard_errors: dict[str, float]
    method: str
    value: float | None = None
    response_step: float | None = None
    response_accuracy: float | None = None
    stopping_method: str = "fixed duration: nothing to stop"


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
    task: EvidenceTask, mean: Float[np.ndarray, "*N D"], n_samples: Any
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
    task: EvidenceTask, mean: Float[np.ndarray, "*N D"], n_samples: Any, grid_points: int = 101
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
    task: EvidenceTask, mean: Float[np.ndarray, "N D"], n_samples: Any, n_points: int | None = None
) -> Float[np.ndarray, "N K"]:
    """P(label = +1) of every task given the sufficient statistic of `n_samples` samples (int, or `[N]`).

    Exact for D = 1 and D = 2 (see the table of the module), else quasi-Monte Carlo, with the same points at every
    call. `n_points` sets their number (a power of 2), or that of the nodes of the quadrature.
    """
    check_ideal(task)
    means, counts = _flat(mean, n_samples)
    smooth = flat_prior(task) and not isinstance(task.boundary, Custom)
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


def multilaterate(
    probabilities: Float[np.ndarray, "N K"],
    normals: Float[np.ndarray, "K D"],
    offsets: Float[np.ndarray, " K"],
    sigma: Any,
    n_samples: Any,
    clip: float = 1e-6,
) -> Float[np.ndarray, "N D"]:
    """The sample mean recovered from the answers alone: x = (CᵀWC)⁻¹CᵀW [b + (sigma / sqrt t) Phi⁻¹(p)].

    With unit normals c_k and offsets b_k, p_k = Phi(sqrt(t) (c_k · m - b_k) / sigma) under a flat unbounded prior,
    so each answer is a signed distance (Vafidis, Bhargava & Rangel, arXiv:2407.11249). Answers are clipped to
    [clip, 1 - clip], and weighted by phi(z)² / (p (1 - p)), their Fisher information on z, over the squared standard
    error of that distance: without the weights saturated answers spoil the estimate. Needs normals of rank D, so
    K >= D. Units of the latents.

    Arguments:
        probabilities: P(label = +1) of every task.
        normals: unit vectors.
        offsets: distances of the boundaries from the origin, in units of the latents.
        sigma: standard deviation of the noise of one sample, in units of the latents: a number, or `[D]`.
        n_samples: t: a number, `[N]`, or `[N, K]` where answers were given at different times.
        clip: in (0, 1/2).

    Raises:
        ValueError: if the normals do not span the D dimensions.
    """
    n_dims = normals.shape[1]
    if (rank := np.linalg.matrix_rank(normals)) < n_dims:
        raise ValueError(f"normals of rank {rank} do not determine D={n_dims} latents; D independent ones are needed")
    z = special.ndtri(np.clip(np.asarray(probabilities, float), clip, 1 - clip))
    errors = distance_errors(normals, sigma, n_samples)
    return least_squares_point(offsets + errors * z, answer_information(z) / errors**2, normals)


def distance_errors(normals: Float[np.ndarray, "K D"], sigma: Any, n_samples: Any) -> Float[np.ndarray, "#N K"]:
    """The standard error sqrt(sum_d c_kd² sigma_d² / t) of c_k · (mean of t samples), in units of the latents."""
    t = np.asarray(n_samples, float)
    one = np.sqrt(normals**2 @ np.broadcast_to(np.asarray(sigma, float), normals.shape[1]) ** 2)
    return one / np.sqrt(t if t.ndim == 2 else t.reshape(-1, 1))


def answer_information(z: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """phi(z)² / (p (1 - p)) with p = Phi(z): the Fisher information on z of an event of probability p."""
    return np.exp(-(z**2)) / (2 * np.pi * special.ndtr(z) * special.ndtr(-z))


def least_squares_point(
    distances: Float[np.ndarray, "N K"], weights: Float[np.ndarray, "N K"], normals: Float[np.ndarray, "K D"]
) -> Float[np.ndarray, "N D"]:
    """The x that minimises sum_k weights_k (c_k · x - distances_k)², for normals that span the D dimensions."""
    products = (normals[:, :, None] * normals[:, None, :]).reshape(len(normals), -1)
    left = (weights @ products).reshape(-1, *2 * normals.shape[1:])
    return np.linalg.solve(left, ((weights * distances) @ normals)[..., None])[..., 0]


@lru_cache(maxsize=64)
def ceilings(task: EvidenceTask) -> Ceilings:
    """The ceilings of `task`; see `Ceilings`. Stimuli of drawn length are averaged over.

    Exact for D <= 2 with a flat prior and boundaries that are not the user's own; else averages over trials drawn
    from the generator of purpose "ideal" (deterministic). The prior is the task's own, without its excluded orthants.

    Raises:
        ValueError: if `encoder_noise` is above 0.
    """
    from mtrnn_envs.ideal_observer.expected_accuracy import fixed_duration
    from mtrnn_envs.ideal_observer.stopping import solve

    check_ideal(task)
    fixed = fixed_duration(task)
    if not task.reaction_time:
        return Ceilings(**fixed)
    try:
        best = solve(task)
    except ValueError as error:
        return Ceilings(**fixed, stopping_method=f"not computed: {error}")
    return Ceilings(
        **fixed,
        value=best.value,
        response_step=best.response_step,
        response_accuracy=best.accuracy,
        stopping_method=best.method,
    )


def _weighted_points(task: EvidenceTask, means: Any, counts: Any, n_points: int = N_WEIGHTED) -> tuple[Any, Any]:
    """Quasi-random points `[N, J, D]` and weights `[N, J]` that add up to 1."""
    points = answers.posterior_points(task, means, counts, n_points)
    weights = prior_ratio(task, points) + 1e-300
    return points, weights / weights.sum(axis=1, keepdims=True)


def _flat(mean: Float[np.ndarray, "*N D"], n_samples: Any) -> tuple[Any, Any]:
    counts = np.broadcast_to(np.asarray(n_samples, float), mean.shape[:-1])
    if np.any(counts < 1):
        raise ValueError(f"n_samples={n_samples!r} must be 1 or more; before the first sample the prior holds")
    return np.asarray(mean, float).reshape(-1, mean.shape[-1]), counts.reshape(-1)


def _chunks(n: int, per_row: int) -> list[slice]:
    step = max(1, 4 * answers.CHUNK // per_row)
    return [slice(i, i + step) for i in range(0, n, step)]
