"""Shared by the probes of behaviour and confidence: distances from the boundaries, the ideal observer, the best policy.

Axis letters: N trials, M the first trials, those for which the ideal observer is computed; A answers, D latents, S
stimulus steps, K tasks, R draws, B bins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int8, Num, Shaped
from scipy.stats import binned_statistic

from mtrnn_analysis.nulls import permutations_within
from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.ideal_observer.posterior import answer_probabilities, check_ideal, is_exact, running_means
from mtrnn_envs.ideal_observer.stopping import solve
from mtrnn_envs.reward import best_options, choices

LEAST = 50  # answers that a probe needs
# Statistics for which the ideal observer's answers are computed: where they are a quadrature, and where they are not.
MOST_EXACT, MOST_SAMPLED = 4000, 500
N_NODES = 32  # of the quadrature in the plane: right to 1e-6 or better at the defaults


class Distances(NamedTuple):
    """Distances of x* from the boundaries.

    Attributes:
        values: signed, positive where the label is +1, `[N, A]`, in the unit below.
        unit: "noise of one sample" for linear boundaries: the distance (c_k · x* - b_k) in standard deviations of one
            sample along the normal, |sigma * c_k|. "sd of the margin" for others, whose margins are not distances: in
            standard deviations of the task's own margin over trials.
    """

    values: Float[np.ndarray, "N A"]
    unit: str


def distances(
    task: EvidenceTask, latents: Float[np.ndarray, "N D"], context: Int[np.ndarray, " N"] | None = None
) -> Distances:
    """The signed distances of x* from the boundaries of the queried tasks; see `Distances`. Raises `ValueError` if
    latents are not finite, or a margin is the same on all trials.
    """
    if not np.isfinite(latents).all():
        raise ValueError(f"latents has {np.count_nonzero(~np.isfinite(latents))} values that are not finite")
    margins = np.asarray(task.boundary.margins(latents.astype(float)), float)
    unit, scales = "sd of the margin", margins.std(axis=0)
    if isinstance(task.boundary, Linear) and min(task.sigmas) > 0:
        unit, scales = "noise of one sample", np.linalg.norm(task.boundary.normals * task.sigmas, axis=1)
    if not scales.all():
        raise ValueError(f"latents have the same margin from boundary {int(np.argmin(scales))} on all trials")
    values = margins / scales
    return Distances(values if context is None else values[np.arange(len(values)), context][:, None], unit)


def check_answers(answers: Int8[np.ndarray, "N A"], **others: np.ndarray | None) -> None:
    """Raises `ValueError` for fewer than 50 answers, or if another array has another number of trials."""
    for name, values in others.items():
        if values is not None and len(values) != len(answers):
            raise ValueError(f"{name} has {len(values)} trials, answers {len(answers)}; they must be the same")
    if (given := np.count_nonzero(answers)) < LEAST:
        raise ValueError(f"answers has {given} answers given; {LEAST} or more are needed")


def check_reaction_time(task: EvidenceTask) -> None:
    """Raises `ValueError` if the agent does not decide when to answer."""
    if not task.reaction_time:
        raise ValueError(
            f"task has payoff={task.payoff!r} of fixed duration: all answers are given at the same time; use a "
            "reaction-time task, which has response steps"
        )


def steps_taken(response_steps: Int[np.ndarray, "N A"], trials: Trials) -> Int[np.ndarray, "N A"]:
    """The stimulus observations before each answer; all of the trial's where none was given, and in fixed durations."""
    all_seen = np.broadcast_to(np.asarray(trials.n_samples).reshape(-1, 1), response_steps.shape)
    if not trials.task.reaction_time:
        return all_seen.astype(np.int64)
    return np.where(response_steps > 0, response_steps, all_seen).astype(np.int64)


