"""What a network should answer at every step, for training by gradient descent; numpy and torch alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Bool, Float

from mtrnn_envs.arrays import arange, cast, column
from mtrnn_envs.trials import Timing, Trials

# A kind is one row: from the timing of a trial, the first step whose target is the label.
KINDS: dict[str, Callable[[Timing], Any]] = {
    "decision": lambda when: when.go,
    "stimulus": lambda when: when.stimulus_on,
}


class Targets(NamedTuple):
    """Targets of N trials.

    Attributes:
        values: the probability of +1 that is asked for, `[N, T, A]` float32: 0 or 1, or 1/2 before the label counts.
        valid: which steps belong to the trial, `[N, T]`; the loss leaves the others out.
    """

    values: Float[Any, "N T A"]
    valid: Bool[Any, "N T"]


def targets(trials: Trials, kind: str) -> Targets:
    """The targets of `trials`, of the tasks that are asked.

    Arguments:
        trials: numpy or torch; the targets are of the same kind and on the same device.
        kind: "decision": the label once the cue has fallen and 1/2 on all steps before (the protocol of the public
            code of arXiv:2407.11249); "stimulus": the label from the first evidence on, so that the best answer at
            every step is the posterior probability. In reaction-time tasks both are the same.

    Raises:
        ValueError: if `kind` is not one of `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of {sorted(KINDS)}")
    task, when = trials.task, trials.timing
    steps = arange(task.n_steps, trials.noise) + 0 * arange(len(trials), trials.noise)[:, None]
    labelled, valid = steps >= column(KINDS[kind](when)), steps < column(when.end)
    half = cast(trials.asked, "float32")[:, None, :] * 0.5
    return Targets(half * cast(labelled, "float32")[:, :, None] + 0.5, valid)
