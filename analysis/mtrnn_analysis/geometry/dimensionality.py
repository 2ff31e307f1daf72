"""Dimensionality of states, with and without their noise. Axis letters: N trials, T steps, H units, D latents,
K functions of x*, C components, R draws of a null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.orthants import checked, varying
from mtrnn_analysis.polynomials import greatest_degree, polynomials
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.utils.validation import check_int

SHARES = (0.8, 0.9, 0.95)
# Permutations that tell whether there is a signal at all, of the states given and at each step.
N_GATE, N_GATE_STEP = 99, 19
# How often trials are dealt into quarters.
N_SPLITS = 10


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Dimensionality(ProbeResult):
    """Dimensionality. `value`, `null`, `p`: participation ratio of all states; units independent; p for smaller.

    Attributes:
        components: how many principal components hold 80, 90, 95 % of the variance, by "80", "90", "95".
        three: the share of the variance that the first three hold.
        spectrum: the share of the variance along each, `[H]`.
        signal: the participation ratio of noise-free states; NaN if states hold no signal of x*.
        signal_components: how many directions hold 80, 90, 95 % of the noise-free variance (cross-validated).
        signal_spectrum: the cross-validated share of the noise-free variance along each direction, `[C]`; entries may
            be below 0; NaN if there is no signal.
        signal_share: the noise-free variance over the variance of all states.
        p_signal: of the variance that the polynomials explain, where x* is permuted over trials (99 times).
        by_step: the participation ratio at each step, `[T]`, or none; NaN where states do not vary.
        signal_by_step: of noise-free states, `[T]`, or none; NaN where there are too few trials or no signal.
        over_time: the participation ratio of the states of all steps together; NaN if they were not given.
    """

    components: Mapping[str, int]
    three: float
    spectrum: Float[np.ndarray, " H"]
    signal: float
    signal_components: Mapping[str, float]
    signal_spectrum: Float[np.ndarray, " C"]
    signal_share: float
    p_signal: float
    by_step: Float[np.ndarray, " T"]
    signal_by_step: Float[np.ndarray, " T"]
    over_time: float


def participation_ratio(variances: Float[np.ndarray, " C"]) -> float:
    """(sum of variances)² / sum of their squares: C if all are equal, 1 if one is all. NaN if all are 0.

    Of the eigenvalues of a covariance it is the dimension that Gao et al. (2017, doi:10.1101/214262) speak of. With
    N trials the plain ratio is too small by about its own size over N.
    """
    scaled = variances / max(float(np.abs(variances).max(initial=0)), np.finfo(float).tiny)
    return float(scaled.sum() ** 2 / (scaled**2).sum()) if scaled.any() else float("nan")


def dimensionality(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    hidden: Float[np.ndarray, "N T H"] | None = None,
    valid: Bool[np.ndarray, "N T"] | None = None,
    *,
    n_null: int = 100,
) -> Dimensionality:
    """How many dimensions states take up, with and without their noise.

    *All states*: the participation ratio (sum λ)² / sum λ² of the eigenvalues of their covariance, and how many
    principal components hold 80, 90, 95 % of the variance. Noise counts in full: it is the dimension of the cloud.

    *Noise-free states*: of the covariance over x* of f(x*) = E[h | x*]. f is regressed on the polynomials of x* up to a
    total degree: the greatest up to 7 with 20 trials for each function, at least 1. The trials are dealt into four
    quarters, with coefficients B_1, ..., B_4 of functions that are orthonormal over the trials, so that the covariance
    is C = BᵀB. Products of coefficients from different quarters have no bias from noise, whatever its covariance and
    however it depends on x*: tr C is estimated by tr B_iᵀB_j and tr C² by tr B_iᵀB_j B_kᵀB_l, i, j, k, l all different,
    each averaged over the ways to deal the roles and over 10 deals; `signal` = (tr C)² / tr C². Plain averages over
    bins of x* would count the noise left in them as dimensions. The spectrum is cross-validated likewise (Stringer et
    al. 2019, doi:10.1038/s41586-019-1346-5): directions from two quarters, the variance along them from the product of
    the two others. What no polynomial of that degree follows (of a jump at x = 0: 7.5 % at degree 7) counts as noise,
    and the dimension is at most the number of functions. Evidence noise, which moves states as x* does, is noise here.

    Null (all states): units vary independently of each other, each with its own distribution; each unit is permuted
    over trials on its own. p is the share of draws with as *few* dimensions. For noise-free states, `p_signal` tests
    whether there is any signal at all: x* is permuted over trials; the ratio of a signal that is not there is noise,
    so `signal` is NaN where p_signal > 0.05. It rests on 99 permutations whatever `n_null` is.

    Arguments:
        states: of N trials; at least 4 (D + 2).
        latents: x*, D >= 1.
        rng: deals the trials, draws the null.
        hidden: states at all steps, for the time course; None for none.
        valid: the steps that belong to a trial; all, if not given.
        n_null: draws of the null.

    Raises:
        ValueError: if there are too few trials, no unit varies, arrays are not finite or not of the same trials, or an
            argument is out of its range.
    """
    states, latents = checked(states, latents)
    varying(states)
    (n, n_dims), n_null = latents.shape, check_int("n_null", n_null, 0)
    if n < 4 * (n_dims + 2):
        raise ValueError(f"states has {n} trials; 4 (D + 2) = {4 * (n_dims + 2)} or more are needed for D={n_dims}")
    degree, about = greatest_degree(n, n_dims), states - states.mean(axis=0)
    variances = np.linalg.eigh(about.T @ about)[0]
    spectrum = (variances / variances.sum())[::-1]
    value = participation_ratio(spectrum)
    basis = polynomials(latents, degree)
    quarters = _Quarters.dealt(basis, rng)
    moments = quarters.moments(states)
    p_signal = _p_signal(states, basis, N_GATE, rng)
    steps = _over_time(hidden, valid, latents, degree, rng, basis, quarters)
    # Drawn last, so that nothing else depends on how many draws there are.
    null, shuffled = np.empty(n_null), states
    for r in range(n_null):
        shuffled = rng.permuted(shuffled, axis=0)
        null[r] = _ratio(shuffled)
    total = float(moments.spectrum.sum())
    seen = min(moments.trace, total) > 0 and p_signal <= 0.05
    shares = moments.spectrum / total if seen else np.full(len(moments.spectrum), np.nan)
    return Dimensionality(
        value=value,
        null=null,
        p=p_value(value, null, "less"),
        n=n,
        settings={"n_null": n_null, "degree": degree, "n_splits": N_SPLITS},
        components={f"{100 * share:.0f}": _count(spectrum, share) for share in SHARES},
        three=float(spectrum[:3].sum()),
        spectrum=spectrum,
        signal=moments.ratio if seen else float("nan"),
        signal_components={f"{100 * s:.0f}": float(_count(shares, s)) if seen else float("nan") for s in SHARES},
        signal_spectrum=shares,
        signal_share=moments.trace / float(states.var(axis=0).sum()),
        p_signal=p_signal,
        by_step=steps[0],
        signal_by_step=steps[1],
        over_time=steps[2],
    )


def _ratio(states: np.ndarray) -> float:
    """The participation ratio of the covariance, without its eigenvalues; NaN if states do not vary."""
    about = states - states.mean(axis=0)
    products = about.T @ about
    squares = float((products**2).sum())
    # States that are the same up to rounding have no dimension.
    still = np.trace(products) <= (np.finfo(float).eps * 16) ** 2 * float((states**2).sum())
    return float("nan") if still else float(np.trace(products) ** 2 / squares)


def _count(shares: np.ndarray, share: float) -> int:
    """How many of `shares`, from the first on, add up to `share`; rounding is allowed for."""
    return int(np.argmax(np.cumsum(shares) >= share - 1e-12)) + 1


class _Moments(NamedTuple):
    """Of the covariance of noise-free states: its trace, (trace)² over the trace of its square, and its spectrum."""

    trace: float
    ratio: float
    spectrum: np.ndarray


class _Quarters(NamedTuple):
    """Trials dealt into quarters, several times: of each deal the rows, and what takes states to coefficients."""

    rows: list[list[np.ndarray]]
    solvers: list[list[np.ndarray]]

    @classmethod
    def dealt(cls, basis: np.ndarray, rng: np.random.Generator) -> _Quarters:
        rows = [np.array_split(rng.permutation(len(basis)), 4) for _ in range(N_SPLITS)]
        design = np.concatenate([np.ones((len(basis), 1)), basis], axis=1)
        return cls(rows, [[np.linalg.pinv(design[part])[1:] for part in deal] for deal in rows])

    def moments(self, states: np.ndarray) -> _Moments:
        states = states - states.mean(axis=0)
        traces, squared, squares, spectra = [], [], [], []
        for deal, solvers in zip(self.rows, self.solvers, strict=True):
            b = np.stack([solver @ states[part] for part, solver in zip(deal, solvers, strict=True)])
            gram = np.einsum("ikh,jlh->ijkl", b, b, optimize=True)
            trace = np.einsum("ijkk->ij", gram)
            for i, j, k, m in ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2)):
                traces += [trace[i, j], trace[k, m]]
                squared.append(trace[i, j] * trace[k, m])
                # tr B_iᵀB_j B_kᵀB_m = sum of (B_j B_kᵀ) (B_m B_iᵀ)ᵀ
                squares.append(float((gram[j, k] * gram[m, i].T).sum()))
            for first, second in ((slice(0, 2), slice(2, 4)), (slice(2, 4), slice(0, 2))):
                directions = np.linalg.svd(b[first].mean(axis=0), full_matrices=False)[2]
                spectra.append(np.prod(b[second] @ directions.T, axis=0).sum(axis=0))
        below = float(np.mean(squares))
        ratio = float(np.mean(squared)) / below if below > 0 else float("nan")
        return _Moments(float(np.mean(traces)), ratio, np.mean(spectra, axis=0))


def _p_signal(states: np.ndarray, basis: np.ndarray, n_null: int, rng: np.random.Generator) -> float:
    """The p-value of the variance that polynomials of x* explain, with x* permuted over trials."""
    about = states - states.mean(axis=0)
    null = np.array([((basis[rng.permutation(len(basis))].T @ about) ** 2).sum() for _ in range(n_null)])
    return p_value(float(((basis.T @ about) ** 2).sum()), null)


def _over_time(
    hidden: np.ndarray | None,
    valid: np.ndarray | None,
    latents: np.ndarray,
    degree: int,
    rng: np.random.Generator,
    basis: np.ndarray,
    quarters: _Quarters,
) -> tuple[np.ndarray, np.ndarray, float]:
    """The ratio of all states and of noise-free states at each step, and that of all states of all steps."""
    if hidden is None:
        return np.empty(0), np.empty(0), float("nan")
    shape = hidden.shape[:2]
    valid = np.ones(shape, bool) if valid is None else valid
    if valid.shape != shape or len(hidden) != len(latents):
        raise ValueError(
            f"hidden is {hidden.shape}, valid {valid.shape}, latents {latents.shape}; trials and steps must agree"
        )
    if not np.isfinite(hidden[valid]).all():
        raise ValueError("hidden has values that are not finite at valid steps")
    ratios, signals = np.full((2, shape[1]), np.nan)
    for t, rows in enumerate(valid.T):
        now = hidden[rows, t].astype(np.float64)
        if len(now) < 2 or np.isnan(ratio := _ratio(now)):
            continue
        ratios[t] = ratio
        if rows.all():
            now_basis, ours = basis, quarters
        elif len(now) >= 4 * comb(latents.shape[1] + degree, degree) and np.ptp(latents[rows], axis=0).all():
            now_basis = polynomials(latents[rows], degree)
            ours = _Quarters.dealt(now_basis, rng)
        else:
            continue
        moments = ours.moments(now)
        if moments.trace > 0 and _p_signal(now, now_basis, N_GATE_STEP, rng) <= 0.05:
            signals[t] = moments.ratio
    return ratios, signals, _ratio(hidden[valid].astype(np.float64))
