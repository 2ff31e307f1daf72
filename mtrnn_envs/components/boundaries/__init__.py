"""The boundaries of the tasks: each gives, for every task, a signed margin whose sign is the label.

A kind is one file and one entry of `KINDS`: a function of (n_tasks, n_dims, seed) that gives a `Boundary`. One of your
own is named "module:attribute" and needs no entry; so is a plain function of the latents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from mtrnn_envs.components.boundaries.base import Boundary, Section, SectionedBoundary, labels
from mtrnn_envs.components.boundaries.custom import Custom, custom_boundary
from mtrnn_envs.components.boundaries.hyperplanes import (
    Linear,
    affine,
    even_lines,
    linear,
    random_hyperplanes,
    spread_hyperplanes,
)
from mtrnn_envs.components.boundaries.products import Product, product
from mtrnn_envs.components.boundaries.quadrics import Quadric, quadric

__all__ = [
    "KINDS",
    "Boundary",
    "Custom",
    "Linear",
    "Product",
    "Quadric",
    "Section",
    "SectionedBoundary",
    "affine",
    "build",
    "even_lines",
    "fingerprint",
    "labels",
    "random_hyperplanes",
]

KINDS: dict[str, Callable[[int, int, int], Boundary]] = {
    "linear": linear,
    "even": even_lines,
    "random": random_hyperplanes,
    "spread": spread_hyperplanes,
    "affine": affine,
    "product": product,
    "quadric": quadric,
}


def build(kind: str, n_tasks: int, n_dims: int, seed: int) -> Boundary:
    """The boundaries named by `kind`: one of `KINDS`, or "module:attribute".

    The attribute is a function of (n_tasks, n_dims, seed), as those of `KINDS` are, or one from latents `[N, D]` to
    margins `[N, K]`.

    Raises:
        ValueError: if the kind is unknown, cannot be had for these numbers, or a user's own does not import or does not
            give `[N, K]`.
    """
    if kind in KINDS:
        return _built_in(kind, n_tasks, n_dims, seed)
    if ":" in kind:
        return custom_boundary(kind, n_tasks, n_dims, seed)
    raise ValueError(f"boundaries={kind!r} is not one of {sorted(KINDS)} nor of the form 'module:attribute'")


@lru_cache(maxsize=256)
def _built_in(kind: str, n_tasks: int, n_dims: int, seed: int) -> Boundary:
    return KINDS[kind](n_tasks, n_dims, seed)


def fingerprint(boundaries: Boundary, n_dims: int) -> str:
    """A hash of margins at some points, by which boundaries that have changed under their name are known."""
    points = np.linspace(-0.49, 0.48, 16 * n_dims).reshape(16, n_dims)
    return hashlib.sha256(boundaries.margins(points).tobytes()).hexdigest()[:16]
