"""Shattering dimensionality. Axis letters: N trials, H units, D latents, Q conditions (orthants), K dichotomies,
R draws of a null.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import checked, dealt, dichotomies, orthants, varying
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.utils.validation import check_int

# Folds, into which trials are dealt evenly within each condition; most dichotomies; and the ridge penalty, relative to
# the number of trials times the mean variance of a unit.
N_FOLDS, MOST, PENALTY = 4, 500, 1e-3


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Shattering(ProbeResult):
    """Shattering dimensionality. `value`, `null`, `p`: mean accuracy over dichotomies, labels permuted.

    Attributes:
        dichotomies: the class of each condition, -1 or +1, `[K, Q]`.
        accuracies: cross-validated, `[K]`.
        null_accuracies: where labels are permuted, `[R, K]`.
        share_significant: the share of dichotomies with p <= 0.05, each against its own null; 5 % by chance. NaN with
            fewer than 19 draws.
        xor: for D = 2 the accuracy for the sign of x_1 x_2, else NaN.
        p_xor: likewise.
        latents_only: the mean accuracy of the D dichotomies that are the sign of a latent.
        orthants: names of the conditions.
    """

    dichotomies: Int[np.ndarray, "K Q"]
    accuracies: Float[np.ndarray, " K"]
    null_accuracies: Float[np.ndarray, "R K"]
    share_significant: float
    xor: float
    p_xor: float
    latents_only: float
    orthants: tuple[str, ...]


def shattering(
    states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], rng: np.random.Generator, *, n_null: int = 100
) -> Shattering:
    """The mean accuracy of linear classifiers over all balanced dichotomies of the sign patterns of x*.

    Each way to split the 2^D conditions into two equal halves is learned by a linear classifier and tested on trials
    that it was not fitted to; `value` is the *mean accuracy*, between 0.5 (chance) and 1 (Bernardi et al. 2020,
    doi:10.1016/j.cell.2020.09.031). It is not the share of dichotomies that can be learned, which
    `share_significant` gives, nor a number of dimensions (Rigotti et al. 2013, doi:10.1038/nature12160, count
    dichotomies), nor CCGP, which leaves conditions out. A linear code of x* has the latents and little else; a
    high-dimensional one has all.

    Classifier: least squares of the classes -1 and +1 on states, with an intercept and a ridge penalty; its sign
    decides. Trials are weighed so that all conditions
    count the same in the fit, as they do in the accuracy, which is the mean over conditions: latents that are
    correlated over trials make conditions rare, not harder. It is Fisher's discriminant of the two classes. All
    dichotomies are columns of one least-squares problem. A score of exactly 0 counts one half.

    There are 1, 3, 35, 6435 balanced dichotomies for D = 1, 2, 3, 4. Of more than 500, those of the D latents are
    taken, and before all others in the list; the rest is drawn, and means give the drawn ones the weight of all that
    they were drawn from.

    Null: states hold nothing of the conditions; the trials of a fold change their conditions by a random permutation,
    so folds keep their numbers of trials of each condition, and trials get the weights of their new ones.

    Arguments:
        latents: x*, D >= 1; for D = 1 the only dichotomy is the sign of x_1.
        rng: deals the folds, draws dichotomies and the null.
        n_null: draws of the null.

    Raises:
        ValueError: if an orthant has fewer than 4 trials, no unit varies, arrays are not finite or not of the
            same trials, or an argument is out of its range.
    """
    states, latents = checked(states, latents)
    varying(states)
    check_int("n_null", n_null, 0)
    conditions = orthants(latents, least=N_FOLDS, complete=True)
    fold = dealt(conditions, N_FOLDS, rng) % N_FOLDS
    rows, shares = _rows(conditions.signs, rng)
    folds = [_Fold.of(states, np.flatnonzero(fold == f)) for f in range(N_FOLDS)]
    found = _accuracies(folds, conditions.which, rows)
    null = np.empty((n_null, len(rows)))
    for draw, order in zip(null, permutations_within(fold, n_null, rng), strict=True):
        draw[:] = _accuracies(folds, conditions.which[order], rows)
    value, null_values = float(found @ shares), null @ shares
    p_each = [p_value(found[k], null[:, k]) for k in range(len(rows))]
    xor = np.flatnonzero((rows == -conditions.signs.prod(axis=1)).all(axis=1)) if latents.shape[1] == 2 else []
    single = [(rows == sign).all(axis=1) for sign in conditions.signs.T]
    of_latents = found[np.any(single, axis=0)]
    return Shattering(
        value=value,
        null=null_values,
        p=p_value(value, null_values),
        n=len(states),
        settings={"n_null": n_null, "n_folds": N_FOLDS, "penalty": PENALTY, "most": MOST},
        dichotomies=rows,
        accuracies=found,
        null_accuracies=null,
        share_significant=float((np.array(p_each) <= 0.05) @ shares) if n_null >= 19 else float("nan"),
        xor=float(found[xor[0]]) if len(xor) else float("nan"),
        p_xor=p_each[xor[0]] if len(xor) else float("nan"),
        latents_only=float(of_latents.mean()),
        orthants=conditions.names,
    )


def _rows(signs: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The dichotomies, `[K, Q]`, and the share of all that each stands for, `[K]`."""
    n_conditions, n_dims = signs.shape
    n_all = comb(n_conditions, n_conditions // 2) // 2
    drawn = dichotomies(n_conditions, MOST, rng)
    if n_all <= MOST:
        return drawn, np.full(n_all, 1 / n_all)
    others = drawn[~(drawn[:, None] == signs.T).all(axis=2).any(axis=1)][: MOST - n_dims]
    shares = np.repeat([1 / n_all, (1 - n_dims / n_all) / len(others)], [n_dims, len(others)])
    return np.concatenate([signs.T, others]), shares


class _Fold(NamedTuple):
    """The trials fitted to, `[F]`, and tested, `[N - F]`, and the states of both, about the mean of the former."""

    fitted: np.ndarray
    tested: np.ndarray
    states: np.ndarray
    tested_states: np.ndarray

    @classmethod
    def of(cls, states: np.ndarray, tested: np.ndarray) -> _Fold:
        fitted = np.setdiff1d(np.arange(len(states)), tested)
        centre = states[fitted].mean(axis=0)
        return cls(fitted, tested, states[fitted] - centre, states[tested] - centre)

    def scores(self, which: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Of the tested trials, `[N - F, K]`, from `classes` `[Q, K]` of the conditions of the fitted."""
        n_conditions = len(classes)
        is_in = np.eye(n_conditions)[which[self.fitted]]
        weights = is_in * (len(is_in) / (n_conditions * is_in.sum(axis=0)))
        # Labels are constant in a condition: sums over its trials serve all dichotomies. The mean label is 0.
        sums = weights.T @ self.states
        centre = sums.sum(axis=0) / len(is_in)
        products = (self.states * weights.sum(axis=1)[:, None]).T @ self.states - len(is_in) * np.outer(centre, centre)
        # States that vary in the tested trials only leave nothing to fit to; a penalty of 1 then gives scores of 0.
        scale = np.trace(products) / len(products)
        products[np.diag_indices_from(products)] += PENALTY * scale if scale > 0 else 1.0
        return (self.tested_states - centre) @ np.linalg.solve(products, sums.T @ classes)


def _accuracies(folds: list[_Fold], which: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The accuracy of each dichotomy, the mean over conditions."""
    n_conditions = rows.shape[1]
    right = np.zeros((n_conditions, len(rows)))
    classes = rows.T.astype(float)
    for fold in folds:
        order = np.argsort(which[fold.tested], kind="stable")
        counts = np.bincount(which[fold.tested], minlength=n_conditions)
        scores = fold.scores(which, classes)[order]
        hits = (scores > 0).astype(np.int64) + (scores >= 0)
        above = np.add.reduceat(hits, np.concatenate([[0], np.cumsum(counts)[:-1]]))
        right += np.where(classes > 0, above, 2 * counts[:, None] - above)
    return (right / (2 * np.bincount(which, minlength=n_conditions))[:, None]).mean(axis=0)
