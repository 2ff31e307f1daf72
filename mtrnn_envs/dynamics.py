"""Paths, Jacobians and the resting input of an agent's network as a dynamical system, `mtrnn_envs.protocols.Dynamics`.

All is float64: fixed points are found to an accuracy that float32 does not have. Axis letters: N points, T steps,
S components of the state, H units, F features of an observation, D latents.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from mtrnn_envs.components.encoder import encode
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.utils.validation import check_int

# The greatest difference between the states of dynamics and of their agent, whose arithmetic may be float32, as a share
# of the greatest state (or of 1, where that is less).
TOLERANCE = 1e-3


def run(
    dynamics: Dynamics, states: Float[np.ndarray, "N S"], inputs: Float[np.ndarray, "N T F"]
) -> Float[np.ndarray, "N T S"]:
    """The states after each of T observations, from the `states` before them."""
    path = np.empty((*inputs.shape[:2], states.shape[1]))
    for t in range(inputs.shape[1]):
        states = path[:, t] = dynamics(states, inputs[:, t])
    return path


def jacobians(
    dynamics: Dynamics, states: Float[np.ndarray, "N S"], inputs: Float[np.ndarray, "N F"]
) -> Float[np.ndarray, "N S S"]:
    """The derivative of component i of the next state by component j of this one, `[n, i, j]`.

    By the method `jacobian` of `dynamics` (at a kink, that of either side), or else by `differences`.
    """
    own = getattr(dynamics, "jacobian", None)
    return np.asarray(own(states, inputs)) if callable(own) else differences(dynamics, states, inputs)


def differences(
    dynamics: Dynamics, states: Float[np.ndarray, "N S"], inputs: Float[np.ndarray, "N F"], step: float = 1e-6
) -> Float[np.ndarray, "N S S"]:
    """`jacobians` by central differences of half-width `step` in states of about 1, and more in larger ones: right to
    about 1e-9 where the dynamics are smooth, and the mean of both sides at a kink.
    """
    n, size = states.shape
    found = np.empty((n, size, size))
    for j in range(size):
        width = step * np.maximum(1, np.abs(states[:, j]))
        ahead, behind = states.copy(), states.copy()
        ahead[:, j] += width
        behind[:, j] -= width
        found[:, :, j] = (dynamics(ahead, inputs) - dynamics(behind, inputs)) / (ahead[:, j] - behind[:, j])[:, None]
    return found


def resting_observation(
    task: EvidenceTask, *, cue: float | None = None, context: int | None = None
) -> Float[np.ndarray, " F"]:
    """The observation without evidence, as in the delay, float64: the cue, and the encoded zeros.

    Arguments:
        cue: 1 while answers do not count, as in a delay; 0 once they do; None for its value during the stimulus: 1, but
            0 in reaction-time tasks.
        context: the task that is asked, with `cueing="one"`; otherwise None.

    Raises:
        ValueError: if `context` does not go with the task, or is none of its tasks.
    """
    if (context is None) != (task.cueing == "all"):
        raise ValueError(f"context={context!r} does not go with cueing={task.cueing!r}: give a task where one is cued")
    if context is not None:
        context = check_int("context", context, 0, task.n_tasks - 1)
    seen = np.zeros(task.n_features)
    seen[0] = float(not task.reaction_time) if cue is None else cue
    silence = np.zeros(task.n_dims, np.float32)
    seen[1 : 1 + task.n_evidence] = (
        silence if task.encoder is None else encode(task.encoder, task.encoder_seed, silence)
    )
    if context is not None:
        seen[1 + task.n_evidence + context] = 1
    return seen
