"""x* from an agent's answers alone: nothing is fitted, every answer is read as a signed distance to its line.

An answer p_k to a linear boundary c_k · x = b_k, with |c_k| = 1, places x by z_k = Phi⁻¹(p_k) at the signed distance
s_k z_k from it, s_k = sigma / sqrt(t) the standard error of the mean of t samples along c_k, if p_k is the posterior
probability under a flat unbounded prior (arXiv:2407.11249). N >= D answers to lines in general position then determine
x. Three forms, without free parameters but for the cut, which was chosen on other networks:

- "weighted": least squares with the weights phi(z)² / (p (1 - p)), the Fisher information of an answer on its z;
- "unsaturated": unweighted least squares on the answers with |z| < cut; trials in which the lines of these do not span
  the D dimensions take the weighted form, and their share is reported;
- "bounded": the point of the cube whose answers Phi((c · x - b) / s) are nearest to the agent's, in the sum over tasks
  of Kullback-Leibler divergences (a probit regression on soft answers; its weights are taken at the solution, and not
  at each z, so that saturated answers bound x* from one side instead of misplacing it).

With normals of rank below D the first two give the solution of minimum norm: 0, the mean of the prior, in directions
without a line. Axis letters: N trials, K tasks, D latents.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import optimize, special

from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.components.boundaries.base import HALF
from mtrnn_envs.ideal_observer.multilateration import answer_information, distance_errors, least_squares_point
from mtrnn_envs.ideal_observer.one_latent import effective_samples
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.validation import check_choice

FORMS = ("weighted", "unsaturated", "bounded")
# Answers are clipped to [CLIP, 1 - CLIP]: 1 less the last float32 below it, so that both tails are as long.
CLIP = 2.0**-24
# Of 1, 1.25, ... 4.5, that with the least geometric mean over networks, trained with 2, 6 and 24 tasks, of
# 1 - `r2_prior`: each network counts by the factor by which a cut changes its error.
CUT = 2.5
N_NEWTON = 30  # steps at most
FARTHEST = 0.1  # that a step may go, in units of the latents
DONE = 1e-6  # a step below which the point is found


class Lines(NamedTuple):
    """Answers as distances to lines.

    Attributes:
        z: Phi⁻¹ of the clipped probabilities, `[N, K]`.
        errors: s_k, the distance that z = 1 stands for, in units of the latents, `[1 or N, K]`.
        normals: unit vectors, `[K, D]`.
        offsets: of the lines from the origin, `[K]`.
    """

    z: Float[np.ndarray, "N K"]
    errors: Float[np.ndarray, "#N K"]
    normals: Float[np.ndarray, "K D"]
    offsets: Float[np.ndarray, " K"]

    @property
    def rank(self) -> int:
        """The number of dimensions that the lines determine."""
        return int(np.linalg.matrix_rank(self.normals))

    def of(self, tasks: np.ndarray) -> Lines:
        """The lines of some tasks."""
        return Lines(self.z[:, tasks], self.errors[:, tasks], self.normals[tasks], self.offsets[tasks])

    def rows(self, trials: np.ndarray) -> Lines:
        """The answers in some trials."""
        return self._replace(z=self.z[trials], errors=np.broadcast_to(self.errors, self.z.shape)[trials])


def lines(
    probabilities: Float[np.ndarray, "N K"],
    task: EvidenceTask,
    n_samples: int | np.ndarray | None = None,
    clip: float = CLIP,
) -> Lines:
    """Answers read as distances to the lines of `task`.

    Arguments:
        probabilities: of +1, of every task.
        task: with hyperplanes as boundaries, all tasks queried, and Gaussian noise.
        n_samples: t: a number, `[N]`, or `[N, K]` where tasks were answered at different times; None for a stimulus of
            fixed length.
        clip: answers are clipped to [clip, 1 - clip].

    Raises:
        ValueError: if the task is not of that kind, or an argument out of its range.
    """
    boundary = task.boundary
    if not isinstance(boundary, Linear):
        raise ValueError(f"boundaries={task.boundaries!r} are not hyperplanes; only answers to those are distances")
    for name, needed in (("cueing", "all"), ("noise", "gaussian"), ("encoder_noise", 0.0)):
        if getattr(task, name) != needed:
            raise ValueError(f"{name}={getattr(task, name)!r}: answers are read as distances with {name}={needed!r}")
    if not 0 < clip < 0.5:
        raise ValueError(f"clip={clip!r} is not a number between 0 and 1/2")
    if probabilities.shape[1] != task.n_tasks:
        raise ValueError(f"probabilities are of {probabilities.shape[1]} tasks; the task has n_tasks={task.n_tasks}")
    if bad := np.count_nonzero(~((probabilities >= 0) & (probabilities <= 1))):  # NaN is bad, too
        raise ValueError(f"probabilities holds {bad} values that are not numbers from 0 to 1")
    if n_samples is None:
        if task.periods is None or task.reaction_time:
            raise ValueError(
                f"stimulus={task.stimulus!r}, payoff={task.payoff!r}: give n_samples, the samples before each answer"
            )
        n_samples = task.periods.stimulus
    t = np.asarray(n_samples)
    if t.shape not in ((), (len(probabilities),), probabilities.shape) or np.any(t < 1):
        raise ValueError(f"n_samples of shape {t.shape} must be whole numbers of 1 or more: one, [N], or [N, K]")
    z = special.ndtri(np.clip(probabilities.astype(np.float64), clip, 1 - clip))
    errors = distance_errors(boundary.normals, task.sigmas, effective_samples(task, t))
    return Lines(z, errors, boundary.normals, boundary.offsets)


def located(given: Lines, form: str = "weighted", cut: float | None = None) -> Float[np.ndarray, "N D"]:
    """x* by one of `FORMS`, in units of the latents; `cut` is needed for "unsaturated" (see the module). Raises
    `ValueError` if there is no such form, or the cut is not above 0.
    """
    if check_choice(form, FORMS, "form", "multilateration") == "bounded":
        return _bounded(given)
    if form == "weighted":
        return _point(given, answer_information(given.z) / given.errors**2)
    use, enough = usable(given, cut)
    return _point(given, np.where(enough[:, None], use, answer_information(given.z)) / given.errors**2)


def usable(given: Lines, cut: float | None) -> tuple[Bool[np.ndarray, "N K"], Bool[np.ndarray, " N"]]:
    """Which answers have |z| < cut, and in which trials the lines of these span all that the lines of all do. Raises
    `ValueError` if the cut is not above 0.
    """
    if cut is None or not cut > 0:
        raise ValueError(f"cut={cut!r} is not a number above 0")
    use, rank = np.abs(given.z) < cut, given.rank
    spread = np.linalg.eigvalsh(_gram(use.astype(np.float64), given.normals))
    return use, spread[:, -rank] > 1e-9 * len(given.normals)


def samples(task: EvidenceTask, response_steps: Int[np.ndarray, "N K"] | None, trials: Trials | None) -> np.ndarray:
    """The number of samples before each answer: all of a trial's, but in reaction-time tasks those before the response
    step, or the deadline's where there was none. Raises `ValueError` if the stimulus is drawn and `trials` is None, or
    a reaction-time task has no `response_steps`.
    """
    if task.periods is None and trials is None:
        raise ValueError(f"stimulus={task.stimulus!r}: trials are needed where periods are drawn")
    last = np.asarray(task.longest.stimulus if trials is None else trials.n_samples)
    if not task.reaction_time:
        return last
    if response_steps is None:
        raise ValueError(f"payoff={task.payoff!r}: response_steps are needed, for answers come at different times")
    return np.where(response_steps > 0, response_steps, last.reshape(-1, 1))


def temperature(given: Lines, labels: np.ndarray) -> float:
    """The factor on all log-odds with which the answers have the least cross-entropy with the labels: 1 for calibrated
    answers, below 1 for overconfident ones (Guo et al. 2017, arXiv:1706.04599, whose temperature is its inverse).
    """
    margins = labels * (special.log_ndtr(given.z) - special.log_ndtr(-given.z))

    def loss(log_factor: float) -> float:
        return float(np.logaddexp(0, -np.exp(log_factor) * margins).mean())

    return float(np.exp(optimize.fminbound(loss, -5, 3)))


def scaled(given: Lines, factor: float) -> Lines:
    """The same answers with all log-odds times `factor`."""
    odds = factor * (special.log_ndtr(given.z) - special.log_ndtr(-given.z))
    return given._replace(z=special.ndtri(np.clip(special.expit(odds), CLIP, 1 - CLIP)))


def _gram(weights: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """CᵀWC of every trial, `[N, D, D]`."""
    products = (normals[:, :, None] * normals[:, None, :]).reshape(len(normals), -1)
    return (weights @ products).reshape(-1, *2 * normals.shape[1:])


def _point(given: Lines, weights: np.ndarray) -> np.ndarray:
    """The least-squares point, of minimum norm: 0 outside of the space that the normals span."""
    distances = given.offsets + given.errors * given.z
    _, values, axes = np.linalg.svd(given.normals, full_matrices=False)
    axes = axes[values > values[0] * max(given.normals.shape) * np.finfo(float).eps]
    return least_squares_point(distances, weights, given.normals @ axes.T) @ axes


def _bounded(given: Lines) -> np.ndarray:
    """Projected Newton (Bertsekas 1982, doi:10.1137/0320018): a step leaves out coordinates held at the bounds."""
    n, (_, n_dims) = len(given.z), given.normals.shape
    p, x = special.ndtr(given.z), np.clip(_point(given, answer_information(given.z) / given.errors**2), -HALF, HALF)
    q, errors = special.ndtr(-given.z), np.broadcast_to(given.errors, given.z.shape)
    root, moving = np.sqrt(2 / np.pi), np.arange(n)
    for _ in range(N_NEWTON):
        e = errors[moving]
        z = (x[moving] @ given.normals.T - given.offsets) / e
        # phi / Phi on either side, without loss in the tails.
        above, below = root / special.erfcx(-z / np.sqrt(2)), root / special.erfcx(z / np.sqrt(2))
        slope = ((p[moving] * above - q[moving] * below) / e) @ given.normals
        bend = _gram((p[moving] * above * (z + above) + q[moving] * below * (below - z)) / e**2, given.normals)
        held = ((x[moving] >= HALF) & (slope > 0)) | ((x[moving] <= -HALF) & (slope < 0))
        free = ~held
        bend = bend * free[:, :, None] * free[:, None, :] + np.eye(n_dims) * (held[:, None] + 1e-6)
        step = np.linalg.solve(bend, (slope * free)[..., None])[..., 0]
        step *= np.minimum(1, FARTHEST / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-300))
        moved = np.clip(x[moving] + step, -HALF, HALF)
        far = np.abs(moved - x[moving]).max(axis=1) > DONE
        x[moving] = moved
        moving = moving[far]
        if not len(moving):
            break
    return x
