"""The frozen random encoder: D -> 100 -> 100 -> 40 units, applied to the evidence of each step by itself.

Weights and biases are uniform on ±1/sqrt(fan-in), as a PyTorch `nn.Linear` starts (public code of arXiv:2407.11249).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.utils.arrays import Array

if TYPE_CHECKING:
    import torch

N_HIDDEN = 100
N_ENCODED = 40
KINDS = ("relu", "square")
# Rows encoded at a time: the hidden layers of a chunk (0.4 MB) stay in the processor's cache.
CHUNK = 512


class Layer(NamedTuple):
    """Weights `[in, out]` and biases `[out]`."""

    weight: Array
    bias: Array


@lru_cache(maxsize=64)
def layers(n_dims: int, seed: int) -> tuple[Layer, ...]:
    """Weights `[in, out]` and biases `[out]` of the three layers, float32, drawn from `seed`."""
    rng, sizes = generator(seed, "encoder"), (n_dims, N_HIDDEN, N_HIDDEN, N_ENCODED)

    def uniform(fan_in: int, shape: int | tuple[int, int]) -> np.ndarray:
        return (rng.uniform(-1, 1, shape) / np.sqrt(fan_in)).astype(np.float32)

    return tuple(Layer(uniform(i, (i, o)), uniform(i, o)) for i, o in pairwise(sizes))


def encode(kind: str, seed: int, evidence: Float[Array, "*N D"]) -> Float[Array, "*N F"]:
    """The output of the encoder `kind` with the weights of `seed`, for each row of `evidence`; float32.

    It is equal in numpy and torch to rounding.
    """
    rows = evidence.reshape(-1, evidence.shape[-1])
    if isinstance(rows, np.ndarray):
        encoded = _encode_numpy(kind, seed, rows)
    elif rows.device.type == "cpu" and not rows.requires_grad:
        import torch

        # On the same memory; a few rows at a time is twice as fast here too.
        encoded = torch.from_numpy(_encode_numpy(kind, seed, rows.numpy()))
    else:
        encoded = _encode_torch(kind, seed, rows)
    return encoded.reshape(*evidence.shape[:-1], N_ENCODED)


@lru_cache(maxsize=64)
def _with_bias_unit(n_dims: int, seed: int) -> tuple[np.ndarray, ...]:
    """The layers as matrices `[in + 1, out + 1]` (the last `[in + 1, out]`), whose last unit is 1 all the way through.

    Either non-linearity keeps a 1, so the matrix products add the biases, which saves a pass over every layer.
    """
    *hidden, last = (np.concatenate([layer.weight, layer.bias[None]]) for layer in layers(n_dims, seed))
    one = [np.eye(len(matrix), 1, 1 - len(matrix), dtype=np.float32) for matrix in hidden]
    return *(np.concatenate(pair, axis=1) for pair in zip(hidden, one, strict=True)), last


def _encode_numpy(kind: str, seed: int, rows: np.ndarray) -> np.ndarray:
    *hidden_layers, last = _with_bias_unit(rows.shape[1], seed)
    out = np.empty((len(rows), N_ENCODED), np.float32)
    padded = np.ones((min(CHUNK, len(rows)), rows.shape[1] + 1), np.float32)
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        hidden = padded[: len(chunk)]
        hidden[:, :-1] = chunk
        for matrix in hidden_layers:
            hidden = hidden @ matrix
            np.maximum(hidden, 0, out=hidden) if kind == "relu" else np.square(hidden, out=hidden)
        np.matmul(hidden, last, out=out[start : start + CHUNK])
    return out


@lru_cache(maxsize=64)
def _torch_layers(n_dims: int, seed: int, device: torch.device) -> tuple[Layer, ...]:
    import torch

    return tuple(Layer(*(torch.as_tensor(v, device=device) for v in layer)) for layer in layers(n_dims, seed))


def _encode_torch(kind: str, seed: int, rows: torch.Tensor) -> torch.Tensor:
    import torch

    *hidden_layers, last = _torch_layers(rows.shape[1], seed, rows.device)
    for layer in hidden_layers:
        rows = torch.addmm(layer.bias, rows, layer.weight)
        rows = rows.relu_() if kind == "relu" else rows.square_()
    return torch.addmm(last.bias, rows, last.weight)
