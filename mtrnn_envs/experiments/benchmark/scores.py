"""What an agent is worth in one setting of the benchmark: numbers, and scores that are 0 by chance and 1 at the best.

| score | of what | 0 is | 1 is |
|---|---|---|---|
| performance | mean reward of a test trial | actions drawn evenly | the ideal observer, or optimal stopping |
| learning | performance after training of 512 to 32,768 trials, mean over their logarithm | as above | as above |
| generalisation | mean reward in a quadrant of x* without training | the nearest x* with training | as above |
| memory | performance where answers are asked for much later than in training | as above | as above |
| abstraction | OOD r2_prior, CCGP and parallelism, times performance | states without x* | mean of samples |
| confidence | how far the Brier score of claims is below 1/4, that of 1/2 | knowing nothing | ideal claims |

In tasks of fixed duration the ideal observer answers the same trials. In reaction-time tasks optimal stopping has its
expectation; there, to answer at once and blindly, with the least confidence, is better than actions drawn evenly
(`blind` in the numbers).

**Generalisation.** Half of all lines do not cross a quadrant, and who answers for the nearest x* that training can have
shown is right in most others, too. So this is 0: answers for the likeliest x* of who believes that none is in the
quadrant. Below it counts as it (`held out: score` in the numbers does not). Performance is then of the other trials;
the ideal observer does not know that they are others, and who has learned it may be above 1 by some thousandths.

**Abstraction.** The mean over the three, each above what states without x* have (CCGP: 1/2; below it counts as it), of
trials in all orthants. The mean of the samples is a linear code of all that was seen, in the same trials, and is asked
by the same probes. What is shown is a linear code of x*, too, but for the encoder, and so are the states of a network
that has learned nothing: whoever answers by chance would have much of it. It counts, therefore, as far as the agent
answers better than blindly. In the numbers `code` is without that, and `code at first` the same of the agent of the
smallest budget.

**Confidence.** In tasks of fixed duration by `probabilities`; in reaction-time tasks by the levels of its answers, held
against the best claim at the same step, where a task left open claims 1/2 at the last step. Below 0 counts as 0.

A score is None where nothing is asked, or the agent does not tell what is needed: `fit` for learning, `hidden` (or a
state that is an array) for abstraction, `probabilities` for confidence. What an agent was asked and could not do is 0,
and `refused` says why.
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
from mtrnn_envs.experiments.benchmark.agents import made, trained
from mtrnn_envs.experiments.benchmark.suite import BUDGETS, N_TRIALS, Setting, changed, seed_of_tests, task_of
from mtrnn_envs.experiments.monitoring import ideals
from mtrnn_envs.ideal_observer.expected_accuracy import stimulus_lengths
from mtrnn_envs.ideal_observer.observer import answer_probabilities, running_means, trial_probabilities
from mtrnn_envs.probing import probe
from mtrnn_envs.recording import Recording, record
from mtrnn_envs.reward import best_options, expected_rewards, reported_probability
from mtrnn_envs.stream import shown_task
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, samples_seen

SCORES = ("performance", "learning", "generalisation", "memory", "abstraction", "confidence")
PROBES = {"decoding": 0.0, "ccgp": 0.5, "parallelism": 0.0}  # and what each finds of states without x*
N_CLAIMS = 500  # trials whose claims are held against ideal ones, where these take a posterior for each step
N_ENVS = 256
MOST_SAID = 300  # characters of an error


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
        make: what makes the agent; see `mtrnn_envs.experiments.benchmark.agents`.
        setting: of the suite.
        seed: of the task, the agent and the test trials.
        secret: of what is unannounced, and of the test trials.
        bare: show the evidence itself, without the encoder.
        budgets: trials of training, rising; the last is that of all scores but "learning".
        n_trials: test trials.

    Returns:
        `scores` (None: not measured), the `numbers` they come of, `cpu_s` of training with the last budget, `learns`:
        whether the agent has `fit`, and `refused`: by score, why it could not be had.
    """
    task = task_of(setting, seed, secret)
    if bare:
        task = suite.bare(task)
    tested = shown_task(task, "test")
    scores: dict[str, float | None] = dict.fromkeys(SCORES)
    numbers: dict[str, Any] = {"chance": chance(tested), "blind": blind(tested)}
    refused: dict[str, str] = {}
    attempt = partial(_attempt, refused)
    agents, learns, cpu_s = _learned(make, task, tested, seed, budgets, attempt)
    test = partial(_tested, n_trials=n_trials, seed=seed_of_tests(setting, seed, secret))

    last = agents[-1] if agents else None
    whole_test = None if last is None else attempt("performance", lambda: test(last, tested))
    if whole_test is None:
        asked = {"performance": True, "learning": learns}
        asked |= {"generalisation": setting.held_out is not None, "memory": bool(setting.long)}
        scores |= {name: 0.0 for name, is_asked in asked.items() if is_asked}
    else:
        seen, held_out = _parted(whole_test, setting.held_out)
        scores["performance"] = performance(seen, numbers)
        if held_out is not None:
            assert setting.held_out is not None
            scores["generalisation"] = generalisation(held_out, setting.held_out, numbers)
        if setting.long:
            again = seed_of_tests(setting, seed, secret, long=True)
            of_long = attempt("memory", lambda: test(agents[-1], changed(tested, setting.long), seed=again))
            scores["memory"] = 0.0 if of_long is None else performance(of_long, numbers, "long: ")
        share = attempt("abstraction", lambda: abstraction(whole_test, numbers), 0.0, of=ValueError)
        scores["abstraction"] = None if share is None else _above_blind(numbers) * share
        numbers["code"] = share
        scores["confidence"] = attempt("confidence", lambda: confidence(seen, numbers), 0.0, of=ValueError)
        if learns:
            early = [
                None if each is None else attempt("learning", lambda each=each: test(each, tested))
                for each in agents[:-1]
            ]
            parts = [None if each is None else _parted(each, setting.held_out)[0] for each in early]
            curve = [0.0 if part is None else performance(part, {}) for part in parts] + [scores["performance"]]
            scores["learning"] = _area(budgets, curve)
            numbers |= {"trials": list(budgets), "curve": curve}
            if early and (first := early[0]) is not None:
                numbers["code at first"] = attempt("code at first", lambda: abstraction(first, {}), of=ValueError)
    return {"scores": scores, "numbers": numbers, "cpu_s": cpu_s, "learns": learns, "refused": refused}


