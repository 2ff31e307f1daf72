"""Spectra of linearised dynamics: time constants, and the slow directions, in which the state persists.

F is a map from step to step, so that a mode decays as mu^t and is neutral where mu = 1. Axis letters: P points,
S components of the state, D latents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Bool, Complex, Float, Inexact, Int

from mtrnn_analysis.result import ShortRepr

# Eigenvalues are known to about this: |mu| up to 1 + ROUNDING is 1.
ROUNDING = 1e-8
# Two eigenvalues whose distances to 1 differ by less than this share are at the same distance, as conjugates are.
TIE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Spectra(ShortRepr):
    """Eigenvalues mu of Jacobians of F, and whether they are those of a continuum of D dimensions.

    Attributes:
        eigenvalues: by falling modulus, `[P, S]`.
        times: time constants -1 / ln|mu| in steps, in the same order: the time in which a mode falls by e. Infinite
            where |mu| is 1; NaN where |mu| > 1, as growing modes have none; 0 where mu is 0.
        n_slow: eigenvalues near 1 from within: stable, and with |1 - mu| <= 1 - exp(-1 / slow). For a real mu that is
            a time constant of `slow` steps or more; a mode that also turns or alternates is not slow, however slowly it
            decays, since it does not hold its state.
        n_unstable: eigenvalues with |mu| > 1; they are never slow, however near 1.
        gap: the time constant of the D-th mode over that of the next; NaN where one of the two grows.
        continuous: whether there are D slow eigenvalues, none that is unstable, and a gap of at least the chosen one.
    """

    eigenvalues: Complex[np.ndarray, "P S"]
    times: Float[np.ndarray, "P S"]
    n_slow: Int[np.ndarray, " P"]
    n_unstable: Int[np.ndarray, " P"]
    gap: Float[np.ndarray, " P"]
    continuous: Bool[np.ndarray, " P"]


def spectra(jacobians: Float[np.ndarray, "P S S"], n_dims: int, slow: float, gap: float) -> Spectra:
    """The spectra of Jacobians of F (not of F - h, whose eigenvalues are mu - 1).

    Arguments:
        jacobians: of F.
        n_dims: D.
        slow: the least time constant of a slow mode, in steps.
        gap: the least ratio of the time constants of modes D and D + 1.
    """
    eigenvalues = np.linalg.eigvals(jacobians).astype(complex)
    eigenvalues = np.take_along_axis(eigenvalues, np.argsort(-np.abs(eigenvalues), axis=1, kind="stable"), axis=1)
    times = time_constants(eigenvalues)
    unstable = np.abs(eigenvalues) > 1 + ROUNDING
    n_slow = np.count_nonzero(~unstable & (np.abs(1 - eigenvalues) <= -np.expm1(-1 / slow) + ROUNDING), axis=1)
    n_unstable = np.count_nonzero(unstable, axis=1)
    ends = np.concatenate([times, np.zeros((len(times), 1))], axis=1)[:, n_dims - 1 : n_dims + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = ends[:, 0] / ends[:, 1]
    continuous = (n_slow == n_dims) & (n_unstable == 0) & (found >= gap)
    return Spectra(eigenvalues, times, n_slow, n_unstable, found, continuous)


def time_constants(eigenvalues: Complex[np.ndarray, "*P"]) -> Float[np.ndarray, "*P"]:
    """-1 / ln|mu| in steps: infinite at |mu| = 1, NaN above, 0 at 0."""
    modulus = np.abs(eigenvalues)
    with np.errstate(divide="ignore"):
        times = -1 / np.log(modulus)
    return np.where(modulus > 1 + ROUNDING, np.nan, np.where(modulus > 1 - ROUNDING, np.inf, times))


def slow_directions(
    jacobian: Float[np.ndarray, "S S"], eigenvalues: Inexact[np.ndarray, " S"], n_dims: int
) -> Float[np.ndarray, "S D"] | None:
    """An orthonormal basis of the invariant subspace of the D eigenvalues nearest 1: the directions in which the state
    persists. Of the transposed Jacobian, it is that of the directions from which they are driven.

    It is the span of the D right eigenvectors (of real and imaginary parts, for a pair), taken from an ordered real
    Schur form: orthonormal, and well defined where eigenvectors are not. None where the D-th and the next are a
    conjugate pair, or equally far from 1 in another way: no such subspace has D dimensions.
    """
    distance = np.sort(np.abs(eigenvalues - 1))
    near, far = distance[n_dims - 1 : n_dims + 1]
    if far - near <= TIE * max(far, ROUNDING):
        return None
    middle = (near + far) / 2
    found: Any = scipy.linalg.schur(jacobian, sort=lambda re, im=0.0: math.hypot(re - 1, im) < middle)
    return found[1][:, :n_dims] if found[2] == n_dims else None


def principal_angles(first: Float[np.ndarray, "S D"], second: Float[np.ndarray, "S E"]) -> Float[np.ndarray, " K"]:
    """The angles between two subspaces with these bases, in degrees, the smallest first."""
    return np.degrees(scipy.linalg.subspace_angles(first, second))[::-1]


def overlap(first: Float[np.ndarray, "S D"], second: Float[np.ndarray, "S D"]) -> float:
    """The mean squared cosine of the principal angles of two subspaces with these orthonormal bases: 1 if they are the
    same, D / S on average if one is drawn isotropically.
    """
    return float(((first.T @ second) ** 2).sum() / first.shape[1])
