"""Selectivity of units and their alignment with latents: known answers, definitions, nulls, refusals."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
from checked import checked
from helpers.codes import conjunctive, expanded, latents_of, linear, rotated, unrelated
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from scipy.stats import kstest
from sklearn.metrics import mutual_info_score
from sklearn.preprocessing import PolynomialFeatures

from mtrnn_analysis.figures.selectivity import selectivity_figure, unit_alignment_figure
from mtrnn_analysis.selectivity import selectivity, unit_alignment
from mtrnn_analysis.selectivity.information import mutual_information
from mtrnn_analysis.selectivity.sparseness import sparseness, treves_rolls
from mtrnn_analysis.selectivity.unit_alignment import completeness, disentanglement, gap, modularity

SEEDS = range(3)
_selectivity = checked(selectivity)
_unit_alignment = checked(unit_alignment)


def turned(degrees: float) -> np.ndarray:
    """The rotation of the plane by an angle."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def opposed_pairs(rng: np.random.Generator, latents: np.ndarray, degrees: float, dead: int = 60) -> np.ndarray:
    """What networks trained on many tasks come to: four rectified units in two opposed pairs, all others silent."""
    slopes = np.concatenate([turned(degrees).T, -turned(degrees).T])
    drive = 30 * latents @ slopes.T + rng.standard_normal((len(latents), 4))
    return np.concatenate([np.maximum(drive, 0), np.zeros((len(latents), dead))], axis=1)


def test_sparseness_of_known_rates() -> None:
    n = 50
    one, even = np.zeros(n), np.full(n, 3.0)
    one[7] = 2.0
    assert sparseness(one) == pytest.approx(1)
    assert sparseness(even) == pytest.approx(0)
    assert treves_rolls(one) == pytest.approx(1 / n)
    assert treves_rolls(np.repeat([0.0, 5.0], [30, 20])) == pytest.approx(20 / 50)  # on in a share of trials: the share
    assert np.isnan(sparseness(np.zeros(n)))
    # Exponential rates: (mean)² / mean square = 1/2, whatever the mean.
    assert treves_rolls(np.random.default_rng(0).exponential(7, 200_000)) == pytest.approx(0.5, abs=0.005)


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_sparseness_does_not_depend_on_scale_or_order(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rates = np.maximum(rng.standard_normal((40, 5)), 0)
    mine = sparseness(rates)
    np.testing.assert_allclose(sparseness(scale * rng.permutation(rates)), mine)
    assert ((mine >= -1e-12) & (mine <= 1 + 1e-12))[np.isfinite(mine)].all()


def test_sparseness_is_for_rates_alone() -> None:
    with pytest.raises(ValueError, match="down to -1"):
        sparseness(np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match="1 values along axis 0; 2 or more"):
        sparseness(np.ones(1))


def test_units_of_both_signs_are_taken_by_their_magnitude() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 400)
    states = latents @ rng.standard_normal((2, 6))
    found = _selectivity(states, latents, rng, n_null=0)
    np.testing.assert_allclose(found.lifetime, sparseness(np.abs(states)))
    assert found.signed == 1
    assert _selectivity(np.abs(states), latents, rng, n_null=0).signed == 0


def test_dead_constant_and_faint_units_stand_apart() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 300)
    live = linear(rng, latents, 3)
    columns = [np.zeros(300), np.full(300, 0.1), 1e-3 * live[:, 0], *live.T]
    states = np.stack(columns, axis=1).astype(np.float32)
    found = _selectivity(states, latents, rng, n_null=5)
    assert found.kinds[:3] == ("dead", "constant", "faint")
    assert found.units["dead"] == found.units["constant"] == found.units["faint"] == 1
    assert found.n_live == 3
    assert np.isnan(found.lifetime[:3]).all()
    assert np.isnan(found.explained[:3]).all()
    np.testing.assert_allclose(found.population, sparseness(states[:, 3:].astype(float), axis=1))


