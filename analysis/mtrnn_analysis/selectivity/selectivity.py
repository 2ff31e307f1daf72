"""Selectivity of single units for x*: how rarely they fire, how many are silent, how they mix latents.

Nothing here is a statement about the population's code: x* may be read off linearly from units of any selectivity, and
a rotation of the units changes all of these numbers and no decoder. For that see `decoding`; for how far the axes of
units and of latents agree see `unit_alignment`. Axis letters: N trials, H units, L live units, D latents, P terms of a
regression, K folds, U units drawn, G cells of a map, R draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import binned_statistic_2d

from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.orthants import checked
from mtrnn_analysis.polynomials import legendre_products
from mtrnn_analysis.result import NO_NULL, ProbeResult
from mtrnn_analysis.selectivity.directions import Directions, preferred_directions
from mtrnn_analysis.selectivity.sparseness import LEAST_SD, ROUNDING, activity, sparseness
from mtrnn_envs.utils.validation import check_int

KINDS = ("dead", "constant", "faint", "unselective", "pure", "linear mixed", "nonlinear mixed")
# Of the polynomials; of the folds on which they are tested; the least share of a unit's variance that counts.
DEGREE, N_FOLDS, LEAST_GAIN = 3, 5, 0.01
# Units whose maps are kept, and cells of a map along each latent.
N_MAPS, N_CELLS = 8, 12


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Selectivity(ProbeResult):
    """Selectivity of single units. `value` is the mean share of a unit's variance that interactions of latents explain.

    Attributes:
        interaction: the interaction share of each live unit, `[H]`; NaN for others, as in all that follows.
        nonlinear: the share of the variance that x* explains beyond the linear regression, interactions or not, `[H]`.
        nonlinear_mean: its mean over live units.
        explained: the share of the variance that x* explains with all terms, on held-out trials, `[H]`.
        explained_mean: its mean over live units.
        explained_null: the same with x* permuted over trials, `[draws]`.
        explained_p: of `explained_mean`.
        alone: the share that each latent explains alone, `[H, D]`.
        kinds: of each unit, one of `KINDS`.
        units: how many units are of each kind.
        n_live: live units.
        signed: the share of live units that take both signs, so that their magnitude was taken for sparseness.
        lifetime: lifetime sparseness of live units, `[H]`.
        lifetime_mean: its mean over live units.
        population: population sparseness of each trial over live units, `[N]`; NaN where all are silent.
        population_mean: its mean over trials.
        directions: preferred directions.
        maps: for D = 2, the mean activity over the plane of the units that vary most, `[U, G, G]` (x_2 up, x_1 to the
            right); NaN where there is no trial. Without units for D other than 2.
        map_units: these units, `[U]`.
        map_edges: the sides of the cells along x_1 and x_2, `[2, G + 1]`.
    """

    interaction: Float[np.ndarray, " H"]
    nonlinear: Float[np.ndarray, " H"]
    nonlinear_mean: float
    explained: Float[np.ndarray, " H"]
    explained_mean: float
    explained_null: Float[np.ndarray, " draws"]
    explained_p: float
    alone: Float[np.ndarray, "H D"]
    kinds: tuple[str, ...]
    units: Mapping[str, int]
    n_live: int
    signed: float
    lifetime: Float[np.ndarray, " H"]
    lifetime_mean: float
    population: Float[np.ndarray, " N"]
    population_mean: float
    directions: Directions
    maps: Float[np.ndarray, "U G G"]
    map_units: Int[np.ndarray, " U"]
    map_edges: Float[np.ndarray, "2 edges"]


def selectivity(
    states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], rng: np.random.Generator, *, n_null: int = 100
) -> Selectivity:
    """Selectivity of single units: how they mix latents (Rigotti et al. 2013, doi:10.1038/nature12160) and fire.

    **Mixed selectivity.** Each live unit is regressed on polynomials of x*, by least squares, and each model is tested
    on trials left out (5 folds): r² = 1 - squared error / squared error of the mean fitted to the same trials.
    The models: all that is linear in x*; `alone`, polynomials of one latent up to degree 3; *additive*, the sum of
    these over latents; *all*, with products of latents, too, up to total degree 3. The *interaction share* of
    a unit is r²(all) - r²(additive). Its mean over live units is `value`: 0 (or, by overfitting, slightly less) if
    every unit adds up functions of single latents.
    A unit is *unselective* if r²(all) < 0.01; *pure* if one latent alone explains all but 0.01; *linear
    mixed* if the additive model does (linear in Rigotti et al.'s sense: a sum of the responses to each latent); else
    *nonlinear mixed*. These are statements about the axes x_1 ... x_D: a rectified unit that points along x_1 is pure,
    the same unit turned by 45 degrees nonlinear mixed. `nonlinear`, r²(all) - r²(linear), does not depend on the axes
    (up to noise and the corners of the square, which turn with them).

    The null of `value`: units are additive in latents, and what is left of them is noise that could have come on any
    trial. So the residuals of the additive fit change places over trials, whole rows at a time (Freedman & Lane 1983,
    doi:10.1080/07350015.1983.10509354): exchangeable under the hypothesis, up to the fit's own error; noise whose size
    depends on x* is not exactly so. The null of `explained_mean`: states have nothing to do with x*, so that any order
    of trials is as likely.

    **Sparseness** of live units, see `sparseness`. It is defined for rates of 0 or more, as rectified units have. Of
    units that take both signs (tanh, GRU, LSTM, transformers) the *magnitude* is taken, with 0 as rest: |h| = 1 always
    gives 0, whichever sign. Dead, constant and faint units stand apart and are in no mean.

    **Preferred directions** (`Directions`): the slopes of the linear model. Their null is another one: as many
    directions, each drawn evenly and on its own. Where units take both signs, a unit and its negative are the same to
    a read-out, and resultants of even order alone say something.

    With D = 1 nothing can be mixed: `value` is 0, without a null.

    Arguments:
        states: of N trials, for example at the decision step.
        rng: deals trials into folds, and draws the nulls.
        n_null: draws of each null; 0 for none.

    Raises:
        ValueError: if an argument is out of its range, states are not finite, no unit varies, or there are too few
            trials, or values of a latent, for the terms of the regression.
    """
    states, latents = checked(states, latents)
    check_int("n_null", n_null, 0)
    units = activity(states)
    live = np.flatnonzero(units.live)
    order = rng.permutation(len(states))
    regressions = _Regressions(latents[order])
    rows = states[order][:, live]
    linear, *alone, additive, full = regressions.r2(rows, regressions.models)

    kinds = np.select([units.dead, units.constant, units.faint], KINDS[:3], KINDS[-1])
    kinds[live] = _kinds(np.stack(alone), additive, full)
    mixed = latents.shape[1] > 1
    null = _interaction_null(regressions, rows, n_null, rng) if mixed and n_null else NO_NULL
    shuffled = [regressions.r2(rows[rng.permutation(len(rows))], [regressions.models[-1]]) for _ in range(n_null)]
    explained_null = np.array([r2[0].mean() for r2 in shuffled])
    value, explained = float((full - additive).mean()) if mixed else 0.0, float(full.mean())

    slopes = np.linalg.lstsq(latents - latents.mean(axis=0), states[:, live] - states[:, live].mean(axis=0))[0].T
    pointing = linear >= LEAST_GAIN
    directions = preferred_directions(live[pointing], slopes[pointing], n_null, rng)
    signed = states[:, live].min(axis=0) < -ROUNDING * np.abs(states[:, live]).max(axis=0)
    rates = np.abs(states[:, live])
    lifetime = sparseness(rates)
    population = sparseness(rates, axis=1) if len(live) > 1 else np.full(len(rates), np.nan)
    drawn = live[np.argsort(-states[:, live].std(axis=0), kind="stable")][: N_MAPS if latents.shape[1] == 2 else 0]
    maps, edges = _maps(states[:, drawn], latents)

    def of_all(values: np.ndarray) -> np.ndarray:
        whole_population = np.full((states.shape[1], *values.shape[1:]), np.nan)
        whole_population[live] = values
        return whole_population

    chosen = {"n_null": n_null, "degree": DEGREE, "n_folds": N_FOLDS, "least_gain": LEAST_GAIN, "least_sd": LEAST_SD}
    return Selectivity(
        value=value,
        null=null,
        p=p_value(value, null),
        n=len(states),
        settings=chosen,
        interaction=of_all(full - additive),
        nonlinear=of_all(full - linear),
        nonlinear_mean=float((full - linear).mean()),
        explained=of_all(full),
        explained_mean=explained,
        explained_null=explained_null,
        explained_p=p_value(explained, explained_null),
        alone=of_all(np.stack(alone, axis=1)),
        kinds=tuple(str(kind) for kind in kinds),
        units={kind: int(np.count_nonzero(kinds == kind)) for kind in KINDS},
        n_live=len(live),
        signed=float(signed.mean()),
        lifetime=of_all(lifetime),
        lifetime_mean=float(lifetime.mean()),
        population=population,
        population_mean=float(np.nanmean(population)) if np.isfinite(population).any() else float("nan"),
        directions=directions,
        maps=maps,
        map_units=drawn,
        map_edges=edges,
    )


class _Regressions:
    """Least squares of any columns on polynomials of latents, tested on folds left out; trials come in random order.

    All is done on sums of products per fold, so that a draw of a null costs one matrix product a fold
    (`tests/benchmarks/test_similarity_speed.py`: all draws take less time than scikit-learn's loop for one model).
    """

    def __init__(self, latents: np.ndarray) -> None:
        n, n_dims = latents.shape
        low, high = latents.min(axis=0), latents.max(axis=0)
        scaled = (2 * latents - low - high) / np.where(high > low, high - low, 1)
        terms, degrees = legendre_products(scaled, DEGREE)
        self.design = np.concatenate([np.ones((n, 1)), terms], axis=1)
        n_terms = self.design.shape[1]
        if n - -(-n // N_FOLDS) < 2 * n_terms:
            raise ValueError(
                f"states has {n} trials; polynomials of degree {DEGREE} in {n_dims} latents have {n_terms} terms, for "
                f"which each set of {N_FOLDS - 1} of {N_FOLDS} folds must hold {2 * n_terms} trials or more"
            )
        single = (degrees > 0).sum(axis=1) == 1
        chosen = [degrees.sum(axis=1) == 1, *((degrees > 0).T & single), single, np.ones(len(degrees), bool)]
        self.models = [[0, *(np.flatnonzero(terms) + 1).tolist()] for terms in chosen]
        self.parts = [slice(part[0], part[-1] + 1) for part in np.array_split(np.arange(n), N_FOLDS)]
        self.grams = np.stack([self.design[part].T @ self.design[part] for part in self.parts])
        self.rest = self.grams.sum(axis=0) - self.grams
        if (np.linalg.matrix_rank(self.rest, hermitian=True) < n_terms).any():
            raise ValueError(
                f"latents takes too few values for polynomials of degree {DEGREE}: the terms cannot be told apart on "
                f"all folds (distinct values of each latent: {[len(np.unique(column)) for column in latents.T]})"
            )
        self.inverses = {tuple(m): np.linalg.inv(self.rest[:, m][:, :, m]) for m in [*self.models, [0]]}

    def r2(self, columns: np.ndarray, models: list[list[int]]) -> list[np.ndarray]:
        """r² of each column by each model, on the folds left out."""
        columns = columns - columns.mean(axis=0)
        products = np.stack([self.design[part].T @ columns[part] for part in self.parts])
        squares = np.stack([np.einsum("nh,nh->h", columns[part], columns[part]) for part in self.parts])
        others = products.sum(axis=0) - products

        def errors(model: list[int]) -> np.ndarray:
            weights = self.inverses[tuple(model)] @ others[:, model]
            explained = 2 * products[:, model] - self.grams[:, model][:, :, model] @ weights
            return (squares - np.einsum("kph,kph->kh", weights, explained)).sum(axis=0)

        of_mean = errors([0])
        return [1 - errors(model) / of_mean for model in models]

    def fitted(self, columns: np.ndarray, model: list[int]) -> np.ndarray:
        """The prediction of each column by the model fitted to all trials."""
        design = self.design[:, model]
        return design @ np.linalg.solve(self.grams.sum(axis=0)[np.ix_(model, model)], design.T @ columns)


def _interaction_null(regressions: _Regressions, rows: np.ndarray, n_null: int, rng: np.random.Generator) -> np.ndarray:
    """Means over units of r²(all) - r²(additive), with the residuals of the additive model put in other orders."""
    *_, additive, full = regressions.models
    fit = regressions.fitted(rows, additive)
    residuals, null = rows - fit, np.empty(n_null)
    for r in range(n_null):
        less, more = regressions.r2(fit + residuals[rng.permutation(len(rows))], [additive, full])
        null[r] = (more - less).mean()
    return null


def _kinds(alone: np.ndarray, additive: np.ndarray, full: np.ndarray) -> np.ndarray:
    best = np.maximum(full, additive)
    found = [best < LEAST_GAIN, best - alone.max(axis=0) < LEAST_GAIN, best - additive < LEAST_GAIN]
    return np.select(found, KINDS[3:6], KINDS[-1])


def _maps(columns: np.ndarray, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of columns over the cells of a grid on two latents; without columns only its edges."""
    x = np.broadcast_to(latents[:, :2], (len(latents), 2)).T
    edges = np.stack([np.linspace(row.min(), row.max(), N_CELLS + 1) for row in x])
    if not columns.shape[1]:
        return np.empty((0, N_CELLS, N_CELLS)), edges
    sides: Any = [edges[1], edges[0]]
    return binned_statistic_2d(x[1], x[0], list(columns.T), bins=sides)[0], edges
