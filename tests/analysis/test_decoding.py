"""The decoder against codes whose answers are known, and against scikit-learn."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import sklearn.linear_model
from helpers import codes
from sklearn.metrics import r2_score

from mtrnn_analysis.decoding import Ridge, decode, r2_prior
from mtrnn_analysis.decoding import decoding as linear
from mtrnn_analysis.nulls import permutations_within
from mtrnn_analysis.orthants import dealt, orthants
from mtrnn_envs import EvidenceTask, Stream

SEEDS = [0, 1, 2]


def latents_of(rng: np.random.Generator, n: int = 4000, n_dims: int = 2) -> np.ndarray:
    return codes.latents_of(rng, n, n_dims)


@pytest.fixture
def penalties(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the penalties that are tried: fewer make tests fast."""

    def tried(*values: float) -> None:
        for module in ("mtrnn_analysis.decoding.decoding", "mtrnn_analysis.decoding.ridge"):
            monkeypatch.setattr(sys.modules[module], "PENALTIES", values)

    return tried


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [2, 3, 5])
def test_a_linear_code_is_decoded_everywhere(seed: int, n_dims: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, n_dims=n_dims)
    states = latents @ rng.standard_normal((n_dims, 30)) + rng.standard_normal(30) * 100
    result = decode(states, latents, rng, n_null=0)
    assert len(result.orthants) == 2**n_dims
    for scores in (result.in_distribution, result.out_of_distribution):
        assert scores.r2_prior > 0.999999
        assert scores.r2_local > 0.99999
        assert scores.r2_prior_by_orthant.shape == (2**n_dims,)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_conjunctive_code_tells_the_orthant_only(seed: int) -> None:
    """One unit a quadrant: within it x* is unknown, so MSE = 1/48 and r2_prior = 3/4; a new quadrant means nothing."""
    rng = np.random.default_rng(seed)
    latents = latents_of(rng)
    states = np.eye(4)[(latents > 0) @ [2, 1]]
    result = decode(states, latents, rng)
    assert result.in_distribution.r2_prior == pytest.approx(0.75, abs=0.01)
    assert result.in_distribution.r2_local == pytest.approx(0, abs=0.01)
    # All that the others tell is that it is not one of them: their mean, 1/12 away from 0 in each latent, is predicted.
    assert result.out_of_distribution.r2_prior < 0
    # A code that factors into one unit for each sign carries over, for the same knowledge.
    factored = decode((latents > 0).astype(float), latents, rng)
    assert factored.out_of_distribution.r2_prior == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", [0.05, 0.1, 0.3])
def test_noise_on_the_code_costs_what_it_should(seed: int, noise: float) -> None:
    """h = x* + noise: the best affine decoder has MSE = v s² / (v + s²), with v = 1/12."""
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, n=20_000)
    result = decode(latents + noise * rng.standard_normal(latents.shape), latents, rng, n_null=0)
    expected = 1 / (1 + 12 * noise**2)
    assert result.in_distribution.r2_prior == pytest.approx(expected, abs=0.01)
    mse = np.mean((result.in_distribution.predictions - latents) ** 2)
    assert result.in_distribution.r2_prior == pytest.approx(1 - 12 * mse, abs=1e-3)
    assert result.in_distribution.r2_local == pytest.approx(1 - 48 * mse, abs=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_shuffled_latents_cannot_be_decoded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng)
    result = decode(rng.standard_normal((len(latents), 40)), latents, rng)
    assert abs(result.in_distribution.r2_prior) < 0.02
    assert result.out_of_distribution.r2_prior < 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_the_running_mean_of_the_evidence_reaches_the_affine_ceiling(seed: int) -> None:
    task = EvidenceTask()
    trials = Stream(task, "test", seed).take(40_000)
    result = decode(trials.evidence.mean(axis=1).astype(float), trials.latents, np.random.default_rng(seed), n_null=0)
    assert result.in_distribution.r2_prior == pytest.approx(1 / (1 + 12 * 0.2**2 / 20), abs=5e-4)
    assert result.in_distribution.r2_prior == pytest.approx(0.9766, abs=5e-4)
    assert result.out_of_distribution.r2_prior == pytest.approx(0.976, abs=2e-3)


