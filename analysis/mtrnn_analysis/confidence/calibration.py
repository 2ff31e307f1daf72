"""Whether claims come true as often as they say. Axis letters: see `mtrnn_analysis.behavior.answers`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8

from mtrnn_analysis.behavior.answers import equal_mass, ideal_at, steps_taken
from mtrnn_analysis.confidence.claims import Claims, calibrated_draws, claims, directions
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.utils.validation import check_int

CLIP = 1e-6  # claims are taken to be this far from 0 and 1, or further, in logarithms


@dataclass(frozen=True, eq=False, kw_only=True)
class Brier:
    """The Brier score of claims and its parts, which add up exactly.

        score = reliability - resolution + uncertainty + within_variance - within_covariance

    with B bins, n_b claims in bin b, their mean f_b and the share o_b that came true, o the share of all (Murphy 1973,
    doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2), and what claims of one bin differ by (Stephenson, Coelho &
    Jolliffe 2008, doi:10.1175/2007WAF2006116.1), without which the parts of continuous claims do not add up.

    Attributes:
        score: mean of (claim - came true)²; 0 is best. Of the side favoured, which is the same as of p and +1.
        reliability: sum n_b (f_b - o_b)² / n; 0 is best.
        resolution: sum n_b (o_b - o)² / n; the greater the better.
        uncertainty: o (1 - o).
        within_variance: sum over claims of (claim - f_b)² / n.
        within_covariance: 2 sum over claims of (claim - f_b) (came true - o_b) / n.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration(ProbeResult):
    """Calibration of claims, beside what perfect calibration looks like in as many trials.

    Attributes:
        value: the expected calibration error (ECE), sum over bins of n_b / n |f_b - o_b|, in bins of equal mass: as
            many claims in each, as far as equal claims allow (they are never split). Levels of confidence are the bins
            themselves. It is above 0 also for a perfect agent; hold it against `null`.
        null: the same of a perfectly calibrated agent that makes the same claims (see `calibrated_draws`).
        n: trials.
        excess: `value` less the mean of `null`; near 0 for a calibrated agent.
        ece_width, ece_width_null: of bins of equal width over [1/2, 1], the more usual ones. (With 93 % of claims in
            the last bin they show little more than that bin.)
        overconfidence: mean claim less share come true; below 0 is underconfidence.
        n_levels: levels of confidence on each side; 0 where any probability can be claimed. With levels, an agent that
            claims what it should still has an ECE: the right level is the one whose bin holds its accuracy, and
            claims the middle. Of three levels the highest claims 11/12, and optimal stopping is right in 98 % of
            these.
        ece_beyond_levels: sum over levels of n_b / n times how far o_b is from the *bin* of the level; 0 if claims are
            as right as levels can be. NaN without levels.
        brier: the score and its parts, in the bins of `value`.
        log_score: mean natural logarithm of what was claimed for what came true, in nat; 0 is best. Claims are taken to
            be 1e-6 or more from 0 and 1.
        ideal_brier, ideal_log_score: of the ideal observer, at the same steps, on the first trials (see
            `behavior.answers.ideal_at`); NaN if the trials or the ideal observer are not to be had. The least
            and the greatest that any agent can expect.
        n_claims: answers given.
        bin_claims, bin_shares, bin_n: f_b, o_b and n_b, for the reliability diagram.
        bin_low, bin_high: 5 and 95 % of o_b of the calibrated agent (consistency bars, Bröcker & Smith 2007,
            doi:10.1175/WAF993.1).
    """

    excess: float
    ece_width: float
    ece_width_null: Float[np.ndarray, " R"]
    overconfidence: float
    n_levels: int
    ece_beyond_levels: float
    brier: Brier
    log_score: float
    ideal_brier: float
    ideal_log_score: float
    n_claims: int
    bin_claims: Float[np.ndarray, " B"]
    bin_shares: Float[np.ndarray, " B"]
    bin_n: Int[np.ndarray, " B"]
    bin_low: Float[np.ndarray, " B"]
    bin_high: Float[np.ndarray, " B"]


