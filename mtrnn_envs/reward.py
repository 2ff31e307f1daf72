"""The reward of actions: their meaning, rewards step by step, and the outcome of each task over a whole trial.

Answers are written as response options: 0 is no answer, and option a of 1 ... 2Q reports the probability
(a - 1/2) / 2Q that the label is +1. So the upper half answers +1 and the lower half -1, with Q levels of confidence on
each side. In tasks without confidence Q = 1: option 1 is -1 and option 2 is +1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, NoReturn

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from mtrnn_envs.components import rewards
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.timing import Steps, Timing
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.arrays import column


class LabelsAndTiming(NamedTuple):
    """The part of `Trials` that rewards depend on.

    Attributes:
        asked: labels of the tasks that are asked, `[N, A]`.
        timing: when the periods begin.
    """

    asked: Int8[np.ndarray, "N A"]
    timing: Timing


class Commitments(NamedTuple):
    """The answers given so far in reaction-time trials, final once given.

    Attributes:
        options: the response option of each answer, `[N, A]`; 0 while the task is open.
        response_steps: the stimulus observation, counted from 1, that each was given to, `[N, A]`; 0 while open.
        n_open: how many tasks are open, `[N]`; kept because to count them anew at every step is slow.
    """

    options: Int8[np.ndarray, "N A"]
    response_steps: Int[np.ndarray, "N A"]
    n_open: Int[np.ndarray, " N"]


class Outcome(NamedTuple):
    """The outcome of one step.

    Attributes:
        reward: `[N]` float64.
        ended: whether the trial ends with this step, `[N]`.
        committed: the commitments after this step, in reaction-time tasks; else None.
        correct: which answers of this action are right, `[N, A]`, in fixed-duration tasks; else None.
        rewards: the reward of each answer of this action by the task's rule, `[N, A]`, in fixed-duration tasks; else
            None.
    """

    reward: Float[np.ndarray, " N"]
    ended: Bool[np.ndarray, " N"]
    committed: Commitments | None
    correct: Bool[np.ndarray, "N A"] | None
    rewards: Bool[np.ndarray, "N A"] | Float[np.ndarray, "N A"] | None


class TaskOutcomes(NamedTuple):
    """The reward of each task, and whether its answer was right, `[N, A]`; a task without an answer is not right."""

    task_reward: Float[np.ndarray, "N A"]
    correct: Bool[np.ndarray, "N A"]


def n_confidence(task: EvidenceTask) -> int:
    """Q, the levels of confidence on each side: 1 where answers carry none."""
    return task.n_confidence if task.reaction_time else 1


def action_sizes(task: EvidenceTask) -> list[int]:
    """The number of values of each component of an action.

    Fixed duration: 2 for each answer (0 is -1, 1 is +1); with `withhold` 3 (0 withholds, 1 is -1, 2 is +1). Free
    reaction time: 1 + 2Q for each (0 waits, else a response option); with one common stop, a component of 2 (1 stops),
    then 2Q for each answer (option - 1), which count when it stops.
    """
    if task.reaction_time and task.commit == "common":
        return [2] + [2 * task.n_confidence] * task.n_answers
    if task.reaction_time:
        return [1 + 2 * task.n_confidence] * task.n_answers
    return [3 if task.withhold else 2] * task.n_answers


def is_discrete(task: EvidenceTask) -> bool:
    """Whether an action is one number (`Discrete`), as where a cued task asks for one answer, and not an array."""
    return task.cueing == "one" and len(action_sizes(task)) == 1


def response_options(task: EvidenceTask, action: Int[np.ndarray, "N M"]) -> Int[np.ndarray, "N A"]:
    """The response options that actions stand for.

    Raises:
        ValueError: if a component of an action is out of its range.
    """
    common = task.reaction_time and task.commit == "common"
    sizes = action_sizes(task)
    # Read as unsigned, a negative number is a large one: one look finds both faults.
    unsigned = action.view(f"u{action.itemsize}")
    if unsigned.max() >= sizes[-1] or (common and unsigned[:, 0].max() >= sizes[0]):
        _refuse(action, np.array(sizes))
    if common:
        return np.where(action[:, :1] == 1, action[:, 1:] + 1, 0)
    return action if task.reaction_time or task.withhold else action + 1


def reported_probability(task: EvidenceTask, option: Int[np.ndarray, "*N"]) -> Float[np.ndarray, "*N"]:
    """The probability of +1 that response options report; 1/2 for no answer."""
    return rewards.reported_probabilities(n_confidence(task))[option]


def choices(task: EvidenceTask, option: Int[np.ndarray, "*N"]) -> Int8[np.ndarray, "*N"]:
    """The answers that response options stand for: +1, -1, or 0 for none."""
    return np.where(option == 0, 0, np.where(option > n_confidence(task), 1, -1)).astype(np.int8)


def score(
    task: EvidenceTask,
    trials: LabelsAndTiming | Trials,
    t: Steps,
    action: Int[np.ndarray, "N M"],
    committed: Commitments | None = None,
) -> Outcome:
    """The outcome of `action` at step `t` (counted from 0; an int or `[N]`), which is the answer to observation t.

    Fixed duration: on every decision step, the mean reward of the answers by the task's rule (for "share", the share of
    right ones) divided by the number of decision steps; with `withhold`, an answer before the cue falls costs
    `early_penalty` times the share answered. Free reaction time: on each stimulus step, every task still open costs
    time_cost / A, and then each new answer earns its entry of `EvidenceTask.reward_table` divided by A; the trial ends
    when no task is open, or with the stimulus. Rewards add over tasks.

    Raises:
        ValueError: if an action that counts is out of its range.
    """
    if task.reaction_time:
        return _score_reaction_time(task, trials, t, action, committed)
    when, option = trials.timing, response_options(task, action)
    side = option.astype(np.int8)  # options 1 and 2 become -1 and +1; no answer, -3, is never right
    side *= 2
    side -= 3
    correct = side == trials.asked
    counts = t >= when.go
    if task.reward_rule.reward is rewards.right:
        earned = correct
        # As a product with ones: exact in float32, and many times faster than a sum of bools.
        total = (correct.astype(np.float32) @ np.ones(task.n_answers, np.float32)).astype(float)
    else:
        earned = rewards_of(task, trials.asked, option)
        total = earned.sum(axis=1)
    reward = np.where(counts, total / (task.n_answers * (when.end - when.go)), 0.0)
    if task.withhold:
        reward -= task.early_penalty / task.n_answers * np.count_nonzero(option, axis=1) * (1 - counts)
    ended = np.empty(len(action), bool)
    ended[...] = t >= when.end - 1
    return Outcome(reward, ended, None, correct, earned)


def score_steps(
    task: EvidenceTask, trials: LabelsAndTiming | Trials, actions: Iterable[Int[np.ndarray, "N M"]], first: int = 0
) -> Iterator[Outcome]:
    """The outcomes of successive steps, from step `first` on, of whole trials: `score`, commitments carried along."""
    committed = None
    for t, action in enumerate(actions, first):
        outcome = score(task, trials, t, action, committed)
        committed = outcome.committed
        yield outcome


def open_commitments(n: int, n_answers: int) -> Commitments:
    """The commitments of `n` trials that just began: none."""
    shape = (n, n_answers)
    return Commitments(np.zeros(shape, np.int8), np.zeros(shape, np.int32), np.full(n, n_answers))


def task_outcomes(task: EvidenceTask, trials: LabelsAndTiming | Trials, outcome: Outcome) -> TaskOutcomes:
    """The outcome of each task: of a decision step (fixed duration), or of the whole trial (reaction time)."""
    when, committed = trials.timing, outcome.committed
    if committed is None:
        assert outcome.correct is not None
        assert outcome.rewards is not None
        return TaskOutcomes(outcome.rewards / column(task.n_answers * (when.end - when.go)), outcome.correct)
    given = committed.options != 0
    seen = np.where(given, committed.response_steps, column(when.stimulus_off - when.stimulus_on))
    earned = rewards_of(task, trials.asked, committed.options) - task.time_cost * seen
    right = ((committed.options > task.n_confidence) == (trials.asked > 0)) & given
    return TaskOutcomes(earned / task.n_answers, right)


def rewards_of(
    task: EvidenceTask, label: Int8[np.ndarray, "*N"], option: Int[np.ndarray, "*N"]
) -> Float[np.ndarray, "*N"]:
    """The entries of `EvidenceTask.reward_table` for labels (+1 or -1) and response options."""
    table = task.reward_table
    return table.ravel().take((label > 0) * table.shape[1] + option)


def expected_rewards(
    task: EvidenceTask, probabilities: Float[np.ndarray, "*N"]
) -> tuple[Float[np.ndarray, "*N"], Float[np.ndarray, "*N"]]:
    """The mean reward of the best answer given P(label = +1), and the probability that it is right.

    With `withhold`, not answering is an answer too, and its reward is 0.
    """
    table = task.reward_table[:, 1:]
    best, right = np.full(np.shape(probabilities), -np.inf), np.zeros(np.shape(probabilities))
    for i in range(table.shape[1]):
        reward = table[0, i] + probabilities * (table[1, i] - table[0, i])
        better = reward > best
        best = np.where(better, reward, best)
        right = np.where(better, probabilities if 2 * i >= table.shape[1] else 1 - probabilities, right)
    return np.maximum(best, 0) if task.withhold else best, right


def best_options(task: EvidenceTask, probabilities: Float[np.ndarray, "*N"]) -> Int[np.ndarray, "*N"]:
    """The response option, from 1, with the highest mean reward given P(label = +1)."""
    table = task.reward_table[:, 1:]
    p = np.asarray(probabilities)[..., None]
    return 1 + np.argmax(table[0] + p * (table[1] - table[0]), axis=-1)


def _refuse(action: Int[np.ndarray, "N M"], sizes: Int[np.ndarray, " M"]) -> NoReturn:
    """Raises `ValueError` naming the first component of `action` that is out of its range."""
    trial, component = np.argwhere((action < 0) | (action >= sizes))[0]
    raise ValueError(
        f"action={action[trial, component]} in component {component} of environment {trial} is not one of "
        f"0 ... {sizes[component] - 1}"
    )


def _score_reaction_time(
    task: EvidenceTask,
    trials: LabelsAndTiming | Trials,
    t: Steps,
    action: Int[np.ndarray, "N M"],
    committed: Commitments | None,
) -> Outcome:
    n, n_answers = len(action), task.n_answers
    before = open_commitments(n, n_answers) if committed is None else committed
    seen = np.asarray(t - trials.timing.stimulus_on + 1)
    watching = seen > 0
    if task.commit == "common":
        action = response_options(task, action)
    answered = action != 0
    answered &= before.options == 0
    # The fixation step takes no answers, and costs nothing.
    answered[np.flatnonzero(~watching) if watching.ndim else ~watching] = False
    # Few tasks are answered on any one step: look at those alone.
    new = answered.ravel().nonzero()[0]
    trial, option = new // n_answers, action.ravel()[new]
    if len(new) and option.view(f"u{option.itemsize}").max() > 2 * task.n_confidence:
        _refuse(np.where(answered, action, 0), np.array(action_sizes(task)))
    after = Commitments(
        before.options.copy(), before.response_steps.copy(), before.n_open - np.bincount(trial, minlength=n)
    )
    after.options.ravel()[new] = option
    after.response_steps.ravel()[new] = seen[trial] if seen.ndim else seen
    earned = rewards_of(task, trials.asked.ravel()[new], option)
    reward = (np.bincount(trial, earned, n) - task.time_cost * (before.n_open * watching)) / n_answers
    return Outcome(reward, (after.n_open == 0) | (t >= trials.timing.end - 1), after, None, None)
