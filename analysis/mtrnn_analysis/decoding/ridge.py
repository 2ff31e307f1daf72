"""Ridge regression of many targets at once, from sums of products over small sets of trials.

Everything that cross-validation asks for (a fit to some trials, its squared error on others) follows from the sums of
products of each *cell*, a small set of trials: sums add, so a fit to any union of cells costs one eigendecomposition of
`[H, H]`, whatever the number of trials, and then serves all penalties, all targets and all tests. Targets that are
shuffled among trials change the cross products only, so that a null distribution of a whole nested cross-validation is
a few matrix products.

Axis letters: N trials, H units, C cells, K targets, P penalties, G splits, V validations, R sets of targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_analysis.result import ShortRepr

# Penalties that are tried, relative to the mean variance of a unit times the number of trials fitted.
PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-7, 1.1, 0.5))
# Shuffled targets that are decoded at once: columns times cells (4 folds of 2^D orthants). The sums of products, a
# number for each cell, unit and column, are some 16 MB with 64 units.
COLUMNS = 2**15


@dataclass(frozen=True, eq=False, repr=False)
class Ridge(ShortRepr):
    """An affine decoder: prediction = states @ weights + intercept.

    Attributes:
        weights: `[H, K]`, targets per unit of activity.
        intercept: `[K]`.
        penalty: the factor of the squared weights in the sum of squares, as scikit-learn's `alpha`.
    """

    weights: Float[np.ndarray, "H K"]
    intercept: Float[np.ndarray, " K"]
    penalty: float

    def predict(self, states: Float[np.ndarray, "N H"]) -> Float[np.ndarray, "N K"]:
        """The decoded targets."""
        return states @ self.weights + self.intercept


class Split(NamedTuple):
    """The cells that a decoder is fitted to, and those that choose its penalty, without the cells that it is tested on.

    Attributes:
        fit: the cells fitted with the penalty chosen, `[C]`.
        test: the cells tested, `[C]`; none of `fit`.
        validations: for the choice of the penalty, the cells that are left out in turn, `[V, C]`.
        pool: the cells of which they are left out, `[C]`: those of `fit`, or fewer.
    """

    fit: Bool[np.ndarray, " C"]
    test: Bool[np.ndarray, " C"]
    validations: Bool[np.ndarray, "V C"]
    pool: Bool[np.ndarray, " C"]


class Targets(NamedTuple):
    """Sums over the trials of each cell.

    Attributes:
        x: of the targets, `[C, K]`.
        xx: of their squares, `[C, K]`.
        hx: of states times targets, `[C, H, K]`.
    """

    x: Float[np.ndarray, "C K"]
    xx: Float[np.ndarray, "C K"]
    hx: Float[np.ndarray, "C H K"]

    def over(self, cells: Bool[np.ndarray, " C"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The sums over the trials of several cells."""
        x, xx, hx = (_over(cells, sums) for sums in self)
        return x, xx, hx


class Path(NamedTuple):
    """The states of the trials that are fitted, as all fits to them need it.

    Attributes:
        n_trials: how many they are.
        mean: of the states, `[H]`.
        values: eigenvalues of the centred Gram matrix, `[H]`; 0 for directions without variance beyond rounding.
        vectors: its eigenvectors, columns, `[H, H]`.
    """

    n_trials: float
    mean: Float[np.ndarray, " H"]
    values: Float[np.ndarray, " H"]
    vectors: Float[np.ndarray, "H H"]

    def scale(self) -> float:
        """The unit of relative penalties: the trials' number times the mean variance of a unit."""
        return max(float(self.values.mean()), float(np.finfo(float).tiny))

    def gains(self, penalties: Float[np.ndarray, "*P"]) -> Float[np.ndarray, "*P H"]:
        """1 / (eigenvalue + penalty) for penalties that are absolute; 0 for directions without variance."""
        live = self.values > 0
        return np.where(live, 1 / (np.where(live, self.values, 1) + penalties[..., None]), 0)


