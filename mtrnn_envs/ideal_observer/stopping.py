"""When to answer: the best trade of accuracy against time in reaction-time tasks, and the policy that reaches it.

Evidence leads to a statistic m after t samples, and (t, m) is all there is to know. Waiting one step costs time and
leads to m' with, per latent, p(m' | m) = N(m'; m, sigma² / (t (t + 1))) Z(m', s_{t+1}) / Z(m, s_t), where Z(m, s) is
the mass that N(m, s²) puts on [-1/2, 1/2] and s_t = sigma / sqrt(t). Backward induction on

    V_t(m) = max(expected reward of the best answer now, alive_t (E[V_{t+1}(m')] - cost)),

with 0 for not answering at the deadline, is exact up to the grid of m. Rewards add over tasks, so with one stop per
task it separates into one problem per task; with one common stop, the reward is the mean over tasks. alive_t is the
probability that the stimulus goes on (below 1 where its length is drawn per trial). Where (t, m) is not enough or too
large a space, the best of a family of policies gives a lower bound, and says so.

Tajima, Drugowitsch & Pouget 2016 (doi:10.1038/ncomms12400) describe the method for decisions between values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from mtrnn_envs.ideal_observer.expected_accuracy import Distinct, distinct_tasks, grid_mass, stimulus_lengths
from mtrnn_envs.ideal_observer.label_probabilities import grid_answers
from mtrnn_envs.ideal_observer.posterior import answer_probabilities, check_ideal, is_exact, running_means
from mtrnn_envs.ideal_observer.stopping_grid import mean_over_tasks, spacing, time_grid, transition
from mtrnn_envs.reward import best_options, expected_rewards
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import sample

# From the statistic, the step, and P(label = +1) or None, to whether to answer.
Rule: TypeAlias = Callable[[np.ndarray, int, np.ndarray | None], np.ndarray]

MAX_WORK = 1e11  # multiplications of a dynamic program
BOUND_POINTS = 64  # quasi-random points (32 nodes for D = 2) of the answers in a lower bound
BOUND_WORK = 2**26  # evaluations of the posterior in a lower bound


@dataclass(frozen=True, eq=False)
class Stopping:
    """A policy of when to answer, and its expected reward.

    Attributes:
        value: expected reward of a trial: the mean reward of the answers, less time_cost for every stimulus step seen.
        response_step: mean stimulus observation answered to, counted from 1; the last one if none was. The best policy
            is hardly better than its neighbours, so that the grid leaves this less certain than `value`: 1% at most.
        accuracy: share of right answers at the response step, over all tasks: tasks left open count with the answer
            that they would have been given.
        accuracy_answered: share of right ones among the answers that are given.
        answered: share of the tasks that are answered: at the deadline, silence may be better than an answer.
        method: "dynamic programming ..." (the best there is, up to the grid), or "lower bound ...".
        standard_error: of `value`, where drawn trials were used; else 0.
    """

    value: float
    response_step: float
    accuracy: float
    accuracy_answered: float
    answered: float
    method: str
    standard_error: float
    _rule: Rule

    def policy(
        self, mean: Float[np.ndarray, "N D"], t: int, p: Float[np.ndarray, "N K"] | None = None
    ) -> Bool[np.ndarray, "*N"]:
        """Whether to answer now, after `t` samples with sufficient statistic `mean`.

        `p` is P(label = +1) of every task given `mean`; where it is not given it is computed, which takes most of the
        time. `[N, K]` with one stop per task, `[N]` with one common stop. What to answer is `best_options`.
        """
        return self._rule(np.asarray(mean, float), t, p)


@lru_cache(maxsize=16)
def solve(task: EvidenceTask) -> Stopping:
    """The best policy of a reaction-time task by dynamic programming, or a lower bound (see `Stopping.method`).

    Dynamic programming: D <= 2, Gaussian noise without autocorrelation, flat prior, boundaries that are not the
    user's own, and a grid that is fine enough. Else, the best thresholds on the expected reward of the ideal answer.

    Raises:
        ValueError: if the task is not a reaction-time task, has `encoder_noise`, or is too large for a lower bound.
    """
    check_ideal(task)
    if not task.reaction_time:
        raise ValueError(
            f"payoff={task.payoff!r} has a fixed duration; stopping needs 'quadratic', 'log' or 'accuracy'"
        )
    if task.n_dims <= 2 and task.noise_kind.gaussian_steps and is_exact(task):
        distinct, deadline = distinct_tasks(task), stimulus_lengths(task)[-1]
        n_grid = max(len(time_grid(task, d, deadline)) for d in range(task.n_dims))
        fine = max(spacing(task, d, deadline) for d in range(task.n_dims)) < 0.7
        n_problems = 1 if _common(task) else len(np.unique(distinct.index))
        work = 4.0 * n_problems * deadline * n_grid ** (task.n_dims + 1)
        if fine and work <= MAX_WORK and task.n_tasks * deadline <= 2e4:
            return _dynamic_programming(task, distinct)
    return _thresholds(task)


def alive(task: EvidenceTask, t: int) -> float:
    """The probability that a stimulus that has lasted `t` steps has one more."""
    lengths = stimulus_lengths(task)
    return 0.0 if t >= lengths[-1] else min(1.0, 1 - 1 / (lengths[-1] - t + 1)) if t >= lengths[0] else 1.0


def _common(task: EvidenceTask) -> bool:
    """Whether one stop is shared by several answers."""
    return task.commit == "common" and task.cueing == "all"


def _dynamic_programming(task: EvidenceTask, distinct: Distinct) -> Stopping:
    deadline, common = stimulus_lengths(task)[-1], _common(task)
    one = [np.zeros(1)] if task.n_dims == 1 else []
    grids = [[time_grid(task, d, t) for d in range(task.n_dims)] for t in range(1, deadline + 1)]
    weights = np.bincount(distinct.index) / task.n_tasks
    moves: list[list[np.ndarray]] = []
    waits: list[np.ndarray] = []
    stops: list[tuple[np.ndarray, np.ndarray]] = []
    value = np.empty(0)
    for t in range(deadline, 0, -1):
        reward, right = expected_rewards(task, grid_answers(task, distinct.boundary, grids[t - 1], t))
        if common:
            reward, right = (mean_over_tasks(v, distinct) for v in (reward, right))
        wait = np.zeros(reward.shape)
        if t < deadline:
            steps = [transition(task, d, t, grids[t - 1][d], grids[t][d]) for d in range(task.n_dims)]
            moves.insert(0, steps + [np.ones((1, 1)) for _ in one])
            wait = alive(task, t) * (moves[0][0] @ value @ moves[0][1].T - task.time_cost)
        waits.insert(0, wait)
        stops.insert(0, (reward > wait, right))
        value = np.maximum(reward, wait)
    # Forwards from the first sample: how often, when and how rightly is answered.
    first = [*grid_mass(task, grids[0], 1), *[np.ones(1) for _ in one]]
    mass = np.broadcast_to(first[0][:, None] * first[1], value.shape)
    best = np.sum(mass * value, axis=(1, 2)) - task.time_cost
    steps_taken, hits, guesses, answered = (np.zeros(len(value)) for _ in range(4))
    for t, (stop, right) in enumerate(stops, start=1):
        stopped = np.where(stop, mass, 0)
        ended = (1 - alive(task, t)) * (mass - stopped)
        steps_taken += t * np.sum(stopped + ended, axis=(1, 2))
        hits += np.sum(stopped * right, axis=(1, 2))
        guesses += np.sum(ended * right, axis=(1, 2))
        answered += np.sum(stopped, axis=(1, 2))
        if t < deadline:
            mass = moves[t - 1][0].T @ (mass - stopped - ended) @ moves[t - 1][1]
    average = (lambda v: float(v[0])) if common else (lambda v: float(v @ weights))
    size = " x ".join(str(max(len(g[d]) for g in grids)) for d in range(task.n_dims))
    return Stopping(
        average(best),
        average(steps_taken),
        average(hits + guesses),
        average(hits) / max(average(answered), 1e-12),
        average(answered),
        f"dynamic programming, grid of up to {size}",
        0.0,
        _grid_rule(task, distinct, grids, waits, common),
    )


def _grid_rule(
    task: EvidenceTask, distinct: Distinct, grids: list[list[np.ndarray]], waits: list[np.ndarray], common: bool
) -> Rule:
    """Answer where the expected reward now is above the value of waiting.

    Their difference is nearly flat where it changes sign, so that small errors move the bound far. Waiting is an
    average over what comes next, and smooth: splines go through its grid points. The reward has kinks, where another
    answer becomes the best, and is computed for each statistic.
    """
    waits = [_splines(wait) for wait in waits]

    def rule(mean: Float[np.ndarray, "N D"], t: int, p: Float[np.ndarray, "N K"] | None) -> np.ndarray:
        reward = expected_rewards(task, answer_probabilities(task, mean, t) if p is None else p)[0]
        low = np.array([g[0] for g in grids[t - 1]])
        step = np.array([g[1] - g[0] for g in grids[t - 1]])

        def wait(u: int | np.integer, m: np.ndarray) -> np.ndarray:
            place = ((m - low) / step).T
            if task.n_dims == 1:
                place = np.stack([place[0], np.zeros(len(m))])
            place = np.clip(place, 0, np.array(waits[t - 1].shape[1:])[:, None] - 1)
            return ndimage.map_coordinates(waits[t - 1][u], place, order=3, mode="mirror", prefilter=False)

        if common:
            return reward.mean(axis=1) > wait(0, mean)
        out = np.empty(reward.shape, bool)
        for k, (u, flips, swap) in enumerate(zip(distinct.index, distinct.flips, distinct.swap, strict=True)):
            mirrored = mean * flips
            out[:, k] = reward[:, k] > wait(u, mirrored[:, ::-1] if swap else mirrored)
        return out

    return rule


def _splines(values: Float[np.ndarray, "U G H"]) -> Float[np.ndarray, "U G H"]:
    """The coefficients of cubic splines through each of `values[u]`, in single precision to save memory."""
    for axis in (1, 2):
        values = ndimage.spline_filter1d(values, order=3, axis=axis)
    return values.astype(np.float32)


def _thresholds(task: EvidenceTask) -> Stopping:
    """A lower bound: answer once the ideal answer's expected reward reaches a threshold for that step.

    The thresholds are the best ones for one half of the drawn trials, found backwards from the deadline; the other
    half of the trials, with their labels, give the value.
    """
    deadline, common, n_tasks = stimulus_lengths(task)[-1], _common(task), task.n_tasks
    smooth = is_exact(task)
    n_points = 2 * BOUND_POINTS if not smooth else BOUND_POINTS // 2 if task.n_dims == 2 else BOUND_POINTS
    n = int(min(2000, BOUND_WORK // (deadline * (n_tasks + task.n_dims) * n_points))) // 2 * 2
    if n < 200:
        raise ValueError(
            f"stimulus={task.stimulus!r} with n_tasks={n_tasks} is too large for a lower bound on the best value of "
            f"stopping, which takes {deadline * n_tasks} answers a trial"
        )
    trials = sample(task, n, generator(0, "ideal"))
    means = running_means(trials)
    length = np.broadcast_to(np.asarray(trials.n_samples), n)
    p = np.stack([answer_probabilities(task, means[:, t], t + 1, n_points) for t in range(deadline)])
    expected = expected_rewards(task, p)[0]
    chosen = best_options(task, p)
    paid = task.reward_table[(trials.labels[None] > 0).astype(int), chosen]
    hit = (chosen > task.reward_table.shape[1] // 2) == (trials.labels[None] > 0)
    if common:
        expected, paid, hit = (v.mean(axis=2, keepdims=True) for v in (expected, paid, hit))
    train, test = slice(0, n // 2), slice(n // 2, n)

    thresholds = np.empty(deadline)
    later = np.zeros(expected[0, train].shape)
    for t in range(deadline, 0, -1):
        there = length[train] >= t
        wait = np.where((length[train] > t)[:, None], later - task.time_cost, 0.0)
        now = expected[t - 1, train]
        thresholds[t - 1] = _best_threshold(now[there].ravel(), wait[there].ravel())
        later = np.where(now >= thresholds[t - 1], now, wait)

    reward, taken, right = (np.zeros(paid[0, test].shape) for _ in range(3))
    still, gave = np.ones(reward.shape, bool), np.zeros(reward.shape, bool)
    for t in range(1, deadline + 1):
        there = still & (length[test] >= t)[:, None]
        taken += there
        answer = there & (expected[t - 1, test] >= thresholds[t - 1])
        reward[answer], right[there] = paid[t - 1, test][answer], hit[t - 1, test][there]
        still, gave = still & ~answer, gave | answer
    earned = (reward - task.time_cost * taken).mean(axis=1)

    def rule(mean: Float[np.ndarray, "N D"], t: int, p: Float[np.ndarray, "N K"] | None) -> np.ndarray:
        p = answer_probabilities(task, mean, t, n_points) if p is None else p
        now = expected_rewards(task, p)[0]
        return now.mean(axis=1) >= thresholds[t - 1] if common else now >= thresholds[t - 1]

    return Stopping(
        float(earned.mean()),
        float(taken.mean()),
        float(right.mean()),
        float(right[gave].mean()) if gave.any() else 0.0,
        float(gave.mean()),
        f"lower bound, best thresholds on the expected reward of the ideal answer, {n // 2} drawn trials",
        float(np.std(earned, ddof=1) / np.sqrt(len(earned))),
        rule,
    )


def _best_threshold(now: Float[np.ndarray, " M"], wait: Float[np.ndarray, " M"]) -> float:
    """The threshold on `now` with the greatest sum of `now` above it and `wait` below it."""
    order = np.argsort(now)[::-1]
    gain = np.concatenate([[0.0], np.cumsum((now - wait)[order])])
    best = int(np.argmax(gain))
    return np.inf if best == 0 else float(now[order[best - 1]])
