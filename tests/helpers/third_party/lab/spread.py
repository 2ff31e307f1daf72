"""A probe and its figure: how far states are from their mean, in units of the standard deviation of x*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mtrnn_analysis import ProbeResult


@dataclass(frozen=True, eq=False, repr=False)
class Spread(ProbeResult):
    """How far states are from their mean."""

    distances: np.ndarray


def spread(states: np.ndarray, latents: np.ndarray, rng: np.random.Generator, *, power: float = 1.0) -> Spread:
    """The mean distance of states from their mean."""
    if not np.isfinite(states).all():
        raise ValueError("states: they must be finite")
    distances = np.linalg.norm(states - states.mean(axis=0), axis=1) ** power / latents.std()
    return Spread(value=float(distances.mean()), n=len(states), settings={"power": power}, distances=distances)


def spread_figure(found: Spread) -> Any:
    """A histogram."""
    figure = Figure()
    figure.subplots().hist(found.distances)
    return figure
