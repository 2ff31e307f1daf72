"""The states of a network along trials in their first three principal components, with its fixed and slow points.

Axis letters: N trials, T steps, H units, D latents, P paths, E ends, K points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from mtrnn_analysis.dynamics.fixed_points import fixed_points
from mtrnn_analysis.geometry.principal import principal_components
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.protocols import Dynamics


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Trajectories(ProbeResult):
    """The states of a network along trials in three dimensions. `value` is the share of their variance there.

    Coordinates are along the first three principal components of the states at all steps of all trials.

    Attributes:
        shares: the share of the variance along each component.
        paths: the states of the first trials of each quadrant of the first two latents, NaN beyond the end of a trial.
        path_latents: their x*.
        ends: last states of more trials of each quadrant.
        end_latents: their x*.
        first: the mean state at the first step.
        slopes: the change of last states with the first two latents, by least squares.
        points: points at which a search for fixed points ended; empty if the agent has no dynamics to search.
        q: 1/2 |F(h, u) - h|^2 at each point.
        fixed: whether q is below the tolerance of the search.
        near: whether the point is near the data.
        n_unstable: eigenvalues |mu| > 1 at each point.
    """

    shares: Float[np.ndarray, " 3"]
    paths: Float[np.ndarray, "P T 3"]
    path_latents: Float[np.ndarray, "P D"]
    ends: Float[np.ndarray, "E 3"]
    end_latents: Float[np.ndarray, "E D"]
    first: Float[np.ndarray, " 3"]
    slopes: Float[np.ndarray, "2 3"]
    points: Float[np.ndarray, "K 3"]
    q: Float[np.ndarray, " K"]
    fixed: Bool[np.ndarray, " K"]
    near: Bool[np.ndarray, " K"]
    n_unstable: Float[np.ndarray, " K"]


def trajectories(
    hidden: Float[np.ndarray, "N T H"],
    valid: Bool[np.ndarray, "N T"],
    latents: Float[np.ndarray, "N D"],
    task: EvidenceTask,
    rng: np.random.Generator,
    dynamics: Dynamics | None = None,
    trials: Trials | None = None,
    *,
    n_paths: int = 15,
    n_ends: int = 150,
    n_starts: int = 64,
) -> Trajectories:
    """The states along trials in their first three principal components, with fixed and slow points.

    Arguments:
        hidden: states at all steps.
        valid: the steps that belong to each trial.
        latents: x* of each trial.
        rng: randomness of the search.
        dynamics: dynamics of the agent; without them no points are searched.
        trials: the recorded trials, from whose states the search starts.
        n_paths: paths for each quadrant of the first two latents.
        n_ends: last states for each quadrant.
        n_starts: starts of the search for fixed points.

    Raises:
        ValueError: if there are fewer than two latents, or three units.
    """
    if latents.shape[1] < 2 or hidden.shape[2] < 3:
        raise ValueError(
            f"{latents.shape[1]} latents, {hidden.shape[2]} units: trajectories need at least 2 latents and 3 units"
        )
    components = principal_components(hidden[valid].astype(float), 3)
    states = np.where(valid[:, :, None], components.project(hidden.astype(float)), np.nan)
    last = valid.shape[1] - 1 - np.argmax(valid[:, ::-1], axis=1)
    ends, centred = states[np.arange(len(states)), last], latents[:, :2] - latents[:, :2].mean(axis=0)
    codes = (latents[:, 0] > 0) + 2 * (latents[:, 1] > 0)
    shown = {n: np.concatenate([np.flatnonzero(codes == c)[:n] for c in range(4)]) for n in (n_paths, n_ends)}
    points, rows = np.empty((0, 3)), np.empty(0)
    found = None
    if dynamics is not None and trials is not None:
        try:
            found = fixed_points(dynamics, task, trials, rng, n_starts=n_starts, n_null=0)
        except ValueError:  # the search is not applicable to this agent or task
            found = None
    if found is not None:  # the state of an LSTM is more than its units
        points, rows = components.project(found.points[:, : hidden.shape[2]]), found.q
    return Trajectories(
        value=float(components.shares.sum()),
        n=len(hidden),
        settings={"n_paths": n_paths, "n_ends": n_ends, "n_starts": n_starts},
        shares=components.shares,
        paths=states[shown[n_paths]].astype(np.float32),
        path_latents=latents[shown[n_paths]],
        ends=ends[shown[n_ends]].astype(np.float32),
        end_latents=latents[shown[n_ends]],
        first=states[:, 0].mean(axis=0),
        slopes=np.linalg.lstsq(centred, ends - ends.mean(axis=0))[0],
        points=points,
        q=rows,
        fixed=rows < found.settings["tolerance"] if found is not None else np.empty(0, bool),
        near=found.near if found is not None else np.empty(0, bool),
        n_unstable=found.of_points.n_unstable.astype(float) if found is not None else rows,
    )