@pytest.mark.parametrize("seed", SEEDS)
def test_kinds_of_units_that_are_known(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = latents_of(rng, 1500)
    columns = {
        "pure": [x[:, 0], np.maximum(x[:, 1], 0), x[:, 0] ** 2],
        "linear mixed": [x[:, 0] + x[:, 1], x[:, 0] - x[:, 1] ** 2, np.maximum(x[:, 0], 0) + np.maximum(x[:, 1], 0)],
        "nonlinear mixed": [x[:, 0] * x[:, 1], np.maximum(x[:, 0] + x[:, 1], 0), np.sign(x[:, 0] * x[:, 1])],
        "unselective": [rng.standard_normal(1500)],
    }
    states = np.stack([c for group in columns.values() for c in group], axis=1)
    states = states / states.std(axis=0) + 0.1 * rng.standard_normal(states.shape)
    found = _selectivity(states, x, rng, n_null=0)
    assert found.kinds == tuple(kind for kind, group in columns.items() for _ in group)
    assert found.interaction[6] == pytest.approx(1 / 1.01, abs=0.02)  # x_1 x_2, all of it; the rest is noise


def test_a_purely_nonlinear_unit_is_nonlinear_in_any_axes_and_mixed_in_some() -> None:
    rng = np.random.default_rng(0)
    x = latents_of(rng, 3000)
    along, across = (np.maximum(x @ turned(angle)[:, 0], 0)[:, None] for angle in (0, 45))
    pure, mixed = (_selectivity(states, x, np.random.default_rng(0), n_null=0) for states in (along, across))
    assert (pure.kinds, mixed.kinds) == (("pure",), ("nonlinear mixed",))
    assert pure.value == pytest.approx(0, abs=0.005)
    assert mixed.value > 0.1
    assert pure.nonlinear_mean > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_codes_are_told_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 1000)
    for states in (linear(rng, latents), rotated(rng, linear(rng, latents)), 1e4 * linear(rng, latents)):
        found = _selectivity(states, latents, rng, n_null=20)
        assert abs(found.value) < 1e-3
        assert found.units["nonlinear mixed"] == 0
        assert found.explained_p < 0.05
    for states in (expanded(rng, latents), conjunctive(rng, latents)):
        found = _selectivity(states, latents, rng, n_null=20)
        assert found.value > 0.05
        assert found.p < 0.05
        assert found.units["nonlinear mixed"] > 32
    found = _selectivity(unrelated(rng, latents), latents, rng, n_null=20)
    assert found.units["unselective"] == found.n_live == 64
    assert found.explained_mean < 0
    assert np.isnan(found.directions.opposition)


@pytest.mark.parametrize("seed", SEEDS)
def test_regressions_are_scikit_learns_loop_written_fast(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 203, 3)
    states = expanded(rng, latents, 5, noise=0.5)
    found = _selectivity(states, latents, np.random.default_rng(seed), n_null=0)
    order = np.random.default_rng(seed).permutation(203)  # the first that is drawn
    terms = PolynomialFeatures(3, include_bias=False).fit(latents)
    used = terms.powers_ > 0
    x, y = np.asarray(terms.transform(latents))[order], states[order]

    def r2(columns: np.ndarray) -> np.ndarray:
        errors, baseline = np.zeros(5), np.zeros(5)
        for test in np.array_split(np.arange(203), 5):
            train = np.setdiff1d(np.arange(203), test)
            model = sklearn.linear_model.LinearRegression().fit(x[train][:, columns], y[train])
            errors += np.sum((model.predict(x[test][:, columns]) - y[test]) ** 2, axis=0)
            baseline += np.sum((y[train].mean(axis=0) - y[test]) ** 2, axis=0)
        return 1 - errors / baseline

    full, additive = r2(np.ones(len(used), bool)), r2(used.sum(axis=1) == 1)
    np.testing.assert_allclose(found.explained, full, atol=1e-9)
    np.testing.assert_allclose(found.interaction, full - additive, atol=1e-9)
    np.testing.assert_allclose(found.nonlinear, full - r2(terms.powers_.sum(axis=1) == 1), atol=1e-9)
    np.testing.assert_allclose(found.alone[:, 1], r2(used[:, 1] & (used.sum(axis=1) == 1)), atol=1e-9)


@pytest.mark.slow
def test_p_of_mixing_is_even_where_units_are_additive() -> None:
    """200 codes that add functions of each latent, with noise, and 200 of noise alone."""
    p, unrelated_p = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = latents_of(rng, 120)
        noise = unrelated(rng, latents, 4)
        additive = np.maximum(latents, 0) @ rng.standard_normal((2, 4)) + noise
        found, nothing = (selectivity(states, latents, rng, n_null=9) for states in (additive, noise))
        p.append(found.p - rng.random() / 10)  # a discrete p, spread within its step
        unrelated_p.append(nothing.explained_p - rng.random() / 10)
    assert kstest(p, "uniform").pvalue > 0.001
    assert kstest(unrelated_p, "uniform").pvalue > 0.001


