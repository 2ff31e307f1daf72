"""The out-of-distribution test of the public code of arXiv:2407.11249, with its sampling error, beside the right one.

Axis letters: N trials, H units, D latents, Q held-out orthants, C cells, F folds, M masks, R shuffles
(with the latents as they are, where they come first).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_analysis.decoding.decoding import ROUNDING
from mtrnn_analysis.decoding.holdout import N_FOLDS, region_splits, single
from mtrnn_analysis.decoding.ridge import PENALTIES, Cells, Split, cross_validate
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import checked, dealt, orthants
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.components.latents import PRIOR_VARIANCE
from mtrnn_envs.utils.validation import check_int

# Most held-out orthants; of more (from D = 7 on), some are drawn.
MOST = 64


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ReleasedHoldout(ProbeResult):
    """`r2_prior` of x* by the test of the public code with its sampling error (`value`, `null`, `p`), and by the right
    test.

    Attributes:
        right: the value of `decode` on the same trials: each orthant decoded by a fit to the others.
        inflation: `value` - `right`: how much the error adds.
        mixed: the part of `value` that is wrong: the mean over the orthants of mixed signs.
        right_mixed: the same orthants, tested right.
        same_sign: the part of `value` that is right: the mean over the two orthants all of whose signs are the same.
        right_same_sign: the same by `decode`, whose fits are to more trials.
        left_out: the held-out orthants, as signs ("+-": x_1 > 0, x_2 <= 0), Q of them.
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
    states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], rng: np.random.Generator, *, n_null: int = 100
) -> ReleasedHoldout:
    """The out-of-distribution test of x* with the error of its public code. WRONG as a measure of generalisation.

    `value` is here for one purpose: to show how much the error adds (`inflation`). The number to report is `right`,
    the value of `decode`.

    The public code of arXiv:2407.11249 means to fit a decoder to the trials of all orthants of x* but one, and to test
    it on that one. It draws other trials for the test: one of the orthant's D signs is picked, and applied to *all*
    latents. Where the orthant's signs are mixed, as those of "+-", the trials tested are therefore of "++" or of "--",
    which the decoder *was* fitted to. Only for the two orthants of one sign, "++" and "--", is the test the one that
    is described; with D latents the other 2^D - 2 are tested in distribution.

    Here the mean over the picks takes the place of a draw: a sign counts with its share among the orthant's signs,
    r2_prior = 1 - 12 (share of plus * MSE on "++" + share of minus * MSE on "--"). No trial is tested by a decoder
    fitted to it: trials are dealt into 4 folds within each orthant, as in `decode`, and each fold is tested by a fit to
    the others, without the held-out orthant. The decoder is the ridge regression of `decode`, with the penalty that
    `decode` chooses for the same orthant, outside it and on all folds. Its fits are to a quarter fewer trials than
    those of `right`, for which nothing is dealt; `same_sign` beside `right_same_sign` is the cost of that. All of
    `value` rests on the trials of two orthants, which are few where D is large.

    Beyond 64 orthants, from D = 7 on, 64 are left out: the two of one sign, and 62 drawn from `rng` that stand for all
    others by their weight.

    Null hypothesis, as in `decode`: given its orthant, x* is independent of the states. x* is shuffled among the trials
    of each orthant `n_null` times, with the whole procedure, the choice of the penalty included. The null has the same
    error: of a code of signs alone it reaches up to 3/4.

    Closed form, from the same sums of products as `decode`.

    Arguments:
        states: of N trials, for example at the decision step.
        latents: x* of the trials, for D >= 2: with one latent the draw is right.
        rng: deals the trials into folds, shuffles, and draws orthants where there are more than 64.
        n_null: shuffles.

    Raises:
        ValueError: if D < 2, one of the two orthants of one sign has fewer than 4 trials, no other orthant has any,
            arrays are not finite or not of the same trials, or an argument is out of its range.
    """
    states, latents = checked(states, latents)
    check_int("n_null", n_null, 0)
    n_latents = latents.shape[1]
    if n_latents < 2:
        raise ValueError("latents has D=1; with one latent the public code draws the right trials: use decode")
    groups = orthants(latents)
    sides = np.stack([(groups.signs == sign).all(axis=1) for sign in (1, -1)])
    for name, side in zip("+-", sides, strict=True):
        if (count := groups.counts[side].sum()) < N_FOLDS:
            raise ValueError(f"orthant {name * n_latents} has {count} trials; {N_FOLDS} or more are needed")
    mixed = np.flatnonzero(~sides.any(axis=0))
    if not len(mixed):
        raise ValueError(
            f"latents lie in {groups.names}; an orthant of mixed signs is needed, in which the error shows"
        )
    cell = dealt(groups, N_FOLDS, rng)
    orders = np.concatenate([np.arange(len(latents))[None], permutations_within(groups.which, n_null, rng)])
    drawn = rng.choice(mixed, MOST - 2, replace=False) if len(groups.names) > MOST else mixed
    left_out = np.sort(np.append(drawn, np.flatnonzero(sides.any(axis=0))))
    is_mixed = np.isin(left_out, mixed)
    weights = np.where(is_mixed, len(mixed) / len(drawn), 1) / len(groups.names)

    every = single(groups)
    splits = region_splits([every[q] for q in left_out], N_FOLDS)
    plus = np.mean(groups.signs[left_out] > 0, axis=1)
    right, chosen = _right(states, latents, orders, cell, splits)
    sides, shares = np.repeat(sides, N_FOLDS, axis=1), np.stack([plus, 1 - plus], axis=1)
    released = _released(states, latents, orders, cell, splits, sides, shares, chosen)
    value, null, truth = float(weights @ released[:, 0]), weights @ released[:, 1:], float(weights @ right[:, 0])
    return ReleasedHoldout(
        value=value,
        null=null,
        # Draws that differ by rounding alone, as of states that do not vary, count as extreme.
        p=p_value(value - ROUNDING, null),
        n=len(states),
        settings={"n_folds": N_FOLDS, "n_null": n_null},
        right=truth,
        inflation=value - truth,
        mixed=float(released[is_mixed, 0].mean()),
        right_mixed=float(right[is_mixed, 0].mean()),
        same_sign=float(released[~is_mixed, 0].mean()),
        right_same_sign=float(right[~is_mixed, 0].mean()),
        left_out=tuple(groups.names[q] for q in left_out),
        weights=weights,
        by_orthant=released[:, 0],
        right_by_orthant=right[:, 0],
    )


