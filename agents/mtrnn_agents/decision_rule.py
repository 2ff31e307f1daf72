"""Decision rules: from probabilities to actions, for agents that are not trained to act, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, softmax

from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.reward import (
    action_sizes,
    best_options,
    expected_rewards,
    is_discrete,
    n_confidence,
    reported_probability,
    score_steps,
)


def decide(
    task: EvidenceTask,
    p: Float[np.ndarray, "N A"],
    seen: Int[np.ndarray, " N"],
    threshold: float,
    distance: Float[np.ndarray, "N A"] | None = None,
) -> Int[np.ndarray, "N ..."]:
    """The actions of `task` that state the probabilities `p` of +1, `[N, M]`, or `[N]` where the space is Discrete.

    Fixed duration: the answer with the highest mean reward in every task asked, which is the likelier one for "share";
    with `withhold`, only once the cue has fallen. Free reaction time: a task is answered once its probability is
    further than `threshold` from 1/2, or at the (longest) deadline, with the confidence in whose bin it lies; with one
    common stop, once the mean distance is. A threshold that does not change with time is close to the best rule: see
    `mtrnn_envs.ideal_observer.stopping`.

    Arguments:
        p: the probability of +1 for every task asked.
        seen: observations since the cue fell, this one included.
        threshold: used in reaction-time tasks only; in [0, 0.5], or on the scale of `distance`.
        distance: compared with the threshold instead of |p - 1/2|.
    """
    if task.reaction_time:
        n_levels = 2 * n_confidence(task)
        level = 1 + np.minimum((p * n_levels).astype(np.int64), n_levels - 1)
        far, last = np.abs(p - 0.5) if distance is None else distance, (seen >= task.longest.stimulus)[:, None]
        if task.commit == "common":
            far = far.mean(axis=1, keepdims=True)
        return answer(task, (far > threshold) | last, level)
    action = best_options(task, p) - 1
    if task.withhold:
        pays = (seen[:, None] > 0) & (expected_rewards(task, p)[0] > 0)
        action = np.where(pays, action + 1, 0)
    if task.action_encoding == "multi_binary":
        return action.astype(np.int8)
    return action[:, 0] if is_discrete(task) else action


def answer(
    task: EvidenceTask, stop: Bool[np.ndarray, "N S"], level: Int[np.ndarray, "N A"]
) -> Int[np.ndarray, "N ..."]:
    """The actions of a reaction-time task: the response option `level`, from 1, where `stop` is True, and else to wait.

    S is A, or 1 with one common stop.
    """
    if task.commit == "common":
        return np.concatenate([stop.astype(np.int64), level - 1], axis=1)
    action = np.where(stop, level, 0)
    return action[:, 0] if is_discrete(task) else action


# Thresholds tried, evenly spaced in log-odds: where waiting is cheap, the best is close to 1/2. 0.5 is never to stop.
THRESHOLDS = np.append(1 / (1 + np.exp(-np.linspace(0, 9, 46))) - 0.5, 0.5)


def fit_threshold(
    task: EvidenceTask,
    trials: Trials,
    p: Float[np.ndarray, "N T A"],
    distance: Float[np.ndarray, "N T A"],
    thresholds: Float[np.ndarray, " C"] = THRESHOLDS,
) -> float:
    """The one of `thresholds` with which `decide` has the highest reward on `trials` (numpy) of a reaction-time task.

    The reward is that of `mtrnn_envs.reward`, step by step, as in the environment.
    """
    rewards = [_reward(task, trials, p, distance, float(threshold)) for threshold in thresholds]
    return float(thresholds[int(np.argmax(rewards))])


def _reward(task: EvidenceTask, trials: Trials, p: np.ndarray, distance: np.ndarray, threshold: float) -> float:
    """The mean reward of a trial that is answered by `decide`."""
    go = np.broadcast_to(trials.timing.go, len(trials))
    first, total, going = int(go.min()), 0.0, np.ones(len(trials), bool)
    steps = range(first, task.n_steps)
    actions = (np.atleast_2d(decide(task, p[:, t], t - go + 1, threshold, distance[:, t]).T).T for t in steps)
    for outcome in score_steps(task, trials, actions, first):
        total += outcome.reward[going].sum()
        going &= ~outcome.ended
    return total / len(trials)


def checked_threshold(threshold: float) -> float:
    """`threshold`, if it is in [0, 0.5]; else `ValueError`."""
    if not 0 <= threshold <= 0.5:
        raise ValueError(f"threshold={threshold!r} is not in [0, 0.5]")
    return threshold


def accumulator_probability(
    task: EvidenceTask, bound: float, gain: float, output: Float[np.ndarray, ...], seen: Int[np.ndarray, ...]
) -> Float[np.ndarray, ...]:
    """The probability of +1 of accumulators a = bound (2 output - 1).

    Phi(gain a / sqrt(t)) in reaction-time tasks, where t = `seen` is the number of samples so far: that of a sum of t
    samples under a flat prior. Phi(gain a) in others, where the cue falls after all evidence. Neither includes the
    bound: for an accumulator that has stopped there, the probability goes towards 1/2 as t grows.
    """
    steps = np.sqrt(np.maximum(seen, 1)) if task.reaction_time else 1
    return ndtr(gain * bound * (2 * output - 1) / steps)


def fit_gain(
    task: EvidenceTask,
    bound: float,
    output: Float[np.ndarray, " B"],
    seen: Int[np.ndarray, " B"],
    positive: Bool[np.ndarray, " B"],
) -> float:
    """The gain of `accumulator_probability` that makes the labels likeliest; accumulators at the bound are left out."""
    inside = np.abs(2 * output - 1) < 0.95
    chosen = inside if inside.any() else ~inside
    output, seen, positive = output[chosen], seen[chosen], positive[chosen]

    def cost(log_gain: float) -> float:
        p = accumulator_probability(task, bound, float(np.exp(log_gain)), output, seen)
        return float(-np.mean(np.log(np.clip(np.where(positive, p, 1 - p), 1e-12, None))))

    best: Any = minimize_scalar(cost, bounds=(-5, 8), method="bounded")
    return float(np.exp(best.x))


def waiting_parts(task: EvidenceTask) -> list[int]:
    """The parts of an action whose first value is to wait: the common stop, or every answer; none where none can."""
    if task.reaction_time and task.commit == "common":
        return [0]
    return list(range(task.n_answers)) if answer_levels(task)[0] == 0 else []


def answer_levels(task: EvidenceTask) -> Int[np.ndarray, " L"]:
    """The levels (see `mtrnn_envs.reward`) that the values of one answer's part of an action stand for, in order.

    0, no answer, is among them where the part itself can wait or withhold.
    """
    size, n_levels = action_sizes(task)[-1], 2 * n_confidence(task)
    return np.arange(n_levels + 1 - size, n_levels + 1)


def answer_probabilities(task: EvidenceTask, logits: Float[np.ndarray, "N A L"]) -> Float[np.ndarray, "N A"]:
    """The probability of +1 that a policy states, given that it answers, from the logits of its answers' values.

    Without confidence it is that of answering +1. With confidence it is the mean of the reported probabilities. Neither
    need be calibrated: a policy that is rewarded for right answers alone does best to be sure of the likelier one.
    """
    levels = answer_levels(task)
    given = softmax(logits[..., levels > 0].astype(np.float64), axis=-1)
    answers = levels[levels > 0]
    stated = reported_probability(task, answers) if task.reaction_time else (answers > n_confidence(task)).astype(float)
    return given @ stated
