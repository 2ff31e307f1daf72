"""The encoder's two ways of computing the same."""

import numpy as np
import pytest
import torch

from mtrnn_envs import EvidenceTask
from mtrnn_envs.components.encoder import CHUNK, KINDS, _encode_numpy, _encode_torch, encode, layers


def rounding_bound(task, rows):
    """How far float32 may be from exact arithmetic, whatever the order of the sums: a running error bound.

    A sum of n products is right to n u (sum of their sizes), u = 2**-24 (Higham 2002, Accuracy and Stability of
    Numerical Algorithms, section 3.1); an error e in the input of a layer becomes |W| e, and 2 |h| e + e² when squared.
    """
    u, hidden, error = 2.0**-24, rows.astype(float), np.zeros(rows.shape)
    *inner, last = (tuple(v.astype(float) for v in layer) for layer in layers(task.n_dims, task.encoder_seed))
    for i, (weight, bias) in enumerate((*inner, last)):
        sizes = (np.abs(hidden) + error) @ np.abs(weight) + np.abs(bias)
        error = error @ np.abs(weight) + (len(weight) + 2) * u * sizes
        hidden = hidden @ weight + bias
        if i < len(inner) and task.encoder == "square":
            error = (2 * np.abs(hidden) + error) * error + u * (np.abs(hidden) + error) ** 2
            hidden = hidden**2
        elif i < len(inner):
            hidden = np.maximum(hidden, 0)
    return hidden, error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_dims", [1, 2, 5])
def test_both_ways_agree_and_tensors_on_a_cpu_take_that_of_numpy(kind, n_dims):
    task = EvidenceTask(encoder=kind, n_dims=n_dims)
    rows = np.random.default_rng(0).normal(size=(2 * CHUNK + 3, n_dims)).astype(np.float32)
    expected = _encode_numpy(kind, task.encoder_seed, rows)
    exact, bound = rounding_bound(task, rows)
    for way in (expected, _encode_torch(kind, task.encoder_seed, torch.tensor(rows)).numpy()):
        assert (np.abs(way - exact) <= bound).all()
    assert bound.max() < 1e-3 * np.abs(exact).max()  # else the bound would hold of anything
    found = encode(kind, task.encoder_seed, torch.tensor(rows)[None])
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found[0].numpy(), expected)


def test_gradients_with_respect_to_the_evidence_are_those_of_finite_differences():
    step = 1e-2
    evidence = torch.tensor([[0.2, -0.1], [0.4, 0.3]], requires_grad=True)
    encode("square", 0, evidence).sum().backward()
    assert evidence.grad is not None
    here = evidence.detach()
    for d in range(2):
        change = torch.eye(2)[d] * step
        slope = (encode("square", 0, here + change) - encode("square", 0, here - change)).sum(dim=1) / (2 * step)
        np.testing.assert_allclose(evidence.grad[:, d], slope, atol=2e-3)
