"""The boundaries of the tasks: each gives, for every task, a signed margin whose sign is the label.

A boundary kind is one entry of `KINDS`; a user's own function of the latents is named as `"module:attribute"`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int8

from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.utils.arrays import like
from mtrnn_envs.utils.validation import attribute_named


@runtime_checkable
class Boundaries(Protocol):
    """What every boundary kind offers."""

    def margins(self, latents: Float[Any, "*N D"]) -> Float[Any, "*N K"]:
        """Signed margins, positive where the label is +1; not normalised unless the kind says so."""
        ...


@dataclass(frozen=True, eq=False)
class Linear:
    """Hyperplanes: margin k = normals[k] · x - offsets[k], with unit normals, so that it is a signed distance.

    Attributes:
        normals: unit vectors, `[K, D]`.
        offsets: distances from the origin, `[K]`, in units of the latents.
    """

    normals: Float[np.ndarray, "K D"]
    offsets: Float[np.ndarray, " K"]

    def margins(self, latents: Float[Any, "*N D"]) -> Float[Any, "*N K"]:
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


@dataclass(frozen=True, eq=False)
class Product:
    """The multiplicative tasks of the paper: +1 where x lies in orthant `signs[k]` and |x_1 ... x_D| > thresholds[k].

    For D = 2 the thresholds are 0.2 linspace(1/(2N), 1, N/4) in each quadrant (public code of arXiv:2407.11249);
    0.2 is 0.8 of the largest product, 2^-D, and this is how other D are scaled here. Classes are unbalanced.
    """

    signs: Float[np.ndarray, "K D"]
    thresholds: Float[np.ndarray, " K"]

    def margins(self, latents: Float[Any, "*N D"]) -> Float[Any, "*N K"]:
        """|x_1 ... x_D| in the orthant, 0 outside, less the threshold."""
        signs, thresholds = like(self.signs, latents), like(self.thresholds, latents)
        # The product of the parts of x that point into the orthant is |x_1 ... x_D| inside it and 0 elsewhere.
        product = (latents[..., :1] * signs[:, 0]).clip(0, None)
        for d in range(1, signs.shape[1]):
            product = product * (latents[..., d : d + 1] * signs[:, d]).clip(0, None)
        return product - thresholds


@dataclass(frozen=True, eq=False)
class Quadric:
    """Quadrics: margin k = xᵀ forms[k] x + slopes[k] · x - offsets[k] (ellipses, hyperbolas, saddles)."""

    forms: Float[np.ndarray, "K D D"]
    slopes: Float[np.ndarray, "K D"]
    offsets: Float[np.ndarray, " K"]

    def margins(self, latents: Float[Any, "*N D"]) -> Float[Any, "*N K"]:
        """Values of the quadratic forms."""
        forms, slopes, offsets = (like(v, latents) for v in (self.forms, self.slopes, self.offsets))
        dims = range(slopes.shape[1])
        total = 0.0 * latents[..., :1] - offsets
        for d in dims:
            total += latents[..., d : d + 1] * slopes[:, d]
            for e in dims:
                total += (latents[..., d] * latents[..., e])[..., None] * forms[:, d, e]
        return total


@dataclass(frozen=True, eq=False)
class Custom:
    """A user's own function from latents `[N, D]` to margins `[N, K]`, of the same kind (numpy or torch) of array."""

    name: str
    n_tasks: int
    function: Callable[[Any], Any]

    def margins(self, latents: Float[Any, "*N D"]) -> Float[Any, "*N K"]:
        """What the function gives.

        Raises:
            ValueError: if it fails, or does not give finite real numbers `[N, K]`.
        """
        given = latents.copy() if isinstance(latents, np.ndarray) else latents.clone()
        try:
            margins = self.function(given)
        except Exception as error:  # whatever a user's function raises, the field that named it is to blame
            raise ValueError(
                f"boundaries={self.name!r} fails on {type(latents).__name__} of shape {tuple(latents.shape)}: {error!r}"
            ) from error
        shape = (*latents.shape[:-1], self.n_tasks)
        if type(margins) is not type(latents) or tuple(margins.shape) != shape:
            raise ValueError(
                f"boundaries={self.name!r} gives a {type(margins).__name__} of shape {np.shape(margins)} for a "
                f"{type(latents).__name__} of shape {tuple(latents.shape)}; the same kind of shape {shape} is needed"
            )
        if isinstance(margins, np.ndarray) and not (margins.dtype.kind in "iuf" and np.isfinite(margins).all()):
            raise ValueError(
                f"boundaries={self.name!r} gives margins that are not finite real numbers ({margins.dtype}); give "
                "how far inside a point is, with a sign"
            )
        return margins


