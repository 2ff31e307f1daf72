"""Baselines: a random agent, an integrator of evidence, and two agents that answer by the exact posterior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr

from mtrnn_agents.decision_rule import answer, checked_threshold, decide, fit_threshold
from mtrnn_envs import EvidenceTask, Stream, observe
from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.ideal_observer.one_latent import standard_errors
from mtrnn_envs.ideal_observer.posterior import answer_probabilities, is_exact
from mtrnn_envs.ideal_observer.stopping import solve
from mtrnn_envs.reward import action_sizes, best_options, is_discrete

N_FITTED = 1000  # validation trials on which a bound is fitted
N_BOUNDS = 65  # bounds that are tried
N_NODES = 48  # of the quadrature of answers in the plane: right to 2e-4 or better, in half the time


class RandomAgent:
    """Draws every component of its actions evenly from its values, by `rng`, whatever the observation."""

    def __init__(self, task: EvidenceTask, rng: np.random.Generator) -> None:
        self.task, self.rng, self.sizes = task, rng, np.array(action_sizes(task))

    def predict(
        self, observation: np.ndarray, state: object = None, episode_start: object = None, deterministic: bool = False
    ) -> tuple[np.ndarray, None]:
        """Random actions for `observation`, `[N, F]`, whatever `deterministic` is."""
        action = self.rng.integers(0, self.sizes, (len(observation), len(self.sizes)))
        return (action[:, 0] if is_discrete(self.task) else action), None


class Belief(NamedTuple):
    """The state of a sum of the evidence.

    Attributes:
        total: the sum of the samples, `[N, D]`.
        samples: their number, `[N]`.
        seen: observations since the cue fell, `[N]`.
        context: the queried task, `[N]`; 0 where all tasks are.
    """

    total: Float[np.ndarray, "N D"]
    samples: Int[np.ndarray, " N"]
    seen: Int[np.ndarray, " N"]
    context: Int[np.ndarray, " N"]

    @property
    def mean(self) -> Float[np.ndarray, "N D"]:
        """The mean of the samples, 0 before the first."""
        return self.total / np.maximum(self.samples, 1)[:, None]


def updated(
    task: EvidenceTask, belief: Belief | None, observation: np.ndarray, episode_start: np.ndarray | None
) -> Belief:
    """The belief after `observation`, `[N, F]`; evidence of exactly 0 does not count as a sample."""
    n = len(observation)
    fresh = np.zeros(n, bool) if episode_start is None else np.asarray(episode_start, bool)
    if belief is None:
        belief, fresh = Belief(np.zeros((n, task.n_dims)), *np.zeros((3, n), np.int64)), np.ones(n, bool)
    shown = np.asarray(observation[:, 1 : 1 + task.n_dims], np.float64)
    cued = np.argmax(observation[:, 1 + task.n_dims :], axis=1) if task.cueing == "one" else np.zeros(n, np.int64)
    return Belief(
        np.where(fresh[:, None], 0, belief.total) + shown,
        np.where(fresh, 0, belief.samples) + shown.any(axis=1),
        np.where(fresh, 0, belief.seen) + (observation[:, 0] == 0),
        cued,
    )


class Judgement(NamedTuple):
    """A belief and its probabilities, so that these are computed once a step.

    Attributes:
        p: the posterior probability of +1 for every task asked, `[N, A]`; None if the actions did not need it.
    """

    belief: Belief
    p: Float[np.ndarray, "N A"] | None


class PosteriorAgent:
    """The part that agents which answer by the posterior share."""

    task: EvidenceTask

    def predict(
        self,
        observation: np.ndarray,
        state: Judgement | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Judgement]:
        """Actions for `observation`, `[N, F]`, and the judgement after it; they are deterministic."""
        belief = updated(self.task, None if state is None else state.belief, observation, episode_start)
        action, p = self._act(belief)
        return action, Judgement(belief, p)

    def hidden(self, state: Judgement) -> Float[np.ndarray, "N D"]:
        """The mean of the samples, 0 before the first."""
        return state.belief.mean.astype(np.float32)

    def probabilities(self, state: Judgement) -> Float[np.ndarray, "N A"]:
        """The posterior probability of +1 for every task asked; 1/2 before the first sample."""
        if state.p is not None:
            return state.p
        return _asked(self.task, _posterior(self.task, state.belief), state.belief.context)

    def _act(self, belief: Belief) -> tuple[np.ndarray, np.ndarray | None]:
        """Actions, and the probabilities if they were computed."""
        raise NotImplementedError


class IdealObserver(PosteriorAgent):
    """Answers by the posterior given all evidence so far, exact or numerical as `mtrnn_envs.ideal_observer` says.

    In fixed-duration tasks no agent has a higher expected accuracy, on trials drawn from the task's own prior. With
    `excluded_orthants` that is the prior of training; for the test split give `shown_task(task, "test")`. In
    reaction-time tasks its answers are ideal but their times are not: see `mtrnn_agents.decision_rule.decide`, and
    `OptimalStopping`. Steps without evidence must have evidence of exactly 0.

    Arguments:
        task: a task without encoder (the agent reads the evidence itself), whose noise is Gaussian and independent.
        threshold: see `decide`.

    Raises:
        ValueError: if the task is not of that kind.
    """

    def __init__(self, task: EvidenceTask, *, threshold: float = 0.4) -> None:
        _check_knowable(task, "ideal observer")
        self.task, self.threshold = task, checked_threshold(threshold)

    def _act(self, belief: Belief) -> tuple[np.ndarray, np.ndarray | None]:
        # While the cue is on no answer counts, and the exact posterior is not cheap.
        p = self.probabilities(Judgement(belief, None)) if belief.seen.any() else None
        nothing = np.full((len(belief.seen), self.task.n_answers), 0.5)
        return decide(self.task, nothing if p is None else p, belief.seen, self.threshold), p


class Integrator:
    """Integration to bound: the signed distances of the evidence from every boundary, summed up to a constant bound.

        a_k(t) = sum of c_k · X(s) - b_k over the samples s <= t        (units of the latents)

    with c_k and b_k the unit normal and the offset of boundary k and X the noisy evidence. In reaction-time tasks a
    task is answered once |a_k| passes the bound, or at the (longest) deadline; with one common stop, once the mean of
    |a_k| does. In fixed-duration tasks there is no bound, and the answer is the sign of a_k when it is asked for.

    The answer is a drift-diffusion process in discrete time: its drift is the distance of x* from the boundary, its
    noise per sample is n_k = |sigma * c_k|. A constant bound on it is the sequential probability ratio test of "at
    distance +d" against "at -d", which is the fastest for its accuracy if d is known (Bogacz, Brown, Moehlis, Holmes &
    Cohen 2006, doi:10.1037/0033-295X.113.4.700). Here d differs from trial to trial, and the best bounds collapse with
    time: `OptimalStopping` earns more. Nor does it put the tasks together, each of which says something of the others,
    or know that x* is within its box: in fixed-duration tasks `IdealObserver` is (a little) better.

    It reports the probability Phi(a_k / (n_k sqrt(t))), that of t samples under a flat prior without ends:
    `mtrnn_agents.decision_rule.accumulator_probability` with gain 1 / n_k. (With AR(1) noise, t is the effective
    number of samples.) It goes on summing after an answer, which changes nothing, where the targets of
    `mtrnn_envs.targets.accumulators` stay at the bound.

    Arguments:
        task: a task without encoder and with linear boundaries.
        bound: in units of the latents, in reaction-time tasks. None: the one of 65, spread evenly over the values that
            |a_k| has, that earns most on 1000 validation trials; the same at every call.

    Raises:
        ValueError: if the task is not of that kind, or the bound not a number of 0 or more or of no use.
    """

    def __init__(self, task: EvidenceTask, *, bound: float | None = None) -> None:
        if task.encoder is not None:
            raise ValueError(f"encoder={task.encoder!r}: the integrator sums raw evidence and needs encoder=None")
        if not isinstance(task.boundary, Linear):
            raise ValueError(
                f"boundaries={task.boundaries!r}: the integrator sums distances from linear boundaries: "
                "'linear', 'even', 'random', 'spread' or 'affine'"
            )
        if bound is not None and not task.reaction_time:
            raise ValueError(
                f"bound={bound!r}: with payoff={task.payoff!r} of fixed duration there is no bound; leave it None"
            )
        if bound is not None and not bound >= 0:
            raise ValueError(f"bound={bound!r} is not a number, 0 or more")
        self.task, self._boundary = task, task.boundary
        self.bound = self._best_bound() if bound is None and task.reaction_time else bound

    def predict(
        self,
        observation: np.ndarray,
        state: Belief | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Belief]:
        """Actions for `observation`, `[N, F]`, and the sum after it; they are deterministic."""
        state = updated(self.task, state, observation, episode_start)
        distance = np.abs(self._sums(state))
        return decide(self.task, self.probabilities(state), state.seen, self.bound or 0.0, distance), state

    def hidden(self, state: Belief) -> Float[np.ndarray, "N A"]:
        """The sums a_k of the tasks asked."""
        return self._sums(state).astype(np.float32)

    def probabilities(self, state: Belief) -> Float[np.ndarray, "N A"]:
        """The reported probability of +1 for every task asked; 1/2 before the first sample."""
        mean = state.mean
        errors = standard_errors(self.task, np.maximum(state.samples, 1)) ** 2 @ self._boundary.normals.T**2
        p = ndtr(self._boundary.margins(mean) / np.sqrt(errors))
        return _asked(self.task, np.where(state.samples[:, None] > 0, p, 0.5), state.context)

    def _sums(self, state: Belief) -> Float[np.ndarray, "N A"]:
        return _asked(self.task, state.samples[:, None] * self._boundary.margins(state.mean), state.context)

    def _best_bound(self) -> float:
        trials = Stream(self.task, "validation", 0).take(N_FITTED)
        state, beliefs = None, []
        for observation in observe(trials).swapaxes(0, 1):
            state = updated(self.task, state, observation, None)
            beliefs.append(state)
        distance = np.abs(np.stack([self._sums(state) for state in beliefs], axis=1))
        p = np.stack([self.probabilities(state) for state in beliefs], axis=1)
        held = distance.mean(axis=2) if self.task.commit == "common" else distance
        bounds = np.quantile(held[held > 0], np.linspace(0, 1, N_BOUNDS))
        return fit_threshold(self.task, trials, p, distance, bounds)


class OptimalStopping(PosteriorAgent):
    """Answers ideally and at the best time: the policy of `mtrnn_envs.ideal_observer.stopping.solve`, as an agent.

    It stops where the reward of the best answer now exceeds that of waiting, by dynamic programming on the posterior,
    and reports the confidence of highest reward; at the deadline it leaves open an answer of negative reward. Its mean
    reward is `ideal_performance(task).value`: the upper bound in reaction-time tasks. Where `stopping.method` says
    "lower bound" (more than two latents, latents that are correlated or held out, custom boundaries) it is good but
    not the best.

    Arguments:
        task: a reaction-time task without encoder, whose noise is Gaussian and independent.

    Attributes:
        stopping: the policy, and its reward.

    Raises:
        ValueError: if the task is not of that kind, or too large (see `solve`).
    """

    def __init__(self, task: EvidenceTask) -> None:
        _check_knowable(task, "oracle")
        self.task, self.stopping = task, solve(task)
        plane = task.n_dims == 2 and is_exact(task)
        self._n_nodes = N_NODES if plane else None

    def _act(self, belief: Belief) -> tuple[np.ndarray, np.ndarray | None]:
        task, of_tasks = self.task, _posterior(self.task, belief, self._n_nodes)
        stop = np.zeros((len(belief.seen), 1 if task.commit == "common" else task.n_answers), bool)
        for t in np.unique(belief.samples[belief.samples > 0]):
            rows = np.flatnonzero(belief.samples == t)
            here = self.stopping.policy(belief.mean[rows], int(t), of_tasks[rows])
            stop[rows] = here[:, None] if here.ndim == 1 else _asked(task, here, belief.context[rows])
        p = _asked(task, of_tasks, belief.context)
        return answer(task, stop, best_options(task, p)), p


def _check_knowable(task: EvidenceTask, agent: str) -> None:
    """Raises `ValueError` if the mean of the samples is not a sufficient statistic of the evidence."""
    for name, needed in (("encoder", None), ("noise", "gaussian"), ("autocorrelation", 0.0)):
        if getattr(task, name) != needed:
            raise ValueError(f"{name}={getattr(task, name)!r}: this {agent} needs {name}={needed!r}")


def _posterior(task: EvidenceTask, belief: Belief, n_points: int | None = None) -> Float[np.ndarray, "N K"]:
    """The posterior probability of +1 for every task; 1/2 before the first sample."""
    some = np.flatnonzero(belief.samples)
    p = np.full((len(belief.samples), task.n_tasks), 0.5)
    if len(some):
        p[some] = answer_probabilities(task, belief.mean[some], belief.samples[some], n_points)
    return p


def _asked(task: EvidenceTask, of_tasks: np.ndarray, context: Int[np.ndarray, " N"]) -> np.ndarray:
    """The columns of the queried tasks, `[N, A]`, among those of all tasks, `[N, K]`."""
    return of_tasks[np.arange(len(context)), context][:, None] if task.cueing == "one" else of_tasks