def loop(
    states: np.ndarray,
    latents: np.ndarray,
    tests: list[np.ndarray],
    inner: list[list[np.ndarray]],
    grid: tuple[float, ...],
    orthant: np.ndarray,
) -> tuple[float, float, list[float]]:
    """r2_prior and r2_local by scikit-learn, one fit after the other, and the penalties chosen.

    Each of `tests` is decoded from all other trials; of each of its `inner` sets a decoder of the rest is tried.
    """

    def error(fitted: np.ndarray, tested: np.ndarray, relative: float) -> float:
        scale = np.sum(np.var(states[fitted], axis=0)) * fitted.sum() / states.shape[1]
        model = sklearn.linear_model.Ridge(alpha=relative * scale).fit(states[fitted], latents[fitted])
        decoded[tested] = model.predict(states[tested])
        return float(np.sum((decoded[tested] - latents[tested]) ** 2))

    decoded, chosen, prior, local = np.empty_like(latents), [], [], []
    for test, sets in zip(tests, inner, strict=True):
        errors = [sum(error(~test & ~left_out, left_out, p) for left_out in sets) for p in grid]
        chosen.append(grid[int(np.argmin(errors))])
        error(~test, test, chosen[-1])
        for q in range(int(orthant.max()) + 1):
            if (rows := test & (orthant == q)).any():
                prior.append(1 - 12 * np.mean((decoded[rows] - latents[rows]) ** 2))
                local.append(r2_score(latents[rows], decoded[rows]))
    return float(np.mean(prior)), float(np.mean(local)), chosen


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("holdout", ["orthant", "half-space", "opposite"])
def test_decode_is_the_plain_loop_of_scikit_learn_written_fast(holdout: str, seed: int, penalties) -> None:
    """The values, and those of some shuffles, with the same orders of trials."""
    rng = np.random.default_rng(seed)
    latents, grid = latents_of(rng, 400), (1e-4, 1e-2, 1.0)
    penalties(*grid)
    states = np.maximum(latents @ rng.standard_normal((2, 20)) + 0.3 * rng.standard_normal((400, 20)), 0)
    result = decode(states, latents, np.random.default_rng(seed), holdout=holdout, n_null=3)

    same = np.random.default_rng(seed)
    groups = orthants(latents)
    fold = dealt(groups, 4, same) % 4
    orders = permutations_within(groups.which, 3, same)
    each = [groups.which == q for q in range(4)]  # "--", "-+", "+-", "++"
    regions = {
        "orthant": each,
        "half-space": [latents[:, 0] > 0, latents[:, 0] <= 0, latents[:, 1] > 0, latents[:, 1] <= 0],
        "opposite": [each[0] | each[3], each[1] | each[2]],
    }[holdout]
    inner = [[rows for rows in each if not (rows & region).any()] for region in regions]
    found = [loop(states, latents[order], regions, inner, grid, groups.which) for order in [np.arange(400), *orders]]
    out = result.out_of_distribution
    assert out.r2_prior == result.value == pytest.approx(found[0][0])
    assert out.r2_local == pytest.approx(found[0][1])
    assert out.penalties.tolist() == found[0][2]
    np.testing.assert_allclose(out.null, [prior for prior, _, _ in found[1:]], atol=1e-9)

    folds = [fold == f for f in range(4)]
    inner = [[rows for rows in folds if not (rows & test).any()] for test in folds]
    for order, r2 in zip(orders, result.in_distribution.null, strict=True):
        # Of equally many trials the mean over folds is that over orthants; these are nearly so.
        assert loop(states, latents[order], folds, inner, grid, groups.which)[0] == pytest.approx(r2, abs=2e-3)
    assert result.in_distribution.penalties.tolist() == loop(states, latents, folds, inner, grid, groups.which)[2]


@pytest.mark.parametrize("seed", SEEDS)
def test_invariances(seed: int) -> None:
    """Rotating, scaling and shifting the units changes nothing; nor does the held-out orthant's own data."""
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 600)
    states = np.tanh(latents @ rng.standard_normal((2, 10))) + 0.1 * rng.standard_normal((600, 10))
    rotation = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    first = decode(states, latents, np.random.default_rng(0))
    second = decode(1e3 * states @ rotation + 7, latents, np.random.default_rng(0))
    for name in ("in_distribution", "out_of_distribution"):
        np.testing.assert_allclose(getattr(first, name).predictions, getattr(second, name).predictions, atol=1e-6)
    held_out = (latents > 0).all(axis=1)
    spoilt = states.copy()
    spoilt[held_out] = rng.standard_normal((held_out.sum(), 10))
    q = first.orthants.index("++")
    assert decode(spoilt, latents, rng).out_of_distribution.penalties[q] == first.out_of_distribution.penalties[q]


