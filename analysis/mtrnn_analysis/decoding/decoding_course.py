"""How well a linear decoder of x* does at every step of a trial, beside the best that is possible at that step.

Axis letters: N trials, T steps, H units, D latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_analysis.decoding.controls import posterior_mean
from mtrnn_analysis.decoding.decoding import decode, mean_r2
from mtrnn_analysis.decoding.holdout import N_FOLDS
from mtrnn_analysis.decoding.ridge import PENALTIES
from mtrnn_analysis.orthants import orthants
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.components.latents import PRIOR_VARIANCE
from mtrnn_envs.ideal_observer.posterior import running_means
from mtrnn_envs.trials import samples_seen

if TYPE_CHECKING:
    from mtrnn_envs import Trials

# Trials that each orthant must have at a step that is decoded.
LEAST = 50


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class DecodingCourse(ProbeResult):
    """Decoding of x* at every step; `value` is `r2_prior` out of distribution at the last step that has one.

    Attributes:
        ood: `r2_prior` out of distribution, `[T]`; NaN at steps with too few trials in an orthant.
        id: `r2_prior` in distribution, `[T]`, likewise.
        n_trials: the trials that have not ended, `[T]`.
        n_samples: samples of the evidence seen by then, mean over these trials, `[T]`; NaN without trials.
        mean: `r2_prior` that the mean of the samples has by theory, 1 - 12 sigma²/t for t samples, its mean over
            these trials, `[T]`; NaN where a trial has seen none, and without trials.
        ideal: `r2_prior` of the ideal observer's posterior mean on these same trials, mean over orthants, `[T]`; NaN
            where `ood` is, without trials, and where the ideal observer is not computed.
        gap: mean of `ideal` - `ood` over the steps at which every trial has seen a sample; NaN without `ideal`.
        dt: duration of a step, ms; NaN without trials.
    """

    ood: Float[np.ndarray, " T"]
    id: Float[np.ndarray, " T"]
    n_trials: Int[np.ndarray, " T"]
    n_samples: Float[np.ndarray, " T"]
    mean: Float[np.ndarray, " T"]
    ideal: Float[np.ndarray, " T"]
    gap: float
    dt: float


def decoding_course(
    hidden: Float[np.ndarray, "N T H"],
    valid: Bool[np.ndarray, "N T"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    trials: Trials | None = None,
    *,
    holdout: str = "orthant",
) -> DecodingCourse:
    """`r2_prior` of x* decoded at every step of the trials, by decoders fitted at that step (`decoding.decode`).

    Steps are counted from the start of the trial. Where periods are drawn per trial, the same step is then of trials
    that have seen different numbers of samples, and the upper bounds are means over them. Only trials that have not
    ended are decoded at a step: in reaction-time tasks those that the agent found hard, so that late steps are not
    those of all trials; the ideal observer is compared with the agent on these same trials (theory, which knows nothing
    of the choice of trials, is not). There is no null here; that of the last step is the probe "decoding"'s.

    Arguments:
        hidden: states after each step, NaN beyond the end of a trial.
        valid: which steps belong to the trial.
        rng: deals the trials into folds.
        trials: the same trials, for the upper bounds.
        holdout: as in `decode`.

    Raises:
        ValueError: if no step has 50 trials in each orthant, trials differ, or as `decode`.
    """
    if not len(hidden) == len(valid) == len(latents):
        raise ValueError(f"hidden has {len(hidden)} trials, valid {len(valid)}, latents {len(latents)}")
    if trials is not None and not np.array_equal(trials.latents, latents):
        raise ValueError("trials are not those of latents: their x* differ")
    groups = orthants(latents)
    n_steps, n_orthants = hidden.shape[1], len(groups.names)
    members = [np.bincount(groups.which[rows], minlength=n_orthants) for rows in valid.T]
    steps = [t for t in range(n_steps) if members[t].min() >= LEAST]
    if not steps:
        raise ValueError(f"no step has {LEAST} trials or more in each orthant; the most is {members[0].min()}")
    inside, outside, ideal = np.full((3, n_steps), np.nan)
    for t in steps:
        rows = valid[:, t]
        result = decode(hidden[rows, t], latents[rows], rng, holdout=holdout, n_null=0)
        inside[t], outside[t] = result.in_distribution.r2_prior, result.value
    seen, mean = np.full((2, n_steps), np.nan)
    if trials is not None:
        counts = np.stack([samples_seen(trials, np.full(len(latents), t)) for t in range(n_steps)], axis=1)
        known = np.where(counts > 0, mean_r2(trials.task, np.maximum(counts, 1)), np.nan)
        seen, mean = _means(counts, valid), _means(known, valid)
        if trials.task.encoder_noise == 0:
            ideal = _ideal(trials, counts, valid, groups.which, steps)
    after = np.isfinite(mean) & np.isfinite(ideal)
    return DecodingCourse(
        value=float(outside[steps[-1]]),
        n=len(latents),
        settings={"holdout": holdout, "n_folds": N_FOLDS, "penalties": PENALTIES, "least": LEAST},
        ood=outside,
        id=inside,
        n_trials=np.count_nonzero(valid, axis=0),
        n_samples=seen,
        mean=mean,
        ideal=ideal,
        gap=float(np.mean((ideal - outside)[after])) if after.any() else float("nan"),
        dt=float("nan") if trials is None else trials.task.dt,
    )


def _means(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The mean over the trials that have not ended, at each step; NaN if all have."""
    return np.array([values[rows, t].mean() if rows.any() else np.nan for t, rows in enumerate(valid.T)])


def _ideal(trials: Trials, counts: np.ndarray, valid: np.ndarray, which: np.ndarray, steps: list[int]) -> np.ndarray:
    """r2_prior of the posterior mean at each of `steps`, mean over orthants."""
    n, s = len(trials), int(counts.max())
    errors = np.full((n, s + 1), np.mean(trials.latents**2, axis=1)[:, None])
    if s:
        means = running_means(trials)[:, :s]
        every = np.broadcast_to(np.arange(1, s + 1), (n, s))
        errors[:, 1:] = np.mean((posterior_mean(trials, means, every) - trials.latents[:, None]) ** 2, axis=2)
    r2 = np.full(valid.shape[1], np.nan)
    for t in steps:
        by_trial = errors[np.arange(n), counts[:, t]]
        r2[t] = 1 - np.mean([by_trial[valid[:, t] & (which == q)].mean() for q in np.unique(which)]) / PRIOR_VARIANCE
    return r2
