"""Exact answers: P(label = +1 | evidence) for every task, by integrating the posterior over one side of a boundary.

One latent is always integrated in closed form. Given the other latents, the points where the label is +1 form a
section of that latent's line: an interval, or the outside of one; its posterior mass is a difference of distribution
functions. What remains is nothing (D = 1), a Gauss-Legendre quadrature (D = 2) or quasi-Monte Carlo (D > 2).

Letters: N trials, K tasks, D latents, J nodes, G grid points.
"""

from __future__ import annotations

import inspect
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

from mtrnn_envs.components.boundaries import Boundaries, Custom, Linear, Product, Quadric
from mtrnn_envs.ideal_observer.latent_posterior import HALF, Marginal, marginal
from mtrnn_envs.rng.seeding import seed_sequence

if TYPE_CHECKING:
    from mtrnn_envs.task import EvidenceTask

N_GAUSS = 96  # Gauss-Legendre nodes between two breaks
CHUNK = 2**20  # numbers held at a time
SEED_NAME = "rng" if "rng" in inspect.signature(qmc.Sobol).parameters else "seed"  # it depends on the scipy version


class Section(NamedTuple):
    """Where the label is +1 on a line: between `low` and `high` (None: infinite), or `outside` of them."""

    low: Any
    high: Any
    outside: Any


def section(boundary: Boundaries, d: int, x: Float[np.ndarray, "*N K D"]) -> Section:
    """The section along latent `d` of each task (last axis, K), given the other latents; `x[..., d]` is not used."""
    others = x.copy()
    others[..., d] = 0
    if isinstance(boundary, Linear):
        c = boundary.normals
        return Section((boundary.offsets - _dot(others, c)) / c[:, d], None, c[:, d] < 0)
    if isinstance(boundary, Product):
        sides = boundary.signs
        product = np.ones(1)
        for e in range(x.shape[-1]):
            if e != d:
                product = product * np.clip(x[..., e] * sides[:, e], 0, None)
        reach = boundary.thresholds / np.maximum(product, 1e-300)
        return Section(np.where(sides[:, d] > 0, reach, -np.inf), np.where(sides[:, d] > 0, np.inf, -reach), False)
    if isinstance(boundary, Quadric):
        a = boundary.forms[:, d, d]
        a = np.where(np.abs(a) < 1e-12, 1e-12, a)
        b = boundary.slopes[:, d] + _dot(others, boundary.forms[:, d] + boundary.forms[:, :, d])
        c = _dot(others, boundary.slopes) - boundary.offsets
        for e in range(x.shape[-1]):
            c = c + others[..., e] * _dot(others, boundary.forms[:, e])
        q = -0.5 * (b + np.where(b < 0, -1.0, 1.0) * np.sqrt(np.maximum(b * b - 4 * a * c, 0)))
        roots = q / a, np.divide(c, q, out=np.zeros(np.shape(q)), where=q != 0)
        real = b * b > 4 * a * c
        return Section(np.where(real, np.minimum(*roots), 0.0), np.where(real, np.maximum(*roots), 0.0), a > 0)
    raise TypeError(f"sections are known of linear, product and quadric boundaries, not of {type(boundary).__name__}")


def section_mass(part: Section, posterior: Marginal) -> Any:
    """The probability of a section; the arrays of `posterior` broadcast against those of `part`."""
    mass = posterior.survival(part.low)
    if part.high is not None:
        mass = mass - posterior.survival(part.high)
    return np.where(part.outside, 1 - mass, mass)


def by_dimension(boundary: Boundaries, sigmas: Float[np.ndarray, " D"]) -> list[tuple[int, Any, Boundaries]]:
    """(d, tasks, their boundaries): the latent d that is integrated in closed form, and the tasks it is chosen for.

    It is the latent that the boundary cuts most steeply in units of its noise, so that the rest is smooth.
    """
    if isinstance(boundary, Linear):
        best = np.argmax(np.abs(boundary.normals) * sigmas + 1e-12 * np.arange(len(sigmas)), axis=1)
    elif isinstance(boundary, Quadric):
        best = np.argmax(np.abs(np.diagonal(boundary.forms, axis1=1, axis2=2)) * sigmas, axis=1)
    elif isinstance(boundary, Product):
        best = np.full(len(boundary.signs), len(sigmas) - 1)
    else:
        raise TypeError(f"sections are known of linear, product and quadric boundaries, not of {boundary!r}")
    groups = [(d, np.flatnonzero(best == d)) for d in np.unique(best)]
    return [(int(d), rows, rows_of(boundary, rows)) for d, rows in groups]


def rows_of(boundary: Any, rows: Any) -> Any:
    """The boundary of some of the tasks."""
    return type(boundary)(*(getattr(boundary, field.name)[rows] for field in fields(boundary)))


