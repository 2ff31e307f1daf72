"""What an agent is worth in one setting of the benchmark: numbers, and scores that are 0 by chance and 1 at the best.

| score | of what | 0 is | 1 is |
|---|---|---|---|
| performance | mean reward of a test trial | actions drawn evenly | the ideal observer, or optimal stopping |
| learning | performance after training of 512 to 32,768 trials, mean over their logarithm | as above | as above |
| generalisation | performance in a quadrant of x* without training | as above | as above |
| memory | performance where answers are asked for much later than in training | as above | as above |
| abstraction | mean of OOD r2_prior (below 0: 0), CCGP less 1/2, parallelism | a code without x* | mean of samples |
| confidence | how far the Brier score of claims is below chance | see there | ideal claims at the same steps |

The mean of the samples is a linear code of all that was seen, in the same trials, and is asked by the same probes. By
chance the Brier score is 1/4, that of 1/2; in reaction-time tasks, that of levels of confidence drawn evenly.
Scores are None where an agent does not tell what is needed: states for abstraction, probabilities for confidence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import gymnasium as gym
import numpy as np
from jaxtyping import Float

from mtrnn_envs.experiments.entrants import made, trained
from mtrnn_envs.experiments.probing import probe
from mtrnn_envs.experiments.run import ideals
from mtrnn_envs.experiments.suite import BUDGETS, N_TRIALS, Setting, changed, task_of
from mtrnn_envs.ideal_observer import answer_probabilities, running_means, trial_probabilities
from mtrnn_envs.latents import in_orthants
from mtrnn_envs.optimal_stopping import best_levels
from mtrnn_envs.recording import Recording, record
from mtrnn_envs.score import claimed
from mtrnn_envs.stream import shown_task
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, samples_seen

SCORES = ("performance", "learning", "generalisation", "memory", "abstraction", "confidence")
PROBES = {"decoding": 0.0, "ccgp": 0.5, "parallelism": 0.0}  # and what each finds of a code without x*
N_CLAIMS = 500  # trials whose claims are held against ideal ones, where these take a posterior for each step
N_ENVS = 256


def scored(
    make: Callable[..., Any],
    setting: Setting,
    seed: int,
    *,
    secret: int = 0,
    bare: bool = False,
    budgets: Sequence[int] = BUDGETS,
    n_trials: int = N_TRIALS,
) -> dict[str, Any]:
    """What `make` is worth in `setting` under `seed`.

    Arguments:
        make: what makes the agent; see `mtrnn_envs.experiments.entrants`.
        setting: of the suite.
        seed: of the task and of the agent.
        secret: of what is unannounced, and of the test trials.
        bare: show the evidence itself, without the encoder.
        budgets: trials of training, rising; the last is that of all scores but "learning".
        n_trials: test trials.

    Returns:
        `scores` (None: not measured), `numbers` they come of, `cpu_s` of training with the last budget, and `refused`:
        why the agent could not do it, or an empty string. What is refused has the performance of chance.
    """
    task = task_of(setting, seed, secret)
    if bare:
        task = replace(task, encoder=None, encoder_seed=0, encoder_noise=0.0)
    tested = shown_task(task, "test")
    worst, best = chance(tested), _best(tested)
    numbers: dict[str, Any] = {"chance": worst, "ideal": best}
    scores: dict[str, float | None] = dict.fromkeys(SCORES)

    def performance(recording: Recording) -> float:
        if setting.held_out is not None:
            recording = rows_of(recording, in_orthants(recording.latents, (setting.held_out,)))
        return (float(recording.rewards.sum(axis=1).mean()) - worst) / (best - worst)

    cpu_s, curve = 0.0, []
    try:
        agent = made(make, task, tested, seed)
        learns = callable(getattr(agent, "fit", None))
        for budget in budgets if learns else ():
            begun = time.process_time()
            agent = trained(made(make, task, tested, seed), task, seed, budget)
            cpu_s = time.process_time() - begun
            if budget < budgets[-1]:
                curve.append(performance(_recorded(agent, tested, n_trials, secret)))
        recording = _recorded(agent, tested, n_trials, secret)
        scores["performance"] = performance(recording)
        numbers["reward"] = float(recording.rewards.sum(axis=1).mean())
        numbers["accuracy"] = float(recording.correct.mean())
        scores["learning"] = _area(budgets, [*curve, scores["performance"]]) if learns else scores["performance"]
        if learns:
            numbers |= {"trials": list(budgets), "curve": [*curve, scores["performance"]]}
        if setting.held_out is not None:
            scores["generalisation"] = scores["performance"]
        trials = recording.trials()
        scores["abstraction"] = _abstraction(recording, trials, numbers)
        scores["confidence"] = _confidence(recording, trials, numbers)
        if setting.long:
            scores["memory"] = performance(_recorded(agent, changed(tested, setting.long), n_trials, secret))
    except (ValueError, FloatingPointError) as error:  # a refusal, or training that diverged
        scores["performance"] = scores["performance"] or 0.0
        return {"scores": scores, "numbers": numbers, "cpu_s": cpu_s, "refused": f"{error}"}
    return {"scores": scores, "numbers": numbers, "cpu_s": cpu_s, "refused": ""}


def chance(task: EvidenceTask) -> float:
    """The mean reward of a trial of actions that are drawn evenly.

    Fixed duration: 1/2. One of the 1 + 2K actions of a task waits, w = 1 / (1 + 2K), so that it is open at the t-th of
    T steps with probability w^(t-1), and answered in the end with 1 - w^T: the reward is (1 - w^T) times the mean entry
    of `payoff_table`, less the time cost times the sum of w^(t-1).
    """
    if not task.reaction_time:
        return 0.5
    wait, steps = 1 / (1 + 2 * task.n_confidence), task.stimulus
    shortest, longest = steps if isinstance(steps, tuple) else (steps, steps)
    paid = [
        (1 - wait**n) * task.payoffs[:, 1:].mean() - task.time_cost * (1 - wait**n) / (1 - wait)
        for n in range(shortest, longest + 1)
    ]
    return float(np.mean(paid))


def rows_of(recording: Recording, rows: np.ndarray) -> Recording:
    """Some trials of a recording."""
    arrays = {name: value[rows] for name, value in vars(recording).items() if isinstance(value, np.ndarray)}
    return replace(recording, **arrays)


def _best(task: EvidenceTask) -> float:
    found = ideals(task, ["reward"])
    if "reward" not in found:
        raise ValueError(f"the best reward of {task} is not known")
    return found["reward"]


def _recorded(agent: Any, task: EvidenceTask, n_trials: int, seed: int) -> Recording:
    env = gym.make_vec("MultiTaskEvidence-v0", min(N_ENVS, n_trials), split="test", **asdict(task))
    return record(agent, env, n_trials, seed=seed)


def _area(budgets: Sequence[int], performance: Sequence[float]) -> float:
    """The mean of performance over the logarithm of trials, by trapezoids; what is below chance counts as chance."""
    at, height = np.log(budgets), np.clip(performance, 0, None)
    return float(np.sum((height[1:] + height[:-1]) / 2 * np.diff(at)) / (at[-1] - at[0])) if len(at) > 1 else height[0]


def _abstraction(recording: Recording, trials: Trials, numbers: dict[str, Any]) -> float | None:
    if recording.hidden is None:
        return None
    found, most = _geometry(recording), _geometry(_of_mean_samples(recording, trials))
    numbers |= {**found, **{f"{name} of mean samples": value for name, value in most.items()}}
    above = {**found, "decoding": max(found["decoding"], 0.0)}
    return float(np.mean([(above[name] - nothing) / (most[name] - nothing) for name, nothing in PROBES.items()]))


def _geometry(recording: Recording) -> dict[str, float]:
    return {name: float(probe(recording, name, n_null=0).value) for name in PROBES}


def _of_mean_samples(recording: Recording, trials: Trials) -> Recording:
    """The recording with the mean of the samples seen by the last step of each trial as the state at that step."""
    rows, last = np.arange(len(recording)), recording.last_steps
    hidden = np.full((*recording.valid.shape, recording.latents.shape[1]), np.nan, np.float32)
    hidden[rows, last] = running_means(trials)[rows, samples_seen(trials, last) - 1]
    return replace(recording, hidden=hidden)


def _confidence(recording: Recording, trials: Trials, numbers: dict[str, Any]) -> float | None:
    """The Brier score of what was claimed of each answer that was given, beside that of what should have been."""
    task, claims = recording.task, recording.probabilities
    should, nothing = claims, 0.25
    if task.reaction_time:
        some = np.arange(min(N_CLAIMS, len(recording)))
        recording, trials = rows_of(recording, some), trials[some]
        assert recording.confidence is not None
        claims = np.where(recording.answers > 0, recording.confidence, 1 - recording.confidence)
        should = claimed(task, best_levels(task, _at_response(recording, trials)))
        nothing = float(np.mean(claimed(task, np.arange(1, 1 + 2 * task.n_confidence)) ** 2))
    elif claims is not None:
        should = _asked(trial_probabilities(trials), recording)
    given = recording.answers != 0
    if claims is None or should is None or not given.any():
        return None
    plus = recording.asked > 0
    brier, least = (float(np.mean((p - plus)[given] ** 2)) for p in (claims, should))
    numbers |= {"brier": brier, "ideal brier": least}
    return (nothing - brier) / (nothing - least)


def _at_response(recording: Recording, trials: Trials) -> Float[np.ndarray, "N A"]:
    """The ideal probability of +1 at the step of each answer; 1/2 where there is none."""
    task, means, p = recording.task, running_means(trials), np.full(recording.answers.shape, 0.5)
    for t in np.unique(recording.response_steps[recording.answers != 0]):
        here = (recording.response_steps == t) & (recording.answers != 0)
        rows = np.flatnonzero(here.any(axis=1))
        ideal = _asked(answer_probabilities(task, means[rows, t - 1], int(t)), rows_of(recording, rows))
        p[rows] = np.where(here[rows], ideal, p[rows])
    return p


def _asked(of_tasks: Float[np.ndarray, "N K"], recording: Recording) -> Float[np.ndarray, "N A"]:
    """What concerns the tasks that were asked."""
    if recording.context is None:
        return of_tasks
    return np.take_along_axis(of_tasks, recording.context[:, None], axis=1)
