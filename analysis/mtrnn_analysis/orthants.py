"""Checks of states and latents, and the conditions of trials: the orthants of x*.

Axis letters: N trials, H units, D latents, Q orthants, K dichotomies.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Orthants(NamedTuple):
    """The orthants of x* that trials lie in.

    Attributes:
        names: as signs ("+-": x_1 > 0, x_2 <= 0), in the order of `signs`.
        signs: +1 or -1 for each latent, `[Q, D]`, sorted.
        which: the orthant of each trial, `[N]`.
        counts: trials of each, `[Q]`.
    """

    names: tuple[str, ...]
    signs: Int[np.ndarray, "Q D"]
    which: Int[np.ndarray, " N"]
    counts: Int[np.ndarray, " Q"]


def checked(states: object, latents: object) -> tuple[Float[np.ndarray, "N H"], Float[np.ndarray, "N D"]]:
    """States and latents in float64.

    Raises:
        ValueError: if they are not matrices of real numbers, not of the same trials, or not finite.
    """
    states, latents = _matrix("states", states, "units"), _matrix("latents", latents, "latents")
    if len(states) != len(latents):
        raise ValueError(f"states has {len(states)} trials, latents {len(latents)}; they must be the same")
    for name, values in (("states", states), ("latents", latents)):
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name} has {np.count_nonzero(~np.isfinite(values))} values that are not finite (in recordings, the "
                "steps beyond the end of a trial are NaN)"
            )
    return states.astype(np.float64), latents.astype(np.float64)


def _matrix(name: str, values: object, columns: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {array.dtype}, not real numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has the shape {array.shape}; [trials, {columns}], one or more of each, is needed")
    return array


def orthants(latents: Float[np.ndarray, "N D"], *, least: int = 1, complete: bool = False) -> Orthants:
    """The orthants that x* lies in.

    Arguments:
        least: trials that each orthant must have.
        complete: whether all 2^D must have some.

    Raises:
        ValueError: if an orthant has too few trials.
    """
    above, index, counts = np.unique(latents > 0, axis=0, return_inverse=True, return_counts=True)
    names = tuple("".join("-+"[int(sign)] for sign in row) for row in above)
    if complete and len(names) < 2 ** latents.shape[1]:
        raise ValueError(f"latents lie in {len(names)} of the {2 ** latents.shape[1]} orthants; all are needed")
    if counts.min() < least:
        raise ValueError(f"orthant {names[counts.argmin()]} has {counts.min()} trials; {least} or more are needed")
    return Orthants(names, np.where(above, 1, -1), index.reshape(-1), counts)


def dealt(groups: Orthants, n_folds: int, rng: np.random.Generator) -> Int[np.ndarray, " N"]:
    """The cell of each trial: its orthant times `n_folds`, and its fold, of which each orthant has equal parts."""
    cell = np.empty(len(groups.which), np.int64)
    for q, count in enumerate(groups.counts):
        cell[groups.which == q] = q * n_folds + rng.permutation(np.arange(count) % n_folds)
    return cell


def varying(states: Float[np.ndarray, "N H"]) -> None:
    """Refuses finite states of which no unit varies: they have no geometry.

    Raises:
        ValueError: if so.
    """
    if not (np.ptp(states, axis=0) > 0).any():
        raise ValueError(f"states are the same in all {len(states)} trials: no unit varies, so they hold nothing")


def dichotomies(n_conditions: int, most: int, rng: np.random.Generator) -> Int[np.ndarray, "K Q"]:
    """The ways to split conditions into two halves, -1 and +1, of which the first condition is in the lower.

    There are C(Q, Q/2) / 2: 1, 3, 35, 6435 for Q = 2, 4, 8, 16, and 3e8 for Q = 32. Of more than `most`, `most`
    different ones are drawn, each as likely as the others.
    """
    half = n_conditions // 2
    if comb(n_conditions, half) // 2 <= most:
        rows = np.full((comb(n_conditions, half) // 2, n_conditions), -1)
        for row, upper in zip(rows, combinations(range(1, n_conditions), half), strict=True):
            row[list(upper)] = 1
        return rows
    row, drawn = np.repeat([-1, 1], half), {}
    while len(drawn) < most:
        one = rng.permutation(row)
        one = -one * one[0]
        drawn[one.tobytes()] = one
    return np.stack(list(drawn.values()))
