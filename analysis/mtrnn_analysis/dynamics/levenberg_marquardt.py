"""Fixed and slow points of dynamics by batched Levenberg-Marquardt. Axis letters: N points, S components of the state.

Each point is a separate problem; a step of all of them together is a few calls of numpy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs.dynamics import jacobians
from mtrnn_envs.protocols import Dynamics

# Damping of the first step, and the least; both for |J - I| of about 1, as that of any stable network is.
FIRST_DAMPING, LEAST_DAMPING = 1e-3, 1e-14
# A point is done once a step would take away less than this share of its q, or this many in a row took nothing.
LEAST_GAIN, MOST_FAILURES = 1e-8, 14


class Minima(NamedTuple):
    """The points at which the minimisation ended.

    Attributes:
        states: the points.
        q: 1/2 |F(h, u) - h|^2 there, in the unit of the state squared.
        iterations: steps tried from each start.
    """

    states: Float[np.ndarray, "N S"]
    q: Float[np.ndarray, " N"]
    iterations: Int[np.ndarray, " N"]


def minimise_speed(
    dynamics: Dynamics,
    inputs: Float[np.ndarray, " F"],
    starts: Float[np.ndarray, "N S"],
    *,
    longest_step: float,
    target: float = 1e-20,
    max_iterations: int = 250,
) -> Minima:
    """Minimises q(h) = 1/2 |F(h, u) - h|^2 from each of `starts`, with the inputs u held (Sussillo & Barak 2013,
    doi:10.1162/NECO_a_00409).

    A step is d = -(A'A + l I)^-1 A' (F(h, u) - h) with A = dF/dh - I (Levenberg 1944, doi:10.1090/qam/10666; Marquardt
    1963, doi:10.1137/0111030), cut to `longest_step`, and made if q falls by it. The damping l follows the ratio of
    what is gained to what was foreseen (Nielsen 1999, IMM-REP-1999-05). The cut keeps points where they began: along a
    slow manifold A is nearly singular, and a whole Newton step would leave for the far end of it.

    Arguments:
        dynamics: F.
        inputs: u.
        starts: where to begin.
        longest_step: the length of the longest step, in the unit of the state.
        target: q at which a point is done.
        max_iterations: steps tried from each start.
    """
    states = starts.astype(np.float64)
    n, size = states.shape
    seen = np.broadcast_to(inputs.astype(np.float64), (n, len(inputs)))
    residual = dynamics(states, seen) - states
    q = 0.5 * (residual**2).sum(axis=1)
    damping, growth, iterations = np.full(n, FIRST_DAMPING), np.full(n, 2.0), np.zeros(n, np.int64)
    normal, downhill = np.empty((n, size, size)), np.empty((n, size))
    diagonal, active, moved = np.arange(size), np.flatnonzero(q > target), np.ones(n, bool)
    for _ in range(max_iterations):
        if not len(active):
            break
        new = active[moved[active]]
        if len(new):
            slopes = jacobians(dynamics, states[new], seen[new])
            slopes = slopes - np.eye(size)
            turned = slopes.swapaxes(1, 2)
            normal[new], downhill[new] = turned @ slopes, -(turned @ residual[new][:, :, None])[:, :, 0]
        damped = normal[active]
        damped[:, diagonal, diagonal] += damping[active, None]
        step = np.linalg.solve(damped, downhill[active][:, :, None])[:, :, 0]
        length = np.linalg.norm(step, axis=1)
        step *= np.minimum(1, longest_step / np.maximum(length, np.finfo(float).tiny))[:, None]
        bent = (normal[active] @ step[:, :, None])[:, :, 0]
        foreseen = (step * (downhill[active] - 0.5 * bent)).sum(axis=1)
        there = states[active] + step
        residual_there = dynamics(there, seen[active]) - there
        q_there = 0.5 * (residual_there**2).sum(axis=1)
        gain = (q[active] - q_there) / np.maximum(foreseen, np.finfo(float).tiny)
        better = q_there < q[active]
        resting = foreseen < LEAST_GAIN * q[active]
        iterations[active] += 1

        to, back = active[better], active[~better]
        states[to], residual[to], q[to] = there[better], residual_there[better], q_there[better]
        damping[to] = np.maximum(damping[to] * np.maximum(1 / 3, 1 - (2 * gain[better] - 1) ** 3), LEAST_DAMPING)
        damping[back] = np.maximum(damping[back], 100 * LEAST_DAMPING) * growth[back]
        growth[to], growth[back] = 2, 2 * growth[back]
        moved[active] = better
        active = active[(q[active] > target) & ~resting & (growth[active] < 2.0**MOST_FAILURES)]
    return Minima(states, q, iterations)