@pytest.mark.parametrize("degrees", [0.0, 30.0, 45.0])
def test_two_opposed_pairs_are_seen_at_any_angle(degrees: float) -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng)
    found = _selectivity(opposed_pairs(rng, latents, degrees), latents, rng)
    assert (found.n_live, found.units["dead"]) == (4, 60)
    assert sorted(map(tuple, found.directions.pairs)) == [(0, 2), (1, 3)]
    assert found.directions.between_pairs == pytest.approx(90, abs=3)
    assert found.directions.opposition > 0.99
    assert found.directions.opposition_p < 0.05
    resultants = found.directions.resultants
    assert resultants["4"] > 0.98
    assert max(resultants["1"], resultants["2"]) < 0.1
    # Mod 90, both pairs lie on one angle: that of the code.
    difference = (found.directions.degrees - degrees + 45) % 90 - 45
    assert np.abs(difference).max() < 3


def test_resultants_of_directions_that_are_known() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 400)
    cases = {(10, 10): (1, 1, 1), (10, 190): (0, 1, 1), (10, 100, 190, 280): (0, 0, 1), (0, 120, 240): (0, 0, 0)}
    for angles, expected in cases.items():
        slopes = np.stack([turned(angle)[:, 0] for angle in angles])
        found = _selectivity(latents @ slopes.T, latents, rng, n_null=0)
        mine = [found.directions.resultants[order] for order in ("1", "2", "4")]
        np.testing.assert_allclose(mine, expected, atol=1e-6)
        np.testing.assert_allclose(found.directions.degrees % 360, angles, atol=1e-6)
        assert found.directions.resultants["3"] == pytest.approx(abs(np.exp(3j * np.radians(angles)).mean()))


@pytest.mark.slow
def test_p_of_directions_is_even_where_directions_are() -> None:
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = latents_of(rng, 60)
        slopes = np.stack([turned(angle)[:, 0] for angle in rng.uniform(0, 360, 5)])
        found = selectivity(latents @ slopes.T, latents, rng, n_null=9)
        of_directions = found.directions.opposition_p, *found.directions.resultants_p.values()
        p.append([value - rng.random() / 10 for value in of_directions])
    for column in np.array(p).T:
        assert kstest(column, "uniform").pvalue > 0.001


def test_directions_in_other_dimensions() -> None:
    rng = np.random.default_rng(0)
    three = latents_of(rng, 600, 3)
    slopes = np.concatenate([np.eye(3), -np.eye(3)])
    found = _selectivity(three @ slopes.T, three, rng, n_null=50)
    assert found.directions.opposition == pytest.approx(1, abs=1e-3)
    assert found.directions.opposition_p < 0.05
    assert len(found.directions.pairs) == 3
    assert found.directions.resultants == {}
    assert np.isnan(found.directions.degrees).all()
    assert len(found.maps) == 0
    one = latents_of(rng, 600, 1)
    found = _selectivity(np.concatenate([one, one**2], axis=1), one, rng, n_null=5)
    assert (found.value, len(found.null), found.kinds) == (0, 0, ("pure", "pure"))
    assert np.isnan(found.p)


def test_maps_are_means_over_cells() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 20_000)
    found = _selectivity(np.stack([latents[:, 0], 2 * latents[:, 1]], axis=1), latents, rng, n_null=0)
    assert list(found.map_units) == [1, 0]
    middle = (found.map_edges[:, 1:] + found.map_edges[:, :-1]) / 2
    np.testing.assert_allclose(found.maps[1], np.tile(middle[0], (12, 1)), atol=0.02)
    np.testing.assert_allclose(found.maps[0], 2 * np.tile(middle[1][:, None], (1, 12)), atol=0.04)


