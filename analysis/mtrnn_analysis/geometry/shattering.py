"""Shattering dimensionality. Axis letters: N trials, H units, D latents, Q conditions (orthants), K dichotomies,
R draws of a null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mtrnn_analysis.conditions import checked, dichotomies, orthants, varying
from mtrnn_analysis.finding import Finding
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_envs.checks import whole


@dataclass(frozen=True, eq=False, kw_only=True)
class Shattering(Finding):
    """Shattering dimensionality. `value`, `null`, `p`: mean accuracy over dichotomies, labels permuted.

    Attributes:
        dichotomies: the class of each condition, -1 or +1, `[K, Q]`.
        accuracies: cross-validated, `[K]`.
        null_accuracies: where labels are permuted, `[R, K]`.
        share_significant: the share of dichotomies with p <= 0.05, each against its own null; 5 % by chance. NaN with
            fewer than 19 draws.
        xor: for D = 2 the accuracy for the sign of x_1 x_2, else NaN.
        p_xor: likewise.
        latents_only: the mean accuracy of those dichotomies that are the sign of a latent; NaN if none was drawn.
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
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    n_folds: int = 4,
    penalty: float = 1e-3,
    most: int = 500,
) -> Shattering:
    """The mean accuracy of linear classifiers over all balanced dichotomies of the sign patterns of x*.

    Each way to split the 2^D conditions into two equal halves is learned by a linear classifier and tested on trials
    that it was not fitted to; `value` is the *mean accuracy*, between 0.5 (chance) and 1 (Bernardi et al. 2020,
    doi:10.1016/j.cell.2020.09.031). It is not the share of dichotomies that can be learned, which
    `share_significant` gives, nor a number of dimensions (Rigotti et al. 2013, doi:10.1038/nature12160, count
    dichotomies), nor CCGP, which leaves conditions out. A linear code of x* has the latents and little else; a
    high-dimensional one has all.

    Classifier: least squares of the classes -1 and +1 on states, with an intercept and a ridge `penalty` relative to
    the number of trials times the mean variance of a unit; its sign decides. With two equal classes it is Fisher's
    discriminant. All dichotomies are columns of one least-squares problem. A score of exactly 0 counts one half; the
    accuracy is the mean over conditions, each counting the same.

    There are 1, 3, 35, 6435 balanced dichotomies for D = 1, 2, 3, 4; of more than `most`, `most` are drawn.

    Null: states hold nothing of the conditions; the trials of a fold change their conditions by a random permutation,
    so folds keep their numbers of trials of each condition.

    Arguments:
        states: of N trials.
        latents: x*, D >= 1; for D = 1 the only dichotomy is the sign of x_1.
        rng: deals the folds, draws dichotomies and the null.
        n_null: draws of the null.
        n_folds: 2 or more; trials are dealt evenly within each condition.
        penalty: above 0.
        most: dichotomies, at most.

    Raises:
        ValueError: if an orthant has fewer than `n_folds` trials, no unit varies, arrays are not finite or not of the
            same trials, or an argument is out of its range.
    """
    states, latents = checked(states, latents)
    varying(states)
    n_null, n_folds, most = whole("n_null", n_null, 0), whole("n_folds", n_folds, 2), whole("most", most, 1)
    if not 0 < penalty < np.inf:
        raise ValueError(f"penalty={penalty!r} is not a number above 0")
    conditions = orthants(latents, least=n_folds, complete=True)
    fold = np.empty(len(states), np.int64)
    for q, count in enumerate(conditions.counts):
        fold[conditions.which == q] = rng.permutation(np.arange(count) % n_folds)
    rows = dichotomies(len(conditions.counts), most, rng)
    folds = [_Fold.of(states, np.flatnonzero(fold == f), penalty) for f in range(n_folds)]
    found = _accuracies(folds, conditions.which, rows)
    null = np.empty((n_null, len(rows)))
    for draw, order in zip(null, permutations_within(fold, n_null, rng), strict=True):
        draw[:] = _accuracies(folds, conditions.which[order], rows)
    value, p_each = found.mean(), [p_value(found[k], null[:, k]) for k in range(len(rows))]
    xor = np.flatnonzero((rows == -conditions.signs.prod(axis=1)).all(axis=1)) if latents.shape[1] == 2 else []
    single = [(rows == sign).all(axis=1) for sign in conditions.signs.T]
    of_latents = found[np.any(single, axis=0)]
    return Shattering(
        value=float(value),
        null=null.mean(axis=1),
        p=p_value(value, null.mean(axis=1)),
        n=len(states),
        settings={"n_null": n_null, "n_folds": n_folds, "penalty": float(penalty), "most": most},
        dichotomies=rows,
        accuracies=found,
        null_accuracies=null,
        share_significant=float(np.mean(np.array(p_each) <= 0.05)) if n_null >= 19 else float("nan"),
        xor=float(found[xor[0]]) if len(xor) else float("nan"),
        p_xor=p_each[xor[0]] if len(xor) else float("nan"),
        latents_only=float(of_latents.mean()) if len(of_latents) else float("nan"),
        orthants=conditions.names,
    )


class _Fold(NamedTuple):
    """The trials fitted to, `[F]`, and tested, `[N - F]`, and what takes labels of the former to scores of the latter:
    score = mean label + kernel (label - mean label), kernel = (h - m)(G + penalty)⁻¹ of the tested, times products
    with the states fitted.
    """

    fitted: np.ndarray
    tested: np.ndarray
    states: np.ndarray
    solved: np.ndarray

    @classmethod
    def of(cls, states: np.ndarray, tested: np.ndarray, penalty: float) -> _Fold:
        fitted = np.setdiff1d(np.arange(len(states)), tested)
        centre = states[fitted].mean(axis=0)
        own = states[fitted] - centre
        products = own.T @ own
        # States that vary in the tested trials only leave nothing to fit to; a penalty of 1 then gives scores of 0.
        scale = np.trace(products) / states.shape[1]
        products[np.diag_indices_from(products)] += penalty * scale if scale > 0 else 1.0
        return cls(fitted, tested, own, np.linalg.solve(products, (states[tested] - centre).T).T)


def _accuracies(folds: list[_Fold], which: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The accuracy of each dichotomy, the mean over conditions."""
    n_conditions = rows.shape[1]
    member = np.eye(n_conditions)
    right = np.zeros((n_conditions, len(rows)))
    classes = rows.T.astype(float)
    for fold in folds:
        is_in = member[which[fold.fitted]]
        # Labels are constant in a condition: sums over its trials serve all dichotomies.
        mean = is_in.mean(axis=0) @ classes
        scores = mean + fold.solved @ (fold.states.T @ is_in) @ classes
        order = np.argsort(which[fold.tested], kind="stable")
        counts = np.bincount(which[fold.tested], minlength=n_conditions)
        scores = scores[order]
        hits = (scores > 0).astype(np.int64) + (scores >= 0)
        above = np.add.reduceat(hits, np.concatenate([[0], np.cumsum(counts)[:-1]]))
        right += np.where(classes > 0, above, 2 * counts[:, None] - above)
    return (right / (2 * np.bincount(which, minlength=n_conditions))[:, None]).mean(axis=0)
