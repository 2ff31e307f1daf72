"""Similarity of states: known answers, invariances, metric, other implementations, chance, refusals."""

from __future__ import annotations

import dataclasses
import io
import itertools
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from checked import checked
from helpers.codes import conjunctive, expanded, latents_of, linear, rotated, unrelated
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from rsatoolbox.data.dataset import Dataset
from rsatoolbox.rdm.calc import calc_rdm
from rsatoolbox.rdm.compare import compare as compare_rdms
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kstest

from mtrnn_analysis.figures.similarity import comparison_figure, rsa_figure
from mtrnn_analysis.similarity import cka, compare, dsa, procrustes, rsa
from mtrnn_analysis.similarity.agents import classical_scaling
from mtrnn_analysis.similarity.rsa import agreement, cells, dissimilarities
from mtrnn_envs import EvidenceTask
from mtrnn_envs.recording import Recording

SEEDS = range(3)
_rsa = checked(rsa)
_compare = checked(compare)


def theirs(states: np.ndarray, method: str, **descriptors: np.ndarray) -> Any:
    """rsatoolbox's dissimilarities of the conditions named "cell"."""
    data = Dataset(states, obs_descriptors={name: values.astype(float) for name, values in descriptors.items()})
    return calc_rdm(data, method=method, descriptor="cell", cv_descriptor="fold" if "fold" in descriptors else None)


def recorded(states: np.ndarray, latents: np.ndarray) -> Recording:
    """A recording of given states, of one step `[N, H]` or of several `[N, T, H]`."""
    hidden = states.reshape(len(states), -1, states.shape[-1]).astype(np.float32)
    n, n_steps = hidden.shape[:2]
    task = EvidenceTask(n_dims=latents.shape[1], n_tasks=2)
    ones = np.ones((n, 2), np.int8)
    return Recording(
        valid=np.ones((n, n_steps), bool),
        latents=latents,
        labels=ones,
        actions=np.zeros((n, n_steps, 2), np.int64),
        answers=ones,
        response_steps=np.ones((n, 2), np.int64),
        rewards=np.zeros((n, n_steps)),
        metadata={"agent": "made", "task": dataclasses.asdict(task)},
        hidden=hidden,
    )


def test_independent_states_look_alike_to_the_biased_estimate_alone() -> None:
    """50 trials of 64 units: 0.56 biased, about 0 debiased, and as often below as above."""
    rng = np.random.default_rng(0)
    pairs = [(rng.standard_normal((50, 64)), rng.standard_normal((50, 64))) for _ in range(100)]
    biased = [cka(a, b, debiased=False) for a, b in pairs]
    debiased = [cka(a, b) for a, b in pairs]
    assert np.mean(biased) == pytest.approx(0.56, abs=0.01)
    assert np.mean(debiased) == pytest.approx(0, abs=0.01)
    assert np.std(debiased) == pytest.approx(0.03, abs=0.01)  # so that -0.03 is a draw like others
    assert 30 < np.count_nonzero(np.array(debiased) > 0) < 70


@pytest.mark.parametrize("seed", SEEDS)
def test_cka_in_feature_space_is_hsic_of_the_gram_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = expanded(rng, latents_of(rng, 40), 7), rng.standard_normal((40, 90)) + 5

    def hsic(k: np.ndarray, m: np.ndarray, debiased: bool) -> float:
        n, one = len(k), np.ones(len(k))
        if not debiased:
            centring = np.eye(n) - 1 / n
            return float(np.trace(k @ centring @ m @ centring)) / (n - 1) ** 2
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        total = np.trace(k @ m) + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
        return float(total - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))

    for debiased in (True, False):
        k, m = a @ a.T, b @ b.T
        expected = hsic(k, m, debiased) / np.sqrt(hsic(k, k, debiased) * hsic(m, m, debiased))
        assert cka(a, b, debiased=debiased) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_neither_shift_nor_scale_nor_rotation_matter(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 60)
    a, b = expanded(rng, latents, 6), expanded(rng, latents, 9)
    moved = scale * rotated(rng, b) + 10 * rng.standard_normal(9)
    assert cka(a, moved) == pytest.approx(cka(a, b), abs=1e-7)
    assert procrustes(a, moved) == pytest.approx(procrustes(a, b), abs=1e-6)
    assert cka(b, moved) == pytest.approx(1)
    assert procrustes(b, moved) == pytest.approx(0, abs=1e-6)
    for measure in (cka, procrustes):
        assert measure(a, b) == pytest.approx(measure(b, a))
        silent = np.concatenate([b, np.zeros((60, 3))], axis=1)
        assert measure(a, silent) == pytest.approx(measure(a, b))


