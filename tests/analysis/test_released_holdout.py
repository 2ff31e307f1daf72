"""The faulty test of the public code: what it must give for known codes, and that it is tested on what it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.linear_model
from helpers import codes

from mtrnn_analysis.decoding import PENALTIES, decode, released_holdout
from mtrnn_analysis.figures.decoding import released_holdout_figure
from mtrnn_analysis.figures.style import save
from mtrnn_analysis.orthants import dealt, orthants

SEEDS = [0, 1, 2]


def apart(latents: np.ndarray) -> np.ndarray:
    """Units of their own for each orthant of mixed signs, and common ones for the two of one sign; x* in each."""
    orthant = (latents > 0) @ (2 ** np.arange(latents.shape[1]))
    last = 2 ** latents.shape[1] - 1
    orthant[orthant == last] = 0
    return (np.eye(last)[orthant][:, :, None] * latents[:, None, :]).reshape(len(latents), -1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [2, 3])
def test_of_a_code_that_carries_over_the_fault_is_worth_nothing(seed: int, n_dims: int) -> None:
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng, 4000, n_dims)
    found = released_holdout(latents + 0.1 * rng.standard_normal(latents.shape), latents, rng, n_null=20)
    assert found.value == pytest.approx(found.right, abs=0.02)
    assert found.inflation == found.value - found.right
    assert found.same_sign == pytest.approx(found.right_same_sign, abs=0.002)
    # MSE of the best affine decoder of x* + noise, s = 0.1.
    assert found.value == pytest.approx(1 / 1.12, abs=0.03)
    assert found.p == 1 / 21
    assert len(found.left_out) == 2**n_dims
    assert found.value == pytest.approx(found.by_orthant.mean())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [2, 3])
def test_of_a_code_that_does_not_the_fault_hides_it(seed: int, n_dims: int) -> None:
    """Of a new orthant of mixed signs 0 is decoded, r2_prior = 0; the faulty test gives 1 instead."""
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng, 4000, n_dims)
    found = released_holdout(apart(latents), latents, rng, n_null=5)
    assert found.value > 0.999
    assert found.right_same_sign > 0.999
    assert found.right_mixed == pytest.approx(0, abs=0.02)
    share_mixed = 1 - 2 / 2**n_dims
    assert found.inflation == pytest.approx(share_mixed, abs=0.02)
    for name, value, right in zip(found.left_out, found.by_orthant, found.right_by_orthant, strict=True):
        assert value > 0.999
        assert (right < 0.1) == (len(set(name)) > 1)


@pytest.mark.parametrize("n_dims", [2, 3])
def test_the_right_one_is_that_of_decode(n_dims: int) -> None:
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 800, n_dims)
    states = codes.expanded(rng, latents, 20)
    found = released_holdout(states, latents, rng, n_null=0)
    whole = decode(states, latents, rng, n_null=0)
    assert found.right == pytest.approx(whole.value)
    assert found.left_out == whole.orthants
    np.testing.assert_allclose(found.right_by_orthant, whole.out_of_distribution.r2_prior_by_orthant, atol=1e-9)


def test_an_orthant_of_mixed_signs_is_not_what_is_tested() -> None:
    """Its states can be anything: the score that is given for it stays, the right one goes."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 1600, 3)
    states = codes.linear(rng, latents, 20)
    first = released_holdout(states, latents, np.random.default_rng(1), n_null=0)
    for q, name in enumerate(first.left_out):
        inside = orthants(latents).which == q
        spoilt = np.where(inside[:, None], rng.standard_normal(states.shape), states)
        second = released_holdout(spoilt, latents, np.random.default_rng(1), n_null=0)
        assert second.right_by_orthant[q] < 0.5 < first.right_by_orthant[q]
        if len(set(name)) > 1:
            assert second.by_orthant[q] == pytest.approx(first.by_orthant[q], abs=1e-9)
        else:
            assert second.by_orthant[q] < 0.5
            # And the tests of all orthants of mixed signs are, in part, of these trials.
            mixed = [len(set(other)) > 1 for other in first.left_out]
            assert (second.by_orthant < first.by_orthant - 0.1)[mixed].all()


