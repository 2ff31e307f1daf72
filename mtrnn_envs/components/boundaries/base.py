"""The contract of a boundary: signed margins, and, if it can, the sections that make the ideal observer exact.

Letters: N trials, K tasks, D latents, B breaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Int8

from mtrnn_envs.utils.arrays import Array, Numbers

HALF = 0.5  # the latents lie in [-HALF, HALF]

AnyBoundary = TypeVar("AnyBoundary", bound="Boundary")


@runtime_checkable
class Boundary(Protocol):
    """The boundaries of all K tasks: an object that gives their margins.

    Without the methods of `SectionedBoundary` the ideal observer is quasi-Monte Carlo.
    """

    def margins(self, latents: Float[Array, "*N D"]) -> Float[Array, "*N K"]:
        """Signed margins, positive where the label is +1; not normalised unless the kind says so."""
        ...


class Section(NamedTuple):
    """Where the label is +1 on a line: between `low` and `high` (None: infinite), or `outside` of them."""

    low: Numbers
    high: Numbers | None
    outside: bool | np.ndarray


@runtime_checkable
class SectionedBoundary(Boundary, Protocol):
    """A boundary that the ideal observer can integrate exactly: one latent in closed form, the others numerically.

    It is a frozen dataclass of arrays whose first axis is the task: `rows_of` takes some of the tasks by index.
    """

    def section(self, d: int, x: Float[np.ndarray, "*N K D"]) -> Section:
        """The section along latent `d` of each task, given the other latents; `x[..., d]` is not used.

        `x` may have one point for all tasks (its axis K is then 1).
        """
        ...

    def steepest_latent(self, sigmas: Float[np.ndarray, " D"]) -> Int[np.ndarray, " K"]:
        """The latent that each boundary cuts most steeply in units of its noise, so that the rest is smooth."""
        ...

    def kinks(self, d: int) -> Float[np.ndarray, "K B"]:
        """For D = 2: values of the latent other than `d` where the mass of a section has a kink, in any order.

        A panel of the quadrature ends at each. Values outside of the box are ignored.
        """
        ...


def rows_of(boundary: AnyBoundary, rows: Sequence[int] | np.ndarray) -> AnyBoundary:
    """The boundary of some of the tasks, by index."""
    some: Any = boundary
    return type(some)(*(getattr(some, field.name)[rows] for field in fields(some)))


def n_tasks_of(boundary: SectionedBoundary) -> int:
    """K, the number of tasks."""
    some: Any = boundary
    return len(getattr(some, fields(some)[0].name))


def labels(boundary: Boundary, latents: Float[Array, "N D"]) -> Int8[Array, "N K"]:
    """+1 where the margin is positive, else -1."""
    if not isinstance(latents, np.ndarray):
        return (boundary.margins(latents) > 0).char() * 2 - 1
    # A few rows at a time: their margins, 8 bytes each, then stay in the processor's cache.
    parts = [boundary.margins(latents[i : i + 256]) > 0 for i in range(0, len(latents), 256)]
    signs = (parts[0] if len(parts) == 1 else np.concatenate(parts)).view(np.int8)
    signs *= 2
    signs -= 1
    return signs


def dot(x: Float[np.ndarray, "*N K D"], rows: Float[np.ndarray, "R D"]) -> Float[np.ndarray, "*N R"]:
    """x · rows[k] for each task k; `x` may have one point for all tasks (K = 1)."""
    return x[..., 0, :] @ rows.T if x.shape[-2] == 1 else np.sum(x * rows, axis=-1)


def without(x: Float[np.ndarray, "*N K D"], d: int) -> Float[np.ndarray, "*N K D"]:
    """A copy of `x` with latent `d` set to 0."""
    others = x.copy()
    others[..., d] = 0
    return others
