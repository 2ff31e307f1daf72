"""Cross-condition generalisation performance. Axis letters: N trials, H units, D latents, Q conditions (orthants),
K dichotomies named, B balanced dichotomies, S classifiers, R draws of a null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mtrnn_analysis.nulls import mixed_places, p_value
from mtrnn_analysis.orthants import checked, dichotomies, orthants, varying
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.utils.validation import check_choice, check_int

PAIRS = ("one_sign", "all")
# Of this many latents all balanced dichotomies are scored: 3 for D = 2, 35 for D = 3; there are 6435 for D = 4.
MOST_DIMS_WITH_ALL = 3
# Of the covariance within classes towards a sphere, so that units may be constant or collinear, and trials few.
SHRINKAGE = 0.1
# Classifiers solved for at once, which bounds the memory.
CHUNK = 256


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Ccgp(ProbeResult):
    """Cross-condition generalisation performance. `value`, `null`, `p`: mean over the latents, geometric null.

    Attributes:
        by_dichotomy: "x1", ..., "xD", and for D = 2 "xor", each the mean accuracy over held-out pairs.
        p_by_dichotomy: against the geometric null.
        null_by_dichotomy: geometric, `[R, K]`, in the order of `by_dichotomy`.
        null_labels: mean over the latents where labels are permuted, `[R]`.
        null_labels_by_dichotomy: `[R, K]`.
        p_labels: of `value` against `null_labels`.
        p_labels_by_dichotomy: likewise.
        balanced: all balanced dichotomies of the orthants, `[B, Q]`, if D <= 3, else none.
        by_balanced: the CCGP of each, `[B]`.
        orthants: their names, Q of them.
    """

    by_dichotomy: Mapping[str, float]
    p_by_dichotomy: Mapping[str, float]
    null_by_dichotomy: Float[np.ndarray, "R K"]
    null_labels: Float[np.ndarray, " R"]
    null_labels_by_dichotomy: Float[np.ndarray, "R K"]
    p_labels: float
    p_labels_by_dichotomy: Mapping[str, float]
    balanced: Int[np.ndarray, "B Q"]
    by_balanced: Float[np.ndarray, " B"]
    orthants: tuple[str, ...]


def ccgp(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    pairs: str = "one_sign",
) -> Ccgp:
    """Cross-condition generalisation: does a read-out of a latent's sign, fitted in some conditions, hold in others?

    Conditions are the 2^D sign patterns of x*. A dichotomy puts half of them into a lower and half into an upper
    class; that of latent d does so by the sign of x_d. One condition of each class is left out, a linear classifier is
    fitted to the others, and its accuracy on the trials of the two left out is taken, both counting the same;
    the CCGP of the dichotomy is the mean over pairs left out (Bernardi et al. 2020, doi:10.1016/j.cell.2020.09.031).
    `value` is the mean over the D latents. 1 is an abstract code, 0.5 is chance. *Below 0.5 is no error*: what was
    learned holds the wrong way round, the coding is anti-parallel, as that of XOR by a linear code (0 for D = 2).

    Numbers differ by the pairs that are held out; report which they are:

    - "one_sign": conditions that differ in one sign. For latent d that is the sign of x_d, so that the other latents'
      signs are balanced in what is fitted; 2^(D-1) pairs;
    - "all": every pair of one condition from each class, as Bernardi et al. do; 4^(D-1) pairs. It asks for more: where
      D = 2, half of the pairs leave the classifier a choice between x_1 and x_2.

    Classifier: linear discriminant analysis, w = S⁻¹ (m_upper - m_lower), threshold midway, in closed form from the
    moments of the conditions, each of which counts the same. S = (1 - s) W + s tr(W)/H I, W the mean covariance
    within the two classes, s = 0.1; with equally many trials in each condition it is scikit-learn's
    `LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s)`, whose loop takes more than five times as long a draw
    (`tests/benchmarks/test_geometry_speed.py`). Trials are tested, not moments. A score exactly on the threshold counts
    one half.

    Nulls:

    - geometric (`null`): the conditions' clouds of trials lie where they lie independently of each other; their
      mean states are mixed by a random rotation of the contrasts between conditions, and the clouds go along as they
      are (`mtrnn_analysis.nulls.mixed_places`). The scatter of the places remains, abstraction goes, so it is the
      null to beat. It is wide: in four random places CCGP may be far from 0.5. That a code has few dimensions is no
      evidence against it;
    - labels (`null_labels`): states hold nothing of the conditions; the trials change their conditions by a random
      permutation of all trials. Exact, but any code that can be decoded differs from it.

    Not to be confused with cross-validated decoding, where all conditions are fitted to.

    Arguments:
        latents: x*, for D >= 2: with one latent no other condition is left to fit to.
        n_null: draws of each null.
        pairs: which conditions are left out together.

    Raises:
        ValueError: if D < 2, an orthant has fewer than 2 trials, no unit varies, arrays are not finite or not of the
            same trials, or an argument is out of its range.
    """
    states, latents = checked(states, latents)
    varying(states)
    n_dims, pairs = latents.shape[1], check_choice(pairs, PAIRS, "choice", "pairs")
    n_null = check_int("n_null", n_null, 0)
    if n_dims < 2:
        raise ValueError(f"latents has D={n_dims}; CCGP needs 2 or more, as it generalises across the other latents")
    conditions = orthants(latents, least=2, complete=True)
    rows, names = conditions.signs.T, [f"x{d + 1}" for d in range(n_dims)]
    if n_dims == 2:
        rows, names = np.vstack([rows, -rows.prod(axis=0)]), [*names, "xor"]
    plan = _plan(rows, conditions.signs, pairs)
    # A shift common to all trials changes no classifier, and keeps the sums of squares well conditioned.
    states = states - states.mean(axis=0)
    clouds = _clouds(states, conditions.which, conditions.counts)
    found = plan.score(clouds)
    geometric, labels = np.empty((2, n_null, len(rows)))
    means = np.stack([cloud.mean for cloud in clouds])
    for draw, places in zip(geometric, mixed_places(means, n_null, rng), strict=True):
        moved = [cloud._replace(mean=mean) for cloud, mean in zip(clouds, places, strict=True)]
        draw[:] = plan.score(moved)
    for draw in labels:
        draw[:] = plan.score(_clouds(states, rng.permutation(conditions.which), conditions.counts))
    balanced, by_balanced = np.empty((0, len(clouds)), np.int64), np.empty(0)
    if n_dims <= MOST_DIMS_WITH_ALL:
        balanced = dichotomies(len(clouds), 35, rng)
        by_balanced = _plan(balanced, conditions.signs, pairs).score(clouds)
    value, (null, null_labels) = found[:n_dims].mean(), (each[:, :n_dims].mean(axis=1) for each in (geometric, labels))
    return Ccgp(
        value=float(value),
        null=null,
        p=p_value(value, null),
        n=len(states),
        settings={"n_null": n_null, "pairs": pairs, "shrinkage": SHRINKAGE},
        by_dichotomy=dict(zip(names, found.tolist(), strict=True)),
        p_by_dichotomy=_p_values(names, found, geometric),
        null_by_dichotomy=geometric,
        null_labels=null_labels,
        null_labels_by_dichotomy=labels,
        p_labels=p_value(value, null_labels),
        p_labels_by_dichotomy=_p_values(names, found, labels),
        balanced=balanced,
        by_balanced=by_balanced,
        orthants=conditions.names,
    )


class _Cloud(NamedTuple):
    """A condition: its trials about their mean, that mean, and their covariance (normalised by their number)."""

    trials: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    def shares_above(self, weights: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """The share of trials with `weights` `[H, S]` times the state above the thresholds; one on it counts half."""
        scores = self.trials @ weights + (self.mean @ weights - thresholds)
        return (np.count_nonzero(scores > 0, axis=0) + np.count_nonzero(scores >= 0, axis=0)) / (2 * len(scores))


def _clouds(states: np.ndarray, which: np.ndarray, counts: np.ndarray) -> list[_Cloud]:
    clouds = []
    for trials in np.split(states[np.argsort(which, kind="stable")], np.cumsum(counts)[:-1]):
        mean = trials.mean(axis=0)
        about = trials - mean
        clouds.append(_Cloud(about, mean, about.T @ about / len(trials)))
    return clouds


class _Plan(NamedTuple):
    """The classifiers to fit, and the conditions that each is tested on.

    Attributes:
        fits: the class of each condition in each fit, -1, +1, or 0 if it is left out, `[S, Q]`.
        fit: of each pair left out, the fit to the others.
        side: +1, or -1 where the classes of the fit are the other way round.
        left_out: the conditions of each pair: of the lower class, of the upper.
        dichotomy: of each pair.
    """

    fits: np.ndarray
    fit: np.ndarray
    side: np.ndarray
    left_out: np.ndarray
    dichotomy: np.ndarray

    def score(self, clouds: list[_Cloud]) -> np.ndarray:
        """The mean accuracy over the pairs left out, of each dichotomy."""
        means = np.stack([cloud.mean for cloud in clouds])
        seconds = np.stack([cloud.covariance + np.outer(cloud.mean, cloud.mean) for cloud in clouds])
        above = np.empty(self.fits.shape)
        for start in range(0, len(self.fits), CHUNK):
            chunk = slice(start, start + CHUNK)
            weights, thresholds = _classifiers(self.fits[chunk], means, seconds)
            for q, cloud in enumerate(clouds):
                tested = np.flatnonzero(self.fits[chunk, q] == 0)
                above[start + tested, q] = cloud.shares_above(weights[:, tested], thresholds[tested])
        apart = above[self.fit, self.left_out[:, 1]] - above[self.fit, self.left_out[:, 0]]
        accuracies = (1 + self.side * apart) / 2
        return np.bincount(self.dichotomy, accuracies) / np.bincount(self.dichotomy)


def _plan(rows: np.ndarray, signs: np.ndarray, pairs: str) -> _Plan:
    """The plan for dichotomies `rows`, `[K, Q]`; two that fit to the same conditions share a classifier."""
    fits, left_out, dichotomy = [], [], []
    for k, row in enumerate(rows):
        for low in np.flatnonzero(row < 0):
            for high in np.flatnonzero(row > 0):
                if pairs == "all" or np.count_nonzero(signs[low] != signs[high]) == 1:
                    fit = row.copy()
                    fit[[low, high]] = 0
                    fits.append(fit)
                    left_out.append((low, high))
                    dichotomy.append(k)
    every = np.array(fits)
    side = every[np.arange(len(every)), (every != 0).argmax(axis=1)]
    different, fit = np.unique(every * side[:, None], axis=0, return_inverse=True)
    return _Plan(different, fit.reshape(-1), side, np.array(left_out), np.array(dichotomy))


def _classifiers(fits: np.ndarray, means: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[H, S]` and thresholds `[S]` of linear discriminants, from the mean products of each condition."""
    n_units, centres = means.shape[1], []
    within = np.zeros((len(fits), n_units, n_units))
    for side in (-1, 1):
        share = (fits == side) / np.count_nonzero(fits == side, axis=1, keepdims=True)
        centres.append(share @ means)
        products = np.tensordot(share, seconds, 1)
        within += (products - centres[-1][:, :, None] * centres[-1][:, None, :]) / 2
    spread = np.trace(within, axis1=1, axis2=2) / n_units
    within = (1 - SHRINKAGE) * within + SHRINKAGE * spread[:, None, None] * np.eye(n_units)
    weights = np.linalg.solve(within, (centres[1] - centres[0])[:, :, None])[:, :, 0]
    return weights.T, np.einsum("sh,sh->s", weights, (centres[0] + centres[1]) / 2)


def _p_values(names: list[str], found: np.ndarray, null: np.ndarray) -> dict[str, float]:
    return {name: p_value(float(found[k]), null[:, k]) for k, name in enumerate(names)}
