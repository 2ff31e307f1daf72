"""The compiled kernel against autograd, PyTorch's own loss and optimizer, and its own refusal of what is not finite."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from mtrnn_agents import LeakyRNN, Training
from mtrnn_agents.networks.base import FIXED
from mtrnn_agents.networks.flat_weights import Layout
from mtrnn_agents.supervised import numba_kernel as kernels
from mtrnn_agents.supervised.agent import first_weights
from mtrnn_agents.supervised.batches import Batch, draw_block
from mtrnn_agents.supervised.updates import autograd_learner, kernel_learner
from mtrnn_agents.training.run import Run
from mtrnn_envs import EvidenceTask

SEEDS = [0, 1, 2]
CELL = kernels.Cell(1.0, True, False, False, 1.0, 0.9, 0.999, 1e-8)
NETWORKS = {
    "elman": LeakyRNN(n_units=12),
    "leaky": LeakyRNN(n_units=12, alpha=0.3),
    "not leaky": LeakyRNN(n_units=12, alpha=0.1, leaky=False, activation="tanh"),
    "tanh": LeakyRNN(n_units=12, alpha=0.5, activation="tanh", initialization="orthogonal"),
    "noisy": LeakyRNN(n_units=12, alpha=0.5, noise=0.3),
    "sparse": LeakyRNN(n_units=12, initialization="sparse", connectivity=0.5),
    "Dale": LeakyRNN(n_units=12, excitatory=0.75),
    "Dale, many at 0": LeakyRNN(n_units=12, excitatory=0.75, initialization="sparse"),
    "all": LeakyRNN(n_units=12, alpha=0.4, noise=0.1, excitatory=0.75, connectivity=0.6, activation="tanh"),
}
TRAININGS = {
    "cross-entropy": Training(labels="decision"),
    "squared error": Training(loss="squared_error"),
    "accumulators": Training(labels="accumulator", loss="squared_error", bound=1.0),
    "not clipped": Training(clip_norm=None),
}
TASKS = {
    "fixed": EvidenceTask(n_tasks=3, stimulus=5),
    "drawn": EvidenceTask(n_tasks=5, n_dims=3, stimulus=(2, 6), fixation=(0, 2), encoder=None),
}


class Sequence(torch.autograd.Function):
    """States of a driven network by the kernel's forward and backward passes, as a function that autograd can check."""

    @staticmethod
    def forward(ctx: Any, drive: Any, bias: Any, weight: Any, sign: np.ndarray, mask: np.ndarray, cell: Any) -> Any:
        n, t, h = drive.shape
        states, rates, rows = np.empty((t, n, h)), np.empty((t, n, h)), np.empty((n * t, h))
        acting, plain = np.empty((h, h)), weight.detach().numpy()
        kernels.acting(plain, sign, mask, acting)
        flat = drive.detach().numpy().reshape(n * t, h)
        kernels.forward(flat, bias.detach().numpy(), acting, cell, states, rates, rows)
        ctx.parts = states, rates, plain, acting, sign, mask, cell
        np.testing.assert_array_equal(rows.reshape(n, t, h), states.transpose(1, 0, 2))
        return torch.from_numpy(rows.reshape(n, t, h))

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        states, rates, plain, acting, sign, mask, cell = ctx.parts
        t, n, h = states.shape
        d_drive, rows = np.empty((t, n, h)), np.empty((n * t, h))
        given = np.ascontiguousarray(upstream[0].numpy()).reshape(n * t, h)
        kernels.backward(given, np.ascontiguousarray(acting.T), cell, rates, d_drive, rows)
        d_weight, d_bias = np.empty((h, h)), np.empty(h)
        before, after = states[:-1].reshape(-1, h), d_drive[1:].reshape(-1, h)
        kernels.transposed_times(before, after, d_weight, np.empty((h, h)))
        kernels.acting_gradient(plain, sign, mask, d_weight)
        kernels.column_sums(rows, d_bias)
        parts = (torch.from_numpy(v) for v in (rows.reshape(n, t, h), d_bias, d_weight))
        return *parts, None, None, None


