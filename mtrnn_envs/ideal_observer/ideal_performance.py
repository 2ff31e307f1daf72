"""The upper bound that stands beside every number: the best that any agent can reach in a task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from mtrnn_envs.ideal_observer.expected_accuracy import fixed_duration
from mtrnn_envs.ideal_observer.posterior import check_ideal
from mtrnn_envs.ideal_observer.stopping import solve
from mtrnn_envs.task import EvidenceTask


@dataclass(frozen=True, eq=False, kw_only=True)
class IdealPerformance:
    """The best that any agent can reach in a task, in fixed-duration terms (all samples seen) and by stopping.

    Attributes:
        accuracy: share of right answers after the whole stimulus, mean over tasks.
        task_accuracies: the same, per task, `[K]`.
        cross_entropy: mean cross-entropy of the ideal answers with the labels, in nat.
        r2_prior: 1 - 12 MSE of the posterior mean, mean over latents. The denominator is the variance of the flat
            prior, whatever the prior of the task; not scikit-learn's r2 on a part of the latents.
        r2_prior_affine: the same of the best affine decoder of the sample mean (with AR(1) noise, of the generalised
            least squares mean), one for each length of the stimulus.
        standard_errors: of "accuracy", "cross_entropy" and "r2_prior", where averages over drawn trials were used;
            0 where they were not.
        method: how the numbers were computed, and under which prior.
        value: the best expected reward of a trial; None if not computed, which is possible in reaction-time tasks.
        response_step: in reaction-time tasks, the mean stimulus observation answered to under that policy.
        response_accuracy: the share of right answers at that step; tasks that are best left open count with the
            answer they would have had.
        stopping_method: how these three were computed in reaction-time tasks, or why not. A "lower bound" is the
            value of a policy that can be run, not the best one.
    """

    accuracy: float
    task_accuracies: Float[np.ndarray, " K"]
    cross_entropy: float
    r2_prior: float
    r2_prior_affine: float
    standard_errors: dict[str, float]
    method: str
    value: float | None = None
    response_step: float | None = None
    response_accuracy: float | None = None
    stopping_method: str = "fixed duration: nothing to stop"


@lru_cache(maxsize=64)
def ideal_performance(task: EvidenceTask) -> IdealPerformance:
    """The best that any agent can reach in `task`; see `IdealPerformance`. Stimuli of drawn length are averaged over.

    Exact for D <= 2 with a flat prior and boundaries that have sections; else averages over trials drawn
    from the generator of purpose "ideal" (deterministic). The prior is the task's own, without its excluded orthants.

    Raises:
        ValueError: if `encoder_noise` is above 0.
    """
    check_ideal(task)
    fixed = fixed_duration(task)
    if not task.reaction_time:
        return IdealPerformance(**fixed)
    del fixed["value"]  # of answers after the whole stimulus, which need not be the best time
    try:
        best = solve(task)
    except ValueError as error:
        return IdealPerformance(**fixed, stopping_method=f"not computed: {error}")
    return IdealPerformance(
        **fixed,
        value=best.value,
        response_step=best.response_step,
        response_accuracy=best.accuracy,
        stopping_method=best.method,
    )
