"""A drift-diffusion model in discrete steps, fitted to response steps and answers. Axis letters: see `answers`.

`crossings` is exact and ours: packages (pyddm) solve the model in continuous time, whose overshoot is another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, Int8
from scipy.optimize import OptimizeResult, minimize
from scipy.special import ndtr

from mtrnn_analysis.behavior.answers import (
    LEAST,
    bin_means,
    check_answers,
    check_reaction_time,
    distances,
    equal_mass,
    steps_taken,
)
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.utils.validation import check_int

FLOOR = 1e-9  # of likelihoods: no single answer rules a model out
N_MOST = 2000  # answers fitted at most


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class DriftDiffusion(ProbeResult):
    """A drift-diffusion model of response steps and answers. `value` is the gain: 1 is ideal.

        a(t) = a(t - 1) + gain |x| + N(0, 1),   answered right once a(t) >= B(t), wrong once a(t) <= -B(t),
        B(t) = bound exp(-collapse t)

    Here x is the distance of x* from the boundary in standard deviations of one sample along its normal, t counts
    samples, and an answer comes `onset` steps after the crossing. This is the usual model (Ratcliff 1978,
    doi:10.1037/0033-295X.85.2.59) in the time of the task: the evidence comes in large steps, and in continuous time
    (as in packages for reaction times in seconds) a sum that overshoots its bound looks like one with another bound, by
    an amount that depends on the drift. The noise is fixed at 1, as only ratios to it are identifiable. In this unit of
    x, an agent that adds up the evidence as it is has gain 1, and its bound is in standard deviations of one sample.
    The model does not apply where the noise of samples is correlated, or one stop answers several tasks.

    Attributes:
        value: the gain; less than 1 is private noise or evidence that is left out. It has no null: each draw would take
            a fit.
        n: answers fitted: one of each trial, of a random task, because answers of one trial depend on each other and
            the likelihood takes them to be independent.
        interval: 95 % interval of `value` from the curvature of the likelihood.
        bound, collapse, onset: of the model; onset is a quarter of the deadline at most; collapse is per step: 0 for
            constant bounds, below 0 for growing ones. A threshold on the probability of being right is a growing bound
            (a sum of t samples counts by its ratio to sqrt(t)).
        errors: standard errors of gain, bound, collapse and onset (NaN for one at an end of its range, and for an onset
            that is a whole number: the likelihood has a kink there, and no curvature).
        log_likelihood: of the answers, in nat.
        undecided: share of the answers without a bound reached, in the data: those at the deadline, where many agents
            answer regardless of the evidence, and tasks left open.
        model_undecided: the same in the model.
        bin_x, bin_steps, bin_accuracy, bin_n: of bins of |x| with equal mass: mean |x|, mean step and share of right
            ones among the answers before the deadline, and their number.
        model_steps, model_accuracy: of the model in the same bins.
        unit: of distances.
        deadline: the most stimulus steps a trial has.
    """

    interval: tuple[float, float]
    bound: float
    collapse: float
    onset: float
    errors: Float[np.ndarray, " 4"]
    log_likelihood: float
    undecided: float
    model_undecided: float
    bin_x: Float[np.ndarray, " B"]
    bin_steps: Float[np.ndarray, " B"]
    bin_accuracy: Float[np.ndarray, " B"]
    bin_n: Int[np.ndarray, " B"]
    model_steps: Float[np.ndarray, " B"]
    model_accuracy: Float[np.ndarray, " B"]
    unit: str
    deadline: int


def drift_diffusion(
    answers: Int8[np.ndarray, "N A"],
    labels: Int8[np.ndarray, "N A"],
    response_steps: Int[np.ndarray, "N A"],
    trials: Trials,
    rng: np.random.Generator,
    *,
    changing: bool = True,
    n_bins: int = 12,
) -> DriftDiffusion:
    """Fits a drift-diffusion model by maximum likelihood; see `DriftDiffusion`; inputs: `mtrnn_analysis.behavior`.

    The model is computed at the mean |x| of each bin of answers (see `walk`), of which 2000 at most are fitted.

    Arguments:
        changing: whether bounds may change with time; False for constant ones.
        n_bins: of |x|.

    Raises:
        ValueError: if an argument is out of its range, fewer than 50 answers come before the deadline, or the model
            does not hold in the task: fixed durations, stimuli of drawn length, a common stop of several tasks,
            correlated noise, no noise, or boundaries that are not linear.
    """
    task = trials.task
    _check_model(task)
    if not isinstance(task.stimulus, int):
        raise ValueError(f"stimulus={task.stimulus!r} is drawn per trial; one deadline for all is needed")
    check_int("n_bins", n_bins, 2)
    check_answers(answers, labels=labels, response_steps=response_steps, trials=trials.latents)
    deadline = task.stimulus
    distance = distances(task, trials.latents, trials.context)
    rows = np.sort(rng.permutation(len(answers))[:N_MOST])
    column = rng.integers(0, answers.shape[1], len(rows))
    x = np.abs(distance.values)[rows, column]
    steps = steps_taken(response_steps, trials)[rows, column]
    right = (answers == labels)[rows, column]
    early = (answers[rows, column] != 0) & (steps < deadline)
    if np.count_nonzero(early) < LEAST:
        raise ValueError(f"answers has {np.count_nonzero(early)} given before the deadline; {LEAST} or more are needed")
    bins = equal_mass(x, n_bins)
    n_bins = int(bins.max()) + 1
    bin_x = bin_means(bins, x, n_bins)
    # Answers of each bin by step, right ones and wrong ones; the rest is undecided.
    counts = np.zeros((n_bins, 2, deadline - 1))
    np.add.at(counts, (bins[early], 1 - right[early].astype(int), steps[early] - 1), 1)
    rest = np.bincount(bins[~early], minlength=n_bins)

    # The crossings do not depend on the onset, so that derivatives by it cost nothing.
    crossed = lru_cache(4)(lambda gain, bound, collapse: crossings(bin_x, gain, bound, collapse, deadline - 1))

    def cost(parameters: np.ndarray) -> float:
        *walked, onset = parameters.tolist()
        p, undecided = delayed(crossed(*walked), onset)
        return -float(np.sum(counts * np.log(p + FLOOR)) + rest @ np.log(undecided + FLOOR))

    fitted, log_likelihood, errors = _maximum(cost, deadline, changing)
    p, undecided = walk(bin_x, *fitted.tolist(), n_steps=deadline - 1)
    given = p.sum(axis=(1, 2))
    n_early = counts.sum(axis=(1, 2))
    at = np.arange(1, deadline)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = counts.sum(axis=1) @ at / n_early, counts[:, 0].sum(axis=1) / n_early
    gain, bound, collapse, onset = (float(v) for v in fitted)
    return DriftDiffusion(
        value=gain,
        n=len(rows),
        settings={"changing": changing, "n_most": N_MOST, "n_bins": n_bins},
        interval=(gain - 1.96 * float(errors[0]), gain + 1.96 * float(errors[0])),
        bound=bound,
        collapse=collapse,
        onset=onset,
        errors=errors,
        log_likelihood=log_likelihood,
        undecided=float(1 - early.mean()),
        model_undecided=float(undecided @ np.bincount(bins) / len(bins)),
        bin_x=bin_x,
        bin_steps=shares[0],
        bin_accuracy=shares[1],
        bin_n=n_early.astype(np.int64),
        model_steps=p.sum(axis=1) @ at / given,
        model_accuracy=p[:, 0].sum(axis=1) / given,
        unit=distance.unit,
        deadline=deadline,
    )


def walk(
    x: Float[np.ndarray, " B"], gain: float, bound: float, collapse: float, onset: float, n_steps: int
) -> tuple[Float[np.ndarray, "B 2 S"], Float[np.ndarray, " B"]]:
    """P(right, or wrong, at each of the steps 1 ... S), and P(neither), in the model at distances `x`."""
    return delayed(crossings(x, gain, bound, collapse, n_steps), onset)


def crossings(
    x: Float[np.ndarray, " B"], gain: float, bound: float, collapse: float, n_steps: int
) -> Float[np.ndarray, "B 2 S"]:
    """P(the upper, or the lower, bound is first reached at each of the steps 1 ... S).

    The density of sums that have not reached a bound is carried from step to step at the nodes of a Gauss-Legendre
    quadrature between the bounds: f_t+1(b) = sum over nodes of w f_t(a) phi(b - a - gain x). The mass beyond them is a
    sum of normal distribution functions. Exact to rounding, as the integrands are smooth.
    """
    drift, at = gain * x[:, None], np.arange(1, n_steps + 1)
    bounds = bound * np.exp(-collapse * at)
    nodes, weights = np.polynomial.legendre.leggauss(int(np.clip(24 + 5 * bounds.max(), 32, 400)))
    here, mass = np.zeros(1), np.ones((len(x), 1))
    crossed = np.empty((len(x), 2, n_steps))
    kernel, last = np.empty(0), -1.0
    for t, edge in enumerate(bounds):
        there = edge * nodes
        crossed[:, 0, t] = np.sum(mass * ndtr(here + drift - edge), axis=1)
        crossed[:, 1, t] = np.sum(mass * ndtr(-here - drift - edge), axis=1)
        if t < 2 or edge != last:  # with constant bounds it stays the same
            off = there - here[:, None] - drift[:, :, None]
            kernel = np.exp(-0.5 * off**2) * (edge * weights / np.sqrt(2 * np.pi))
        mass, here, last = np.einsum("ba,bac->bc", mass, kernel), there, float(edge)
    return crossed


def delayed(
    crossed: Float[np.ndarray, "B 2 S"], onset: float
) -> tuple[Float[np.ndarray, "B 2 S"], Float[np.ndarray, " B"]]:
    """P(answer at each step), and P(none), `onset` steps after the crossings; a mixture between whole steps."""
    n_steps = crossed.shape[2]
    total = np.concatenate([np.zeros((len(crossed), 2, 1)), np.cumsum(crossed, axis=2)], axis=2)
    place = np.clip(np.arange(n_steps + 1) - onset, 0, None)
    low = place.astype(np.int64)
    shifted = total[..., low] + (place - low) * (total[..., np.minimum(low + 1, n_steps)] - total[..., low])
    out = np.diff(shifted, axis=2)
    return out, np.maximum(1 - out.sum(axis=(1, 2)), 0)


def _maximum(
    cost: Callable[[np.ndarray], float], deadline: int, changing: bool
) -> tuple[Float[np.ndarray, " 4"], float, Float[np.ndarray, " 4"]]:
    """The parameters of greatest likelihood, its logarithm, and their standard errors from its curvature."""
    scale = np.array([1.0, np.sqrt(deadline), 1 / deadline, 1.0])
    low = np.array([0.0, 0.05, -2.0 if changing else 0.0, 0.0])
    high = np.array([20.0, 5.0, 20.0 if changing else 0.0, deadline / 4])
    start = np.array([0.9, 0.7, 0.05 if changing else 0.0, 0.0])

    def between(onset: float, start: np.ndarray, tolerance: float) -> OptimizeResult:
        """The optimum with an onset between this whole number and the next, where the likelihood is smooth."""
        ends = np.append(low[:3], onset), np.append(high[:3], min(onset + 1, high[3]))
        begin, bounds = np.clip(start, *ends), list(zip(*ends, strict=True))
        options = {"maxiter": 100, "ftol": tolerance}
        return minimize(lambda z: cost(z * scale), begin, method="L-BFGS-B", bounds=bounds, options=options)

    # The likelihood has a kink at every whole onset, at which a search from one side stops. So each interval is
    # searched by itself, coarsely, until two are worse than the best.
    tried: list[OptimizeResult] = []
    best = 0
    for onset in range(int(np.ceil(high[3]))):
        tried.append(between(onset, np.append(start[:3], onset + 0.2), 1e-6))
        best = int(np.argmin([found.fun for found in tried]))
        if onset - best >= 2:
            break
    found = between(best, tried[best].x, 1e-10)
    z, step = found.x, 1e-3
    inside = (z > low + step) & (z < high - step)
    inside[3] &= abs(z[3] - round(z[3])) > step
    free = np.flatnonzero(inside)
    errors = np.full(4, np.nan)
    if len(free):
        moves = step * np.eye(4)[free]
        at = [
            [cost((z + a * p + b * q) * scale) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            for i, p in enumerate(moves)
            for q in moves[: i + 1]
        ]
        curvature = np.zeros((len(free), len(free)))
        curvature[np.tril_indices(len(free))] = [(a - b - c + d) / (4 * step**2) for a, b, c, d in at]
        curvature += np.tril(curvature, -1).T
        with np.errstate(invalid="ignore"):
            errors[free] = np.sqrt(np.diag(np.linalg.pinv(curvature)))
    return z * scale, -float(found.fun), errors * scale


def _check_model(task: EvidenceTask) -> None:
    """Raises `ValueError` where the model does not hold."""
    check_reaction_time(task)
    if task.commit == "common" and task.n_answers > 1:
        raise ValueError(
            f"commit='common' stops {task.n_answers} tasks at once, when not each of them has reached a bound; use "
            "commit='each', with which tasks stop separately"
        )
    if task.noise != "gaussian":
        raise ValueError(f"noise={task.noise!r}: the model adds up Gaussian noise, noise='gaussian'")
    if task.autocorrelation:
        raise ValueError(
            f"autocorrelation={task.autocorrelation!r} makes the noise of a sample depend on the one before; the model "
            "adds up independent ones, autocorrelation=0"
        )
    if not isinstance(task.boundary, Linear) or min(task.sigmas) == 0:
        raise ValueError(
            f"boundaries={task.boundaries!r} with sigma={task.sigma!r}: the drift is in standard deviations of one "
            "sample along the normal of a boundary; linear boundaries and sigma > 0 are needed"
        )
