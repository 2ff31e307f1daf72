"""Unit alignment: how far the axes of single units and those of latents agree, by DCI, MIG, SAP and modularity.

**These are measures of unit alignment, never of abstraction or of a disentangled geometry.** The code h = x* turned
by 0, 22.5 and 45 degrees has the disentanglement 1.00, 0.13 and 0.00, while x* is read off from it linearly, without
error, and generalises as well each time. What does not depend on the basis of units is in `decoding` and `geometry`.
Axis letters: N trials, H units, L live units, D latents, R draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr

from mtrnn_analysis.decoding.ridge import PENALTIES, Cells, decoder
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.orthants import checked
from mtrnn_analysis.result import NO_NULL, ProbeResult
from mtrnn_analysis.selectivity.information import mutual_information
from mtrnn_analysis.selectivity.sparseness import LEAST_SD, activity
from mtrnn_envs.utils.validation import check_int

# A unit tells something of a latent if Pearson's chi squared is above this quantile of what independence gives.
INFORMATIVE = 0.999
# Bins of a unit or latent, for information; folds on which the penalty is chosen, and informativeness measured.
N_BINS, N_FOLDS = 10, 4


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class UnitAlignment(ProbeResult):
    """Alignment of single units and latents (not abstraction). `value` and `null` are the disentanglement of DCI.

    Attributes:
        completeness: of DCI, the mean over latents, each weighing the same.
        informativeness: of DCI, as r²: of the ridge decoder, on trials left out, the mean over latents.
        mig: the mutual information gap.
        sap: the separated attribute predictability.
        modularity: the mean over informative units; NaN without any.
        n_informative: live units that tell something of a latent.
        null_means: the means of the null distributions of disentanglement, completeness, mig, sap and modularity.
        p_values: by chance as much or more, likewise.
        importance: |weight| of each unit's z-score in the ridge decoder of each latent, `[L, D]`.
        information: mutual information of units and latents, nats, corrected for bias, `[L, D]`.
        units: the live units, `[L]`.
    """

    completeness: float
    informativeness: float
    mig: float
    sap: float
    modularity: float
    n_informative: int
    null_means: Mapping[str, float]
    p_values: Mapping[str, float]
    importance: Float[np.ndarray, "L D"]
    information: Float[np.ndarray, "L D"]
    units: Int[np.ndarray, " L"]


def disentanglement(importance: Float[np.ndarray, "L D"]) -> float:
    """The D of DCI (Eastwood & Williams 2018): does each unit serve one latent only?

    With P_ij = R_ij / sum_j R_ij, of importances R of unit i for latent j: sum_i w_i (1 - H(P_i) / log D), with
    w_i = sum_j R_ij / sum R. 1 if each unit is of importance to one latent, 0 if to all alike.

    Raises:
        ValueError: if an importance is negative, all are 0, or there are fewer than two latents.
    """
    _check_importance(importance)
    totals = importance.sum(axis=1)
    shares = importance / np.where(totals > 0, totals, 1)[:, None]
    return float(totals / totals.sum() @ (1 - entr(shares).sum(axis=1) / np.log(importance.shape[1])))


def completeness(importance: Float[np.ndarray, "L D"]) -> float:
    """The C of DCI: is each latent served by one unit only? The mean over latents of 1 - H(P_j) / log L.

    P_ij = R_ij / sum_i R_ij. With one unit it is 1.

    Raises:
        ValueError: as `disentanglement`.
    """
    _check_importance(importance)
    if len(importance) == 1:
        return 1.0
    totals = importance.sum(axis=0)
    shares = importance / np.where(totals > 0, totals, 1)
    by_latent = np.where(totals > 0, 1 - entr(shares).sum(axis=0) / np.log(len(importance)), 0.0)
    return float(by_latent.mean())


def gap(scores: Float[np.ndarray, "L D"], scale: float = 1.0) -> float:
    """The mean over latents of (highest score of a unit - second highest) / scale; with one unit the second is 0.

    With mutual information and the entropy of a latent as `scale`: MIG (Chen et al. 2018, arXiv:1802.04942). With
    squared correlations: SAP for continuous factors (Kumar et al. 2018, arXiv:1711.00848).
    """
    ordered = np.sort(np.concatenate([np.zeros((1, scores.shape[1])), scores]), axis=0)
    return float((ordered[-1] - ordered[-2]).mean() / scale)


def modularity(information: Float[np.ndarray, "L D"]) -> float:
    """Does each unit tell of one latent only? (Ridgeway & Mozer 2018, arXiv:1802.05312); NaN without units.

    The mean over units of 1 - sum over the other latents of (I_ij / max_j I_ij)² / (D - 1).

    Raises:
        ValueError: if a unit has no information, or there are fewer than two latents.
    """
    n_units, n_latents = information.shape
    if n_latents < 2:
        raise ValueError(f"information has {n_latents} latents; 2 or more are needed to tell units apart by them")
    if not n_units:
        return float("nan")
    most = information.max(axis=1)
    if most.min() <= 0:
        raise ValueError(f"information of unit {most.argmin()} is 0 or less on all latents; leave such units out")
    squares = np.square(information / most[:, None]).sum(axis=1) - 1
    return float((1 - squares / (n_latents - 1)).mean())


def unit_alignment(
    states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], rng: np.random.Generator, *, n_null: int = 50
) -> UnitAlignment:
    """Do single units stand for single latents? DCI, MIG, SAP and modularity of continuous latents.

    **This is selectivity, not abstraction**: see the top of the module.

    - *DCI* (Eastwood & Williams 2018, openreview.net/forum?id=By-7dz-AZ). The regressor is linear ridge (theirs: lasso
      or random forest) of each latent on the states, its penalty chosen on trials left out from `ridge.PENALTIES`.
      Importance is |weight| times the standard deviation of the unit. `value` is `disentanglement`; informativeness is
      r² on trials left out (theirs: the squared error).
      Where informativeness is near 0 there is nothing to align, and `value` is that of random weights, about 0.2
      with 2 latents and less with more.
    - *MIG* and *modularity* from `mutual_information`. MIG is divided by the mean entropy of the binned latents.
      Modularity is over informative units alone: noise has no preferred latent.
    - *SAP* from the squared correlation of each unit with each latent.

    MIG, SAP and completeness are low where several units share a latent (such as two rectified units, one for each
    side), however well aligned they are.

    **Null**: the same states in an arbitrary basis: the live units are mixed by a random orthogonal matrix (Haar), and
    all is computed anew. Exchangeable under the hypothesis that no basis of the live units' space is special, so that
    this one might have been any. It keeps the geometry and all that a linear decoder can read.

    Arguments:
        latents: x*, two or more.
        rng: deals trials into folds, and draws the null.
        n_null: draws of the null. Dead, constant and faint units are left out, as in `selectivity`.

    Raises:
        ValueError: if an argument is out of its range, states are not finite, no unit varies, a latent does not, there
            is one latent, or there are fewer than 20 trials.
    """
    states, latents = checked(states, latents)
    check_int("n_null", n_null, 0)
    if latents.shape[1] < 2:
        raise ValueError(
            f"latents has {latents.shape[1]}; alignment tells units of one from units of another: 2 or more"
        )
    if len(states) < 2 * N_BINS:
        raise ValueError(f"states has {len(states)} trials; {2 * N_BINS} or more are needed")
    if not (np.ptp(latents, axis=0) > 0).all():
        raise ValueError(f"latents {np.flatnonzero(np.ptp(latents, axis=0) == 0)} are the same on all trials")
    units = np.flatnonzero(activity(states).live)
    live = states[:, units] - states[:, units].mean(axis=0)
    weights, informativeness = _ridge(live, latents, rng.permutation(len(live)) % N_FOLDS)
    found = _scores(live, latents, weights)
    draws = [
        _scores(live @ mix, latents, mix.T @ weights)
        for mix in (_rotation(rng, len(units)) for _ in range(n_null if len(units) > 1 else 0))
    ]
    nulls = {name: np.array([draw.numbers[name] for draw in draws]) for name in found.numbers}
    # Without an informative unit there is no modularity, neither here nor there.
    compared = {name: null for name, null in nulls.items() if np.isfinite([found.numbers[name], *null]).all()}
    p_values = {name: p_value(found.numbers[name], null) for name, null in compared.items()}
    null = nulls["disentanglement"] if draws else NO_NULL
    return UnitAlignment(
        value=found.numbers["disentanglement"],
        null=null,
        p=p_values.get("disentanglement", float("nan")),
        n=len(states),
        settings={"n_null": n_null, "n_bins": N_BINS, "n_folds": N_FOLDS, "least_sd": LEAST_SD, "regressor": "ridge"},
        completeness=found.numbers["completeness"],
        informativeness=informativeness,
        mig=found.numbers["mig"],
        sap=found.numbers["sap"],
        modularity=found.numbers["modularity"],
        n_informative=found.n_informative,
        null_means={name: float(null.mean()) for name, null in compared.items() if len(null)},
        p_values=p_values,
        importance=found.importance,
        information=found.information,
        units=units,
    )


class _Scores(NamedTuple):
    numbers: dict[str, float]
    importance: np.ndarray
    information: np.ndarray
    n_informative: int


def _scores(states: np.ndarray, latents: np.ndarray, weights: np.ndarray) -> _Scores:
    """All scores of centred states whose decoder has given weights `[L, D]`."""
    sd = states.std(axis=0)
    importance = np.abs(weights) * sd[:, None]
    information, quantile, entropy = mutual_information(states, latents, N_BINS)
    informative = ((quantile > INFORMATIVE) & (information > 0)).any(axis=1)
    centred = latents - latents.mean(axis=0)
    scale = np.outer(np.where(sd > 0, sd, 1), centred.std(axis=0)) * len(states)
    numbers = {
        "disentanglement": disentanglement(importance) if importance.any() else 0.0,
        "completeness": completeness(importance) if importance.any() else 0.0,
        "mig": gap(information, float(entropy.mean())),
        "sap": gap(np.square(states.T @ centred / scale)),
        "modularity": modularity(np.maximum(information[informative], 0)),
    }
    return _Scores(numbers, importance, information, int(np.count_nonzero(informative)))


def _ridge(states: np.ndarray, latents: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, float]:
    """The weights `[L, D]` of the ridge decoder with the penalty that errs least on folds left out, and its r² there.

    The penalty is one for all latents and units, so that turning the states turns the weights, and nothing else.
    """
    cells, grid = Cells(states, fold), np.asarray(PENALTIES)
    targets, every = cells.targets(latents), np.ones(len(cells.count), bool)
    errors, baseline = np.zeros((len(grid), latents.shape[1])), np.zeros(latents.shape[1])
    for left_out in np.eye(len(every), dtype=bool):
        path = cells.path(~left_out)
        fit = cells.fit(path, targets, ~left_out)
        error = cells.error(fit, targets, left_out)
        errors += error.of(path.gains(grid * path.scale())[:, :, None] * fit.cross)
        baseline += error.square
    best, path = int(errors.sum(axis=1).argmin()), cells.path(every)
    weights = decoder(cells.fit(path, targets, every), grid[[best]] * path.scale(), cells.shift).weights
    return weights, float(np.mean(1 - errors[best] / baseline))


def _rotation(rng: np.random.Generator, n: int) -> np.ndarray:
    """A random orthogonal matrix; the signs make QR's evenly distributed (Mezzadri 2007, arXiv:math-ph/0609050)."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def _check_importance(importance: np.ndarray) -> None:
    if importance.shape[1] < 2:
        raise ValueError(f"importance has {importance.shape[1]} latents; 2 or more are needed")
    if importance.min() < 0 or not importance.any():
        raise ValueError("importance must be 0 or more, and above 0 somewhere")