def breaks(boundary: Boundaries, d: int) -> Float[np.ndarray, "K B"]:
    """For D = 2: values of the latent other than `d` where the mass of a section has a kink, in order.

    For quadrics these are where a root leaves the box or appears; a panel of the quadrature ends at each.
    """
    a = 1 - d
    if isinstance(boundary, Linear):
        c = boundary.normals
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = (boundary.offsets[:, None] + np.outer(c[:, d], [-HALF, HALF])) / c[:, [a]]
        kinks = np.nan_to_num(ends, nan=HALF)
    elif isinstance(boundary, Product):
        kinks = (boundary.signs[:, a] * boundary.thresholds / HALF)[:, None]
    elif isinstance(boundary, Quadric):
        rows = zip(boundary.forms, boundary.slopes, boundary.offsets, strict=True)
        kinks = np.array([_quadric_breaks(*row, d) for row in rows])
    else:
        raise TypeError(f"breaks are known of linear, product and quadric boundaries, not of {boundary!r}")
    kinks = np.sort(np.clip(kinks, -HALF, HALF), axis=1)
    return kinks[:, np.any(np.abs(kinks) < HALF, axis=0)]


def _quadric_breaks(form: Any, slope: Any, offset: float, d: int) -> list[float]:
    a, cross = 1 - d, form[0, 1] + form[1, 0]
    edge = [
        [form[a, a], slope[a] + cross * x, form[d, d] * x * x + slope[d] * x - offset]  # as a function of x_a
        for x in (-HALF, HALF)
    ]
    b = [cross, slope[d]]
    fold = np.polysub(np.polymul(b, b), 4 * form[d, d] * np.array([form[a, a], slope[a], -offset]))
    real = []
    for polynomial in (*edge, fold):
        roots = np.roots(polynomial)
        kept = [float(r.real) for r in roots if abs(r.imag) < 1e-12]
        real += kept + [HALF] * (2 - len(kept))
    return real


def panels(edges: Float[np.ndarray, "*N E"], n_nodes: int) -> tuple[Any, Any]:
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
    for d, rows, boundary in by_dimension(task.boundary, np.asarray(task.sigmas)):
        kinks = breaks(boundary, d)
        low, high = marginal(task, 1 - d, mean[:, 1 - d, None, None], n_samples).support()
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
            mass = section_mass(section(boundary, d, np.stack([x, x], axis=-1)), second)
            out[here, rows] = np.sum(weights * mass, axis=1) / np.sum(weights, axis=1)
    return out


def grid_answers(
    task: EvidenceTask, boundary: Boundaries, grids: list[Any], n_samples: int
) -> Float[np.ndarray, "K G H"]:
    """P(label = +1) on the grid of statistics m = (grids[0], grids[1]); H is 1 for D = 1. A matrix product a task."""
    if task.n_dims == 1:
        post = marginal(task, 0, grids[0][:, None], n_samples)
        return line_answers(boundary, post).T[:, :, None]
    n_tasks = len(getattr(boundary, fields(boundary)[0].name))  # pyright: ignore[reportArgumentType]
    out = np.empty((n_tasks, len(grids[0]), len(grids[1])))
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
            part = section(rows_of(some, [i]), d, np.stack([nodes, nodes], axis=-1)[:, None, :])
            p = density @ section_mass(part, second)
            out[row] = p if d == 1 else p.T
    return np.clip(out, 0, 1)


def line_answers(boundary: Boundaries, posterior: Marginal) -> Float[np.ndarray, "N K"]:
    """D = 1: the closed form; the arrays of `posterior` are `[N, 1]`."""
    return np.asarray(section_mass(section(boundary, 0, np.zeros((1, 1, 1))), posterior))


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
    if weights is not None or isinstance(boundary, Custom):
        n, j, n_dims = points.shape
        margins = np.asarray(boundary.margins(points.reshape(n * j, n_dims))).reshape(n, j, -1)
        shares = np.full((n, j), 1 / j) if weights is None else weights
        return np.einsum("nj,njk->nk", shares, margins > 0)
    for d, rows, some in by_dimension(boundary, np.asarray(task.sigmas)):
        post = marginal(task, d, mean[:, d, None, None], n_samples[:, None, None])
        out[:, rows] = section_mass(section(some, d, points[:, :, None, :]), post).mean(axis=1)
    return out


def _dot(x: Float[np.ndarray, "*N K D"], rows: Float[np.ndarray, "R D"]) -> Float[np.ndarray, "*N R"]:
    """x · rows[k] for each task k; `x` may have one point for all tasks (K = 1)."""
    return x[..., 0, :] @ rows.T if x.shape[-2] == 1 else np.sum(x * rows, axis=-1)