def test_a_linear_code_that_is_turned_loses_its_alignment_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng)
    found = [
        _unit_alignment(latents @ turned(degrees).T, latents, np.random.default_rng(0), n_null=20)
        for degrees in (0, 22.5, 45)
    ]
    # In closed form: |cos|, |sin| of the angle are the importances.
    share = np.cos(np.pi / 8) / (np.cos(np.pi / 8) + np.sin(np.pi / 8))
    expected = 1 + share * np.log2(share) + (1 - share) * np.log2(1 - share)
    assert expected == pytest.approx(0.13, abs=0.005)
    assert [each.value for each in found] == pytest.approx([1, expected, 0], abs=0.02)
    assert [each.completeness for each in found] == pytest.approx([1, expected, 0], abs=0.02)
    assert [each.informativeness for each in found] == pytest.approx([1, 1, 1], abs=1e-6)
    assert found[0].mig > 0.9 > 0.05 > found[2].mig
    assert found[0].sap > 0.99 > 0.05 > found[2].sap
    assert found[0].modularity > 0.99


def test_modular_units_that_share_latents_are_disentangled_and_incomplete() -> None:
    """Two rectified units for each latent: DCI and modularity see the alignment; MIG and SAP cannot."""
    rng = np.random.default_rng(0)
    latents = latents_of(rng)
    found = _unit_alignment(opposed_pairs(rng, latents, 0), latents, rng, n_null=40)
    assert list(found.units) == [0, 1, 2, 3]
    assert found.value > 0.9
    assert found.p < 0.05
    assert found.modularity > 0.95
    assert found.completeness == pytest.approx(0.5, abs=0.05)  # 2 units of 4: 1 - log 2 / log 4
    assert found.mig < 0.12
    turned_by_45 = _unit_alignment(opposed_pairs(rng, latents, 45), latents, rng, n_null=40)
    assert turned_by_45.value < 0.02
    assert turned_by_45.informativeness == pytest.approx(found.informativeness, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_codes_in_a_random_basis_are_no_more_aligned_than_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 1000)
    for make in (linear, expanded, conjunctive):
        found = _unit_alignment(rotated(rng, make(rng, latents)), latents, rng, n_null=19)
        assert abs(found.value - found.null.mean()) < 4 * found.null.std()
        assert found.informativeness > 0.9
    nothing = _unit_alignment(unrelated(rng, latents), latents, rng, n_null=5)
    assert nothing.informativeness < 0.01
    assert nothing.n_informative <= 2  # of 64 units with two latents, at one in a thousand


def test_p_of_alignment_is_even_in_a_random_basis() -> None:
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = latents_of(rng, 80)
        states = rotated(rng, np.maximum(latents @ rng.standard_normal((2, 5)), 0))
        found = unit_alignment(states, latents, rng, n_null=9)
        p.append(found.p - rng.random() / 10)
    assert kstest(p, "uniform").pvalue > 0.001


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_scores_do_not_depend_on_order_and_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    importance = rng.exponential(size=(6, 3))
    for score in (disentanglement, completeness, modularity, gap):
        mine = score(importance)
        assert mine >= -1e-12
        shuffled = importance[rng.permutation(6)][:, rng.permutation(3)]
        assert score(shuffled) == pytest.approx(mine)
        if score is not gap:
            assert mine <= 1 + 1e-12
            assert score(7 * importance) == pytest.approx(mine)


def test_scores_that_are_known() -> None:
    assert disentanglement(np.eye(3)) == completeness(np.eye(3)) == modularity(np.eye(3)) == gap(np.eye(3)) == 1
    even = np.ones((4, 2))
    assert disentanglement(even) == pytest.approx(0)
    assert completeness(even) == pytest.approx(0)
    assert modularity(even) == gap(even) == 0
    # A unit of no importance counts for nothing; one unit is complete.
    assert disentanglement(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])) == pytest.approx(1)
    assert completeness(np.array([[1.0, 3.0]])) == 1
    # Important units weigh more.
    assert disentanglement(np.array([[9.0, 0.0], [0.5, 0.5]])) == pytest.approx(0.9)


