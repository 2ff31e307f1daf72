"""A boundary kind: is x* within a ring? `rings` has sections, so that the ideal observer is exact; `fences` has not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mtrnn_envs.components import Section

HALF = 0.5


@dataclass(frozen=True, eq=False)
class Rings:
    """Margin k = radii[k]² - |x - centres[k]|²."""

    centres: np.ndarray
    radii: np.ndarray

    def margins(self, latents: Any) -> Any:
        """Positive inside."""
        centres, radii = self.centres, self.radii
        if not isinstance(latents, np.ndarray):
            centres, radii = latents.new_tensor(centres), latents.new_tensor(radii)
        away = latents[..., None, :] - centres
        return radii**2 - (away**2).sum(-1)

    def section(self, d: int, x: np.ndarray) -> Section:
        """Between the two points of the ring."""
        away = x - self.centres
        away[..., d] = 0
        half = np.sqrt(np.maximum(self.radii**2 - (away**2).sum(axis=-1), 0))
        return Section(self.centres[:, d] - half, self.centres[:, d] + half, False)

    def steepest_latent(self, sigmas: np.ndarray) -> np.ndarray:
        """A ring is as steep along one latent as along another: the noisiest."""
        return np.full(len(self.radii), int(np.argmax(sigmas)))

    def kinks(self, d: int) -> np.ndarray:
        """Where the ring begins and ends, and where it leaves the box."""
        a = 1 - d
        ends = []
        for edge in (None, -HALF, HALF):
            away = 0 if edge is None else edge - self.centres[:, d]
            half = np.sqrt(np.maximum(self.radii**2 - away**2, 0))
            ends += [self.centres[:, a] - half, self.centres[:, a] + half]
        return np.stack(ends, axis=1)


def rings(n_tasks: int, n_dims: int, seed: int) -> Rings:
    """Rings of radius 0.2 to 0.4 around points near the middle."""
    rng = np.random.default_rng(seed)
    return Rings(rng.uniform(-0.2, 0.2, (n_tasks, n_dims)), rng.uniform(0.2, 0.4, n_tasks))


class Fences:
    """The same without sections."""

    def __init__(self, n_tasks: int, n_dims: int, seed: int) -> None:
        self._rings = rings(n_tasks, n_dims, seed)

    def margins(self, latents: Any) -> Any:
        """Positive inside."""
        return self._rings.margins(latents)


class Crooked(Rings):
    """Sections that are not those of the margins."""

    def section(self, d: int, x: np.ndarray) -> Section:
        """Too wide by a quarter."""
        low, high, outside = super().section(d, x)
        assert high is not None
        return Section(low - 0.25, high + 0.25, outside)


def crooked(n_tasks: int, n_dims: int, seed: int) -> Crooked:
    """`rings`, with wrong sections."""
    true = rings(n_tasks, n_dims, seed)
    return Crooked(true.centres, true.radii)


def broken(n_tasks: int, n_dims: int, seed: int) -> Rings:
    """A kind that cannot be had."""
    raise RuntimeError("no rings today")
