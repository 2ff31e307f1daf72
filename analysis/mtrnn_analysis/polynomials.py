"""Polynomials of x*, on which states are regressed where no form of the code is assumed. Axis letters: N trials,
D latents, K functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb

import numpy as np
from jaxtyping import Float

# The greatest degree, and how many trials there must be for each function.
MOST_DEGREE, TRIALS_PER_FUNCTION = 7, 20


def greatest_degree(n: int, n_dims: int) -> int:
    """The greatest degree for which there are trials enough."""
    fitting = [g for g in range(2, MOST_DEGREE + 1) if comb(n_dims + g, n_dims) * TRIALS_PER_FUNCTION <= n]
    return max(fitting, default=1)


def polynomials(latents: Float[np.ndarray, "N D"], degree: int) -> Float[np.ndarray, "N K"]:
    """All polynomials of x* without the constant up to a degree, orthonormal over the trials: the mean product of two
    is 1 or 0. Of functions that are nearly sums of others, fewer are given."""
    scaled = latents / max(float(np.abs(latents).max()), np.finfo(float).tiny)
    powers = [np.polynomial.legendre.legvander(column, degree) for column in scaled.T]
    columns = [np.ones((len(latents), 1))]
    for exponents in _exponents(latents.shape[1], degree):
        columns.append(np.prod([power[:, e] for power, e in zip(powers, exponents, strict=True)], axis=0)[:, None])
    values = np.concatenate(columns[1:], axis=1)
    vectors, sizes, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    # Where x* leaves parts of the cube out, some polynomials are nearly sums of others.
    return vectors[:, sizes > 1e-6 * sizes[0]] * np.sqrt(len(latents))


def _exponents(n_dims: int, degree: int) -> Sequence[tuple[int, ...]]:
    """Degrees in each latent, with a sum from 1 to `degree`."""
    rows: list[tuple[int, ...]] = [()]
    for _ in range(n_dims):
        rows = [(*row, e) for row, e in product(rows, range(degree + 1)) if sum(row) + e <= degree]
    return [row for row in rows if sum(row)]