@pytest.mark.parametrize("seed", SEEDS)
def test_information_agrees_with_scikit_learn_and_the_gaussian(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 20_000)
    states = np.maximum(latents @ np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]) + [0, 0, 0], -0.1)
    states[:, 2] = rng.standard_normal(20_000)
    information, quantile, entropy = mutual_information(states, latents, 10)
    np.testing.assert_allclose(entropy, np.log(10), atol=1e-6)
    for i in range(3):
        for d in range(2):
            edges = np.quantile(states[:, i], np.arange(1, 10) / 10, method="higher")
            bins = np.searchsorted(edges, states[:, i], "right")
            of_latent = np.argsort(np.argsort(latents[:, d])) * 10 // 20_000
            freedom = (len(np.unique(bins)) - 1) * 9
            expected = mutual_info_score(bins, of_latent) - freedom / 40_000
            assert information[i, d] == pytest.approx(expected, abs=2e-3)
    assert (quantile[:2].max(axis=1) > 0.999).all()
    np.testing.assert_allclose(information[2], 0, atol=1e-3)
    # Two Gaussians of correlation r: -log(1 - r²) / 2, of which bins lose little.
    pair = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 20_000)
    found, _, _ = mutual_information(pair[:, :1], pair[:, 1:], 30)
    assert found[0, 0] == pytest.approx(-np.log(1 - 0.36) / 2, abs=0.02)


def test_importance_is_that_of_scikit_learns_ridge() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 500)
    states = linear(rng, latents, 4, noise=0.3) * [1, 5, 0.2, 1]
    found = _unit_alignment(states, latents, rng, n_null=0)
    fits = [sklearn.linear_model.Ridge(alpha=p).fit(states, latents) for p in 10.0 ** np.arange(-6, 5)]
    importances = np.stack([np.abs(fit.coef_.T) * states.std(axis=0)[:, None] for fit in fits])
    assert np.abs(importances - found.importance).max(axis=(1, 2)).min() < 0.02 * found.importance.max()


def test_bad_arguments() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 100)
    states = linear(rng, latents, 5)
    with pytest.raises(ValueError, match="polynomials of degree 3 in 2 latents have 10 terms"):
        _selectivity(states[:20], latents[:20], rng)
    with pytest.raises(ValueError, match=r"states has 4 trials; 20 or more are needed"):
        _unit_alignment(states[:4], latents[:4], rng)
    with pytest.raises(ValueError, match="latents takes too few values"):
        _selectivity(states, np.sign(latents), rng)
    with pytest.raises(ValueError, match=r"latents \[1\] are the same on all trials"):
        _unit_alignment(states, latents * [1, 0], rng)
    with pytest.raises(ValueError, match="2 or more are needed"):
        disentanglement(np.ones((3, 1)))
    with pytest.raises(ValueError, match="0 or more, and above 0 somewhere"):
        completeness(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="information of unit 1 is 0 or less"):
        modularity(np.array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="information has 1 latents"):
        modularity(np.ones((3, 1)))
    assert np.isnan(modularity(np.empty((0, 2))))


def test_fewer_trials_than_units_and_an_empty_orthant_are_answered() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 400)
    latents = latents[~(latents > 0).all(axis=1)][:100]
    states = linear(rng, latents, 200)
    found = _selectivity(states, latents, rng, n_null=5)
    assert found.n_live == 200
    assert found.explained_mean > 0.5
    assert _unit_alignment(states, latents, rng, n_null=2).informativeness > 0.9


def words(figure: Any) -> str:
    """All that is written in a figure, drawn."""
    figure.savefig(io.BytesIO(), format="pdf")
    return " | ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("n_null", [0, 20])
def test_figures_show_opposed_pairs_chance_and_what_alignment_is_not(n_null: int) -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 600)
    states = opposed_pairs(rng, latents, 30)
    shown = words(selectivity_figure(_selectivity(states, latents, rng, n_null=n_null)))
    assert "2 opposed pairs, 90° apart" in shown or "2 opposed pairs, 89° apart" in shown
    assert "unit 3\nnonlinear mixed" in shown
    assert ("additive units (20 draws)" in shown) == ("even directions, 95 %" in shown) == (n_null > 0)
    aligned = words(unit_alignment_figure(_unit_alignment(states, latents, rng, n_null=n_null)))
    assert "not of abstraction" in aligned
    assert ("random basis, mean" in aligned) == (n_null > 0)


@pytest.mark.parametrize("n_dims", [1, 3])
def test_figures_in_other_dimensions(n_dims: int) -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 400, n_dims)
    states = expanded(rng, latents, 20)
    assert "drawn for two latents" in words(selectivity_figure(_selectivity(states, latents, rng, n_null=3)))
    if n_dims > 1:
        assert "20 live units, by latent" in words(
            unit_alignment_figure(_unit_alignment(states, latents, rng, n_null=3))
        )
