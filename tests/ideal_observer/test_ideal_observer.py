from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.independent import importance
from scipy import integrate, stats

from mtrnn_envs.components.boundaries import Linear, labels
from mtrnn_envs.ideal_observer import label_probabilities as answers
from mtrnn_envs.ideal_observer.expected_accuracy import draw_statistics
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.ideal_observer.multilateration import multilaterate
from mtrnn_envs.ideal_observer.one_latent import marginal
from mtrnn_envs.ideal_observer.posterior import (
    answer_probabilities,
    posterior,
    posterior_density,
    running_means,
    trial_probabilities,
)
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import sample

VARIANTS = [
    {"n_dims": 1, "n_tasks": 3, "boundaries": "affine"},
    {"n_dims": 2},
    {"n_dims": 3},
    {"n_dims": 5, "sigma": 0.4},
    {"boundaries": "affine", "sigma": (0.2, 0.4)},
    {"boundaries": "product", "n_tasks": 8},
    {"boundaries": "quadric", "n_tasks": 8},
    {"boundaries": "quadric", "n_dims": 3, "n_tasks": 6},
    {"boundaries": "product", "n_dims": 3, "n_tasks": 16},
    {"boundaries": "helpers.independent:cross", "n_tasks": 2},
    {"noise": "gumbel"},
    {"noise": "gumbel", "n_dims": 3, "boundaries": "affine"},
    {"autocorrelation": 0.7},
    {"autocorrelation": -0.4, "n_dims": 3},
    {"latent_correlation": 0.6},
    {"latent_correlation": -0.3, "n_dims": 3},
    {"excluded_orthants": ("+-", "--")},
]


def name(fields):
    return " ".join(f"{k}={v}" for k, v in fields.items())


@pytest.mark.parametrize("fields", VARIANTS, ids=name)
@pytest.mark.parametrize("n_samples", [1, 4])
def test_posterior_and_answers_agree_with_importance_sampling_of_the_raw_evidence(fields, n_samples):
    task = EvidenceTask(stimulus=n_samples, **{"n_tasks": 12, **fields})
    trials = sample(task, 6, generator(7, "test"))
    p = trial_probabilities(trials)
    mean, variance = posterior(task, running_means(trials)[:, -1], n_samples)
    for i, samples in enumerate(trials.evidence.astype(float)):
        p_plain, mean_plain, variance_plain, size = importance(task, samples, np.random.default_rng(i))
        # 5 standard errors of the plain method, and what 512 (weighted: 2048) quasi-random points may be off by.
        exact = task.n_dims <= 2 and not (task.latent_correlation or task.excluded_orthants or ":" in task.boundaries)
        slack = 1e-4 if exact else 0.006
        np.testing.assert_array_less(np.abs(p[i] - p_plain), 5 * np.sqrt(p[i] * (1 - p[i]) / size) + slack + 5 / size)
        np.testing.assert_allclose(mean[i], mean_plain, atol=5 * np.sqrt(variance[i].max() / size) + 0.002)
        np.testing.assert_allclose(variance[i], variance_plain, rtol=8 / np.sqrt(size) + 0.02)


