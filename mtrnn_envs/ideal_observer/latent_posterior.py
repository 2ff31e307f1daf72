"""What noisy samples say about one latent: the exact posterior of x_d under the flat prior on [-1/2, 1/2].

The posterior depends on the samples through a statistic m and their number t alone (it is sufficient):

- Gaussian noise: m is the mean, the likelihood of x is N(x; m, s²) with s = sigma / sqrt(t).
- AR(1) noise with coefficient a: m is the generalised least squares mean (the first and the last sample weigh 1, those
  between 1 - a) and t is replaced by the effective number ((1 - a) t + 2 a) / (1 + a).
- Gumbel noise: with u = sigma sqrt(6) / pi, m = -u (ln mean(exp(-y / u)) - gamma), and t exp((x - m) / u) is
  Gamma(t) distributed. This m is the maximum of the likelihood; it is not the mean of the samples.

Everything in D dimensions is a product of these, unless the prior couples the latents (see `ideal_observer`).
Arrays broadcast; units are those of the latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy import special

from mtrnn_envs.utils.arrays import to_numpy

if TYPE_CHECKING:
    from mtrnn_envs.task import EvidenceTask
    from mtrnn_envs.trials import Trials

HALF = 0.5  # the latents lie in [-HALF, HALF]
NEGLIGIBLE = 40.0  # nats below its peak at which a density is taken for zero
NARROWEST = 1e-9  # of the intervals that are integrated over, in units of the latents


@dataclass(frozen=True, eq=False)
class Normal:
    """Gaussian likelihood of x: mean `m` and standard deviation `s`, arrays that broadcast; truncated to the box."""

    m: Any
    s: Any

    def log_density(self, x: Any) -> Any:
        """ln N(x; m, s²): normalised over the real line, not over the box."""
        return -0.5 * ((x - self.m) / self.s) ** 2 - np.log(self.s * np.sqrt(2 * np.pi))

    def log_mass(self) -> Any:
        """ln P(|x| < 1/2), which is also the log density of m when x is uniform on the box."""
        near, far = self._tails(-HALF), self._tails(HALF)
        return near + np.log(-np.expm1(far - near))

    def support(self) -> tuple[Any, Any]:
        """The part of the box outside which the density is negligible."""
        peak = np.clip(self.m, -HALF, HALF)
        away = np.abs(self.m - peak)
        width = 2 * NEGLIGIBLE * self.s**2 / (np.sqrt(away**2 + 2 * NEGLIGIBLE * self.s**2) + away)
        width = np.maximum(width, NARROWEST)
        return np.maximum(peak - width, -HALF), np.minimum(peak + width, HALF)

    def survival(self, x: Any) -> Any:
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

    def quantile(self, u: Any) -> Any:
        """The x below which a share `u` of the truncated normal lies."""
        near, far = self._tails(-HALF), self._tails(HALF)
        flip = self.m > 0
        share = np.where(flip, 1 - u, u)
        z = -special.ndtri_exp(near + np.log1p(share * np.expm1(far - near)))
        x = np.clip(-np.abs(self.m) + self.s * z, -HALF, HALF)
        return np.where(flip, -x, x)

    def _tails(self, x: Any) -> Any:
        """ln P(X > x) on the real line of the likelihood mirrored to m <= 0, where tails keep their precision."""
        return special.log_ndtr(-(x + np.abs(self.m)) / self.s)


@dataclass(frozen=True, eq=False)
class LogGamma:
    """Gumbel likelihood of x: `n` exp((x - m) / unit) is Gamma(n) distributed; truncated to the box."""

    m: Any
    n: Any
    unit: Any

    def log_density(self, x: Any) -> Any:
        """Normalised over the real line, not over the box."""
        v = (x - self.m) / self.unit
        return self.n * (v - np.exp(np.minimum(v, 700)) + np.log(self.n)) - special.gammaln(self.n) - np.log(self.unit)

    def log_mass(self) -> Any:
        """ln P(|x| < 1/2), which is also the log density of m when x is uniform on the box."""
        return np.log(np.maximum(np.abs(self._tails(-HALF) - self._tails(HALF)), 1e-300))

    def support(self) -> tuple[Any, Any]:
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

    def survival(self, x: Any) -> Any:
        """P(X > x) of the truncated distribution."""
        far = self._tails(HALF)
        mass = np.maximum(np.abs(self._tails(-HALF) - far), 1e-300)
        return np.clip(np.abs(self._tails(np.clip(x, -HALF, HALF)) - far) / mass, 0, 1)

    def quantile(self, u: Any) -> Any:
        """The x below which a share `u` of the truncated distribution lies."""
        low, high = self._tails(-HALF), self._tails(HALF)
        n, tail, lower = np.broadcast_arrays(self.n, low + u * (high - low), self.m > 0)
        v = _by_tail(lower, n, tail, special.gammaincinv, special.gammainccinv)
        return np.clip(self.m + self.unit * np.log(np.maximum(v, 1e-300) / self.n), -HALF, HALF)

    def _v(self, x: Any) -> Any:
        return self.n * np.exp(np.minimum((x - self.m) / self.unit, 700))

    def _tails(self, x: Any) -> Any:
        """The mass on the real line below x where the box is in the lower tail (m > 0), else above x."""
        n, v, lower = np.broadcast_arrays(self.n, self._v(x), self.m > 0)
        return _by_tail(lower, n, v, special.gammainc, special.gammaincc)


def _by_tail(lower: Any, n: Any, values: Any, if_lower: Any, if_upper: Any) -> Any:
    """`if_lower(n, values)` where `lower`, else `if_upper(n, values)`, each computed only where it is needed.

    By indexing, not by the ufuncs' own `where=`: with it and broadcast inputs, scipy's incomplete gamma functions have
    written outside their output (seen with the scipy 1.17 series: aborts and segmentation faults).
    """
    out = np.empty(values.shape)
    out[lower] = if_lower(n[lower], values[lower])
    out[~lower] = if_upper(n[~lower], values[~lower])
    return out


Marginal: TypeAlias = Normal | LogGamma


def effective_samples(task: EvidenceTask, n_samples: Any) -> Any:
    """The number of independent samples that say as much as `n_samples` of the task's: fewer if they are alike."""
    a = task.autocorrelation
    return ((1 - a) * np.asarray(n_samples, float) + 2 * a) / (1 + a)


