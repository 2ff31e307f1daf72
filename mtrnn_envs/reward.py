"""What an answer pays: the meaning of actions, rewards step by step, and the verdict on a whole trial.

Levels are how answers are written inside: 0 is no answer, and level a of 1 ... 2Q claims that the label is +1 with
probability (a - 1/2) / 2Q, so the upper half answers +1 and the lower half -1, with Q levels of confidence on each
side. In tasks without confidence Q = 1: level 1 is -1 and level 2 is +1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from mtrnn_envs.utils.arrays import column

if TYPE_CHECKING:
    from mtrnn_envs.task import EvidenceTask
    from mtrnn_envs.trials import Timing, Trials


class LabelsAndTiming(NamedTuple):
    """What is to be known of trials to score them; `Trials` has both too.

    Attributes:
        asked: labels of the tasks that are asked, `[N, A]`.
        timing: when the periods begin.
    """

    asked: Int8[np.ndarray, "N A"]
    timing: Timing


class Commitments(NamedTuple):
    """The answers given so far in reaction-time trials, final once given.

    Attributes:
        levels: the level of each answer, `[N, A]`; 0 while the task is open.
        response_steps: the stimulus observation, counted from 1, that each was given to, `[N, A]`; 0 while open.
        n_open: how many tasks are open, `[N]`; kept because to count them anew at every step is slow.
    """

    levels: Int8[np.ndarray, "N A"]
    response_steps: Int[np.ndarray, "N A"]
    n_open: Int[np.ndarray, " N"]


class Outcome(NamedTuple):
    """What one step pays.

    Attributes:
        reward: `[N]` float64.
        ended: whether the trial ends with this step, `[N]`.
        committed: the commitments after this step, in reaction-time tasks; else None.
        correct: which answers of this action are right, `[N, A]`, in fixed-duration tasks; else None.
    """

    reward: Float[np.ndarray, " N"]
    ended: Bool[np.ndarray, " N"]
    committed: Commitments | None
    correct: Bool[np.ndarray, "N A"] | None


class TaskOutcomes(NamedTuple):
    """What each task paid, and whether its answer was right, `[N, A]`; what is not answered is not right."""

    task_reward: Float[np.ndarray, "N A"]
    correct: Bool[np.ndarray, "N A"]


def n_confidence(task: EvidenceTask) -> int:
    """Q, the levels of confidence on each side: 1 where answers carry none."""
    return task.n_confidence if task.reaction_time else 1


def action_sizes(task: EvidenceTask) -> list[int]:
    """The number of values of each component of an action.

    Fixed duration: 2 for each answer (0 is -1, 1 is +1); with `withhold` 3 (0 withholds, 1 is -1, 2 is +1). Free
    reaction time: 1 + 2Q for each (0 waits, else a level); with one common stop, a component of 2 (1 stops), then 2Q
    for each answer (level - 1), which count when it stops.
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
    """The levels that actions stand for.

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


def reported_probability(task: EvidenceTask, level: Int[np.ndarray, "*N"]) -> Float[np.ndarray, "*N"]:
    """The probability of +1 that levels claim; 1/2 for no answer."""
    return np.where(level == 0, 0.5, (level - 0.5) / (2 * n_confidence(task)))


def choices(task: EvidenceTask, level: Int[np.ndarray, "*N"]) -> Int8[np.ndarray, "*N"]:
    """The answers that levels stand for: +1, -1, or 0 for none."""
    return np.where(level == 0, 0, np.where(level > n_confidence(task), 1, -1)).astype(np.int8)


def reward_table(task: EvidenceTask) -> Float[np.ndarray, "2 L"]:
    """What an answer pays, by label (row 0: -1, row 1: +1) and level (column 0: none, pays 0), before the costs.

    With q the probability claimed for the chosen side: "quadratic" pays 1 - 4 (1-q)² if right and 1 - 4 q² if wrong
    (an affine Brier score: honesty is best, and the best expectation is (2p-1)²); "log" pays 1 + log2 of the
    probability claimed for the label; "accuracy" and "share" pay 1 if right, else 0. Never answering is worth
    knowing nothing under the first two.
    """
    level = np.arange(1 + 2 * n_confidence(task))
    p = reported_probability(task, level)
    of_label = np.stack([1 - p, p])
    if task.payoff == "quadratic":
        table = 1 - 4 * (1 - of_label) ** 2
    elif task.payoff == "log":
        table = 1 + np.log2(of_label)
    else:
        table = np.where(of_label > 0.5, 1.0, 0.0)
    table[:, 0] = 0
    return table


def score(
    task: EvidenceTask,
    trials: LabelsAndTiming | Trials,
    t: Any,
    action: Int[np.ndarray, "N M"],
    committed: Commitments | None = None,
) -> Outcome:
    """What `action` pays at step `t` (counted from 0; an int or `[N]`), which is the answer to observation t.

    Fixed duration: every decision step pays the share of right answers divided by the number of decision steps, and
    with `withhold` an answer before the cue falls costs `early_penalty` times the share answered. Free reaction time:
    on each stimulus step, every task still open costs time_cost / A, and then each new answer pays its entry of
    `reward_table` divided by A; the trial ends when no task is open, or with the stimulus. Rewards add over tasks.

    Raises:
        ValueError: if an action that counts is out of its range.
    """
    if task.reaction_time:
        return _score_reaction_time(task, trials, t, action, committed)
    when, level = trials.timing, response_options(task, action)
    side = level.astype(np.int8)  # levels 1 and 2 become -1 and +1; no answer, -3, is never right
    side *= 2
    side -= 3
    correct = side == trials.asked
    counts = t >= when.go
    # The number of right answers as a product with ones: exact in float32, and many times faster than a sum of bools.
    n_right = (correct.astype(np.float32) @ np.ones(task.n_answers, np.float32)).astype(float)
    reward = n_right / (task.n_answers * (when.end - when.go))
    reward *= counts
    if task.withhold:
        reward -= task.early_penalty / task.n_answers * np.count_nonzero(level, axis=1) * (1 - counts)
    ended = np.empty(len(action), bool)
    ended[...] = t >= when.end - 1
    return Outcome(reward, ended, None, correct)


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
    """What each task paid: on a decision step (fixed duration), or over the whole trial (reaction time)."""
    when, committed = trials.timing, outcome.committed
    if committed is None:
        assert outcome.correct is not None
        return TaskOutcomes(outcome.correct / column(task.n_answers * (when.end - when.go)), outcome.correct)
    given = committed.levels != 0
    seen = np.where(given, committed.response_steps, column(when.stimulus_off - when.stimulus_on))
    paid = rewards_of(task, trials.asked, committed.levels) - task.time_cost * seen
    right = ((committed.levels > task.n_confidence) == (trials.asked > 0)) & given
    return TaskOutcomes(paid / task.n_answers, right)


def rewards_of(
    task: EvidenceTask, label: Int8[np.ndarray, "*N"], level: Int[np.ndarray, "*N"]
) -> Float[np.ndarray, "*N"]:
    """The entries of `reward_table` for labels (+1 or -1) and levels."""
    table = task.payoffs
    return table.ravel().take((label > 0) * table.shape[1] + level)


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
    t: Any,
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
    answered &= before.levels == 0
    # The fixation step takes no answers, and costs nothing.
    answered[np.flatnonzero(~watching) if watching.ndim else ~watching] = False
    # Few tasks are answered on any one step: look at those alone.
    new = answered.ravel().nonzero()[0]
    trial, level = new // n_answers, action.ravel()[new]
    if len(new) and level.view(f"u{level.itemsize}").max() > 2 * task.n_confidence:
        _refuse(np.where(answered, action, 0), np.array(action_sizes(task)))
    after = Commitments(
        before.levels.copy(), before.response_steps.copy(), before.n_open - np.bincount(trial, minlength=n)
    )
    after.levels.ravel()[new] = level
    after.response_steps.ravel()[new] = seen[trial] if seen.ndim else seen
    paid = rewards_of(task, trials.asked.ravel()[new], level)
    reward = (np.bincount(trial, paid, n) - task.time_cost * (before.n_open * watching)) / n_answers
    return Outcome(reward, (after.n_open == 0) | (t >= trials.timing.end - 1), after, None)
