"""The number of answers that determine x*: the rank condition N >= D, in an agent's answers and in ideal ones.

Axis letters: N trials, K tasks, D latents, M numbers of answers used, R draws, S sets of tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from mtrnn_analysis.decoding.decoding import mean_r2, r2_prior
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import checked
from mtrnn_analysis.result import ProbeResult
from mtrnn_analysis.theory.distances import CLIP, CUT, FORMS, Lines, lines, located, samples
from mtrnn_envs.components.boundaries import random_hyperplanes
from mtrnn_envs.components.boundaries.base import HALF
from mtrnn_envs.ideal_observer.multilateration import answer_information
from mtrnn_envs.ideal_observer.one_latent import effective_samples
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.validation import check_choice, check_int

N_TRIALS = 300  # of each set of random hyperplanes


class RankCurve(NamedTuple):
    """`r2_prior` of x* from ideal answers to random hyperplanes, against their number.

    Attributes:
        n_dims: D.
        n_answers: their numbers, 1 to 2D, `[M]`.
        exact: from answers of unlimited precision: min(N, D) / D of the mean evidence's, `[M]`.
        r2: from answers clipped, quartiles over sets of hyperplanes, `[3, M]`.
    """

    n_dims: int
    n_answers: Int[np.ndarray, " M"]
    exact: Float[np.ndarray, " M"]
    r2: Float[np.ndarray, "3 M"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RankCondition(ProbeResult):
    """x* from n of an agent's answers, for n from 1 to 2D. `value` is `r2_prior` at n = D (at n = K for K < D tasks).

    Attributes:
        n_dims: D.
        rank: of all normals.
        n_answers: numbers of answers used, 1 to 2D (or K), `[M]`.
        r2: from so many of the agent's answers, quartiles over sets of tasks, `[3, M]`.
        most_below: (D - 1) / D: `r2_prior` that no linear estimate from fewer than D answers exceeds.
        exact: of ideal answers of unlimited precision to normals in general position, `[M]`: min(n, D) / D of the mean
            evidence's, whose error is the mean over trials and answers of 12 sigma² / t, t the samples of each.
        r2_ideal_answers: of ideal answers to the same tasks at the same precision, quartiles, `[3, M]`.
        singular_values: of the normals used, in falling order, medians over sets, 0 beyond the rank, `[M, D]`.
        information: eigenvalues of the Fisher information CᵀWC / s² on x* of the agent's answers, in falling order,
            averaged over trials, medians over sets; per squared unit of the latents, `[M, D]`.
        curves: of ideal answers to random hyperplanes, for several D.
    """

    n_dims: int
    rank: int
    n_answers: Int[np.ndarray, " M"]
    r2: Float[np.ndarray, "3 M"]
    most_below: float
    exact: Float[np.ndarray, " M"]
    r2_ideal_answers: Float[np.ndarray, "3 M"]
    singular_values: Float[np.ndarray, "M D"]
    information: Float[np.ndarray, "M D"]
    curves: tuple[RankCurve, ...]


def rank_condition(
    probabilities: Float[np.ndarray, "N K"],
    latents: Float[np.ndarray, "N D"],
    task: EvidenceTask,
    rng: np.random.Generator,
    response_steps: Int[np.ndarray, "N K"] | None = None,
    trials: Trials | None = None,
    *,
    n_null: int = 100,
    n_sets: int = 10,
    form: str = "bounded",
    dims: tuple[int, ...] = (2, 3, 5),
) -> RankCondition:
    """x* from n answers of an agent, n from 1 to 2D, by random sets of tasks. Inputs: see `mtrnn_analysis.theory`.

    n answers fix x* if their normals have rank D, so only for n >= D (arXiv:2407.11249). Below, directions that no
    line tells of are answered with 0, the mean of the prior, and `r2_prior` stays at or below n / D. How soon it rises
    from n = D on depends on how far the answers saturate, for known to 1e-7 only they say little of a far line, and on
    how nearly parallel the lines are: rank is needed and need not be enough.

    Null hypothesis: as that of `multilateration`: given the sides that all K answers name, their confidences say
    nothing of x*. Trials in which the same sides were named are permuted, in one draw alike for all sets of tasks, so
    that the median over sets is that of one such data set. With so many tasks that hardly any two trials share their
    sides, there is nothing to permute, and p is near 1.

    Arguments:
        n_null: draws of the null.
        n_sets: sets of tasks for each n.
        form: one of `mtrnn_analysis.theory.distances.FORMS`.
        dims: the D of `curves`, which are drawn for the noise of the task (of its first latent) and the mean of 1 / t.

    Raises:
        ValueError: if an argument is out of its range, or the task is not of that kind.
    """
    check_choice(form, FORMS, "form", "multilateration")
    check_int("n_sets", n_sets, 1)
    t = samples(task, response_steps, trials)
    given = lines(probabilities, task, t)
    z, latents = checked(given.z, latents)
    n_dims, n_tasks = latents.shape[1], z.shape[1]
    ideal = _ideal(given, latents, np.asarray(task.sigmas), rng)
    numbers = np.arange(1, min(2 * n_dims, n_tasks) + 1)
    r2, best = np.empty((2, len(numbers), n_sets))
    singular, information = np.zeros((2, len(numbers), n_sets, n_dims))
    at, null = min(n_dims, n_tasks), np.empty((n_sets, n_null))
    # One order a draw for all sets: they share trials and tasks, and separate orders would average that out.
    pattern = np.unique(z > 0, axis=0, return_inverse=True)[1].reshape(-1)
    orders = permutations_within(pattern, n_null, rng)
    for i, n in enumerate(numbers):
        for j in range(n_sets):
            tasks = np.sort(rng.permutation(n_tasks)[:n])
            some = given.of(tasks)
            estimates = located(some, form, CUT)
            r2[i, j] = r2_prior(latents, estimates)
            best[i, j] = r2_prior(latents, located(ideal.of(tasks), form, CUT))
            singular[i, j, : min(n, n_dims)] = np.linalg.svd(some.normals, compute_uv=False)
            information[i, j] = _information(some)
            if n == at:
                null[j] = [r2_prior(latents, estimates[order]) for order in orders]
    error = task.sigmas[0] * np.sqrt(np.mean(1 / effective_samples(task, t)))
    value, null = float(np.median(r2[at - 1])), np.median(null, axis=0)
    return RankCondition(
        value=value,
        null=null,
        p=p_value(value, null),
        n=len(z),
        settings={"n_null": n_null, "n_sets": n_sets, "form": form, "dims": tuple(dims), "clip": CLIP},
        n_dims=n_dims,
        rank=given.rank,
        n_answers=numbers,
        r2=_quartiles(r2),
        most_below=(n_dims - 1) / n_dims,
        exact=np.minimum(numbers, n_dims) / n_dims * np.mean(mean_r2(task, t)),
        r2_ideal_answers=_quartiles(best),
        singular_values=np.median(singular, axis=1),
        information=np.median(information, axis=1),
        curves=tuple(rank_curve(d, float(error), rng, form=form) for d in dims),
    )


def rank_curve(
    n_dims: int, error: float, rng: np.random.Generator, *, n_sets: int = 5, form: str = "bounded", clip: float = CLIP
) -> RankCurve:
    """`r2_prior` of x* from ideal answers to 1 to 2D random hyperplanes through the origin.

    Arguments:
        n_dims: D.
        error: s = sigma / sqrt(t), in units of the latents.
        rng: draws hyperplanes, x* and its mean evidence.
        n_sets: sets of hyperplanes for each number.
        form: one of `mtrnn_analysis.theory.distances.FORMS`.
        clip: answers are clipped to [clip, 1 - clip].

    Raises:
        ValueError: if `n_dims` or `n_sets` is not a whole number of 1 or more, or `error` is not above 0.
    """
    check_int("n_dims", n_dims, 1)
    check_int("n_sets", n_sets, 1)
    if not error > 0:
        raise ValueError(f"error={error!r} is not a number above 0")
    numbers, r2 = np.arange(1, 2 * n_dims + 1), np.empty((2 * n_dims, n_sets))
    for i, n in enumerate(numbers):
        for j in range(n_sets):
            normals = random_hyperplanes(int(n), n_dims, int(rng.integers(2**31))).normals
            latents = rng.uniform(-HALF, HALF, (N_TRIALS, n_dims))
            blank = Lines(np.zeros((N_TRIALS, n)), np.full((1, n), error), normals, np.zeros(n))
            r2[i, j] = r2_prior(latents, located(_ideal(blank, latents, np.ones(n_dims), rng, clip), form, CUT))
    exact = np.minimum(numbers, n_dims) / n_dims * (1 - 12 * error**2)
    return RankCurve(n_dims, numbers, exact, _quartiles(r2))


def _ideal(
    given: Lines, latents: np.ndarray, sigmas: np.ndarray, rng: np.random.Generator, clip: float = CLIP
) -> Lines:
    """Answers Phi(z) of the formula to the same lines, from evidence drawn for these latents, clipped."""
    # The noise of the mean evidence along each normal, in units of its standard error there.
    noise = (rng.standard_normal(latents.shape) * sigmas) @ given.normals.T / np.sqrt(given.normals**2 @ sigmas**2)
    z = (latents @ given.normals.T - given.offsets) / given.errors + noise
    return given._replace(z=special.ndtri(np.clip(special.ndtr(z), clip, 1 - clip)))


def _information(given: Lines) -> np.ndarray:
    """Eigenvalues of the mean over trials of CᵀWC / s², in falling order."""
    weights = np.mean(answer_information(given.z) / given.errors**2, axis=0)
    return np.linalg.eigvalsh((given.normals * weights[:, None]).T @ given.normals)[::-1]


def _quartiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, [0.25, 0.5, 0.75], axis=1)
