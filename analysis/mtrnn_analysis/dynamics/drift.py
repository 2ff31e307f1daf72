"""Drift of a decoded x* while nothing is shown: its bias field, its dispersion, and the ideal observers' drift.

Axis letters: N trials, D latents, K consecutive steps, M steps reported, B bins.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int

from mtrnn_analysis.decoding.decoding import r2_prior
from mtrnn_envs.ideal_observer.one_latent import running_statistic
from mtrnn_envs.ideal_observer.posterior import posterior
from mtrnn_envs.trials import Trials

# A billionth of the range of latents; smaller differences are rounding.
PRECISION = 1e-9
FEWEST = 5  # steps in a bin of the bias field


def ideal_r2(trials: Trials, steps: Int[np.ndarray, " M"]) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """r2_prior of the ideal observers that know, and do not know, when the stimulus ends; see `rollout`.

    Each estimate is the mean of the exact posterior; the second's after `steps` more samples, all of them zeros. NaN
    where the ideal observer is not computed (with noise behind the encoder).
    """
    task = trials.task
    if task.encoder_noise:
        return np.full(len(steps), np.nan), np.full(len(steps), np.nan)
    rows, lengths = np.arange(len(trials)), np.broadcast_to(trials.n_samples, len(trials))
    evidence = np.zeros((len(trials), task.longest.stimulus + int(steps[-1]), task.n_dims))
    evidence[:, : task.longest.stimulus] = trials.evidence
    evidence[np.arange(evidence.shape[1]) >= lengths[:, None]] = 0
    statistic = running_statistic(task, evidence)
    counts = lengths + steps[:, None]
    means = posterior(task, statistic[rows, counts - 1], counts)[0]
    untold = np.array([r2_prior(trials.latents, each) for each in means])
    at_end = posterior(task, statistic[rows, lengths - 1], lengths)[0]
    return np.full(len(steps), r2_prior(trials.latents, at_end)), untold


class BiasField(NamedTuple):
    """The mean change of decoded x* in a step, by where it is: see `Rollout`."""

    positions: Float[np.ndarray, "B D"]
    drifts: Float[np.ndarray, "B D"]
    counts: Int[np.ndarray, " B"]
    slopes: Float[np.ndarray, "D D"]
    offset: Float[np.ndarray, " D"]
    multipliers: Complex[np.ndarray, " D"]


def bias_field(decoded: Float[np.ndarray, "N K D"], n_bins: int) -> BiasField:
    """The bias field of x* as decoded at consecutive steps: in `n_bins` bins along each latent (D = 1, 2), and as a
    linear fit.
    """
    d = decoded.shape[2]
    decoded = np.where(np.isfinite(decoded), decoded, np.nan)
    here, change = decoded[:, :-1].reshape(-1, d), np.diff(decoded, axis=1).reshape(-1, d)
    kept = np.isfinite(change).all(axis=1)
    here, change = here[kept], change[kept]
    slopes, offset = np.full((d, d), np.nan), np.full(d, np.nan)
    multipliers = np.full(d, np.nan, complex)
    centred = here - here.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(here))
    if values[0] > PRECISION**2:
        slopes = (change.T @ centred / len(here)) @ (vectors / values) @ vectors.T
        offset = change.mean(axis=0) - slopes @ here.mean(axis=0)
        multipliers = np.linalg.eigvals(np.eye(d) + slopes).astype(complex)
    if d > 2:
        nothing = np.empty((0, d))
        return BiasField(nothing, nothing, np.empty(0, np.int64), slopes, offset, multipliers)
    inside = (np.abs(here) <= 0.5).all(axis=1)
    index, moved = _bins(here[inside], n_bins), np.concatenate([here, change], axis=1)[inside]
    counts = np.bincount(index, minlength=n_bins**d)
    full = counts >= FEWEST
    means = np.stack([np.bincount(index, each, n_bins**d) for each in moved.T], axis=1)[full] / counts[full, None]
    return BiasField(means[:, :d], means[:, d:], counts[full], slopes, offset, multipliers)


def time_constant(multipliers: Complex[np.ndarray, " D"]) -> float:
    """-1 / ln min |mu|, in steps: the time constant of the direction that decays fastest; inf if none decays."""
    least = float(np.abs(multipliers).min())
    if math.isnan(least):
        return least
    if least >= 1 - PRECISION:
        return math.inf
    return -1 / math.log(least) if least > 0 else 0.0


def half_life(r2: Float[np.ndarray, " K"]) -> float:
    """Steps until `r2`, of consecutive steps from 0, falls below half of its start; 0 if it starts at 0 or below."""
    if r2[0] <= 0:
        return 0.0
    below = np.flatnonzero(r2 < r2[0] / 2)
    if not len(below):
        return math.inf
    k = int(below[0])
    before, now = float(r2[k - 1]), float(r2[k])
    return k - 1 + (0.0 if now == -math.inf else (before - float(r2[0]) / 2) / (before - now))


def dispersion(decoded: Float[np.ndarray, "N M D"]) -> Float[np.ndarray, " M"]:
    """The variance per latent of decoded x* about a linear fit to its first place, within bins of that; NaN with too
    few trials, inf where decoded values are not finite.
    """
    start, d = decoded[:, 0], decoded.shape[2]
    finite = np.asarray(np.isfinite(decoded).all(axis=(0, 2)))
    if not finite.all():
        return np.where(finite, dispersion(np.where(finite[:, None], decoded, 0.0)), np.inf)
    which = _bins(start, 4) if d <= 2 else np.zeros(len(start), np.int64)
    squares, freedom = np.zeros(decoded.shape[1]), 0
    for b in np.unique(which):
        rows = which == b
        if (spare := np.count_nonzero(rows) - d - 1) < 1:
            continue
        ahead = np.concatenate([start[rows], np.ones((spare + d + 1, 1))], axis=1)
        later = decoded[rows].reshape(len(ahead), -1)
        residual = later - ahead @ np.linalg.lstsq(ahead, later)[0]
        squares += np.sum(residual.reshape(len(ahead), -1, d) ** 2, axis=(0, 2))
        freedom += spare * d
    return squares / freedom if freedom else np.full(len(squares), np.nan)


def growth(steps: Int[np.ndarray, " M"], values: Float[np.ndarray, " M"], window: int) -> float:
    """The slope of `values` per step, from step 1 to `window`; NaN with fewer than two steps there."""
    rows = (steps >= 1) & (steps <= window)
    if np.count_nonzero(rows) < 2 or not np.isfinite(values[rows]).all():
        return float("nan")
    return float(np.polyfit(steps[rows], values[rows], 1)[0])


def _bins(points: np.ndarray, n_bins: int) -> np.ndarray:
    """The bin of each point of the cube of x*; points outside go to the nearest."""
    each = np.clip(((points + 0.5) * n_bins).astype(np.int64), 0, n_bins - 1)
    return each @ n_bins ** np.arange(points.shape[1])
