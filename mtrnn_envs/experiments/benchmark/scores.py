"""The scores of an agent in one setting of the benchmark: 0 by chance and 1 at the best, and the numbers behind them.

| score | measures | 0 is | 1 is |
|---|---|---|---|
| performance | mean reward of a test trial | actions drawn evenly | the ideal observer, or optimal stopping |
| learning | performance after training of 512 to 32,768 trials, mean over their logarithm | as above | as above |
| generalisation | mean reward in a quadrant of x* without training | the nearest x* with training | as above |
| memory | performance where answers are due much later than in training | as above | as above |
| abstraction | OOD r2_prior, CCGP and parallelism, times performance | states without x* | mean of samples |
| confidence | how far the Brier score is below 1/4, that of a constant 1/2 | constant 1/2 | ideal confidence |

In tasks of fixed duration the ideal observer answers the same trials. In reaction-time tasks optimal stopping has its
expectation; there, a blind answer at once, with the least confidence, is better than actions drawn evenly (`blind` in
the numbers).

**Generalisation.** Half of all lines do not cross a quadrant, and answers for the nearest x* that training can have
shown are right in most others, too. These are 0: the answers for the likeliest x* under a prior without the quadrant.
Lower scores count as 0 (`held out: score` in the numbers does not). Performance then concerns the other trials; an
agent that has learned which they are may exceed the ideal observer, and 1, by some thousandths.

**Abstraction.** The mean of the three measures, each above that of states without x* (CCGP: 1/2; lower values count as
it), over trials in all orthants. The mean of the samples is a linear code of all evidence, in the same trials, and is
probed in the same way. The observation, too, is a linear code of x* (but for the encoder), and so are the states of an
untrained network: an agent that answers by chance would score high. The score therefore counts in proportion to how far
the agent's answers are better than blind ones. In the numbers, `code` is without that factor, and `code at first` the
same for the agent of the smallest budget.

**Confidence.** From `probabilities` in tasks of fixed duration; in reaction-time tasks from the reported confidence of
the answers, compared with the best report at the same step, where a task without an answer counts as 1/2 at the last
step. Scores below 0 count as 0.

A score is None where a setting does not test it, or the agent lacks what it needs: `fit` for learning, `hidden` (or a
state that is an array) for abstraction, `probabilities` for confidence. What an agent fails at is 0, and `refused` says
why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from jaxtyping import Float

from mtrnn_envs.components.latents import in_orthants
from mtrnn_envs.experiments.benchmark import suite
from mtrnn_envs.experiments.benchmark.agents import Make, make_agent, train_agent
from mtrnn_envs.experiments.benchmark.suite import BUDGETS, N_TRIALS, Setting, seed_of_tests
from mtrnn_envs.experiments.monitoring import ideals
from mtrnn_envs.ideal_observer.expected_accuracy import stimulus_lengths
from mtrnn_envs.ideal_observer.posterior import answer_probabilities, running_means, trial_probabilities
from mtrnn_envs.probing import probe
from mtrnn_envs.protocols import Agent
from mtrnn_envs.recording import Recording, record
from mtrnn_envs.reward import best_options, expected_rewards, reported_probability
from mtrnn_envs.stream import shown_task
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, samples_seen

SCORES = ("performance", "learning", "generalisation", "memory", "abstraction", "confidence")
PROBES = {"decoding": 0.0, "ccgp": 0.5, "parallelism": 0.0}  # and the value of each for states without x*
N_CONFIDENCE_TRIALS = 500  # in reaction-time tasks, whose ideal confidence takes a posterior for each step
N_ENVS = 256
MAX_CHARACTERS = 300  # of an error


def scored(
    make: Make,
    setting: Setting,
    seed: int,
    *,
    hidden_seed: int = 0,
    raw_evidence: bool = False,
    budgets: Sequence[int] = BUDGETS,
    n_trials: int = N_TRIALS,
) -> dict[str, Any]:
    """Trains and tests an agent in a setting under a seed.

    Arguments:
        make: makes the agent; see `mtrnn_envs.experiments.benchmark.agents`.
        seed: of the task, the agent and the test trials.
        hidden_seed: of the randomised setting, and of the test trials.
        budgets: trials of training, increasing; the last is that of all scores but "learning".

    Returns:
        `scores` (None: not measured), the `numbers` behind them, `cpu_s` of training with the last budget, `learns`
        (whether the agent has `fit`), and `refused`: for each score that failed, why.
    """
    task = suite.task_of(setting, seed, hidden_seed)
    if raw_evidence:
        task = suite.with_raw_evidence(task)
    tested = shown_task(task, "test")
    scores: dict[str, float | None] = dict.fromkeys(SCORES)
    numbers: dict[str, Any] = {"chance": chance(tested), "blind": blind(tested)}
    refused: dict[str, str] = {}
    attempt = partial(_attempt, refused)
    agents, learns, cpu_s = _trained(make, task, tested, seed, budgets, attempt)
    first_trial = seed_of_tests(setting, seed, hidden_seed)

    def test(agent: Agent | None, task: EvidenceTask = tested, seed: int = first_trial) -> Tested | None:
        return None if agent is None else _tested(agent, task, n_trials=n_trials, seed=seed)

    last = agents[-1] if agents else None
    whole_test = attempt("performance", lambda: test(last))
    if whole_test is None:
        tests = {"performance": True, "learning": learns}
        tests |= {"generalisation": setting.held_out is not None, "memory": bool(setting.long)}
        scores |= {name: 0.0 for name, is_tested in tests.items() if is_tested}
    else:
        seen, held_out = _split(whole_test, setting.held_out)
        scores["performance"] = performance(seen, numbers)
        if held_out is not None and setting.held_out is not None:
            scores["generalisation"] = generalisation(held_out, setting.held_out, numbers)
        if setting.long:
            again = seed_of_tests(setting, seed, hidden_seed, long=True)
            of_long = attempt("memory", lambda: test(last, suite.changed(tested, setting.long), again))
            scores["memory"] = 0.0 if of_long is None else performance(of_long, numbers, "long: ")
        share = attempt("abstraction", lambda: abstraction(whole_test, numbers), 0.0, of=ValueError)
        scores["abstraction"] = None if share is None else _above_blind(numbers) * share
        numbers["code"] = share
        scores["confidence"] = attempt("confidence", lambda: confidence(seen, numbers), 0.0, of=ValueError)
        if learns:
            early = [attempt("learning", partial(test, each)) for each in agents[:-1]]
            curve = [0.0 if each is None else performance(_split(each, setting.held_out)[0], {}) for each in early]
            curve += [scores["performance"]]
            scores["learning"] = _area(budgets, curve)
            numbers |= {"trials": list(budgets), "curve": curve}
            if early and (first := early[0]) is not None:
                numbers["code at first"] = attempt("code at first", lambda: abstraction(first, {}), of=ValueError)
    return {"scores": scores, "numbers": numbers, "cpu_s": cpu_s, "learns": learns, "refused": refused}


class Tested(NamedTuple):
    """The recording of an agent in test trials, and the trials."""

    recording: Recording
    trials: Trials

    def part(self, rows: slice | np.ndarray) -> Tested:
        """Some of the trials."""
        arrays = {name: value[rows] for name, value in vars(self.recording).items() if isinstance(value, np.ndarray)}
        return Tested(replace(self.recording, **arrays), self.trials[rows])


def _attempt(
    refused: dict[str, str], name: str, measure: Callable[[], Any], failed: Any = None, of: type[Exception] = Exception
) -> Any:
    """`measure()`; if it raises an error that the agent is to blame for, `failed`, and the reason goes to `refused`.

    The agent is to blame for any error where it acts itself, and for those of class `of` where its recording is
    analysed. Other errors are faults of this package, and are raised.
    """
    try:
        return measure()
    except MemoryError:  # of the machine rather than the agent
        raise
    except of as error:
        text = f"{type(error).__name__}: {error}"
        refused[name] = text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} ..."
        return failed


def _trained(
    make: Make, task: EvidenceTask, tested: EvidenceTask, seed: int, budgets: Sequence[int], attempt: Callable[..., Any]
) -> tuple[list[Agent | None], bool, float]:
    """The agents of all budgets, or the one that does not learn; whether it learns; CPU seconds of the last training.

    The list is empty if no agent can be made. None stands for an agent whose training failed; if it is the last, that
    is why there is no performance.
    """
    agent = attempt("performance", lambda: make_agent(make, task, tested, seed))
    if agent is None or not (learns := callable(getattr(agent, "fit", None))):
        return [agent] * (agent is not None), False, 0.0
    agents, cpu_s = [], 0.0
    for budget in budgets:
        begun = time.process_time()
        what = "performance" if budget == budgets[-1] else f"learning from {budget} trials"
        agents.append(attempt(what, lambda n=budget: train_agent(make_agent(make, task, tested, seed), task, seed, n)))
        cpu_s = time.process_time() - begun
    return agents, learns, cpu_s


def performance(test: Tested, numbers: dict[str, Any], prefix: str = "") -> float:
    """The mean reward of a trial, scaled from chance (0) to the best (1); writes what it follows from to `numbers`.

    In tasks of fixed duration the best is the ideal observer's reward in the same trials, and `z` is by how many
    standard errors the agent exceeds it: an agent far above it knows more than it is shown.
    """
    recording, task = test.recording, test.recording.task
    rewards = recording.rewards.sum(axis=1)
    numbers |= {f"{prefix}reward": float(rewards.mean()), f"{prefix}accuracy": float(recording.correct.mean())}
    if task.reaction_time:
        (best,) = ideals(task, ["reward"]).values()
        above = rewards - best
    else:
        right = (_queried(trial_probabilities(test.trials), recording) > 0.5) == (recording.asked > 0)
        best, above = float(right.mean()), recording.correct.mean(axis=1) - right.mean(axis=1)
    error = above.std() / np.sqrt(len(above))
    numbers |= {f"{prefix}ideal": best, f"{prefix}z": float(above.mean() / error) if error > 0 else 0.0}
    return _scaled(float(rewards.mean()), chance(task), best)


def generalisation(test: Tested, held_out: str, numbers: dict[str, Any]) -> float:
    """The mean reward in the held-out orthant, scaled from answers for the nearest trained x* (0) to the ideal (1).

    That x* is the likeliest, given the mean of the samples, under a prior that is flat and without the orthant.
    """
    performance(test, numbers, "held out: ")
    means = _last_means(test)
    inside = np.flatnonzero(in_orthants(means, (held_out,)))
    nearest = np.abs(means[inside] / np.array(test.recording.task.sigmas)).argmin(axis=1)
    means[inside, nearest] = np.array([-1e-9 if sign == "+" else 1e-9 for sign in held_out])[nearest]  # just outside
    right = (_queried(test.recording.task.boundary.margins(means), test.recording) > 0) == (test.recording.asked > 0)
    numbers["held out: nearest"] = nothing = float(right.mean())
    numbers["held out: score"] = score = _scaled(numbers["held out: reward"], nothing, numbers["held out: ideal"])
    return max(0.0, score)


def _scaled(value: float, nothing: float, best: float) -> float:
    return (value - nothing) / (best - nothing)


def _above_blind(numbers: dict[str, Any]) -> float:
    """The reward, scaled from that of blind or random answers, whichever is higher (0), to the best (1)."""
    nothing = max(numbers["blind"], numbers["chance"])
    return float(np.clip(_scaled(numbers["reward"], nothing, numbers["ideal"]), 0, 1))


def chance(task: EvidenceTask) -> float:
    """The mean reward of a trial with actions drawn evenly.

    Fixed duration: 1/2. Else one of the 1 + 2K actions of a task waits, w = 1 / (1 + 2K): the task is open at the t-th
    of T steps with probability w^(t-1), and answered in the end with 1 - w^T. The reward is (1 - w^T) times the mean
    entry of `reward_table`, less the time cost times the sum of w^(t-1).
    """
    if not task.reaction_time:
        return 0.5
    wait = 1 / (1 + 2 * task.n_confidence)
    answered = np.array([1 - wait**n for n in stimulus_lengths(task)])
    rewards = answered * task.reward_table[:, 1:].mean() - task.time_cost * answered / (1 - wait)
    return float(np.mean(rewards))


def blind(task: EvidenceTask) -> float:
    """The best mean reward of a constant action, where both labels are equally likely.

    Fixed duration: 1/2. Else the best response option at the first step, or waiting through all steps.
    """
    if not task.reaction_time:
        return 0.5
    answer = float(task.reward_table[:, 1:].mean(axis=0).max()) - task.time_cost
    return max(answer, -task.time_cost * float(np.mean(stimulus_lengths(task))))


def abstraction(test: Tested, numbers: dict[str, Any]) -> float | None:
    """The mean of OOD r2_prior, CCGP and parallelism, each scaled from states without x* (0) to the mean of the samples
    (1), where lower values count as 0; None without states.
    """
    if test.recording.hidden is None:
        return None
    means = np.full((*test.recording.valid.shape, test.recording.latents.shape[1]), np.nan, np.float32)
    means[np.arange(len(means)), test.recording.last_steps] = _last_means(test)
    values, most = _geometry(test.recording), _geometry(replace(test.recording, hidden=means))
    numbers |= {**values, **{f"{name} of mean samples": value for name, value in most.items()}}
    shares = [(values[name] - nothing) / (most[name] - nothing) for name, nothing in PROBES.items()]
    return float(np.mean(np.clip(shares, 0, None)))


def confidence(test: Tested, numbers: dict[str, Any]) -> float | None:
    """How far the Brier score of the reported probabilities is below 1/4, relative to the best reports (1)."""
    if (task := test.recording.task).reaction_time:
        test = test.part(slice(N_CONFIDENCE_TRIALS))
        recording = test.recording
        assert recording.confidence is not None
        reports = np.where(recording.answers > 0, recording.confidence, 1 - recording.confidence)
        best = _best_reports(task, test)
    elif (reports := test.recording.probabilities) is None:
        return None
    else:
        recording = test.recording
        if not np.all((reports >= 0) & (reports <= 1)):  # NaN is refused, too
            raise ValueError(f"probabilities(state) are from {reports.min():.3g} to {reports.max():.3g}, not in [0, 1]")
        best = _queried(trial_probabilities(test.trials), recording)
    plus = recording.asked > 0
    brier, least = (float(np.mean((p - plus) ** 2)) for p in (reports, best))
    numbers |= {"brier": brier, "ideal brier": least}
    return max(0.0, (0.25 - brier) / (0.25 - least))


def _split(test: Tested, held_out: str | None) -> tuple[Tested, Tested | None]:
    """The trials outside the held-out orthant, and those in it."""
    if held_out is None:
        return test, None
    inside = in_orthants(test.recording.latents, (held_out,))
    return test.part(~inside), test.part(inside)


def _tested(agent: Agent, task: EvidenceTask, n_trials: int, seed: int) -> Tested:
    env = gym.make_vec("MultiTaskEvidence-v0", min(N_ENVS, n_trials), split="test", **asdict(task))
    recording = record(agent, env, n_trials, seed=seed)
    return Tested(recording, recording.trials())


def _area(budgets: Sequence[int], performances: Sequence[float]) -> float:
    """The mean of performance over the logarithm of trials, by trapezoids; below chance counts as chance."""
    at, height = np.log(budgets), np.clip(performances, 0, None)
    return float(np.sum((height[1:] + height[:-1]) / 2 * np.diff(at)) / (at[-1] - at[0])) if len(at) > 1 else height[0]


def _geometry(recording: Recording) -> dict[str, float]:
    return {name: float(probe(recording, name, n_null=0).value) for name in PROBES}


def _last_means(test: Tested) -> Float[np.ndarray, "N D"]:
    """The mean of the samples seen by the last step of each trial."""
    seen = samples_seen(test.trials, test.recording.last_steps)
    return running_means(test.trials)[np.arange(len(seen)), seen - 1]


def _best_reports(task: EvidenceTask, test: Tested) -> Float[np.ndarray, "N A"]:
    """The reported probability with the highest expected reward at the step of each answer.

    Of a task without an answer, at the last step, and 1/2 if no answer has a positive expected reward there.
    """
    recording, trials = test
    answered = recording.answers != 0
    last = samples_seen(trials, recording.last_steps)[:, None]
    when, means = np.where(answered, recording.response_steps, last), running_means(trials)
    p = np.full(when.shape, 0.5)
    for t in np.unique(when):
        rows = np.flatnonzero((when == t).any(axis=1))
        ideal = _queried(answer_probabilities(task, means[rows, t - 1], int(t)), test.part(rows).recording)
        p[rows] = np.where(when[rows] == t, ideal, p[rows])
    worthwhile = expected_rewards(task, p)[0] > 0
    return reported_probability(task, np.where(worthwhile | answered, best_options(task, p), 0))


def _queried(of_tasks: Float[np.ndarray, "N K"], recording: Recording) -> Float[np.ndarray, "N A"]:
    """The columns of the queried tasks."""
    if recording.context is None:
        return of_tasks
    return np.take_along_axis(of_tasks, recording.context[:, None], axis=1)
