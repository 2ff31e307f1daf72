"""Psychometric curves by maximum likelihood, hundreds of bootstrap samples at once.

    P(+1 | x) = low + (1 - low - high) Phi(slope (x - bias))

Axis letters: R curves, B points on the abscissa.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtr, xlog1py, xlogy

MOST_LAPSE = 0.2  # fitted on either side; an agent that lapses more looks flatter instead
STEEPEST = 1e4  # slope, per root mean square of the abscissa, at which a curve is as good as a step
PERFECT = 1e-3  # nat of all answers together, below which a curve is a step
MOST_STEPS = 100
TINY = 1e-12


class Curves(NamedTuple):
    """Fitted curves.

    Attributes:
        slope: per unit of x; negative for an agent that mixes up the sides, `[R]`.
        bias: the x at which the choice changes; not finite where the slope is 0, `[R]`.
        low: P(+1) far on the negative side, `[R]`.
        high: P(-1) far on the positive side, `[R]`.
        log_likelihood: in nat, without the binomial coefficients, `[R]`.
        separated: whether a step fits best, with or without lapses: the likelihood has no maximum at a finite slope.
    """

    slope: Float[np.ndarray, " R"]
    bias: Float[np.ndarray, " R"]
    low: Float[np.ndarray, " R"]
    high: Float[np.ndarray, " R"]
    log_likelihood: Float[np.ndarray, " R"]
    separated: Bool[np.ndarray, " R"]

    def at(self, x: Float[np.ndarray, " B"]) -> Float[np.ndarray, "R B"]:
        """P(+1) of each curve."""
        eta = self.slope[:, None] * (x - self.bias[:, None])
        return self.low[:, None] + (1 - self.low - self.high)[:, None] * ndtr(eta)


def fit_curves(x: Float[np.ndarray, "#R B"], n: Float[np.ndarray, "#R B"], k: Float[np.ndarray, "R B"]) -> Curves:
    """The curves of greatest binomial likelihood, each lapse within [0, 0.2].

    By Fisher scoring in (slope, slope * bias, low, high), with Levenberg-Marquardt damping, so that the likelihood
    rises at every step; a lapse at an end of its range that pulls outwards is held there. Lapses must be fitted with
    the slope: one far-off error flattens a curve without (Wichmann & Hill 2001, doi:10.3758/BF03194544). Their bound
    keeps the slope determined: with free lapses, a flat curve has any slope. scikit-learn and scipy have neither lapses
    nor many curves at once.

    Arguments:
        x: the abscissa.
        n: answers at each point (any weight of 0 or more).
        k: answers +1 among these.
    """
    shape = np.broadcast_shapes(x.shape, n.shape, k.shape)
    scale = np.sqrt(np.mean(np.broadcast_to(x, shape) ** 2, axis=1))
    x, n, k = (np.broadcast_to(v, shape) for v in (x / scale[:, None], n, k))
    theta = np.zeros((shape[0], 4))
    theta[:, 2:] = 0.01
    value, damping = _log_likelihood(theta, x, n, k), np.full(shape[0], 1e-3)
    live = np.arange(shape[0])
    for step in range(MOST_STEPS):
        part = theta[live], x[live], n[live], k[live]
        score, information = _derivatives(*part)
        held = (part[0][:, 2:] <= 0) & (score[:, 2:] < 0) | (part[0][:, 2:] >= MOST_LAPSE) & (score[:, 2:] > 0)
        # First the slope and the bias alone, from which the lapses then start.
        held |= step < 4
        score[:, 2:][held] = 0
        for i in (0, 1):
            row = held[:, i]
            information[row, 2 + i, :] = 0
            information[row, :, 2 + i] = 0
            information[row, 2 + i, 2 + i] = 1
        diagonal = np.einsum("rii->ri", information)
        diagonal += damping[live, None] * diagonal + TINY
        new = part[0] + np.linalg.solve(information, score[:, :, None])[:, :, 0]
        new[:, 2:] = np.clip(new[:, 2:], 0, MOST_LAPSE)
        new[:, 0] = np.clip(new[:, 0], -STEEPEST, STEEPEST)
        found = _log_likelihood(new, *part[1:])
        better = found > value[live]
        gain = np.where(better, found - value[live], 0)
        theta[live[better]], value[live[better]] = new[better], found[better]
        damping[live] = np.where(better, damping[live] / 10, damping[live] * 10)
        done = (gain < 1e-9) & (better | (damping[live] > 1e6)) if step >= 4 else np.zeros(len(live), bool)
        live = live[~done]
        if not len(live):
            break
    slope = theta[:, 0] / scale
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = theta[:, 1] / slope
    up = ndtr(theta[:, :1] * x - theta[:, 1:2])
    # Lapses apart, no answer lies on the slope, and some lie on either side of it.
    low, high = (np.sum(n * side, axis=1) for side in (up < 0.5, up >= 0.5))
    step = (np.sum(n * np.minimum(up, 1 - up), axis=1) < PERFECT) & (low > 0) & (high > 0)
    return Curves(slope, bias, theta[:, 2], theta[:, 3], value, (value > -PERFECT) | step)


def deviance(
    n: Float[np.ndarray, "R B"], k: Float[np.ndarray, "R B"], p: Float[np.ndarray, "R B"]
) -> Float[np.ndarray, " R"]:
    """Twice the log-likelihood ratio of the shares k / n and the probabilities `p`, for counts `k` of `n`."""
    share = np.divide(k, n, out=np.zeros(np.broadcast_shapes(k.shape, n.shape)), where=n > 0)
    p = np.clip(p, TINY, 1 - TINY)
    own = xlogy(k, share) + xlog1py(n - k, -share)
    return 2 * np.sum(own - xlogy(k, p) - xlog1py(n - k, -p), axis=-1)


def _log_likelihood(theta: np.ndarray, x: np.ndarray, n: np.ndarray, k: np.ndarray) -> np.ndarray:
    p = theta[:, 2:3] + (1 - theta[:, 2:3] - theta[:, 3:4]) * ndtr(theta[:, :1] * x - theta[:, 1:2])
    p = np.clip(p, TINY, 1 - TINY)
    return np.sum(k * np.log(p) + (n - k) * np.log1p(-p), axis=1)


def _derivatives(theta: np.ndarray, x: np.ndarray, n: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of the log likelihood `[R, 4]`, and the Fisher information `[R, 4, 4]`."""
    eta = theta[:, :1] * x - theta[:, 1:2]
    up, span = ndtr(eta), 1 - theta[:, 2:3] - theta[:, 3:4]
    p = np.clip(theta[:, 2:3] + span * up, TINY, 1 - TINY)
    density = span * np.exp(-0.5 * eta**2) / np.sqrt(2 * np.pi)
    slopes = np.stack([density * x, -density, 1 - up, -up], axis=1)
    variance = p * (1 - p)
    score = np.einsum("rjb,rb->rj", slopes, (k - n * p) / variance)
    return score, np.matmul(slopes * (n / variance)[:, None], slopes.swapaxes(1, 2))
