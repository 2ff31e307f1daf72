"""The accuracy of the ideal observer after the whole stimulus, exactly or as an average over drawn trials."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from mtrnn_envs.components import rewards
from mtrnn_envs.components.boundaries import Boundary, Linear
from mtrnn_envs.components.boundaries.base import HALF
from mtrnn_envs.components.latents import PRIOR_VARIANCE, draw_latents
from mtrnn_envs.ideal_observer.label_probabilities import grid_answers, panels
from mtrnn_envs.ideal_observer.one_latent import marginal, moments, standard_errors
from mtrnn_envs.ideal_observer.posterior import (
    N_POINTS,
    N_WEIGHTED,
    answer_probabilities,
    flat_prior,
    is_exact,
    posterior,
)
from mtrnn_envs.reward import expected_rewards
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.task import EvidenceTask

MAX_TRIALS = 4096  # trials of a Monte Carlo average
BUDGET = 2**25  # evaluations of the posterior in a Monte Carlo average
MAX_GRID = 420  # statistics on a side of the grid of an exact average
MAX_LENGTHS = 32  # stimulus lengths that an exact average is taken over
MAX_EXACT_TASKS = 500


class Distinct(NamedTuple):
    """The tasks that differ after mirror images and (with the same noise in both streams) swaps of the latents.

    Attributes:
        boundary: of the tasks that differ, U of them.
        index: which of them each task is, `[K]`.
        flips: by which signs the statistic of each task is multiplied to read it off its representative, `[K, D]`.
        swap: whether its two latents are exchanged after that, `[K]`.
    """

    boundary: Boundary
    index: np.ndarray  # pyright: ignore[reportIncompatibleMethodOverride]
    flips: np.ndarray
    swap: np.ndarray


def distinct_tasks(task: EvidenceTask) -> Distinct:
    """Linear boundaries under symmetric noise and rewards have symmetric problems: each is solved once."""
    boundary, k = task.boundary, task.n_tasks
    if not isinstance(boundary, Linear) or not (task.noise_kind.symmetric and _labels_alike(task)):
        return Distinct(boundary, np.arange(k), np.ones((k, task.n_dims)), np.zeros(k, bool))
    # Mirrored so that the normal points into the positive orthant and the offset is positive; labels may change sign.
    sign = np.where(boundary.offsets < 0, -1.0, 1.0)
    flips = np.where(boundary.normals * sign[:, None] < 0, -1.0, 1.0)
    normals = np.abs(boundary.normals)
    swap = np.zeros(k, bool)
    if task.n_dims == 2 and task.sigmas[0] == task.sigmas[1]:
        swap = normals[:, 0] > normals[:, 1] + 1e-12
        normals = np.where(swap[:, None], normals[:, ::-1], normals)
    offsets = np.abs(boundary.offsets)
    key = np.round(np.column_stack([normals, offsets]), 10) + 0.0
    _, first, index = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return Distinct(Linear(normals[first], offsets[first]), index.reshape(-1), flips, swap)


def _labels_alike(task: EvidenceTask) -> bool:
    """Whether both labels have the same rewards, for right answers and for wrong ones."""
    minus, plus = task.reward_table[:, 1:]
    return np.allclose(minus, plus[::-1])


def stimulus_lengths(task: EvidenceTask) -> range:
    """The numbers of samples that a trial may have, all equally likely."""
    return range(task.shortest.stimulus, task.longest.stimulus + 1)


def statistic_grid(task: EvidenceTask, d: int, n_samples: int, per_error: float, least: int) -> Float[np.ndarray, " G"]:
    """An even grid over all likely values of the statistic m of latent `d`, `per_error` points a standard error."""
    s = standard_errors(task, n_samples)[d]
    reach = HALF + task.noise_kind.reach * s
    return np.linspace(-reach, reach, max(least, int(np.ceil(2 * reach / s * per_error)) | 1))


def grid_mass(task: EvidenceTask, grids: list[np.ndarray], n_samples: int) -> list[np.ndarray]:
    """The probability of each value of the statistic of each latent, before anything is seen; adds up to 1."""
    masses = [np.exp(marginal(task, d, grid, n_samples).log_mass()) for d, grid in enumerate(grids)]
    return [mass / mass.sum() for mass in masses]


def fixed_duration(task: EvidenceTask) -> dict[str, Any]:
    """The fields of `IdealPerformance` that do not concern stopping."""
    lengths = stimulus_lengths(task)
    exact = (
        is_exact(task)
        and task.n_dims <= 2
        and task.n_tasks <= MAX_EXACT_TASKS
        and len(lengths) <= MAX_LENGTHS
        and (2 * HALF / standard_errors(task, lengths[-1]) * 5.7 + 70).max() <= MAX_GRID
    )
    found = _exact(task) if exact else _over_trials(task)
    if task.reward_rule.reward is rewards.right:  # the same number, to the last bit
        found["value"] = found["accuracy"]
    if flat_prior(task):
        shown = np.unique(np.linspace(lengths[0], lengths[-1], min(len(lengths), 1000)).astype(int))
        error = np.mean([posterior_error(task, int(n)) for n in shown])
        found["r2_prior"], found["standard_errors"]["r2_prior"] = 1 - error / PRIOR_VARIANCE, 0.0
    found["r2_prior_affine"] = 1 - _affine_error(task) / PRIOR_VARIANCE
    if task.latent_correlation:
        found["method"] += f"; prior with latent_correlation={task.latent_correlation!r}"
    if task.excluded_orthants:
        found["method"] += f"; prior without the excluded orthants {', '.join(task.excluded_orthants)}"
    return {name: float(v) if isinstance(v, np.floating) else v for name, v in found.items()}


def posterior_error(task: EvidenceTask, n_samples: int) -> float:
    """The mean variance of the posterior under a flat prior, mean over latents: by quadrature over the statistic."""
    total = 0.0
    for d, s in enumerate(standard_errors(task, n_samples)):
        # Its density has an edge at either end of the box, as wide as the noise, and is flat between.
        width = task.noise_kind.edge * s
        edges = np.array([-HALF - width, min(width - HALF, 0), max(HALF - width, 0), HALF + width])
        m, w = panels(edges, 160)
        post = marginal(task, d, m, n_samples)
        w = w * np.exp(post.log_mass())
        total += np.sum(w * moments(post)[1]) / np.sum(w)
    return total / task.n_dims


def _exact(task: EvidenceTask) -> dict[str, Any]:
    """D <= 2: an average over a fine grid of statistics, weighted by their probability."""
    distinct, lengths = distinct_tasks(task), stimulus_lengths(task)
    accuracy, entropy, value = 0.0, 0.0, 0.0
    for n in lengths:
        # Grids of unlike spacing: accuracy has a kink where p = 1/2, which must not run along the points of the grid.
        density = (5.0, 5.7) if task.n_dims == 2 else (50.0,)
        grids = [statistic_grid(task, d, n, density[d], 121 + 16 * d) for d in range(task.n_dims)]
        masses = grid_mass(task, grids, n)
        p = grid_answers(task, distinct.boundary, grids, n)
        mass = masses[0][:, None] * (masses[1] if task.n_dims == 2 else np.ones(1))
        accuracy = accuracy + np.sum(mass * np.maximum(p, 1 - p), axis=(1, 2)) / len(lengths)
        entropy = entropy + np.sum(mass * binary_entropy(p), axis=(1, 2)) / len(lengths)
        value = value + np.sum(mass * expected_rewards(task, p)[0], axis=(1, 2)) / len(lengths)
    accuracies = np.asarray(accuracy)[distinct.index]
    return {
        "accuracy": accuracies.mean(),
        "task_accuracies": accuracies,
        "cross_entropy": np.asarray(entropy)[distinct.index].mean(),
        "value": np.asarray(value)[distinct.index].mean(),
        "standard_errors": {"accuracy": 0.0, "cross_entropy": 0.0},
        "method": "exact (quadrature)",
    }


def _over_trials(task: EvidenceTask) -> dict[str, Any]:
    """Any task: an average over drawn trials of the accuracy and entropy that each posterior implies."""
    smooth = is_exact(task)
    points = (96 if task.n_dims == 2 else N_POINTS) if smooth else N_WEIGHTED
    budget = BUDGET // task.noise_kind.cost
    n = int(np.clip(budget // (points * (task.n_tasks + task.n_dims)), 64, MAX_TRIALS))
    mean, counts = draw_statistics(task, n, generator(0, "ideal"))
    p = answer_probabilities(task, mean, counts)
    right, entropy = np.maximum(p, 1 - p), binary_entropy(p).mean(axis=1)
    method = (
        "answers exact (quadrature)" if smooth and task.n_dims <= 2 else f"quasi-Monte Carlo answers, {points} points"
    )
    found = {
        "accuracy": right.mean(),
        "task_accuracies": right.mean(axis=0),
        "cross_entropy": entropy.mean(),
        "value": expected_rewards(task, p)[0].mean(),
        "standard_errors": {"accuracy": _error(right.mean(axis=1)), "cross_entropy": _error(entropy)},
        "method": f"{method}; averages over {n} drawn trials",
    }
    if not flat_prior(task):
        variance = posterior(task, mean, counts)[1].mean(axis=1) / PRIOR_VARIANCE
        found["r2_prior"] = 1 - variance.mean()
        found["standard_errors"]["r2_prior"] = _error(variance)
    return found


def draw_statistics(task: EvidenceTask, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The statistic after the whole stimulus of `n` trials, `[N, D]`, and their samples, `[N]`: its exact law."""
    lengths = stimulus_lengths(task)
    latents = np.empty((n, task.n_dims))
    draw_latents(task.latent_correlation, task.excluded_orthants, latents, rng)
    counts = rng.integers(lengths[0], lengths[-1] + 1, n)
    return task.noise_kind.draw_statistic(latents, counts, np.asarray(task.sigmas), rng), counts


def _affine_error(task: EvidenceTask) -> float:
    """The error of the best affine decoder of the sample mean: trace of C - C (C + S)⁻¹ C over D, S that of the noise.

    C, the covariance of the prior, is I/12 for a flat one, and else that of 2**17 drawn latents.
    """
    covariance = np.eye(task.n_dims) * PRIOR_VARIANCE
    if not flat_prior(task):
        latents = np.empty((2**17 // max(1, task.n_dims // 16), task.n_dims))
        draw_latents(task.latent_correlation, task.excluded_orthants, latents, generator(1, "ideal"))
        covariance = np.atleast_2d(np.cov(latents.T))
    lengths = stimulus_lengths(task)
    shown = np.unique(np.linspace(lengths[0], lengths[-1], min(len(lengths), 100)).astype(int))
    noise = [np.diag(standard_errors(task, n) ** 2) for n in shown]
    left = [np.trace(covariance - covariance @ np.linalg.solve(covariance + s, covariance)) for s in noise]
    return float(np.mean(left)) / task.n_dims


def binary_entropy(p: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N"]:
    """-p ln p - (1 - p) ln (1 - p), in nat."""
    return special.entr(p) + special.entr(1 - p)


def _error(values: Float[np.ndarray, " N"]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
