"""Null distributions: what is drawn under a null hypothesis, and what follows. Axis letters: R draws, N trials."""

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
