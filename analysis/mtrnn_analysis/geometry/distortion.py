"""Local distortion of the map from x* to states. Axis letters: N trials, H units, D latents, B bins, S deals of trials
into quarters, 4 quarters, R draws of a null.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mtrnn_analysis.geometry.axes import encoding
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import checked, varying
from mtrnn_analysis.polynomials import greatest_degree, polynomials
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.utils.validation import check_int

# Trials for each slope and intercept in a bin, on average, where the number of bins is not given.
TRIALS_PER_COEFFICIENT, MOST_BINS = 20, 8
# Permutations of trials within bins that test for any map at all; and how often a bin is dealt into quarters.
N_PERMUTATIONS, N_SPLITS = 99, 3
# The roles of quarters: which two make one estimate, and which the other.
ROLES = ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2))


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Distortion(ProbeResult):
    """Local distortion. `value`, `null`, `p`: variation of the metric over x*, corrected for noise; a linear map with
    the same noise; p for greater.

    Attributes:
        isometry: 1 if the metric is the same everywhere and in all directions, else less; corrected.
        isotropy: 1 if in each place the metric is the same in all directions, however great, else less; 1/D if states
            follow one direction only; corrected.
        area_variation: relative SD over bins of the local area (volume) element, corrected; may be below 0.
        p_area_variation: against the linear map, for greater.
        turning: by how many degrees the local encoding map is turned from the global one: the angle of the mean cosine,
            places weighing by the length of their map, corrected; below 0 if that cosine is above 1.
        p_turning: against the linear map, for greater.
        null_area_variation: `[R]`.
        null_turning: `[R]`.
        bins: the middles of the bins used, `[B, D]`.
        counts: trials in each, `[B]`.
        metrics: the local metric in each, corrected, squared activity for squared units of x, `[B, D, D]`.
        n_left_out: bins that had too few trials.
    """

    isometry: float
    isotropy: float
    area_variation: float
    p_area_variation: float
    turning: float
    p_turning: float
    null_area_variation: Float[np.ndarray, " R"]
    null_turning: Float[np.ndarray, " R"]
    bins: Float[np.ndarray, "B D"]
    counts: Int[np.ndarray, " B"]
    metrics: Float[np.ndarray, "B D D"]
    n_left_out: int


def distortion(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    n_bins: int | None = None,
) -> Distortion:
    """Local distortion: how the scale at which states follow x* varies from place to place.

    x* is put into bins of equal width, `n_bins` along each latent. In each, states are regressed on x*; the slopes J
    (`[D, H]`, local encoding axes) give the metric g = J Jᵀ: a small step dx moves the state by sqrt(dx g dxᵀ). A
    linear code has the same g everywhere, in whatever units and however rotated.

        value = 1/2 sqrt( mean over bins |g_b - ḡ|² / |ḡ|² ),   ḡ the mean over bins, |.| the Frobenius norm

    is about the relative SD of local lengths: 0 for a linear code, 0.2 if steps are stretched and shrunk by a fifth.
    Beside it: isometry = (tr ḡ)² / (D mean of tr g_b²), 1 only if every g_b is the same multiple of the identity, so
    that it falls with a global anisotropy too (`axes` has that alone); isotropy = mean of (tr g_b)² / (D mean of
    tr g_b²), 1 if every g_b is some multiple of it; the relative SD of sqrt(det g); and by how much local maps turn
    from the global one, cos = J·A / (|J| |A|) (curvature: a bent sheet keeps its lengths and turns its axes).

    Noise makes slopes, so metrics, too large, and differ. All are corrected: the trials of a bin are dealt into
    quarters, and only products of slopes from different quarters are used: g from two, |g - ḡ|² from the product of a
    g from two and a g from the other two; areas from two quarters are correlated over bins with those from the
    others. Means over the ways to deal the roles and over 3 deals. Corrected squares may be below 0; the root
    of such is given as minus the root of its size. The evidence's noise is noise here: E[h | x*] is averaged over it,
    which smooths the map.

    Null: states are a linear function of x* and noise that does not depend on x*. The noise is what polynomials of x*
    leave (see `dimensionality`; scaled by what the fit took), permuted over trials and added to the linear fit
    (residuals of the full model: ter Braak 1992, in Bootstrapping and Related Techniques, pp. 79-86). Residuals of the
    linear fit would do as well where the null holds, but where a code is bent they are mostly its bends, and hide them.

    Arguments:
        latents: x*, D >= 1.
        rng: deals the trials, draws the null.
        n_null: draws of the null.
        n_bins: along each latent; if not given as many as leave 20 (D + 1) trials a bin, 8 at most. Bins with fewer
            than 4 (D + 2) are left out.

    Raises:
        ValueError: if fewer than two bins have trials enough, states do not follow x* (the mean metric is not larger
            than in each of 99 permutations of trials within bins), no unit varies, arrays are not finite or not of the
            same trials, or an argument is out of its range.
    """
    states, latents = checked(states, latents)
    varying(states)
    (n, n_dims), n_null = latents.shape, check_int("n_null", n_null, 0)
    most = (n // (TRIALS_PER_COEFFICIENT * (n_dims + 1))) ** (1 / n_dims)
    n_bins = max(min(int(most + 1e-9), MOST_BINS), 2) if n_bins is None else check_int("n_bins", n_bins, 2)
    grid = _Grid.of(latents, n_bins, rng)
    fit = encoding(states, latents)
    about, basis = states - states.mean(axis=0), polynomials(latents, greatest_degree(n, n_dims))
    residuals = (about - basis @ (basis.T @ about) / n) * np.sqrt(n / (n - 1 - basis.shape[1]))
    measured = _measured(grid.slopes(about))
    shuffles = permutations_within(grid.which, N_PERMUTATIONS, rng)
    traces = np.array([_trace(grid.slopes(states[order])) for order in shuffles])
    if p_value(np.trace(measured.metrics, axis1=1, axis2=2).mean(), traces) > 0.01:
        raise ValueError(
            f"states do not follow latents: within {len(grid.counts)} bins of x* slopes are no larger than where the "
            "trials of each bin are permuted, so there is no map whose distortion could be measured"
        )
    null = np.empty((n_null, 3))
    for draw in null:
        # Local fits are linear in states, and give the global axes for the part that is linear.
        some = _measured(fit.axes + grid.slopes(residuals[rng.permutation(n)]))
        draw[:] = some.variation, some.area_variation, some.turning
    return Distortion(
        value=measured.variation,
        null=null[:, 0],
        p=p_value(measured.variation, null[:, 0]),
        n=n,
        settings={"n_null": n_null, "n_bins": n_bins, "n_splits": N_SPLITS},
        isometry=measured.isometry,
        isotropy=measured.isotropy,
        area_variation=measured.area_variation,
        p_area_variation=p_value(measured.area_variation, null[:, 1]),
        turning=measured.turning,
        p_turning=p_value(measured.turning, null[:, 2]),
        null_area_variation=null[:, 1],
        null_turning=null[:, 2],
        bins=grid.middles,
        counts=grid.counts,
        metrics=measured.metrics,
        n_left_out=n_bins**n_dims - len(grid.counts),
    )


class _Grid(NamedTuple):
    """The bin of each trial, `[N]`; of bins with trials enough the middles, numbers of trials, the trials `[B, M]`,
    filled up to the most that a bin has, and what takes their states to slopes in each quarter of each deal,
    `[B, S 4 D, M]`, 0 where filled up.
    """

    which: np.ndarray
    middles: np.ndarray
    counts: np.ndarray
    trials: np.ndarray
    solvers: np.ndarray

    @classmethod
    def of(cls, latents: np.ndarray, n_bins: int, rng: np.random.Generator) -> _Grid:
        n_dims, least = latents.shape[1], 4 * (latents.shape[1] + 2)
        low, width = latents.min(axis=0), np.ptp(latents, axis=0) / n_bins
        if not width.all():
            raise ValueError("latents are constant in these trials; no slope is defined")
        place = np.minimum(((latents - low) / width).astype(np.int64), n_bins - 1)
        places, which, counts = np.unique(place, axis=0, return_inverse=True, return_counts=True)
        which = which.reshape(-1)
        used = np.flatnonzero(counts >= least)
        if len(used) < 2:
            raise ValueError(
                f"n_bins={n_bins}: {len(used)} of {n_bins**n_dims} bins have {least} trials or more, of {len(latents)} "
                "in all; 2 or more are needed"
            )
        trials = np.zeros((len(used), counts.max()), np.int64)
        solvers = np.zeros((len(used), N_SPLITS, 4, n_dims, counts.max()))
        for b, q in enumerate(used):
            rows = np.flatnonzero(which == q)
            trials[b, : len(rows)] = rows
            design = np.column_stack([np.ones(len(rows)), latents[rows] - latents[rows].mean(axis=0)])
            for s in range(N_SPLITS):
                for quarter, part in enumerate(np.array_split(rng.permutation(len(rows)), 4)):
                    solvers[b, s, quarter][:, part] = np.linalg.pinv(design[part])[1:]
        middles = low + (places[used] + 0.5) * width
        return cls(which, middles, counts[used], trials, solvers.reshape(len(used), -1, counts.max()))

    def slopes(self, states: np.ndarray) -> np.ndarray:
        """Local encoding axes in each bin and quarter, `[S, 4, B, D, H]`."""
        n_dims = self.middles.shape[1]
        slopes = (self.solvers @ states[self.trials]).reshape(len(self.trials), -1, 4, n_dims, states.shape[1])
        return slopes.transpose(1, 2, 0, 3, 4)


class _Measures(NamedTuple):
    """See `Distortion`."""

    variation: float
    isometry: float
    isotropy: float
    area_variation: float
    turning: float
    metrics: np.ndarray


def _trace(slopes: np.ndarray) -> float:
    """The trace of the mean metric, corrected: sums of products of slopes from different quarters."""
    over_all, each = (slopes.sum(axis=1) ** 2).sum(), (slopes**2).sum()
    return float((over_all - each) / (12 * slopes.shape[0] * slopes.shape[2]))


def _measured(slopes: np.ndarray) -> _Measures:
    """All measures from slopes `[S, 4, B, D, H]`."""
    n_splits, _, n_bins, n_dims, n_units = slopes.shape
    flat = slopes.transpose(0, 2, 1, 3, 4).reshape(n_splits, n_bins, 4 * n_dims, n_units)
    products = (flat @ flat.swapaxes(2, 3)).reshape(n_splits, n_bins, 4, n_dims, 4, n_dims)
    # From each two quarters a metric, [S, B, D, D].
    pair = {}
    for i, j in combinations(range(4), 2):
        metric = products[:, :, i, :, j]
        pair[i, j] = (metric + metric.swapaxes(2, 3)) / 2
    metrics = np.mean(list(pair.values()), axis=(0, 1))
    varied, scale, squared, traced, local, areas, area = [], [], [], [], [], [], []
    for i, j, k, m in ROLES:
        one, other = pair[i, j], pair[k, m]
        mean_one, mean_other = one.mean(axis=1, keepdims=True), other.mean(axis=1, keepdims=True)
        varied.append(((one - mean_one) * (other - mean_other)).sum(axis=(2, 3)).mean())
        scale.append((mean_one * mean_other).sum(axis=(2, 3)).mean())
        squared.append((one * other).sum(axis=(2, 3)).mean())
        local.append((np.einsum("sbdd->sb", one) * np.einsum("sbdd->sb", other)).mean())
        traced.append(
            (np.trace(mean_one[:, 0], axis1=1, axis2=2) * np.trace(mean_other[:, 0], axis1=1, axis2=2)).mean()
        )
        a, b = (np.sqrt(np.maximum(np.linalg.det(g), 0)) for g in (one, other))
        areas.append(((a - a.mean(axis=1, keepdims=True)) * (b - b.mean(axis=1, keepdims=True))).mean())
        area.append((a.mean(axis=1) * b.mean(axis=1)).mean())
    most = n_dims * np.mean(squared)
    return _Measures(
        variation=_root(np.mean(varied), np.mean(scale)) / 2,
        isometry=float(np.mean(traced) / most) if most > 0 else 0.0,
        isotropy=float(np.mean(local) / most) if most > 0 else 0.0,
        area_variation=_root(np.mean(areas), np.mean(area)),
        turning=_turning(slopes, metrics),
        metrics=metrics,
    )


def _turning(slopes: np.ndarray, metrics: np.ndarray) -> float:
    """The angle, in degrees, of the mean cosine between local maps and the global one, weighted by local lengths.

    The global map is the mean A of the local J, so that the sum of |J| (J·A / |J| |A|) over the sum of |J| is
    |A| over the mean |J|.
    """
    means = slopes.mean(axis=2)
    square = ((means.sum(axis=1) ** 2).sum() - (means**2).sum()) / (12 * len(slopes))
    lengths = np.sqrt(np.maximum(np.einsum("bdd->b", metrics), 0))
    cosine = np.sqrt(max(float(square), 0)) / max(float(lengths.mean()), np.finfo(float).tiny)
    away = float(np.clip(1 - cosine, -2, 2))
    return float(np.sign(away) * np.degrees(np.arccos(1 - abs(away))))


def _root(part: np.floating, of: np.floating) -> float:
    """The root of a ratio, minus that of its size where it is below 0; 0 if there is nothing to be relative to."""
    ratio = part / of if of > 0 else 0.0
    return float(np.sign(ratio) * np.sqrt(np.abs(ratio)))
