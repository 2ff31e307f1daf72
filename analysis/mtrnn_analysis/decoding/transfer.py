"""Can a question that was never trained be answered from the states, in an orthant where it was never asked?

Axis letters: N trials, H units, D latents, Q orthants, L new questions, J pairs of question and orthant, R shuffles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_analysis.decoding.decoding import decode
from mtrnn_analysis.decoding.holdout import region_splits, single
from mtrnn_analysis.decoding.logistic import logistic_path
from mtrnn_analysis.decoding.ridge import Split
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import Orthants, checked, orthants
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.components.boundaries import Linear, affine, labels
from mtrnn_envs.ideal_observer.observer import trial_probabilities
from mtrnn_envs.utils.validation import check_int

if TYPE_CHECKING:
    from mtrnn_envs import Trials

# Penalties tried, per trial and relative to the mean variance of a unit; largest first.
PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(0, -6.1, -1))
# Sets of orthants among which a penalty is chosen.
MOST_INNER = 4


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Transfer(ProbeResult):
    """Accuracy on questions never trained, in an orthant left out; `value` is the mean over pairs.

    Attributes:
        chance: accuracy of giving the more frequent answer of the orthant tested, mean over the same pairs.
        ideal: accuracy of the ideal observer, which knows the new questions, on the same pairs and trials; NaN without
            trials, or where it is not computed.
        nearest: accuracy of the trained question, or its opposite, that agrees best with the new one on the trials
            fitted: what could be had by an old answer for a new question, if it were always right; NaN without trials.
        through_latents: accuracy of putting the new question to x* as decoded from the states, by a ridge regression
            fitted to x* itself on the same trials (`decoding.decode`): what a linear read-out can have that is told
            more than labels.
        normals: of the new questions, unit vectors, `[L, D]`.
        offsets: their distances from the origin, `[L]`; +1 is the answer where normals · x* > offsets.
        question: of each pair, `[J]`.
        orthant: that was left out, of each pair, `[J]`, an index into `orthants`.
        accuracy: of each pair, `[J]`.
        chance_by_pair: `[J]`.
        ideal_by_pair: `[J]`; NaN as `ideal` is.
        orthants: as signs ("+-": x_1 > 0, x_2 <= 0).
        penalties: chosen for each orthant left out, `[Q]`.
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
    least_share: float = 0.1,
    n_null: int = 100,
) -> Transfer:
    """A linear read-out of new questions, fitted to all orthants but one and tested on that one.

    New questions are hyperplanes that miss the origin, as those of boundaries="affine" (unit normals uniform on the
    sphere, each plane through its own point uniform on [-0.3, 0.3]^D), drawn from `rng`: none of them was trained. For
    each orthant left out, a logistic regression is fitted to their labels on the trials of the others; accuracy is
    taken on the trials left out. Only pairs count where the plane cuts the orthant (the rarer label has a share of
    `least_share` or more there), and where the trials fitted have both labels, the rarer with half that share or more:
    elsewhere one answer would be right for (nearly) all trials.

    Why logistic: the labels are those of a half-space, so their log odds are near linear in x*, and the normal is found
    wherever x* was sampled. Least squares on labels is not: what it finds depends on the region. One penalty serves all
    questions of an orthant: that with the highest accuracy where the other orthants (of more than 4, sets of them) are
    left out in turn.

    Null hypothesis: in the orthant left out, x* is independent of what the read-outs say there. Under it x* can be
    exchanged among the trials tested, with the read-outs as they are; a read-out that says the same to all of them ties
    with every shuffle, and ties count as extreme. States that tell the orthant and nothing more fulfil it; those that
    code x* in each orthant in another way do not. So p says whether something carries over, `chance` and `ideal` how
    much: `value` can be above its null and below `chance`.

    Arguments:
        states: of N trials, for example at the decision step.
        latents: x* of the trials.
        rng: draws the questions, and shuffles.
        trials: the same trials, for the ideal observer and the trained questions.
        n_questions: new questions, 1 or more.
        least_share: above 0, below 1/2.
        n_null: shuffles.

    Raises:
        ValueError: if an argument is out of its range, there are fewer than 3 orthants with trials (with one latent a
            question is decided within one orthant, and cannot be learned in the other), or no question cuts an orthant.
    """
    states, latents = checked(states, latents)
    check_int("n_questions", n_questions, 1)
    check_int("n_null", n_null, 0)
    if not 0 < least_share < 0.5:
        raise ValueError(f"least_share={least_share!r} is not a number in (0, 0.5)")
    if trials is not None and not np.array_equal(trials.latents, latents):
        raise ValueError("trials are not those of latents: their x* differ")
    groups = orthants(latents)
    if len(groups.names) < 3:
        raise ValueError(f"latents lie in {groups.names}; 3 orthants or more are needed to learn a question elsewhere")
    seed = int(rng.integers(2**31))
    planes: Linear = affine(n_questions, latents.shape[1], seed)
    right = labels(planes, latents)
    splits = region_splits(single(groups), 1, MOST_INNER)
    said, penalties = _read_outs(_scaled(states), right, groups, splits, least_share)
    pairs = [(k, q) for q, split in enumerate(splits) for k in np.flatnonzero(_cut(right, groups, split, least_share))]
    if not pairs:
        raise ValueError(
            f"n_questions={n_questions}: none divides an orthant so that the rarer label has a share of "
            f"least_share={least_share} there, and half of it elsewhere"
        )
    question, orthant = np.array(pairs).T
    tested = [(groups.which == q, question[orthant == q]) for q in range(len(splits))]
    orders = permutations_within(groups.which, n_null, rng)

    def by_pair(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
        return np.concatenate([np.mean(answers[rows][:, k] == truth[rows][:, k], axis=0) for rows, k in tested])

    accuracy = by_pair(said, right)
    value, null = float(accuracy.mean()), np.array([by_pair(said, right[order]).mean() for order in orders])
    decoded = decode(states, latents, rng, n_null=0).out_of_distribution.predictions
    positive = by_pair(np.ones_like(right), right)
    chance, ideal, nearest = np.maximum(positive, 1 - positive), np.full(len(pairs), np.nan), float("nan")
    if trials is not None:
        nearest = float(by_pair(_nearest(trials.labels, right, groups), right).mean())
        if trials.task.encoder_noise == 0:
            # The new questions, put to the ideal observer of the task: all of its trials, with other boundaries.
            excluded = () if set(groups.names) & set(trials.task.excluded_orthants) else trials.task.excluded_orthants
            asked = replace(
                trials.task,
                boundaries="affine",
                boundary_seed=seed,
                n_tasks=n_questions,
                cueing="all",
                excluded_orthants=excluded,
            )
            answers = trial_probabilities(replace(trials, task=asked, context=None))
            ideal = by_pair(np.where(answers > 0.5, 1, -1), right)
    return Transfer(
        value=value,
        null=null,
        p=p_value(value, null),
        n=len(states),
        settings={"n_questions": n_questions, "least_share": least_share, "n_null": n_null},
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
    return centred @ vectors[:, live] / np.sqrt(max(values.clip(0).mean(), np.finfo(float).tiny))


def _rarer(right: np.ndarray) -> np.ndarray:
    """The share of the rarer label, `[L]`."""
    positive = np.mean(right > 0, axis=0)
    return np.minimum(positive, 1 - positive)


def _cut(right: np.ndarray, groups: Orthants, split: Split, least_share: float) -> Bool[np.ndarray, " L"]:
    """Which questions divide the trials tested, and those fitted."""
    here, elsewhere = (_rarer(right[cells[groups.which]]) for cells in (split.test, split.fit))
    return (here >= least_share) & (elsewhere >= least_share / 2)


def _read_outs(
    states: np.ndarray, right: np.ndarray, groups: Orthants, splits: list[Split], least_share: float
) -> tuple[np.ndarray, np.ndarray]:
    """The answers by read-outs not fitted to the trial's orthant, and the penalties.

    +1 or -1; 0 to the questions that do not divide the orthant.
    """
    grid, n_questions = np.array(PENALTIES), right.shape[1]
    paths: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    said, penalties = np.zeros_like(right), np.zeros(len(splits))

    def path(fit: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights `[P, H, L]` and intercepts `[P, 1, L]` of the questions wanted; each is fitted once."""
        shapes = (len(grid), states.shape[1], n_questions), (len(grid), 1, n_questions)
        weights, intercepts = paths.setdefault(fit.tobytes(), (np.full(shapes[0], np.nan), np.full(shapes[1], np.nan)))
        if (lacking := wanted & np.isnan(intercepts[0, 0])).any():
            rows = fit[groups.which]
            found = logistic_path(states[rows], right[rows][:, lacking].astype(np.int64), grid)
            weights[:, :, lacking], intercepts[:, 0, lacking] = found
        return weights[:, :, wanted], intercepts[:, :, wanted]

    for q, split in enumerate(splits):
        found = np.zeros(len(grid))
        for left_out in split.validations:
            inner = Split(split.pool & ~left_out, left_out, split.validations, split.pool)
            rows, cut = left_out[groups.which], _cut(right, groups, inner, least_share)
            weights, intercepts = path(inner.fit, cut)
            found += np.sum((states[rows] @ weights + intercepts > 0) == (right[rows][:, cut] > 0), axis=(1, 2))
        best = int(found.argmax())
        penalties[q] = grid[best]
        rows, cut = split.test[groups.which], _cut(right, groups, split, least_share)
        weights, intercepts = path(split.fit, cut)
        said[np.ix_(rows, cut)] = np.where(states[rows] @ weights[best] + intercepts[best] > 0, 1, -1)
    return said, penalties


def _nearest(trained: np.ndarray, right: np.ndarray, groups: Orthants) -> np.ndarray:
    """For each new question the trained one, or its opposite, that agrees best with it outside the trial's orthant."""
    answers = np.empty_like(right)
    for q in range(len(groups.names)):
        rows = groups.which == q
        agreement = trained[~rows].T.astype(float) @ right[~rows]
        best = np.abs(agreement).argmax(axis=0)
        answers[rows] = trained[rows][:, best] * np.where(agreement[best, np.arange(right.shape[1])] < 0, -1, 1)
    return answers