@pytest.mark.parametrize("boundaries", ["linear", "affine", "product", "quadric"])
@pytest.mark.parametrize("sigma", [0.02, 0.2, (0.1, 0.9)])
def test_answers_in_the_plane_are_exact_by_adaptive_integration(boundaries, sigma):
    task = EvidenceTask(boundaries=boundaries, n_tasks=4, sigma=sigma)
    mean = np.array([[0.11, -0.07], [0.51, 0.2]])
    p = answer_probabilities(task, mean, 3)
    # Strips of constant x_1 in which the label is +1 between sign changes of the margin, found by bisection.
    fine = np.linspace(-0.5, 0.5, 2001)
    for i, m in enumerate(mean):
        sd = np.asarray(task.sigmas) / np.sqrt(3)
        laws: list[Any] = [stats.truncnorm((-0.5 - m[d]) / sd[d], (0.5 - m[d]) / sd[d], m[d], sd[d]) for d in range(2)]

        def strip(x, k, laws=laws, task=task):
            values = task.boundary.margins(np.column_stack([np.full(fine.shape, x), fine]))[:, k]
            left = np.flatnonzero((values[1:] > 0) != (values[:-1] > 0))
            roots = fine[left] - values[left] * np.diff(fine)[left] / (values[left + 1] - values[left])
            edges = np.concatenate([[-0.5], roots, [0.5]])
            middles = np.column_stack([np.full(len(edges) - 1, x), 0.5 * (edges[1:] + edges[:-1])])
            return np.diff(laws[1].cdf(edges))[task.boundary.margins(middles)[:, k] > 0].sum()

        low, high = (np.clip(m[0] + side * 8 * sd[0], -0.5, 0.5) for side in (-1, 1))
        x = np.linspace(low, high, 401)
        for k in (0, 3):
            plain = integrate.simpson([strip(v, k) * laws[0].pdf(v) for v in x], x=x)
            assert p[i, k] == pytest.approx(plain, abs=1e-4)


def test_more_nodes_do_not_change_the_answers_in_the_plane():
    for boundaries in ("linear", "affine", "product"):
        task = EvidenceTask(boundaries=boundaries)
        mean, n = draw_statistics(task, 50, np.random.default_rng(0))
        np.testing.assert_allclose(
            answer_probabilities(task, mean, n), answer_probabilities(task, mean, n, n_points=400), atol=1e-12
        )


def test_the_grid_and_the_trials_give_the_same_answers():
    for boundaries in ("linear", "affine", "product", "quadric"):
        task = EvidenceTask(boundaries=boundaries, sigma=(0.2, 0.3))
        grids = [np.linspace(-0.7, 0.7, 5), np.linspace(-0.6, 0.8, 4)]
        on_grid = answers.grid_answers(task, task.boundary, grids, 6)
        mean = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 2)
        one_by_one = answer_probabilities(task, mean, 6).T.reshape(on_grid.shape)
        np.testing.assert_allclose(on_grid, one_by_one, atol=1e-6)


def test_the_posterior_is_the_truncated_normal_of_the_closed_form():
    task = EvidenceTask(sigma=(0.2, 0.05))
    m = np.random.default_rng(0).uniform(-0.7, 0.7, (100, 2))
    mean, variance = posterior(task, m, 4)
    s = np.array([0.1, 0.025])
    a, b = (-0.5 - m) / s, (0.5 - m) / s
    np.testing.assert_allclose(mean, stats.truncnorm.mean(a, b, m, s), atol=1e-10)
    np.testing.assert_allclose(variance, stats.truncnorm.var(a, b, m, s), rtol=1e-6)


@pytest.mark.parametrize("noise", ["gaussian", "gumbel"])
@pytest.mark.parametrize("sigma", [1e-3, 0.2, 1e3])
def test_far_tails_are_finite_and_pile_up_at_the_edge(noise, sigma):
    task = EvidenceTask(noise=noise, sigma=sigma)
    m = np.array([[-3.0, 3.0], [0.5, -0.5], [50.0, -50.0], [0.0, 1e-9]])
    mean, variance = posterior(task, m, 20)
    p = answer_probabilities(task, m, 20)
    assert np.all((p >= 0) & (p <= 1))
    assert np.all(np.abs(mean) <= 0.5)
    assert np.all(variance >= 0)
    if sigma == 0.2 and noise == "gaussian":  # far outside, the posterior is exponential with mean s² / distance
        assert mean[2, 0] == pytest.approx(0.5 - 0.2**2 / 20 / 49.5, abs=1e-5)
    if sigma == 1e3:  # evidence that says nothing leaves the prior
        np.testing.assert_allclose(variance[0], 1 / 12, rtol=1e-3)
    u = np.linspace(0.01, 0.99, 9)
    for d in range(2):
        post = marginal(task, d, m[[1, 3], d, None], 20)
        np.testing.assert_allclose(1 - post.survival(post.quantile(u)), np.tile(u, (2, 1)), atol=1e-6)


