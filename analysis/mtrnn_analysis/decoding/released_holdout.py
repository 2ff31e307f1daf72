"""What the out-of-distribution test of the public code of arXiv:2407.11249 gives, beside the test that was meant.

Axis letters: N trials, H units, D latents, Q orthants left out, C cells, F folds, M masks, R shuffles
(with the latents as they are, where they come first).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_analysis.decoding.decoding import COLUMNS, ROUNDING
from mtrnn_analysis.decoding.holdout import dealt, region_splits, single
from mtrnn_analysis.decoding.ridge import PENALTIES, Cells, Split, Targets, cross_validate
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import checked, orthants
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.components.latents import PRIOR_VARIANCE
from mtrnn_envs.utils.validation import check_int

# Most orthants that are left out in turn; of more (from D = 7 on), some are drawn.
MOST = 64


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ReleasedHoldout(ProbeResult):
    """`r2_prior` of x* by the faulty test of the public code (`value`, `null`, `p`), and by the right one.

    Attributes:
        right: what `decode` gives as its value on the same trials: each orthant decoded by a fit to the others.
        inflation: `value` - `right`: what the fault is worth.
        mixed: the part of `value` that is wrong: the mean over the orthants of mixed signs.
        right_mixed: the same orthants, tested right.
        same_sign: the part of `value` that is right: the mean over the two orthants all of whose signs are the same.
        right_same_sign: the same by `decode`, whose fits are to more trials: what n_folds cost.
        left_out: the orthants left out, as signs ("+-": x_1 > 0, x_2 <= 0), Q of them.
        weights: of each in `value` and `right`, `[Q]`: 1 / Q, but where orthants were drawn.
        by_orthant: as released, `[Q]`.
        right_by_orthant: `[Q]`.
    """

    right: float
    inflation: float
    mixed: float
    right_mixed: float
    same_sign: float
    right_same_sign: float
    left_out: tuple[str, ...]
    weights: Float[np.ndarray, " Q"]
    by_orthant: Float[np.ndarray, " Q"]
    right_by_orthant: Float[np.ndarray, " Q"]


def released_holdout(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    *,
    n_folds: int = 4,
    n_null: int = 100,
) -> ReleasedHoldout:
    """The out-of-distribution test of x* with the fault of its public code. WRONG as a measure of generalisation.

    `value` is here for one purpose: to show what the fault is worth (`inflation`). The number to report is `right`,
    the value of `decode`.

    The public code of arXiv:2407.11249 means to fit a decoder to the trials of all orthants of x* but one, and to test
    it on that one. What it draws to test are other trials: one of the orthant's D signs is picked, and applied to *all*
    latents. Where the orthant's signs are mixed, as those of "+-", the trials tested are therefore of "++" or of "--",
    which the decoder *was* fitted to. Only for the two orthants of one sign, "++" and "--", is the test what it is
    said to be; with D latents the other 2^D - 2 are tested in distribution.

    Here the mean over the picks takes the place of a draw: a sign counts with its share among the orthant's signs,
    r2_prior = 1 - 12 (share of plus * MSE on "++" + share of minus * MSE on "--"). No trial is tested by a decoder
    fitted to it: trials are dealt into `n_folds` folds within each orthant, as in `decode`, and each fold is tested by
    a fit to the others, without the orthant left out. The decoder is the ridge regression of `decode`, with the penalty
    that `decode` chooses for the same orthant, outside it and on all folds. Its fits are to 1 / `n_folds` fewer trials
    than those of `right`, for which nothing is dealt; `same_sign` beside `right_same_sign` says what that costs. All of
    `value` rests on the trials of two orthants, which are few where D is large.

    Beyond 64 orthants, from D = 7 on, 64 are left out: the two of one sign, and 62 drawn from `rng` that stand for all
    others by their weight.

    Null hypothesis, as in `decode`: given its orthant, x* is independent of the states. x* is shuffled among the trials
    of each orthant `n_null` times, with the whole procedure, the choice of the penalty included. The null, too, is of
    the faulty test: of a code of signs alone it reaches up to 3/4.

    Closed form, from the same sums of products as `decode`.

    Arguments:
        states: of N trials, for example at the decision step.
        latents: x* of the trials, for D >= 2: with one latent the draw is right.
        rng: deals the trials into folds, shuffles, and draws orthants where there are more than 64.
        n_folds: 2 or more.
        n_null: shuffles.

    Raises:
        ValueError: if D < 2, one of the two orthants of one sign has fewer than `n_folds` trials, no other orthant has
            any, arrays are not finite or not of the same trials, or an argument is out of its range.
    """
    states, latents = checked(states, latents)
    check_int("n_folds", n_folds, 2)
    check_int("n_null", n_null, 0)
    n_latents = latents.shape[1]
    if n_latents < 2:
        raise ValueError("latents has D=1; with one latent the public code draws the right trials: use decode")
    groups = orthants(latents)
    sides = np.stack([(groups.signs == sign).all(axis=1) for sign in (1, -1)])
    for name, side in zip("+-", sides, strict=True):
        if (count := groups.counts[side].sum()) < n_folds:
            raise ValueError(f"orthant {name * n_latents} has {count} trials; {n_folds} or more are needed")
    mixed = np.flatnonzero(~sides.any(axis=0))
    if not len(mixed):
        raise ValueError(
            f"latents lie in {groups.names}; an orthant of mixed signs is needed, in which the fault shows"
        )
    cell = dealt(groups, n_folds, rng)
    orders = permutations_within(groups.which, n_null, rng)
    drawn = mixed
    if len(groups.names) > MOST:
        drawn = rng.choice(mixed, MOST - 2, replace=False)
    left_out = np.sort(np.append(drawn, np.flatnonzero(sides.any(axis=0))))
    is_mixed = np.isin(left_out, mixed)
    weights = np.where(is_mixed, len(mixed) / len(drawn), 1) / len(groups.names)

    every = single(groups)
    splits = region_splits([every[q] for q in left_out], n_folds)
    folds = np.tile(np.eye(n_folds, dtype=bool), len(groups.names))
    plus = np.mean(groups.signs[left_out] > 0, axis=1)
    sets = np.concatenate([np.arange(len(latents))[None], orders])  # the latents as they are come first
    right, chosen = _right(states, latents, sets, cell, splits)
    sides, shares = np.repeat(sides, n_folds, axis=1), np.stack([plus, 1 - plus], axis=1)
    found = _released(states, latents, sets, cell, splits, folds, sides, shares, chosen)
    value, null, truth = float(weights @ found[:, 0]), weights @ found[:, 1:], float(weights @ right[:, 0])
    return ReleasedHoldout(
        value=value,
        null=null,
        # Draws that differ by rounding alone, as of states that do not vary, count as extreme.
        p=p_value(value - ROUNDING, null),
        n=len(states),
        settings={"n_folds": n_folds, "n_null": n_null},
        right=truth,
        inflation=value - truth,
        mixed=float(found[is_mixed, 0].mean()),
        right_mixed=float(right[is_mixed, 0].mean()),
        same_sign=float(found[~is_mixed, 0].mean()),
        right_same_sign=float(right[~is_mixed, 0].mean()),
        left_out=tuple(groups.names[q] for q in left_out),
        weights=weights,
        by_orthant=found[:, 0],
        right_by_orthant=right[:, 0],
    )


def _right(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    sets: Int[np.ndarray, "R N"],
    cell: Int[np.ndarray, " N"],
    splits: Sequence[Split],
) -> tuple[Float[np.ndarray, "Q R"], Int[np.ndarray, "Q R"]]:
    """`r2_prior` of each orthant by a fit to the others, of latents in several orders; and the penalties chosen."""
    masks = [mask for split in splits for mask in (split.fit, split.test, *split.validations, split.pool)]
    first, cell = _merged(np.stack(masks), cell)
    splits = [Split(*(mask[..., first] for mask in split)) for split in splits]
    tests, cells = np.stack([split.test for split in splits]), Cells(states, cell)
    r2s, chosen = [], []
    for targets in _targets(cells, latents, sets):
        tested = cross_validate(cells, targets, splits, tests, PENALTIES, latents.shape[1])
        mse = np.stack([each.errors[q] / each.counts[q] for q, each in enumerate(tested)])
        r2s.append(_r2(mse.reshape(len(splits), -1, latents.shape[1])))
        chosen.append([each.chosen for each in tested])
    return np.concatenate(r2s, axis=1), np.concatenate(chosen, axis=1)


def _released(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    sets: Int[np.ndarray, "R N"],
    cell: Int[np.ndarray, " N"],
    splits: Sequence[Split],
    folds: Bool[np.ndarray, "F C"],
    sides: Bool[np.ndarray, "2 C"],
    shares: Float[np.ndarray, "Q 2"],
    chosen: Int[np.ndarray, "Q R"],
) -> Float[np.ndarray, "Q R"]:
    """`r2_prior` of the trials that are tested in the place of each orthant left out, none of them fitted to."""
    n_latents, grid = latents.shape[1], np.array(PENALTIES)
    count = sides @ np.bincount(cell, minlength=sides.shape[1])
    mse = np.zeros((len(splits), len(sets), n_latents))
    for fold in folds:
        fits, tests = np.stack([split.fit & ~fold for split in splits]), sides & fold
        first, merged = _merged(np.concatenate([fits, tests]), cell)
        fits, tests, cells, done = fits[:, first], tests[:, first], Cells(states, merged), 0
        for targets in _targets(cells, latents, sets):
            some = slice(done, done + targets.x.shape[1] // n_latents)
            done = some.stop
            for q, fit in enumerate(fits):
                path = cells.path(fit)
                fitted = cells.fit(path, targets, fit)
                weights = path.gains(np.repeat(grid[chosen[q, some]] * path.scale(), n_latents)).T * fitted.cross
                for side in np.flatnonzero(shares[q]):
                    errors = cells.error(fitted, targets, tests[side]).of(weights).reshape(-1, n_latents)
                    mse[q, some] += shares[q, side] * errors / count[side]
    return _r2(mse)


def _targets(cells: Cells, latents: Float[np.ndarray, "N D"], sets: Int[np.ndarray, "R N"]) -> Iterator[Targets]:
    """The sums of latents in several orders, so many orders at once that they stay small."""
    block = max(1, COLUMNS // (len(cells.count) * latents.shape[1]))
    for some in (sets[i : i + block] for i in range(0, len(sets), block)):
        yield cells.targets(latents[some].transpose(1, 0, 2).reshape(len(latents), -1))


def _r2(mse: Float[np.ndarray, "*R D"]) -> Float[np.ndarray, "*R"]:
    """`r2_prior` from the mean squared error of each latent."""
    return 1 - mse.mean(axis=-1) / PRIOR_VARIANCE


def _merged(
    masks: Bool[np.ndarray, "M C"], cell: Int[np.ndarray, " N"]
) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " N"]]:
    """Cells that no mask tells apart become one: the first cell of each of the new, and the new cell of each trial.

    With D = 10 some 80 of 4096 remain.
    """
    table: dict[bytes, int] = {}
    columns = np.packbits(masks, axis=0).T
    which = np.array([table.setdefault(column.tobytes(), len(table)) for column in columns])
    return np.unique(which, return_index=True)[1], which[cell]
