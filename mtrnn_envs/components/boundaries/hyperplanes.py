"""Hyperplanes: evenly spaced lines, random, spread or affine ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs.components.boundaries.base import HALF, Section, dot, without
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.utils.arrays import Array, like


@dataclass(frozen=True, eq=False)
class Linear:
    """Hyperplanes: margin k = normals[k] · x - offsets[k], with unit normals, so that it is a signed distance.

    Attributes:
        normals: unit vectors, `[K, D]`.
        offsets: distances from the origin, `[K]`, in units of the latents.
    """

    normals: Float[np.ndarray, "K D"]
    offsets: Float[np.ndarray, " K"]

    def margins(self, latents: Float[Array, "*N D"]) -> Float[Array, "*N K"]:
        """Signed distances."""
        # Added up dimension by dimension: a matrix product would round differently in batches of different sizes.
        first, *others = (like(column, latents) for column in self._columns)
        total = latents[..., :1] * first
        for d, column in enumerate(others, 1):
            total += latents[..., d : d + 1] * column
        if self._is_affine:
            total -= like(self.offsets, latents)
        return total

    @cached_property
    def _columns(self) -> list[np.ndarray]:
        return list(np.ascontiguousarray(self.normals.T))

    @cached_property
    def _is_affine(self) -> bool:
        return bool(self.offsets.any())

    def section(self, d: int, x: Float[np.ndarray, "*N K D"]) -> Section:
        """A half-line that begins on the hyperplane."""
        c = self.normals
        return Section((self.offsets - dot(without(x, d), c)) / c[:, d], None, c[:, d] < 0)

    def steepest_latent(self, sigmas: Float[np.ndarray, " D"]) -> Int[np.ndarray, " K"]:
        """The latent with the largest component of the normal, in units of its noise."""
        return np.argmax(np.abs(self.normals) * sigmas + 1e-12 * np.arange(len(sigmas)), axis=1)

    def kinks(self, d: int) -> Float[np.ndarray, "K B"]:
        """Where the line leaves the box."""
        c, a = self.normals, 1 - d
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = (self.offsets[:, None] + np.outer(c[:, d], [-HALF, HALF])) / c[:, [a]]
        return np.nan_to_num(ends, nan=HALF)


def even_lines(n_tasks: int, n_dims: int, seed: int) -> Linear:
    """Lines through the origin at angles pi/N (k + 1/2): label +1 where x_2 > tan(angle) x_1 (public code)."""
    if n_dims != 2:
        raise ValueError(f"boundaries='even' needs n_dims=2, got n_dims={n_dims}; use 'random' or 'spread'")
    angles = np.pi / n_tasks * (np.arange(n_tasks) + 0.5)
    normals = np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    return Linear(normals * np.where(np.cos(angles) < 0, -1.0, 1.0)[:, None], np.zeros(n_tasks))


def random_hyperplanes(n_tasks: int, n_dims: int, seed: int) -> Linear:
    """Hyperplanes through the origin with unit normals uniform on the sphere."""
    return Linear(_unit_normals(generator(seed, "boundaries"), n_tasks, n_dims), np.zeros(n_tasks))


def _unit_normals(rng: np.random.Generator, n_tasks: int, n_dims: int) -> Float[np.ndarray, "K D"]:
    normals = rng.standard_normal((n_tasks, n_dims))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def spread_hyperplanes(n_tasks: int, n_dims: int, seed: int, n_iterations: int = 500) -> Linear:
    """Hyperplanes through the origin pushed apart from a random start, close to the best packing of lines.

    Descent on sum_ij |c_i · c_j|^p with p rising from 4 to 64: for large p only the closest pair counts. The best
    packings are those of Conway, Hardin & Sloane 1996, doi:10.1080/10586458.1996.10504585.
    """
    if n_tasks > 1000:
        raise ValueError(f"n_tasks={n_tasks} is too many for boundaries='spread', which takes 1000 at most")
    normals = random_hyperplanes(n_tasks, n_dims, seed).normals
    for i in range(n_iterations):
        done = i / n_iterations
        cosines = normals @ normals.T - np.eye(n_tasks)
        gradient = (np.sign(cosines) * np.abs(cosines) ** (4 * 16**done - 1)) @ normals
        gradient -= np.sum(gradient * normals, axis=1, keepdims=True) * normals
        size = np.linalg.norm(gradient, axis=1).max()
        normals = normals - 0.2 * (1 - done) * gradient / max(size, 1e-300)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Linear(normals, np.zeros(n_tasks))


def linear(n_tasks: int, n_dims: int, seed: int) -> Linear:
    """The linear tasks of the paper: evenly spaced lines for D = 2, random hyperplanes for other D."""
    return (even_lines if n_dims == 2 else random_hyperplanes)(n_tasks, n_dims, seed)


def affine(n_tasks: int, n_dims: int, seed: int) -> Linear:
    """Random unit normals, each hyperplane through its own point uniform on [-0.3, 0.3]^D: most miss the origin."""
    rng = generator(seed, "boundaries")
    normals = _unit_normals(rng, n_tasks, n_dims)
    points = rng.uniform(-0.3, 0.3, (n_tasks, n_dims))
    return Linear(normals, np.sum(normals * points, axis=1))
