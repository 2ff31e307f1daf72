"""Response steps against difficulty. Axis letters: see `mtrnn_analysis.behavior.answers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int8
from scipy.optimize import least_squares
from scipy.stats import rankdata

from mtrnn_analysis.behavior.answers import (
    bin_means,
    check_answers,
    check_reaction_time,
    distances,
    equal_mass,
    interval,
    optimal_run,
    resampled,
    shuffles,
    steps_taken,
)
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import Trials
from mtrnn_envs.utils.validation import check_int

N_BINS = 12  # of |distance|


class Diffusion(NamedTuple):
    """The mean response step and accuracy of a diffusion to constant bounds (Palmer, Huk & Shadlen 2005).

        step(x) = onset + bound / (gain |x|) tanh(gain |x| bound)
        accuracy(x) = 1 / (1 + exp(-2 gain |x| bound))

    (doi:10.1167/5.5.1). With x in "noise of one sample" and the evidence itself accumulated, gain is 1 and the bound is
    in standard deviations of one sample. Continuous time; in discrete steps the sum overshoots its bound, which looks
    like a bound higher by 0.58 (Siegmund 1985).

    Attributes:
        gain: drift per sample, per unit of distance, relative to the noise per sample.
        bound: what has to be accumulated.
        onset: steps without an influence of the evidence, 0 or more.
        r2: the share of the variance of the mean steps over bins that the curve explains.
    """

    gain: float
    bound: float
    onset: float
    r2: float

    def steps(self, x: Float[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
        """The mean response step at distances."""
        return _steps(np.array([self.gain, self.bound, self.onset]), x)

    def accuracy(self, x: Float[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
        """The share of right answers at distances."""
        return 1 / (1 + np.exp(-2 * self.gain * np.abs(x) * self.bound))


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Chronometric(ProbeResult):
    """Whether easier questions are answered sooner: response steps against |distance|, of the agent and of the best
    policy. `value` is their rank correlation, below 0 if so.

    Tasks left open are censored: they count with the number of stimulus steps of the trial. Distances are in the unit
    named by `unit` (see `mtrnn_analysis.behavior.answers.Distances`).

    Attributes:
        value: Spearman's rank correlation of response step and |distance|, over all tasks of all trials. It measures
            whether time follows difficulty, not whether it is spent well (see `speed_accuracy`).
        null: the same with the response steps of other trials.
        n: trials.
        interval: 95 % bootstrap interval of `value`, over trials.
        optimal: `value` of the best policy, on the first `n_optimal` trials.
        optimal_method: of finding it ("lower bound ..." is a good policy and not the best), or why there is none.
        unanswered: share of tasks without an answer.
        mean_step, optimal_mean_step: mean response steps; the latter on the first `n_optimal` trials.
        fit: a diffusion to constant bounds, fitted to steps and accuracies of the bins together, each weighted by its
            standard error over trials. A description: bounds of the best policy collapse, and a deadline cuts.
        bin_x, bin_steps, bin_errors, bin_accuracy, bin_open: for 12 bins of |distance| of equal mass: mean |distance|,
            mean step, its bootstrap standard error over trials, share of right answers among those given, share left
            open.
        optimal_steps, optimal_accuracy: of the best policy in the same bins.
        unit: of distances.
        deadline: the most stimulus steps a trial has.
    """

    interval: tuple[float, float]
    optimal: float
    n_optimal: int
    optimal_method: str
    unanswered: float
    mean_step: float
    optimal_mean_step: float
    fit: Diffusion
    bin_x: Float[np.ndarray, " B"]
    bin_steps: Float[np.ndarray, " B"]
    bin_errors: Float[np.ndarray, " B"]
    bin_accuracy: Float[np.ndarray, " B"]
    bin_open: Float[np.ndarray, " B"]
    optimal_steps: Float[np.ndarray, " B"]
    optimal_accuracy: Float[np.ndarray, " B"]
    unit: str
    deadline: int


def chronometric(
    answers: Int8[np.ndarray, "N A"],
    labels: Int8[np.ndarray, "N A"],
    response_steps: Int[np.ndarray, "N A"],
    trials: Trials,
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    n_bootstrap: int = 100,
    n_optimal: int = 200,
) -> Chronometric:
    """Response steps against |distance| in reaction-time tasks; see `Chronometric`; inputs: `mtrnn_analysis.behavior`.

    Null hypothesis: response steps have nothing to do with x*.

    Arguments:
        n_null: draws of the null.
        n_bootstrap: draws of the bootstrap.
        n_optimal: the first trials, on which the best policy is run; 0 for none.

    Raises:
        ValueError: if an argument is out of its range, the task has a fixed duration, there are fewer than 50 answers,
            or all response steps are the same.
    """
    check_reaction_time(trials.task)
    for name, number, low in (("n_null", n_null, 0), ("n_bootstrap", n_bootstrap, 2), ("n_optimal", n_optimal, 0)):
        check_int(name, number, low)
    check_answers(answers, labels=labels, response_steps=response_steps, trials=trials.latents)
    task, context, n = trials.task, trials.context, len(answers)
    distance = distances(task, trials.latents, context)
    x, steps, given = np.abs(distance.values), steps_taken(response_steps, trials), answers != 0
    if steps.min() == steps.max():
        raise ValueError(f"response_steps are all {steps.min()}; they must vary")
    bins = equal_mass(x, N_BINS)
    n_bins = int(bins.max()) + 1
    samples = resampled(n, n_bootstrap, rng)
    bin_x, bin_steps = bin_means(bins, x, n_bins), bin_means(bins, steps, n_bins)
    step_errors = _standard_errors(bins, steps.astype(float), np.ones(x.shape), n_bins, samples)
    right = (answers == labels).astype(float)
    accuracy_errors = _standard_errors(bins, right, given.astype(float), n_bins, samples)
    accuracy = bin_means(bins[given], right[given], n_bins)
    ranks = _standardised(x), _standardised(steps)
    value = float(np.mean(ranks[0] * ranks[1]))
    null = np.array([np.mean(ranks[0] * ranks[1][order]) for order in shuffles(n, context, n_null, rng)])
    m = min(n, n_optimal)
    return Chronometric(
        value=value,
        null=null,
        p=p_value(value, null, "less"),
        n=n,
        settings={"n_null": n_null, "n_bootstrap": n_bootstrap, "n_bins": n_bins, "n_optimal": n_optimal},
        interval=interval(_correlations(*ranks, samples)),
        n_optimal=m,
        unanswered=float(1 - given.mean()),
        mean_step=float(steps.mean()),
        fit=_fit(bin_x, bin_steps, step_errors, accuracy, accuracy_errors),
        bin_x=bin_x,
        bin_steps=bin_steps,
        bin_errors=step_errors,
        bin_accuracy=accuracy,
        bin_open=bin_means(bins, 1.0 - given, n_bins),
        unit=distance.unit,
        deadline=task.longest.stimulus,
        **_optimal(trials[:m], x[:m], labels[:m], bins[:m], n_bins),
    )


def _optimal(trials: Trials, x: np.ndarray, labels: np.ndarray, bins: np.ndarray, n_bins: int) -> dict[str, Any]:
    """The fields of the best policy; NaN where it is not computed, with the reason as its method."""
    try:
        best, method = (optimal_run(trials), "") if len(trials) else (None, "not asked for")
    except ValueError as error:
        best, method = None, f"not computed: {error}"
    if best is None:
        nan, nothing = float("nan"), np.full(n_bins, np.nan)
        fields = {"optimal": nan, "optimal_mean_step": nan, "optimal_steps": nothing, "optimal_accuracy": nothing}
        return fields | {"optimal_method": method}
    given = best.answers != 0
    return {
        "optimal": float(np.mean(_standardised(x) * _standardised(best.steps))),
        "optimal_method": best.method,
        "optimal_mean_step": float(best.steps.mean()),
        "optimal_steps": bin_means(bins, best.steps, n_bins),
        "optimal_accuracy": bin_means(bins[given], (best.answers == labels)[given], n_bins),
    }


def _standardised(values: np.ndarray) -> Float[np.ndarray, "N A"]:
    """Standardised ranks (of ties, their mean); 0 where all values are the same."""
    ranks = rankdata(values.ravel()).reshape(values.shape)
    spread = ranks.std()
    return (ranks - ranks.mean()) / spread if spread else np.zeros(values.shape)


def _correlations(a: np.ndarray, b: np.ndarray, weights: Float[np.ndarray, "R N"]) -> Float[np.ndarray, " R"]:
    """The correlation of `a` and `b` with each trial counted `weights` times; ranks stay as they are."""
    sums = np.stack([v.mean(axis=1) for v in (a, b, a * a, b * b, a * b)]) @ weights.T / len(a)
    mean_a, mean_b, aa, bb, ab = sums
    return (ab - mean_a * mean_b) / np.sqrt((aa - mean_a**2) * (bb - mean_b**2))


def _standard_errors(
    bins: np.ndarray, values: np.ndarray, counts: np.ndarray, n_bins: int, samples: Float[np.ndarray, "R N"]
) -> Float[np.ndarray, " B"]:
    """The bootstrap standard error, over trials, of the mean of `values` in each bin, weighted by `counts`."""
    out = np.empty(n_bins)
    for b in range(n_bins):
        inside = (bins == b) * counts
        weight = samples @ inside.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            out[b] = np.nanstd(samples @ (inside * values).sum(axis=1) / weight) if weight.any() else np.nan
    return out


def _steps(parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
    gain, bound, onset = parameters
    drift = np.maximum(gain * np.abs(x), 1e-9)
    return onset + bound / drift * np.tanh(drift * bound)


def _fit(
    x: np.ndarray, steps: np.ndarray, step_errors: np.ndarray, accuracy: np.ndarray, errors: np.ndarray
) -> Diffusion:
    """The diffusion nearest to the means of the bins, in standard errors (of a thousandth at least)."""
    known = np.isfinite(accuracy) & np.isfinite(errors)

    def off(parameters: np.ndarray) -> np.ndarray:
        share = 1 / (1 + np.exp(-2 * parameters[0] * x[known] * parameters[1]))
        late = (_steps(parameters, x) - steps) / np.maximum(step_errors, 1e-3)
        return np.concatenate([late, (share - accuracy[known]) / np.maximum(errors[known], 1e-3)])

    start = [1.0, np.sqrt(max(steps.max() - steps.min(), 0.1)), max(steps.min() - 0.5, 0.1)]
    found = least_squares(off, start, bounds=([0, 1e-6, 0], [np.inf, np.inf, np.inf]), x_scale=[1.0, 1.0, 1.0])
    gain, bound, onset = (float(v) for v in found.x)
    return Diffusion(gain, bound, onset, float(1 - np.mean((_steps(found.x, x) - steps) ** 2) / np.var(steps)))
