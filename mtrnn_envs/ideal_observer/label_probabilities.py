"""Exact answers: P(label = +1 | evidence) for every task, by integrating the posterior over one side of a boundary.

One latent is always integrated in closed form. Given the other latents, the points where the label is +1 form a
section of that latent's line: an interval, or the outside of one; its posterior mass is a difference of distribution
functions. What remains is nothing (D = 1), a Gauss-Legendre quadrature (D = 2) or quasi-Monte Carlo (D > 2).

Letters: N trials, K tasks, D latents, J nodes, G grid points.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

from mtrnn_envs.components.boundaries import Boundary, Section, SectionedBoundary
from mtrnn_envs.components.boundaries.base import HALF, n_tasks_of, rows_of
from mtrnn_envs.components.noise import Likelihood
from mtrnn_envs.ideal_observer.one_latent import marginal
from mtrnn_envs.rng.seeding import seed_sequence
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.utils.arrays import Values

N_GAUSS = 96  # Gauss-Legendre nodes between two breaks
CHUNK = 2**20  # numbers held at a time
SEED_NAME = "rng" if "rng" in inspect.signature(qmc.Sobol).parameters else "seed"  # it depends on the scipy version


def section_mass(part: Section, posterior: Likelihood) -> Values:
    """The probability of a section; the arrays of `posterior` broadcast against those of `part`."""
    mass = posterior.survival(part.low)
    if part.high is not None:
        mass = mass - posterior.survival(part.high)
    return np.where(part.outside, 1 - mass, mass)


def by_dimension(
    boundary: SectionedBoundary, sigmas: Float[np.ndarray, " D"]
) -> list[tuple[int, np.ndarray, SectionedBoundary]]:
    """(d, tasks, their boundaries): the latent d that is integrated in closed form, and the tasks it is chosen for."""
    best = boundary.steepest_latent(sigmas)
    groups = [(d, np.flatnonzero(best == d)) for d in np.unique(best)]
    return [(int(d), rows, rows_of(boundary, rows)) for d, rows in groups]


def breaks(boundary: SectionedBoundary, d: int) -> Float[np.ndarray, "K B"]:
    """For D = 2: the kinks of the boundary that lie in the box, in order; see `SectionedBoundary.kinks`."""
    kinks = np.sort(np.clip(boundary.kinks(d), -HALF, HALF), axis=1)
    return kinks[:, np.any(np.abs(kinks) < HALF, axis=0)]


def panels(edges: Float[np.ndarray, "*N E"], n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights `[*N, J]` over every panel between neighbouring edges."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    low, width = edges[..., :-1, None], np.diff(edges)[..., None]
    shape = (*edges.shape[:-1], -1)
    return (low + 0.5 * width * (nodes + 1)).reshape(shape), (0.5 * width * weights).reshape(shape)


def plane_answers(
    task: EvidenceTask, mean: Float[np.ndarray, "N 2"], n_samples: Float[np.ndarray, " N"], n_nodes: int
) -> Float[np.ndarray, "N K"]:
    """D = 2: quadrature over one latent on the support of its posterior, the other one in closed form."""
    out = np.empty((len(mean), task.n_tasks))
    n_samples = n_samples[:, None, None]
    assert isinstance(task.boundary, SectionedBoundary)
    for d, rows, boundary in by_dimension(task.boundary, np.asarray(task.sigmas)):
        kinks = breaks(boundary, d)
        low, high = map(np.asarray, marginal(task, 1 - d, mean[:, 1 - d, None, None], n_samples).support())
        step = max(1, CHUNK // (n_nodes * (kinks.shape[1] + 1) * len(rows)))
        for i in range(0, len(mean), step):
            here = slice(i, i + step)
            shape = (len(low[here]), len(rows), 1)
            ends = [np.broadcast_to(low[here], shape), np.clip(kinks, low[here], high[here])]
            x, weights = panels(np.concatenate([*ends, np.broadcast_to(high[here], shape)], axis=2), n_nodes)
            x, weights = x.swapaxes(1, 2), weights.swapaxes(1, 2)
            first = marginal(task, 1 - d, mean[here, 1 - d, None, None], n_samples[here])
            second = marginal(task, d, mean[here, d, None, None], n_samples[here])
            log_w = first.log_density(x)
            weights = weights * np.exp(log_w - log_w.max(axis=1, keepdims=True))
            mass = section_mass(boundary.section(d, np.stack([x, x], axis=-1)), second)
            out[here, rows] = np.sum(weights * mass, axis=1) / np.sum(weights, axis=1)
    return out


def grid_answers(
    task: EvidenceTask, boundary: Boundary, grids: list[np.ndarray], n_samples: int
) -> Float[np.ndarray, "K G H"]:
    """P(label = +1) on the grid of statistics m = (grids[0], grids[1]); H is 1 for D = 1. A matrix product a task."""
    if task.n_dims == 1:
        post = marginal(task, 0, grids[0][:, None], n_samples)
        return line_answers(boundary, post).T[:, :, None]
    assert isinstance(boundary, SectionedBoundary)
    out = np.empty((n_tasks_of(boundary), len(grids[0]), len(grids[1])))
    for d, rows, some in by_dimension(boundary, np.asarray(task.sigmas)):
        kinks = breaks(some, d)
        ends = np.full((len(rows), 1), HALF)
        width = float(np.min(marginal(task, 1 - d, 0.0, n_samples).support()[1]))
        x, weights = panels(np.concatenate([-ends, kinks, ends], axis=1), max(N_GAUSS, int(20 / width)))
        first = marginal(task, 1 - d, grids[1 - d][:, None], n_samples)
        second = marginal(task, d, grids[d], n_samples)
        for i, row in enumerate(rows):
            keep = weights[i] > 0
            nodes = x[i, keep]
            density = np.exp(first.log_density(nodes) - first.log_mass()) * weights[i, keep]
            part = rows_of(some, [i]).section(d, np.stack([nodes, nodes], axis=-1)[:, None, :])
            p = density @ section_mass(part, second)
            out[row] = p if d == 1 else p.T
    return np.clip(out, 0, 1)


def line_answers(boundary: Boundary, posterior: Likelihood) -> Float[np.ndarray, "N K"]:
    """D = 1: the closed form; the arrays of `posterior` are `[N, 1]`."""
    assert isinstance(boundary, SectionedBoundary)
    return np.asarray(section_mass(boundary.section(0, np.zeros((1, 1, 1))), posterior))


@lru_cache(maxsize=32)
def sobol(n: int, n_dims: int) -> Float[np.ndarray, "J D"]:
    """Scrambled Sobol points in (0, 1)^D, the same at every call; `n` is a power of 2."""
    seeded: Any = {SEED_NAME: np.random.default_rng(seed_sequence(0, "ideal"))}
    engine = qmc.Sobol(n_dims, **seeded)
    return np.clip(engine.random(n), 1e-12, 1 - 1e-12)


def posterior_points(
    task: EvidenceTask, mean: Float[np.ndarray, "N D"], n_samples: Float[np.ndarray, " N"], n_points: int
) -> Float[np.ndarray, "N J D"]:
    """Quasi-random points from the posterior under the flat prior, through its inverse distribution functions."""
    u = sobol(n_points, task.n_dims)
    out = np.empty((len(mean), n_points, task.n_dims))
    for d in range(task.n_dims):
        out[:, :, d] = marginal(task, d, mean[:, d, None], n_samples[:, None]).quantile(u[:, d])
    return out


def point_answers(
    task: EvidenceTask,
    points: Float[np.ndarray, "N J D"],
    mean: Float[np.ndarray, "N D"],
    n_samples: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, "N J"] | None,
) -> Float[np.ndarray, "N K"]:
    """Any D: the average over posterior points of the section's mass, or of the label where there is no section."""
    out = np.empty((len(mean), task.n_tasks))
    boundary = task.boundary
    if weights is not None or not isinstance(boundary, SectionedBoundary):
        n, j, n_dims = points.shape
        margins = np.asarray(boundary.margins(points.reshape(n * j, n_dims))).reshape(n, j, -1)
        shares = np.full((n, j), 1 / j) if weights is None else weights
        return np.einsum("nj,njk->nk", shares, margins > 0)
    for d, rows, some in by_dimension(boundary, np.asarray(task.sigmas)):
        post = marginal(task, d, mean[:, d, None, None], n_samples[:, None, None])
        out[:, rows] = section_mass(some.section(d, points[:, :, None, :]), post).mean(axis=1)
    return out
