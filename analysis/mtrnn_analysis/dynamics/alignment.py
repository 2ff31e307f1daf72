"""Alignment of slow directions with the coding axes of x*, and with random axes that the states vary along.

Axis letters: P subspaces, S components of the state, D dimensions, R draws (K where there may be none).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mtrnn_analysis.dynamics.data_states import DataStates
from mtrnn_analysis.result import NO_NULL


def alignment_of(
    directions: Sequence[np.ndarray | None], axes: Float[np.ndarray, "S D"], random_axes: Float[np.ndarray, "R S D"]
) -> tuple[float, Float[np.ndarray, " K"]]:
    """The mean squared cosine of the principal angles between subspaces and the span of `axes`, averaged over the
    subspaces, and the same with each of the R `random_axes`. All bases are orthonormal. None is skipped; if nothing is
    left, the mean is NaN and the draws are empty.
    """
    known = [each for each in directions if each is not None]
    if not known:
        return math.nan, NO_NULL
    # Squared cosines are linear in the projectors, so the sum over subspaces comes first.
    projector = np.mean([each @ each.T for each in known], axis=0)
    each = np.concatenate([axes[None], random_axes])
    found = (each * (projector @ each)).sum(axis=(1, 2)) / axes.shape[1]
    return float(found[0]), found[1:]


def local_alignment(
    data: DataStates,
    which: Int[np.ndarray, " P"],
    directions: Sequence[np.ndarray | None],
    n_null: int,
    rng: np.random.Generator,
) -> tuple[float, Float[np.ndarray, " K"]]:
    """`alignment_of` by orthants of x*: each subspace against the coding axes of its own orthant (`which`), and axes
    drawn from the covariance of the states of that orthant; averaged over all subspaces.
    """
    total, null, count = 0.0, np.zeros(n_null), 0
    for q in np.unique(which):
        mine = [each for each, of in zip(directions, which, strict=True) if each is not None and of == q]
        if not mine or np.isnan(data.local_coding[q]).any():
            continue
        axes = np.linalg.qr(data.local_coding[q])[0]
        value, others = alignment_of(mine, axes, np.linalg.qr(data.random_axes(n_null, rng, int(q)))[0])
        total, null, count = total + len(mine) * value, null + len(mine) * others, count + len(mine)
    return (total / count, null / count) if count else (math.nan, NO_NULL)