def test_densities_integrate_to_one_with_the_mean_of_the_posterior():
    task = EvidenceTask(n_dims=3, sigma=0.3)
    m = np.random.default_rng(1).uniform(-0.6, 0.6, (5, 3))
    grid, density = posterior_density(task, m, 3, 2001)
    np.testing.assert_allclose(integrate.simpson(density, x=grid), 1, atol=1e-8)
    np.testing.assert_allclose(integrate.simpson(grid * density, x=grid), posterior(task, m, 3)[0], atol=1e-8)


@pytest.mark.parametrize(
    ("fields", "accuracy", "within"),
    [
        ({"stimulus": 1}, 0.8313, 1e-4),
        ({"stimulus": 5}, 0.9215, 1e-4),
        ({"stimulus": 20}, 0.9603, 1e-4),
        ({"n_tasks": 2}, 0.952, 6e-4),
        ({"n_tasks": 6}, 0.960, 8e-4),
    ],
    ids=str,
)
def test_known_accuracies_of_the_ideal_observer(fields, accuracy, within):
    assert ideal_performance(EvidenceTask(**fields)).accuracy == pytest.approx(accuracy, abs=within)


def test_known_ceilings_at_the_defaults():
    best = ideal_performance(EvidenceTask())
    assert best.method == "exact (quadrature)"
    assert set(best.standard_errors.values()) == {0.0}
    assert best.r2_prior == pytest.approx(0.978, abs=2e-4)
    assert best.r2_prior_affine == pytest.approx(1 - 0.2**2 / 20 / (1 / 12 + 0.2**2 / 20), abs=1e-12)
    trials = sample(EvidenceTask(), 8000, generator(5, "test"))
    p = np.where(trials.labels > 0, trial_probabilities(trials), 1 - trial_probabilities(trials))
    losses = -np.log(p).mean(axis=1)
    assert abs(losses.mean() - best.cross_entropy) < 4 * losses.std() / np.sqrt(len(losses))
    assert best.value == best.accuracy
    assert ideal_performance(EvidenceTask()) is best


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n_tasks": 2},
        {"noise": "gumbel"},
        {"autocorrelation": 0.7},
        {"n_dims": 1},
        {"boundaries": "product"},
        {"n_dims": 5},
        {"latent_correlation": 0.8},
        {"excluded_orthants": ("++",)},
        {"stimulus": (2, 9)},
    ],
    ids=name,
)
def test_ceilings_are_what_the_ideal_answers_score_on_sampled_trials(fields):
    task = EvidenceTask(**fields)
    best = ideal_performance(task)
    trials = sample(task, 1500, generator(4, "test"))
    p = trial_probabilities(trials)
    right = np.mean((p > 0.5) == (trials.labels > 0), axis=1)
    surprise = -np.log(np.where(trials.labels > 0, p, 1 - p).clip(1e-9)).mean(axis=1)
    n = np.broadcast_to(np.asarray(trials.n_samples), len(trials))
    mean, _ = posterior(task, running_means(trials)[np.arange(len(n)), n - 1], n)
    error = 12 * np.mean((mean - trials.latents) ** 2, axis=1)
    for scored, key, ceiling in [
        (right, "accuracy", best.accuracy),
        (surprise, "cross_entropy", best.cross_entropy),
        (1 - error, "r2_prior", best.r2_prior),
    ]:
        spread = np.hypot(scored.std() / np.sqrt(len(scored)), best.standard_errors[key])
        assert abs(scored.mean() - ceiling) < 4 * spread, key


def test_an_affine_decoder_of_the_running_mean_reaches_its_ceiling_and_not_more():
    variants: list[dict[str, Any]] = [{}, {"excluded_orthants": ("+-",)}, {"noise": "gumbel"}]
    for fields in [*variants, {"latent_correlation": 0.9, "sigma": 0.8}]:
        task = EvidenceTask(**fields)
        trials = sample(task, 20_000, generator(5, "test"))
        inputs = np.column_stack([trials.evidence.mean(axis=1), np.ones(len(trials))])
        error = trials.latents - inputs @ np.linalg.lstsq(inputs, trials.latents)[0]
        squares = 12 * np.mean(error**2, axis=1)
        assert abs(1 - squares.mean() - ideal_performance(task).r2_prior_affine) < 4 * squares.std() / np.sqrt(
            len(squares)
        )


