"""Preferred directions of units in latent space, and whether they form opposed pairs. Axis letters: L units, D latents,
R draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import NO_NULL, ShortRepr

# Orders of the resultants of preferred directions: `Directions.resultants`.
ORDERS = (1, 2, 3, 4, 6)
# Two units point in opposite ways if the cosine of their preferred directions is below minus this: within 26 degrees.
OPPOSED = 0.9


@dataclass(frozen=True, eq=False, repr=False)
class Directions(ShortRepr):
    """Preferred directions of units in latent space, and whether they form opposed pairs.

    Attributes:
        units: the live units that x* moves linearly (by `least_gain` of their variance or more), `[L]`.
        slopes: of the linear regression of each on x*, in activity per latent unit, `[L, D]`.
        degrees: the angles of these slopes in the plane, counterclockwise from x_1, `[L]`; NaN unless D = 2.
        opposition: the mean over units of -cos(slopes of the unit, slopes of the unit that points most away from it):
            1 where each has an opposite. NaN with fewer than two units.
        opposition_null: the same for as many directions drawn evenly from the sphere, `[R]`.
        opposition_p: how often such directions are opposed as much.
        resultants: for D = 2, by order m: |mean over units of exp(i m angle)|. Order 1 is 1 if all point the same way
            (the Rayleigh test), 2 if they lie on one axis, either way, 4 if on two axes 90 degrees apart, 3 and 6 on
            three directions or axes. Two opposed pairs at right angles: 0, 0, 0, 1, 0; evenly spread: all 0.
        resultants_null: for as many directions drawn evenly from the circle, by order, `[R]`.
        resultants_p: by order: how often such directions have as large a resultant.
        pairs: units that are each other's most opposite, with a cosine below -`OPPOSED`, `[pairs, 2]`.
        between_pairs: with exactly two pairs and D = 2, the angle between their axes in degrees, 0 to 90; else NaN.
    """

    units: Int[np.ndarray, " L"]
    slopes: Float[np.ndarray, "L D"]
    degrees: Float[np.ndarray, " L"]
    opposition: float
    opposition_null: Float[np.ndarray, " R"]
    opposition_p: float
    resultants: Mapping[str, float]
    resultants_null: Mapping[str, np.ndarray]
    resultants_p: Mapping[str, float]
    pairs: Int[np.ndarray, "pairs 2"]
    between_pairs: float


def preferred_directions(
    units: Int[np.ndarray, " L"], slopes: Float[np.ndarray, "L D"], n_null: int, rng: np.random.Generator
) -> Directions:
    """The preferred directions of units with these slopes (see `Directions`), beside as many directions drawn evenly.

    Null hypothesis: every unit's direction is drawn on its own, and evenly from the circle (or sphere), so that any
    other set drawn like that might have been this one. Lengths of slopes do not count.
    """
    n, n_dims = slopes.shape
    vectors = slopes / np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), np.finfo(float).tiny)
    drawn = rng.standard_normal((n_null, n, n_dims))
    drawn /= np.maximum(np.linalg.norm(drawn, axis=-1, keepdims=True), np.finfo(float).tiny)
    enough = n > 1
    opposition = float(_opposition(vectors)) if enough else float("nan")
    opposition_null = _opposition(drawn) if enough and n_null else NO_NULL
    pairs, angles, between = np.empty((0, 2), np.int64), np.full(n, np.nan), float("nan")
    if enough:
        cosines = vectors @ vectors.T
        partner = cosines.argmin(axis=1)
        mutual = (partner[partner] == np.arange(n)) & (np.arange(n) < partner)
        first = np.flatnonzero(mutual & (cosines[np.arange(n), partner] < -OPPOSED))
        pairs = np.stack([units[first], units[partner[first]]], axis=1)
        if n_dims == 2 and len(first) == 2:
            axes = vectors[first] - vectors[partner[first]]
            cosine = abs(axes[0] @ axes[1]) / np.linalg.norm(axes, axis=1).prod()
            between = float(np.degrees(np.arccos(min(1.0, cosine))))
    resultants, null = {}, {}
    if n_dims == 2 and n:
        angles = np.degrees(np.arctan2(slopes[:, 1], slopes[:, 0]))
        for order in ORDERS:
            resultants[str(order)] = float(np.abs(np.exp(1j * order * np.radians(angles)).mean()))
            turned = (drawn[..., 0] + 1j * drawn[..., 1]) ** order
            null[str(order)] = np.abs(turned.mean(axis=1)) if n_null else NO_NULL
    return Directions(
        units=units,
        slopes=slopes,
        degrees=angles,
        opposition=opposition,
        opposition_null=opposition_null,
        opposition_p=p_value(opposition, opposition_null),
        resultants=resultants,
        resultants_null=null,
        resultants_p={order: p_value(value, null[order]) for order, value in resultants.items()},
        pairs=pairs,
        between_pairs=between,
    )


def _opposition(unit_vectors: np.ndarray) -> np.ndarray:
    """The mean over units of -cos to the most opposite other unit; for a stack of sets `[R, L, D]`."""
    cosines = unit_vectors @ np.swapaxes(unit_vectors, -1, -2)
    return np.asarray(-cosines.min(axis=-1).mean(axis=-1))
