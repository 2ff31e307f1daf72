"""The encoder's two ways of computing the same."""

import numpy as np
import pytest
import torch

from mtrnn_envs import EvidenceTask
from mtrnn_envs.encoder import CHUNK, KINDS, _encode_numpy, _encode_torch, encode


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_dims", [1, 2, 5])
def test_both_ways_agree_and_tensors_on_a_cpu_take_that_of_numpy(kind, n_dims):
    task = EvidenceTask(encoder=kind, n_dims=n_dims)
    rows = np.random.default_rng(0).normal(size=(2 * CHUNK + 3, n_dims)).astype(np.float32)
    expected = _encode_numpy(task, rows)
    np.testing.assert_allclose(_encode_torch(task, torch.tensor(rows)).numpy(), expected, rtol=1e-5, atol=1e-6)
    found = encode(task, torch.tensor(rows)[None])
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found[0].numpy(), expected)


def test_gradients_with_respect_to_the_evidence_are_those_of_finite_differences():
    task, step = EvidenceTask(encoder="square"), 1e-2
    evidence = torch.tensor([[0.2, -0.1], [0.4, 0.3]], requires_grad=True)
    encode(task, evidence).sum().backward()
    assert evidence.grad is not None
    here = evidence.detach()
    for d in range(2):
        change = torch.eye(2)[d] * step
        slope = (encode(task, here + change) - encode(task, here - change)).sum(dim=1) / (2 * step)
        np.testing.assert_allclose(evidence.grad[:, d], slope, atol=2e-3)
