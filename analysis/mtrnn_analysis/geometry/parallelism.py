"""The parallelism score. Axis letters: N trials, H units, D latents, Q conditions (orthants), S sign patterns of the
other latents, R draws of a null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mtrnn_analysis.nulls import mixed_places, p_value
from mtrnn_analysis.orthants import checked, orthants, varying
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.utils.validation import check_int


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Parallelism(ProbeResult):
    """The parallelism score. `value`, `null`, `p`: mean over the latents, corrected for noise, geometric null.

    Attributes:
        by_latent: "x1", ..., "xD", corrected.
        p_by_latent: against the geometric null.
        null_by_latent: geometric, `[R, D]`.
        null_labels: mean over the latents where labels are permuted, `[R]`.
        null_labels_by_latent: `[R, D]`.
        p_labels: of `value` against `null_labels`.
        p_labels_by_latent: likewise.
        uncorrected: mean cosine of the coding vectors as they are measured, the mean over latents.
        uncorrected_by_latent: likewise.
        signal_to_noise: mean of |v|² (corrected) over its noise, by latent; below 1 the correction is not whole.
        coding: the coding vectors as measured, `[D, S, H]`, in the order of the sign patterns of the others.
        centroids: the mean states of the conditions, about the mean of all trials, `[Q, H]`.
        orthants: names of the conditions.
    """

    by_latent: Mapping[str, float]
    p_by_latent: Mapping[str, float]
    null_by_latent: Float[np.ndarray, "R D"]
    null_labels: Float[np.ndarray, " R"]
    null_labels_by_latent: Float[np.ndarray, "R D"]
    p_labels: float
    p_labels_by_latent: Mapping[str, float]
    uncorrected: float
    uncorrected_by_latent: Mapping[str, float]
    signal_to_noise: Mapping[str, float]
    coding: Float[np.ndarray, "D S H"]
    centroids: Float[np.ndarray, "Q H"]
    orthants: tuple[str, ...]


def parallelism(
    states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], rng: np.random.Generator, *, n_null: int = 100
) -> Parallelism:
    """The parallelism score: how parallel a latent's coding directions are over the signs of the other latents.

    Conditions are the sign patterns of x*, c their mean states. For latent d and each sign pattern s of the others the
    coding vector is v_s = c(x_d > 0, s) - c(x_d <= 0, s); the score is the mean cosine over pairs s < s' (Bernardi et
    al. 2020, doi:10.1016/j.cell.2020.09.031), `value` its mean over latents. 1 is parallel, 0 orthogonal, -1
    anti-parallel. Only the pairing that the other latents give is used, not the best of all pairings.

    Noise makes measured vectors longer and so cosines smaller. The score is corrected:

        cos(s, s') = v_s · v_s' / sqrt(L_s L_s'),   L = max(|v|² - e, e),   e = tr C₊ / n₊ + tr C₋ / n₋,

    C the covariance of the trials in a condition (normalised by n - 1), n their number. v_s · v_s' is unbiased as it
    is, for it rests on different trials; |v|² - e is what the product of v from one half of the trials and v from the
    other half is on average over all halvings, and unbiased. So this is the cross-validated score without the chance
    of a split. It may exceed 1. A vector that is not longer than its noise (|v|² < 2 e) cannot be corrected
    in full: there L = e, so that where there is no signal the score goes to 0 instead of anywhere.
    Trials of a condition differ also by where in the orthant x* is; that counts as noise here.

    Nulls: see `ccgp`, which has the same two. Geometric (`null`): the conditions lie where they lie independently of
    each other, mean states mixed by a random rotation of the contrasts between them, with C and hence e kept; labels:
    states hold nothing of the conditions.

    Arguments:
        latents: x*, for D >= 2: with one latent there is one coding vector, which is parallel to no other.
        n_null: draws of each null.

    Raises:
        ValueError: if D < 2, an orthant has fewer than 2 trials, no unit varies, arrays are not finite or not of the
            same trials.
    """
    states, latents = checked(states, latents)
    varying(states)
    n_dims, n_null = latents.shape[1], check_int("n_null", n_null, 0)
    if n_dims < 2:
        raise ValueError(f"latents has D={n_dims}; parallelism needs 2 or more: one coding vector is parallel to none")
    conditions = orthants(latents, least=2, complete=True)
    counts, ends = conditions.counts, _ends(conditions.signs)
    # A shift common to all trials changes no coding vector, and keeps the sums of squares well conditioned.
    states = states - states.mean(axis=0)
    means, noise = _moments(states, np.argsort(conditions.which, kind="stable"), counts)
    found = _scores(means, noise, ends)
    geometric, labels = np.empty((2, n_null, n_dims))
    for draw, places in zip(geometric, mixed_places(means, n_null, rng), strict=True):
        draw[:] = _scores(places, noise, ends).corrected
    for draw in labels:
        draw[:] = _scores(*_moments(states, rng.permutation(len(states)), counts), ends).corrected
    names = [f"x{d + 1}" for d in range(n_dims)]
    value, null, null_labels = found.corrected.mean(), geometric.mean(axis=1), labels.mean(axis=1)
    return Parallelism(
        value=float(value),
        null=null,
        p=p_value(value, null),
        n=len(states),
        settings={"n_null": n_null},
        by_latent=dict(zip(names, found.corrected.tolist(), strict=True)),
        p_by_latent={name: p_value(found.corrected[d], geometric[:, d]) for d, name in enumerate(names)},
        null_by_latent=geometric,
        null_labels=null_labels,
        null_labels_by_latent=labels,
        p_labels=p_value(value, null_labels),
        p_labels_by_latent={name: p_value(found.corrected[d], labels[:, d]) for d, name in enumerate(names)},
        uncorrected=float(found.uncorrected.mean()),
        uncorrected_by_latent=dict(zip(names, found.uncorrected.tolist(), strict=True)),
        signal_to_noise=dict(zip(names, found.signal_to_noise.tolist(), strict=True)),
        coding=means[ends[:, :, 1]] - means[ends[:, :, 0]],
        centroids=means,
        orthants=conditions.names,
    )


class _Scores(NamedTuple):
    """By latent, `[D]` each."""

    corrected: np.ndarray
    uncorrected: np.ndarray
    signal_to_noise: np.ndarray


def _ends(signs: Int[np.ndarray, "Q D"]) -> Int[np.ndarray, "D S 2"]:
    """For each latent and sign pattern of the others, the conditions below and above.

    Conditions are sorted by their signs, so the s-th with one sign of x_d differs from the s-th with the other in
    that sign alone.
    """
    return np.stack([np.stack([np.flatnonzero(row < 0), np.flatnonzero(row > 0)], axis=1) for row in signs.T])


def _moments(states: np.ndarray, order: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each condition, `[Q, H]`, and the expected squared error of that mean, `[Q]`."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means = np.add.reduceat(states[order], starts) / counts[:, None]
    squares = np.add.reduceat(np.einsum("nh,nh->n", states, states)[order], starts) / counts
    return means, np.maximum(squares - np.einsum("qh,qh->q", means, means), 0) / (counts - 1)


def _scores(means: np.ndarray, noise: np.ndarray, ends: np.ndarray) -> _Scores:
    vectors, errors = means[ends[:, :, 1]] - means[ends[:, :, 0]], noise[ends].sum(axis=2)
    products = vectors @ vectors.transpose(0, 2, 1)
    first, second = np.triu_indices(ends.shape[1], 1)
    squares, tiny = np.einsum("dss->ds", products), np.finfo(float).tiny
    # What rounding leaves of a vector without length.
    least = max(float(np.einsum("qh,qh->q", means, means).max()) * 1e-24, tiny)
    cosines = []
    for lengths in (np.maximum(squares - errors, errors), squares):
        # A vector without length, and without noise, is parallel to none.
        lengths = np.maximum(lengths, least)
        scale = np.sqrt(lengths[:, first]) * np.sqrt(lengths[:, second])
        cosines.append((products[:, first, second] / scale).mean(axis=1))
    # Where there is no noise but rounding, the ratio is as great as that allows.
    rounding = np.maximum(np.finfo(float).eps * squares.mean(axis=1), tiny)
    signal = (squares - errors).mean(axis=1) / np.maximum(errors.mean(axis=1), rounding)
    return _Scores(cosines[0], cosines[1], signal)
