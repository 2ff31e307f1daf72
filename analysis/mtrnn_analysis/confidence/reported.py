"""Reported confidence of agents, and outcomes drawn for a calibrated agent. Axis letters: see `behavior.answers`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int8
from scipy.special import ndtri

from mtrnn_analysis.behavior.answers import check_answers
from mtrnn_envs import EvidenceTask
from mtrnn_envs.components.boundaries import Linear


class Reported(NamedTuple):
    """Reported confidence in each queried task.

    Attributes:
        confidence: the probability reported for the favoured choice, 1/2 to 1, `[N, A]`.
        right: whether that choice is the label, `[N, A]`.
        given: whether an answer was given, so that its confidence counts, `[N, A]`.
        n_levels: levels of confidence for each choice; 0 where any probability can be reported. A level stands for a
            bin of [1/2, 1] of width 1 / (2 n_levels) and reports its middle: 7/12, 9/12 or 11/12 of three.
    """

    confidence: Float[np.ndarray, "N A"]
    right: Bool[np.ndarray, "N A"]
    given: Bool[np.ndarray, "N A"]
    n_levels: int


def reported(
    task: EvidenceTask,
    answers: Int8[np.ndarray, "N A"],
    labels: Int8[np.ndarray, "N A"],
    probabilities: Float[np.ndarray, "N A"] | None,
    confidence: Float[np.ndarray, "N A"] | None,
) -> Reported:
    """The reported confidence of an agent.

    Reaction time: the confidence of its answers, which earns the reward. Fixed duration: answers carry none, and max(p,
    1 - p) of the agent's probability of +1 is taken, for the choice that this probability favours (+1 for p of 1/2),
    also where the answer was the other one. Raises `ValueError` if there are neither, fewer than 50 answers, or values
    outside of [0, 1].
    """
    check_answers(answers, labels=labels, probabilities=probabilities, confidence=confidence)
    given, timed = answers != 0, task.reaction_time and confidence is not None
    values, name = (confidence, "confidence") if timed else (probabilities, "probabilities")
    if values is None:
        raise ValueError(
            "probabilities is None, and answers of fixed duration carry no confidence; record an agent with "
            "probabilities"
        )
    p = values.astype(np.float64)
    if not ((p >= 0) & (p <= 1))[given].all():
        raise ValueError(f"{name} has values that are not in [0, 1], or not finite, for answers that were given")
    if timed:  # p and 1 - p of a level differ by rounding
        return Reported(np.round(p, 12), answers == labels, given, task.n_confidence)
    return Reported(np.maximum(p, 1 - p), np.where(p >= 0.5, 1, -1) == labels, given, 0)


def directions(
    task: EvidenceTask, latents: Float[np.ndarray, "N D"], context: Int[np.ndarray, " N"] | None
) -> Float[np.ndarray, "N A D"]:
    """Unit vectors along which the noise of the evidence moves each margin; 0 where it does not.

    Their inner products are the correlations of the errors of two tasks in a trial: c_k · c_l for lines under isotropic
    noise; else, latents are in units of their noise. Boundaries that are not linear have their gradient at x*.
    """
    boundary = task.boundary
    if isinstance(boundary, Linear):
        gradient = np.broadcast_to(boundary.normals, (len(latents), *boundary.normals.shape))
    else:
        steps = 1e-5 * np.eye(latents.shape[1])
        ends = [[np.asarray(boundary.margins(latents + sign * step), float) for sign in (1, -1)] for step in steps]
        gradient = np.stack([up - down for up, down in ends], axis=2)
    scaled = gradient * (np.asarray(task.sigmas) if min(task.sigmas) > 0 else 1.0)
    size = np.linalg.norm(scaled, axis=2, keepdims=True)
    unit = np.divide(scaled, size, out=np.zeros(scaled.shape), where=size > 0)
    return unit if context is None else unit[np.arange(len(unit)), context][:, None]


def calibrated_draws(
    confidence: Float[np.ndarray, "N A"],
    favoured: Int[np.ndarray, "N A"],
    along: Float[np.ndarray, "N A D"],
    n_draws: int,
    rng: np.random.Generator,
) -> Bool[np.ndarray, "R N A"]:
    """Whether each favoured choice (+1 or -1) is right, drawn `n_draws` times for a calibrated agent.

    Each is right with its reported probability. Those of one trial are not independent: labels are drawn as for one
    hidden point, the side of c_k · (m + error) with one Gaussian error for all tasks of a trial (a Gaussian copula with
    the correlations of `along`, see `directions`; tasks with 0 are drawn independently). With independent draws the
    answers to 24 tasks would count as more evidence than they are: in a quarter of 100 sets of 100 trials the ideal
    observer itself had p <= 0.1, and in a tenth of them with these draws.
    """
    bound, sideways = ndtri(confidence), along * favoured[:, :, None]
    alone = ~along.any(axis=2)
    out = np.empty((n_draws, *confidence.shape), bool)
    for draw in out:
        error = np.einsum("nad,nd->na", sideways, rng.standard_normal((len(along), along.shape[2])))
        if alone.any():
            error[alone] = rng.standard_normal(np.count_nonzero(alone))
        draw[...] = error < bound
    return out
