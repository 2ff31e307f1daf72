"""How well a linear decoder of x* does, in distribution and on regions of x* that it was not fitted to.

Two coefficients of determination are in use and are always named here:

- `r2_prior` = 1 - 12 MSE: relative to the variance 1/12 of the flat prior, on any part of it (arXiv:2407.11249);
- `r2_local` = 1 - MSE / (variance of x* on the trials tested), scikit-learn's `r2_score`; on a quadrant 1 - 48 MSE.

The same predictions give for example 0.929 and 0.717. Axis letters: N trials, H units, D latents, Q orthants, G
decoders, R shuffles. All computation is in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_analysis.decoding.controls import UNTRAINED, control_states
from mtrnn_analysis.decoding.holdout import N_FOLDS, fold_splits, region_splits, regions
from mtrnn_analysis.decoding.ridge import PENALTIES, Cells, Split, Tested, cross_validate
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import Orthants, checked, dealt, orthants
from mtrnn_analysis.result import NO_NULL, ProbeResult, ShortRepr
from mtrnn_envs.components.latents import PRIOR_VARIANCE
from mtrnn_envs.ideal_observer.one_latent import effective_samples
from mtrnn_envs.protocols import Agent
from mtrnn_envs.utils.validation import check_int

if TYPE_CHECKING:
    from mtrnn_envs import EvidenceTask, Trials

# What r2 of the same code may differ by, computed from trials and from sums of products.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Scores(ShortRepr):
    """How well x* was decoded on trials that the decoder was not fitted to.

    Attributes:
        r2_prior: mean over orthants, each counting the same.
        r2_local: likewise.
        r2_prior_by_orthant: `[Q]`; where several decoders were tested on an orthant (half-spaces), their mean.
        r2_local_by_orthant: `[Q]`, likewise.
        predictions: the decoded latents of every trial, by the decoder (or the mean of those) not fitted to it,
            `[N, D]`.
        regions: the held-out region of each decoder: "fold 1", or signs ("+-": x_1 > 0, x_2 <= 0; "+.": x_1 > 0).
        penalties: the relative penalties chosen, one for each decoder, `[G]`.
        null: `r2_prior` of latents shuffled within orthants, `[R]`.
        p: the share of `null` and `r2_prior` together that is `r2_prior` or more; NaN without a null.
    """

    r2_prior: float
    r2_local: float
    r2_prior_by_orthant: Float[np.ndarray, " Q"]
    r2_local_by_orthant: Float[np.ndarray, " Q"]
    predictions: Float[np.ndarray, "N D"]
    regions: tuple[str, ...]
    penalties: Float[np.ndarray, " G"]
    null: Float[np.ndarray, " R"] = field(default_factory=lambda: NO_NULL)
    p: float = float("nan")


@dataclass(frozen=True, eq=False)
class Control:
    """Decoding of other states in the same trials: `r2_prior` and `r2_local`, in and out of distribution.

    Attributes:
        ood: `r2_prior` out of distribution.
        id: `r2_prior` in distribution.
        ood_local: `r2_local` out of distribution.
        id_local: `r2_local` in distribution.
    """

    ood: float
    id: float
    ood_local: float
    id_local: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Decoding(ProbeResult):
    """Decoding of x* in and out of distribution; `value` and `null` are `r2_prior` out of distribution.

    Attributes:
        in_distribution: fitted to some trials of all orthants, tested on the others.
        out_of_distribution: fitted to all trials outside a region, tested on those in it.
        orthants: the orthants, as signs ("+-": x_1 > 0, x_2 <= 0), `Q` of them, in the order of the scores.
        n_trials: trials of each, `[Q]`.
        latents: x* of the trials, `[N, D]`, that `predictions` are compared with.
        controls: other states in the same trials, by name, see `controls`; empty without trials.
        best_untrained: the name of the control with the highest `ood` among those that need no training; empty without
            controls.
        above_untrained: `value` less that `ood`: what training has added to the code of x*. NaN without controls.
            At 0 or below, the agent's input gives a code as good without training.
    """

    in_distribution: Scores
    out_of_distribution: Scores
    orthants: tuple[str, ...]
    n_trials: Int[np.ndarray, " Q"]
    latents: Float[np.ndarray, "N D"]
    controls: Mapping[str, Control] = field(default_factory=dict)
    best_untrained: str = ""
    above_untrained: float = float("nan")


def decode(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    valid: Bool[np.ndarray, "N T"] | None = None,
    trials: Trials | None = None,
    untrained: Agent | None = None,
    *,
    holdout: str = "orthant",
    n_null: int = 100,
) -> Decoding:
    """Decodes x* from states by ridge regression, in distribution (ID) and out of distribution (OOD).

    OOD: for each region of x*, a decoder is fitted to the trials of all orthants outside it and tested on it. Its
    penalty (`ridge.PENALTIES`) is chosen outside it alone: each orthant there (from D = 5 on, each of 16 sets of
    orthants, without the set that the region is in) is left out in turn, and the penalty with the least squared error
    there is taken. ID: the trials are dealt into 4 folds, evenly within each orthant; each fold is decoded from the
    others, the penalty chosen in the same way with folds in place of orthants. With D = 2 both are fitted to three
    quarters of the trials. With one latent an orthant is a half-space: the decoder is fitted to one sign of x* and
    tested on the other, which is extrapolation and nothing else, and folds choose its penalty.

    Null hypothesis: given the orthant of x*, states and x* are independent, "the states tell the orthant at most".
    Under it x* of trials of the same orthant can be exchanged, which leaves `n_null` draws of the whole procedure, the
    choice of the penalty included. r2_prior of the draws is not 0: a code of signs alone has 3/4 (a quadrant's mean is
    known, and its MSE is 1/48), and most codes of signs that do not carry over are below 0.

    Why the least error: taking the largest penalty within a standard error of it, over orthants, lowers r2 OOD of good
    codes, and a floor under the penalties changes next to nothing. No penalty saves a network whose states explode on
    few trials (seen with one task): its r2 can be far below 0, which is not an error of the decoder.

    Closed form: one eigendecomposition of a sum of Gram matrices, one matrix a cell of `holdout`, gives a fit for all
    penalties and all shuffles. With its nulls it takes less time than scikit-learn's loop without any
    (`tests/benchmarks/test_decoding_speed.py`).

    Arguments:
        states: of N trials, for example at the decision step.
        latents: x* of the trials.
        rng: deals the trials into folds, and shuffles.
        valid: with `trials`, which steps belong to each trial: `states` are those of the last one. If None, `states`
            are of the last step that trials can have.
        trials: the same trials, for the controls.
        untrained: the agent before training, for one of the controls.
        holdout: the regions left out: each "orthant" of x*, each "half-space" x_d > 0 and x_d <= 0, or each pair of
            "opposite" orthants.
        n_null: shuffles.

    Raises:
        ValueError: if an argument is out of its range, an orthant has fewer than 8 trials, or there are too few
            orthants with trials for `holdout`.
    """
    states, latents = checked(states, latents)
    others = {} if trials is None else others_of(trials, latents, valid, untrained)
    return decode_beside(states, latents, rng, others, holdout, n_null)


def others_of(
    trials: Trials, latents: Float[np.ndarray, "N D"], valid: Bool[np.ndarray, "N T"] | None, untrained: Agent | None
) -> dict[str, Float[np.ndarray, "N _"]]:
    """The control states at the last valid step, see `controls`.

    Raises:
        ValueError: if `trials` are not those of `latents`, or no sample has been seen in one of them.
    """
    if not np.array_equal(trials.latents, latents):
        raise ValueError("trials are not those of latents: their x* differ")
    steps = None if valid is None else np.count_nonzero(valid, axis=1) - 1
    return control_states(trials, steps, untrained)


def decode_beside(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    others: Mapping[str, np.ndarray],
    holdout: str,
    n_null: int,
) -> Decoding:
    """`decode` of states and, in the same folds, of the other states of its controls, by name, each `[N, _]`."""
    check_int("n_null", n_null, 0)
    groups = orthants(latents, least=2 * N_FOLDS)
    for q, name in enumerate(groups.names):
        if not np.ptp(latents[groups.which == q], axis=0).all():
            raise ValueError(f"latents do not vary within orthant {name}: r2_local is relative to their variance there")
    cell = dealt(groups, N_FOLDS, rng)
    orders = np.concatenate([np.arange(len(latents))[None], permutations_within(groups.which, n_null, rng)])
    outside = regions(holdout, groups)
    splits = {
        "id": (fold_splits(len(groups.names), N_FOLDS), tuple(f"fold {f + 1}" for f in range(N_FOLDS))),
        "ood": (region_splits(outside, N_FOLDS), tuple(region.name for region in outside)),
    }
    inside, out = (_scores(states, latents, orders, groups, cell, *splits[kind]) for kind in ("id", "ood"))
    controls = {}
    for name, control in others.items():
        # The folds are those of the states, so that differences are not of the dealing.
        control = np.asarray(control, float)
        two = [_scores(control, latents, orders[:1], groups, cell, *each) for each in splits.values()]
        controls[name] = Control(two[1].r2_prior, two[0].r2_prior, two[1].r2_local, two[0].r2_local)
    best, above = above_untrained(out.r2_prior, controls)
    return Decoding(
        value=out.r2_prior,
        null=out.null,
        p=out.p,
        n=len(states),
        settings={"holdout": holdout, "n_folds": N_FOLDS, "penalties": PENALTIES, "n_null": n_null},
        in_distribution=inside,
        out_of_distribution=out,
        orthants=groups.names,
        n_trials=groups.counts,
        latents=latents,
        controls=controls,
        best_untrained=best,
        above_untrained=above,
    )


def above_untrained(value: float, controls: Mapping[str, Control]) -> tuple[str, float]:
    """The best of the controls that need no training, and `value` less its `ood`; "" and NaN without any."""
    free = {name: control.ood for name, control in controls.items() if name in UNTRAINED}
    best = max(free, key=lambda name: free[name]) if free else ""
    return best, value - free[best] if free else float("nan")


def r2_prior(latents: Float[np.ndarray, "N D"], predictions: Float[np.ndarray, "N D"]) -> float:
    """1 - 12 MSE, the mean over trials and latents: relative to the variance of the flat prior on [-1/2, 1/2]."""
    return float(1 - np.mean((latents - predictions) ** 2) / PRIOR_VARIANCE)


def mean_r2(task: EvidenceTask, n_samples: Any) -> Any:
    """1 - 12 sigma² / t: `r2_prior` of the mean of t samples; with sigmas that differ, the mean over latents.

    Exact for Gaussian noise (AR(1): t is the effective number of samples, of the generalised least squares mean) and
    for the plain mean of any other. Below 0 for noise that is larger than the prior is wide: the mean of the evidence
    is not a shrunk estimate; see `mtrnn_analysis.theory.sample_curve.ideal_r2`.
    """
    variance = np.mean(np.square(task.sigmas))
    return 1 - variance / PRIOR_VARIANCE / effective_samples(task, n_samples)


def _scores(
    states: np.ndarray,
    latents: np.ndarray,
    orders: np.ndarray,
    groups: Orthants,
    cell: np.ndarray,
    splits: list[Split],
    names: tuple[str, ...],
) -> Scores:
    """Decodes each region or fold from the rest, for x* in each of `orders`, of which the first is as it is."""
    n_latents, n_orthants = latents.shape[1], len(groups.names)
    cells, parts = Cells(states, cell), np.repeat(np.eye(n_orthants, dtype=bool), N_FOLDS, axis=1)
    r2s: list[np.ndarray] = []
    first: list[Tested] = []
    for targets in cells.shuffled(latents, orders):
        tested = cross_validate(cells, targets, splits, parts, n_latents)
        first = first or tested
        errors = np.sum([each.errors for each in tested], axis=0).reshape(n_orthants, -1, n_latents).sum(axis=2)
        counts = np.sum([each.counts for each in tested], axis=0)[:, None] * n_latents
        r2s.append(np.mean(1 - errors / counts / PRIOR_VARIANCE, axis=0))
    predictions, squares, times = np.zeros_like(latents), np.zeros_like(latents), np.zeros((len(latents), 1))
    for split, each in zip(splits, first, strict=True):
        rows = np.flatnonzero(split.test[cell])
        decoded = each.decoder.predict(states[rows])
        predictions[rows] += decoded
        squares[rows] += (decoded - latents[rows]) ** 2
        times[rows] += 1
    # Mean squared errors over the decoders that were not fitted to a trial, and then over trials, `[Q, D]`.
    members = [groups.which == q for q in range(n_orthants)]
    errors = np.stack([np.mean(squares[rows] / times[rows], axis=0) for rows in members])
    prior = 1 - errors.mean(axis=1) / PRIOR_VARIANCE
    local = np.mean(1 - errors / np.stack([np.var(latents[rows], axis=0) for rows in members]), axis=1)
    value, null = float(prior.mean()), np.concatenate(r2s)[1:]
    return Scores(
        r2_prior=value,
        r2_local=float(local.mean()),
        r2_prior_by_orthant=prior,
        r2_local_by_orthant=local,
        predictions=predictions / times,
        regions=names,
        penalties=np.array([PENALTIES[each.chosen[0]] for each in first]),
        null=null,
        # Draws that differ by rounding alone, as of states that do not vary, count as extreme.
        p=p_value(value - ROUNDING, null),
    )
