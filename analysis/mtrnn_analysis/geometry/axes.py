"""Encoding and decoding axes of latents, and the angles between them. Axis letters: N trials, H units, D latents, P
pairs of latents, R draws of a null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.orthants import checked, varying
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.utils.validation import check_int

# Of the decoder, relative to the number of trials times the mean variance of a unit.
PENALTY = 1e-3


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Axes(ProbeResult):
    """Angles between axes, in degrees from 0 to 90. `value`, `null`, `p`: mean angle between encoding axes, corrected
    for noise; vectors with the covariance of the states; p for greater.

    Attributes:
        encoding_angles: between the encoding axes of two latents, "x1-x2", ..., corrected.
        encoding_uncorrected: mean angle between the encoding axes as measured.
        decoding_angles: between the decoder's axes, likewise; not corrected.
        decoding: the mean of these.
        null_decoding: mean angle between the decoder's axes for latents that the null's axes encode, `[R]`.
        p_decoding: for greater.
        encoding_to_decoding: between the encoding and the decoding axis of each latent.
        isometry: the least over the greatest singular value of the encoding map, corrected; 1 if steps of x* in all
            directions move states by the same length.
        null_isometry: of the null's axes, `[R]`.
        p_isometry: for greater.
        gain: the length of the encoding axis of each latent, corrected: units of activity for a unit of x.
        signal_to_noise: corrected squared length of each axis over the noise in it; below 1 it is not corrected whole.
        explained: the share of the variance of states that the encoding axes explain (r², not corrected).
        encoding_axes: activity for a unit of x, as measured, `[D, H]`.
        decoding_axes: the decoder's weights, units of x for activity, `[D, H]`.
    """

    encoding_angles: Mapping[str, float]
    encoding_uncorrected: float
    decoding_angles: Mapping[str, float]
    decoding: float
    null_decoding: Float[np.ndarray, " R"]
    p_decoding: float
    encoding_to_decoding: Mapping[str, float]
    isometry: float
    null_isometry: Float[np.ndarray, " R"]
    p_isometry: float
    gain: Mapping[str, float]
    signal_to_noise: Mapping[str, float]
    explained: float
    encoding_axes: Float[np.ndarray, "D H"]
    decoding_axes: Float[np.ndarray, "D H"]


class Encoding(NamedTuple):
    """The affine map from x* to states, and the noise in it.

    Attributes:
        axes: its slopes A, activity for a unit of x, `[D, H]`.
        products: A Aᵀ without its bias from noise, `[D, D]`.
        noise: that bias, `[D, D]`.
    """

    axes: Float[np.ndarray, "D H"]
    products: Float[np.ndarray, "D D"]
    noise: Float[np.ndarray, "D D"]


def encoding(states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"]) -> Encoding:
    """The encoding map by least squares, A = cov(x)⁻¹ cov(x, h), and the products of its axes.

    Each measured axis is the true one plus noise, so that A Aᵀ is too large by the sum over units of the covariance of
    the estimate, (XᵀX)⁻¹ [sum over trials of x xᵀ |e|² / (1 - l)] (XᵀX)⁻¹, with residuals e and leverages l (MacKinnon
    & White 1985, HC2, doi:10.1016/0304-4076(85)90158-7), which holds for noise that depends on x* too. It is what the
    products of axes from different halves of the trials lack, without halving.

    Raises:
        ValueError: if there are fewer than D + 2 trials, or latents are collinear or constant.
    """
    n, n_dims = latents.shape
    if n < n_dims + 2:
        raise ValueError(f"states has {n} trials; D + 2 = {n_dims + 2} or more are needed")
    x, h = latents - latents.mean(axis=0), states - states.mean(axis=0)
    spread = np.linalg.svd(x, compute_uv=False)
    if spread[-1] <= 1e-9 * max(spread[0], np.finfo(float).tiny):
        raise ValueError("latents are constant or collinear in these trials; the axes of single ones are not defined")
    solver = np.linalg.solve(x.T @ x, x.T)
    axes = solver @ h
    residual = h - x @ axes
    leverage = 1 / n + np.einsum("nd,dn->n", x, solver)
    # A trial that alone fixes a slope leaves no residual.
    weights = np.einsum("nh,nh->n", residual, residual) / np.maximum(1 - leverage, 1e-9)
    noise = (solver * weights) @ solver.T
    return Encoding(axes, axes @ axes.T - noise, noise)


def axes(
    states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], rng: np.random.Generator, *, n_null: int = 100
) -> Axes:
    """The directions in which states move with each latent, and those in which a decoder looks for it.

    The *encoding axis* of a latent is how states change with it, the others held: a_d, the rows of
    A = cov(x)⁻¹ cov(x, h). The *decoding axis* is the weights of a linear decoder of it, w_d, the columns of
    cov(h)⁻¹ cov(h, x), with a ridge. Weights are no coding axes: they also turn away from noise and from other
    latents, and where only noise lies in a unit, its weight need not be 0 (Haufe et al. 2014,
    doi:10.1016/j.neuroimage.2013.10.067). Angles between latents are those of the encoding axes; the decoder's stand
    beside them. An axis has no sense, so angles are from 0 to 90 degrees.

    Noise draws axes apart (towards 90 degrees in many units) and makes the encoding map look more isometric than it is;
    products of encoding axes are corrected for it (see `encoding`): cos = P_de / sqrt(L_d L_e), P the corrected
    products, L_d = max(P_dd, noise of it), and singular values are the roots of the eigenvalues of P, 0 where these
    are below. The products have no bias, but angles and isometry, which are not linear in them, do: both are *too low*
    where `signal_to_noise` is low (isometry of 1 and an angle of 90 degrees, 200 trials of 20 units: on average 0.86
    and 84 at a ratio of 7.7, 0.78 and 81 at 3.3, 0.48 and 74 at 0.85), so compare them only between states of about
    the same ratio. The decoder's angles are not corrected: its ridge and the states' noise are part of what it is.

    Null: the axes lie in directions that have nothing to do with each other, drawn as states vary: Gaussian vectors
    with the covariance of the states (which axes of labels that are permuted have, too). Isotropic vectors would be
    orthogonal in many units whatever the code, and any angle would look special or none. So p says whether axes are
    further apart (or more isometric) than random axes with the covariance of the states, which contains what the code
    itself makes states vary: the greater its part, the more the null resembles the code. Where x* is all that states
    vary with, the null's vectors lie in the plane of the code, and their angles spread evenly over 0 to 90 degrees.
    The null's decoding axes are those of latents that such vectors encode, cov(h)⁻¹ times them.

    Arguments:
        latents: x*, D >= 2; with one there is no angle between latents.
        n_null: draws of the null.

    Raises:
        ValueError: if D < 2, there are fewer than D + 2 trials, latents are collinear, no unit varies, arrays are not
            finite or not of the same trials, or an argument is out of its range.
    """
    states, latents = checked(states, latents)
    varying(states)
    (n, n_dims), n_null = latents.shape, check_int("n_null", n_null, 0)
    if n_dims < 2:
        raise ValueError(f"latents has D={n_dims}; axes needs 2 or more: there are no angles between latents with one")
    found = encoding(states, latents)
    about = states - states.mean(axis=0)
    values, vectors = np.linalg.eigh(about.T @ about / n)
    values = np.maximum(values, 0)
    # The map from encoding axes to decoding axes, up to the factor cov(x).
    decoder = (vectors / (values + PENALTY * values.mean())) @ vectors.T
    decoding_axes = np.cov(latents.T, bias=True) @ found.axes @ decoder
    random = (rng.standard_normal((n_null, n_dims, len(values))) * np.sqrt(values)) @ vectors.T
    null, null_decoding = (np.array([_angles(a @ a.T).mean() for a in some]) for some in (random, random @ decoder))
    null_isometry = np.array([_isometry(a @ a.T) for a in random])
    corrected = _angles(found.products, np.diag(found.noise))
    decoding = _angles(decoding_axes @ decoding_axes.T)
    across = np.einsum("dh,dh->d", found.axes, decoding_axes)
    lengths = np.linalg.norm(found.axes, axis=1) * np.linalg.norm(decoding_axes, axis=1)
    names = [f"x{d + 1}" for d in range(n_dims)]
    pairs = [f"{one}-{other}" for one, other in combinations(names, 2)]
    squares, noise, tiny = np.diag(found.products), np.diag(found.noise), np.finfo(float).tiny
    # Where there is no noise but rounding, the ratio is as great as that allows.
    least = np.maximum(np.finfo(float).eps * squares, tiny)
    isometry = _isometry(found.products)
    explained = 1 - float(((about - (latents - latents.mean(axis=0)) @ found.axes) ** 2).sum() / (about**2).sum())
    return Axes(
        value=float(corrected.mean()),
        null=null,
        p=p_value(corrected.mean(), null),
        n=n,
        settings={"n_null": n_null, "penalty": PENALTY},
        encoding_angles=dict(zip(pairs, corrected.tolist(), strict=True)),
        encoding_uncorrected=float(_angles(found.axes @ found.axes.T).mean()),
        decoding_angles=dict(zip(pairs, decoding.tolist(), strict=True)),
        decoding=float(decoding.mean()),
        null_decoding=null_decoding,
        p_decoding=p_value(decoding.mean(), null_decoding),
        encoding_to_decoding=dict(zip(names, _degrees(across / np.maximum(lengths, tiny)).tolist(), strict=True)),
        isometry=isometry,
        null_isometry=null_isometry,
        p_isometry=p_value(isometry, null_isometry),
        gain=dict(zip(names, np.sqrt(np.maximum(squares, 0)).tolist(), strict=True)),
        signal_to_noise=dict(zip(names, (squares / np.maximum(noise, least)).tolist(), strict=True)),
        explained=explained,
        encoding_axes=found.axes,
        decoding_axes=decoding_axes,
    )


def _degrees(cosines: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.minimum(np.abs(cosines), 1)))


def _angles(products: np.ndarray, least: np.ndarray | None = None) -> np.ndarray:
    """Angles in degrees between each two vectors, from their products `[D, D]`; `[P]`.

    Squared lengths are at least `least`.
    """
    squares = np.diag(products) if least is None else np.maximum(np.diag(products), least)
    one, other = np.triu_indices(len(products), 1)
    # A vector without length is orthogonal to all.
    scale = np.sqrt(np.maximum(squares[one] * squares[other], np.finfo(float).tiny))
    return _degrees(products[one, other] / scale)


def _isometry(products: np.ndarray) -> float:
    """The least over the greatest singular value of a map, from the products of its axes."""
    values = np.linalg.eigvalsh(products)
    return float(np.sqrt(max(values[0], 0) / values[-1])) if values[-1] > 0 else 0.0