def test_ceilings_say_how_they_were_got():
    assert "quasi-Monte Carlo answers, 512 points; averages over" in ideal_performance(EvidenceTask(n_dims=5)).method
    held_out = ideal_performance(EvidenceTask(excluded_orthants=("++",)))
    assert "without the excluded orthants ++" in held_out.method
    assert "exact" not in held_out.method
    assert held_out.standard_errors["accuracy"] > 0
    assert "latent_correlation=0.8" in ideal_performance(EvidenceTask(latent_correlation=0.8)).method


def test_what_is_not_computed_is_refused_by_name():
    task = EvidenceTask(encoder_noise=0.1)
    for call in (ideal_performance, lambda t: posterior(t, np.zeros((1, 2)), 1)):
        with pytest.raises(ValueError, match=r"encoder_noise=0\.1.*not computed"):
            call(task)
    with pytest.raises(ValueError, match="n_samples=0 must be 1 or more"):
        posterior(EvidenceTask(), np.zeros((1, 2)), 0)


def test_ceilings_of_one_latent_hold_with_an_orthant_left_out():
    half = ideal_performance(EvidenceTask(n_dims=1, n_tasks=1, excluded_orthants=("+",)))
    assert half.accuracy == pytest.approx(1, abs=1e-9)  # the one boundary is where the prior ends
    assert half.r2_prior > half.r2_prior_affine


def test_gumbel_evidence_is_worth_more_than_its_mean():
    assert ideal_performance(EvidenceTask(noise="gumbel")).r2_prior > ideal_performance(EvidenceTask()).r2_prior + 0.005


def test_the_latents_follow_from_the_answers_alone():
    task = EvidenceTask()
    trials = sample(task, 8000, generator(2, "test"))
    assert isinstance(task.boundary, Linear)
    normals, offsets = task.boundary.normals, task.boundary.offsets
    flat = stats.norm.cdf(np.sqrt(20) * running_means(trials)[:, -1] @ normals.T / 0.2)
    exact = trial_probabilities(trials)

    def r2_prior(x):
        return 1 - 12 * np.mean((x - trials.latents) ** 2)

    assert r2_prior(multilaterate(flat, normals, offsets, 0.2, 20, clip=1e-6)) >= 0.976
    # Answers that use the edges of the cube break the formula there; knowing the cube repairs it.
    found = multilaterate(exact, normals, offsets, 0.2, 20, clip=1e-6).clip(-0.5, 0.5)
    assert r2_prior(found) > r2_prior(running_means(trials)[:, -1])  # 0.976, but for these trials' own noise


def test_multilateration_inverts_the_flat_prior_formula_exactly():
    rng = np.random.default_rng(0)
    normals = rng.standard_normal((7, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets, m = rng.uniform(-0.1, 0.1, 7), rng.uniform(-0.2, 0.2, (20, 3))
    p = stats.norm.cdf(np.sqrt(9) * (m @ normals.T - offsets) / 0.5)
    np.testing.assert_allclose(multilaterate(p, normals, offsets, 0.5, 9), m, atol=1e-9)
    with pytest.raises(ValueError, match="rank 2 do not determine D=3"):
        multilaterate(p[:, :2], normals[:2], offsets[:2], 0.5, 9)


def test_calibration_the_labels_follow_the_ideal_probabilities():
    task = EvidenceTask(boundaries="affine", stimulus=3)
    trials = sample(task, 4000, generator(11, "test"))
    p = trial_probabilities(trials)
    truth = labels(task.boundary, trials.latents) > 0
    for low in np.arange(0, 1, 0.1):
        bin_ = (p > low) & (p <= low + 0.1)
        n_trials = np.count_nonzero(bin_.any(axis=1))
        assert abs(truth[bin_].mean() - p[bin_].mean()) < 4 * 0.5 / np.sqrt(n_trials)
