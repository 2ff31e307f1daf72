"""Type-2 sensitivity: confidence in right and in wrong answers. Axis letters: see `mtrnn_analysis.behavior.answers`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8
from scipy.special import logit
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_curve

from mtrnn_analysis.behavior.answers import bin_means, equal_mass, ideal_at, interval, resampled, shuffles, steps_taken
from mtrnn_analysis.confidence.reported import reported
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import Trials
from mtrnn_envs.utils.validation import check_int

IDEAL_CLIP = 1e-3  # the regression leaves out answers of which the ideal observer is surer
CLIP = 1e-6  # the agent's probabilities are clipped to be this far from 0 and 1
N_DRAWN = 10  # bins of the figure


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Metacognition(ProbeResult):
    """Whether right answers are given with more confidence than wrong ones. `value` is the type-2 AUROC.

    Attributes:
        value: the type-2 AUROC: the probability that a right answer was given with more confidence than a wrong one,
            ties counting half; 1/2 is chance. All answers together. It depends on the difficulty of the answers
            (Galvin, Podd, Drga & Whitmore 2003, doi:10.3758/BF03196546): compare it with `ideal`, on the same trials.
            It does not depend on calibration: any increasing function of the confidence has the same.
        null: the same with the confidence of other trials.
        n: trials.
        interval: 95 % bootstrap interval of `value`, over trials.
        ideal: the AUROC of the ideal observer's confidence for its own answers, after the same samples of the same
            trials (of the first `n_ideal`; of the agent there, `value_there`). Where answers carry levels of
            confidence, of the level that its confidence lies in; without levels, `ideal_graded`.
        task_aurocs: of each task by itself, `[K]`; NaN where all answers are right, or all wrong.
        slope, intercept: of the least-squares line of logit(agent's p of +1) on logit(ideal p of +1): 1 and 0 for the
            ideal observer, a slope below 1 for underconfidence. Only answers with ideal p in [0.001, 0.999] count, and
            the agent's p is clipped to [1e-6, 1 - 1e-6], as a saturated p has no odds. The ideal p is known without
            error, so that the slope is not pulled to 0 (errors in variables); the reverse regression would suffer from
            the agent's own noise, and its slope is not 1 / slope. The log-odds of an agent with levels and without
            probabilities are those of the levels, at most ln 11 of three, and its slope is below 1 for that.
        slope_interval, intercept_interval: 95 % bootstrap intervals, over trials.
        logit_r2: the share of the variance of the agent's log-odds that the line explains.
        n_errors, n_right: wrong and right answers.
        hits, false_alarms: the type-2 ROC: of right and of wrong answers, the share with confidence of at least each of
            some values, from the highest to the lowest.
        ideal_hits, ideal_false_alarms: of the ideal observer.
        bin_ideal, bin_agent, bin_sd: mean log-odds of the ideal observer, and mean and standard deviation of the
            agent's, in 10 bins of equal mass, for the figure.
    """

    interval: tuple[float, float]
    ideal: float
    ideal_graded: float
    value_there: float
    n_ideal: int
    task_aurocs: Float[np.ndarray, " K"]
    slope: float
    intercept: float
    slope_interval: tuple[float, float]
    intercept_interval: tuple[float, float]
    logit_r2: float
    n_errors: int
    n_right: int
    hits: Float[np.ndarray, " P"]
    false_alarms: Float[np.ndarray, " P"]
    ideal_hits: Float[np.ndarray, " Q"]
    ideal_false_alarms: Float[np.ndarray, " Q"]
    bin_ideal: Float[np.ndarray, " B"]
    bin_agent: Float[np.ndarray, " B"]
    bin_sd: Float[np.ndarray, " B"]


def metacognition(
    answers: Int8[np.ndarray, "N A"],
    labels: Int8[np.ndarray, "N A"],
    response_steps: Int[np.ndarray, "N A"],
    trials: Trials,
    rng: np.random.Generator,
    probabilities: Float[np.ndarray, "N A"] | None = None,
    confidence: Float[np.ndarray, "N A"] | None = None,
    context: Int[np.ndarray, " N"] | None = None,
    *,
    n_null: int = 100,
    n_bootstrap: int = 100,
) -> Metacognition:
    """Type-2 AUROC and the regression of log-odds; see `Metacognition`, and for inputs `mtrnn_analysis.behavior`.

    Null hypothesis: confidence has nothing to do with which answers are right. Each task's confidences change places
    among its own answers, so that hard and easy tasks stay apart. With open tasks, answers count if their new
    confidence was given, too.

    Arguments:
        n_null, n_bootstrap: draws of the null, and of the bootstrap.

    Raises:
        ValueError: if an argument is out of its range, there are fewer than 50 answers with confidence, all of them are
            right or all wrong, or the task has no ideal observer.
    """
    check_int("n_null", n_null, 0)
    check_int("n_bootstrap", n_bootstrap, 0)
    report = reported(trials.task, answers, labels, probabilities, confidence)
    given, right, n = report.given, report.right, len(answers)
    n_right = int(np.count_nonzero(right & given))
    n_errors = int(np.count_nonzero(given)) - n_right
    if not n_right or not n_errors:
        raise ValueError(
            f"answers has {n_right} right and {n_errors} wrong ones of those given; some of both are needed"
        )
    ranked = _Ranked(report.confidence)
    value = ranked.auroc(right, given.astype(float))
    # To permute confidence is to permute right and wrong.
    orders = shuffles(n, context, n_null, rng)
    null = np.array([ranked.auroc(right[o], (given & given[o]).astype(float)) for o in orders]).reshape(n_null)
    samples = resampled(n, n_bootstrap, rng)
    many = np.array([ranked.auroc(right, given * weight[:, None]) for weight in samples]).reshape(n_bootstrap)

    p = ideal_at(trials, steps_taken(response_steps, trials))
    m, up, there = len(p), labels > 0, given[: len(p)]
    ideal_right, graded = (p >= 0.5) == up[:m], np.maximum(p, 1 - p)
    levels = np.minimum((2 * report.n_levels * (graded - 0.5)).astype(np.int64), max(report.n_levels - 1, 0))
    ideal = levels.astype(float) if report.n_levels else graded
    of_levels = np.where(right == up, report.confidence, 1 - report.confidence)
    own = (of_levels if probabilities is None else probabilities.astype(float))[:m]
    line = _Line(p, own, there)
    lines = line.fits(samples[:, :m])
    return Metacognition(
        value=value,
        null=null,
        p=p_value(value, null) if not np.isnan(null).any() else float("nan"),
        n=n,
        settings={"n_null": n_null, "n_bootstrap": n_bootstrap},
        interval=interval(many),
        ideal=_Ranked(ideal).auroc(ideal_right, there.astype(float)),
        ideal_graded=_Ranked(graded).auroc(ideal_right, there.astype(float)),
        value_there=_Ranked(report.confidence[:m]).auroc(right[:m], there.astype(float)),
        n_ideal=m,
        task_aurocs=_by_task(report.confidence, right, given, context, trials.task.n_tasks),
        slope=line.slope,
        intercept=line.intercept,
        slope_interval=interval(lines[0]),
        intercept_interval=interval(lines[1]),
        logit_r2=line.r2,
        n_errors=n_errors,
        n_right=n_right,
        **dict(zip(("hits", "false_alarms"), _roc(report.confidence, right, given), strict=True)),
        **dict(zip(("ideal_hits", "ideal_false_alarms"), _roc(ideal, ideal_right, there), strict=True)),
        **dict(zip(("bin_ideal", "bin_agent", "bin_sd"), line.bins, strict=True)),
    )


class _Ranked:
    """Answers in the order of their confidence, sorted once for all areas: a bootstrap sample takes a sixth of the time
    of `sklearn.metrics.roc_auc_score` (`tests/benchmarks/test_behavior_speed.py`).
    """

    def __init__(self, confidence: Float[np.ndarray, "N A"]) -> None:
        flat = confidence.ravel()
        self.order = np.argsort(flat, kind="stable")
        self.starts = np.flatnonzero(np.diff(flat[self.order], prepend=-1))

    def auroc(self, right: Bool[np.ndarray, "N A"], weight: np.ndarray) -> float:
        """The area under the type-2 ROC with weights; NaN without right or without wrong answers."""
        w = weight.ravel()[self.order]
        hit = w * right.ravel()[self.order]
        hit, both = np.add.reduceat(hit, self.starts), np.add.reduceat(w, self.starts)
        miss = both - hit
        total = hit.sum() * miss.sum()
        return float(hit @ (np.cumsum(miss) - 0.5 * miss) / total) if total else float("nan")


def _by_task(
    confidence: np.ndarray, right: np.ndarray, given: np.ndarray, context: np.ndarray | None, n_tasks: int
) -> np.ndarray:
    rows = [(slice(None), [k]) if context is None else (context == k, slice(None)) for k in range(n_tasks)]
    return np.array(
        [_Ranked(confidence[r]).auroc(right[r], given[r].astype(float)) if given[r].any() else np.nan for r in rows]
    )


def _roc(confidence: np.ndarray, right: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of right and of wrong answers at or above a confidence, from (0, 0) to (1, 1), at 101 places at most."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # of only right, or only wrong answers
        curve = roc_curve(right[given], confidence[given], drop_intermediate=False)
    false_alarms, hits = (np.nan_to_num(each) for each in curve[:2])
    kept = np.unique(np.searchsorted(hits + false_alarms, np.linspace(0, 2, 101)).clip(0, len(hits) - 1))
    return hits[kept], false_alarms[kept]


class _Line:
    """The least-squares line of the agent's log-odds on the ideal observer's."""

    def __init__(
        self, ideal: Float[np.ndarray, "M A"], own: Float[np.ndarray, "M A"], given: Bool[np.ndarray, "M A"]
    ) -> None:
        used = given & (np.abs(ideal - 0.5) <= 0.5 - IDEAL_CLIP) & np.isfinite(own)
        x = logit(np.where(used, ideal, 0.5))
        y = logit(np.clip(np.where(used, own, 0.5), CLIP, 1 - CLIP))
        # Sums over the answers of each trial, which bootstrap samples add up.
        self.sums = np.stack([np.where(used, v, 0).sum(axis=1) for v in (np.ones(x.shape), x, y, x * x, x * y)])
        self.intercept, self.slope = (float(v) for v in self._solve(self.sums.sum(axis=1)))
        x, y = x[used], y[used]
        spread = np.var(y) if len(y) else 0.0
        off = y - self.intercept - self.slope * x
        self.r2 = float(1 - np.var(off) / spread) if spread else float("nan")
        self.bins = np.empty((3, 0))
        if len(x):
            bins = equal_mass(x, N_DRAWN)
            mean_x, mean_y, square = (bin_means(bins, v, int(bins.max()) + 1) for v in (x, y, y * y))
            self.bins = np.stack([mean_x, mean_y, np.sqrt(np.maximum(square - mean_y**2, 0))])

    def fits(self, weights: Float[np.ndarray, "R M"]) -> tuple[np.ndarray, np.ndarray]:
        """Slopes and intercepts with each trial counted `weights` times."""
        intercept, slope = self._solve(self.sums @ weights.T)
        return slope, intercept

    @staticmethod
    def _solve(sums: np.ndarray) -> np.ndarray:
        n, x, y, xx, xy = sums
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (n * xy - x * y) / (n * xx - x * x)
            return np.stack([(y - slope * x) / n, slope])
