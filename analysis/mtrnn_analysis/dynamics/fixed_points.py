"""Fixed and slow points of an agent's dynamics, and whether they are those of a continuum of x*.

Axis letters: P points, S components of the state, N trials, T steps, D latents, R draws (K, L where there may be none).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from mtrnn_analysis.dynamics.alignment import alignment_of, local_alignment
from mtrnn_analysis.dynamics.data_states import data_states
from mtrnn_analysis.dynamics.search import SETTINGS, TOLERANCE, affordable_starts, distinct, search
from mtrnn_analysis.dynamics.spectra import Spectra, overlap, principal_angles, slow_directions
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import NO_NULL, ProbeResult
from mtrnn_envs.dynamics import resting_observation
from mtrnn_envs.protocols import Agent, Dynamics
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.validation import check_int

# Of the eigenvalues of F - h with the largest real parts, so many are reported.
N_REAL_PARTS = 4
# Points nearer to each other than this share of the data's standard deviation are counted once.
SAME = 1e-6
N_PATHS = 60
SHARED = ("points", "q", "distance", "near", "kinked", "of_points", "of_data")  # fields of `Search` that are results


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FixedPoints(ProbeResult):
    """Points at which the state stands still, and whether they form a continuum of x*. `value` is the share of starts
    that led to a point of a continuum of D dimensions (see `fixed_points`).

    Numbers of "points" are of those at which the minimisation ended, one for each start; none is left out and none
    merged. Numbers of the "data" are of the states that it started from, before the jitter: they say how the network
    holds the evidence that it has seen, wherever its fixed points are.

    Attributes:
        control: `value` of the network before training; NaN without one.
        n_fixed, n_near, n_fixed_near: points with q below the tolerance, near the data, and both.
        n_distinct: fixed points more than 1e-6 standard deviations apart: nearer ones differ by rounding. A continuum
            keeps its many points.
        n_unstable: points near the data with an eigenvalue |mu| > 1.
        n_kinked: points on a kink of F (of a ReLU), where the Jacobian is that of one of its sides, and q may have
            its least value without a derivative that is 0.
        slow_modes: the median number of slow eigenvalues of points near the data ("points") and of the data ("data"),
            and the share of each that has D of them ("points_with_d", "data_with_d"); NaN where no point is near.
        continuum: the share of states whose spectrum is that of a continuum, by the rule of `value` but whatever their
            q: of the data, also before training ("data", "control"), and of points near the data ("points").
        time_constants: medians of the first D + 1 time constants, in ms, of points near the data ("points_1", ...) and
            of the data ("data_1", ...), sorted by modulus; those that grow are left out (see `n_unstable`).
        real_parts: medians of the 4 largest real parts of eigenvalues mu - 1 of F(h) - h, likewise; those that grow
            count.
        alignment: the mean squared cosine of the principal angles between slow directions and coding axes, averaged
            over points near the data. 1: the same D dimensions; NaN without such directions.
        alignment_null, alignment_p: the same with D axes drawn from the data's covariance in place of the coding axes,
            `[R]` (empty without an alignment), and the share of these and `alignment` that is at least as large.
        alignment_data: the alignment at the states of the data, each with the coding axes of the trials of its own
            orthant of x*, as a code may be curved ("value"); its p by `alignment_data_null` ("p"); with the coding axes
            of all trials ("global"); and that of isotropic axes, D / S ("isotropic").
        alignment_data_null: "value" with axes drawn from the covariance of the states of the same orthant, `[R]`.
        non_normality: the mean squared cosine of the angles between the slow directions, in which the state persists,
            and those from which they are driven (right and left invariant subspaces), over points near the data: 1 in
            a normal network.
        points, q: the points, `[P, S]`, and 1/2 |F(h, u) - h|^2 there.
        distance: to the nearest state of the data, in units of the data's own: the median distance of a state to the
            nearest of other trials.
        near: whether a point is near the data: no farther than 0.99 of its states are from states of other trials.
        kinked: whether a point is on a kink.
        of_points, of_data: the spectra at the points, and at the states of the data from which they were sought.
        angles: principal angles between slow directions and coding axes at each point, in degrees, `[P, D]`; NaN for
            points that are not near, or where the slow directions are not defined.
        paths, latents: trajectories of some trials from the first evidence on, `[N, T, S]`, NaN beyond their ends; and
            their x*, `[N, D]`.
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
    untrained: Agent | None = None,
    *,
    n_starts: int | None = None,
    n_trials: int = 256,
    cue: float | None = None,
    context: int | None = None,
    n_null: int = 100,
) -> FixedPoints:
    """Where the state stands still while nothing is shown: fixed points q(h) = 1/2 |F(h, u) - h|^2 = 0 and slow ones.

    From states of the data q is minimised (Sussillo & Barak 2013, doi:10.1162/NECO_a_00409) by
    `levenberg_marquardt.minimise_speed`. Points at which it stays above 1e-10 are kept as slow points. A small q proves
    nothing by itself: far from the data there may be fixed points that the network never sees, and a point is one of a
    continuum of D dimensions only if D eigenvalues mu of the Jacobian are near 1, and no more. `value` is the share of
    the starts that led to a point

    - with q below 1e-10,
    - near the data: no farther from it than 0.99 of its states are from states of other trials,
    - with exactly D slow stable eigenvalues (a time constant of the stimulus' length or more), none with |mu| > 1, and
      a gap behind them, a factor of 3 between the time constants of modes D and D + 1 (`spectra`).

    It is 1 for an exact plane attractor, or a slow one of the kind that leaks into a fixed point among the data, and 0
    for a network that forgets, or holds other things too. It does not say what is held: see `alignment` for that. It
    is not enough for a continuous attractor, which must hold in a long rollout too, nor needed: a slow manifold without
    any fixed point on it shows in `continuum["data"]` alone. A share of points has no null distribution; its value in
    the network before training (`control`) stands in its place.

    Coding axes are cov(h, x*) cov(x*)^-1 at the last steps of trials. The null hypothesis of `alignment_null` is that
    they have no more to do with the slow directions than other axes that the states vary along, drawn as D Gaussian
    vectors with the covariance of the data. If most of that is along the coding axes, it is hard to beat; isotropic
    axes, which any axis of the data beats, would have D / S. In `alignment_data` both are of one orthant of x* at a
    time, drawn for each by itself.

    Arguments:
        n_starts: points sought; None for 128, or, where states have more than 128 components, for as many as take about
            as long, but 8 at least.
        n_trials: trials run. Distances are to the first half, from the first evidence on; the starts come from the
            other half, so that they are not at distance 0.
        cue: of the observation u that is held, with the encoded zeros as its evidence; None for that of the stimulus:
            1, but 0 in reaction-time tasks.
        context: with `cueing="one"`, the task that is cued in u and in all trials; None for the first.
        n_null: draws of the null of the alignment.

    Raises:
        ValueError: if an argument is out of its range, there are fewer than 4 trials, the dynamics have no more
            components than the task has latents, or the states are not finite or do not vary.
    """
    n_starts = affordable_starts(dynamics, 128) if n_starts is None else n_starts
    for name, count, least in (("n_starts", n_starts, 1), ("n_trials", n_trials, 4), ("n_null", n_null, 0)):
        check_int(name, count, least)
    slow = float(task.longest.stimulus)
    context = 0 if task.cueing == "one" and context is None else context
    resting = resting_observation(task, cue=cue, context=context)

    data = data_states(dynamics, trials[:n_trials], context)
    found = search(dynamics, data, resting, n_starts, slow, rng)
    control = control_of_data = math.nan
    if (take := getattr(untrained, "dynamics", None)) is not None:
        before = take()
        before = search(before, data_states(before, trials[:n_trials], context), resting, n_starts, slow, rng)
        control, control_of_data = before.value, _mean(before.of_data.continuous)

    n_dims, close = data.latents.shape[1], found.near
    axes = np.linalg.qr(data.coding)[0]
    random_axes = np.linalg.qr(data.random_axes(n_null, rng))[0]
    at_points = list(zip(close, found.slopes, found.of_points.eigenvalues, strict=True))
    right = [slow_directions(slopes, mu, n_dims) if near else None for near, slopes, mu in at_points]
    left = [slow_directions(slopes.T, mu, n_dims) if near else None for near, slopes, mu in at_points]
    at_data = zip(found.slopes_of_data, found.of_data.eigenvalues, strict=True)
    right_of_data = [slow_directions(slopes, mu, n_dims) for slopes, mu in at_data]
    alignment, null = alignment_of(right, axes, random_axes)
    of_data_globally, _ = alignment_of(right_of_data, axes, random_axes[:0])
    of_data_locally, null_of_data = local_alignment(data, found.orthants, right_of_data, n_null, rng)
    undefined = np.full(n_dims, np.nan)
    ways = [overlap(to, by) for to, by in zip(right, left, strict=True) if to is not None and by is not None]

    fixed, of_points, of_data = found.q < TOLERANCE, found.of_points, found.of_data
    both = (("points", of_points, close), ("data", of_data, np.ones(n_starts, bool)))
    slow_modes = {name: _median(part.n_slow[rows]) for name, part, rows in both}
    slow_modes |= {f"{name}_with_d": _mean(part.n_slow[rows] == n_dims) for name, part, rows in both}
    times, real = {}, {}
    for name, part, rows in both:
        ordered = -np.sort(-np.real(part.eigenvalues), axis=1) - 1
        times |= {f"{name}_{k + 1}": task.dt * _median(part.times[rows, k]) for k in range(n_dims + 1)}
        real |= {f"{name}_{k + 1}": _median(ordered[rows, k]) for k in range(min(N_REAL_PARTS, ordered.shape[1]))}
    chosen = {"n_starts": n_starts, "n_trials": n_trials, "cue": resting[0], "context": context, "n_null": n_null}
    return FixedPoints(
        value=found.value,
        n=n_starts,
        settings={**SETTINGS, "slow": slow, **chosen},
        control=control,
        n_fixed=int(fixed.sum()),
        n_distinct=distinct(found.points[fixed], SAME * data.scale),
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
        **{name: getattr(found, name) for name in SHARED},
        angles=np.array([undefined if each is None else principal_angles(each, axes) for each in right]),
        paths=data.paths[:N_PATHS],
        latents=data.latents[:N_PATHS],
        dt=task.dt,
    )


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _median(values: np.ndarray) -> float:
    """The median of the values that are not NaN; NaN without any."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan
