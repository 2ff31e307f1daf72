"""The precision of x* against the number of samples: in theory, in an agent's answers and in its states.

Axis letters: N trials, T steps, S samples, D latents, H units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from mtrnn_analysis.decoding.controls import replayed
from mtrnn_analysis.decoding.decoding import mean_r2, r2_prior
from mtrnn_analysis.decoding.ridge import ridge
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_analysis.theory.distances import CLIP, lines, located
from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.components.latents import PRIOR_VARIANCE
from mtrnn_envs.ideal_observer.expected_accuracy import posterior_error
from mtrnn_envs.ideal_observer.one_latent import running_means
from mtrnn_envs.ideal_observer.posterior import flat_prior
from mtrnn_envs.protocols import Agent
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.validation import check_int

# The penalty of the decoders of single steps, relative to the mean variance of a unit times the trials fitted.
PENALTY = 1e-4
FORM = "weighted"


def ideal_r2(task: EvidenceTask, n_samples: int) -> float:
    """`r2_prior` of the exact posterior mean after `n_samples` samples, by quadrature: the upper bound under the flat
    prior. NaN for another prior, or noise behind the encoder.
    """
    if task.encoder_noise > 0 or not flat_prior(task):
        return float("nan")
    return 1 - posterior_error(task, int(n_samples)) / PRIOR_VARIANCE


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SampleCurve(ProbeResult):
    """r² of x* against the number of samples. `value` is the share of all samples that the agent's x* is worth at the
    last step of the trial.

    An estimate whose mean squared error is sigma² / n is worth n samples (a posterior mean may be worth more than all
    samples, as it uses the prior). The estimate is from the answers, else decoded from the states, else the mean of the
    evidence; see `settings`.

    Attributes:
        n_samples: t, `[S]`.
        mean_theory: 1 - 12 sigma² / t, `[S]`.
        ideal_theory: of the exact posterior mean, `[S]`; NaN where it is not computed.
        mean: of the mean of the evidence of these trials, `[S]`.
        answers: of x* from the agent's answers alone after so many samples, `[S]`; NaN without an agent with
            probabilities, and for tasks that `mtrnn_analysis.theory.distances.lines` refuses.
        decoded: of x* decoded from the states at that step, by a decoder fitted to the states of that step in the
            other half of the trials, `[S]`; NaN without states, and where fewer than `least` trials are going on.
        worth: samples that the estimate is worth after each, `[S]`.
        answers_at_end: as `answers`, at the last step of the trials that had all samples: in fixed-duration tasks a
            step on which answers count. Agents that were trained for that step alone may answer 1/2 before it.
        decoded_at_end: as `decoded`, likewise.
    """

    n_samples: Float[np.ndarray, " S"]
    mean_theory: Float[np.ndarray, " S"]
    ideal_theory: Float[np.ndarray, " S"]
    mean: Float[np.ndarray, " S"]
    answers: Float[np.ndarray, " S"]
    decoded: Float[np.ndarray, " S"]
    worth: Float[np.ndarray, " S"]
    answers_at_end: float
    decoded_at_end: float


def sample_curve(
    latents: Float[np.ndarray, "N D"],
    task: EvidenceTask,
    trials: Trials,
    rng: np.random.Generator,
    hidden: Float[np.ndarray, "N T H"] | None = None,
    valid: Bool[np.ndarray, "N T"] | None = None,
    agent: Agent | None = None,
    *,
    n_null: int = 100,
    least: int = 50,
) -> SampleCurve:
    """r² of x* against samples: from answers alone, from states, and in theory. Inputs: see `mtrnn_analysis.theory`.

    Theory: 1 - 12 sigma² / t for the mean of the evidence; the exact posterior mean is above it, as it knows the edges
    of the cube. The agent runs through the trials once more, and answers at every step of the stimulus, by the form
    "weighted" (`mtrnn_analysis.theory.distances`). Where the stimulus is drawn, trials with t samples or more count at
    t.

    States are decoded only in trials that have not ended. In reaction-time tasks these are selected: late steps are of
    trials that the agent found hard, and none may be left at the last step. Answers are not selected, as the agent
    answers at every step of every trial.

    Null hypothesis: the estimate at the end says nothing of x*; estimates are permuted over trials.

    Arguments:
        n_null: draws of the null.
        least: trials that must be going on at a step for states to be decoded there; NaN with fewer.

    Raises:
        ValueError: if an argument is out of its range, arrays are not of the same trials, a state within a trial is
            not finite, or `value` would be that of decoded states and too few trials are left at the last step.
    """
    check_int("least", least, 8)
    if not np.array_equal(np.asarray(trials.latents), latents):
        raise ValueError("trials are not those of latents: their x* differ")
    if hidden is not None and not np.isfinite(hidden if valid is None else hidden[valid]).all():
        raise ValueError("hidden is not finite at steps that belong to trials")
    on, n = (np.broadcast_to(np.asarray(v), len(trials)) for v in (trials.timing.stimulus_on, trials.n_samples))
    if np.count_nonzero(n == n.max()) < 4:
        raise ValueError(f"{np.count_nonzero(n == n.max())} trials have all {n.max()} samples; 4 or more are needed")
    t, means, half = np.arange(1, int(n.max()) + 1), running_means(trials), rng.permutation(len(n)) % 2
    probabilities = _probabilities(agent, task, trials)
    curves = {name: np.full(len(t) + 1, np.nan) for name in ("mean", "answers", "decoded")}
    of = "answers" if probabilities is not None else "decoded" if hidden is not None else "mean"
    last: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # x* and its estimates; those of the last step remain
    for i in range(len(t) + 1):  # finally, at the last step of the trials that had all samples
        shown = t[min(i, len(t) - 1)]
        rows = np.flatnonzero(n >= shown)
        step = on[rows] + shown - 1 if i < len(t) else np.broadcast_to(np.asarray(trials.timing.end), len(n))[rows] - 1
        last = {"mean": (latents[rows], means[rows, shown - 1])}
        if hidden is not None:
            going = np.ones(len(rows), bool) if valid is None else valid[rows, step]
            left = rows[going]
            if len(left) >= least and np.bincount(half[left], minlength=2).min() >= 2:
                states = hidden[left, step[going]].astype(np.float64)
                last["decoded"] = latents[left], _decoded(states, latents[left], half[left])
            elif i == len(t) and of == "decoded":
                raise ValueError(
                    f"valid: {len(left)} trials left at the last step; least={least} are needed to decode states there"
                )
        if probabilities is not None:
            last["answers"] = latents[rows], located(lines(probabilities[rows, step], task, int(shown)), FORM)
        for name, estimated in last.items():
            curves[name][i] = r2_prior(*estimated)
    right, found = last[of]
    shuffled = [found[rng.permutation(len(found))] for _ in range(n_null)]
    value, *null = (_worth(task, r2_prior(right, x)) for x in (found, *shuffled))
    return SampleCurve(
        value=value / t[-1],
        null=np.array(null) / t[-1],
        p=p_value(value, np.array(null)),
        n=len(right),
        settings={"of": of, "form": FORM, "n_null": n_null, "clip": CLIP, "least": least},
        n_samples=t.astype(float),
        mean_theory=mean_r2(task, t),
        ideal_theory=np.array([ideal_r2(task, int(shown)) for shown in t]),
        worth=np.array([_worth(task, r2) for r2 in curves[of][:-1]]),
        answers_at_end=float(curves["answers"][-1]),
        decoded_at_end=float(curves["decoded"][-1]),
        **{name: values[:-1] for name, values in curves.items()},
    )


def _worth(task: EvidenceTask, r2: float) -> float:
    """The samples of which the mean has this `r2_prior`: sigma² / mean squared error."""
    return float(np.mean(np.square(task.sigmas)) / PRIOR_VARIANCE / max(1 - r2, np.finfo(float).tiny))


def _decoded(states: np.ndarray, latents: np.ndarray, half: np.ndarray) -> np.ndarray:
    """x* of each half of the trials by a ridge decoder fitted to the other."""
    found = np.empty_like(latents)
    for mine in (half == 0, half == 1):
        fitted = states[~mine]
        decoder = ridge(fitted, latents[~mine], PENALTY * len(fitted) * float(fitted.var(axis=0).mean()))
        found[mine] = decoder.predict(states[mine])
    return found


def _probabilities(agent: Agent | None, task: EvidenceTask, trials: Trials) -> Float[np.ndarray, "N T K"] | None:
    """The agent's probabilities at every step of the trials; None if it has none, or none that are distances."""
    readable = isinstance(task.boundary, Linear) and task.cueing == "all" and task.noise == "gaussian"
    answer = getattr(agent, "probabilities", None)
    if agent is None or answer is None or not readable or task.encoder_noise > 0:
        return None
    return np.stack([np.asarray(answer(state)) for state in replayed(agent, trials)], axis=1)