class Tested(NamedTuple):
    """What an agent did in test trials, and the trials themselves."""

    recording: Recording
    trials: Trials

    def part(self, rows: Any) -> Tested:
        """Some of them."""
        arrays = {name: value[rows] for name, value in vars(self.recording).items() if isinstance(value, np.ndarray)}
        return Tested(replace(self.recording, **arrays), self.trials[rows])


def _attempt(
    refused: dict[str, str],
    name: str,
    measure: Callable[[], Any],
    failed: Any = None,
    *,
    of: type[Exception] = Exception,
) -> Any:
    """What `measure` gives; where it raises what an agent is to blame for, `failed`, and why goes to `refused`.

    That is any error where the agent itself acts, and `of` where what it did is measured: others are faults of ours,
    and no score.
    """
    try:
        return measure()
    except MemoryError:  # says more of the machine than of the agent
        raise
    except of as error:
        said = f"{type(error).__name__}: {error}"
        refused[name] = said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]} ..."
        return failed


def _learned(
    make: Callable[..., Any],
    task: EvidenceTask,
    tested: EvidenceTask,
    seed: int,
    budgets: Sequence[int],
    attempt: Callable[..., Any],
) -> tuple[list[Any], bool, float]:
    """The agents of all budgets, or the one that does not learn; whether it learns; what the last training took.

    There are no agents if none can be made. In the place of one that could not be trained there is None; of the last,
    that is why there is no performance.
    """
    agent = attempt("performance", lambda: made(make, task, tested, seed))
    if agent is None or not (learns := callable(getattr(agent, "fit", None))):
        return [agent] * (agent is not None), False, 0.0
    agents, cpu_s = [], 0.0
    for budget in budgets:
        begun = time.process_time()
        what = "performance" if budget == budgets[-1] else f"learning from {budget} trials"
        agents.append(attempt(what, lambda n=budget: trained(made(make, task, tested, seed), task, seed, n)))
        cpu_s = time.process_time() - begun
    return agents, learns, cpu_s


