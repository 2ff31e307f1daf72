"""States of the data, those that dynamics take during trials, and the scale of distances to them.

Axis letters: N trials, T steps, S components of the state, K states of the data, D latents, R draws.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mtrnn_analysis.geometry.axes import encoding
from mtrnn_analysis.orthants import orthants
from mtrnn_envs.dynamics import run
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.trials import Trials, observe


class DataStates(NamedTuple):
    """States from the first evidence to the end of trials.

    Attributes:
        paths: by trial, `[N, T, S]`, from the first evidence of any on; NaN where a trial has not begun, or is over.
        latents: x* of the trials.
        reference: all states of the first half of the trials, `[K, S]`.
        others: all of the other half.
        own: the distance of each of `others` to the nearest of `reference`.
        unit: the median of these.
        deviations: standard deviation of each component over all states, `[S]`.
        scale: the square root of their summed squares, that of the trace of the covariance.
        coding: the coding axes cov(h, x*) cov(x*)^-1 at the last steps, `[S, D]` (Haufe et al. 2014,
            doi:10.1016/j.neuroimage.2013.10.067); not the rows of a decoder.
        orthants: the orthant of x* of each of `reference` and then `others`, `[K + L]`.
        local_coding: the coding axes of the trials of each orthant alone, `[Q, S, D]`: a curved code has others in
            each. NaN where an orthant has fewer than D + 2 trials.
    """

    paths: Float[np.ndarray, "N T S"]
    latents: Float[np.ndarray, "N D"]
    reference: Float[np.ndarray, "K S"]
    others: Float[np.ndarray, "L S"]
    own: Float[np.ndarray, " L"]
    unit: float
    deviations: Float[np.ndarray, " S"]
    scale: float
    coding: Float[np.ndarray, "S D"]
    orthants: Int[np.ndarray, " M"]
    local_coding: Float[np.ndarray, "Q S D"]

    def random_axes(
        self, n_draws: int, rng: np.random.Generator, orthant: int | None = None
    ) -> Float[np.ndarray, "R S D"]:
        """D axes, drawn from a normal distribution with the covariance of the data, or of the data of one orthant."""
        states = np.concatenate([self.reference, self.others])
        states = states if orthant is None else states[self.orthants == orthant]
        centred = (states - states.mean(axis=0)) / np.sqrt(len(states))
        triangle = np.linalg.qr(centred, mode="r")
        return (rng.standard_normal((n_draws, self.latents.shape[1], len(triangle))) @ triangle).swapaxes(1, 2)


def data_states(dynamics: Dynamics, trials: Trials, context: int | None = None) -> DataStates:
    """The states that `dynamics` take during `trials`; with `context`, trials in which that task is cued. Raises
    `ValueError` if there are fewer than 4 trials, or D + 2, or states are not finite, or do not vary.
    """
    if len(trials) < 4:
        raise ValueError(f"trials has {len(trials)} trials; 4 or more are needed")
    if context is not None:
        trials = replace(trials, context=np.full(len(trials), context))
    n, when = len(trials), trials.timing
    states = run(dynamics, dynamics.start(n), observe(trials).astype(np.float64))
    on, end = (np.broadcast_to(step, n) for step in (when.stimulus_on, when.end))
    steps = np.arange(states.shape[1])
    counts = (steps >= on[:, None]) & (steps < end[:, None])
    if not np.isfinite(states[counts]).all():
        raise ValueError("dynamics gives states that are not finite in these trials")
    first, second = (states[rows][counts[rows]] for rows in (slice(n // 2), slice(n // 2, n)))
    own, deviations = nearest(second, first), states[counts].std(axis=0)
    scale, unit = float(np.linalg.norm(deviations)), float(np.median(own))
    if not min(scale, unit) > 0:
        raise ValueError(
            f"dynamics gives states with standard deviation {scale:.3g}, half of them no farther than {unit:.3g} from "
            "those of other trials: they must vary"
        )
    last = states[np.arange(n), end - 1]
    coding = encoding(last, trials.latents).axes.T
    which, local = orthants(trials.latents), []
    for q, count in enumerate(which.counts):
        rows = which.which == q
        enough = count >= trials.latents.shape[1] + 2
        local.append(encoding(last[rows], trials.latents[rows]).axes.T if enough else np.full_like(coding, np.nan))
    paths = np.where(counts[:, :, None], states, np.nan)[:, on.min() :]
    return DataStates(
        paths=paths,
        latents=trials.latents,
        reference=first,
        others=second,
        own=own,
        unit=unit,
        deviations=deviations,
        scale=scale,
        coding=coding,
        orthants=np.repeat(which.which, counts.sum(axis=1)),
        local_coding=np.array(local),
    )


def nearest(points: Float[np.ndarray, "P S"], states: Float[np.ndarray, "K S"]) -> Float[np.ndarray, " P"]:
    """The distance from each point to the nearest of `states`."""
    centre = states.mean(axis=0)
    points, states = points - centre, states - centre
    squares = (points**2).sum(axis=1)[:, None] + (states**2).sum(axis=1) - 2 * points @ states.T
    return np.sqrt(np.maximum(squares.min(axis=1), 0))
