"""Sparseness of units, and which of them are dead, constant, faint or live. Axis letters: N trials, H units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# A unit that varies less than this share of its largest value is a constant up to float32.
ROUNDING = 1e-6
# The least standard deviation of a unit that counts, relative to the greatest of any unit.
LEAST_SD = 0.01


class Activity(NamedTuple):
    """Masks of units that are dead, constant, faint and live over given trials.

    Attributes:
        dead: 0 on every trial, `[H]`.
        constant: another number on every trial, `[H]`.
        faint: vary, but by less than `LEAST_SD` of the unit that varies most (standard deviations), `[H]`.
        live: all others, `[H]`.
    """

    dead: np.ndarray
    constant: np.ndarray
    faint: np.ndarray
    live: np.ndarray


def treves_rolls(rates: Float[np.ndarray, "*all"], axis: int = 0) -> Float[np.ndarray, "*rest"]:
    """The activity ratio a = (mean r)² / mean r² of rates along an axis: 1 if all are equal, 1/n if one alone is not 0.

    Treves & Rolls 1991, doi:10.1088/0954-898X_2_4_004. NaN where all rates are 0.

    Raises:
        ValueError: if a rate is negative: then the mean may vanish, and the ratio means nothing.
    """
    if rates.size and rates.min() < 0:
        raise ValueError(f"rates has values down to {rates.min():.3g}; sparseness is defined for rates of 0 or more")
    squares = np.mean(np.square(rates), axis=axis)
    return np.where(squares > 0, np.mean(rates, axis=axis) ** 2 / np.where(squares > 0, squares, 1), np.nan)


def sparseness(rates: Float[np.ndarray, "*all"], axis: int = 0) -> Float[np.ndarray, "*rest"]:
    """S = (1 - a) / (1 - 1/n), a the ratio of `treves_rolls`: 0 if all n rates are equal, 1 if one alone is not 0.

    Vinje & Gallant 2000, doi:10.1126/science.287.5456.1273. Along trials it is lifetime sparseness, along units
    population sparseness. NaN where all rates are 0: a silent unit is not a sparse one.

    Raises:
        ValueError: if a rate is negative, or there is only one along the axis.
    """
    if rates.shape[axis] < 2:
        raise ValueError(f"rates has {rates.shape[axis]} values along axis {axis}; 2 or more are needed")
    return np.asarray((1 - treves_rolls(rates, axis)) / (1 - 1 / rates.shape[axis]))


def activity(states: Float[np.ndarray, "N H"]) -> Activity:
    """Finds dead, constant, faint and live units (see `Activity`).

    Raises:
        ValueError: if none is live.
    """
    largest, spread, sd = np.abs(states).max(axis=0), np.ptp(states, axis=0), states.std(axis=0)
    fixed = spread <= ROUNDING * largest
    dead = largest == 0
    faint = ~fixed & (sd < LEAST_SD * sd[~fixed].max(initial=0))
    if fixed.all():
        raise ValueError(f"states has {states.shape[1]} units, and none varies over the {len(states)} trials")
    return Activity(dead, fixed & ~dead, faint, ~fixed & ~faint)
