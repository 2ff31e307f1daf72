"""Random draws written into an existing array, from a numpy `Generator`, a torch one or a `Counter`."""

from __future__ import annotations

import numpy as np

from mtrnn_envs.rng.philox import Counter
from mtrnn_envs.utils.arrays import AnyGenerator, Array


def fill_uniform(out: Array, rng: AnyGenerator) -> None:
    """Fills `out` (float64) with draws from [0, 1)."""
    if isinstance(rng, Counter):
        rng.uniform(out)
    elif isinstance(out, np.ndarray):
        rng.random(out=out)
    else:
        out.uniform_(generator=rng)


def fill_normal(out: Array, rng: AnyGenerator) -> None:
    """Fills `out` (float32 or float64) with standard normal draws."""
    if isinstance(rng, Counter):
        rng.normal(out)
    elif isinstance(out, np.ndarray):
        rng.standard_normal(out=out, dtype=out.dtype)
    else:
        out.normal_(generator=rng)


def fill_exponential(out: Array, rng: AnyGenerator) -> None:
    """Fills `out` (float32 or float64) with standard exponential draws."""
    if isinstance(rng, Counter):
        rng.exponential(out)
    elif isinstance(out, np.ndarray):
        rng.standard_exponential(out=out, dtype=out.dtype)
    else:
        out.exponential_(generator=rng)


def fill_integers(out: Array, low: int, high: int, rng: AnyGenerator) -> None:
    """Fills `out` (int64) with integers from `low` to `high`, both included."""
    if isinstance(rng, Counter):
        rng.integers(out, low, high)
    elif isinstance(out, np.ndarray):
        out[...] = rng.integers(low, high + 1, size=out.shape)
    else:
        out.random_(low, high + 1, generator=rng)
