"""A kind of noise: the mirror image of Gumbel noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mtrnn_envs.components import Likelihood, Noise
from mtrnn_envs.components.noise import Gumbel

GUMBEL = Gumbel()


@dataclass(frozen=True)
class Mirrored:
    """The likelihood of -x: `image` is that of Gumbel noise, with arrays `m`, `n` and `unit`."""

    m: Any
    n: Any
    unit: Any

    @property
    def _image(self) -> Likelihood:
        return type(GUMBEL.likelihood(0.0, 1, 1.0))(self.m, self.n, self.unit)

    def log_density(self, x: Any) -> Any:
        """Of -x."""
        return self._image.log_density(-np.asarray(x))

    def log_mass(self) -> Any:
        """The box is its own mirror image."""
        return self._image.log_mass()

    def support(self) -> tuple[Any, Any]:
        """Mirrored."""
        low, high = self._image.support()
        return -high, -low

    def survival(self, x: Any) -> Any:
        """P(X > x) = P(-X < -x)."""
        return 1 - self._image.survival(-np.asarray(x))

    def quantile(self, u: Any) -> Any:
        """Mirrored."""
        return -self._image.quantile(1 - np.asarray(u))


class MirroredGumbel(Noise):
    """-n, with n standardised Gumbel noise."""

    def draw(self, out: Any, rng: Any) -> None:
        """Gumbel noise, mirrored in place."""
        GUMBEL.draw(out, rng)
        out *= -1

    def statistic(self, evidence: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
        """That of the mirror image, mirrored."""
        return -GUMBEL.statistic(-evidence, sigmas)

    def likelihood(self, statistic: Any, n_samples: Any, sigma: float) -> Mirrored:
        """That of the mirror image, mirrored."""
        image: Any = GUMBEL.likelihood(-np.asarray(statistic), n_samples, sigma)
        return Mirrored(image.m, image.n, image.unit)