def performance(test: Tested, numbers: dict[str, Any], prefix: str = "") -> float:
    """The mean reward of a trial between chance and the best; what it comes of goes to `numbers`.

    In tasks of fixed duration the best is what the ideal observer answers in the same trials, and `z` says by how many
    standard errors the agent is above it: who is far above it knows more than is shown.
    """
    recording, task = test.recording, test.recording.task
    rewards = recording.rewards.sum(axis=1)
    numbers |= {f"{prefix}reward": float(rewards.mean()), f"{prefix}accuracy": float(recording.correct.mean())}
    if task.reaction_time:
        (best,) = ideals(task, ["reward"]).values()
        above = rewards - best
    else:
        right = (_asked(trial_probabilities(test.trials), recording) > 0.5) == (recording.asked > 0)
        best, above = float(right.mean()), recording.correct.mean(axis=1) - right.mean(axis=1)
    error = above.std() / np.sqrt(len(above))
    numbers |= {f"{prefix}ideal": best, f"{prefix}z": float(above.mean() / error) if error > 0 else 0.0}
    return _between(float(rewards.mean()), chance(task), best)


def generalisation(test: Tested, held_out: str, numbers: dict[str, Any]) -> float:
    """The mean reward in an orthant without training, between answers for the nearest x* with training and the ideal.

    That x* is the likeliest, given the mean of the samples, under a prior that is flat and without the orthant.
    """
    performance(test, numbers, "held out: ")
    means = _last_means(test)
    inside = np.flatnonzero(in_orthants(means, (held_out,)))
    nearest = np.abs(means[inside] / np.array(test.recording.task.sigmas)).argmin(axis=1)
    means[inside, nearest] = np.array([-1e-9 if sign == "+" else 1e-9 for sign in held_out])[nearest]  # just outside
    right = (_asked(test.recording.task.boundary.margins(means), test.recording) > 0) == (test.recording.asked > 0)
    numbers["held out: nearest"] = nothing = float(right.mean())
    numbers["held out: score"] = score = _between(numbers["held out: reward"], nothing, numbers["held out: ideal"])
    return max(0.0, score)


def _between(value: float, nothing: float, best: float) -> float:
    return (value - nothing) / (best - nothing)


def _above_blind(numbers: dict[str, Any]) -> float:
    """How far the reward is above what can be had blindly, or by chance, as a share of how far the best is."""
    nothing = max(numbers["blind"], numbers["chance"])
    return float(np.clip(_between(numbers["reward"], nothing, numbers["ideal"]), 0, 1))


def chance(task: EvidenceTask) -> float:
    """The mean reward of a trial of actions that are drawn evenly.

    Fixed duration: 1/2. One of the 1 + 2K actions of a task waits, w = 1 / (1 + 2K), so that it is open at the t-th of
    T steps with probability w^(t-1), and answered in the end with 1 - w^T: the reward is (1 - w^T) times the mean entry
    of `reward_table`, less the time cost times the sum of w^(t-1).
    """
    if not task.reaction_time:
        return 0.5
    wait = 1 / (1 + 2 * task.n_confidence)
    answered = np.array([1 - wait**n for n in stimulus_lengths(task)])
    paid = answered * task.reward_table[:, 1:].mean() - task.time_cost * answered / (1 - wait)
    return float(np.mean(paid))


def blind(task: EvidenceTask) -> float:
    """The best mean reward of one and the same action, where both labels are equally likely.

    Fixed duration: 1/2. Else the best level at the first step, or waiting through all steps.
    """
    if not task.reaction_time:
        return 0.5
    answer = float(task.reward_table[:, 1:].mean(axis=0).max()) - task.time_cost
    return max(answer, -task.time_cost * float(np.mean(stimulus_lengths(task))))


def abstraction(test: Tested, numbers: dict[str, Any]) -> float | None:
    """How the states hold x*, as a share of how the mean of the samples does; None without states.

    The mean of three shares, of OOD r2_prior, CCGP and parallelism above what states without x* have; below 0 is 0.
    """
    if test.recording.hidden is None:
        return None
    found, most = _geometry(test.recording), _geometry(_of_mean_samples(test))
    numbers |= {**found, **{f"{name} of mean samples": value for name, value in most.items()}}
    shares = [(found[name] - nothing) / (most[name] - nothing) for name, nothing in PROBES.items()]
    return float(np.mean(np.clip(shares, 0, None)))