def standard_errors(task: EvidenceTask, n_samples: Any) -> Float[np.ndarray, "*N D"]:
    """s, in units of the latents: the standard deviation of a mean of `n_samples` samples, per stream.

    With AR(1) noise, of the generalised least squares mean; with Gumbel noise, of the plain mean (a scale only).
    """
    return np.asarray(task.sigmas) / np.sqrt(effective_samples(task, n_samples))[..., None]


def marginal(task: EvidenceTask, d: int, mean: Any, n_samples: Any) -> Marginal:
    """The posterior of latent `d` under a flat prior, given the statistic `mean` of `n_samples` samples of it."""
    sigma, mean = task.sigmas[d], np.asarray(mean, float)
    if task.noise == "gaussian":
        return Normal(mean, sigma / np.sqrt(effective_samples(task, n_samples)))
    if task.noise == "gumbel":
        return LogGamma(mean, np.asarray(n_samples, float), sigma * np.sqrt(6) / np.pi)
    raise ValueError(f"noise={task.noise!r} has no likelihood here; 'gaussian' and 'gumbel' have")


def running_means(trials: Trials) -> Float[np.ndarray, "N S D"]:
    """The sufficient statistic m after every stimulus step, in units of the latents (see the module).

    `trials.evidence` is read up to and including that step. For trials whose stimulus is shorter than the longest,
    entries beyond `trials.n_samples` are of evidence that was never shown.
    """
    return running_statistic(trials.task, to_numpy(trials.evidence))


def running_statistic(task: EvidenceTask, evidence: Float[np.ndarray, "N S D"]) -> Float[np.ndarray, "N S D"]:
    """The same of evidence given as an array."""
    shown = evidence.astype(float)
    t = np.arange(1, shown.shape[1] + 1)[:, None]
    if task.noise == "gumbel":
        unit = np.asarray(task.sigmas) * np.sqrt(6) / np.pi
        return -unit * (np.logaddexp.accumulate(-shown / unit, axis=1) - np.log(t) - np.euler_gamma)
    a = task.autocorrelation
    return ((1 - a) * np.cumsum(shown, axis=1) + a * (shown[:, :1] + shown)) / ((1 - a) * t + 2 * a)


def quadrature(posterior: Marginal, n_nodes: int) -> tuple[Any, Any]:
    """Gauss-Legendre nodes and weights (adding up to 1) of a posterior, on a new last axis; safe in any tail."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    low, high = posterior.support()
    x = 0.5 * (low + high)[..., None] + 0.5 * (high - low)[..., None] * nodes
    log_w = type(posterior)(*(np.asarray(v)[..., None] for v in vars(posterior).values())).log_density(x)
    w = np.exp(log_w - log_w.max(axis=-1, keepdims=True)) * weights
    return x, w / w.sum(axis=-1, keepdims=True)


def moments(posterior: Marginal) -> tuple[Any, Any]:
    """Mean and variance of a posterior, by 96-node quadrature of its density (exact to rounding)."""
    x, w = quadrature(posterior, 96)
    mean = np.sum(w * x, axis=-1)
    return mean, np.sum(w * (x - mean[..., None]) ** 2, axis=-1)