@given(st.integers(0, 10_000), st.floats(0, 2))
@settings(max_examples=60, deadline=None)
def test_procrustes_is_a_metric(seed: int, noise: float) -> None:
    """No way by a third set of states is shorter; with the noise at 0 the third lies between the two."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((30, 4)), rng.standard_normal((30, rng.integers(2, 7)))
    between = np.concatenate([a, b], axis=1) @ rng.standard_normal((4 + b.shape[1], 5))
    third = between + noise * rng.standard_normal((30, 5))
    direct, first, second = procrustes(a, b), procrustes(a, third), procrustes(third, b)
    assert direct <= first + second + 1e-9
    assert 0 <= direct <= np.pi / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_procrustes_agrees_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for noise in (1e-9, 1e-4, 0.1, 1.0):
        a = rng.standard_normal((50, 6))
        b = rotated(rng, a) + noise * rng.standard_normal((50, 6))
        x, y = (v - v.mean(axis=0) for v in (a, b))
        x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
        rotation, _ = orthogonal_procrustes(x, y)
        chord = np.linalg.norm(x @ rotation - y)
        assert procrustes(a, b) == pytest.approx(2 * np.arcsin(chord / 2), rel=1e-6)


def test_angles_that_are_known() -> None:
    """x* against its first latent alone: of two equal variances one is left, cos = 1 / sqrt(2)."""
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    assert procrustes(grid, grid[:, :1]) == pytest.approx(np.pi / 4)
    assert cka(grid, grid[:, :1], debiased=False) == pytest.approx(1 / np.sqrt(2))
    assert procrustes(grid[:, :1], grid[:, 1:]) == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_dissimilarities_are_those_of_all_pairs_of_trials(seed: int) -> None:
    """The average of (h - h')·(h'' - h''') over two different trials each of both conditions, in a slow loop."""
    rng = np.random.default_rng(seed)
    cell = np.array([0] * 3 + [1] * 4 + [-1] * 2 + [2] * 2)
    states = rng.standard_normal((11, 5)) + 3
    found = dissimilarities(states, cell)
    for i in range(3):
        for j in range(i):
            here, there = np.flatnonzero(cell == i), np.flatnonzero(cell == j)
            pairs = itertools.product(itertools.permutations(here, 2), itertools.permutations(there, 2))
            products = [(states[a] - states[c]) @ (states[b] - states[d]) for (a, b), (c, d) in pairs]
            assert found[i, j] == found[j, i] == pytest.approx(np.mean(products))


def test_dissimilarities_agree_with_rsatoolbox() -> None:
    """Cross-validated over folds of one trial of each condition each, averaged over ways to deal trials into folds."""
    rng = np.random.default_rng(0)
    cell = np.tile(np.arange(5), 4)
    states = rng.standard_normal((5, 6))[cell] + rng.standard_normal((20, 6))
    ours = dissimilarities(states, cell)[np.triu_indices(5, 1)]
    dealt = []
    for _ in range(60):
        fold = np.empty(20)
        for q in range(5):
            fold[cell == q] = rng.permutation(4)
        dealt.append(theirs(states, "crossnobis", cell=cell, fold=fold).dissimilarities[0])
    mean, error = np.mean(dealt, axis=0) * 6, np.std(dealt, axis=0) * 6 / np.sqrt(60)  # means over units
    assert (np.abs(mean - ours) < 4 * error + 1e-9).all()
    assert np.abs(mean - ours).max() < 0.1 * np.abs(ours).max()


@pytest.mark.parametrize("measure", ["spearman", "cosine"])
def test_agreement_is_that_of_rsatoolbox(measure: str) -> None:
    rng = np.random.default_rng(0)
    rdms = [theirs(rng.standard_normal((8, 5)), "euclidean", cell=np.arange(8)) for _ in range(2)]
    matrices = [rdm.get_matrices()[0] for rdm in rdms]
    assert agreement(matrices[0], matrices[1], measure) == pytest.approx(compare_rdms(*rdms, method=measure)[0, 0])


def test_distances_of_noise_are_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    cell = np.arange(60) % 6
    draws = np.array([dissimilarities(rng.standard_normal((60, 20)), cell)[np.triu_indices(6, 1)] for _ in range(300)])
    assert draws.mean() == pytest.approx(0, abs=4 * draws.mean(axis=1).std() / np.sqrt(300))
    assert 0.3 < np.mean(draws < 0) < 0.7
    plain = pdist(rng.standard_normal((60, 20)).reshape(10, 6, 20).mean(axis=0), "sqeuclidean")
    assert plain.mean() == pytest.approx(2 * 20 / 10, rel=0.5)  # what noise alone would add


@pytest.mark.parametrize("seed", SEEDS)
def test_codes_are_told_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng)
    isometric = rotated(rng, np.concatenate([7 * latents, np.zeros((2000, 5))], axis=1))
    found = {
        "isometric": _rsa(isometric, latents, rng),
        "linear": _rsa(linear(rng, latents), latents, rng),
        "stretched": _rsa(linear(rng, latents * [1, 5]), latents, rng),
        "expanded": _rsa(expanded(rng, latents), latents, rng),
        "conjunctive": _rsa(conjunctive(rng, latents), latents, rng),
        "unrelated": _rsa(unrelated(rng, latents), latents, rng),
    }
    assert found["isometric"].value == pytest.approx(1)
    assert found["isometric"].cosine == pytest.approx(1)
    assert found["linear"].value > 0.97
    assert found["conjunctive"].value < 0.85 < found["expanded"].value
    assert found["stretched"].value < 0.9
    for name, each in found.items():
        assert (each.p < 0.02) == (name != "unrelated")
        assert each.null.mean() == pytest.approx(0, abs=0.05)
        assert (each.ceiling > 0.98) == (name != "unrelated")
    assert abs(found["unrelated"].value) < 4 * found["unrelated"].null.std()
    turned = _rsa(rotated(rng, 3 * expanded(np.random.default_rng(1), latents)), latents, rng)
    assert turned.value == pytest.approx(_rsa(expanded(np.random.default_rng(1), latents), latents, rng).value)


def test_p_of_rsa_is_even_where_states_have_nothing_to_do_with_the_latents() -> None:
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = latents_of(rng, 100)
        found = rsa(unrelated(rng, latents, 5), latents, rng, n_null=19)
        p.append([found.p - rng.random() / 20, found.cosine_p - rng.random() / 20])
    for column in np.array(p).T:
        assert kstest(column, "uniform").pvalue > 0.001


def test_the_ceiling_is_what_a_noisy_isometric_code_reaches_until_noise_hides_it() -> None:
    reached, ceiling = {}, {}
    for noise in (0.4, 1.2):
        values, ceilings = [], []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            latents = latents_of(rng, 400)
            noisy = np.concatenate([latents, np.zeros((400, 20))], axis=1) + noise * rng.standard_normal((400, 22))
            found = _rsa(noisy, latents, rng, n_null=0)
            values.append(found.value)
            ceilings.append(found.ceiling)
        reached[noise], ceiling[noise] = np.mean(values), np.mean(ceilings)
    assert reached[0.4] < 0.95
    assert reached[0.4] - 0.1 < ceiling[0.4] < reached[0.4] + 0.02
    # A reliability near 0 is one that is cut off there, and its root is large.
    assert ceiling[1.2] > reached[1.2] + 0.05


def test_conditions_in_any_dimension_and_with_an_orthant_empty() -> None:
    rng = np.random.default_rng(0)
    for n_dims, n_conditions in ((1, 6), (2, 36), (3, 125)):
        latents = latents_of(rng, 2000, n_dims)
        cell = cells(latents)
        counts = np.bincount(cell[cell >= 0])
        assert len(counts) == n_conditions
        found = _rsa(linear(rng, latents), latents, rng, n_null=20)
        assert found.value > 0.8
        assert found.p < 0.1
        assert found.n == counts.sum()
    ten = cells(latents_of(rng, 2000, 10))
    assert np.bincount(ten[ten >= 0]).min() >= 4
    assert (ten == -1).any()
    latents = latents_of(rng)
    latents = latents[~(latents > 0).all(axis=1)]
    assert _rsa(linear(rng, latents), latents, rng, n_null=0).value > 0.97
    repeated = cells(np.repeat(latents_of(rng, 20), 5, axis=0)).reshape(20, 5)
    assert (repeated == repeated[:, :1]).all()  # the same x*: the same condition


def test_compare_tells_codes_apart_and_says_what_chance_gives() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 500)
    first = linear(rng, latents)
    agents = {
        "first": first,
        "turned": rotated(rng, first) * 4,
        "expanded": expanded(rng, latents, 30),
        "unrelated": unrelated(rng, latents),
    }
    found = _compare({name: recorded(states, latents) for name, states in agents.items()}, rng, n_null=20)
    assert found.names == (*agents, "x*")
    for measure, same in (("cka", 1), ("rsa", 1), ("procrustes", 0)):
        matrix = getattr(found, measure)
        np.testing.assert_allclose(matrix, matrix.T)
        np.testing.assert_allclose(np.diag(matrix), same)
        assert matrix[0, 1] == pytest.approx(same, abs=1e-3)
        assert found.p[measure][0, 2] < 0.05 < found.p[measure][0, 3]
        closer = 1 if measure == "procrustes" else -1
        assert closer * matrix[0, 1] < closer * matrix[0, 2] < closer * matrix[0, 3]
        assert abs(matrix[0, 3] - found.chance[measure][0, 3]) < 0.1
    assert found.cka[0, 2] == pytest.approx(cka(first, agents["expanded"]), abs=1e-6)
    assert found.procrustes[0, 2] == pytest.approx(procrustes(first, agents["expanded"]), abs=1e-6)
    assert found.rsa[2, 4] == pytest.approx(rsa(agents["expanded"], latents, rng, n_null=0).value, abs=1e-4)
    assert found.chance["cka"][0, 2] == pytest.approx(0, abs=0.02)
    assert found.chance["procrustes"][0, 3] < np.pi / 2 - 0.05  # why it is told


def test_points_in_the_plane_are_found_again() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((7, 2))
    distances = squareform(pdist(points))
    embedded, share = classical_scaling(distances)
    np.testing.assert_allclose(squareform(pdist(embedded)), distances, atol=1e-9)
    assert share == pytest.approx(1)
    assert classical_scaling(np.zeros((1, 1)))[1] == 1


def test_only_the_same_trials_are_compared() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 200)
    one = recorded(linear(rng, latents), latents)
    with pytest.raises(ValueError, match="'a' and 'b' have other latents: they are not of the same trials"):
        _compare({"a": one, "b": recorded(linear(rng, latents), latents[::-1].copy())}, rng)
    with pytest.raises(ValueError, match=r"recordings has the names \[\]"):
        _compare({}, rng)
    with pytest.raises(ValueError, match=r"none may be x\*"):
        _compare({"x*": one}, rng)
    alone = _compare({"a": one}, rng, n_null=0)
    assert alone.names == ("a", "x*")
    assert np.isnan(alone.p["cka"]).all()


def moving(rng: np.random.Generator, radius: float, turn: float) -> Recording:
    """Paths of a linear map that turns and shrinks a plane, in 6 units."""
    matrix = radius * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    path = [rng.standard_normal((50, 2))]
    for _ in range(14):
        path.append(path[-1] @ matrix.T + 0.02 * rng.standard_normal((50, 2)))
    return recorded(np.stack(path, axis=1) @ rng.standard_normal((2, 6)), latents_of(rng, 50))


def test_dsa_tells_slow_dynamics_from_fast_ones_in_any_basis() -> None:
    pytest.importorskip("DSA", reason="dsa-metric is not installed")
    rng = np.random.default_rng(0)
    agents = {"a": moving(rng, 0.95, 0.3), "b": moving(rng, 0.95, 0.3), "fast": moving(rng, 0.5, 0.0)}
    distances = dsa(agents, n_delays=1, rank=2)
    assert distances[0, 1] < 0.1 < distances[0, 2]
    np.testing.assert_allclose(distances, distances.T)


def test_dsa_hands_over_paths_of_one_scale_and_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict = {}

    def stand_in(paths, **options):
        given.update(options, paths=paths)
        return SimpleNamespace(fit_score=lambda: np.array([[0.1, 0.2], [0.4, 0.0]]))

    monkeypatch.setitem(sys.modules, "DSA", SimpleNamespace(DSA=stand_in))
    rng = np.random.default_rng(0)
    agents = {"a": moving(rng, 0.9, 0.3), "b": moving(rng, 0.5, 0)}
    np.testing.assert_allclose(dsa(agents, n_components=4, n_delays=2, score="angular"), [[0, 0.3], [0.3, 0]])
    assert (given["n_delays"], given["rank"], given["score_method"]) == (2, 4, "angular")
    for paths in given["paths"]:
        assert paths.shape == (50, 15, 2)  # the noise is in the plane, too: no more components than that
        assert np.mean(np.square(paths).sum(axis=2)) == pytest.approx(1)


def test_dsa_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    agents = {"a": moving(rng, 0.9, 0.3), "b": moving(rng, 0.5, 0)}
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "DSA", None)
        with pytest.raises(ImportError, match=r'needs the package dsa-metric: pip install "mtrnn-envs\[dsa\]"'):
            dsa(agents)
    monkeypatch.setitem(sys.modules, "DSA", SimpleNamespace())
    with pytest.raises(ValueError, match="'angle' is not a score of dsa; did you mean 'angular'"):
        dsa(agents, score="angle")
    with pytest.raises(ValueError, match="rank=0 is not a whole number, 1 or more"):
        dsa(agents, rank=0)
    with pytest.raises(ValueError, match="recordings has 1 agents"):
        dsa({"a": agents["a"]})
    short = Recording(**{**vars(agents["b"]), "valid": np.arange(15) < np.arange(50)[:, None]})
    with pytest.raises(ValueError, match="'b' has trials that end apart"):
        dsa({"a": agents["a"], "b": short})
    with pytest.raises(ValueError, match="'b' has no hidden state"):
        dsa({"a": agents["a"], "b": Recording(**{**vars(agents["b"]), "hidden": None})})
    still = Recording(**{**vars(agents["b"]), "hidden": np.ones((50, 15, 6), np.float32)})
    with pytest.raises(ValueError, match="'b' has states that never change"):
        dsa({"a": agents["a"], "b": still})


def test_bad_data_are_refused() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 100)
    states = linear(rng, latents, 5)
    for measure in (cka, procrustes):
        with pytest.raises(ValueError, match="values that are not finite"):
            measure(np.where(states > 3, np.nan, states), states)
        with pytest.raises(ValueError, match="the same in all 100 trials: no unit varies"):
            measure(states, np.ones((100, 5)))
        with pytest.raises(ValueError, match="states has 1 trials;"):
            measure(states[:1], states[:1])
        constant = np.concatenate([states, np.full((100, 2), 7.0)], axis=1)
        assert measure(constant, latents) == pytest.approx(measure(states, latents))
    simplex = np.eye(6)
    with pytest.raises(ValueError, match="as far from each other"):
        cka(simplex, simplex)
    with pytest.raises(ValueError, match="have 0 cells with 4 trials or more; 4 such cells are needed"):
        _rsa(states[:6], latents[:6], rng)
    with pytest.raises(ValueError, match="measure='pearson' is not"):
        agreement(np.eye(3), np.eye(3), "pearson")
    with pytest.raises(ValueError, match="conditions with 1 trials"):
        dissimilarities(states, np.append(np.zeros(99, np.int64), 1))


def test_fewer_trials_than_units_are_answered() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 100)
    states = linear(rng, latents, 300)
    assert cka(states, latents) > 0.9
    assert procrustes(states, latents) < 0.5
    assert _rsa(states, latents, rng, n_null=20).p < 0.1


@pytest.mark.parametrize("n_null", [0, 5])
def test_figures_show_values_chance_and_ceiling(n_null: int) -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 300)
    states = expanded(rng, latents)
    found = _rsa(states, latents, rng, n_null=n_null)
    both = _compare({"one": recorded(states, latents)}, rng, n_null=n_null)
    shown = []
    for figure in (rsa_figure(found), comparison_figure(both)):
        figure.savefig(io.BytesIO(), format="pdf")
        shown.append([text.get_text() for text in figure.findobj(Text)])
    assert f"ceiling: {found.ceiling:.2f}" in shown[0]
    assert ("conditions shuffled" in shown[0]) == (n_null > 0)
    assert {"one", "x*", f"{both.cka[0, 1]:.2f}", f"{np.degrees(both.procrustes[0, 1]):.0f}"} <= set(shown[1])
    assert ("above the diagonal: by chance" in shown[1]) == (n_null > 0)