def test_definitions_of_r2() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng)
    predictions = latents + rng.standard_normal(latents.shape) * 0.1
    assert r2_prior(latents, predictions) == pytest.approx(1 - 12 * np.mean((latents - predictions) ** 2))
    scores = decode(latents + predictions, latents, rng, n_null=0).in_distribution
    for q, sign in enumerate(([0, 0], [0, 1], [1, 0], [1, 1])):
        rows = ((latents > 0) == sign).all(axis=1)
        expected = r2_score(latents[rows], scores.predictions[rows])
        assert scores.r2_local_by_orthant[q] == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_codes_are_told_apart(seed: int) -> None:
    """A linear code carries over to a new orthant however it is turned; a conjunctive one is at chance there."""
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng)
    linear = codes.linear(rng, latents)
    found = {
        name: decode(states, latents, np.random.default_rng(seed), n_null=20)
        for name, states in {
            "linear": linear,
            "rotated": codes.rotated(rng, linear),
            "expanded": codes.expanded(rng, latents),
            "conjunctive": codes.conjunctive(rng, latents),
            "unrelated": codes.unrelated(rng, latents),
        }.items()
    }
    assert found["linear"].value > 0.99
    assert found["rotated"].value == pytest.approx(found["linear"].value, abs=1e-9)
    # What an expansion in many units adds in distribution does not carry over.
    assert 1 - found["expanded"].value > 5 * (1 - found["expanded"].in_distribution.r2_prior)
    assert found["conjunctive"].in_distribution.r2_prior > 0.9
    assert found["conjunctive"].value < 0.3
    for name in ("linear", "rotated", "expanded"):
        assert found[name].p == found[name].in_distribution.p == 1 / 21
    assert found["conjunctive"].in_distribution.p == 1 / 21
    for scores in (found["unrelated"].in_distribution, found["unrelated"].out_of_distribution):
        assert scores.r2_prior < 0.02
        assert scores.p > 0.05


def test_a_code_of_signs_alone_is_within_its_null() -> None:
    """It reaches high r2_prior out of distribution, and so does every shuffle: p, not r2, says that x* is not there."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng)
    states = (latents > 0) + 0.05 * rng.standard_normal(latents.shape)
    found = decode(states, latents, rng)
    assert found.value > 0.5
    assert found.null.min() < found.value < found.null.max()
    assert found.null.max() == pytest.approx(0.75, abs=0.01)
    assert found.p > 0.05
    assert found.in_distribution.r2_prior == pytest.approx(0.75, abs=0.02)
    assert found.in_distribution.p > 0.05


def test_p_is_uniform_where_the_null_hypothesis_holds(penalties) -> None:
    """States that tell the orthant and nothing more: over 200 draws of data no p is favoured."""
    penalties(1e-3, 1e-1)
    values: dict[str, list[float]] = {"id": [], "ood": []}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 120)
        states = (latents > 0) @ rng.standard_normal((2, 4)) + rng.standard_normal((120, 4))
        found = decode(states, latents, rng, n_null=19)
        values["id"].append(found.in_distribution.p)
        values["ood"].append(found.p)
    grid = np.arange(1, 21) / 20
    for ps in values.values():
        distance = np.abs(np.mean(np.array(ps)[:, None] <= grid + 1e-9, axis=0) - grid).max()
        assert distance < 1.63 / np.sqrt(200)  # Kolmogorov-Smirnov, 1 %


def test_one_latent_is_extrapolated() -> None:
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 600, 1)
    line = np.concatenate([latents, 2 * latents], axis=1) + 0.01 * rng.standard_normal((600, 2))
    for holdout in ("orthant", "half-space"):
        found = decode(line, latents, rng, holdout=holdout, n_null=20)
        assert found.value > 0.98
        assert found.p == 1 / 21
    # Each sign has units of its own, as of a rectified code: of the other sign 0 is decoded, MSE 1/12.
    split = np.concatenate([np.maximum(latents, 0), np.maximum(-latents, 0)], axis=1)
    found = decode(split, latents, rng)
    assert found.in_distribution.r2_prior > 0.99
    assert found.value == pytest.approx(0, abs=0.05)
    with pytest.raises(ValueError, match="holdout='opposite' leaves nothing to fit with one latent"):
        decode(line, latents, rng, holdout="opposite")


@pytest.mark.parametrize(("holdout", "n_regions"), [("orthant", 8), ("half-space", 6), ("opposite", 4)])
def test_regions_left_out_in_three_dimensions(holdout: str, n_regions: int) -> None:
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 800, 3)
    found = decode(codes.linear(rng, latents), latents, rng, holdout=holdout, n_null=20)
    assert len(found.out_of_distribution.regions) == n_regions
    assert found.out_of_distribution.r2_prior_by_orthant.shape == (8,)
    assert found.out_of_distribution.r2_prior_by_orthant.min() > 0.98
    assert found.p == 1 / 21
    expected = {"orthant": "+-+", "half-space": ".-.", "opposite": "-+- +-+"}[holdout]
    assert expected in found.out_of_distribution.regions


def test_units_that_say_nothing_change_nothing() -> None:
    """Constant units; and as many units as one likes, of fewer trials than units."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 400)
    states = codes.linear(rng, latents, 10)
    with_constant = np.concatenate([states, np.full((400, 10), 3.0)], axis=1)
    first, second = (decode(h, latents, np.random.default_rng(0), n_null=3) for h in (states, with_constant))
    # Relative penalties are relative to the mean variance of a unit, which constant units lower.
    assert second.value == pytest.approx(first.value, abs=1e-3)
    few = decode(codes.linear(rng, latents[:100], 300), latents[:100], rng, n_null=3)
    assert few.value > 0.97
    constant = decode(np.ones((400, 4)), latents, rng, n_null=3)
    # The mean of the three other quadrants is all that a decoder has: off by 1/3 in each latent, MSE 1/48 + 1/9.
    assert constant.value == pytest.approx(1 - 12 * (1 / 48 + 1 / 9), abs=0.1)
    assert constant.p == 1


