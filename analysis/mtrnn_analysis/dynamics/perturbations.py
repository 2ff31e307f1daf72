"""Pushes of the state along the coding axes of x* and across them, and the share of each that remains.

Axis letters: N trials, S components of the state, D latents, K steps, R draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mtrnn_analysis.decoding.ridge import Ridge
from mtrnn_analysis.dynamics.rollout import Ends, decoder_at, ends, halves
from mtrnn_analysis.geometry.axes import encoding
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.dynamics import run
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.validation import check_choice, check_int

ACROSS = ("data", "isotropic")
# Relative to the direction in which states vary most; less variation is rounding.
RELATIVE_VARIATION = 1e-7


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Perturbations(ProbeResult):
    """Whether pushes along the coding axes of x* persist where pushes across them decay. `value` is the share that
    remains of pushes along, less the share that remains of pushes across.

    Attributes:
        along: the share of the norm of pushes along that remains after 0, ..., K steps: medians over trials, `[K+1]`.
        along_quartiles: the quartiles over trials, `[2, K+1]`.
        across: the same of pushes across, for each set of directions drawn, `[R, K+1]`.
        gain: the shift of the decoded x* in the direction of the intended step d, as a share of its length, medians
            over trials, `[K+1]`: 1 where x* was moved by d and stays there.
        gain_quartiles: `[2, K+1]`.
        leak: the length of the shift of the decoded x* that pushes across bring about, as a share of the step that a
            push along of that norm intends; medians over trials, then over draws, `[K+1]`.
        along_left: `along` at the last step.
        across_left: the median of `across` at the last step.
        gain_left: `gain` at the last step.
    """

    along: Float[np.ndarray, " K"]
    along_quartiles: Float[np.ndarray, "2 K"]
    across: Float[np.ndarray, "R K"]
    gain: Float[np.ndarray, " K"]
    gain_quartiles: Float[np.ndarray, "2 K"]
    leak: Float[np.ndarray, " K"]
    along_left: float
    across_left: float
    gain_left: float


def perturbations(
    dynamics: Dynamics,
    trials: Trials,
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    size: float = 0.1,
    across: str = "data",
    multiple: int = 1,
    after: str = "stimulus",
    cue: float | None = None,
    n_trials: int = 1000,
    n_pushed: int = 100,
) -> Perturbations:
    """Whether pushes along the coding axes persist where pushes across them decay, as on a continuous attractor.

    At the end of the stimulus the state s of a trial is pushed and, beside an unpushed copy, left to itself with the
    resting observation. The share that remains after k steps is |s_pushed(k) - s(k)| / |push|.

    - *Along*: the push is A d, with A = cov(s, x*) cov(x*)^-1 `[S, D]` the coding axes (Haufe et al. 2014,
      doi:10.1016/j.neuroimage.2013.10.067) and d a step of x* of length `size` in a random direction, turned inwards
      where it would leave the cube of x*. On a continuous attractor it remains, and the decoded x* (by a frozen
      decoder; see `mtrnn_analysis.dynamics.rollout`) has moved by d: `gain` 1.
    - *Across*: A is exchanged for directions O orthogonal to it: the push is O (A'A)^(1/2) d, with the same d and the
      same norm as the push along. O is drawn for each of R = `n_null` draws: with across="data" it is D random
      directions from the states' covariance (less the coding axes), made orthonormal; with "isotropic" any, as long as
      the component varies over trials at all. Where the states vary in fewer than D directions across, isotropic
      directions are taken, and `settings` says so. On an attractor it decays.

    The states of a curved manifold vary across its mean axes too; there "data" directions lie partly along the
    manifold, and persist: this is the harder comparison. Isotropic directions are mostly ones that no trial takes.

    `value` is the median share that remains along minus the median across, after `multiple` times a trial's length.
    Null hypothesis: the coding axes are to the dynamics like any D other directions of the same kind. Then the share
    along and each draw of the share across are exchangeable; `null` is the share across in each draw minus the same
    median.

    The share may exceed 1: dynamics that are not normal amplify for a while, unstable ones for ever. Pushes across may
    end up along (see `leak`) and then remain, as right and left eigenvectors of the dynamics differ. A value near 0
    with all of it remaining is a network that is slow in every direction.

    Arguments:
        n_null: draws of directions across, 1 or more.
        size: of the step, in units of x*.
        across: "data" or "isotropic".
        multiple: waiting time, in trial lengths.
        after: "stimulus" or "trial"; see `mtrnn_analysis.dynamics.rollout`.
        cue: see there.
        n_trials: at most so many trials are used.
        n_pushed: at most so many of these are pushed.

    Raises:
        ValueError: if an argument is out of its range, the states do not vary with x*, or there are not 2 D components
            that vary.
    """
    for name, count in (("n_null", n_null), ("multiple", multiple), ("n_pushed", n_pushed)):
        check_int(name, count, 1)
    check_choice(across, ACROSS, "kind of direction", "pushes across")
    if not 0 < size <= 0.5:
        raise ValueError(f"size={size!r} is not a step of x* in (0, 0.5]")
    fitted, others = halves(trials, rng, n_trials)
    pushed = others[:n_pushed]
    states = ends(dynamics, fitted, after=after, cue=cue).states
    decoder = decoder_at(states[:, : dynamics.n_units], fitted.latents, rng)
    directions = _directions(states, fitted.latents, across)
    start = ends(dynamics, pushed, after=after, cue=cue)
    steps = _steps(decoder.predict(start.states[:, : dynamics.n_units]), size, rng)
    n_steps = multiple * trials.task.n_steps
    path = _path(dynamics, start, n_steps)
    along, shift = _left(dynamics, decoder, start, path, steps @ directions.axes.T)
    gain = np.einsum("nkd,nd->nk", shift, steps) / size**2
    draws, leaks = np.empty((2, n_null, n_steps + 1))
    for r in range(n_null):
        left, shift = _left(dynamics, decoder, start, path, steps @ directions.draw(rng).T)
        draws[r] = np.median(left, axis=0)
        leaks[r] = np.median(np.linalg.norm(shift, axis=2), axis=0) / size
    along_left, across_left = float(np.median(along[:, -1])), float(np.median(draws[:, -1]))
    null = draws[:, -1] - across_left
    chosen = {"n_null": n_null, "size": float(size), "across": directions.kind, "multiple": multiple, "after": after}
    chosen |= {"cue": float(start.resting[0, 0]), "n_trials": n_trials, "n_pushed": n_pushed}
    return Perturbations(
        value=along_left - across_left,
        null=null,
        p=p_value(along_left - across_left, null),
        n=len(pushed),
        settings=chosen,
        along=np.median(along, axis=0),
        along_quartiles=np.quantile(along, (0.25, 0.75), axis=0),
        across=draws,
        gain=np.median(gain, axis=0),
        gain_quartiles=np.quantile(gain, (0.25, 0.75), axis=0),
        leak=np.median(leaks, axis=0),
        along_left=along_left,
        across_left=across_left,
        gain_left=float(np.median(gain[:, -1])),
    )


class _Directions(NamedTuple):
    """The coding axes `[S, D]`, the root of their products `[D, D]`, and rows that span the space across, `[C, S]`."""

    axes: np.ndarray
    root: np.ndarray
    spanning: np.ndarray
    kind: str

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Random directions across, `[S, D]`, by which a step of x* gives pushes of the same norm as by the axes."""
        drawn = rng.standard_normal((self.axes.shape[1], len(self.spanning))) @ self.spanning
        return np.linalg.qr(drawn.T)[0] @ self.root


def _directions(states: np.ndarray, latents: np.ndarray, kind: str) -> _Directions:
    d = latents.shape[1]
    axes = encoding(states, latents).axes.T
    within, lengths, rotation = np.linalg.svd(axes, full_matrices=False)
    centred = states - states.mean(axis=0)
    spread = float(np.linalg.norm(centred, 2)) / np.sqrt(len(states))
    if lengths[-1] <= RELATIVE_VARIATION * max(float(np.abs(states).max()), np.finfo(float).tiny):
        raise ValueError(
            f"states at the end of the stimulus vary with fewer than {d} latents (coding axes of lengths {lengths}): "
            "there is nothing to push along"
        )

    def without(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows less the coding axes, as independent rows with the same covariance, and these rows' lengths."""
        _, values, vectors = np.linalg.svd(rows - (rows @ within) @ within.T, full_matrices=False)
        kept = values > RELATIVE_VARIATION * np.linalg.norm(rows, 2)
        return values[kept, None] * vectors[kept], values[kept]

    rows, _ = without(centred)
    if kind == "isotropic" or len(rows) < d:
        kind = "isotropic"
        varying = np.eye(states.shape[1])[centred.std(axis=0) > RELATIVE_VARIATION * spread]
        rows, _ = without(varying)
    if len(rows) < d:
        raise ValueError(
            f"dynamics has {len(rows)} directions across the coding axes in components that vary; {d}, as many as "
            "there are latents, are needed"
        )
    return _Directions(axes, (rotation.T * lengths) @ rotation, rows, kind)


def _steps(decoded: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Steps of x* in random directions, `[N, D]`, turned inwards where they would leave the cube of x*."""
    steps = rng.standard_normal(decoded.shape)
    steps *= size / np.linalg.norm(steps, axis=1, keepdims=True)
    return np.where(np.abs(decoded + steps) > 0.5, -np.sign(decoded) * np.abs(steps), steps)


def _path(dynamics: Dynamics, start: Ends, n_steps: int) -> np.ndarray:
    """States at rest, the first among them, `[N, K+1, S]`."""
    resting = np.broadcast_to(start.resting[:, None], (len(start.resting), n_steps, start.resting.shape[1]))
    return np.concatenate([start.states[:, None], run(dynamics, start.states, resting)], axis=1)


def _left(
    dynamics: Dynamics, decoder: Ridge, start: Ends, path: np.ndarray, push: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The share of a push's norm that remains, `[N, K+1]`, and the shift of the decoded x*, `[N, K+1, D]`."""
    change = _path(dynamics, Ends(start.states + push, start.resting), path.shape[1] - 1) - path
    left = np.linalg.norm(change, axis=2) / np.linalg.norm(push, axis=1)[:, None]
    return left, change[:, :, : dynamics.n_units] @ decoder.weights