def calibration(
    task: EvidenceTask,
    latents: Float[np.ndarray, "N D"],
    answers: Int8[np.ndarray, "N A"],
    labels: Int8[np.ndarray, "N A"],
    response_steps: Int[np.ndarray, "N A"],
    rng: np.random.Generator,
    probabilities: Float[np.ndarray, "N A"] | None = None,
    confidence: Float[np.ndarray, "N A"] | None = None,
    context: Int[np.ndarray, " N"] | None = None,
    trials: Trials | None = None,
    *,
    n_null: int = 100,
    n_bins: int = 10,
) -> Calibration:
    """The calibration of the claims of an agent (see `mtrnn_analysis.confidence.claims` for what they are).

    Null hypothesis: each claim comes true with the probability claimed. Draws of it keep the claims and draw what comes
    true, for all tasks of a trial together, so that errors of a trial are as alike as the geometry of the tasks makes
    those of an observer of the evidence. (In reaction-time tasks answers of a trial rest on different numbers of
    samples and are a little less alike than that; the null is then a little wide.)

    Arguments:
        task: the task.
        latents: x*; used where boundaries are not linear.
        answers: +1, -1 or 0 for none; claims of answers that were not given do not count.
        labels: the right answers.
        response_steps: the observation each answer was given to.
        rng: draws the null.
        probabilities: the agent's probability of +1.
        confidence: claimed for the answer, in reaction-time tasks.
        context: the task cued.
        trials: the same trials with their evidence, for the ideal observer.
        n_null: draws of the null.
        n_bins: over [1/2, 1].

    Raises:
        ValueError: if an argument is out of its range, there are no claims, or fewer than 50.
    """
    check_int("n_null", n_null, 0)
    check_int("n_bins", n_bins, 1)
    told = claims(task, answers, labels, probabilities, confidence)
    c, right = told.confidence[told.given], told.right[told.given].astype(float)
    mass = np.unique(c, return_inverse=True)[1] if told.n_levels else equal_mass(c, n_bins)
    width = np.minimum((2 * n_bins * (c - 0.5)).astype(np.int64), n_bins - 1)
    favoured = np.where(told.right, labels, -labels).astype(np.int64)
    along = directions(task, latents.astype(float), context)
    drawn = calibrated_draws(np.clip(told.confidence, 0, 1), favoured, along, n_null, rng)[:, told.given]
    counts, claimed, shares = _in_bins(mass, c, right)
    null_shares = np.array([_in_bins(mass, c, d)[2] for d in drawn]).reshape(n_null, len(counts))
    null = np.abs(null_shares - claimed) @ counts / len(c)
    value = _ece(mass, c, right)
    low, high = np.quantile(null_shares, [0.05, 0.95], axis=0) if n_null else np.full((2, len(counts)), np.nan)
    ideal_brier, ideal_log = _ideal(trials, response_steps, labels, told)
    return Calibration(
        value=value,
        null=null,
        p=p_value(value, null),
        n=len(answers),
        settings={"n_null": n_null, "n_bins": n_bins},
        excess=float(value - null.mean()) if n_null else float("nan"),
        ece_width=_ece(width, c, right),
        ece_width_null=np.array([_ece(width, c, d) for d in drawn]),
        overconfidence=float(c.mean() - right.mean()),
        n_levels=told.n_levels,
        ece_beyond_levels=_beyond(counts, claimed, shares, told.n_levels),
        brier=brier(mass, c, right),
        log_score=_log_score(c, right),
        ideal_brier=ideal_brier,
        ideal_log_score=ideal_log,
        n_claims=len(c),
        bin_claims=claimed,
        bin_shares=shares,
        bin_n=counts,
        bin_low=low,
        bin_high=high,
    )


def brier(bins: Int[np.ndarray, " N"], claim: Float[np.ndarray, " N"], true: Float[np.ndarray, " N"]) -> Brier:
    """The Brier score of claims in given bins, decomposed; see `Brier`. `true` is 1 or 0."""
    _, index = np.unique(bins, return_inverse=True)
    counts, claimed, shares = _in_bins(index, claim, true)
    base, n = true.mean(), len(claim)
    apart, off = claim - claimed[index], true - shares[index]
    return Brier(
        score=float(np.mean((claim - true) ** 2)),
        reliability=float(counts @ (claimed - shares) ** 2 / n),
        resolution=float(counts @ (shares - base) ** 2 / n),
        uncertainty=float(base * (1 - base)),
        within_variance=float(np.mean(apart**2)),
        within_covariance=float(2 * np.mean(apart * off)),
    )


def _in_bins(bins: np.ndarray, claim: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean claim and share come true of bins 0, 1, ...; means of empty bins are 0."""
    counts = np.bincount(bins)
    claimed, shares = (np.bincount(bins, v.astype(float)) / np.maximum(counts, 1) for v in (claim, true))
    return counts, claimed, shares


def _ece(bins: np.ndarray, claim: np.ndarray, true: np.ndarray) -> float:
    counts, claimed, shares = _in_bins(bins, claim, true)
    return float(counts @ np.abs(claimed - shares) / len(claim))


def _beyond(counts: np.ndarray, claimed: np.ndarray, shares: np.ndarray, n_levels: int) -> float:
    """The mean distance of the share come true from the bin that a level stands for."""
    if not n_levels:
        return float("nan")
    return float(counts @ np.maximum(np.abs(shares - claimed) - 1 / (4 * n_levels), 0) / counts.sum())


def _log_score(claim: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean(np.log(np.clip(np.where(true > 0, claim, 1 - claim), CLIP, 1 - CLIP))))


def _ideal(trials: Trials | None, response_steps: np.ndarray, labels: np.ndarray, told: Claims) -> tuple[float, float]:
    """Brier and log score of the ideal observer on the first trials."""
    if trials is None or trials.task.encoder_noise > 0:
        return float("nan"), float("nan")
    p = ideal_at(trials, steps_taken(response_steps, trials))
    given = told.given[: len(p)]
    p, up = p[given], (labels[: len(p)] > 0)[given].astype(float)
    return float(np.mean((p - up) ** 2)), _log_score(p, up)
