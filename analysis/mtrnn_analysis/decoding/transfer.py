"""Linear read-outs of new questions, tested in an orthant of x* that they were not fitted to.

Axis letters: N trials, H units, D latents, Q orthants, L new questions, J pairs of question and orthant, R shuffles.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from mtrnn_analysis.decoding.decoding import decode
from mtrnn_analysis.decoding.holdout import region_splits, single
from mtrnn_analysis.decoding.ridge import Split
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import Orthants, checked, orthants
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.components.boundaries import Linear, affine, labels
from mtrnn_envs.ideal_observer.posterior import trial_probabilities
from mtrnn_envs.utils.validation import check_int

if TYPE_CHECKING:
    from mtrnn_envs import Trials

# Penalties tried, per trial and relative to the mean variance of a unit; largest first.
PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(0, -6.1, -1))
# Sets of orthants among which a penalty is chosen.
MOST_INNER = 4
# The least share of the rarer label in an orthant where a question is tested; half of it where it is fitted.
LEAST_SHARE = 0.1


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Transfer(ProbeResult):
    """Accuracy on new questions in a held-out orthant; `value` is the mean over pairs of question and orthant.

    Attributes:
        chance: accuracy of giving the more frequent answer of the orthant tested, mean over the same pairs.
        ideal: accuracy of the ideal observer, which knows the new questions, on the same pairs and trials; NaN without
            trials, or where it is not computed.
        nearest: accuracy of the trained question, or its opposite, that agrees best with the new one on the trials
            fitted: the reach of an old answer to a new question, if it were always right; NaN without trials.
        through_latents: accuracy of answering the new question from decoded x*, by a ridge regression fitted to x*
            itself on the same trials (`decoding.decode`): the reach of a linear read-out that knows more than labels.
        normals: of the new questions, unit vectors, `[L, D]`.
        offsets: their distances from the origin, `[L]`; +1 is the answer where normals · x* > offsets.
        question: of each pair, `[J]`.
        orthant: the held-out one of each pair, `[J]`, an index into `orthants`.
        accuracy: of each pair, `[J]`.
        chance_by_pair: `[J]`.
        ideal_by_pair: `[J]`; NaN as `ideal` is.
        orthants: as signs ("+-": x_1 > 0, x_2 <= 0).
        penalties: chosen for each held-out orthant, `[Q]`.
    """

    chance: float
    ideal: float
    nearest: float
    through_latents: float
    normals: Float[np.ndarray, "L D"]
    offsets: Float[np.ndarray, " L"]
    question: Int[np.ndarray, " J"]
    orthant: Int[np.ndarray, " J"]
    accuracy: Float[np.ndarray, " J"]
    chance_by_pair: Float[np.ndarray, " J"]
    ideal_by_pair: Float[np.ndarray, " J"]
    orthants: tuple[str, ...]
    penalties: Float[np.ndarray, " Q"]


def transfer(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    trials: Trials | None = None,
    *,
    n_questions: int = 12,
    n_null: int = 100,
) -> Transfer:
    """A linear read-out of new questions, fitted to all orthants but one and tested on that one.

    New questions are hyperplanes that miss the origin, as those of boundaries="affine" (unit normals uniform on the
    sphere, each plane through its own point uniform on [-0.3, 0.3]^D), drawn from `rng`: none of them was trained. For
    each held-out orthant, a logistic regression is fitted to their labels on the trials of the others; accuracy is
    taken on the trials left out. Only pairs count where the plane cuts the orthant (the rarer label has a share of 0.1
    or more there), and where the trials fitted have both labels, the rarer with a share of 0.05 or more: elsewhere one
    answer would be right for (nearly) all trials.

    Why logistic: the labels are those of a half-space, so their log odds are near linear in x*, and the normal is found
    wherever x* was sampled. Least squares on labels is not: its normal depends on the region. One penalty serves all
    questions of an orthant: that with the highest accuracy where the other orthants (of more than 4, sets of them) are
    left out in turn.

    Null hypothesis: in the held-out orthant, x* is independent of the answers of the read-outs. Under it x* can be
    exchanged among the trials tested, with the read-outs as they are; a read-out with one answer to all of them ties
    with every shuffle, and ties count as extreme. States that tell the orthant and nothing more fulfil it; those that
    code x* in each orthant in another way do not. So p says whether something carries over, `chance` and `ideal` how
    much: `value` can be above its null and below `chance`.

    Arguments:
        states: of N trials, for example at the decision step.
        latents: x* of the trials.
        rng: draws the questions, and shuffles.
        trials: the same trials, for the ideal observer and the trained questions.
        n_questions: new questions, 1 or more.
        n_null: shuffles.

    Raises:
        ValueError: if an argument is out of its range, there are fewer than 3 orthants with trials (with one latent a
            question is decided within one orthant, and cannot be learned in the other), or no question cuts an orthant.
    """
    states, latents = checked(states, latents)
    check_int("n_questions", n_questions, 1)
    check_int("n_null", n_null, 0)
    if trials is not None and not np.array_equal(trials.latents, latents):
        raise ValueError("trials are not those of latents: their x* differ")
    groups = orthants(latents)
    if len(groups.names) < 3:
        raise ValueError(f"latents lie in {groups.names}; 3 orthants or more are needed to learn a question elsewhere")
    seed = int(rng.integers(2**31))
    planes: Linear = affine(n_questions, latents.shape[1], seed)
    right = labels(planes, latents)
    splits = region_splits(single(groups), 1, MOST_INNER)
    answers, penalties = _read_outs(_scaled(states), right, groups, splits)
    pairs = [(k, q) for q, split in enumerate(splits) for k in np.flatnonzero(_cut(right, groups, split))]
    if not pairs:
        raise ValueError(
            f"n_questions={n_questions}: none divides an orthant so that the rarer label has a share of "
            f"{LEAST_SHARE} there, and half of it elsewhere; ask more questions"
        )
    question, orthant = np.array(pairs).T
    tested = [(groups.which == q, question[orthant == q]) for q in range(len(splits))]
    orders = permutations_within(groups.which, n_null, rng)

    def by_pair(given: np.ndarray, truth: np.ndarray) -> np.ndarray:
        return np.concatenate([np.mean(given[rows][:, k] == truth[rows][:, k], axis=0) for rows, k in tested])

    accuracy = by_pair(answers, right)
    value, null = float(accuracy.mean()), np.array([by_pair(answers, right[order]).mean() for order in orders])
    decoded = decode(states, latents, rng, n_null=0).out_of_distribution.predictions
    positive = by_pair(np.ones_like(right), right)
    chance, ideal, nearest = np.maximum(positive, 1 - positive), np.full(len(pairs), np.nan), float("nan")
    if trials is not None:
        nearest = float(by_pair(_nearest(trials.labels, right, groups), right).mean())
        if trials.task.encoder_noise == 0:
            # The ideal observer of the same trials under a task with the new questions as its boundaries.
            excluded = () if set(groups.names) & set(trials.task.excluded_orthants) else trials.task.excluded_orthants
            asked = replace(trials.task, boundaries="affine", boundary_seed=seed, n_tasks=n_questions, cueing="all")
            asked = replace(asked, excluded_orthants=excluded)
            positive = trial_probabilities(replace(trials, task=asked, context=None))
            ideal = by_pair(np.where(positive > 0.5, 1, -1), right)
    return Transfer(
        value=value,
        null=null,
        p=p_value(value, null),
        n=len(states),
        settings={"n_questions": n_questions, "least_share": LEAST_SHARE, "n_null": n_null},
        chance=float(chance.mean()),
        ideal=float(ideal.mean()),
        nearest=nearest,
        through_latents=float(by_pair(labels(planes, decoded), right).mean()),
        normals=planes.normals,
        offsets=planes.offsets,
        question=question,
        orthant=orthant,
        accuracy=accuracy,
        chance_by_pair=chance,
        ideal_by_pair=ideal,
        orthants=groups.names,
        penalties=penalties,
    )


def _scaled(states: np.ndarray) -> np.ndarray:
    """The coordinates of states along their principal axes, but those without variance; mean variance of a unit 1.

    A rotation changes no fit; fewer coordinates are faster.
    """
    centred = states - states.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(states))
    live = values > max(values.max(), 0) * len(values) * np.finfo(float).eps
    if not live.any():
        return np.zeros((len(states), 1))
    return centred @ vectors[:, live] / np.sqrt(max(values.clip(0).mean(), np.finfo(float).tiny))


def _rarer(right: np.ndarray) -> np.ndarray:
    """The share of the rarer label, `[L]`."""
    positive = np.mean(right > 0, axis=0)
    return np.minimum(positive, 1 - positive)


def _cut(right: np.ndarray, groups: Orthants, split: Split) -> Bool[np.ndarray, " L"]:
    """True for the questions that divide the trials tested, and those fitted."""
    here, elsewhere = (_rarer(right[cells[groups.which]]) for cells in (split.test, split.fit))
    return (here >= LEAST_SHARE) & (elsewhere >= LEAST_SHARE / 2)


def _read_outs(
    states: np.ndarray, right: np.ndarray, groups: Orthants, splits: list[Split]
) -> tuple[np.ndarray, np.ndarray]:
    """The answers by read-outs not fitted to the trial's orthant, and the penalties.

    +1 or -1; 0 to the questions that do not divide the orthant.
    """
    paths: dict[bytes, dict[int, tuple[np.ndarray, np.ndarray]]] = {}
    answers, penalties = np.zeros_like(right), np.zeros(len(splits))

    def scores(split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log odds of the trials tested, `[P, N, L]`, for the questions that divide them; these trials and questions.

        Each question is fitted once to a set of trials.
        """
        rows, fitted = split.test[groups.which], split.fit[groups.which]
        path, cut = paths.setdefault(split.fit.tobytes(), {}), np.flatnonzero(_cut(right, groups, split)).tolist()
        for k in cut:
            if k not in path:
                path[k] = _logistic_path(states[fitted], right[fitted, k])
        weights = np.stack([path[k][0] for k in cut], axis=2) if len(cut) else np.empty((1, states.shape[1], 0))
        intercepts = np.stack([path[k][1] for k in cut], axis=1) if len(cut) else np.empty((1, 0))
        return states[rows] @ weights + intercepts[:, None], np.flatnonzero(rows), np.array(cut, np.int64)

    for q, split in enumerate(splits):
        hits = np.zeros(len(PENALTIES))
        for left_out in split.validations:
            odds, rows, cut = scores(Split(split.pool & ~left_out, left_out, split.validations, split.pool))
            hits += np.sum((odds > 0) == (right[np.ix_(rows, cut)] > 0), axis=(1, 2))
        best = int(hits.argmax())
        penalties[q] = PENALTIES[best]
        odds, rows, cut = scores(split)
        if len(cut):
            answers[np.ix_(rows, cut)] = np.where(odds[best] > 0, 1, -1)
    return answers, penalties


def _logistic_path(states: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[P, H]` and intercepts `[P]` for all penalties, each fit starting from that of the next larger one."""
    model: Any = LogisticRegression(solver="newton-cholesky", warm_start=True, tol=1e-6)
    path = []
    with warnings.catch_warnings():
        # Newton's line search has nothing to gain at an optimum: scikit-learn then warns, and turns to L-BFGS.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for penalty in PENALTIES:
            model.set_params(C=1 / (len(states) * penalty)).fit(states, labels)
            path.append((model.coef_[0].copy(), model.intercept_[0]))
    return np.stack([weights for weights, _ in path]), np.array([intercept for _, intercept in path])


def _nearest(trained: np.ndarray, right: np.ndarray, groups: Orthants) -> np.ndarray:
    """For each new question the trained one, or its opposite, that agrees best with it outside the trial's orthant."""
    answers = np.empty_like(right)
    for q in range(len(groups.names)):
        rows = groups.which == q
        agreement = trained[~rows].T.astype(float) @ right[~rows]
        best = np.abs(agreement).argmax(axis=0)
        answers[rows] = trained[rows][:, best] * np.where(agreement[best, np.arange(right.shape[1])] < 0, -1, 1)
    return answers
