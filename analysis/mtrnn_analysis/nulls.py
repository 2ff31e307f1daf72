"""Null distributions: what is drawn under a null hypothesis, and what follows. Axis letters: R draws, N trials,
Q conditions, H units.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def p_value(value: float, null: Float[np.ndarray, " R"], side: str = "greater") -> float:
    """The share of draws, `value` among them, that is at least as extreme: (1 + #{null >= value}) / (1 + R).

    With `value` counted as one of the draws, P(p <= a) <= a holds for every a where the null hypothesis does (Phipson &
    Smyth 2010, doi:10.2202/1544-6115.1585).

    Arguments:
        value: what was found.
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
    above, below = ((1 + np.count_nonzero(hits)) / (1 + len(null)) for hits in (null >= value, null <= value))
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


def unit_orders(n_draws: int, n_conditions: int, n_units: int, rng: np.random.Generator) -> Int[np.ndarray, "R Q H"]:
    """Random orders of units, one for each condition: what the geometric null permutes centred states by.

    The geometric null hypothesis (Bernardi et al. 2020, doi:10.1016/j.cell.2020.09.031): each condition has a cloud of
    trials of its shape, at a place of its own that has nothing to do with those of the other conditions. A draw
    permutes the units within each condition, in all its trials alike and independently of the other conditions: the
    distance of a cloud from the centre, its shape, and so how well it is told from others, stay nearly as they were;
    what is common to conditions goes, but for the mean over units, which no permutation changes. If clouds lie at
    independent places without preferred units, the data are one more such draw (`about_centre` says how they are
    centred for that).
    """
    return rng.permuted(np.broadcast_to(np.arange(n_units), (n_draws, n_conditions, n_units)), axis=2)


def about_centre(centroids: Float[np.ndarray, "Q H"]) -> Float[np.ndarray, "Q H"]:
    """Centroids of conditions as the geometric null permutes them: about their mean, times sqrt(Q / (Q - 1)).

    A pattern that all conditions share (units with a high rate) would, permuted, drive them apart, and what is found
    would depend on where zero is. Taking off the mean of Q independent places takes 1/Q of their variance with it,
    which the factor gives back; without it the clouds of the null would lie too close together.
    """
    return (centroids - centroids.mean(axis=0)) * np.sqrt(len(centroids) / (len(centroids) - 1))
