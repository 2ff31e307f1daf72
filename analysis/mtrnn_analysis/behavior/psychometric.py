"""Choices against the distance from the boundary. Axis letters: see `mtrnn_analysis.behavior.answers`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8
from scipy import sparse

from mtrnn_analysis.behavior.answers import (
    LEAST,
    bin_means,
    check_answers,
    distances,
    equal_mass,
    ideal_at,
    interval,
    resampled,
    shuffles,
    steps_taken,
)
from mtrnn_analysis.behavior.psychometric_fit import MOST_LAPSE, Curves, deviance, fit_curves
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.ideal_observer.one_latent import effective_samples
from mtrnn_envs.ideal_observer.posterior import flat_prior
from mtrnn_envs.utils.validation import check_int

MOST_LEFT_OUT = 0.05  # of the bootstrap samples
N_FINE, N_COARSE, N_DRAWN = 512, 16, 24  # bins: of the fits to many samples, of the deviance, of the figure


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Psychometric(ProbeResult):
    """How well choices use the evidence: a psychometric curve beside the ideal observer's on the same evidence. `value`
    is the ratio of their slopes, 1 if ideal.

        P(answer +1 | x) = lapse_low + (1 - lapse_low - lapse_high) Phi(slope (x - bias))

    Here x is the signed distance of x* from the boundary in the unit named by `unit` (see `answers.Distances`); in
    "noise of one sample" the ideal slope after t samples is near sqrt(t), whatever the task. Answers to all tasks are
    pooled; `task_*` are of curves fitted to each task by itself.

    Attributes:
        value: the slope over that of the ideal observer's own answers to the same trials (the same curve fitted to
            them): 1 is ideal, 0 no relation to x*, below 0 mixes up the sides. It is not an accuracy, and leaves out
            lapses and bias, which cost answers too. Biases that differ between tasks flatten the common curve: compare
            `task_slopes`. Open tasks are left out, so that an agent that answers easy questions only can be ideal.
        null: the same with the answers of other trials; among the first `n_ideal`, as `value` is of these.
        n: trials. The bootstrap resamples these, as the answers of a trial rest on the same evidence.
        interval: 95 % bootstrap interval of `value`.
        efficiency: `value` squared: the share of the samples that an observer without any other loss would need
            (Tanner & Birdsall 1958, doi:10.1121/1.1909704).
        slope, bias, lapse_low, lapse_high: of the curve.
        slope_interval, bias_interval, lapse_interval: 95 % bootstrap intervals; the last of the mean of both lapses.
        left_out: bootstrap samples that a step fits best, of the agent or of the ideal observer for `interval`, of the
            agent for the other intervals. They have no slope and are left out; with more than 5 % of them an interval
            is NaN, as the rest is no longer a fair sample.
        ideal_slope: of the ideal observer's answers on the first `n_ideal` trials; `value` compares these.
        theory_slope: sqrt(t), the slope of the sign of the mean of t samples: the ideal observer's under a flat prior
            without ends. NaN where it does not hold: response or stimulus times that differ, or other boundaries.
        unanswered: the share of tasks without an answer; these are left out.
        deviance, deviance_null, deviance_p: goodness of fit to one answer a trial, of a random task, in 16 bins; its
            parametric-bootstrap null (answers drawn from the curve, fitted anew: Wichmann & Hill 2001); and the share
            of these that is as large. A small p means that the curve has another shape.
        task_slopes, task_biases, task_lapses: `[K]`, `[K]`, `[K, 2]`; NaN for tasks with fewer than 50 answers, or
            answers that a step separates.
        bin_x, bin_share, bin_n, ideal_share: mean distance, share of +1 and number of answers in 24 bins of equal
            mass, and the ideal observer's share; for the figure.
        unit: of distances.
    """

    interval: tuple[float, float]
    efficiency: float
    slope: float
    bias: float
    lapse_low: float
    lapse_high: float
    slope_interval: tuple[float, float]
    bias_interval: tuple[float, float]
    lapse_interval: tuple[float, float]
    left_out: tuple[int, int]
    ideal_slope: float
    theory_slope: float
    n_ideal: int
    unanswered: float
    deviance: float
    deviance_null: Float[np.ndarray, " R"]
    deviance_p: float
    task_slopes: Float[np.ndarray, " K"]
    task_biases: Float[np.ndarray, " K"]
    task_lapses: Float[np.ndarray, "K 2"]
    bin_x: Float[np.ndarray, " B"]
    bin_share: Float[np.ndarray, " B"]
    bin_n: Int[np.ndarray, " B"]
    ideal_share: Float[np.ndarray, " B"]
    unit: str


def psychometric(
    answers: Int8[np.ndarray, "N A"],
    response_steps: Int[np.ndarray, "N A"],
    trials: Trials,
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    n_bootstrap: int = 100,
) -> Psychometric:
    """Fits choice against distance by maximum likelihood; see `Psychometric`. Inputs: see `mtrnn_analysis.behavior`.

    In reaction-time tasks the ideal observer answers at the step of each of the agent's answers, so that `value` is
    about the use of the observed evidence, not about when to stop (that is `speed_accuracy`).

    Null hypothesis: the answers have nothing to do with x*.

    Arguments:
        n_null: draws of each null.
        n_bootstrap: draws of the bootstrap.

    Raises:
        ValueError: if an argument is out of its range, there are fewer than 50 answers, a step separates the answers
            (no slope is steep enough), or the task has no ideal observer.
    """
    check_int("n_null", n_null, 0)
    check_int("n_bootstrap", n_bootstrap, 0)
    check_answers(answers, response_steps=response_steps, trials=trials.latents)
    task, context, n_trials = trials.task, trials.context, len(answers)
    distance = distances(task, trials.latents, context)
    x, given = distance.values, answers != 0
    p = ideal_at(trials, steps_taken(response_steps, trials))
    ideal, m = np.where(p > 0.5, 1, -1), len(p)

    bins = _Bins(x)
    ones = np.ones((1, n_trials))
    first = (np.arange(n_trials) < m).astype(float)
    samples = resampled(n_trials, n_bootstrap, rng)
    ideal_answers = np.where(given, np.concatenate([ideal, np.ones((n_trials - m, x.shape[1]), int)]), 0)

    def fitted(weights: np.ndarray, given_answers: np.ndarray) -> Curves:
        return fit_curves(bins.x[None], *bins.counts(weights, given_answers))

    one = fitted(ones, answers)
    own, best = (fitted(first[None], a) for a in (answers, ideal_answers))
    for curves, whose in ((one, "the agent"), (best, "the ideal observer")):
        if curves.separated.any():
            raise ValueError(
                f"answers of {whose} are all on the right side of one distance, lapses apart: a step fits them and "
                "no slope is steep enough; record more trials"
            )
    value = float(own.slope[0] / best.slope[0])
    orders = shuffles(m, None if context is None else context[:m], n_null, rng)
    null = _shuffled_slopes(bins, answers[:m], orders) / best.slope[0]
    many = fitted(samples, answers)
    pairs = [fitted(samples * first, a) for a in (answers, ideal_answers)]
    steep = pairs[0].separated | pairs[1].separated
    fit_of_one = _goodness(x, answers, rng, n_null)
    slopes, biases, lapses = _by_task(x, answers, context, task.n_tasks)
    drawn = equal_mass(x[given], N_DRAWN)
    n_drawn = int(drawn.max()) + 1
    shown = given[:m]
    return Psychometric(
        value=value,
        null=null,
        p=p_value(value, null),
        n=n_trials,
        settings={"n_null": n_null, "n_bootstrap": n_bootstrap, "most_lapse": MOST_LAPSE},
        interval=_interval_without(steep, pairs[0].slope / pairs[1].slope),
        efficiency=value**2,
        slope=float(one.slope[0]),
        bias=float(one.bias[0]),
        lapse_low=float(one.low[0]),
        lapse_high=float(one.high[0]),
        slope_interval=_interval_without(many.separated, many.slope),
        bias_interval=_interval_without(many.separated, many.bias),
        lapse_interval=_interval_without(many.separated, (many.low + many.high) / 2),
        left_out=(int(steep.sum()), int(many.separated.sum())),
        ideal_slope=float(best.slope[0]),
        theory_slope=_theory(task),
        n_ideal=m,
        unanswered=float(1 - given.mean()),
        deviance=fit_of_one[0],
        deviance_null=fit_of_one[1],
        deviance_p=p_value(*fit_of_one),
        task_slopes=slopes,
        task_biases=biases,
        task_lapses=lapses,
        bin_x=bin_means(drawn, x[given], n_drawn),
        bin_share=bin_means(drawn, (answers[given] > 0).astype(float), n_drawn),
        bin_n=np.bincount(drawn, minlength=n_drawn),
        ideal_share=bin_means(drawn[: shown.sum()], (ideal[shown] > 0).astype(float), n_drawn),
        unit=distance.unit,
    )


class _Bins:
    """Answers counted in fine bins of distance, 512 of equal mass, at whose mean distance the curves are fitted.

    A fit then costs the same for any number of answers. The curvature within a bin is left out; with this many bins it
    is below the rounding of the reported numbers.
    """

    def __init__(self, x: Float[np.ndarray, "N A"]) -> None:
        # Open tasks have a bin too: shuffled answers may come to lie there.
        self.index = equal_mass(x, N_FINE)
        self.n = int(self.index.max()) + 1
        self.x = bin_means(self.index, x, self.n)

    def counts(
        self, weights: Float[np.ndarray, "R N"], answers: np.ndarray
    ) -> tuple[Float[np.ndarray, "R B"], Float[np.ndarray, "R B"]]:
        """Answers, and answers +1, in each bin, each trial counted `weights` times."""

        def counted(chosen: np.ndarray) -> np.ndarray:
            trial, answer = np.nonzero(chosen)
            places = np.ones(len(trial)), (self.index[trial, answer], trial)
            return np.asarray((sparse.csr_matrix(places, (self.n, len(chosen))) @ weights.T).T)

        return counted(answers != 0), counted(answers > 0)


def _interval_without(separated: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """The interval of bootstrap values with a slope; NaN if more than a few have none."""
    few = separated.sum() <= MOST_LEFT_OUT * len(separated)
    return interval(values[~separated] if few else np.empty(0))


def _shuffled_slopes(bins: _Bins, answers: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """The slopes with the answers of the first trials in other orders."""
    if not len(orders):
        return np.empty(0)
    index = bins.index[: len(answers)]
    counts = [
        [np.bincount(index[chosen[order]], minlength=bins.n) for order in orders]
        for chosen in (answers != 0, answers > 0)
    ]
    n, k = np.array(counts, float)
    return fit_curves(bins.x[None], n, k).slope


def _goodness(
    x: np.ndarray, answers: np.ndarray, rng: np.random.Generator, n_null: int
) -> tuple[float, Float[np.ndarray, " R"]]:
    """The deviance of one answer a trial from the curve fitted to them, and its parametric-bootstrap null.

    Answers of different trials are independent given x*, as the draws from the curve are; those of one trial are not.
    """
    some = np.flatnonzero((answers != 0).any(axis=1))
    keys = np.where(answers[some] != 0, rng.random((len(some), x.shape[1])), -1)
    task = np.argmax(keys, axis=1)
    bins = _Bins(x[some, task][:, None])
    n, k = bins.counts(np.ones((1, len(some))), answers[some, task][:, None])
    coarse = np.arange(bins.n) * N_COARSE // bins.n
    starts = np.flatnonzero(np.diff(coarse, prepend=-1))

    def worst(curves: Curves, k: np.ndarray) -> np.ndarray:
        sums = [np.add.reduceat(np.broadcast_to(v, k.shape), starts, axis=1) for v in (n, k, n * curves.at(bins.x))]
        return deviance(sums[0], sums[1], sums[2] / sums[0])

    curve = fit_curves(bins.x[None], n, k)
    drawn = rng.binomial(n.astype(int), np.clip(curve.at(bins.x), 0, 1), (n_null, bins.n)).astype(float)
    found = float(worst(curve, k)[0])
    return found, worst(fit_curves(bins.x[None], n, drawn), drawn) if n_null else np.empty(0)


def _by_task(
    x: np.ndarray, answers: np.ndarray, context: np.ndarray | None, n_tasks: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope, bias and lapses of each task by itself."""
    of = np.broadcast_to(np.arange(x.shape[1]), x.shape) if context is None else context[:, None]
    of, x, up = (v[answers != 0] for v in (of, x, answers > 0))
    sizes = np.bincount(of, minlength=n_tasks)
    order, starts = np.argsort(of, kind="stable"), np.cumsum(sizes) - sizes
    # Tasks with fewer answers than others are padded by points of weight 0.
    column = np.arange(len(of)) - np.repeat(starts, sizes)
    padded = np.zeros((3, n_tasks, max(1, sizes.max())))
    padded[:, of[order], column] = x[order], np.ones(len(of)), up[order]
    slopes, biases, lapses = np.full(n_tasks, np.nan), np.full(n_tasks, np.nan), np.full((n_tasks, 2), np.nan)
    enough = np.flatnonzero(sizes >= LEAST)
    if len(enough):
        curves = fit_curves(padded[0, enough], padded[1, enough], padded[2, enough])
        kept = enough[~curves.separated]
        slopes[kept], biases[kept] = curves.slope[~curves.separated], curves.bias[~curves.separated]
        lapses[kept] = np.stack([curves.low, curves.high], axis=1)[~curves.separated]
    return slopes, biases, lapses


def _theory(task: EvidenceTask) -> float:
    """sqrt(t), where it holds."""
    holds = not task.reaction_time and isinstance(task.boundary, Linear) and isinstance(task.stimulus, int)
    if not (holds and task.noise == "gaussian" and flat_prior(task)):
        return float("nan")
    return float(np.sqrt(effective_samples(task, task.stimulus)))