class Cells:
    """States in cells, and the fits to unions of cells, each decomposed once.

    Arguments:
        states: `[N, H]`.
        cell: of each trial, `[N]`, counted from 0.
    """

    def __init__(self, states: Float[np.ndarray, "N H"], cell: Int[np.ndarray, " N"]) -> None:
        # A shift common to all trials changes no fit, and keeps the sums of products well conditioned.
        self.shift = states.mean(axis=0)
        self.members = [np.flatnonzero(cell == c) for c in range(int(cell.max()) + 1)]
        self.states = [states[rows] - self.shift for rows in self.members]
        self.count = np.array([len(rows) for rows in self.members], float)
        self.h = np.stack([part.sum(axis=0) for part in self.states])
        self.hh = np.stack([part.T @ part for part in self.states])
        self._paths: dict[bytes, Path] = {}

    def targets(self, targets: Float[np.ndarray, "N K"]) -> Targets:
        """The sums of targets of the same trials."""
        parts = [targets[rows] for rows in self.members]
        hx = np.stack([part.T @ x for part, x in zip(self.states, parts, strict=True)])
        return Targets(np.stack([x.sum(axis=0) for x in parts]), np.stack([(x**2).sum(axis=0) for x in parts]), hx)

    def shuffled(self, targets: Float[np.ndarray, "N D"], orders: Int[np.ndarray, "R N"]) -> Iterator[Targets]:
        """The sums of targets in several orders of the trials, in blocks of orders that stay small."""
        block = max(1, COLUMNS // (len(self.count) * targets.shape[1]))
        for some in (orders[i : i + block] for i in range(0, len(orders), block)):
            yield self.targets(targets[some].transpose(1, 0, 2).reshape(len(targets), -1))

    def path(self, fit: Bool[np.ndarray, " C"]) -> Path:
        """The decomposition for fits to the trials of `fit`."""
        key = fit.tobytes()
        if key not in self._paths:
            count, h, hh = self._over(fit)
            values, vectors = np.linalg.eigh(hh - np.outer(h, h) / count)
            noise = values.max(initial=0) * len(values) * np.finfo(float).eps
            self._paths[key] = Path(count, h / count, np.where(values > noise, values, 0), vectors)
        return self._paths[key]

    def fit(self, path: Path, targets: Targets, fit: Bool[np.ndarray, " C"]) -> Fit:
        """The targets of the trials of `fit`, as all fits of them need it."""
        x, _, hx = targets.over(fit)
        return Fit(path, path.vectors.T @ (hx - path.mean[:, None] * x), x / path.n_trials)

    def error(self, fit: Fit, targets: Targets, test: Bool[np.ndarray, " C"]) -> Error:
        """The sums that squared errors of fits on the trials of `test` follow from."""
        (count, h, hh), (x, xx, hx) = self._over(test), targets.over(test)
        path, mean = fit.path, fit.path.mean
        # Sums of products about the means of the trials fitted, along the eigenvectors of their Gram matrix.
        about = hh - np.outer(h, mean) - np.outer(mean, h) + count * np.outer(mean, mean)
        cross = hx - h[:, None] * fit.mean - mean[:, None] * (x - count * fit.mean)
        square = xx - 2 * fit.mean * x + count * fit.mean**2
        return Error(square, path.vectors.T @ cross, path.vectors.T @ about @ path.vectors)

    def _over(self, cells: Bool[np.ndarray, " C"]) -> tuple[float, np.ndarray, np.ndarray]:
        return float(self.count[cells].sum()), _over(cells, self.h), _over(cells, self.hh)


def _over(cells: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The sum over some cells, the first axis. Of few among many, as one orthant of D = 8, the others are not read."""
    if 4 * np.count_nonzero(cells) <= len(cells):
        return sums[cells].sum(axis=0)
    return np.tensordot(cells.astype(float), sums, 1)


class Fit(NamedTuple):
    """Fits of K targets to the trials of a `Path`, for any penalty.

    Attributes:
        path: the states.
        cross: sums of products of states, along the eigenvectors, with targets, `[H, K]`.
        mean: of the targets, `[K]`.
    """

    path: Path
    cross: Float[np.ndarray, "H K"]
    mean: Float[np.ndarray, " K"]


class Error(NamedTuple):
    """Sums over trials tested, about the means of the trials fitted and along their eigenvectors.

    Attributes:
        square: of squares of targets, `[K]`.
        cross: of products of states with targets, `[H, K]`.
        gram: of products of states with states, `[H, H]`.
    """

    square: Float[np.ndarray, " K"]
    cross: Float[np.ndarray, "H K"]
    gram: Float[np.ndarray, "H H"]

    def of(self, weights: Float[np.ndarray, "*P H K"]) -> Float[np.ndarray, "*P K"]:
        """The sum of squared errors of weights along the eigenvectors."""
        return self.square + np.sum(weights * (self.gram @ weights - 2 * self.cross), axis=-2)


def ridge(states: Float[np.ndarray, "N H"], targets: Float[np.ndarray, "N K"], penalty: float) -> Ridge:
    """The closed-form ridge regression of targets on states, with an intercept that is not penalised.

    Minimises sum |x - W'h - b|² + penalty |W|²; equal to scikit-learn's `Ridge(alpha=penalty)`. Directions of the
    states without variance beyond rounding get no weight, even without a penalty.

    Raises:
        ValueError: if the penalty is negative, or the arrays do not fit each other.
    """
    if not 0 <= penalty < np.inf:
        raise ValueError(f"penalty={penalty!r} is not a number of 0 or more")
    if len(states) != len(targets):
        raise ValueError(f"states has {len(states)} trials, targets {len(targets)}; they must be the same")
    cells = Cells(states.astype(np.float64), np.zeros(len(states), np.int64))
    every = np.ones(1, bool)
    fit = cells.fit(cells.path(every), cells.targets(targets.astype(np.float64)), every)
    return decoder(fit, np.array([float(penalty)]), cells.shift)


def decoder(fit: Fit, penalties: Float[np.ndarray, " K"], shift: Float[np.ndarray, " H"]) -> Ridge:
    """The decoder with absolute penalties, one for each target or one for all, of states not shifted."""
    weights = fit.path.vectors @ (fit.path.gains(penalties).T * fit.cross)
    return Ridge(weights, fit.mean - (fit.path.mean + shift) @ weights, float(penalties[0]))


def choose(
    cells: Cells, targets: Targets, split: Split, penalties: Float[np.ndarray, " P"], n_together: int
) -> Int[np.ndarray, " R"]:
    """The index of the relative penalty with the least squared error on cells left out in turn.

    Each `n_together` targets that follow each other (the latents of one shuffle) share a penalty; the errors of all
    trials left out are added up.
    """
    total = np.zeros((len(penalties), targets.x.shape[1] // n_together))
    for left_out in split.validations:
        inside = split.pool & ~left_out
        path = cells.path(inside)
        fit = cells.fit(path, targets, inside)
        weights = path.gains(penalties * path.scale())[:, :, None] * fit.cross
        errors = cells.error(fit, targets, left_out).of(weights)
        total += errors.reshape(*total.shape, n_together).sum(axis=-1)
    return total.argmin(axis=0)


class Tested(NamedTuple):
    """The result of one split.

    Attributes:
        chosen: index of the penalty chosen, `[R]`.
        decoder: of the first set of targets, of states as they are.
        errors: the sum of squared errors on each group of cells tested, `[Q, K]`; 0 for those not tested.
        counts: the trials that these are sums over, `[Q]`.
    """

    chosen: Int[np.ndarray, " R"]
    decoder: Ridge
    errors: Float[np.ndarray, "Q K"]
    counts: Float[np.ndarray, " Q"]


def cross_validate(
    cells: Cells, targets: Targets, splits: Sequence[Split], groups: Bool[np.ndarray, "Q C"], n_together: int
) -> list[Tested]:
    """Nested cross-validation of many targets: for each split a penalty is chosen, a decoder fitted, and tested.

    Arguments:
        cells: the states.
        targets: of them, sets of `n_together` that share their penalty.
        splits: of the cells.
        groups: sets of cells that errors are added up over.
        n_together: targets in a set.
    """
    grid, choices, tested = np.array(PENALTIES), {}, []
    for split in splits:
        key = split.validations.tobytes() + split.pool.tobytes()
        if key not in choices:
            choices[key] = choose(cells, targets, split, grid, n_together)
        chosen, path = choices[key], cells.path(split.fit)
        fit = cells.fit(path, targets, split.fit)
        absolute = np.repeat(grid[chosen] * path.scale(), n_together)
        weights = path.gains(absolute).T * fit.cross
        errors, counts = np.zeros((len(groups), targets.x.shape[1])), np.zeros(len(groups))
        for q, group in enumerate(groups):
            if (both := group & split.test).any():
                errors[q], counts[q] = cells.error(fit, targets, both).of(weights), both @ cells.count
        first = Fit(path, fit.cross[:, :n_together], fit.mean[:n_together])
        tested.append(Tested(chosen, decoder(first, absolute[:n_together], cells.shift), errors, counts))
    return tested
