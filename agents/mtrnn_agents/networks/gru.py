"""The gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mtrnn_agents.networks.base import Recurrent, Sizes, State, Weights, add_product, affine, layer, uniform
from mtrnn_agents.networks.options import check_fields, option


@dataclass(frozen=True, kw_only=True)
class GRU(Recurrent):
    """The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078) with the equations of `torch.nn.GRU`:

        r = sigmoid(u W_ir + h W_hr + b_r),    z = sigmoid(u W_iz + h W_hz + b_z)
        n = tanh(u W_in + b_in + r (h W_hn + b_hn)),    h' = (1 - z) n + z h,    h(-1) = 0

    `input.weight` `[F, 3 H]`, `input.bias` `[3 H]` and `recurrent.weight` `[H, 3 H]` hold r, z, n in this order,
    `recurrent.bias` `[H]` is b_hn; PyTorch's two biases of r, and of z, are one here. All start uniform on ±1/sqrt(H).
    It has no noise.

    Raises:
        ValueError: if there is no unit.
    """

    n_units: int = option(64, "units H", low=1)

    def __post_init__(self) -> None:
        check_fields(self)

    def first_weights(self, sizes: Sizes, rng: torch.Generator) -> Weights:
        """See `Network`."""
        h = self.n_units
        return {
            "input.weight": uniform(h, rng, sizes.n_inputs, 3 * h),
            "input.bias": uniform(h, rng, 3 * h),
            "recurrent.weight": uniform(h, rng, h, 3 * h),
            "recurrent.bias": uniform(h, rng, h),
            **layer("output", h, sizes.n_outputs, rng),
        }

    def _drives(self, weights: Weights, inputs: Float[Tensor, "*B F"], noise: Tensor | None) -> tuple[Tensor, ...]:
        """The terms that do not depend on h: those added to h W `[*B, 3 H]`, and those of n `[*B, H]`."""
        h, weight, bias = self.n_units, weights["input.weight"], weights["input.bias"]
        # r multiplies h W_hn + b_hn, so that the inputs have no part in it: their weights there are 0.
        weight = torch.cat([weight[..., : 2 * h], torch.zeros_like(weight[..., :h]), weight[..., 2 * h :]], -1)
        bias = torch.cat([bias[..., : 2 * h], weights["recurrent.bias"], bias[..., 2 * h :]], -1)
        return affine(inputs, weight, bias).split([3 * h, h], -1)

    def _next(self, state: State, added: Tensor, candidate: Tensor, recurrent: Tensor) -> State:
        r, z, n = add_product(added, state[0], recurrent).chunk(3, -1)
        return (torch.lerp(torch.tanh(candidate + r.sigmoid() * n), state[0], z.sigmoid()),)
