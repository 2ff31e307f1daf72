"""The rewards of actions on whole trials, task by task and step by step, from which agents learn by reward."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from mtrnn_envs.reward import choices, response_options, score_steps, task_outcomes
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials


class TrialRewards(NamedTuple):
    """Rewards of N trials, on S steps from `first_step(task)` to the end of the longest; M parts of an action.

    Attributes:
        rewards: of each task, `[N, S, A]`; their sums over tasks are the rewards of the environment, step by step.
        counts: which parts of the actions made a difference, `[N, S, M]`: those of tasks that were open and asked.
        open: which tasks a reward may still come for, `[N, S, A]`.
        n_steps: the steps of each trial until its end, those before the first included, `[N]`.
        answers: the answers that counted last, `[N, A]`: +1, -1, or 0 for none.
        response_steps: the stimulus observation, counted from 1, that each was given to, in reaction-time tasks, and 0
            for none; else None.
    """

    rewards: Float[np.ndarray, "N S A"]
    counts: Bool[np.ndarray, "N S M"]
    open: Bool[np.ndarray, "N S A"]
    n_steps: Int[np.ndarray, " N"]
    answers: Int8[np.ndarray, "N A"]
    response_steps: Int[np.ndarray, "N A"] | None


def first_step(task: EvidenceTask) -> int:
    """The first step, counted from 0, on which an action can make a difference in any trial."""
    if task.withhold:
        return 0
    before = task.shortest
    return before.fixation if task.reaction_time else before.fixation + before.stimulus + before.delay


def trial_rewards(task: EvidenceTask, trials: Trials, actions: Int[np.ndarray, "N S M"]) -> TrialRewards:
    """The rewards of `actions`, on the steps from `first_step(task)` on, in `trials` (numpy).

    It is `score` on every step and `task_outcomes` at the end, task by task. An action on a step on which it does not
    count may be anything that the action space holds.
    """
    return (_reaction_time if task.reaction_time else _fixed_duration)(task, trials, actions)


def _fixed_duration(task: EvidenceTask, trials: Trials, actions: Int[np.ndarray, "N S M"]) -> TrialRewards:
    n, n_steps, _ = actions.shape
    when, rewards = trials.timing, np.zeros((n, n_steps, task.n_answers), np.float32)
    end = np.broadcast_to(when.end, n)
    counts = np.zeros(actions.shape, bool)
    answers = np.zeros((n, task.n_answers), np.int8)
    for s, outcome in enumerate(score_steps(task, trials, actions.swapaxes(0, 1), first_step(task))):
        t = first_step(task) + s
        deciding = np.broadcast_to((t >= when.go) & (t < when.end), n)[:, None]
        given = response_options(task, actions[:, s])
        rewards[:, s] = task_outcomes(task, trials, outcome).task_reward * deciding
        answers = np.where(deciding, choices(task, given), answers)
        counts[:, s] = deciding
        if task.withhold:
            early = np.broadcast_to(t < when.go, n)[:, None]
            rewards[:, s] -= task.early_penalty / task.n_answers * (early & (given != 0))
            counts[:, s] |= early
    return TrialRewards(rewards, counts, np.broadcast_to(counts, rewards.shape), end, answers, None)


def _reaction_time(task: EvidenceTask, trials: Trials, actions: Int[np.ndarray, "N S M"]) -> TrialRewards:
    n, n_steps, _ = actions.shape
    on, end = (np.broadcast_to(v, n)[:, None] for v in (trials.timing.stimulus_on, trials.timing.end))
    live = first_step(task) + np.arange(n_steps) < end  # nobody acts after the end
    *_, outcome = score_steps(task, trials, np.where(live[..., None], actions, 0).swapaxes(0, 1), first_step(task))
    committed = outcome.committed
    assert committed is not None
    found, given = task_outcomes(task, trials, outcome), committed.options != 0
    last = np.where(given, on + committed.response_steps - 1, end - 1)
    steps = first_step(task) + np.arange(n_steps)[:, None]
    open_ = (steps >= on[..., None]) & (steps <= last[:, None])
    # A step with the task open costs; the rest of its reward comes with its answer.
    cost = task.time_cost / task.n_answers
    at_last = steps == last[:, None]
    earned = found.task_reward + cost * (last - on + 1)
    rewards = (at_last * earned[:, None] - cost * open_).astype(np.float32)
    counts = open_
    if task.commit == "common":  # answers count with the stop
        counts = np.concatenate([open_[..., :1], at_last & given[:, None]], -1)
    return TrialRewards(
        rewards, counts, open_, last.max(axis=1) + 1, choices(task, committed.options), committed.response_steps
    )
