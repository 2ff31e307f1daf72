"""Two latents at a time: what `decode` gives for them, at any number of latents, on codes whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import codes

from mtrnn_agents import untrained
from mtrnn_analysis.decoding import decode, plane_decoding, released_holdout
from mtrnn_analysis.figures.decoding import plane_decoding_figure
from mtrnn_analysis.figures.style import save
from mtrnn_envs import EvidenceTask, Stream

SEEDS = [0, 1, 2]


def test_with_two_latents_it_is_decode() -> None:
    task = EvidenceTask(n_tasks=2)
    trials = Stream(task, "test", 0).take(400)
    states, valid = codes.expanded(np.random.default_rng(0), trials.latents, 20), np.ones((400, 15), bool)
    given = (states, trials.latents)
    found = plane_decoding(*given, np.random.default_rng(1), valid, trials, untrained(task, 0), n_null=7)
    whole = decode(*given, np.random.default_rng(1), valid, trials, untrained(task, 0), n_null=7)
    assert found.value == found.by_plane[0] == whole.value
    assert found.p == whole.p
    np.testing.assert_array_equal(found.null, whole.null)
    assert found.local == whole.out_of_distribution.r2_local
    assert found.in_distribution == found.in_distribution_by_plane[0] == whole.in_distribution.r2_prior
    assert found.in_distribution_local == whole.in_distribution.r2_local
    np.testing.assert_array_equal(found.null_in_distribution, whole.in_distribution.null)
    assert found.p_in_distribution == whole.in_distribution.p
    assert found.planes.tolist() == [[0, 1]]
    assert set(found.controls) == {"untrained", "last input", "mean input", "mean evidence", "ideal"}
    for name, control in whole.controls.items():
        assert vars(found.controls[name]) == vars(control)
    assert found.best_untrained == whole.best_untrained
    assert found.above_untrained == whole.above_untrained


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [3, 20, 50])
def test_a_linear_code_is_decoded_at_any_number_of_latents(seed: int, n_dims: int) -> None:
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng, 1500, n_dims)
    found = plane_decoding(codes.linear(rng, latents, noise=0.0), latents, rng, n_null=5)
    assert found.by_plane.min() > 0.9999
    assert found.in_distribution > 0.9999
    assert found.local > 0.999
    assert found.p == found.p_in_distribution == 1 / 6


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [4, 20])
def test_units_of_their_own_for_each_quadrant_do_not_carry_over(seed: int, n_dims: int) -> None:
    """Of a new quadrant 0 is decoded: r2_prior is 0 out of distribution and 1 in it, at every number of latents."""
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng, 4000, n_dims)
    states = []
    for i in range(0, n_dims, 2):
        pair = latents[:, i : i + 2]
        quadrant = np.eye(4)[(pair > 0) @ [2, 1]]
        states.append((quadrant[:, :, None] * pair[:, None]).reshape(len(pair), -1))
    found = plane_decoding(np.concatenate(states, axis=1), latents, rng, n_null=0)
    assert found.value == pytest.approx(0, abs=0.02)
    assert found.in_distribution > 0.9999


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scale_that_depends_on_signs_costs_what_is_left_out(seed: int) -> None:
    """Where the other latent is above 0, a latent is coded three times as large."""
    rng = np.random.default_rng(seed)
    latents = codes.latents_of(rng, 3000, 8)
    other = latents.reshape(-1, 4, 2)[:, :, ::-1].reshape(latents.shape)
    states = codes.linear(rng, latents * np.where(other > 0, 3, 1), noise=0.01)
    found = plane_decoding(states, latents, rng, n_null=0)
    assert found.value < found.in_distribution - 0.1
    # Of planes that do not hold both latents of a pair, the code is as good in each quadrant as in the others.
    apart = plane_decoding(np.roll(states, 1, axis=1), np.roll(latents, 1, axis=1), rng, n_null=0)
    assert apart.value > found.value + 0.1


def test_planes_are_pairs_that_follow_each_other() -> None:
    rng = np.random.default_rng(0)

    def planes(n_dims: int) -> list[list[int]]:
        latents = codes.latents_of(rng, 400, n_dims)
        return plane_decoding(latents, latents, rng, n_null=0).planes.tolist()

    assert planes(4) == [[0, 1], [2, 3]]
    assert planes(5) == [[0, 1], [2, 3], [3, 4]]
    assert planes(16) == [[i, i + 1] for i in range(0, 16, 2)]
    first, second = planes(100), planes(100)
    assert len(first) == 8
    assert first != second
    for drawn in (first, second):
        assert len({latent for plane in drawn for latent in plane}) == 16
        assert all(i % 2 == 0 and j == i + 1 for i, j in drawn)


def test_each_plane_is_decode_of_its_latents() -> None:
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 600, 5)
    states = codes.expanded(rng, latents, 30)
    found = plane_decoding(states, latents, rng, n_null=0)
    expected = [decode(states, latents[:, pair], rng, n_null=0).value for pair in found.planes]
    np.testing.assert_allclose(found.by_plane, expected, atol=1e-12)
    assert found.value == pytest.approx(np.mean(expected))
    faulty = [released_holdout(states, latents[:, pair], rng, n_null=0).value for pair in found.planes]
    assert found.released == pytest.approx(np.mean(faulty), abs=0.01)  # trials are dealt anew
    assert found.released > found.value + 0.02
    assert np.isnan(found.p)
    assert np.isnan(found.above_untrained)


def test_controls_at_many_latents() -> None:
    """The mean evidence is x* and its noise: r2_prior 1 - 12 sigma² / t in each plane."""
    trials = Stream(EvidenceTask(n_dims=20, n_tasks=2), "test", 0).take(1500)
    states = codes.unrelated(np.random.default_rng(0), trials.latents, 20)
    found = plane_decoding(states, trials.latents, np.random.default_rng(0), None, trials, n_null=0)
    assert found.controls["mean evidence"].ood == pytest.approx(1 - 12 * 0.2**2 / 20, abs=0.01)
    assert found.controls["ideal"].ood > found.controls["mean input"].ood > found.controls["last input"].ood
    assert found.best_untrained == "mean input"
    assert found.above_untrained == pytest.approx(found.value - found.controls["mean input"].ood)
    assert found.value < 0.02


def test_p_is_uniform_where_the_null_hypothesis_holds() -> None:
    """States that tell the quadrants and nothing more: over 150 draws of data no p is favoured."""
    ps = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        latents = codes.latents_of(rng, 150, 4)
        states = (latents > 0) @ rng.standard_normal((4, 5)) + rng.standard_normal((150, 5))
        ps.append(plane_decoding(states, latents, rng, n_null=9).p)
    grid = np.arange(1, 11) / 10
    distance = np.abs(np.mean(np.array(ps)[:, None] <= grid + 1e-9, axis=0) - grid).max()
    assert distance < 1.63 / np.sqrt(150)  # Kolmogorov-Smirnov, 1 %


def test_bad_arguments() -> None:
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 100, 4)
    states = codes.linear(rng, latents, 5)
    trials = Stream(EvidenceTask(n_dims=4), "test", 0).take(100)
    with pytest.raises(ValueError, match="trials are not those of latents"):
        plane_decoding(states, latents, rng, trials=trials)
    with pytest.raises(ValueError, match=r"orthant .. has . trials; 8 or more are needed"):
        plane_decoding(states[:20], latents[:20], rng)


@pytest.mark.parametrize(("n_dims", "with_trials"), [(2, False), (6, True)])
def test_the_figure_has_a_mark_for_each_plane(n_dims: int, with_trials: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trials = Stream(EvidenceTask(n_tasks=2, n_dims=n_dims), "test", 0).take(300)
    states = codes.expanded(rng, trials.latents, 10)
    found = plane_decoding(states, trials.latents, rng, None, trials if with_trials else None, n_null=3)
    figure = plane_decoding_figure(found)
    left, right = figure.axes
    marks = [np.asarray(line.get_ydata()) for line in left.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(marks, [found.in_distribution_by_plane, found.by_plane])
    assert [label.get_text() for label in right.get_yticklabels()] == ["this agent", *found.controls]
    assert f"{found.value:.3f}" in " ".join(text.get_text() for text in left.texts)
    assert all(path.stat().st_size > 0 for path in save(figure, tmp_path / "planes"))
