"""How well a linear decoder of x* does after each sample of the evidence, in trials that no answer ends.

Axis letters: N trials, S samples, D latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from mtrnn_analysis.decoding.controls import states_of
from mtrnn_analysis.decoding.decoding import decode, mean_r2
from mtrnn_analysis.decoding.released_holdout import released_holdout
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.protocols import Agent
from mtrnn_envs.trials import samples_seen

if TYPE_CHECKING:
    from mtrnn_envs import Trials


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EvidenceCourse(ProbeResult):
    """Decoding after each sample; `value` is the mean over samples of `ood` - `theory`: 0 if the states hold as much of
    x* out of distribution as the mean of the samples.

    Attributes:
        n_samples: t, from 1, `[S]`.
        ood: `r2_prior` out of distribution after t samples, `[S]`.
        id: in distribution, `[S]`.
        released: out of distribution as the public code draws it, see `released_holdout`, `[S]`.
        theory: 1 - 12 sigma²/t, the `r2_prior` of the mean of t samples, `[S]`; the paper counts from 0, and has
            1 - 0.48 / (t + 1) for sigma = 0.2.
    """

    n_samples: Float[np.ndarray, " S"]
    ood: Float[np.ndarray, " S"]
    id: Float[np.ndarray, " S"]
    released: Float[np.ndarray, " S"]
    theory: Float[np.ndarray, " S"]


def evidence_course(trials: Trials, agent: Agent, rng: np.random.Generator) -> EvidenceCourse:
    """`r2_prior` of x* decoded from the states of `agent` after each sample, by decoders fitted at that sample.

    The agent sees all samples of all trials, whatever it answers: in reaction-time tasks the trials that are still
    going on late are those that it found hard, and a curve of these is not one of all trials.

    Arguments:
        trials: their stimulus begins at the same step, and has the same length.
        agent: it must have a state.
        rng: deals the trials into folds.

    Raises:
        ValueError: if periods are drawn, the agent has no state, or as `decode`.
    """
    task = trials.task
    if task.periods is None:
        raise ValueError(f"task has stimulus={task.stimulus!r}, fixation={task.fixation!r}: they must not be drawn")
    hidden = states_of(agent, trials)
    counts = [int(samples_seen(trials, np.full(len(trials), t))[0]) for t in range(hidden.shape[1])]
    steps = [t for t, count in enumerate(counts) if count > 0 and count > counts[t - 1]]
    right = [decode(hidden[:, t], trials.latents, rng, n_null=0) for t in steps]
    released = [released_holdout(hidden[:, t], trials.latents, rng, n_null=0) for t in steps]
    n_samples = np.array([counts[t] for t in steps], float)
    ood, theory = np.array([result.value for result in right]), np.asarray(mean_r2(task, n_samples), float)
    return EvidenceCourse(
        value=float(np.mean(ood - theory)),
        n=len(trials),
        settings={},
        n_samples=n_samples,
        ood=ood,
        id=np.array([result.in_distribution.r2_prior for result in right]),
        released=np.array([result.value for result in released]),
        theory=theory,
    )
