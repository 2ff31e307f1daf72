"""What single units say of x*: how rarely they fire, how many are silent, how they mix latents, which way they point.

Nothing here is a statement about the population's code: x* may be read off linearly from units of any selectivity, and
a rotation of the units changes all of these numbers and no decoder. For that see `decoding`; for how far the axes of
units and of latents agree see `unit_alignment`. Axis letters: N trials, H units, L live units, D latents, P terms of a
regression, K folds, U units drawn, G cells of a map, R draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from jaxtyping import Float, Int
from numpy.polynomial import legendre

from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.orthants import checked
from mtrnn_analysis.result import NO_NULL, ProbeResult
from mtrnn_analysis.selectivity.directions import Directions, preferred_directions
from mtrnn_analysis.selectivity.sparseness import ROUNDING, activity, sparseness
from mtrnn_envs.utils.validation import check_int

KINDS = ("dead", "constant", "faint", "unselective", "pure", "linear mixed", "nonlinear mixed")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Selectivity(ProbeResult):
    """What the probe `selectivity` finds. `value` is the interaction share, see `selectivity`; `n` counts trials.

    Attributes:
        interaction: what `value` is the mean of over live units, `[H]`; NaN for others, as in all that follows.
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
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    degree: int = 3,
    n_folds: int = 5,
    least_gain: float = 0.01,
    least_sd: float = 0.01,
    n_maps: int = 8,
    n_cells: int = 12,
) -> Selectivity:
    """How single units mix latents (Rigotti et al. 2013, doi:10.1038/nature12160), fire, and point.

    **Mixed selectivity.** Each live unit is regressed on polynomials of x*, by least squares, and each model is tested
    on trials left out (`n_folds` folds): r² = 1 - squared error / squared error of the mean fitted to the same trials.
    The models: all that is linear in x*; `alone`, polynomials of one latent up to `degree`; *additive*, the sum of
    these over latents; *all*, with products of latents, too, up to total degree `degree`. The *interaction share* of
    a unit is r²(all) - r²(additive). Its mean over live units is `value`: 0 (or, by overfitting, slightly less) if
    every unit adds up functions of single latents.
    A unit is *unselective* if r²(all) < `least_gain`; *pure* if one latent alone explains all but `least_gain`; *linear
    mixed* if the additive model does (linear in Rigotti et al.'s sense: a sum of the responses to each latent); else
    *nonlinear mixed*. These are statements about the axes x_1 ... x_D: a rectified unit that points along x_1 is pure,
    the same unit turned by 45 degrees nonlinear mixed. `nonlinear`, r²(all) - r²(linear), does not depend on the axes
    (but for what of the noise and of the square's corners turns with them).

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
        latents: x*.
        rng: deals trials into folds, and draws the nulls.
        n_null: draws of each null; 0 for none.
        degree: of the polynomials, 2 or more.
        n_folds: 2 or more.
        least_gain: the least share of a unit's variance that counts.
        least_sd: the least standard deviation of a unit that counts, relative to the greatest of any unit.
        n_maps: units whose maps are kept.
        n_cells: cells of a map along each latent.

    Raises:
        ValueError: if an argument is out of its range, states are not finite, no unit varies, or there are too few
            trials, or values of a latent, for the terms of the regression.
    """
    states, latents = checked(states, latents)
    for name, value, low in (
        ("n_null", n_null, 0),
        ("degree", degree, 2),
        ("n_folds", n_folds, 2),
        ("n_maps", n_maps, 0),
        ("n_cells", n_cells, 1),
    ):
        check_int(name, value, low)
    for name, value in (("least_gain", least_gain), ("least_sd", least_sd)):
        if not 0 <= value < 1:
            raise ValueError(f"{name}={value!r} is not a number from 0 to below 1")
    found = activity(states, least_sd)
    live = np.flatnonzero(found.live)
    order = rng.permutation(len(states))
    regressions = _Regressions(latents[order], degree, n_folds)
    rows = states[order][:, live]
    linear, *alone, additive, full = regressions.r2(rows, regressions.models)

    kinds = np.where(found.dead, "dead", np.where(found.constant, "constant", np.where(found.faint, "faint", "-" * 20)))
    kinds[live] = _kinds(np.stack(alone), additive, full, least_gain)
    mixed = latents.shape[1] > 1
    null = _interaction_null(regressions, rows, n_null, rng) if mixed and n_null else NO_NULL
    shuffled = [regressions.r2(rows[rng.permutation(len(rows))], [regressions.models[-1]]) for _ in range(n_null)]
    explained_null = np.array([r2[0].mean() for r2 in shuffled])
    value, explained = float((full - additive).mean()) if mixed else 0.0, float(full.mean())

    slopes = np.linalg.lstsq(latents - latents.mean(axis=0), states[:, live] - states[:, live].mean(axis=0))[0].T
    pointing = linear >= least_gain
    directions = preferred_directions(live[pointing], slopes[pointing], n_null, rng)
    signed = states[:, live].min(axis=0) < -ROUNDING * np.abs(states[:, live]).max(axis=0)
    rates = np.abs(states[:, live])
    lifetime, population = sparseness(rates), _population(rates)
    drawn = live[np.argsort(-states[:, live].std(axis=0), kind="stable")][: n_maps if latents.shape[1] == 2 else 0]
    maps, edges = _maps(states[:, drawn], latents[:, :2], n_cells)

    def of_all(values: np.ndarray) -> np.ndarray:
        whole_population = np.full((states.shape[1], *values.shape[1:]), np.nan)
        whole_population[live] = values
        return whole_population

    return Selectivity(
        value=value,
        null=null,
        p=p_value(value, null),
        n=len(states),
        settings={
            "n_null": n_null,
            "degree": degree,
            "n_folds": n_folds,
            "least_gain": least_gain,
            "least_sd": least_sd,
        },
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

    All is done on sums of products per fold, so that a draw of a null costs one matrix product a fold.
    """

    def __init__(self, latents: np.ndarray, degree: int, n_folds: int) -> None:
        n, n_dims = latents.shape
        powers = [c for d in range(1, degree + 1) for c in combinations_with_replacement(range(n_dims), d)]
        needed = 2 * (1 + len(powers))
        if n - -(-n // n_folds) < needed:
            raise ValueError(
                f"states has {n} trials; polynomials of degree={degree} in {n_dims} latents have {1 + len(powers)} "
                f"terms, for which each set of n_folds={n_folds} - 1 folds must hold {needed} trials or more"
            )
        low, high = latents.min(axis=0), latents.max(axis=0)
        scaled = (2 * latents - low - high) / np.where(high > low, high - low, 1)
        # Legendre polynomials, products of which are orthogonal under the flat prior: well conditioned.
        table = np.stack([legendre.legval(scaled, np.eye(degree + 1)[d]) for d in range(degree + 1)])
        columns = [np.ones(n)]
        for power in powers:
            counts = np.bincount(power, minlength=n_dims)
            columns.append(np.prod([table[count, :, d] for d, count in enumerate(counts) if count], axis=0))
        self.design = np.stack(columns, axis=1)
        used = [set(power) for power in powers]
        single = [[0, *(i + 1 for i, of in enumerate(used) if of == {d})] for d in range(n_dims)]
        self.models = [
            [0, *(i + 1 for i, power in enumerate(powers) if len(power) == 1)],
            *single,
            sorted({i for terms in single for i in terms}),
            list(range(1 + len(powers))),
        ]
        self.parts = [slice(part[0], part[-1] + 1) for part in np.array_split(np.arange(n), n_folds)]
        self.grams = np.stack([self.design[part].T @ self.design[part] for part in self.parts])
        self.rest = self.grams.sum(axis=0) - self.grams
        if (np.linalg.matrix_rank(self.rest, hermitian=True) < len(columns)).any():
            raise ValueError(
                f"latents takes too few values for polynomials of degree={degree}: the terms cannot be told apart on "
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
        """What the model, fitted to all trials, says of each column."""
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


def _kinds(alone: np.ndarray, additive: np.ndarray, full: np.ndarray, least: float) -> np.ndarray:
    best = np.maximum(full, additive)
    return np.select(
        [best < least, best - alone.max(axis=0) < least, best - additive < least],
        ["unselective", "pure", "linear mixed"],
        "nonlinear mixed",
    )


def _population(rates: np.ndarray) -> np.ndarray:
    return sparseness(rates, axis=1) if rates.shape[1] > 1 else np.full(len(rates), np.nan)


def _maps(columns: np.ndarray, latents: np.ndarray, n_cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of columns over the cells of a grid on two latents."""
    edges = np.stack([np.linspace(x.min(), x.max(), n_cells + 1) for x in latents.T])
    if columns.shape[1] == 0:
        return np.empty((0, n_cells, n_cells)), np.broadcast_to(edges[:1], (2, n_cells + 1)).copy()
    cells = [np.clip(np.searchsorted(e, x, "right") - 1, 0, n_cells - 1) for e, x in zip(edges, latents.T, strict=True)]
    where = cells[1] * n_cells + cells[0]
    counts = np.bincount(where, minlength=n_cells**2)
    sums = np.stack([np.bincount(where, column, n_cells**2) for column in columns.T])
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means.reshape(-1, n_cells, n_cells), edges
