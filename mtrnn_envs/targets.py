"""Targets of training by gradient descent: the answer of every step; numpy and torch alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.timing import Steps
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.arrays import Array, arange, cast, column, empty_like, like


class Targets(NamedTuple):
    """Targets of N trials.

    Attributes:
        values: the target answers, `[N, T, A]` float32, in [0, 1]: the probability of +1, or the state of an
            accumulator on that scale; 1/2 before anything is known.
        valid: which steps belong to the trial, `[N, T]`; the loss leaves the others out.
    """

    values: Float[Array, "N T A"]
    valid: Bool[Array, "N T"]


def targets(trials: Trials, kind: str, bound: float = 5.0) -> Targets:
    """The targets of `trials`, of the tasks that are asked.

    Arguments:
        trials: numpy or torch; the targets are of the same kind and on the same device.
        kind: "decision": the label once the cue has fallen and 1/2 on all steps before (the protocol of the public
            code of arXiv:2407.11249); "stimulus": the label from the first evidence on, so that the best answer at
            every step is the posterior probability (in reaction-time tasks both are the same); "accumulator": see
            `accumulators`.
        bound: of the accumulators, in units of the latents; the other kinds have none.

    Raises:
        ValueError: if `kind` is not one of `KINDS`, `bound` is not a finite number above 0, or there are to be
            accumulators but the boundaries are not linear.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of {sorted(KINDS)}")
    if not 0 < bound < math.inf:
        raise ValueError(f"bound={bound!r} is not a finite number above 0")
    values = empty_like((len(trials), trials.task.n_steps, trials.task.n_answers), trials.noise)
    KINDS[kind](trials, bound, values)
    return Targets(values, _before(trials, trials.timing.end))


def _before(trials: Trials, step: Steps) -> Bool[Array, "N T"]:
    """Which steps come before `step`, an int or `[N]`."""
    steps = arange(trials.task.n_steps, trials.noise) + 0 * arange(len(trials), trials.noise)[:, None]
    return steps < column(step)


def labels_from(trials: Trials, step: Steps, out: Float[Array, "N T A"]) -> None:
    """Fills `out` with 1/2 before `step`, an int or `[N]`, and the label, 0 or 1, from then on."""
    out[...] = cast(trials.asked > 0, "float32")[:, None]
    if trials.lengths is None:
        out[:, :step] = 0.5
    else:
        out[_before(trials, step)] = 0.5


def accumulators(trials: Trials, bound: float, out: Float[Array, "N T A"]) -> None:
    """Fills `out` with the bounded accumulators of the free-reaction-time task of arXiv:2407.11249.

        a_k(t) = sum of normals[k] · X(s) - offsets[k] over the stimulus steps s <= t,    out = (1 + a / bound) / 2

    X is the noisy evidence before the encoder. Once |a_k| reaches `bound`, it stays at ±bound, with its sign then. An
    output s = sigmoid(l) that meets this target says a = bound (2 s - 1) = bound tanh(l / 2); it is no probability.
    The public code cuts its targets off to integers, and has slopes tan(phi) where these have unit normals.

    Raises:
        ValueError: if the boundaries of the task are not linear.
    """
    task, boundary = trials.task, trials.task.boundary
    if not isinstance(boundary, Linear):
        raise ValueError(
            f"boundaries={task.boundaries!r} have no accumulators, which need linear ones: "
            "'linear', 'even', 'random', 'spread' or 'affine'"
        )
    evidence, (on, off, *_) = trials.evidence, trials.timing
    if trials.lengths is None:
        out[:, :on] = 0.5
        _accumulate(boundary, trials.context, evidence, None, bound, out[:, on:off])
        out[:, off:] = out[:, off - 1 : off]
    else:
        rows = arange(len(trials), evidence)[:, None]
        sample_index = (arange(task.n_steps, evidence) - on[:, None]).clip(0, evidence.shape[1] - 1)
        live = _before(trials, off) & ~_before(trials, on)
        _accumulate(boundary, trials.context, evidence[rows, sample_index], live, bound, out)


def _accumulate(
    boundary: Linear,
    context: Int[Array, " N"] | None,
    evidence: Float[Array, "N S D"],
    live: Bool[Array, "N S"] | None,
    bound: float,
    out: Float[Array, "N S A"],
) -> None:
    """Fills `out` with (1 + a / bound) / 2 after each row of `evidence`, of which those that are not `live` are void.

    The state is kept on that scale, where 0 and 1 are the bounds without rounding.
    """

    def scaled(values: np.ndarray) -> Array:
        """`values` `[K]` of the tasks that are asked: as they are, or `[N, 1]`."""
        scaled = like(values * (0.5 / bound), evidence)
        return scaled if context is None else scaled[context][:, None]

    normals, offsets = [scaled(values) for values in boundary.normals.T], scaled(boundary.offsets)
    state: float | Array = 0.5
    for s in range(evidence.shape[1]):
        # Added up dimension by dimension, as in `Linear.margins`.
        change = evidence[:, s, :1] * normals[0]
        for d, normal in enumerate(normals[1:], 1):
            change += evidence[:, s, d : d + 1] * normal
        change -= offsets
        counts = (state > 0) & (state < 1)
        change *= counts if live is None else counts & live[:, s, None]
        change += state
        state = change.clip(0, 1)
        out[:, s] = state


# A kind is one entry: what fills the values of trials, of whatever kind and strides.
KINDS: dict[str, Callable[[Trials, float, Array], None]] = {
    "decision": lambda trials, bound, out: labels_from(trials, trials.timing.go, out),
    "stimulus": lambda trials, bound, out: labels_from(trials, trials.timing.stimulus_on, out),
    "accumulator": accumulators,
}