def confidence(test: Tested, numbers: dict[str, Any]) -> float | None:
    """How far the Brier score of claims is below 1/4, as a share of how far that of the best claims is."""
    if (task := test.recording.task).reaction_time:
        test = test.part(slice(N_CLAIMS))
        recording = test.recording
        assert recording.confidence is not None
        claims = np.where(recording.answers > 0, recording.confidence, 1 - recording.confidence)
        should = _best_claims(task, test)
    elif (claims := test.recording.probabilities) is None:
        return None
    else:
        recording = test.recording
        if not np.all((claims >= 0) & (claims <= 1)):  # nan is refused, too
            raise ValueError(f"probabilities(state) are from {claims.min():.3g} to {claims.max():.3g}, not in [0, 1]")
        should = _asked(trial_probabilities(test.trials), recording)
    plus = recording.asked > 0
    brier, least = (float(np.mean((p - plus) ** 2)) for p in (claims, should))
    numbers |= {"brier": brier, "ideal brier": least}
    return max(0.0, (0.25 - brier) / (0.25 - least))


def _parted(test: Tested, held_out: str | None) -> tuple[Tested, Tested | None]:
    """The trials outside the orthant that was held out, and those in it."""
    if held_out is None:
        return test, None
    inside = in_orthants(test.recording.latents, (held_out,))
    return test.part(~inside), test.part(inside)


def _tested(agent: Any, task: EvidenceTask, n_trials: int, seed: int) -> Tested:
    env = gym.make_vec("MultiTaskEvidence-v0", min(N_ENVS, n_trials), split="test", **asdict(task))
    recording = record(agent, env, n_trials, seed=seed)
    return Tested(recording, recording.trials())


def _area(budgets: Sequence[int], performances: Sequence[float]) -> float:
    """The mean of performance over the logarithm of trials, by trapezoids; what is below chance counts as chance."""
    at, height = np.log(budgets), np.clip(performances, 0, None)
    return float(np.sum((height[1:] + height[:-1]) / 2 * np.diff(at)) / (at[-1] - at[0])) if len(at) > 1 else height[0]


def _geometry(recording: Recording) -> dict[str, float]:
    return {name: float(probe(recording, name, n_null=0).value) for name in PROBES}


def _of_mean_samples(test: Tested) -> Recording:
    """The recording with the mean of the samples seen by the last step of each trial as the state at that step."""
    recording = test.recording
    hidden = np.full((*recording.valid.shape, recording.latents.shape[1]), np.nan, np.float32)
    hidden[np.arange(len(recording)), recording.last_steps] = _last_means(test)
    return replace(recording, hidden=hidden)


def _last_means(test: Tested) -> Float[np.ndarray, "N D"]:
    """The mean of the samples seen by the last step of each trial."""
    seen = samples_seen(test.trials, test.recording.last_steps)
    return running_means(test.trials)[np.arange(len(seen)), seen - 1]


def _best_claims(task: EvidenceTask, test: Tested) -> Float[np.ndarray, "N A"]:
    """What pays most to claim at the step of each answer; without one, at the last step, and 1/2 where none pays."""
    recording, trials = test
    given = recording.answers != 0
    last = samples_seen(trials, recording.last_steps)[:, None]
    when, means = np.where(given, recording.response_steps, last), running_means(trials)
    p = np.full(when.shape, 0.5)
    for t in np.unique(when):
        rows = np.flatnonzero((when == t).any(axis=1))
        ideal = _asked(answer_probabilities(task, means[rows, t - 1], int(t)), test.part(rows).recording)
        p[rows] = np.where(when[rows] == t, ideal, p[rows])
    pays = expected_rewards(task, p)[0] > 0
    return reported_probability(task, np.where(pays | given, best_options(task, p), 0))


def _asked(of_tasks: Float[np.ndarray, "N K"], recording: Recording) -> Float[np.ndarray, "N A"]:
    """What concerns the tasks that were asked."""
    if recording.context is None:
        return of_tasks
    return np.take_along_axis(of_tasks, recording.context[:, None], axis=1)
