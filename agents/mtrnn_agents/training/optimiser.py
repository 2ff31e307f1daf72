"""Adam on the flat vector of trained weights, with a clipped gradient, for one network or M at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from mtrnn_agents.networks.base import Weights
from mtrnn_agents.networks.flat_weights import Layout

# Adam's constants (arXiv:1412.6980).
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
Number: TypeAlias = Any  # a number or a numpy array


def flat_gradient(
    value: Float[Tensor, ""], leaves: Weights, layout: Layout, clip: float
) -> tuple[Float[Tensor, "*M P"], Float[Tensor, "*M"]]:
    """The gradient of `value` in the order of `layout`, clipped at the norm `clip`, and its norm before that."""
    gradients = torch.autograd.grad(value, list(leaves.values()))
    parts = zip(gradients, layout.shapes.values(), strict=True)
    gradient = torch.cat([g.flatten(g.ndim - len(shape)) for g, shape in parts], -1)
    norm = gradient.norm(dim=-1, keepdim=True)
    return gradient * (clip / (norm + 1e-6)).clamp(max=1), norm[..., 0]


def adam(
    flat: Tensor, first: Tensor, second: Tensor, gradient: Tensor, rate: Tensor | float, root: Tensor | float
) -> tuple[Tensor, Tensor, Tensor]:
    """The weights and moments after one step of Adam; `rate` and `root` are those of `corrected`."""
    first = torch.lerp(first, gradient, 1 - BETA1)
    second = torch.lerp(second, gradient * gradient, 1 - BETA2)
    return flat - rate * first / (second.sqrt() * root + EPSILON), first, second


def corrected(rate: Number, count: Number) -> tuple[Number, Number]:
    """The bias-corrected rate of Adam's update number `count`, counted from 1, and the factor of the root of its
    second moment: both correct that the moments began at 0."""
    return rate / (1 - BETA1**count), (1 - BETA2**count) ** -0.5
