"""What a policy over answers says of the labels, for agents that are trained by reward."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax

from mtrnn_envs import EvidenceTask
from mtrnn_envs.score import action_sizes, claimed, n_confidence


def answer_levels(task: EvidenceTask) -> Int[np.ndarray, " L"]:
    """The levels (see `mtrnn_envs.score`) that the values of one answer's component of an action stand for, in order.

    0, no answer, is among them where the component itself can wait or withhold.
    """
    size, n_levels = action_sizes(task)[-1], 2 * n_confidence(task)
    return np.arange(n_levels + 1 - size, n_levels + 1)


def answer_probabilities(task: EvidenceTask, logits: Float[np.ndarray, "N A L"]) -> Float[np.ndarray, "N A"]:
    """The probability of +1 that a policy states, given that it answers, from the logits of its answers' components.

    Without confidence it is that of answering +1. With confidence it is the mean of the probabilities claimed. Neither
    need be calibrated: a policy that is paid for right answers alone does best to be sure of whatever is likelier.
    """
    levels = answer_levels(task)
    given = softmax(logits[..., levels > 0].astype(np.float64), axis=-1)
    answers = levels[levels > 0]
    told = claimed(task, answers) if task.reaction_time else (answers > n_confidence(task)).astype(float)
    return given @ told