def _right(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    orders: Int[np.ndarray, "R N"],
    cell: Int[np.ndarray, " N"],
    splits: list[Split],
) -> tuple[Float[np.ndarray, "Q R"], Int[np.ndarray, "Q R"]]:
    """`r2_prior` of each orthant by a fit to the others, of latents in several orders; and the penalties chosen."""
    masks = [mask for split in splits for mask in (split.fit, split.test, *split.validations, split.pool)]
    first, cell = _merged(np.stack(masks), cell)
    splits = [Split(*(mask[..., first] for mask in split)) for split in splits]
    tests, cells = np.stack([split.test for split in splits]), Cells(states, cell)
    r2s, chosen = [], []
    for targets in cells.shuffled(latents, orders):
        tested = cross_validate(cells, targets, splits, tests, latents.shape[1])
        mse = np.stack([each.errors[q] / each.counts[q] for q, each in enumerate(tested)])
        r2s.append(_r2(mse.reshape(len(splits), -1, latents.shape[1])))
        chosen.append([each.chosen for each in tested])
    return np.concatenate(r2s, axis=1), np.concatenate(chosen, axis=1)


def _released(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    orders: Int[np.ndarray, "R N"],
    cell: Int[np.ndarray, " N"],
    splits: list[Split],
    sides: Bool[np.ndarray, "2 C"],
    shares: Float[np.ndarray, "Q 2"],
    chosen: Int[np.ndarray, "Q R"],
) -> Float[np.ndarray, "Q R"]:
    """`r2_prior` of the trials that are tested in the place of each held-out orthant, none of them fitted to."""
    n_latents, grid = latents.shape[1], np.array(PENALTIES)
    count = sides @ np.bincount(cell, minlength=sides.shape[1])
    mse = np.zeros((len(splits), len(orders), n_latents))
    for fold in np.tile(np.eye(N_FOLDS, dtype=bool), sides.shape[1] // N_FOLDS):
        fits, tests = np.stack([split.fit & ~fold for split in splits]), sides & fold
        first, merged = _merged(np.concatenate([fits, tests]), cell)
        fits, tests, cells, done = fits[:, first], tests[:, first], Cells(states, merged), 0
        for targets in cells.shuffled(latents, orders):
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


def _r2(mse: Float[np.ndarray, "*R D"]) -> Float[np.ndarray, "*R"]:
    """`r2_prior` from the mean squared error of each latent."""
    return 1 - mse.mean(axis=-1) / PRIOR_VARIANCE


def _merged(
    masks: Bool[np.ndarray, "M C"], cell: Int[np.ndarray, " N"]
) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " N"]]:
    """Cells that are in the same masks become one: the first cell of each of the new, and the new cell of each trial.

    With D = 10 some 80 of 4096 remain.
    """
    table: dict[bytes, int] = {}
    columns = np.packbits(masks, axis=0).T
    which = np.array([table.setdefault(column.tobytes(), len(table)) for column in columns])
    return np.unique(which, return_index=True)[1], which[cell]
