"""Polynomials of x*, on which states are regressed where no form of the code is assumed. Axis letters: N trials,
D latents, K functions.
"""

from __future__ import annotations

from math import comb

import numpy as np
from jaxtyping import Float, Int
from numpy.polynomial.legendre import legvander
from sklearn.preprocessing import PolynomialFeatures

# The greatest degree, and how many trials there must be for each function.
MOST_DEGREE, TRIALS_PER_FUNCTION = 7, 20


def greatest_degree(n: int, n_dims: int) -> int:
    """The greatest degree for which there are trials enough."""
    fitting = [g for g in range(2, MOST_DEGREE + 1) if comb(n_dims + g, n_dims) * TRIALS_PER_FUNCTION <= n]
    return max(fitting, default=1)


def legendre_products(
    scaled: Float[np.ndarray, "N D"], degree: int
) -> tuple[Float[np.ndarray, "N K"], Int[np.ndarray, "K D"]]:
    """Products of Legendre polynomials of values in [-1, 1], of total degree 1 to `degree`; and the degree of each in
    each variable. Under a flat prior they are orthogonal: well conditioned, unlike products of powers."""
    degrees = PolynomialFeatures(degree, include_bias=False).fit(scaled[:1]).powers_
    tables = [legvander(column, degree) for column in scaled.T]
    columns = [np.prod([table[:, e] for table, e in zip(tables, row, strict=True)], axis=0) for row in degrees]
    return np.stack(columns, axis=1), degrees


def polynomials(latents: Float[np.ndarray, "N D"], degree: int) -> Float[np.ndarray, "N K"]:
    """All polynomials of x* without the constant up to a degree, orthonormal over the trials: the mean product of two
    is 1 or 0. Where x* leaves parts of the cube out, some are nearly sums of others, and fewer are given."""
    values, degrees = legendre_products(latents / max(float(np.abs(latents).max()), np.finfo(float).tiny), degree)
    values = np.take(values, np.lexsort(degrees.T[::-1]), axis=1)
    vectors, sizes, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    return vectors[:, sizes > 1e-6 * sizes[0]] * np.sqrt(len(latents))
