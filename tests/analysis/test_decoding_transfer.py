"""New questions, learned in all orthants but one: which codes let them be answered there, and what is chance."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.codes import conjunctive, latents_of, linear, rotated, unrelated

from mtrnn_analysis.decoding import transfer
from mtrnn_analysis.orthants import orthants
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.ideal_observer.posterior import posterior, running_means

SEEDS = [0, 1, 2]


@pytest.mark.parametrize("n_dims", [2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_codes_are_told_apart(seed: int, n_dims: int) -> None:
    rng = np.random.default_rng(seed)
    latents = latents_of(rng, 1000, n_dims)
    code = linear(rng, latents, 20)
    found = {
        name: transfer(states, latents, np.random.default_rng(seed), n_null=30)
        for name, states in {
            "linear": code,
            "rotated": rotated(rng, code),
            "conjunctive": conjunctive(rng, latents, 20),
            "unrelated": unrelated(rng, latents, 20),
        }.items()
    }
    assert found["linear"].value > 0.95
    assert found["linear"].p == 1 / 31
    assert found["rotated"].value == pytest.approx(found["linear"].value, abs=2e-3)
    for name in ("conjunctive", "unrelated"):
        # The answer that is more frequent there would do better.
        assert found[name].value < found[name].chance
    assert found["unrelated"].p > 0.03
    # One and the same questions, as rng is the same.
    assert found["unrelated"].chance == found["linear"].chance > 0.6


def test_the_ideal_state_reaches_the_ideal_accuracy() -> None:
    """The best answers to new questions follow from the posterior, and a linear read-out of its mean comes near."""
    trials = Stream(EvidenceTask(n_tasks=2), "test", 0).take(3000)
    states = posterior(trials.task, running_means(trials)[:, -1], 20)[0]
    found = transfer(states, trials.latents, np.random.default_rng(0), trials, n_null=0)
    assert 0.88 < found.ideal < 0.96
    assert found.value == pytest.approx(found.ideal, abs=0.02)
    assert found.through_latents == pytest.approx(found.ideal, abs=0.01)
    # Two trained lines do not answer the new ones.
    assert found.nearest < found.ideal - 0.1


def test_pairs_are_those_that_the_plane_divides() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng)
    found = transfer(linear(rng, latents, 10), latents, rng, n_null=2)
    groups = orthants(latents)
    above = latents @ found.normals.T > found.offsets
    for q in range(4):
        share = above[groups.which == q].mean(axis=0)
        rest = above[groups.which != q].mean(axis=0)
        cut = (np.minimum(share, 1 - share) >= 0.1) & (np.minimum(rest, 1 - rest) >= 0.05)
        assert found.question[found.orthant == q].tolist() == np.flatnonzero(cut).tolist()
        expected = np.maximum(share, 1 - share)[cut]
        np.testing.assert_allclose(found.chance_by_pair[found.orthant == q], expected)
    assert found.value == pytest.approx(found.accuracy.mean())


def test_old_answers_are_the_control_of_new_questions() -> None:
    """Where the new questions are among the trained ones, the nearest trained one is the answer."""
    rng = np.random.default_rng(3)
    seed = int(np.random.default_rng(3).integers(2**31))
    task = EvidenceTask(n_tasks=12, boundaries="affine", boundary_seed=seed)
    trials = Stream(task, "test", 0).take(500)
    assert transfer(trials.latents, trials.latents, rng, trials, n_null=0).nearest == 1


@pytest.mark.slow
def test_p_is_uniform_where_the_null_hypothesis_holds() -> None:
    """States that tell the orthant and nothing more: over 200 draws of data no p is favoured, ties broken at random.

    A read-out that says the same to all trials of an orthant ties with all shuffles; p itself counts ties as extreme.
    """
    broken, ps = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        latents = latents_of(rng, 120)
        states = (latents > 0) + 0.5 * rng.standard_normal((120, 2))
        found = transfer(states, latents, rng, n_questions=3, n_null=19)
        ties = np.count_nonzero(np.abs(found.null - found.value) < 1e-12)
        above = np.count_nonzero(found.null > found.value + 1e-12)
        broken.append((1 + above + rng.integers(0, ties + 1)) / 20)
        ps.append(found.p)
    grid = np.arange(1, 21) / 20
    share = np.mean(np.array(broken)[:, None] <= grid + 1e-9, axis=0)
    assert np.abs(share - grid).max() < 1.63 / np.sqrt(200)  # Kolmogorov-Smirnov, 1 %
    share = np.mean(np.array(ps)[:, None] <= grid + 1e-9, axis=0)
    assert (share - grid).max() < 1.52 / np.sqrt(200)


def test_odd_states_have_an_answer() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 400)
    constant = transfer(np.ones((400, 5)), latents, rng, n_null=9)
    assert constant.value < constant.chance
    few = transfer(linear(rng, latents[:150], 200), latents[:150], rng, n_null=9)
    assert few.value > few.chance
    gone = latents[~(latents > 0).all(axis=1)]
    assert transfer(gone, gone, rng, n_null=9).value > 0.9


def test_bad_arguments() -> None:
    rng = np.random.default_rng(0)
    latents, states = latents_of(rng, 100), rng.standard_normal((100, 5))
    with pytest.raises(ValueError, match=r"latents lie in \('-', '\+'\); 3 orthants or more"):
        transfer(states, latents[:, :1], rng)
    with pytest.raises(ValueError, match="n_questions=0"):
        transfer(states, latents, rng, n_questions=0)
    corners = np.sign(latents) * 0.45 + 0.01 * latents
    with pytest.raises(ValueError, match="n_questions=1: none divides an orthant"):
        transfer(states, corners, rng, n_questions=1)
    with pytest.raises(ValueError, match="trials are not those of latents"):
        transfer(states, latents, rng, Stream(EvidenceTask(), "test", 0).take(100))
