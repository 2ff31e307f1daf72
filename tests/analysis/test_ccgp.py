"""CCGP: an abstract code generalises, a conjunctive one does not, XOR holds the wrong way round."""

import numpy as np
import pytest
from helpers import codes
from scipy.stats import kstest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mtrnn_analysis.geometry import ccgp
from mtrnn_analysis.orthants import dichotomies, orthants


def balanced_latents(rng, n_each, n_dims=2):
    """The same number of trials in each orthant."""
    signs = np.array([[1 - 2 * (q >> d & 1) for d in range(n_dims)] for q in range(2**n_dims)])
    return np.repeat(signs, n_each, axis=0) * rng.uniform(0.01, 0.5, (n_each * len(signs), n_dims))


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_code_is_abstract_and_its_xor_anti_parallel(seed):
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng)
    found = ccgp(codes.linear(rng, latents), latents, rng, n_null=20)
    assert found.value > 0.93
    assert found.p == found.p_labels == 1 / 21
    assert found.by_dichotomy["xor"] < 0.1, "below chance, which is no error"
    assert 0.3 < found.null.mean() < 0.7
    assert found.null.std() > 5 * found.null_labels.std(), "four random places generalise by chance"


@pytest.mark.parametrize("seed", range(3))
def test_the_ideal_filters_state_is_abstract(seed):
    from mtrnn_envs import EvidenceTask

    states, latents = codes.ideal_states(EvidenceTask(encoder=None), seed=seed)
    assert ccgp(states, latents, np.random.default_rng(seed), n_null=0).value > 0.93


@pytest.mark.parametrize("seed", range(3))
def test_an_expansion_is_less_abstract_and_states_that_hold_nothing_are_not(seed):
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng)
    linear, expanded, unrelated = (
        ccgp(code(rng, latents), latents, rng, n_null=20) for code in (codes.linear, codes.expanded, codes.unrelated)
    )
    assert linear.value > expanded.value > unrelated.value
    assert abs(unrelated.value - 0.5) < 0.05


def random_places(rng, latents, kind):
    if kind == "dead units":
        return np.hstack([codes.conjunctive(rng, latents, 6), np.zeros((len(latents), 58))])
    if kind == "unequal gains":
        return codes.conjunctive(rng, latents, 30) * rng.lognormal(0, 1, 30)
    if kind == "few dimensions":
        return codes.conjunctive(rng, latents, 6) @ np.linalg.qr(rng.standard_normal((32, 6)))[0].T
    return codes.conjunctive(rng, latents, 24)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["all units alike", "dead units", "unequal gains", "few dimensions"])
def test_of_random_places_generalisation_is_chance_on_average_and_p_is_uniform(kind):
    values, p = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 160)
        found = ccgp(random_places(rng, latents, kind), latents, rng, n_null=19)
        values.append(found.value)
        p.append(found.p - rng.uniform(0, 0.05))
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / np.sqrt(200))
    assert kstest(p, "uniform").statistic < 1.63 / np.sqrt(200)


@pytest.mark.slow
def test_where_states_hold_nothing_p_of_labels_is_uniform():
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 120)
        p.append(ccgp(codes.unrelated(rng, latents, 8), latents, rng, n_null=19).p_labels - rng.uniform(0, 0.05))
    assert kstest(p, "uniform").statistic < 1.63 / np.sqrt(200)


@pytest.mark.parametrize("pairs", ["one_sign", "all"])
@pytest.mark.parametrize("n_dims", [2, 3])
def test_agrees_with_a_loop_over_scikit_learn(pairs, n_dims):
    rng = np.random.default_rng(n_dims)
    latents = balanced_latents(rng, 40, n_dims)
    states = codes.expanded(rng, latents, 12, noise=2)
    found = ccgp(states, latents, rng, n_null=0, pairs=pairs)
    where = orthants(latents)
    for row, ours in zip(found.balanced, found.by_balanced, strict=True):
        accuracies = []
        for low in np.flatnonzero(row < 0):
            for high in np.flatnonzero(row > 0):
                if pairs == "one_sign" and (where.signs[low] != where.signs[high]).sum() > 1:
                    continue
                tested = np.isin(where.which, [low, high])
                model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
                model.fit(states[~tested], row[where.which][~tested])
                accuracies.append(model.score(states[tested], row[where.which][tested]))
        assert ours == pytest.approx(np.mean(accuracies), abs=1e-12)
    latent_rows = [np.flatnonzero((found.balanced == sign).all(axis=1))[0] for sign in where.signs.T]
    assert found.value == pytest.approx(found.by_balanced[latent_rows].mean(), abs=1e-12)


def test_with_all_pairs_a_linear_code_scores_three_quarters():
    """Half of the pairs leave two opposite quadrants to fit to: the classifier looks halfway between x1 and x2."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 4000)
    states = latents @ np.linalg.qr(rng.standard_normal((16, 2)))[0].T + 0.01 * rng.standard_normal((4000, 16))
    one, every = (ccgp(states, latents, rng, n_null=0, pairs=pairs).value for pairs in ("one_sign", "all"))
    assert one > 0.97
    assert every == pytest.approx(0.75, abs=0.02)


def test_nothing_changes_with_rotation_scale_shift_or_the_order_of_trials():
    rng = np.random.default_rng(1)
    latents = codes.latents_of(rng, 400)
    states = codes.expanded(rng, latents, 20, noise=1)
    value = ccgp(states, latents, rng, n_null=0).value
    order = rng.permutation(400)
    for other, x in (
        (codes.rotated(rng, states), latents),
        (7 * states - 100, latents),
        (states + 1e6, latents),
        (states[order], latents[order]),
        (states[:, rng.permutation(20)], latents),
        (states, -latents),
    ):
        assert ccgp(other, x, rng, n_null=0).value == pytest.approx(value, abs=1e-9)


def test_the_geometric_null_does_not_depend_on_where_zero_is():
    rng = np.random.default_rng(1)
    latents = codes.latents_of(rng, 400)
    states = codes.linear(rng, latents, 20)
    one, two = (ccgp(states + shift, latents, np.random.default_rng(0)) for shift in (0, 10 * rng.random(20)))
    np.testing.assert_allclose(one.null, two.null, atol=1e-9)


def test_what_cannot_be_scored_is_refused():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 200)
    states = codes.linear(rng, latents, 8)
    few = np.flatnonzero(latents.max(axis=1) < 0)[1:]
    with pytest.raises(ValueError, match=r"orthant -- has 1 trials; 2 or more"):
        ccgp(np.delete(states, few, axis=0), np.delete(latents, few, axis=0), rng)
    with pytest.raises(ValueError, match=r"'both' is not a choice of pairs"):
        ccgp(states, latents, rng, pairs="both")


@pytest.mark.parametrize(("n_conditions", "n"), [(2, 1), (4, 3), (8, 35), (16, 6435), (32, 10_000)])
def test_balanced_dichotomies_are_there_once_and_of_very_many_different_ones_are_drawn(n_conditions, n):
    rows = dichotomies(n_conditions, 10_000, np.random.default_rng(0))
    assert len(np.unique(rows, axis=0)) == len(rows) == n
    assert (rows[:, 0] == -1).all()
    assert (rows.sum(axis=1) == 0).all()
    error = 4 / np.sqrt(n * (n_conditions - 1)) if n == 10_000 else 1e-12
    assert abs(rows[:, 1:].mean() - 1 / (n_conditions - 1)) < error, "each condition as often in the upper half"
