"""A user's own boundaries: a function of the latents, or a kind of their own, named as "module:attribute"."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mtrnn_envs.components.boundaries.base import HALF, Boundary, SectionedBoundary
from mtrnn_envs.utils.arrays import Array
from mtrnn_envs.utils.validation import kind_named

# The parameters of a kind; a function with any others is one from latents to margins.
OF_A_KIND = ["n_tasks", "n_dims", "seed"]


@dataclass(frozen=True, eq=False)
class Custom:
    """A user's own function from latents `[N, D]` to margins `[N, K]`, of the same kind (numpy or torch) of array."""

    name: str
    n_tasks: int
    function: Callable[[Array], Array]

    def margins(self, latents: Float[Array, "*N D"]) -> Float[Array, "*N K"]:
        """The margins that the function gives.

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


def custom_boundary(name: str, n_tasks: int, n_dims: int, seed: int) -> Boundary:
    """Imports a user's boundaries and tries them. Not cached: in a notebook they may be defined anew.

    Raises:
        ValueError: if the name cannot be imported, cannot be called, or gives no finite margins `[N, K]`, the same ones
            each time.
    """
    function = kind_named("boundaries", name, {})
    if not callable(function):
        raise ValueError(f"boundaries={name!r} is not a function of latents [N, D]")
    made: Boundary | None = None
    if _parameters(function) == OF_A_KIND:
        try:
            given = function(n_tasks, n_dims, seed)
        except Exception as error:  # whatever a user's function raises, the field that named it is to blame
            raise ValueError(f"boundaries={name!r} fails for {n_tasks} tasks of {n_dims} latents: {error!r}") from error
        if not isinstance(given, Boundary):
            raise ValueError(f"boundaries={name!r} gives a {type(given).__name__} without margins(latents)")
        made = given
    tried = Custom(name, n_tasks, function if made is None else made.margins)
    for n in (1, 5):
        points = np.linspace(-0.49, 0.48, n * n_dims).reshape(n, n_dims)
        if not np.array_equal(tried.margins(points), tried.margins(points)):
            raise ValueError(f"boundaries={name!r} gives other margins for the same latents each time")
    if not isinstance(made, SectionedBoundary):
        return tried
    _check_sections(name, made, np.random.default_rng(0).uniform(-HALF, HALF, (64, n_dims)))
    return made


def _check_sections(name: str, boundary: SectionedBoundary, points: Float[np.ndarray, "N D"]) -> None:
    """Raises `ValueError` if the sections of a boundary are not where its margins are positive."""
    positive = boundary.margins(points) > 0
    for d in range(points.shape[1]):
        low, high, outside = boundary.section(d, points[:, None, :])
        at = points[:, d, None]
        inside = (at > low) & (True if high is None else at < high)
        if wrong := int(np.sum((inside != outside) != positive)):
            raise ValueError(
                f"boundaries={name!r}: section({d}, x) and margins(x) disagree on {wrong} of {positive.size} labels"
            )


def _parameters(function: Callable[..., object]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # some functions of C have no signature
        return []
