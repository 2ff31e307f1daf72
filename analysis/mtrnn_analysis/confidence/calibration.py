"""Calibration of reported confidence. Axis letters: see `mtrnn_analysis.behavior.answers`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8

from mtrnn_analysis.behavior.answers import equal_mass, ideal_at, steps_taken
from mtrnn_analysis.confidence.reported import Reported, calibrated_draws, directions, reported
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.utils.validation import check_int

CLIP = 1e-6  # in logarithms, probabilities are at least this far from 0 and 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Brier:
    """The Brier score of reported confidence and its parts, which add up exactly.

        score = reliability - resolution + uncertainty + within_variance - within_covariance

    with B bins, n_b answers in bin b, their mean confidence f_b and the share o_b of right ones, o the share of all
    (Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2), and the differences within a bin (Stephenson,
    Coelho & Jolliffe 2008, doi:10.1175/2007WAF2006116.1), without which the parts do not add up for continuous values.

    Attributes:
        score: mean of (confidence - right)²; 0 is best. The same for the favoured choice as for p and +1.
        reliability: sum n_b (f_b - o_b)² / n; 0 is best.
        resolution: sum n_b (o_b - o)² / n; the greater the better.
        uncertainty: o (1 - o).
        within_variance: sum over answers of (confidence - f_b)² / n.
        within_covariance: 2 sum over answers of (confidence - f_b) (right - o_b) / n.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Calibration(ProbeResult):
    """Whether answers are right as often as the reported confidence. `value` is the expected calibration error; its
    null is that of a calibrated agent with the same confidence.

    Attributes:
        value: the expected calibration error (ECE), sum over bins of n_b / n |f_b - o_b|, in bins of equal mass, as far
            as equal confidences allow (they are never split). Levels of confidence are the bins themselves. It is above
            0 also for a calibrated agent; compare it with `null`.
        null: the same of a calibrated agent that reports the same confidence (see `calibrated_draws`).
        n: trials.
        excess: `value` less the mean of `null`; near 0 for a calibrated agent.
        ece_width, ece_width_null: in bins of equal width over [1/2, 1], the more usual ones. (With 93 % of answers in
            the last bin they show little more than that bin.)
        overconfidence: mean confidence less share of right answers; below 0 is underconfidence.
        n_levels: levels of confidence for each choice; 0 where any probability can be reported. With levels, an agent
            that reports the right one still has an ECE: the right level is the one whose bin holds its accuracy, and
            it reports the middle. Of three levels the highest reports 11/12, and optimal stopping is right in 98 % of
            these.
        ece_beyond_levels: sum over levels of n_b / n times the distance of o_b from the *bin* of the level; 0 if
            confidence is as right as levels can be. NaN without levels.
        brier: the score and its parts, in the bins of `value`.
        log_score: mean natural logarithm of the probability reported for the label, in nat; 0 is best. Probabilities
            are clipped to be 1e-6 or more from 0 and 1.
        ideal_brier, ideal_log_score: of the ideal observer, at the same steps, on the first trials (see
            `behavior.answers.ideal_at`); NaN if not available. The least and the greatest that any agent can expect.
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
    """The calibration of an agent's confidence (see `confidence.reported`; for inputs, `mtrnn_analysis.behavior`).

    Null hypothesis: each answer is right with the reported probability. Draws keep the confidence and draw the labels,
    for all tasks of a trial together, so that errors of a trial are as alike as the geometry of the tasks makes those
    of an observer of the evidence. (In reaction-time tasks answers of a trial rest on different numbers of samples and
    are a little less alike than that; the null is then a little wide.)

    Arguments:
        n_null: draws of the null.
        n_bins: over [1/2, 1].

    Raises:
        ValueError: if an argument is out of its range, or there are fewer than 50 answers with confidence.
    """
    check_int("n_null", n_null, 0)
    check_int("n_bins", n_bins, 1)
    own = reported(task, answers, labels, probabilities, confidence)
    c, right = own.confidence[own.given], own.right[own.given].astype(float)
    mass = np.unique(c, return_inverse=True)[1] if own.n_levels else equal_mass(c, n_bins)
    width = np.minimum((2 * n_bins * (c - 0.5)).astype(np.int64), n_bins - 1)
    favoured = np.where(own.right, labels, -labels).astype(np.int64)
    along = directions(task, latents.astype(float), context)
    drawn = calibrated_draws(np.clip(own.confidence, 0, 1), favoured, along, n_null, rng)[:, own.given]
    counts, means, shares = _in_bins(mass, c, right)
    null_shares = np.array([_in_bins(mass, c, d)[2] for d in drawn]).reshape(n_null, len(counts))
    null = np.abs(null_shares - means) @ counts / len(c)
    value = float(counts @ np.abs(means - shares) / len(c))
    low, high = np.quantile(null_shares, [0.05, 0.95], axis=0) if n_null else np.full((2, len(counts)), np.nan)
    ideal_brier, ideal_log = _ideal(trials, response_steps, labels, own)
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
        n_levels=own.n_levels,
        ece_beyond_levels=_beyond(counts, means, shares, own.n_levels),
        brier=brier(mass, c, right),
        log_score=_log_score(c, right),
        ideal_brier=ideal_brier,
        ideal_log_score=ideal_log,
        n_claims=len(c),
        bin_claims=means,
        bin_shares=shares,
        bin_n=counts,
        bin_low=low,
        bin_high=high,
    )


def brier(bins: Int[np.ndarray, " N"], confidence: Float[np.ndarray, " N"], true: Float[np.ndarray, " N"]) -> Brier:
    """The Brier score in given bins and its parts; see `Brier`. `true` is 1 or 0."""
    _, index = np.unique(bins, return_inverse=True)
    counts, means, shares = _in_bins(index, confidence, true)
    base, n = true.mean(), len(confidence)
    apart, off = confidence - means[index], true - shares[index]
    return Brier(
        score=float(np.mean((confidence - true) ** 2)),
        reliability=float(counts @ (means - shares) ** 2 / n),
        resolution=float(counts @ (shares - base) ** 2 / n),
        uncertainty=float(base * (1 - base)),
        within_variance=float(np.mean(apart**2)),
        within_covariance=float(2 * np.mean(apart * off)),
    )


def _in_bins(bins: np.ndarray, confidence: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean confidence and share of right answers in bins 0, 1, ...; means of empty bins are 0."""
    counts = np.bincount(bins)
    means, shares = (np.bincount(bins, v.astype(float)) / np.maximum(counts, 1) for v in (confidence, true))
    return counts, means, shares


def _ece(bins: np.ndarray, confidence: np.ndarray, true: np.ndarray) -> float:
    counts, means, shares = _in_bins(bins, confidence, true)
    return float(counts @ np.abs(means - shares) / len(confidence))


def _beyond(counts: np.ndarray, means: np.ndarray, shares: np.ndarray, n_levels: int) -> float:
    """The mean distance of the share of right answers from the bin that a level stands for."""
    if not n_levels:
        return float("nan")
    return float(counts @ np.maximum(np.abs(shares - means) - 1 / (4 * n_levels), 0) / counts.sum())


def _log_score(confidence: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean(np.log(np.clip(np.where(true > 0, confidence, 1 - confidence), CLIP, 1 - CLIP))))


def _ideal(trials: Trials | None, response_steps: np.ndarray, labels: np.ndarray, own: Reported) -> tuple[float, float]:
    """Brier and log score of the ideal observer on the first trials."""
    if trials is None or trials.task.encoder_noise > 0:
        return float("nan"), float("nan")
    p = ideal_at(trials, steps_taken(response_steps, trials))
    given = own.given[: len(p)]
    p, up = p[given], (labels[: len(p)] > 0)[given].astype(float)
    return float(np.mean((p - up) ** 2)), _log_score(p, up)
