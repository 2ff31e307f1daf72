"""Gaussian noise, independent from step to step or AR(1).

The likelihood of x is N(x; m, s²). For independent samples m is their mean and s = sigma / sqrt(t). For AR(1) noise
with coefficient a, m is the generalised least squares mean (the first and the last sample weigh 1, those between
1 - a), and t is replaced by the effective number of samples, ((1 - a) t + 2 a) / (1 + a).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from mtrnn_envs.components.noise.base import HALF, NARROWEST, NEGLIGIBLE, Noise
from mtrnn_envs.rng.fill import fill_normal
from mtrnn_envs.utils.arrays import AnyGenerator, Array, Numbers, Values


@dataclass(frozen=True)
class Gaussian(Noise):
    """Gaussian noise; with `autocorrelation` a it is AR(1) from its stationary state.

    n_1 = e_1 and n_t = a n_{t-1} + sqrt(1 - a²) e_t, with e independent standard normals.
    """

    autocorrelation: float = 0.0

    reach = 6.0
    edge = 9.0
    symmetric = True
    cost = 1

    @property
    def gaussian_steps(self) -> bool:
        """Unless samples are correlated."""
        return not self.autocorrelation

    def draw(self, out: Float[Array, "N S D"], rng: AnyGenerator) -> None:
        """Standard normals, then the recursion in place."""
        fill_normal(out, rng)
        if a := self.autocorrelation:
            fresh = float(np.sqrt(1 - a * a))
            for s in range(1, out.shape[1]):
                out[:, s] *= fresh
                out[:, s] += a * out[:, s - 1]

    def statistic(
        self, evidence: Float[np.ndarray, "N S D"], sigmas: Float[np.ndarray, " D"]
    ) -> Float[np.ndarray, "N S D"]:
        """The (generalised least squares) mean."""
        shown, a = evidence.astype(float), self.autocorrelation
        t = np.arange(1, shown.shape[1] + 1)[:, None]
        return ((1 - a) * np.cumsum(shown, axis=1) + a * (shown[:, :1] + shown)) / ((1 - a) * t + 2 * a)

    def likelihood(self, statistic: Numbers, n_samples: Numbers, sigma: float) -> Normal:
        """A normal around the statistic."""
        return Normal(statistic, sigma / np.sqrt(self.effective_samples(n_samples)))

    def effective_samples(self, n_samples: Numbers) -> Values:
        """Fewer than there are, if neighbours are alike."""
        a = self.autocorrelation
        return ((1 - a) * np.asarray(n_samples, float) + 2 * a) / (1 + a)

    def draw_statistic(
        self,
        latents: Float[np.ndarray, "N D"],
        n_samples: Int[np.ndarray, " N"],
        sigmas: Float[np.ndarray, " D"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "N D"]:
        """A normal around each latent."""
        return latents + self.standard_error(n_samples[:, None], sigmas) * rng.standard_normal(latents.shape)


@dataclass(frozen=True, eq=False)
class Normal:
    """Gaussian likelihood of x: mean `m` and standard deviation `s`, arrays that broadcast; truncated to the box."""

    m: Numbers
    s: Numbers

    def log_density(self, x: Numbers) -> Values:
        """ln N(x; m, s²): normalised over the real line, not over the box."""
        return -0.5 * ((x - self.m) / self.s) ** 2 - np.log(self.s * np.sqrt(2 * np.pi))

    def log_mass(self) -> Values:
        """ln P(|x| < 1/2), which is also the log density of m when x is uniform on the box."""
        near, far = self._tails(-HALF), self._tails(HALF)
        return near + np.log(-np.expm1(far - near))

    def support(self) -> tuple[Values, Values]:
        """The part of the box outside which the density is negligible."""
        peak = np.clip(self.m, -HALF, HALF)
        away = np.abs(self.m - peak)
        width = 2 * NEGLIGIBLE * self.s**2 / (np.sqrt(away**2 + 2 * NEGLIGIBLE * self.s**2) + away)
        width = np.maximum(width, NARROWEST)
        return np.maximum(peak - width, -HALF), np.minimum(peak + width, HALF)

    def survival(self, x: Numbers) -> Values:
        """P(X > x) of the truncated normal."""
        # Everything but the distribution function at x is done on the (smaller) arrays of m and s.
        near, far = self._tails(-HALF), self._tails(HALF)
        x = np.clip(x, -HALF, HALF)
        sign = np.where(self.m > 0, -1.0, 1.0)
        scale, shift = -sign / self.s, -np.abs(self.m) / self.s
        if np.all(near > -600):
            tail, unit, floor = special.ndtr(x * scale + shift), np.exp(near), np.exp(far - near)
        else:
            tail, unit, floor = np.exp(special.log_ndtr(x * scale + shift) - near), 1.0, np.exp(far - near)
        share = -np.expm1(far - near)
        upper = tail * (sign / (unit * share)) + ((1 - sign) / 2 - sign * floor / share)
        return np.clip(upper, 0, 1)

    def quantile(self, u: Numbers) -> Values:
        """The x below which a share `u` of the truncated normal lies."""
        near, far = self._tails(-HALF), self._tails(HALF)
        flip = self.m > 0
        share = np.where(flip, 1 - u, u)
        z = -special.ndtri_exp(near + np.log1p(share * np.expm1(far - near)))
        x = np.clip(-np.abs(self.m) + self.s * z, -HALF, HALF)
        return np.where(flip, -x, x)

    def _tails(self, x: Numbers) -> Values:
        """ln P(X > x) on the real line of the likelihood mirrored to m <= 0, where tails keep their precision."""
        return special.log_ndtr(-(x + np.abs(self.m)) / self.s)
