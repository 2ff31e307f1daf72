"""Mutual information of units and latents, from bins. Axis letters: N trials, L units, D latents, B bins."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import entr
from scipy.stats import chi2


def mutual_information(
    states: Float[np.ndarray, "N L"], latents: Float[np.ndarray, "N D"], n_bins: int
) -> tuple[Float[np.ndarray, "L D"], Float[np.ndarray, "L D"], Float[np.ndarray, " D"]]:
    """Mutual information of each unit and each latent, from bins of equal counts; in nats.

    Continuous variables have no finite entropy; that of a *binned* latent, log `n_bins` if x* has no ties, bounds the
    information. Values that are equal (a silent unit's zeros) share a bin, so that a unit may have fewer. The plug-in
    estimate is too high by about (b_unit - 1)(b_latent - 1) / 2N (Miller 1955; b: bins that are used), which is
    subtracted and can leave a number slightly below 0. scikit-learn's `mutual_info_score`, pair by pair, takes more
    than ten times as long (`tests/benchmarks/test_similarity_speed.py`).

    Returns:
        the information; Pearson's chi squared of the same table as a quantile, from 0 to 1, of its distribution under
        independence, with (b_unit - 1)(b_latent - 1) degrees of freedom (it holds with few trials a cell, where that
        of the information does not); and the entropy of each binned latent.
    """
    n, n_units, n_latents = len(states), states.shape[1], latents.shape[1]
    of_units, of_latents = _bins(states, n_bins), _bins(latents, n_bins)
    unit_entropy, latent_entropy = (
        entr(np.stack([np.bincount(column, minlength=n_bins) for column in bins.T]) / n).sum(axis=1)
        for bins in (of_units, of_latents)
    )
    used = [np.array([len(np.unique(b)) for b in bins.T]) for bins in (of_units, of_latents)]
    plug_in, pearson, offset = np.empty((n_units, n_latents)), np.empty((n_units, n_latents)), np.arange(n_units)
    for d in range(n_latents):
        cells = (offset * n_bins + of_units) * n_bins + of_latents[:, d, None]
        counts = np.bincount(cells.ravel(), minlength=n_units * n_bins**2).reshape(n_units, n_bins, n_bins)
        plug_in[:, d] = unit_entropy + latent_entropy[d] - entr(counts.reshape(n_units, -1) / n).sum(axis=1)
        expected = counts.sum(axis=2, keepdims=True) * (counts.sum(axis=1, keepdims=True) / n)
        pearson[:, d] = np.sum(counts**2 / np.where(expected > 0, expected, 1), axis=(1, 2)) - n
    freedom = np.outer(used[0] - 1, used[1] - 1)
    quantile = np.where(freedom > 0, chi2.cdf(pearson, np.maximum(freedom, 1)), 0.0)
    return plug_in - freedom / (2 * n), quantile, latent_entropy


def _bins(columns: np.ndarray, n_bins: int) -> np.ndarray:
    """The bin of each value, of equal counts where no values are equal, `[N, columns]`."""
    ordered = np.sort(columns, axis=0)
    # Edges lie on values, and each belongs to the bin above it: equal values are never parted.
    edges = ordered[(len(columns) * np.arange(1, n_bins)) // n_bins]
    return np.stack([np.searchsorted(e, c, "right") for e, c in zip(edges.T, columns.T, strict=True)], axis=1)
