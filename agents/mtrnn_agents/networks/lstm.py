"""Long short-term memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mtrnn_agents.networks.base import (
    Activity,
    Observations,
    Recurrent,
    Sizes,
    State,
    UnitNoises,
    Weights,
    add_product,
    layer,
    uniform,
    zeros,
)
from mtrnn_agents.networks.options import check_fields, option


@dataclass(frozen=True, kw_only=True)
class LSTM(Recurrent):
    """Long short-term memory (Gers et al. 2000, doi:10.1162/089976600300015015) as `torch.nn.LSTM` has it:

        i, f, o = sigmoid(u W + h W' + b), each with its own,    g = tanh(u W_g + h W_g' + b_g)
        c' = f c + i g,    h' = o tanh(c'),    h(-1) = c(-1) = 0

    `input.weight` `[F, 4 H]`, `input.bias` `[4 H]` and `recurrent.weight` `[H, 4 H]` hold i, f, g, o in this order;
    PyTorch's two biases are one here. All start uniform on ±1/sqrt(H). The state is (h, c). It has no noise.

    Raises:
        ValueError: if there is no unit, or weights do not fit.
    """

    n_units: int = option(64, "units H", low=1)

    def __post_init__(self) -> None:
        check_fields(self)

    def first_weights(self, sizes: Sizes, rng: torch.Generator) -> Weights:
        """See `Network`."""
        h = self.n_units
        return {
            "input.weight": uniform(h, rng, sizes.n_inputs, 4 * h),
            "input.bias": uniform(h, rng, 4 * h),
            "recurrent.weight": uniform(h, rng, h, 4 * h),
            **layer("output", h, sizes.n_outputs, rng),
        }

    def start(self, weights: Weights, n: int) -> State:
        """See `Network`."""
        return zeros(weights, n, self.n_units), zeros(weights, n, self.n_units)

    def sequence(self, weights: Weights, observations: Observations, noise: UnitNoises | None = None) -> Activity:
        """See `Network`; `noise` is ignored."""
        weight, bias, recurrent = (weights[name] for name in ("input.weight", "input.bias", "recurrent.weight"))
        if weight.ndim == 3 or observations.device.type != "cpu":
            return super().sequence(weights, observations)
        # PyTorch's own function makes all steps in one call here, which takes less than half the time of the loop.
        # It reads whatever lies there if the shapes are wrong, where other functions raise.
        shapes, f, h = [tuple(v.shape) for v in (weight, recurrent, bias)], observations.shape[-1], self.n_units
        if shapes != [(f, 4 * h), (h, 4 * h), (4 * h,)]:
            raise ValueError(f"weights of shapes {shapes} are not for {f} inputs and n_units={h}: make or load others")
        first = tuple(part[None] for part in self.start(weights, observations.shape[-3]))
        parameters = (weight.T, recurrent.T, bias, torch.zeros_like(bias))
        return torch.lstm(observations, first, parameters, True, 1, 0.0, True, False, True)[0]

    def _next(self, state: State, drive: Tensor, recurrent: Tensor) -> State:
        hidden, cell = state
        i, f, g, o = add_product(drive, hidden, recurrent).chunk(4, -1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell
