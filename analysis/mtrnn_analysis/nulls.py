"""Null distributions: draws under a null hypothesis, and p-values. Axis letters: R draws, N trials, Q conditions, H
units.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def p_value(value: float, null: Float[np.ndarray, " R"], side: str = "greater") -> float:
    """The share of draws, `value` among them, that is at least as extreme: (1 + #{null >= value}) / (1 + R).

    With `value` counted as one of the draws, P(p <= a) <= a holds for every a where the null hypothesis does (Phipson &
    Smyth 2010, doi:10.2202/1544-6115.1585).

    Arguments:
        value: of the data.
        null: the same under the null hypothesis; NaN without any.
        side: "greater", "less", or "both": twice the smaller of the two, at most 1.

    Raises:
        ValueError: if `side` is none of these, or a number is NaN.
    """
    if side not in ("greater", "less", "both"):
        raise ValueError(f"side={side!r} is not 'greater', 'less' or 'both'")
    if not len(null):
        return float("nan")
    if np.isnan(value) or np.isnan(null).any():
        raise ValueError(f"value={value!r} or one of {len(null)} draws of the null is NaN: they cannot be compared")
    # Draws that are the value itself (one unit has one order) differ from it by rounding; they count as extreme.
    same = np.isclose(null, value, rtol=1e-9, atol=1e-12)
    hits = (same | (null > value), same | (null < value))
    above, below = ((1 + np.count_nonzero(each)) / (1 + len(null)) for each in hits)
    return float({"greater": above, "less": below, "both": min(1.0, 2 * min(above, below))}[side])


def permutations_within(
    groups: Int[np.ndarray, " N"], n_draws: int, rng: np.random.Generator
) -> Int[np.ndarray, "R N"]:
    """Random orders of N rows, in each of which rows change places only with others of their group."""
    members = np.argsort(groups, kind="stable")
    orders = np.empty((n_draws, len(groups)), np.int64)
    for order in orders:
        # Sorted by group and by chance within it, the rows of a group stand where the group's rows stood.
        order[members] = np.lexsort((rng.random(len(groups)), groups))
    return orders


def mixed_places(
    centroids: Float[np.ndarray, "Q H"], n_draws: int, rng: np.random.Generator
) -> Float[np.ndarray, "R Q H"]:
    """Mean states of conditions where it is chance which condition lies where: the geometric null.

    The geometric null hypothesis (in the sense of Bernardi et al. 2020, doi:10.1016/j.cell.2020.09.031): the places of
    the conditions are independent of each other, all drawn from one normal distribution, whatever its mean and its
    covariance. Then M = 1 m' + Z S, Z standard normal, and O M has the distribution of M for each orthogonal O with
    O 1 = 1: it turns the Q - 1 contrasts between conditions and leaves their mean. A draw is O M with O uniform (a
    rotation test, Langsrud 2005, doi:10.1007/s11222-005-4789-5). So the data are one more draw.

    Every draw has the mean and the scatter of the centroids, and so their dimension, the units that vary, and the total
    distance between conditions; what goes is which contrast (x_1, x_2, XOR) has which part of it. Permuting units
    within each condition instead supposes that units are alike: dead ones, unequal gains, or a code of few dimensions
    spread over many units make its places lie in more dimensions than those of the data, and p too small.
    """
    n = len(centroids)
    # An orthonormal basis of the contrasts: any, for a uniform turn of one is a uniform turn of all.
    basis = np.linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, 1:]]))[0][:, 1:]
    turns, triangles = np.linalg.qr(rng.standard_normal((n_draws, n - 1, n - 1)))
    # With the signs of the diagonal the factor is uniform (Mezzadri 2007, arXiv:math-ph/0609050).
    turns = turns * np.where(np.einsum("rcc->rc", triangles) < 0, -1, 1)[:, None, :]
    mean = centroids.mean(axis=0)
    return mean + basis @ turns @ (basis.T @ (centroids - mean))
