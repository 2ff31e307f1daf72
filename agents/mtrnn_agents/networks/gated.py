"""Gated recurrent networks: GRU and LSTM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mtrnn_agents.networks.base import Sizes, State, Weights, affine, layer, option, whole_field, zeros


@dataclass(frozen=True, kw_only=True)
class GRU:
    """The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078) with the equations of `torch.nn.GRU`:

        r = sigmoid(u W_ir + h W_hr + b_r),    z = sigmoid(u W_iz + h W_hz + b_z)
        n = tanh(u W_in + b_in + r (h W_hn + b_hn)),    h' = (1 - z) n + z h,    h(-1) = 0

    `input.weight` `[F, 3 H]`, `input.bias` `[3 H]` and `recurrent.weight` `[H, 3 H]` hold r, z, n in this order,
    `recurrent.bias` `[H]` is b_hn; PyTorch's two biases of r, and of z, are one here. All start uniform on ±1/sqrt(H).
    It has no noise.

    Raises:
        ValueError: if there is no unit.
    """

    n_units: int = option(64, "units H")

    def __post_init__(self) -> None:
        whole_field(self, "n_units", 1)

    def first_weights(self, sizes: Sizes, rng: torch.Generator) -> Weights:
        """See `Network`."""
        h = self.n_units
        return {
            "input.weight": _uniform(h, rng, sizes.n_inputs, 3 * h),
            "input.bias": _uniform(h, rng, 3 * h),
            "recurrent.weight": _uniform(h, rng, h, 3 * h),
            "recurrent.bias": _uniform(h, rng, h),
            **layer("output", h, sizes.n_outputs, rng),
        }

    def start(self, weights: Weights, n: int) -> State:
        """See `Network`."""
        return (zeros(weights, n, self.n_units),)

    def step(
        self,
        weights: Weights,
        state: State,
        observation: Float[Tensor, "*M N F"],
        noise: Float[Tensor, "*M N H"] | None = None,
    ) -> State:
        """See `Network`; `noise` is ignored."""
        recurrent, candidate = self._drives(weights, observation)
        return (_gru(state[0], recurrent, candidate, weights["recurrent.weight"]),)

    def sequence(
        self,
        weights: Weights,
        observations: Float[Tensor, "*M N T F"],
        noise: Float[Tensor, "*M N T H"] | None = None,
    ) -> Float[Tensor, "*M N T H"]:
        """See `Network`; `noise` is ignored."""
        recurrent, candidate = self._drives(weights, observations)
        (hidden,), states = self.start(weights, observations.shape[-3]), []
        for drives in zip(recurrent.unbind(-2), candidate.unbind(-2), strict=True):
            hidden = _gru(hidden, *drives, weights["recurrent.weight"])
            states.append(hidden)
        return torch.stack(states, -2)

    def _drives(self, weights: Weights, inputs: Float[Tensor, "*B F"]) -> tuple[Tensor, Tensor]:
        """All that does not depend on h: what is added to h W `[*B, 3 H]`, and the rest of n `[*B, H]`."""
        h, weight, bias = self.n_units, weights["input.weight"], weights["input.bias"]
        # r multiplies h W_hn + b_hn, so that the inputs have no part in it: their weights there are 0.
        weight = torch.cat([weight[..., : 2 * h], torch.zeros_like(weight[..., :h]), weight[..., 2 * h :]], -1)
        bias = torch.cat([bias[..., : 2 * h], weights["recurrent.bias"], bias[..., 2 * h :]], -1)
        recurrent, candidate = affine(inputs, weight, bias).split([3 * h, h], -1)
        return recurrent, candidate


@dataclass(frozen=True, kw_only=True)
class LSTM:
    """Long short-term memory (Gers et al. 2000, doi:10.1162/089976600300015015) as `torch.nn.LSTM` has it:

        i, f, o = sigmoid(u W + h W' + b), each with its own,    g = tanh(u W_g + h W_g' + b_g)
        c' = f c + i g,    h' = o tanh(c'),    h(-1) = c(-1) = 0

    `input.weight` `[F, 4 H]`, `input.bias` `[4 H]` and `recurrent.weight` `[H, 4 H]` hold i, f, g, o in this order;
    PyTorch's two biases are one here. All start uniform on ±1/sqrt(H). The state is (h, c). It has no noise.

    Raises:
        ValueError: if there is no unit, or weights do not fit.
    """

    n_units: int = option(64, "units H")

    def __post_init__(self) -> None:
        whole_field(self, "n_units", 1)

    def first_weights(self, sizes: Sizes, rng: torch.Generator) -> Weights:
        """See `Network`."""
        h = self.n_units
        return {
            "input.weight": _uniform(h, rng, sizes.n_inputs, 4 * h),
            "input.bias": _uniform(h, rng, 4 * h),
            "recurrent.weight": _uniform(h, rng, h, 4 * h),
            **layer("output", h, sizes.n_outputs, rng),
        }

    def start(self, weights: Weights, n: int) -> State:
        """See `Network`."""
        return zeros(weights, n, self.n_units), zeros(weights, n, self.n_units)

    def step(
        self,
        weights: Weights,
        state: State,
        observation: Float[Tensor, "*M N F"],
        noise: Float[Tensor, "*M N H"] | None = None,
    ) -> State:
        """See `Network`; `noise` is ignored."""
        hidden, cell = state
        drive = affine(observation, weights["input.weight"], weights["input.bias"])
        return _lstm(hidden, cell, drive, weights["recurrent.weight"])

    def sequence(
        self,
        weights: Weights,
        observations: Float[Tensor, "*M N T F"],
        noise: Float[Tensor, "*M N T H"] | None = None,
    ) -> Float[Tensor, "*M N T H"]:
        """See `Network`; `noise` is ignored."""
        weight, bias, recurrent = (weights[name] for name in ("input.weight", "input.bias", "recurrent.weight"))
        hidden, cell = self.start(weights, observations.shape[-3])
        if weight.ndim == 2 and observations.device.type == "cpu":
            # PyTorch's own function makes all steps in one call here, which takes less than half the time of the loop.
            # It reads whatever lies there if the shapes are wrong, where other functions raise.
            shapes, f, h = [tuple(v.shape) for v in (weight, recurrent, bias)], observations.shape[-1], self.n_units
            if shapes != [(f, 4 * h), (h, 4 * h), (4 * h,)]:
                raise ValueError(
                    f"weights of shapes {shapes} are not for {f} inputs and n_units={h}: make or load others"
                )
            parameters = (weight.T, recurrent.T, bias, torch.zeros_like(bias))
            return torch.lstm(observations, (hidden[None], cell[None]), parameters, True, 1, 0.0, True, False, True)[0]
        states = []
        for drive in affine(observations, weight, bias).unbind(-2):
            hidden, cell = _lstm(hidden, cell, drive, recurrent)
            states.append(hidden)
        return torch.stack(states, -2)


def _uniform(n_units: int, rng: torch.Generator, *shape: int) -> Tensor:
    return nn.init.uniform_(torch.empty(shape, dtype=torch.float32), -(n_units**-0.5), n_units**-0.5, rng)


def _add_product(drive: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
    return (torch.addmm if weight.ndim == 2 else torch.baddbmm)(drive, hidden, weight)


def _gru(hidden: Tensor, recurrent: Tensor, candidate: Tensor, weight: Tensor) -> Tensor:
    r, z, n = _add_product(recurrent, hidden, weight).chunk(3, -1)
    return torch.lerp(torch.tanh(candidate + r.sigmoid() * n), hidden, z.sigmoid())


def _lstm(hidden: Tensor, cell: Tensor, drive: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = _add_product(drive, hidden, weight).chunk(4, -1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell
