"""Fixed and slow points of an agent's dynamics, and whether they are those of a continuum of x*.

Axis letters: P points, S components of the state, N trials, T steps, D latents, K states of the data, R draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mtrnn_analysis.dynamics.alignment import alignment_of, local_alignment
from mtrnn_analysis.dynamics.data_states import DataStates, data_states, nearest
from mtrnn_analysis.dynamics.levenberg_marquardt import minimise_speed
from mtrnn_analysis.dynamics.spectra import Spectra, overlap, principal_angles, slow_directions, spectra
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import NO_NULL, ProbeResult
from mtrnn_envs.dynamics import jacobians, resting_observation
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.validation import check_int

# Of the eigenvalues of F - h with the largest real parts, so many are told.
N_REAL_PARTS = 4
# Points nearer to each other than this share of the data's standard deviation are counted once.
SAME = 1e-6
# Jacobians that differ by this share, this share of the data's standard deviation apart, are of two sides of a kink.
KINK, ASIDE = 1e-2, 1e-5
N_PATHS = 60


@dataclass(frozen=True, eq=False, kw_only=True)
class FixedPoints(ProbeResult):
    """What `fixed_points` found. `value` is the share of starts that led to a point of a continuum: see there.

    Numbers of "points" are of those that the minimisation ended at, one for each start; none is left out and none
    merged. "Of the data" are the same numbers of the states that it started from, before the jitter: they say how the
    network holds what it has seen, wherever its fixed points are.

    Attributes:
        control: `value` of the network before training; NaN if that is not to be had.
        n_fixed: points with q below the tolerance.
        n_distinct: of these, what is left if points within 1e-6 standard deviations of each other, which differ by
            rounding, count once. A continuum keeps its many points: nothing else is merged.
        n_near: points near the data.
        n_fixed_near: points with q below the tolerance near the data.
        n_unstable: points near the data with an eigenvalue |mu| > 1.
        n_kinked: points on a kink of F (of a ReLU), where the Jacobian is that of one of its sides, and q may have
            its least value without a derivative that is 0.
        slow_modes: the median number of slow eigenvalues of points near the data, of the data, and the share of each
            that has D of them ("points", "data", "points_with_d", "data_with_d"); NaN where no point is near.
        continuum: the share of states of the data whose spectrum is that of a continuum, by the same rule as `value`,
            whatever their q ("data"), the same before training ("control"; NaN if that is not to be had), and of
            points near the data, whatever their q ("points").
        time_constants: medians of the first D + 1 time constants, in ms, of points near the data ("points_1", ...) and
            of the data ("data_1", ...), sorted by modulus; those that grow count as NaN and are left out: see
            `n_unstable`.
        real_parts: medians of the 4 largest real parts of eigenvalues of F(h) - h, that is of mu - 1, of points near
            the data ("points_1", ...) and of the data: those that grow are in.
        alignment: how well the slow directions go with the coding axes: the mean squared cosine of their principal
            angles, averaged over points near the data. 1: the same D dimensions; NaN if there are no such directions.
        alignment_p: the share of `alignment_null` and `alignment` together that is at least as large.
        alignment_null: the same with D axes drawn from the data's covariance in place of the coding axes, `[R]`;
            empty where there is no alignment.
        alignment_data: the same of the states of the data, each with the coding axes of the trials of its own orthant
            of x*, as a code may be curved ("value"), and p by `alignment_data_null` ("p"); with the coding axes of all
            trials ("global"); and what isotropic axes have, D / S ("isotropic").
        alignment_data_null: the same as "value" with axes drawn from the covariance of the states of the same orthant,
            `[R]`.
        non_normality: the mean squared cosine of the angles between the slow directions, in which the state persists,
            and those from which they are driven (right and left invariant subspaces), over points near the data: 1 in
            a normal network.
        points: the points, `[P, S]`.
        q: 1/2 |F(h, u) - h|^2 there.
        distance: to the nearest state of the data, in units of the data's own: the median distance of a state to the
            nearest of other trials.
        near: whether that is no more than the quantile `near` of the data's own distances.
        kinked: which are on a kink.
        of_points, of_data: the spectra at the points, and at the states of the data they were sought from.
        angles: principal angles between slow directions and coding axes at each point, in degrees, `[P, D]`; NaN for
            points that are not near, or where the slow directions are not defined.
        paths: trajectories of some trials from the first evidence on, `[N, T, S]`; NaN beyond their ends.
        latents: x* of these, `[N, D]`.
        dt: a step, in ms.
    """

    control: float
    n_fixed: int
    n_distinct: int
    n_near: int
    n_fixed_near: int
    n_unstable: int
    n_kinked: int
    slow_modes: Mapping[str, float]
    continuum: Mapping[str, float]
    time_constants: Mapping[str, float]
    real_parts: Mapping[str, float]
    alignment: float
    alignment_p: float
    alignment_null: Float[np.ndarray, " K"] = field(default_factory=lambda: NO_NULL)
    alignment_data: Mapping[str, float]
    alignment_data_null: Float[np.ndarray, " L"] = field(default_factory=lambda: NO_NULL)
    non_normality: float
    points: Float[np.ndarray, "P S"]
    q: Float[np.ndarray, " P"]
    distance: Float[np.ndarray, " P"]
    near: Bool[np.ndarray, " P"]
    kinked: Bool[np.ndarray, " P"]
    of_points: Spectra
    of_data: Spectra
    angles: Float[np.ndarray, "P D"]
    paths: Float[np.ndarray, "N T S"]
    latents: Float[np.ndarray, "N D"]
    dt: float


def fixed_points(
    dynamics: Dynamics,
    task: EvidenceTask,
    trials: Trials,
    rng: np.random.Generator,
    untrained: Any = None,
    *,
    n_starts: int | None = None,
    n_trials: int = 256,
    cue: float | None = None,
    context: int | None = None,
    jitter: float = 0.1,
    longest_step: float = 0.03,
    max_iterations: int = 250,
    tolerance: float = 1e-10,
    near: float = 0.99,
    slow: float | None = None,
    gap: float = 3.0,
    n_null: int = 100,
) -> FixedPoints:
    """Where the state stands still while nothing is shown: fixed points q(h) = 1/2 |F(h, u) - h|^2 = 0 and slow ones.

    From states of the data q is minimised (Sussillo & Barak 2013, doi:10.1162/NECO_a_00409) by
    `levenberg_marquardt.minimise_speed`. Points at which it stays above `tolerance` are kept as slow
    points. A small q proves nothing by itself: far from the data there may be fixed points that the network never
    sees, so that the distance to the data is told; and a point is one of a continuum of D dimensions only if D
    eigenvalues mu of the Jacobian are near 1, and no more. `value` is the share of the starts that led to a point

    - with q below `tolerance`,
    - near the data: no farther from it than the share `near` of its states is from states of other trials,
    - with exactly D slow stable eigenvalues, none with |mu| > 1, and a gap behind them (`spectra`).

    It is 1 for an exact plane attractor, or a slow one of the kind that leaks into a fixed point among the data, and 0
    for a network that forgets, or holds other things too. It asks nothing of what is held: see `alignment` for that.
    It is not enough for a continuous attractor, which must hold in a long rollout too, nor needed: a slow manifold
    without any fixed point on it shows in `continuum["data"]` alone. A share of points has no null distribution; what
    it is in the network before training (`control`) stands in its place.

    Coding axes are cov(h, x*) cov(x*)^-1 at the last steps of trials. The null hypothesis of `alignment_null` is that
    they have no more to do with the slow directions than other axes that the states vary along: they are drawn as D
    Gaussian vectors with the covariance of the data, as often as is asked. If most of that is along the coding axes,
    it is hard to beat; isotropic axes, which any axis of the data beats, would have D / S. In `alignment_data` both are
    of one orthant of x* at a time, drawn for each by itself.

    Arguments:
        dynamics: F, of the agent.
        task: the task it is to be seen in.
        trials: trials of this task, of which the first `n_trials` are taken.
        rng: draws the starts, and the null.
        untrained: the agent before training, for `control`.
        n_starts: how many points are sought; None for 128, or, where states have more than 128 components, for as many
            as take about as long, but 8 at least.
        n_trials: trials run. The first half, from the first evidence on, is what distances are taken to; the starts
            come from the other, so that they are not at distance 0.
        cue: of the observation u that is held, with the encoded zeros as its evidence; None for what it is during the
            stimulus: 1, but 0 in reaction-time tasks.
        context: with `cueing="one"`, the task that is asked in u and in all trials; None for the first.
        jitter: standard deviation of the noise on the starts, as a share of that of each component over the data.
        longest_step: of the minimisation, as a share of the standard deviation of the data, sqrt(trace of covariance).
        max_iterations: of the minimisation.
        tolerance: q below which a point is fixed, in the unit of the state squared.
        near: see above.
        slow: the least time constant of a slow mode, in steps; None for the length of the stimulus.
        gap: the least ratio of time constants of the D-th mode and the next.
        n_null: draws of the null of the alignment.

    Raises:
        ValueError: if an argument is not of these, there are less than 4 trials, the dynamics have no more components
            than the task has latents, or the states are not finite or do not vary.
    """
    n_starts = affordable_starts(dynamics, 128) if n_starts is None else n_starts
    for name, count, least in (("n_starts", n_starts, 1), ("n_trials", n_trials, 4), ("n_null", n_null, 0)):
        check_int(name, count, least)
    check_int("max_iterations", max_iterations, 1)
    slow = float(task.longest.stimulus) if slow is None else slow
    tiny = float(np.finfo(float).tiny)
    _check("jitter", jitter, 0, math.inf)
    _check("near", near, 0, 1)
    _check("gap", gap, 1, math.inf)
    for name, number in (("longest_step", longest_step), ("tolerance", tolerance), ("slow", slow)):
        _check(name, number, tiny, math.inf)
    context = 0 if task.cueing == "one" and context is None else context
    resting = resting_observation(task, cue=cue, context=context)
    search = _Search(n_starts, jitter, longest_step, max_iterations, tolerance, near, slow, gap)

    data = data_states(dynamics, trials[:n_trials], context)
    found = _sought(dynamics, data, resting, search, rng)
    control = control_of_data = math.nan
    if callable(getattr(untrained, "dynamics", None)):
        before = untrained.dynamics()
        control_found = _sought(before, data_states(before, trials[:n_trials], context), resting, search, rng)
        control, control_of_data = control_found.value, _mean(control_found.of_data.continuous)

    n_dims, close = data.latents.shape[1], found.near
    axes = np.linalg.qr(data.coding)[0]
    random_axes = np.linalg.qr(data.random_axes(n_null, rng))[0]
    right, left, right_of_data = [], [], []
    for near_by, slopes, mu in zip(close, found.slopes, found.of_points.eigenvalues, strict=True):
        right.append(slow_directions(slopes, mu, n_dims) if near_by else None)
        left.append(slow_directions(slopes.T, mu, n_dims) if near_by else None)
    for slopes, mu in zip(found.slopes_of_data, found.of_data.eigenvalues, strict=True):
        right_of_data.append(slow_directions(slopes, mu, n_dims))
    alignment, null = alignment_of(right, axes, random_axes)
    of_data_globally, _ = alignment_of(right_of_data, axes, random_axes[:0])
    of_data_locally, null_of_data = local_alignment(data, found.orthants, right_of_data, n_null, rng)
    undefined = np.full(n_dims, np.nan)
    angles = np.array([undefined if each is None else principal_angles(each, axes) for each in right])
    ways = [overlap(to, by) for to, by in zip(right, left, strict=True) if to is not None and by is not None]

    fixed, of_points, of_data = found.q < tolerance, found.of_points, found.of_data
    both = (("points", of_points, close), ("data", of_data, np.ones(n_starts, bool)))
    slow_modes = {name: _median(part.n_slow[rows]) for name, part, rows in both}
    slow_modes |= {f"{name}_with_d": _mean(part.n_slow[rows] == n_dims) for name, part, rows in both}
    times, real = {}, {}
    for name, part, rows in both:
        ordered = -np.sort(-np.real(part.eigenvalues), axis=1) - 1
        times |= {f"{name}_{k + 1}": task.dt * _median(part.times[rows, k]) for k in range(n_dims + 1)}
        real |= {f"{name}_{k + 1}": _median(ordered[rows, k]) for k in range(min(N_REAL_PARTS, ordered.shape[1]))}
    return FixedPoints(
        value=found.value,
        n=n_starts,
        settings={**search._asdict(), "n_trials": n_trials, "cue": resting[0], "context": context, "n_null": n_null},
        control=control,
        n_fixed=int(fixed.sum()),
        n_distinct=_distinct(found.states[fixed], SAME * data.scale),
        n_near=int(close.sum()),
        n_fixed_near=int((fixed & close).sum()),
        n_unstable=int((of_points.n_unstable[close] > 0).sum()),
        n_kinked=int(found.kinked.sum()),
        slow_modes=slow_modes,
        continuum={name: _mean(part.continuous[rows]) for name, part, rows in both} | {"control": control_of_data},
        time_constants=times,
        real_parts=real,
        alignment=alignment,
        alignment_p=math.nan if math.isnan(alignment) else p_value(alignment, null),
        alignment_null=null,
        alignment_data={
            "value": of_data_locally,
            "p": math.nan if math.isnan(of_data_locally) else p_value(of_data_locally, null_of_data),
            "global": of_data_globally,
            "isotropic": n_dims / data.reference.shape[1],
        },
        alignment_data_null=null_of_data,
        non_normality=_mean(ways),
        points=found.states,
        q=found.q,
        distance=found.distance,
        near=close,
        kinked=found.kinked,
        of_points=of_points,
        of_data=of_data,
        angles=angles,
        paths=data.paths[:N_PATHS],
        latents=data.latents[:N_PATHS],
        dt=task.dt,
    )


def affordable_starts(dynamics: Dynamics, most: int) -> int:
    """`most` starts, or fewer from states of more than 128 components: each step solves a system of that size."""
    size = dynamics.start(1).shape[1]
    return min(most, max(8, int(most * (128 / size) ** 3)))


class _Search(NamedTuple):
    """Settings of the search; see `fixed_points`."""

    n_starts: int
    jitter: float
    longest_step: float
    max_iterations: int
    tolerance: float
    near: float
    slow: float
    gap: float


class _Sought(NamedTuple):
    """What a search found; see `FixedPoints`. Slopes are Jacobians of F, `[P, S, S]`; orthants those of the starts."""

    states: np.ndarray
    q: np.ndarray
    distance: np.ndarray
    near: np.ndarray
    kinked: np.ndarray
    slopes: np.ndarray
    slopes_of_data: np.ndarray
    orthants: np.ndarray
    of_points: Spectra
    of_data: Spectra
    value: float


def _sought(
    dynamics: Dynamics, data: DataStates, resting: np.ndarray, search: _Search, rng: np.random.Generator
) -> _Sought:
    n_dims, size = data.latents.shape[1], data.reference.shape[1]
    if size <= n_dims:
        raise ValueError(f"dynamics has states of {size} components; more than the {n_dims} latents are needed")
    n = search.n_starts
    rows = rng.choice(len(data.others), n, replace=len(data.others) < n)
    starts, of_trials = data.others[rows], data.orthants[len(data.reference) :][rows]
    jittered = starts + search.jitter * data.deviations * rng.standard_normal(starts.shape)
    longest = search.longest_step * data.scale
    ended = minimise_speed(dynamics, resting, jittered, longest_step=longest, max_iterations=search.max_iterations)
    seen = np.broadcast_to(resting, (n, len(resting)))
    distance = nearest(ended.states, data.reference)
    near = distance <= np.quantile(data.own, search.near)
    slopes, slopes_of_data = (jacobians(dynamics, states, seen) for states in (ended.states, starts))
    aside = rng.standard_normal(starts.shape)
    aside *= ASIDE * data.scale / np.linalg.norm(aside, axis=1, keepdims=True)
    turn = jacobians(dynamics, ended.states + aside, seen) - jacobians(dynamics, ended.states - aside, seen)
    kinked = np.abs(turn).max(axis=(1, 2)) > KINK * np.maximum(np.abs(slopes).max(axis=(1, 2)), KINK)
    of_points, of_data = (spectra(each, n_dims, search.slow, search.gap) for each in (slopes, slopes_of_data))
    value = _mean((ended.q < search.tolerance) & near & of_points.continuous)
    return _Sought(
        states=ended.states,
        q=ended.q,
        distance=distance / data.unit,
        near=near,
        kinked=kinked,
        slopes=slopes,
        slopes_of_data=slopes_of_data,
        orthants=of_trials,
        of_points=of_points,
        of_data=of_data,
        value=value,
    )


def _distinct(points: np.ndarray, least: float) -> int:
    """How many of `points` have no point before them within `least`."""
    if not len(points):
        return 0
    apart = np.linalg.norm(points[:, None] - points, axis=2) > least
    return int(np.count_nonzero(~np.triu(~apart, 1).any(axis=0)))


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _median(values: np.ndarray) -> float:
    """The median of those that are not NaN; NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}={value!r} is not a number from {low:.3g} to {high:.3g}")
