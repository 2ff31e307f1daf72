"""The grid on which optimal stopping is solved: its points at every step, and how beliefs move between them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from mtrnn_envs.ideal_observer.expected_accuracy import Distinct, statistic_grid
from mtrnn_envs.ideal_observer.one_latent import marginal, moments, standard_errors
from mtrnn_envs.task import EvidenceTask

MAX_POINTS = 241  # on a side


def time_grid(task: EvidenceTask, d: int, t: int) -> Float[np.ndarray, " G"]:
    """Three points a standard error, as far as `MAX_POINTS` allows."""
    grid = statistic_grid(task, d, t, 3.0, 121)
    return grid if len(grid) <= MAX_POINTS else np.linspace(grid[0], grid[-1], MAX_POINTS)


def spacing(task: EvidenceTask, d: int, t: int) -> float:
    """The spacing of the grid in standard errors."""
    grid = time_grid(task, d, t)
    return float((grid[1] - grid[0]) / standard_errors(task, t)[d])


def transition(task: EvidenceTask, d: int, t: int, here: np.ndarray, there: np.ndarray) -> Float[np.ndarray, "G H"]:
    """The law of the next statistic of latent `d`, as weights on the next grid (cubic interpolation between points)."""
    now = marginal(task, d, here, t)
    expected, variance = moments(now)
    centre = (t * here + expected) / (t + 1)
    spread = np.sqrt(variance + task.sigmas[d] ** 2) / (t + 1)
    m = centre[:, None] + spread[:, None] * np.linspace(-7, 7, 57)
    step_sd = task.sigmas[d] / np.sqrt(t * (t + 1))
    log_w = -0.5 * ((m - here[:, None]) / step_sd) ** 2 + marginal(task, d, m, t + 1).log_mass()
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    w /= w.sum(axis=1, keepdims=True)
    place = np.clip((m - there[0]) / (there[1] - there[0]), 0, len(there) - 1)
    base = np.clip(np.floor(place).astype(int), 1, len(there) - 3)
    f = place - base
    cubic = [
        -f * (f - 1) * (f - 2) / 6,
        (f + 1) * (f - 1) * (f - 2) / 2,
        -(f + 1) * f * (f - 2) / 2,
        (f + 1) * f * (f - 1) / 6,
    ]
    out = np.zeros((len(here), len(there)))
    rows = np.broadcast_to(np.arange(len(here))[:, None], base.shape)
    for offset, share in zip((-1, 0, 1, 2), cubic, strict=True):
        np.add.at(out, (rows, base + offset), w * share)
    return out


def mean_over_tasks(values: Float[np.ndarray, "U G H"], distinct: Distinct) -> Float[np.ndarray, "1 G H"]:
    """The mean over all tasks on the grid, from that of the tasks that differ: mirrored, then swapped, back."""
    total = np.zeros(values.shape[1:])
    for u, flips, swap in zip(distinct.index, distinct.flips, distinct.swap, strict=True):
        one = values[u].T if swap else values[u]
        one = one[::-1] if flips[0] < 0 else one
        total += one[:, ::-1] if len(flips) > 1 and flips[1] < 0 else one
    return total[None] / len(distinct.index)