def test_shuffles_are_decoded_in_blocks_that_stay_small_in_many_dimensions(monkeypatch, penalties) -> None:
    """The sums of products of D = 6 are of 256 cells; how many shuffles are decoded at once changes no number."""
    rng = np.random.default_rng(0)
    corners = np.array(np.meshgrid(*[[-0.25, 0.25]] * 6)).reshape(6, -1).T
    latents = np.repeat(corners, 12, axis=0) + rng.uniform(-0.2, 0.2, (768, 6))
    states, sizes = codes.linear(rng, latents)[:, :8], []
    genuine = linear.cross_validate

    def watched(cells, targets, *rest):
        sizes.append(targets.x.size)
        return genuine(cells, targets, *rest)

    penalties(1e-3, 1e-1)
    monkeypatch.setattr(linear, "cross_validate", watched)
    blocks = decode(states, latents, np.random.default_rng(1), n_null=40)
    assert max(sizes) <= 2**15 < 256 * 6 * 41
    monkeypatch.setattr(sys.modules[Ridge.__module__], "COLUMNS", 2**30)
    once = decode(states, latents, np.random.default_rng(1), n_null=40)
    np.testing.assert_allclose(blocks.out_of_distribution.null, once.out_of_distribution.null, atol=1e-9)
    np.testing.assert_allclose(blocks.in_distribution.null, once.in_distribution.null, atol=1e-9)


def test_an_empty_orthant() -> None:
    """Three quadrants are decoded from two each; half-spaces and opposite pairs need all four."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 800)
    latents = latents[~(latents > 0).all(axis=1)]
    states = codes.linear(rng, latents)
    found = decode(states, latents, rng, n_null=3)
    assert found.orthants == ("--", "-+", "+-")
    assert found.value > 0.98
    for holdout in ("half-space", "opposite"):
        with pytest.raises(ValueError, match=f"latents lie in 3 of the 4 orthants; holdout='{holdout}' needs all"):
            decode(states, latents, rng, holdout=holdout)


def test_bad_arguments() -> None:
    rng = np.random.default_rng(0)
    latents, states = latents_of(rng, 100), rng.standard_normal((100, 5))
    with pytest.raises(ValueError, match="holdout='quadrant' is not one of"):
        decode(states, latents, rng, holdout="quadrant")
    with pytest.raises(ValueError, match=r"latents lie in \('\+\+',\); 2 orthants or more"):
        decode(states, np.abs(latents), rng)
    four = np.array([[0.1, 0.1], [0.1, -0.1], [-0.1, 0.1], [-0.1, -0.1]])
    with pytest.raises(ValueError, match="orthant -- has 4 trials; 8 or more"):
        decode(states[:16], np.tile(four, (4, 1)), rng)
    with pytest.raises(ValueError, match="latents do not vary within orthant --"):
        decode(states[:64], np.tile(four, (16, 1)), rng)
    with pytest.raises(ValueError, match="trials are not those of latents"):
        decode(states, latents, rng, trials=Stream(EvidenceTask(), "test", 0).take(100))