@pytest.mark.parametrize("alpha", [1.0, 0.3])
@pytest.mark.parametrize("leaky", [True, False])
@pytest.mark.parametrize("tanh", [True, False])
@pytest.mark.parametrize("dale", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_gradient_of_the_sequence(alpha: float, leaky: bool, tanh: bool, dale: bool, masked: bool, seed: int) -> None:
    """Noise is part of the drive."""
    rng = torch.Generator().manual_seed(seed)
    cell = CELL._replace(alpha=alpha, leaky=leaky, tanh=tanh)
    shapes = (3, 6, 5), (5,), (5, 5)
    drive, bias, weight = (torch.randn(s, generator=rng, dtype=torch.float64) / 2 for s in shapes)
    sign = np.array([1.0, 1, 1, -1, -1]) if dale else np.zeros(0)
    mask = (torch.rand(5, 5, generator=rng) < 0.7).double().numpy() if masked else np.zeros((0, 0))
    for values in (drive, bias, weight):
        values.requires_grad_()
    assert torch.autograd.gradcheck(lambda *v: Sequence.apply(*v, sign, mask, cell), (drive, bias, weight))


@pytest.mark.parametrize("kind", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("seed", SEEDS)
def test_loss_and_its_gradient(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal(1000) * 10 ** rng.uniform(-3, 2, 1000)).astype(np.float32)
    values = rng.choice(np.array([0, 0.25, 0.5, 1], np.float32), 1000)
    wide = torch.tensor(logits.astype(np.float64), requires_grad=True)
    targets = torch.from_numpy(values).double()
    if kind == "cross_entropy":
        expected = binary_cross_entropy_with_logits(wide, targets, reduction="sum")
    else:
        expected = ((torch.sigmoid(wide) - targets) ** 2).sum()
    expected.backward()
    room = np.empty(1000, np.int32), np.empty(1000, np.float32)
    found = kernels.loss_and_gradient(logits, values, kind == "squared_error", np.float32(1), *room)
    assert found == pytest.approx(expected.item(), rel=1e-5)
    assert wide.grad is not None
    np.testing.assert_allclose(logits, wide.grad, atol=3e-7)


@pytest.mark.parametrize("clip_norm", [math.inf, 0.5])
def test_adam_is_that_of_pytorch(clip_norm: float) -> None:
    rng = np.random.default_rng(0)
    ours, moments = rng.standard_normal(50).astype(np.float32), np.zeros((2, 50), np.float32)
    theirs = torch.tensor(ours, requires_grad=True)
    optimizer = torch.optim.Adam([theirs])
    for step in range(1, 30):
        gradient, rate = rng.standard_normal(50).astype(np.float32), float(rng.uniform(1e-4, 1e-1))
        theirs.grad = torch.from_numpy(gradient.copy())
        torch.nn.utils.clip_grad_norm_([theirs], clip_norm)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        kernels.adam(ours, moments, gradient, rate, CELL._replace(clip_norm=clip_norm), step)
        np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-5, atol=1e-6)


def both(network: LeakyRNN, training: Training, task: EvidenceTask, n_blocks: int = 2) -> list[tuple[np.ndarray, ...]]:
    """Losses, weights and moments after some blocks of updates, by the kernel and by autograd."""
    run, training = Run(task, 3), replace(training, network=network, batch_size=64, n_updates=64)
    weights = first_weights(run, training)
    layout = Layout.of(weights)
    fixed = {name: v for name, v in weights.items() if name.startswith(FIXED)}
    results = []
    for advance in (
        kernel_learner(network, fixed, training),
        autograd_learner(network, layout, fixed, training, [task.n_answers], torch.device("cpu")),
    ):
        flat = layout.pack(weights)[None]
        moments, losses = np.zeros((1, 2, flat.size), np.float32), []
        for block in range(n_blocks):
            batch = draw_block(run, training, block)
            count = len(batch.valid)
            rates = np.linspace(1e-3, 2e-3, count)[None]
            losses.append(advance(flat, moments, [batch], rates, block * count))
        results.append((np.concatenate(losses, 1), flat, moments))
    return results


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("task", TASKS)
def test_every_option_of_the_network_is_trained_as_by_autograd(network: str, task: str) -> None:
    for ours, theirs in zip(*both(NETWORKS[network], Training(), TASKS[task]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("training", TRAININGS)
@pytest.mark.parametrize("task", TASKS)
def test_every_loss_is_trained_as_by_autograd(training: str, task: str) -> None:
    for ours, theirs in zip(*both(LeakyRNN(n_units=12), TRAININGS[training], TASKS[task]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)


def test_one_step_trials_have_no_recurrent_gradient() -> None:
    task = EvidenceTask(n_tasks=2, fixation=0, stimulus=1, payoff="quadratic", decision=0)
    for ours, theirs in zip(*both(LeakyRNN(n_units=6), Training(), task), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)


def test_weights_lie_as_the_kernel_expects_them() -> None:
    weights = first_weights(Run(EvidenceTask(), 0), Training(network=LeakyRNN(excitatory=0.8, connectivity=0.5)))
    assert tuple(Layout.of(weights).shapes) == kernels.ORDER


@pytest.mark.parametrize("by", ["kernel", "autograd"])
@pytest.mark.parametrize(
    ("kind", "value"), [("cross_entropy", np.inf), ("cross_entropy", np.nan), ("squared_error", np.nan)]
)
def test_an_update_whose_loss_alone_is_not_finite_is_not_made(by: str, kind: str, value: float) -> None:
    """A broken bias of an answer: with a saturated right answer its gradient would be finite."""
    task, network = EvidenceTask(n_tasks=2, stimulus=3), LeakyRNN(n_units=6)
    training = Training(batch_size=1024, network=network, loss=kind)
    weights = first_weights(Run(task, 0), training)
    weights["output.bias"][0] = value
    layout = Layout.of(weights)
    advance = kernel_learner(network, {}, training)
    if by == "autograd":
        advance = autograd_learner(network, layout, {}, training, [2], torch.device("cpu"))
    flat = layout.pack(weights)[None]
    before, moments = flat.copy(), np.zeros((1, 2, flat.size), np.float32)
    losses = advance(flat, moments, [draw_block(Run(task, 0), training, 0)], np.full((1, 2), 1e-3), 0)
    assert not np.isfinite(losses).any()
    np.testing.assert_array_equal(flat, before)
    assert not moments.any()


@pytest.mark.parametrize("by", ["kernel", "autograd"])
def test_updates_stop_before_one_that_is_not_finite(by: str) -> None:
    task, network = EvidenceTask(n_tasks=2, stimulus=3), LeakyRNN(n_units=6)
    training = Training(batch_size=128, network=network)
    weights = first_weights(Run(task, 0), training)
    layout = Layout.of(weights)
    kind = kernel_learner(network, {}, training)
    if by == "autograd":
        kind = autograd_learner(network, layout, {}, training, [2], torch.device("cpu"))
    batch = draw_block(Run(task, 0), training, 0)
    results = []
    for broken in (False, True):
        observations = batch.observations.copy()
        if broken:
            observations[5, 3, 1, 2] = np.nan
        flat, moments = layout.pack(weights)[None], np.zeros((1, 2, layout.pack(weights).size), np.float32)
        rates = np.full((1, 16 if broken else 5), 1e-3)
        part = Batch(*(None if v is None else v[: rates.size] for v in batch._replace(observations=observations)))
        results.append((kind(flat, moments, [part], rates, 0), flat, moments))
    (_, flat, moments), (losses, stopped, stopped_moments) = results
    assert np.isfinite(losses[0, :5]).all()
    assert np.isnan(losses[0, 5:]).all()
    np.testing.assert_array_equal(stopped, flat)
    np.testing.assert_array_equal(stopped_moments, moments)
