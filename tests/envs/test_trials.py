"""Trials: their distribution against its definition, and numpy against torch.

Tolerances are 5 standard errors, or wider where said.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from mtrnn_envs import EvidenceTask, observe
from mtrnn_envs.components.encoder import N_ENCODED, N_HIDDEN, encode, layers
from mtrnn_envs.rng.seeding import generator, torch_generator
from mtrnn_envs.trials import Trials, sample

BARE = EvidenceTask(encoder=None)


def both(task: EvidenceTask, n: int, seed: int = 0) -> list[Trials]:
    """Trials drawn by numpy and by torch."""
    return [sample(task, n, generator(seed, "test")), sample(task, n, torch_generator(seed, "test"))]


def as_numpy(trials: Trials) -> Trials:
    """The same trials in numpy."""
    arrays = {f.name: getattr(trials, f.name) for f in fields(trials) if f.name != "task"}
    return replace(trials, **{k: v.numpy() for k, v in arrays.items() if isinstance(v, torch.Tensor)})


def same_distribution(a: np.ndarray, b: np.ndarray) -> bool:
    """The two-sample test of Kolmogorov and Smirnov."""
    result: Any = stats.ks_2samp(a, b)
    return result.pvalue > 1e-4


TASKS = {
    "default": EvidenceTask(),
    "bare": BARE,
    "square": EvidenceTask(encoder="square"),
    "noise behind the encoder": EvidenceTask(encoder_noise=0.1, sigma=0),
    "anisotropic": EvidenceTask(sigma=(0.2, 0.4), encoder=None),
    "AR(1)": EvidenceTask(autocorrelation=0.7, encoder=None),
    "Gumbel": EvidenceTask(noise="gumbel", encoder=None),
    "correlated": EvidenceTask(latent_correlation=0.6, encoder=None),
    "cued": EvidenceTask(cueing="one"),
    "drawn periods": EvidenceTask(fixation=(0, 2), stimulus=(3, 9), delay=(0, 4), decision=(1, 2)),
    "drawn periods, cued, noise behind": EvidenceTask(stimulus=(3, 9), cueing="one", encoder_noise=0.2, sigma=0),
    "reaction time": EvidenceTask(payoff="quadratic", decision=0, stimulus=(5, 7), encoder=None),
    "quadric in 3-D": EvidenceTask(boundaries="quadric", n_dims=3),
    "product": EvidenceTask(boundaries="product", encoder=None),
    "affine in 4-D": EvidenceTask(boundaries="affine", n_dims=4, excluded_orthants=("++++", "----"), encoder=None),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_numpy_and_torch_agree_on_the_same_latents_and_noise(task):
    tensors = sample(task, 300, torch_generator(0, "test"))
    arrays = as_numpy(tensors)
    np.testing.assert_array_equal(arrays.labels, tensors.labels.numpy())
    np.testing.assert_array_equal(arrays.asked, tensors.asked.numpy())
    np.testing.assert_allclose(observe(arrays), observe(tensors).numpy(), rtol=0, atol=1e-6)
    for ours, theirs in zip(arrays.timing, tensors.timing, strict=True):
        np.testing.assert_array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_observations_keep_their_promises_step_by_step(task):
    trials = sample(task, 64, generator(1, "test"))
    seen = observe(trials)
    assert seen.dtype == np.float32
    assert seen.shape == (64, task.n_steps, task.n_features)
    on, off, go, end = (np.broadcast_to(v, 64) for v in trials.timing)
    for n in range(64):
        assert np.all(seen[n, : go[n], 0] == 1)
        assert np.all(seen[n, go[n] :, 0] == 0)
        assert not np.any(seen[n, end[n] :])
        shown = seen[n, :, 1 : 1 + task.n_evidence]
        silence = np.zeros(task.n_dims, np.float32)
        silence = silence if task.encoder is None else encode(task.encoder, task.encoder_seed, silence)
        for t in (*range(on[n]), *range(off[n], end[n])):
            np.testing.assert_allclose(shown[t], silence, atol=1e-6)
        expected = trials.evidence[n, : off[n] - on[n]]
        if task.encoder is not None:
            expected = encode(task.encoder, task.encoder_seed, expected)
        if trials.encoder_noise is not None:
            expected = expected + task.encoder_noise * trials.encoder_noise[n, : off[n] - on[n]]
        np.testing.assert_allclose(shown[on[n] : off[n]], expected, atol=1e-6)
        if trials.context is not None:
            assert np.array_equal(np.flatnonzero(seen[n, 0, 1 + task.n_evidence :]), [trials.context[n]])


def test_observing_into_any_memory_gives_the_same():
    for task in TASKS.values():
        trials = sample(task, 20, generator(2, "test"))
        out = np.empty((task.n_steps, 20, task.n_features), np.float32).transpose(1, 0, 2)
        np.testing.assert_array_equal(observe(trials, out), observe(trials))


@pytest.mark.parametrize("sampler", [0, 1], ids=["numpy", "torch"])
def test_latents_are_uniform_and_independent(sampler):
    x = np.asarray(both(replace(BARE, n_dims=3), 20_000)[sampler].latents)
    for d in range(3):
        assert stats.kstest(x[:, d] + 0.5, "uniform").pvalue > 1e-4
    assert np.all(np.abs(np.corrcoef(x.T) - np.eye(3)) < 5 / np.sqrt(20_000))


@pytest.mark.parametrize("correlation", [-0.45, 0.3, 0.9])
def test_correlated_latents_have_uniform_margins_and_the_copulas_correlation(correlation):
    """Spearman's correlation under a Gaussian copula is 6/pi arcsin(c/2) (Kruskal 1958, doi:10.2307/2281954)."""
    x = both(EvidenceTask(latent_correlation=correlation, n_dims=3), 40_000)[0].latents
    expected = 6 / np.pi * np.arcsin(correlation / 2)
    measured = np.corrcoef(x.T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(measured, expected, atol=5 / np.sqrt(40_000))
    assert all(stats.kstest(x[:, d] + 0.5, "uniform").pvalue > 1e-4 for d in range(3))


@pytest.mark.parametrize("sampler", [0, 1], ids=["numpy", "torch"])
def test_orthants_left_out_leave_the_rest_of_the_prior_as_it_was(sampler):
    task = EvidenceTask(excluded_orthants=("+-",), latent_correlation=0.5)
    x = np.asarray(both(task, 20_000)[sampler].latents)
    free = both(replace(task, excluded_orthants=()), 20_000, seed=1)[0].latents
    assert not np.any((x[:, 0] > 0) & (x[:, 1] < 0))
    kept = free[~((free[:, 0] > 0) & (free[:, 1] <= 0))]
    for d in range(2):
        assert same_distribution(x[:, d], kept[:, d])


@pytest.mark.parametrize("sampler", [0, 1], ids=["numpy", "torch"])
def test_evidence_is_the_latents_and_gaussian_noise_of_the_given_size(sampler):
    trials = both(EvidenceTask(sigma=(0.2, 0.5), encoder=None), 2_000)[sampler]
    error = np.asarray(trials.evidence) - np.asarray(trials.latents)[:, None]
    for d, sigma in enumerate((0.2, 0.5)):
        assert stats.kstest(error[:, :, d].ravel() / sigma, "norm").pvalue > 1e-4
    flat = error.reshape(2_000, -1)
    lags = [np.mean(flat[:, :-2] * flat[:, 2:]), np.mean(error[:, :, 0] * error[:, :, 1])]
    assert np.all(np.abs(lags) < 5 * 0.25 / np.sqrt(40_000))


@pytest.mark.parametrize("sampler", [0, 1], ids=["numpy", "torch"])
@pytest.mark.parametrize("a", [-0.5, 0.7])
def test_autoregressive_noise_is_stationary_with_geometric_correlations(a, sampler):
    noise = np.asarray(both(EvidenceTask(autocorrelation=a, encoder=None), 20_000)[sampler].noise)
    se = 1 / np.sqrt(20_000)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=5 * se)
    for lag in (1, 2, 5):
        measured = np.mean(noise[:, 8] * noise[:, 8 + lag], axis=0)
        np.testing.assert_allclose(measured, a**lag, atol=5 * np.sqrt(2) * se)


