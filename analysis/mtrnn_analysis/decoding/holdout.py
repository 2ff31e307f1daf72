"""Splits of trials for decoders: folds in distribution, held-out regions of x* out of it.

Trials are put into cells, the part of an orthant that is in a fold; splits are of cells (module `ridge`).
Axis letters: N trials, D latents, Q orthants, F folds, C = Q F cells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from mtrnn_analysis.decoding.ridge import Split
from mtrnn_analysis.orthants import Orthants

# Folds that the trials of each orthant are dealt into.
N_FOLDS = 4
# Most sets of orthants among which a penalty is chosen; beyond, whole orthants are put together (from D = 5 on).
MOST_INNER = 16


class Region(NamedTuple):
    """A part of the latents: its name, and the orthants that it is made of, `[Q]`."""

    name: str
    orthants: Bool[np.ndarray, " Q"]


def single(groups: Orthants) -> list[Region]:
    """Each orthant that has trials."""
    return [Region(name, row) for name, row in zip(groups.names, np.eye(len(groups.names), dtype=bool), strict=True)]


def halves(groups: Orthants) -> list[Region]:
    """Each half-space x_d > 0 and x_d <= 0, written as "+." and so on."""
    d = groups.signs.shape[1]
    return [
        Region("." * i + "-+"[int(sign > 0)] + "." * (d - 1 - i), groups.signs[:, i] == sign)
        for i in range(d)
        for sign in (1, -1)
    ]


def opposites(groups: Orthants) -> list[Region]:
    """Each pair of orthants that are opposite, written as "-- ++"."""
    regions = []
    for q, signs in enumerate(groups.signs):
        pair = (groups.signs == signs).all(axis=1) | (groups.signs == -signs).all(axis=1)
        if signs[0] < 0:
            other = "".join("-+"[int(sign < 0)] for sign in signs)
            regions.append(Region(f"{groups.names[q]} {other}", pair))
    return regions


HOLDOUTS: dict[str, Callable[[Orthants], list[Region]]] = {
    "orthant": single,
    "half-space": halves,
    "opposite": opposites,
}


def regions(holdout: str, groups: Orthants) -> list[Region]:
    """The held-out regions, one after the other.

    Raises:
        ValueError: if `holdout` is none of `HOLDOUTS`, or trials are lacking for it.
    """
    if holdout not in HOLDOUTS:
        raise ValueError(f"holdout={holdout!r} is not one of {tuple(HOLDOUTS)}")
    d = groups.signs.shape[1]
    if holdout == "opposite" and d == 1:
        raise ValueError("holdout='opposite' leaves nothing to fit with one latent; use 'orthant' or 'half-space'")
    if holdout != "orthant" and len(groups.names) < 2**d:
        raise ValueError(
            f"latents lie in {len(groups.names)} of the {2**d} orthants; holdout={holdout!r} needs all, 'orthant' does "
            "not"
        )
    if len(groups.names) < 2:
        raise ValueError(f"latents lie in {groups.names}; 2 orthants or more are needed to leave one out")
    return HOLDOUTS[holdout](groups)


def fold_splits(n_orthants: int, n_folds: int) -> list[Split]:
    """In distribution: each fold tested by a fit to the others, each of which is left out to choose the penalty."""
    folds = np.tile(np.eye(n_folds, dtype=bool), n_orthants)
    return [Split(~folds[f], folds[f], np.delete(folds, f, axis=0), ~folds[f]) for f in range(n_folds)]


def region_splits(left_out: list[Region], n_folds: int, most: int = MOST_INNER) -> list[Split]:
    """Out of distribution: each region tested by a fit to all trials outside it.

    The penalty is chosen outside it, too: each orthant there is left out in turn. Of more than `most` orthants in all,
    whole orthants are put together, and those of the region's own set take no part in the choice. With one orthant
    outside the region (D = 1), its folds are left out in turn.
    """
    n_orthants = len(left_out[0].orthants)
    sets = np.array_split(np.arange(n_orthants), min(most, n_orthants))
    blocks = np.array([np.isin(np.arange(n_orthants), members) for members in sets])
    splits = []
    for region in left_out:
        test = np.repeat(region.orthants, n_folds)
        outside = ~region.orthants
        if len(blocks) < n_orthants and region.orthants.sum() == 1:
            # One choice then serves all regions of a set.
            inner = blocks[~blocks[:, region.orthants].any(axis=1)]
        else:
            inner = np.array([block & outside for block in blocks if (block & outside).any()])
        if len(inner) == 1:
            validations = np.tile(np.eye(n_folds, dtype=bool), n_orthants) & ~test
        else:
            validations = np.repeat(inner, n_folds, axis=1)
        splits.append(Split(~test, test, validations, np.logical_or.reduce(validations)))
    return splits
