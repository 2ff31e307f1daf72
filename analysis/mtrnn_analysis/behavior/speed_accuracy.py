"""Reward of an agent's response times, against the best policies. Axis letters: see `behavior.answers`."""

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

N_QUANTILES = 5  # of response steps, in the conditional accuracy function
FASTEST = 1e-4  # least cost of a step on the frontier, where waiting must not be free


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SpeedAccuracy(ProbeResult):
    """How well the agent trades speed for accuracy. `value` is its reward on a scale from chance, 0, to the best policy
    of when to answer, 1.

    "Pay" is the reward of answers before the cost of time; reward = pay - time_cost * mean step, a trial, mean over
    tasks. Open tasks earn nothing and cost all steps of the trial; they count in the mean step.

    Attributes:
        value: (reward - chance) / (optimal - chance): 0 is the best without a look at the evidence, 1 the expectation
            of the best policy. On a finite set of trials it can be a little above 1.
        null: the same with the answers of other trials, their times and confidence.
        n: trials.
        interval: 95 % bootstrap interval of `value`, over trials.
        reward, optimal_reward, chance_reward, fixed_reward: of the agent; of the best policy (expected); of the better
            of answering at the first step without evidence and of never answering; and of the best of the policies that
            answer everything after the same number of samples, `fixed_step`.
        pay, mean_step: of the agent.
        accuracy: share of right answers among those given.
        answered: share of tasks answered.
        optimal_step, optimal_accuracy, optimal_answered: of the best policy.
        method: of finding the best policy; "lower bound ..." is good and not the best.
        frontier_costs, frontier_steps, frontier_pay, frontier_accuracy: the best policies of tasks in which time costs
            more or less. No policy of any kind lies above (frontier_steps, frontier_pay) or the chords between its
            points, because each maximises pay - cost * step; accuracies are theirs, of the answers given.
        fixed_steps, fixed_pay, fixed_accuracy: ideal answers to all tasks after t samples, on the first `n_ideal`
            trials (pay expected from the evidence).
        step_counts, step_accuracy, ideal_step_accuracy: the conditional accuracy function: for each response step from
            1 on, the number of answers, the share of right ones, and the ideal observer's share at that step (on the
            first trials). NaN where there are none.
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
    """Reward against time in reaction-time tasks; see `SpeedAccuracy`, and for inputs `mtrnn_analysis.behavior`.

    Null hypothesis: the answers, with their times and confidence, have nothing to do with x*. Its mean is not 0: a
    confident agent without knowledge earns less than chance.

    Arguments:
        n_null: draws of the null.
        n_bootstrap: draws of the bootstrap.
        n_ideal: the first trials, on which the ideal observer is run at all steps.
        cost_factors: the points of the frontier beside that of the task itself, as factors of its cost of time. Each
            takes a dynamic program; without one they are left out.

    Raises:
        ValueError: if an argument is out of its range, the task has a fixed duration, there are fewer than 50 answers,
            or no policy can be computed.
    """
    task, context, n = trials.task, trials.context, len(answers)
    check_reaction_time(task)
    for name, number, low in (("n_null", n_null, 0), ("n_bootstrap", n_bootstrap, 0), ("n_ideal", n_ideal, 1)):
        check_int(name, number, low)
    if not all(factor > 0 for factor in cost_factors):
        raise ValueError(f"cost_factors={cost_factors!r} must be numbers above 0")
    others = {"labels": labels, "response_steps": response_steps, "confidence": confidence, "trials": trials.latents}
    check_answers(answers, **others)
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
    factors = tuple(float(f) for f in cost_factors)
    return SpeedAccuracy(
        value=value,
        null=null,
        p=p_value(value, null),
        n=n,
        settings={"n_null": n_null, "n_bootstrap": n_bootstrap, "n_ideal": n_ideal, "cost_factors": factors},
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
    """The response option of each answer, from 1; 0 for none (see `mtrnn_envs.reward.reported_probability`)."""
    p_up = np.where(answers > 0, confidence, 1 - confidence)
    level = np.rint(2 * task.n_confidence * p_up + 0.5).astype(np.int64)
    return np.where(answers != 0, np.clip(level, 1, 2 * task.n_confidence), 0)


def _chance(task: EvidenceTask, labels: np.ndarray, trials: Trials) -> float:
    """The reward without evidence: the most common label with the best confidence, at once; or never an answer."""
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
    found = [(c, best[c]) for c in costs.tolist()]
    return costs, np.array([(b.response_step, b.value + c * b.response_step, b.accuracy_answered) for c, b in found]).T
