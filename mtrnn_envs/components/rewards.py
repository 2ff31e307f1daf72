"""Reward rules: the reward of an answer, by its label and the probability that it reports.

A rule is one entry of `KINDS`; your own is named "module:attribute", a `RewardRule`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mtrnn_envs.utils.validation import kind_named


@dataclass(frozen=True)
class RewardRule:
    """The reward of an answer, before the costs.

    Attributes:
        reward: from the probability that an answer reports of its label, `[2, L]`, to its reward, `[2, L]`. Above 1/2
            the answer is right. Without confidence, the probabilities are 1/4 and 3/4.
        reaction_time: whether the agent decides when to answer, with a confidence; else the duration is fixed.
    """

    reward: Callable[[Float[np.ndarray, "2 L"]], Float[np.ndarray, "2 L"]]
    reaction_time: bool = False


def quadratic(reported: Float[np.ndarray, "2 L"]) -> Float[np.ndarray, "2 L"]:
    """1 - 4 (1-q)² if right and 1 - 4 q² if wrong, q the probability reported of the chosen side.

    An affine Brier score: honesty is best, and the best expectation is (2p-1)². Never answering is worth
    knowing nothing.
    """
    return 1 - 4 * (1 - reported) ** 2


def log(reported: Float[np.ndarray, "2 L"]) -> Float[np.ndarray, "2 L"]:
    """1 + log2 of the probability reported of the label. Never answering is worth knowing nothing."""
    return 1 + np.log2(reported)


def right(reported: Float[np.ndarray, "2 L"]) -> Float[np.ndarray, "2 L"]:
    """1 if right, else 0."""
    return np.where(reported > 0.5, 1.0, 0.0)


KINDS: dict[str, RewardRule] = {
    "share": RewardRule(right),
    "quadratic": RewardRule(quadratic, reaction_time=True),
    "log": RewardRule(log, reaction_time=True),
    "accuracy": RewardRule(right, reaction_time=True),
}


def build(kind: str) -> RewardRule:
    """The reward rule named by `kind`: one of `KINDS`, or "module:attribute".

    Raises:
        ValueError: if the kind is unknown, or a user's own does not import or is not a `RewardRule`.
    """
    rule = kind_named("payoff", kind, KINDS)
    if not isinstance(rule, RewardRule):
        raise ValueError(f"payoff={kind!r} is a {type(rule).__name__}; a mtrnn_envs.components.RewardRule is needed")
    return rule


def reported_probabilities(n_confidence: int) -> Float[np.ndarray, " L"]:
    """The probability of +1 that each response option reports: 1/2 for no answer (option 0), else bin midpoints."""
    options = np.arange(1 + 2 * n_confidence)
    return np.where(options == 0, 0.5, (options - 0.5) / (2 * n_confidence))


def reward_table(rule: RewardRule, n_confidence: int) -> Float[np.ndarray, "2 L"]:
    """The reward of an answer, by label (row 0: -1, row 1: +1) and response option (column 0: no answer, reward 0).

    Raises:
        ValueError: if the rule does not give finite numbers `[2, L]`.
    """
    p = reported_probabilities(n_confidence)
    of_label = np.stack([1 - p, p])
    table = np.array(rule.reward(of_label), float)
    if table.shape != of_label.shape or not np.isfinite(table[:, 1:]).all():
        raise ValueError(
            f"reward rule {rule!r} gives rewards of shape {table.shape}, or not finite ones; finite numbers of shape "
            f"{of_label.shape} are needed"
        )
    table[:, 0] = 0
    return table
