"""x* from the answers alone: each answer of the ideal observer is a signed distance to a boundary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import special

from mtrnn_envs.utils.arrays import Numbers


def multilaterate(
    probabilities: Float[np.ndarray, "N K"],
    normals: Float[np.ndarray, "K D"],
    offsets: Float[np.ndarray, " K"],
    sigma: Numbers | Sequence[float],
    n_samples: Numbers,
    clip: float = 1e-6,
) -> Float[np.ndarray, "N D"]:
    """The sample mean recovered from the answers alone: x = (CᵀWC)⁻¹CᵀW [b + (sigma / sqrt t) Phi⁻¹(p)].

    With unit normals c_k and offsets b_k, p_k = Phi(sqrt(t) (c_k · m - b_k) / sigma) under a flat unbounded prior,
    so each answer is a signed distance (Vafidis, Bhargava & Rangel, arXiv:2407.11249). Answers are clipped to
    [clip, 1 - clip], and weighted by phi(z)² / (p (1 - p)), their Fisher information on z, over the squared standard
    error of that distance: without the weights saturated answers spoil the estimate. Needs normals of rank D, so
    K >= D. Units of the latents.

    Arguments:
        offsets: distances of the boundaries from the origin, in units of the latents.
        sigma: standard deviation of the noise of one sample, in units of the latents: a number, or `[D]`.
        n_samples: t: a number, `[N]`, or `[N, K]` where answers were given at different times.

    Raises:
        ValueError: if the normals do not span the D dimensions.
    """
    n_dims = normals.shape[1]
    if (rank := np.linalg.matrix_rank(normals)) < n_dims:
        raise ValueError(f"normals of rank {rank} do not determine D={n_dims} latents; D independent ones are needed")
    z = special.ndtri(np.clip(np.asarray(probabilities, float), clip, 1 - clip))
    errors = distance_errors(normals, sigma, n_samples)
    return least_squares_point(offsets + errors * z, answer_information(z) / errors**2, normals)


def distance_errors(
    normals: Float[np.ndarray, "K D"], sigma: Numbers | Sequence[float], n_samples: Numbers
) -> Float[np.ndarray, "#N K"]:
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
