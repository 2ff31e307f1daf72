"""Centred Gumbel noise.

With u = sigma sqrt(6) / pi the statistic is m = -u (ln mean(exp(-y / u)) - gamma), the maximum of the likelihood and
not the mean of the samples; t exp((x - m) / u) is Gamma(t) distributed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from mtrnn_envs.components.noise.base import HALF, NARROWEST, NEGLIGIBLE, Noise
from mtrnn_envs.rng.fill import fill_exponential
from mtrnn_envs.utils.arrays import AnyGenerator, Array, Numbers, Values


@dataclass(frozen=True)
class Gumbel(Noise):
    """Gumbel noise, centred, of standard deviation 1."""

    def draw(self, out: Float[Array, "N S D"], rng: AnyGenerator) -> None:
        """-ln E of a standard exponential E is standard Gumbel: mean Euler's gamma, variance pi²/6."""
        fill_exponential(out, rng)
        # About one float32 draw in 6 million is 0, and stands for everything below the least other draw.
        out[...] = out.clip(2.0**-24, None)
        np.log(out, out=out) if isinstance(out, np.ndarray) else out.log_()
        out += float(np.euler_gamma)
        out *= -float(np.sqrt(6) / np.pi)

    def statistic(
        self, evidence: Float[np.ndarray, "N S D"], sigmas: Float[np.ndarray, " D"]
    ) -> Float[np.ndarray, "N S D"]:
        """The maximum of the likelihood."""
        shown, unit = evidence.astype(float), sigmas * np.sqrt(6) / np.pi
        t = np.arange(1, shown.shape[1] + 1)[:, None]
        return -unit * (np.logaddexp.accumulate(-shown / unit, axis=1) - np.log(t) - np.euler_gamma)

    def likelihood(self, statistic: Numbers, n_samples: Numbers, sigma: float) -> LogGamma:
        """A log-gamma distribution around the statistic."""
        return LogGamma(statistic, np.asarray(n_samples, float), sigma * np.sqrt(6) / np.pi)

    def draw_statistic(
        self,
        latents: Float[np.ndarray, "N D"],
        n_samples: Int[np.ndarray, " N"],
        sigmas: Float[np.ndarray, " D"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "N D"]:
        """By the gamma law of the statistic."""
        unit, t = sigmas * np.sqrt(6) / np.pi, n_samples[:, None]
        return latents - unit * np.log(rng.gamma(t, size=latents.shape) / t)


@dataclass(frozen=True, eq=False)
class LogGamma:
    """Gumbel likelihood of x: `n` exp((x - m) / unit) is Gamma(n) distributed; truncated to the box."""

    m: Numbers
    n: Numbers
    unit: Numbers

    def log_density(self, x: Numbers) -> Values:
        """Normalised over the real line, not over the box."""
        v = (x - self.m) / self.unit
        return self.n * (v - np.exp(np.minimum(v, 700)) + np.log(self.n)) - special.gammaln(self.n) - np.log(self.unit)

    def log_mass(self) -> Values:
        """ln P(|x| < 1/2), which is also the log density of m when x is uniform on the box."""
        return np.log(np.maximum(np.abs(self._tails(-HALF) - self._tails(HALF)), 1e-300))

    def support(self) -> tuple[Values, Values]:
        """The part of the box outside which the density is negligible (a little more than that)."""
        peak, drop = np.clip(self.m, -HALF, HALF), NEGLIGIBLE / self.n
        left = 0.5 * (drop + np.sqrt(drop**2 + 8 * drop))
        right = np.minimum(np.sqrt(2 * drop), np.log1p(2 * drop) + 1)
        # With the mode outside the box, the slope at the edge bounds the drop from there: the density is log-concave.
        slope = np.abs(-np.expm1(np.minimum((peak - self.m) / self.unit, 700)))
        steep = drop / np.maximum(slope, 1e-12)
        left, right = np.minimum(left, steep), np.minimum(right, steep)
        left, right = np.maximum(left * self.unit, NARROWEST), np.maximum(right * self.unit, NARROWEST)
        return np.maximum(peak - left, -HALF), np.minimum(peak + right, HALF)

    def survival(self, x: Numbers) -> Values:
        """P(X > x) of the truncated distribution."""
        far = self._tails(HALF)
        mass = np.maximum(np.abs(self._tails(-HALF) - far), 1e-300)
        return np.clip(np.abs(self._tails(np.clip(x, -HALF, HALF)) - far) / mass, 0, 1)

    def quantile(self, u: Numbers) -> Values:
        """The x below which a share `u` of the truncated distribution lies."""
        low, high = self._tails(-HALF), self._tails(HALF)
        n, tail, lower = np.broadcast_arrays(self.n, low + u * (high - low), self.m > 0)
        v = _by_tail(lower, n, tail, special.gammaincinv, special.gammainccinv)
        return np.clip(self.m + self.unit * np.log(np.maximum(v, 1e-300) / self.n), -HALF, HALF)

    def _v(self, x: Numbers) -> Values:
        return self.n * np.exp(np.minimum((x - self.m) / self.unit, 700))

    def _tails(self, x: Numbers) -> Values:
        """The mass on the real line below x where the box is in the lower tail (m > 0), else above x."""
        n, v, lower = np.broadcast_arrays(self.n, self._v(x), self.m > 0)
        return _by_tail(lower, n, v, special.gammainc, special.gammaincc)


def _by_tail(
    lower: np.ndarray, n: np.ndarray, values: np.ndarray, if_lower: np.ufunc, if_upper: np.ufunc
) -> np.ndarray:
    """`if_lower(n, values)` where `lower`, else `if_upper(n, values)`, each computed only where it is needed.

    By indexing, not by the ufuncs' own `where=`: with it and broadcast inputs, scipy's incomplete gamma functions have
    written outside their output (seen with the scipy 1.17 series: aborts and segmentation faults).
    """
    out = np.empty(values.shape)
    out[lower] = if_lower(n[lower], values[lower])
    out[~lower] = if_upper(n[~lower], values[~lower])
    return out
