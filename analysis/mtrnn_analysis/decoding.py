"""How well a linear decoder of x* does, in distribution and on orthants of x* that it was not fitted to.

Two coefficients of determination are in use and are always named here:

- `r2_prior` = 1 - 12 MSE: relative to the variance 1/12 of the flat prior, on any part of it (arXiv:2407.11249);
- `r2_local` = 1 - MSE / (variance of x* on the trials tested), scikit-learn's `r2_score`; on a quadrant 1 - 48 MSE.

The same predictions give for example 0.929 and 0.717. Axis letters: N trials, H units, D latents, Q orthants, G folds.
All computation is in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs.latents import PRIOR_VARIANCE

# Penalties that are tried, relative to the mean variance of a unit times the number of trials fitted.
PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-7, 1.1, 0.5))
# Most folds among which a penalty is chosen; beyond, whole orthants are put together (from D = 5 on).
MOST_INNER = 16


@dataclass(frozen=True, eq=False)
class Ridge:
    """An affine decoder: prediction = states @ weights + intercept.

    Attributes:
        weights: `[H, D]`, latents per unit of activity.
        intercept: `[D]`.
        penalty: the factor of the squared weights in the sum of squares, as scikit-learn's `alpha`.
    """

    weights: Float[np.ndarray, "H D"]
    intercept: Float[np.ndarray, " D"]
    penalty: float

    def predict(self, states: Float[np.ndarray, "N H"]) -> Float[np.ndarray, "N D"]:
        """The decoded latents."""
        return states @ self.weights + self.intercept


@dataclass(frozen=True, eq=False)
class Scores:
    """How well x* was decoded on trials that the decoder was not fitted to.

    Attributes:
        r2_prior: mean over orthants, each counting the same.
        r2_local: likewise.
        r2_prior_by_orthant: `[Q]`.
        r2_local_by_orthant: `[Q]`.
        predictions: the decoded latents of every trial, by a decoder not fitted to it, `[N, D]`.
        penalties: the relative penalties chosen, one for each decoder, `[G]`.
    """

    r2_prior: float
    r2_local: float
    r2_prior_by_orthant: Float[np.ndarray, " Q"]
    r2_local_by_orthant: Float[np.ndarray, " Q"]
    predictions: Float[np.ndarray, "N D"]
    penalties: Float[np.ndarray, " G"]


@dataclass(frozen=True, eq=False)
class Decoding:
    """Decoding of x* in and out of distribution, with the settings.

    Attributes:
        in_distribution: fitted to some trials of all orthants, tested on the others.
        out_of_distribution: fitted to all trials outside an orthant, tested on those in it.
        orthants: the orthants, as signs ("+-": x_1 > 0, x_2 <= 0), `Q` of them, in the order of the scores.
        n_trials: trials of each, `[Q]`.
        n_folds: folds of the decoding in distribution.
        penalty_grid: the relative penalties tried.
    """

    in_distribution: Scores
    out_of_distribution: Scores
    orthants: tuple[str, ...]
    n_trials: Int[np.ndarray, " Q"]
    n_folds: int
    penalty_grid: tuple[float, ...]


def ridge(states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], penalty: float) -> Ridge:
    """The closed-form ridge regression of latents on states, with an intercept that is not penalised.

    Minimises sum |x* - W'h - b|² + penalty |W|²; equal to scikit-learn's `Ridge(alpha=penalty)`.

    Raises:
        ValueError: if the penalty is negative, or the arrays do not fit each other.
    """
    if not penalty >= 0:
        raise ValueError(f"penalty={penalty!r} is not a number of 0 or more")
    states, latents = _checked(states, latents)
    return _Path(_moments(states, latents), states.shape[1]).fit(float(penalty))


def decode(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    *,
    n_folds: int = 4,
    penalties: tuple[float, ...] = PENALTIES,
) -> Decoding:
    """Decodes x* from states by ridge regression, in distribution (ID) and out of distribution (OOD).

    OOD: for each of the 2^D orthants of x*, a decoder is fitted to the trials of all others and tested on it. Its
    penalty is chosen on those others alone: each (from D = 5 on, each of 16 groups of them) is left out in turn, and
    the penalty with the least squared error there is taken. ID: the trials are dealt into `n_folds` folds, evenly
    within each orthant; each fold is decoded from the others, the penalty chosen in the same way with folds in place
    of orthants. With 4 folds and D = 2 both are fitted to three quarters of the trials.

    Closed form: one eigendecomposition of a sum of Gram matrices, one matrix an orthant or fold, gives a fit for all
    penalties (see `PENALTIES` for their unit).

    Arguments:
        states: of N trials, for example at the decision step.
        latents: x* of the trials.
        rng: deals the trials into folds.
        n_folds: 3 or more.
        penalties: relative penalties tried.

    Raises:
        ValueError: if an argument is out of its range, an orthant has fewer than 2 n_folds trials, or there are
            fewer than 3 orthants with trials (for D = 1, OOD cannot be told apart from extrapolation).
    """
    states, latents = _checked(states, latents)
    if n_folds < 3:
        raise ValueError(f"n_folds={n_folds!r} is not a whole number, 3 or more")
    if not penalties or min(penalties) <= 0:
        raise ValueError(f"penalties={penalties!r} must be one or more numbers above 0")
    signs, orthant, counts = np.unique(latents > 0, axis=0, return_inverse=True, return_counts=True)
    orthant = orthant.reshape(-1)
    names = tuple("".join("+" if s else "-" for s in row) for row in signs)
    if len(names) < 3:
        raise ValueError(f"latents lie in {len(names)} orthants {names}; 3 or more are needed to leave one out")
    if counts.min() < 2 * n_folds:
        raise ValueError(
            f"orthant {names[counts.argmin()]} has {counts.min()} trials; 2 * n_folds={2 * n_folds} or more are needed"
        )
    fold = np.empty(len(states), np.int64)
    for q, count in enumerate(counts):
        fold[orthant == q] = rng.permutation(np.arange(count) % n_folds)
    return Decoding(
        in_distribution=_scores(states, latents, fold, orthant, penalties),
        out_of_distribution=_scores(states, latents, orthant, orthant, penalties),
        orthants=names,
        n_trials=counts,
        n_folds=n_folds,
        penalty_grid=tuple(penalties),
    )


def r2_prior(latents: Float[np.ndarray, "N D"], predictions: Float[np.ndarray, "N D"]) -> float:
    """1 - 12 MSE, the mean over trials and latents: relative to the variance of the flat prior on [-1/2, 1/2]."""
    return float(1 - np.mean((latents - predictions) ** 2) / PRIOR_VARIANCE)


def r2_local(latents: Float[np.ndarray, "N D"], predictions: Float[np.ndarray, "N D"]) -> float:
    """1 - MSE / variance of the latents given, for each latent, and the mean of these (scikit-learn's `r2_score`)."""
    return float(np.mean(1 - np.mean((latents - predictions) ** 2, axis=0) / np.var(latents, axis=0)))


def _checked(states: np.ndarray, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(states) != len(latents):
        raise ValueError(f"states has {len(states)} trials, latents {len(latents)}; they must be the same")
    if not (np.isfinite(states).all() and np.isfinite(latents).all()):
        raise ValueError("states or latents hold values that are not finite; give steps that belong to the trial only")
    return states.astype(np.float64), latents.astype(np.float64)


def _moments(states: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Sums of products of (states, latents, 1) over trials, `[H + D + 1, H + D + 1]`; they add over sets of trials."""
    rows = np.concatenate([states, latents, np.ones((len(states), 1))], axis=1)
    return rows.T @ rows


class _Path:
    """Ridge fits to the trials of given moments, for any penalty at the cost of a product."""

    def __init__(self, moments: np.ndarray, n_units: int) -> None:
        n = moments[-1, -1]
        self.mean = moments[-1, :-1] / n
        centred = moments[:-1, :-1] - n * np.outer(self.mean, self.mean)
        self.n_units = n_units
        self.values, self.vectors = np.linalg.eigh(centred[:n_units, :n_units])
        self.values = np.maximum(self.values, 0)
        self.cross = self.vectors.T @ centred[:n_units, n_units:]
        # Directions without variance beyond rounding get no weight, even without a penalty.
        self.noise = self.values.max(initial=0) * n_units * np.finfo(float).eps

    def scale(self) -> float:
        """What relative penalties are relative to: the trials' number times the mean variance of a unit."""
        return max(float(self.values.mean()), np.finfo(float).tiny)

    def fit(self, penalty: float) -> Ridge:
        """The decoder with an absolute penalty."""
        live = self.values > self.noise
        gain = np.where(live, 1 / np.where(live, self.values + penalty, 1), 0)
        weights = self.vectors @ (gain[:, None] * self.cross)
        return Ridge(weights, self.mean[self.n_units :] - self.mean[: self.n_units] @ weights, penalty)


def _squared_error(decoder: Ridge, moments: np.ndarray) -> float:
    """The sum of squared errors of a decoder over the trials of given moments."""
    n_latents = decoder.weights.shape[1]
    residual = np.concatenate([-decoder.weights, np.eye(n_latents), -decoder.intercept[None]])
    return float(np.einsum("id,ij,jd->", residual, moments, residual))


def _chosen(moments: np.ndarray, n_units: int, penalties: tuple[float, ...]) -> float:
    """The relative penalty with the least error on the groups of `moments` `[G, ...]`, each left out in turn."""
    if len(moments) > MOST_INNER:
        moments = np.stack([part.sum(axis=0) for part in np.array_split(moments, MOST_INNER)])
    total, errors = moments.sum(axis=0), np.zeros(len(penalties))
    for left_out in moments:
        path = _Path(total - left_out, n_units)
        errors += [_squared_error(path.fit(p * path.scale()), left_out) for p in penalties]
    return penalties[int(np.argmin(errors))]


def _scores(
    states: np.ndarray, latents: np.ndarray, group: np.ndarray, orthant: np.ndarray, penalties: tuple[float, ...]
) -> Scores:
    """Decodes each group from the others; scores by orthant."""
    n_units = states.shape[1]
    # A shift common to all trials changes no fit, and keeps the sums of products well conditioned.
    shifted = states - states.mean(axis=0)
    members = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    moments = np.stack([_moments(shifted[rows], latents[rows]) for rows in members])
    total, predictions, chosen = moments.sum(axis=0), np.empty_like(latents), []
    for g, rows in enumerate(members):
        chosen.append(_chosen(np.delete(moments, g, axis=0), n_units, penalties))
        path = _Path(total - moments[g], n_units)
        predictions[rows] = path.fit(chosen[-1] * path.scale()).predict(shifted[rows])
    by_orthant = [(latents[orthant == q], predictions[orthant == q]) for q in range(int(orthant.max()) + 1)]
    prior, local = (np.array([score(*pair) for pair in by_orthant]) for score in (r2_prior, r2_local))
    return Scores(float(prior.mean()), float(local.mean()), prior, local, predictions, np.array(chosen))
