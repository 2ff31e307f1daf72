"""The search for fixed and slow points from states of the data, and the spectra at both.

Axis letters: P points, S components of the state, F features of an observation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_analysis.dynamics.data_states import DataStates, nearest
from mtrnn_analysis.dynamics.levenberg_marquardt import minimise_speed
from mtrnn_analysis.dynamics.spectra import Spectra, spectra
from mtrnn_envs.dynamics import jacobians
from mtrnn_envs.protocols import Dynamics

# Standard deviation of the noise on the starts, as a share of that of each component over the data.
JITTER = 0.1
# Longest step of the minimisation, as a share of the standard deviation of the data, sqrt(trace of covariance).
LONGEST_STEP = 0.03
MAX_ITERATIONS = 250
# q below which a point is fixed, in the unit of the state squared.
TOLERANCE = 1e-10
# A point is near the data if it is no farther from it than this share of states of the data is from other trials.
NEAR = 0.99
# Least ratio of the time constants of modes D and D + 1.
GAP = 3.0
# Jacobians that differ by this share, this share of the data's standard deviation apart, are of two sides of a kink.
KINK, ASIDE = 1e-2, 1e-5
SETTINGS = {"jitter": JITTER, "longest_step": LONGEST_STEP, "max_iterations": MAX_ITERATIONS}
SETTINGS |= {"tolerance": TOLERANCE, "near": NEAR, "gap": GAP}


class Search(NamedTuple):
    """Points at which the minimisation ended, one for each start.

    Attributes:
        points, q, distance, near, kinked, of_points, of_data: see `mtrnn_analysis.dynamics.FixedPoints`.
        slopes, slopes_of_data: Jacobians of F at the points, and at the states of the data that they started from.
        orthants: the orthant of x* of each start.
        value: the share of points that are fixed, near the data, and of a continuum.
    """

    points: Float[np.ndarray, "P S"]
    q: Float[np.ndarray, " P"]
    distance: Float[np.ndarray, " P"]
    near: Bool[np.ndarray, " P"]
    kinked: Bool[np.ndarray, " P"]
    slopes: Float[np.ndarray, "P S S"]
    slopes_of_data: Float[np.ndarray, "P S S"]
    orthants: Int[np.ndarray, " P"]
    of_points: Spectra
    of_data: Spectra
    value: float


def search(
    dynamics: Dynamics,
    data: DataStates,
    resting: Float[np.ndarray, " F"],
    n_starts: int,
    slow: float,
    rng: np.random.Generator,
) -> Search:
    """Minimises the speed from `n_starts` states of the data, with the observation `resting` held."""
    n_dims, size = data.latents.shape[1], data.reference.shape[1]
    if size <= n_dims:
        raise ValueError(f"dynamics has states of {size} components; more than the {n_dims} latents are needed")
    rows = rng.choice(len(data.others), n_starts, replace=len(data.others) < n_starts)
    starts, of_trials = data.others[rows], data.orthants[len(data.reference) :][rows]
    jittered = starts + JITTER * data.deviations * rng.standard_normal(starts.shape)
    longest = LONGEST_STEP * data.scale
    ended = minimise_speed(dynamics, resting, jittered, longest_step=longest, max_iterations=MAX_ITERATIONS)
    seen = np.broadcast_to(resting, (n_starts, len(resting)))
    distance = nearest(ended.states, data.reference)
    near = distance <= np.quantile(data.own, NEAR)
    slopes, slopes_of_data = (jacobians(dynamics, states, seen) for states in (ended.states, starts))
    aside = rng.standard_normal(starts.shape)
    aside *= ASIDE * data.scale / np.linalg.norm(aside, axis=1, keepdims=True)
    turn = jacobians(dynamics, ended.states + aside, seen) - jacobians(dynamics, ended.states - aside, seen)
    kinked = np.abs(turn).max(axis=(1, 2)) > KINK * np.maximum(np.abs(slopes).max(axis=(1, 2)), KINK)
    of_points, of_data = (spectra(each, n_dims, slow, GAP) for each in (slopes, slopes_of_data))
    return Search(
        points=ended.states,
        q=ended.q,
        distance=distance / data.unit,
        near=near,
        kinked=kinked,
        slopes=slopes,
        slopes_of_data=slopes_of_data,
        orthants=of_trials,
        of_points=of_points,
        of_data=of_data,
        value=float(np.mean((ended.q < TOLERANCE) & near & of_points.continuous)),
    )


def affordable_starts(dynamics: Dynamics, most: int) -> int:
    """`most` starts, or fewer from states of more than 128 components: each step solves a system of that size."""
    size = dynamics.start(1).shape[1]
    return min(most, max(8, int(most * (128 / size) ** 3)))


def distinct(points: Float[np.ndarray, "P S"], least: float) -> int:
    """How many of `points` have no point before them within `least`."""
    if not len(points):
        return 0
    apart = np.linalg.norm(points[:, None] - points, axis=2) > least
    return int(np.count_nonzero(~np.triu(~apart, 1).any(axis=0)))