def ideal_at(trials: Trials, steps: Int[np.ndarray, "N A"]) -> Float[np.ndarray, "M A"]:
    """The ideal observer's P(label = +1) of each queried task, after the first `steps` samples of the trial.

    For the first M trials only: as many as have 4000 different pairs of trial and step (500 where the ideal observer is
    not a quadrature: see the table in `mtrnn_envs.ideal_observer`), and one at least. Raises `ValueError` if the task's
    ideal observer cannot be computed.
    """
    task = trials.task
    check_ideal(task)
    exact = task.n_dims <= 2 and is_exact(task)
    new = np.ones(steps.shape, bool)
    ordered = np.sort(steps, axis=1)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    n_rows = np.cumsum(new.sum(axis=1))
    n = max(1, int(np.searchsorted(n_rows, MOST_EXACT if exact else MOST_SAMPLED, side="right")))
    means = running_means(trials[:n])
    answered = np.zeros((n, means.shape[1]), bool)
    answered[np.arange(n)[:, None], steps[:n] - 1] = True
    trial, step = np.nonzero(answered)
    p = answer_probabilities(task, means[trial, step], step + 1, N_NODES if exact and task.n_dims == 2 else None)
    row = np.zeros((n, means.shape[1]), np.int64)
    row[trial, step] = np.arange(len(trial))
    columns = np.arange(task.n_tasks)[None] if trials.context is None else trials.context[:n, None]
    return p[row[np.arange(n)[:, None], steps[:n] - 1], columns]


class Run(NamedTuple):
    """Answers of the best policy (`mtrnn_envs.ideal_observer.stopping`) on the first trials.

    Attributes:
        answers: +1, -1, or 0 where it leaves the task open, `[M, A]`.
        steps: the stimulus observation answered to; the last one where it does not, `[M, A]`.
        probabilities: the ideal observer's P(label = +1) after every step, `[S, M, A]`.
        method: of finding the policy; "lower bound ..." is not the best one.
    """

    answers: Int8[np.ndarray, "M A"]
    steps: Int[np.ndarray, "M A"]
    probabilities: Float[np.ndarray, "S M A"]
    method: str


def optimal_run(trials: Trials) -> Run:
    """Runs the best policy on `trials` of a reaction-time task. Raises `ValueError` if the policy cannot be computed
    (see `mtrnn_envs.ideal_observer.stopping.solve`).
    """
    task, n = trials.task, len(trials)
    best = solve(task)
    exact = task.n_dims == 2 and is_exact(task)
    means, length = running_means(trials), np.broadcast_to(np.asarray(trials.n_samples), n)
    rows = np.arange(n)
    steps, level = (np.zeros((n, task.n_answers), np.int64) for _ in range(2))
    probabilities = np.empty((means.shape[1], n, task.n_answers))
    for t in range(1, means.shape[1] + 1):
        p = answer_probabilities(task, means[:, t - 1], t, N_NODES if exact else None)
        stop = best.policy(means[:, t - 1], t, p)
        if stop.ndim == 1:
            stop = np.broadcast_to(stop[:, None], p.shape)
        if trials.context is not None:
            p, stop = p[rows, trials.context][:, None], stop[rows, trials.context][:, None]
        probabilities[t - 1] = p
        now = stop & (steps == 0) & (length >= t)[:, None]
        steps[now], level[now] = t, best_options(task, p)[now]
    return Run(choices(task, level), steps_taken(steps, trials), probabilities, best.method)


def equal_mass(values: Num[np.ndarray, "*N"], n_bins: int) -> Int[np.ndarray, "*N"]:
    """The bin of each value, from 0, in rising order: bins of equal mass, as far as equal values allow."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)[1].reshape(values.shape)


def bin_means(bins: Int[np.ndarray, "*N"], values: Shaped[np.ndarray, "*N"], n_bins: int) -> Float[np.ndarray, " B"]:
    """The mean of the values in each bin; NaN in an empty one."""
    edges: Any = np.arange(n_bins + 1) - 0.5
    return binned_statistic(bins.ravel(), values.ravel().astype(float), "mean", edges).statistic


def resampled(n: int, n_draws: int, rng: np.random.Generator) -> Float[np.ndarray, "R N"]:
    """How often each of `n` trials occurs in each of `n_draws` bootstrap samples. Trials are drawn and not answers: the
    answers of one trial rest on the same evidence.
    """
    return rng.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(float)


def shuffles(
    n: int, context: Int[np.ndarray, " N"] | None, n_draws: int, rng: np.random.Generator
) -> Int[np.ndarray, "R N"]:
    """Random orders of whole trials; of cued trials, among those with the same cue."""
    return permutations_within(np.zeros(n, np.int64) if context is None else context.astype(np.int64), n_draws, rng)


def interval(values: Float[np.ndarray, " R"]) -> tuple[float, float]:
    """The middle 95 % of bootstrap values; NaN without any."""
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