@pytest.mark.parametrize("sampler", [0, 1], ids=["numpy", "torch"])
def test_gumbel_noise_is_gumbel_centred_and_scaled(sampler):
    noise = np.asarray(both(EvidenceTask(noise="gumbel", encoder=None), 2_000)[sampler].noise).ravel()
    scale = np.sqrt(6) / np.pi
    assert stats.kstest(noise, stats.gumbel_r(-np.euler_gamma * scale, scale).cdf).pvalue > 1e-4


def test_gumbel_noise_is_finite_even_where_the_generator_gives_a_zero():
    class Zeros(np.random.Generator):
        def standard_exponential(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
            out[...] = 0

    noise = np.empty((1, 1, 2), np.float32)
    EvidenceTask(noise="gumbel").noise_kind.draw(noise, Zeros(np.random.PCG64(0)))
    assert np.all(np.isfinite(noise))


@pytest.mark.parametrize("sampler", [0, 1], ids=["numpy", "torch"])
def test_periods_and_contexts_are_drawn_uniformly_ends_included(sampler):
    task = EvidenceTask(fixation=(0, 3), stimulus=(2, 5), delay=4, cueing="one", n_tasks=5, encoder=None)
    trials = both(task, 20_000)[sampler]
    assert trials.lengths is not None
    assert trials.context is not None
    columns = (*np.asarray(trials.lengths).T[:2], np.asarray(trials.context))
    for values, low, high in zip(columns, (0, 2, 0), (3, 5, 4), strict=True):
        counts = np.bincount(values - low, minlength=high - low + 1)
        assert len(counts) == high - low + 1
        assert stats.chisquare(counts).pvalue > 1e-4
    assert np.all(np.asarray(trials.lengths)[:, 2:] == [4, 1])


def test_the_encoder_is_three_layers_of_a_torch_network():
    stack = layers(3, 4)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, N_HIDDEN),
        torch.nn.ReLU(),
        torch.nn.Linear(N_HIDDEN, N_HIDDEN),
        torch.nn.ReLU(),
        torch.nn.Linear(N_HIDDEN, N_ENCODED),
    )
    for linear, layer in zip((net[0], net[2], net[4]), stack, strict=True):
        assert isinstance(linear, torch.nn.Linear)
        bound = 1 / np.sqrt(linear.in_features)  # PyTorch's default initialisation
        assert np.abs(layer.weight).max() <= bound
        assert stats.kstest(layer.weight.ravel() / bound, stats.uniform(-1, 2).cdf).pvalue > 1e-4
        linear.weight.data, linear.bias.data = torch.tensor(layer.weight.T), torch.tensor(layer.bias)
    evidence = np.random.default_rng(0).normal(size=(700, 5, 3)).astype(np.float32)
    expected = net(torch.tensor(evidence)).detach().numpy()
    np.testing.assert_allclose(encode("relu", 4, evidence), expected, atol=1e-5)
    np.testing.assert_allclose(encode("relu", 4, torch.tensor(evidence)).numpy(), expected, atol=1e-5)
    assert not np.array_equal(layers(3, 4)[0].weight, layers(3, 5)[0].weight)


@pytest.mark.parametrize("n", [0, -1, True])
def test_a_wrong_number_of_trials_is_named(n):
    with pytest.raises(ValueError, match=f"n={n!r}"):
        sample(BARE, n, generator(0, "train"))