def labels(boundaries: Boundaries, latents: Float[Any, "N D"]) -> Int8[Any, "N K"]:
    """+1 where the margin is positive, else -1."""
    if not isinstance(latents, np.ndarray):
        return (boundaries.margins(latents) > 0).char() * 2 - 1
    # A few rows at a time: their margins, 8 bytes each, then stay in the processor's cache.
    parts = [boundaries.margins(latents[i : i + 256]) > 0 for i in range(0, len(latents), 256)]
    signs = (parts[0] if len(parts) == 1 else np.concatenate(parts)).view(np.int8)
    signs *= 2
    signs -= 1
    return signs


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


def product(n_tasks: int, n_dims: int, seed: int) -> Product:
    """See `Product`; N must be a multiple of 2^D."""
    if n_dims > 13:
        raise ValueError(f"n_dims={n_dims} is too many for boundaries='product', which takes 13 at most")
    if n_tasks % 2**n_dims:
        raise ValueError(
            f"n_tasks={n_tasks} is not a multiple of 2**n_dims={2**n_dims}, which boundaries='product' needs: "
            "each orthant has equally many tasks"
        )
    n_each = n_tasks // 2**n_dims
    orthants = np.array([[1 - 2 * (q >> d & 1) for d in range(n_dims)] for q in range(2**n_dims)], dtype=float)
    thresholds = 0.8 * 0.5**n_dims * np.linspace(1 / (2 * n_tasks), 1, n_each)
    return Product(np.repeat(orthants, n_each, axis=0), np.tile(thresholds, 2**n_dims))


def quadric(n_tasks: int, n_dims: int, seed: int) -> Quadric:
    """Random quadrics: curvatures of random sign and size in [0.5, 1], random axes and centre, balanced classes.

    The offset is the median of the form over a fixed sample of the prior, so about half of it is on either side.
    """
    if n_tasks * n_dims**2 > 100_000:
        raise ValueError(
            f"n_tasks={n_tasks} and n_dims={n_dims} are too many for boundaries='quadric', which takes "
            "n_tasks * n_dims**2 of 100000 at most"
        )
    rng = generator(seed, "boundaries")
    axes = np.linalg.qr(rng.standard_normal((n_tasks, n_dims, n_dims)))[0]
    curvatures = rng.uniform(0.5, 1, (n_tasks, n_dims)) * rng.choice([-1.0, 1.0], (n_tasks, n_dims))
    forms = np.einsum("kde,ke,kfe->kdf", axes, curvatures, axes)
    slopes = -2 * np.einsum("kde,ke->kd", forms, rng.uniform(-0.25, 0.25, (n_tasks, n_dims)))
    centred = Quadric(forms, slopes, np.zeros(n_tasks))
    return Quadric(forms, slopes, np.median(centred.margins(rng.uniform(-0.5, 0.5, (4096, n_dims))), axis=0))


KINDS: dict[str, Callable[[int, int, int], Boundaries]] = {
    "linear": linear,
    "even": even_lines,
    "random": random_hyperplanes,
    "spread": spread_hyperplanes,
    "affine": affine,
    "product": product,
    "quadric": quadric,
}


def build(kind: str, n_tasks: int, n_dims: int, seed: int) -> Boundaries:
    """The boundaries named by `kind`: one of `KINDS`, or `"module:attribute"`, a function of latents `[N, D]`.

    Raises:
        ValueError: if the kind is unknown, cannot be had for these numbers, or a user's function does not import
            or does not return `[N, K]`.
    """
    if kind in KINDS:
        return _built_in(kind, n_tasks, n_dims, seed)
    if ":" in kind:
        return _custom(kind, n_tasks, n_dims)
    raise ValueError(f"boundaries={kind!r} is not one of {sorted(KINDS)} nor of the form 'module:attribute'")


@lru_cache(maxsize=256)
def _built_in(kind: str, n_tasks: int, n_dims: int, seed: int) -> Boundaries:
    return KINDS[kind](n_tasks, n_dims, seed)


def _custom(name: str, n_tasks: int, n_dims: int) -> Custom:
    """Imports a user's function and tries it. Not cached: in a notebook it may be defined anew."""
    try:
        function = attribute_named(name)
    except Exception as error:  # importing runs a user's code, which may raise anything
        raise ValueError(f"boundaries={name!r} cannot be imported: {error!r}") from error
    if not callable(function):
        raise ValueError(f"boundaries={name!r} is not a function of latents [N, D]")
    custom = Custom(name, n_tasks, function)
    for n in (1, 5):
        points = np.linspace(-0.49, 0.48, n * n_dims).reshape(n, n_dims)
        if not np.array_equal(custom.margins(points), custom.margins(points)):
            raise ValueError(f"boundaries={name!r} gives other margins for the same latents each time")
    return custom


def fingerprint(boundaries: Boundaries, n_dims: int) -> str:
    """A hash of margins at some points, by which boundaries that have changed under their name are known."""
    points = np.linspace(-0.49, 0.48, 16 * n_dims).reshape(16, n_dims)
    return hashlib.sha256(boundaries.margins(points).tobytes()).hexdigest()[:16]