@pytest.mark.parametrize("name", ["++-", "--+", "+++"])
def test_against_scikit_learn(name: str) -> None:
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 500, 3)
    states = codes.expanded(rng, latents, 8, noise=0.5)
    found = released_holdout(states, latents, np.random.default_rng(1), n_null=0)

    groups = orthants(latents)
    names = np.array(groups.names)[groups.which]
    fold = dealt(groups, 4, np.random.default_rng(1)) % 4

    def decoded(fit: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
        alpha = penalty * states[fit].var(axis=0).mean() * fit.sum()
        return sklearn.linear_model.Ridge(alpha=alpha).fit(states[fit], latents[fit]).predict(states[test])

    outside = names != name
    squares = [
        sum(
            np.sum((decoded(outside & (names != inner), names == inner, penalty) - latents[names == inner]) ** 2)
            for inner in groups.names
            if inner != name
        )
        for penalty in PENALTIES
    ]
    penalty = PENALTIES[int(np.argmin(squares))]
    expected = 0.0
    for sign in "+-":
        errors = []
        for f in range(4):
            test = (names == 3 * sign) & (fold == f)
            errors.append((decoded(outside & (fold != f), test, penalty) - latents[test]) ** 2)
        expected += name.count(sign) / 3 * (1 - 12 * np.concatenate(errors).mean())
    assert found.by_orthant[found.left_out.index(name)] == pytest.approx(expected, abs=1e-9)
    right = 1 - 12 * np.mean((decoded(outside, ~outside, penalty) - latents[~outside]) ** 2)
    assert found.right_by_orthant[found.left_out.index(name)] == pytest.approx(right, abs=1e-9)


def test_a_draw_of_the_null_is_the_whole_procedure_on_shuffled_latents() -> None:
    """Decoded by itself, in the folds of all, the first draw has the value that it has among the draws."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 400)
    states = codes.linear(rng, latents, 6)
    found = released_holdout(states, latents, np.random.default_rng(1), n_null=3)
    again = np.random.default_rng(1)
    groups = orthants(latents)
    dealt(groups, 4, again)
    order = np.empty(400, np.int64)
    order[np.argsort(groups.which, kind="stable")] = np.lexsort((again.random(400), groups.which))
    alone = released_holdout(states, latents[order], np.random.default_rng(1), n_null=0)
    assert found.null[0] == pytest.approx(alone.value, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_code_of_signs_is_within_its_null(seed: int) -> None:
    """Of x* within an orthant nothing is known: MSE is 1/48 at least, r2_prior 3/4 at most, shuffled or not."""
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng)
    found = released_holdout((latents > 0) + 0.02 * rng.standard_normal(latents.shape), latents, rng, n_null=50)
    assert 0.6 < found.value < 0.76
    assert found.null.min() < found.value < found.null.max() < 0.76
    assert found.p > 0.05


def test_of_many_orthants_some_are_left_out_and_stand_for_all() -> None:
    rng = np.random.default_rng(0)
    corners = np.array(np.meshgrid(*[[-0.25, 0.25]] * 7)).reshape(7, -1).T
    latents = np.repeat(corners, 8, axis=0) + rng.uniform(-0.2, 0.2, (1024, 7))
    found = released_holdout(apart(latents)[:, rng.permutation(127 * 7)[:60]], latents, rng, n_null=0)
    mixed = np.array([len(set(name)) > 1 for name in found.left_out])
    assert len(set(found.left_out)) == 64
    assert mixed.sum() == 62
    assert found.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.weights[~mixed], 1 / 128)
    assert found.value == pytest.approx((126 * found.mixed + 2 * found.same_sign) / 128)
    assert found.right == pytest.approx((126 * found.right_mixed + 2 * found.right_same_sign) / 128)


def test_bad_arguments() -> None:
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 200)
    states = codes.linear(rng, latents, 5)
    some = ~(latents > 0).all(axis=1)
    with pytest.raises(ValueError, match=r"orthant \+\+ has 0 trials; 4 or more are needed"):
        released_holdout(states[some], latents[some], rng)
    same = latents.prod(axis=1) > 0
    with pytest.raises(ValueError, match="an orthant of mixed signs is needed, in which the error shows"):
        released_holdout(states[same], latents[same], rng)


@pytest.mark.parametrize(("n_dims", "n_null"), [(2, 5), (3, 0)])
def test_the_figure_says_which_is_wrong(n_dims: int, n_null: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 400, n_dims)
    found = released_holdout(apart(latents), latents, rng, n_null=n_null)
    figure = released_holdout_figure(found)
    axes = figure.axes[0]
    assert "wrong" in axes.get_xticklabels()[1].get_text()
    assert [text.get_text()[:5] for text in axes.texts] == [f"{found.right:.3f}", f"{found.value:.3f}"]
    pairs = [np.asarray(line.get_ydata()) for line in axes.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(pairs, np.column_stack([found.right_by_orthant, found.by_orthant]).clip(-1, 1))
    assert all(path.stat().st_size > 0 for path in save(figure, tmp_path / "released"))
