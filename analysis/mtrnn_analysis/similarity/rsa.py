"""Representational similarity analysis: distances of states against distances of x*, or of another agent's states.

Axis letters: N trials, H units, D latents, Q conditions, R draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.orthants import checked, varying
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.utils.validation import check_int

# Trials of a condition: fewer are left out, as halves of two are needed to tell how reliable distances are.
LEAST_TRIALS = 4
# Trials that conditions hold on average, if each latent can be cut into two for that; and most cells along a latent.
AIMED_TRIALS, MOST_CELLS = 10, 6


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Rsa(ProbeResult):
    """Representational similarity to x*. `value` is Spearman's correlation of the distances of states and of x*.

    Attributes:
        cosine: of the dissimilarities of states and of x*, about 0.
        cosine_p: of it.
        reliability: Spearman's correlation of dissimilarities from two halves of the trials, corrected to all trials
            (Spearman & Brown): 2 r / (1 + r); not above 1, and 0 where r is not above 0.
        ceiling: sqrt(`reliability`), about the highest `value` that these trials could give, were the states' true
            dissimilarities those of x*. An estimate: somewhat too low at reliabilities in between, as the noise of
            distances falls faster than with the number of trials, and too high at very low ones, where reliability
            is cut off at 0 from below. Where it is far below 1, do not divide by it.
        dissimilarities: of states, `[Q, Q]`, activity squared.
        model: of x*, `[Q, Q]`, latent units squared.
        centres: the mean x* of each condition, `[Q, D]`.
        counts: trials of each condition, `[Q]`.
    """

    cosine: float
    cosine_p: float
    reliability: float
    ceiling: float
    dissimilarities: Float[np.ndarray, "Q Q"]
    model: Float[np.ndarray, "Q Q"]
    centres: Float[np.ndarray, "Q D"]
    counts: Int[np.ndarray, " Q"]


def cells(latents: Float[np.ndarray, "N D"]) -> Int[np.ndarray, " N"]:
    """The condition of each trial: a cell of a grid on x*, cut at quantiles of each latent. -1: too few others there.

    Each latent is cut into as many cells as leave 10 trials a cell on average, 2 to 6.

    Raises:
        ValueError: if fewer than four cells have 4 trials or more.
    """
    n, n_dims = latents.shape
    n_cells = int(np.clip((n / AIMED_TRIALS) ** (1 / n_dims) + 1e-9, 2, MOST_CELLS))
    cell = np.zeros(n, np.int64)
    for column in latents.T:
        edges = np.quantile(column, np.arange(1, n_cells) / n_cells)
        cell = np.unique(cell * n_cells + np.searchsorted(edges, column, "right"), return_inverse=True)[1].reshape(-1)
    counts = np.bincount(cell)
    kept = np.flatnonzero(counts >= LEAST_TRIALS)
    if len(kept) < 4:
        raise ValueError(
            f"latents of {n} trials, cut into {n_cells} cells along each, have {len(kept)} cells with {LEAST_TRIALS} "
            "trials or more; 4 such cells are needed"
        )
    names = np.full(len(counts), -1)
    names[kept] = np.arange(len(kept))
    return names[cell]


def dissimilarities(states: Float[np.ndarray, "N H"], cell: Int[np.ndarray, " N"]) -> Float[np.ndarray, "Q Q"]:
    """Squared Euclidean distances of the mean states of conditions, without the part that noise adds.

    |m_i - m_j|² - tr S_i / n_i - tr S_j / n_j, S the covariance (of n - 1) of the trials of a condition. This is what
    the products of differences from independent trials, (h - h')·(h'' - h'''), are on average over all ways to take two
    different trials from each of two conditions: cross-validated distances (Walther et al. 2016,
    doi:10.1016/j.neuroimage.2015.12.012, without noise normalisation), without folds. They are 0 on average where
    there is no difference, and may be negative.

    Arguments:
        cell: the condition of each, from 0 on; trials with -1 are left out.

    Raises:
        ValueError: if a condition has fewer than two trials.
    """
    counts = np.bincount(cell[cell >= 0])
    if not len(counts) or counts.min() < 2:
        raise ValueError(
            f"cell has conditions with {counts.min() if len(counts) else 0} trials; 2 or more are needed in each"
        )
    members = cell[None] == np.arange(len(counts))[:, None]
    centred = states - states.mean(axis=0)
    means = members @ centred / counts[:, None]
    spread = members @ np.einsum("nh,nh->n", centred, centred) - counts * np.einsum("qh,qh->q", means, means)
    error = spread / (counts * (counts - 1))
    squares = np.einsum("qh,qh->q", means, means) - error
    distances = squares[:, None] + squares - 2 * means @ means.T
    np.fill_diagonal(distances, 0)
    return distances


def agreement(a: Float[np.ndarray, "Q Q"], b: Float[np.ndarray, "Q Q"], measure: str = "spearman") -> float:
    """Agreement of two matrices of dissimilarities: Spearman's correlation, or the cosine, of their upper triangles.

    (Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008.) Spearman's asks for the order of distances alone; the
    cosine for their ratios, zero included, and is high for any two sets of positive numbers: read it beside its null.

    Raises:
        ValueError: if `measure` is neither, or the matrices are not of the same conditions.
    """
    if a.shape != b.shape:
        raise ValueError(f"a has {len(a)} conditions, b {len(b)}; they must be the same")
    rows = np.triu_indices(len(a), 1)
    return float(_cosine(_ready(a[rows], measure), _ready(b[rows], measure)))


def agreement_null(
    a: Float[np.ndarray, "Q Q"], b: Float[np.ndarray, "Q Q"], measure: str, n_null: int, rng: np.random.Generator
) -> Float[np.ndarray, " R"]:
    """Agreements of a with b whose conditions are in other orders, rows and columns alike (Mantel's null)."""
    rows, columns = np.triu_indices(len(a), 1)
    fixed, ready = _ready(a[rows, columns], measure), np.zeros(b.shape)
    ready[rows, columns] = ready[columns, rows] = _ready(b[rows, columns], measure)
    null = np.empty(n_null)
    for r in range(n_null):
        order = rng.permutation(len(b))
        null[r] = _cosine(fixed, ready[order[rows], order[columns]])
    return null


def rsa(
    states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], rng: np.random.Generator, *, n_null: int = 100
) -> Rsa:
    """Representational similarity to x*: are states far apart where x* is?

    Trials are put into conditions, the cells of a grid on x* (`cells`); `dissimilarities` of states and of x* are
    compared by `agreement`: `value` is Spearman's correlation. A linear code that is isometric (any rotation, any
    scale) gives 1 but for noise, one that stretches one latent less, a conjunctive one much less. Note how coarse this
    is: smooth nonlinear codes come out high.

    Null (Mantel 1967): the names of conditions change places in one of the two matrices, rows and columns alike:
    exchangeable if the geometry of states has nothing to do with which x* a condition has. With 4 conditions there are
    only 24 orders, most of them alike, and p cannot be small.

    Arguments:
        rng: draws halves of trials for `reliability`, and the null.
        n_null: draws of the null.

    Raises:
        ValueError: if an argument is out of its range, states are not finite or constant, or fewer than four
            conditions have four trials or more.
    """
    states, latents = checked(states, latents)
    check_int("n_null", n_null, 0)
    varying(states)
    cell = cells(latents)
    mine, model = dissimilarities(states, cell), dissimilarities(latents, cell)
    counts = np.bincount(cell[cell >= 0])
    nulls = {measure: agreement_null(mine, model, measure, n_null, rng) for measure in ("spearman", "cosine")}
    values = {measure: agreement(mine, model, measure) for measure in nulls}
    halves = _halves(cell, rng)
    first, second = (dissimilarities(states, np.where(halves == h, cell, -1)) for h in (0, 1))
    half = agreement(first, second)
    reliability = 2 * half / (1 + half) if half > 0 else 0.0
    return Rsa(
        value=values["spearman"],
        null=nulls["spearman"],
        p=p_value(values["spearman"], nulls["spearman"]),
        n=int(counts.sum()),
        settings={"n_null": n_null, "n_cells": None},
        cosine=values["cosine"],
        cosine_p=p_value(values["cosine"], nulls["cosine"]),
        reliability=reliability,
        ceiling=float(np.sqrt(reliability)),
        dissimilarities=mine,
        model=model,
        centres=np.stack([latents[cell == q].mean(axis=0) for q in range(len(counts))]),
        counts=counts,
    )


def _ready(values: np.ndarray, measure: str) -> np.ndarray:
    """Rows of dissimilarities such that the cosine of two is their agreement."""
    if measure not in ("spearman", "cosine"):
        raise ValueError(f"measure={measure!r} is not 'spearman' or 'cosine'")
    if measure == "cosine":
        return values
    ranks = rankdata(values, axis=-1)
    return ranks - ranks.mean(axis=-1, keepdims=True)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray(np.sum(a * b, axis=-1) / np.where(norms > 0, norms, 1))


def _halves(cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """0 or 1 for each trial: half of the trials of each condition, by chance."""
    order = np.lexsort((rng.random(len(cell)), cell))
    place = np.empty(len(cell), np.int64)
    place[order] = np.arange(len(cell))
    return (place - np.searchsorted(cell[order], cell, "left")) % 2
