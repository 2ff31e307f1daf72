"""What an agent earns by answering when it does, against the best there is. Axis letters: see `behavior`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, Int8

from mtrnn_analysis.behavior.answers import (
    bin_means,
    check_answers,
    check_reaction_time,
    equal_mass,
    interval,
    optimal_run,
    resampled,
    shuffles,
    steps_taken,
)
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.ideal_observer.expected_accuracy import stimulus_lengths
from mtrnn_envs.ideal_observer.stopping import solve
from mtrnn_envs.reward import expected_rewards, rewards_of
from mtrnn_envs.utils.validation import check_int

LEAST = 50  # answers
N_QUANTILES = 5  # of response steps, in the conditional accuracy function
FASTEST = 1e-4  # a step is taken to cost this much at least where times are compared, so that nobody waits for nothing


@dataclass(frozen=True, eq=False, kw_only=True)
class SpeedAccuracy(ProbeResult):
    """An agent among the policies of when to answer.

    "Pay" is what answers earn before the cost of time; reward = pay - time_cost * mean step, a trial, mean over tasks.
    Tasks left open are paid nothing and have cost all steps of the trial; with these the mean step is taken.

    Attributes:
        value: (reward - chance) / (optimal - chance): 0 is the best that can be earned without looking at the
            evidence, 1 what the best policy earns in expectation. On a finite set of trials it can be a little above 1.
        null: the same for answers handed to other trials, with their times and confidence.
        n: trials.
        interval: 95 % bootstrap interval of `value`, over trials.
        reward, optimal_reward, chance_reward, fixed_reward: of the agent; of the best policy (expected); of the better
            of answering at the first step without evidence and of never answering; and of the best of the policies that
            answer everything after the same number of samples, `fixed_step`.
        pay, mean_step: of the agent.
        accuracy: share of right ones among the answers given.
        answered: share of tasks answered.
        optimal_step, optimal_accuracy, optimal_answered: of the best policy.
        method: how the best policy was found; "lower bound ..." is good and not the best.
        frontier_costs, frontier_steps, frontier_pay, frontier_accuracy: the best policies of tasks in which time costs
            more or less. No policy of any kind lies above (frontier_steps, frontier_pay) or the chords between its
            points, because each maximises pay - cost * step; accuracies are theirs, of the answers given.
        fixed_steps, fixed_pay, fixed_accuracy: answering everything after t samples, ideally, on the first `n_ideal`
            trials (pays expected from the evidence).
        step_counts, step_accuracy, ideal_step_accuracy: the conditional accuracy function: for each response step from
            1 on, how many answers were given there, the share of right ones, and of right ones had the ideal observer
            answered instead then (on the first trials). NaN where there are none.
        quantile_steps, quantile_accuracy: the same in 5 bins of response steps of equal mass.
        time_cost: of the task, a step.
    """

    interval: tuple[float, float]
    reward: float
    optimal_reward: float
    chance_reward: float
    fixed_reward: float
    fixed_step: int
    pay: float
    mean_step: float
    accuracy: float
    answered: float
    optimal_step: float
    optimal_accuracy: float
    optimal_answered: float
    method: str
    n_ideal: int
    frontier_costs: Float[np.ndarray, " P"]
    frontier_steps: Float[np.ndarray, " P"]
    frontier_pay: Float[np.ndarray, " P"]
    frontier_accuracy: Float[np.ndarray, " P"]
    fixed_steps: Int[np.ndarray, " F"]
    fixed_pay: Float[np.ndarray, " F"]
    fixed_accuracy: Float[np.ndarray, " F"]
    step_counts: Int[np.ndarray, " S"]
    step_accuracy: Float[np.ndarray, " S"]
    ideal_step_accuracy: Float[np.ndarray, " S"]
    quantile_steps: Float[np.ndarray, " B"]
    quantile_accuracy: Float[np.ndarray, " B"]
    time_cost: float


def speed_accuracy(
    answers: Int8[np.ndarray, "N A"],
    labels: Int8[np.ndarray, "N A"],
    response_steps: Int[np.ndarray, "N A"],
    confidence: Float[np.ndarray, "N A"],
    trials: Trials,
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    n_bootstrap: int = 100,
    n_ideal: int = 200,
    cost_factors: tuple[float, ...] = (0.25, 4.0),
) -> SpeedAccuracy:
    """Reward and accuracy against time in reaction-time tasks; see `SpeedAccuracy`.

    Null hypothesis: the answers have nothing to do with x*. Then any order of the trials' rows of answers, with their
    times and confidence, is as likely (among trials with the same cue, where one task is asked). Its mean is not 0: an
    agent that claims much and knows nothing earns less than one that keeps to chance.

    Arguments:
        answers: +1, -1 or 0 for none.
        labels: the right answers.
        response_steps: the stimulus observation each was given to, from 1; 0 for none.
        confidence: claimed for the answer.
        trials: the same trials, with their evidence.
        rng: draws null and bootstrap.
        n_null: draws of the null.
        n_bootstrap: bootstrap samples.
        n_ideal: the first trials, on which the ideal observer is run at all steps.
        cost_factors: the points of the frontier beside that of the task itself, as factors of its cost of time. Each
            takes a dynamic program; they are left out where there is none.

    Raises:
        ValueError: if an argument is out of its range, the task has a fixed duration, fewer than 50 answers are given,
            or no policy can be computed.
    """
    task, context, n = trials.task, trials.context, len(answers)
    check_reaction_time(task)
    check_int("n_null", n_null, 0)
    check_int("n_bootstrap", n_bootstrap, 0)
    check_int("n_ideal", n_ideal, 1)
    if not all(factor > 0 for factor in cost_factors):
        raise ValueError(f"cost_factors={cost_factors!r} must be numbers above 0")
    others = {"labels": labels, "response_steps": response_steps, "confidence": confidence, "trials": trials.latents}
    check_answers(answers, LEAST, **others)
    given, steps = answers != 0, steps_taken(response_steps, trials)
    level = _levels(task, answers, confidence)

    def rewards(order: np.ndarray | slice) -> np.ndarray:
        return (rewards_of(task, labels, level[order]) - task.time_cost * steps[order]).mean(axis=1)

    best = solve(task)
    chance = _chance(task, labels, trials)
    reward = rewards(slice(None))
    scaled = (reward - chance) / (best.value - chance)
    value = float(scaled.mean())
    null = np.array([rewards(order).mean() - chance for order in shuffles(n, context, n_null, rng)])
    null = null.reshape(n_null) / (best.value - chance)
    m = min(n, n_ideal)
    p = optimal_run(trials[:m]).probabilities
    fixed = np.arange(1, stimulus_lengths(task)[0] + 1)
    fixed_pay = np.array([expected_rewards(task, p[t - 1])[0].mean() for t in fixed])
    fixed_accuracy = np.array([np.maximum(p[t - 1], 1 - p[t - 1]).mean() for t in fixed])
    fixed_rewards = fixed_pay - task.time_cost * fixed
    costs, frontier = _frontier(task, cost_factors)
    right = (answers == labels)[given].astype(float)
    at, longest = response_steps[given] - 1, task.longest.stimulus
    asked_p = p[np.maximum(steps[:m] - 1, 0), np.arange(m)[:, None], np.arange(p.shape[2])]
    quantiles = equal_mass(at + 1, N_QUANTILES)
    n_quantiles = int(quantiles.max()) + 1
    return SpeedAccuracy(
        value=value,
        null=null,
        p=p_value(value, null),
        n=n,
        settings={
            "n_null": n_null,
            "n_bootstrap": n_bootstrap,
            "n_ideal": n_ideal,
            "cost_factors": tuple(float(f) for f in cost_factors),
        },
        interval=interval(resampled(n, n_bootstrap, rng) @ scaled / n),
        reward=float(reward.mean()),
        optimal_reward=best.value,
        chance_reward=chance,
        fixed_reward=float(fixed_rewards.max()),
        fixed_step=int(fixed[np.argmax(fixed_rewards)]),
        pay=float(rewards_of(task, labels, level).mean()),
        mean_step=float(steps.mean()),
        accuracy=float(right.mean()),
        answered=float(given.mean()),
        optimal_step=best.response_step,
        optimal_accuracy=best.accuracy_answered,
        optimal_answered=best.answered,
        method=best.method,
        n_ideal=m,
        frontier_costs=costs,
        frontier_steps=frontier[0],
        frontier_pay=frontier[1],
        frontier_accuracy=frontier[2],
        fixed_steps=fixed,
        fixed_pay=fixed_pay,
        fixed_accuracy=fixed_accuracy,
        step_counts=np.bincount(at, minlength=longest),
        step_accuracy=bin_means(at, right, longest),
        ideal_step_accuracy=bin_means((steps[:m] - 1)[given[:m]], np.maximum(asked_p, 1 - asked_p)[given[:m]], longest),
        quantile_steps=bin_means(quantiles, at + 1, n_quantiles),
        quantile_accuracy=bin_means(quantiles, right, n_quantiles),
        time_cost=task.time_cost,
    )


def _levels(task: EvidenceTask, answers: np.ndarray, confidence: np.ndarray) -> Int[np.ndarray, "N A"]:
    """The level of each answer, from 1; 0 for none: what `mtrnn_envs.reward.reported_probability` is the inverse of."""
    claimed = np.where(answers > 0, confidence, 1 - confidence)
    level = np.rint(2 * task.n_confidence * claimed + 0.5).astype(np.int64)
    return np.where(answers != 0, np.clip(level, 1, 2 * task.n_confidence), 0)


def _chance(task: EvidenceTask, labels: np.ndarray, trials: Trials) -> float:
    """What is earned without evidence: the most common label at the level that pays most, at once; or never."""
    up = (labels > 0).mean(axis=0)
    at_once = expected_rewards(task, up)[0] - task.time_cost
    return float(np.maximum(at_once, -task.time_cost * np.mean(trials.n_samples)).mean())


def _frontier(task: EvidenceTask, factors: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Costs of time `[P]`, and mean step, pay and accuracy of the best policies under them `[3, P]`, fastest last."""
    own = max(task.time_cost, FASTEST)
    best = {task.time_cost: solve(task)}
    if best[task.time_cost].method.startswith("dynamic"):
        best |= {own * f: solve(replace(task, time_cost=own * f)) for f in factors}
    costs = np.array(sorted(best))
    rows = [
        (b.response_step, b.value + c * b.response_step, b.accuracy_answered)
        for c, b in ((float(c), best[float(c)]) for c in costs)
    ]
    return costs, np.array(rows).T
