"""The causal transformer of the paper: GPT-2's blocks on projected observations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

from mtrnn_agents.networks.base import (
    FIXED,
    Activity,
    Observation,
    Observations,
    Sizes,
    State,
    UnitNoise,
    UnitNoises,
    Weights,
    affine,
    zeros,
)
from mtrnn_agents.networks.options import check_fields, option

# Standard deviation of first weights, and the width of the inner layer over that of the network (GPT-2).
SCALE = 0.02
INNER = 4


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A causal transformer with the blocks of GPT-2 (Radford et al. 2019), as arXiv:2407.11249 trains:

        x = u W_in + b + positions,    x = x + attention(norm(x)),    x = x + MLP(norm(x)),    hidden = norm(x)

    the second and third once for each layer. Attention sees this step and those before it; the MLP is 4 H wide with
    GELU in the form with tanh. Weights start N(0, 0.02), divided by sqrt(2 layers) where they write to the sum x;
    biases start at 0, norms as the identity. There is neither dropout, which GPT-2 has, nor noise. By default there are
    no positions, as in the public code of the paper, which sets GPT-2's to 0: one layer then sees no order of inputs.

    The state is (hidden `[N, H]`, steps seen `[N]`, then for each layer keys and values `[N, T, 2 H]`): where no step
    has been seen, a trial begins, whatever else is there.

    Raises:
        ValueError: if a field is out of its range; if a trial is longer than `sizes.n_steps`.
    """

    n_units: int = option(64, "width H", low=1)
    n_heads: int = option(8, "attention heads, a divisor of n_units", low=1)
    n_layers: int = option(1, "layers", low=1)
    positions: bool = option(False, "whether a learned vector for each step is added to the projected input")

    def __post_init__(self) -> None:
        check_fields(self)
        if self.n_units % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads} does not divide n_units={self.n_units}")

    def first_weights(self, sizes: Sizes, rng: torch.Generator) -> Weights:
        """See `Network`. `positions` `[T, H]` are there in any case, at 0 and fixed if not wanted: they tell T."""
        h, weights = self.n_units, {}

        def normal(*shape: int, scale: float = SCALE) -> Tensor:
            return nn.init.normal_(torch.empty(shape, dtype=torch.float32), 0, scale, rng)

        def affine_layer(name: str, n_inputs: int, n_outputs: int, scale: float = SCALE) -> None:
            weights[f"{name}.weight"] = normal(n_inputs, n_outputs, scale=scale)
            weights[f"{name}.bias"] = torch.zeros(n_outputs, dtype=torch.float32)

        def norm(name: str) -> None:
            weights[f"{name}.weight"] = torch.ones(h, dtype=torch.float32)
            weights[f"{name}.bias"] = torch.zeros(h, dtype=torch.float32)

        residual = SCALE / (2 * self.n_layers) ** 0.5
        affine_layer("input", sizes.n_inputs, h)
        if self.positions:
            weights["positions"] = normal(sizes.n_steps, h)
        else:
            weights[FIXED + "positions"] = torch.zeros(sizes.n_steps, h, dtype=torch.float32)
        for block in self._blocks():
            norm(f"{block}.attention.norm")
            affine_layer(f"{block}.attention.from", h, 3 * h)  # queries, keys, values
            affine_layer(f"{block}.attention.to", h, h, residual)
            norm(f"{block}.mlp.norm")
            affine_layer(f"{block}.mlp.from", h, INNER * h)
            affine_layer(f"{block}.mlp.to", INNER * h, h, residual)
        norm("norm")
        affine_layer("output", h, sizes.n_outputs)
        return weights

    def start(self, weights: Weights, n: int) -> State:
        """See `Network`."""
        caches = (zeros(weights, n, self._positions(weights).shape[-2], 2 * self.n_units) for _ in self._blocks())
        return zeros(weights, n, self.n_units), zeros(weights, n).long(), *caches

    def step(self, weights: Weights, state: State, observation: Observation, noise: UnitNoise | None = None) -> State:
        """See `Network`; `noise` is ignored."""
        _, seen, *caches = state
        positions = self._positions(weights)
        n_steps = positions.shape[-2]
        if (seen >= n_steps).any():
            raise ValueError(
                f"a trial goes on after n_steps={n_steps}, the longest that the network is made for; give "
                "episode_start where trials begin"
            )
        steps = torch.arange(n_steps, device=seen.device)
        here, visible = steps == seen[..., None], steps <= seen[..., None]
        x = _apply(weights, "input", observation) + here.to(positions.dtype) @ positions
        for i, block in enumerate(self._blocks()):
            queries, new = self._projected(weights, block, x).split([self.n_units, 2 * self.n_units], -1)
            caches[i] = torch.where(here[..., None], new[..., None, :], caches[i])
            attended = self._attend(queries[..., None, :], caches[i], visible[..., None, None, :]).squeeze(-2)
            x = self._finished(weights, block, x, attended)
        return _norm(weights, "norm", x), seen + 1, *caches

    def sequence(self, weights: Weights, observations: Observations, noise: UnitNoises | None = None) -> Activity:
        """See `Network`; `noise` is ignored."""
        n_steps, positions = observations.shape[-2], self._positions(weights)
        if n_steps > positions.shape[-2]:
            raise ValueError(
                f"observations have {n_steps} steps, the network is made for n_steps={positions.shape[-2]} at most; "
                "make it for the longer task"
            )
        x = _apply(weights, "input", observations) + positions[..., None, :n_steps, :]
        for block in self._blocks():
            queries, cache = self._projected(weights, block, x).split([self.n_units, 2 * self.n_units], -1)
            x = self._finished(weights, block, x, self._attend(queries, cache))
        return _norm(weights, "norm", x)

    def _blocks(self) -> list[str]:
        return [f"block{i}" for i in range(self.n_layers)]

    def _positions(self, weights: Weights) -> Float[Tensor, "*M T H"]:
        return weights["positions" if self.positions else FIXED + "positions"]

    def _projected(self, weights: Weights, block: str, x: Float[Tensor, "*B H"]) -> Float[Tensor, "*B H3"]:
        return _apply(weights, f"{block}.attention.from", _norm(weights, f"{block}.attention.norm", x))

    def _attend(
        self,
        queries: Float[Tensor, "*B Q H"],
        cache: Float[Tensor, "*B T H2"],
        visible: Bool[Tensor, "*B 1 1 T"] | None = None,
    ) -> Float[Tensor, "*B Q H"]:
        """The output of the heads over the keys and values that are `visible`; if None, over those up to the query."""
        parts = (queries, *cache.chunk(2, -1))
        q, k, v = (part.unflatten(-1, (self.n_heads, -1)).transpose(-2, -3) for part in parts)
        attended = scaled_dot_product_attention(q, k, v, visible, is_causal=visible is None)
        return attended.transpose(-2, -3).flatten(-2)

    def _finished(
        self, weights: Weights, block: str, x: Float[Tensor, "*B H"], attended: Float[Tensor, "*B H"]
    ) -> Float[Tensor, "*B H"]:
        """The output of a block, from its input and the output of its heads."""
        x = x + _apply(weights, f"{block}.attention.to", attended)
        inner = _apply(weights, f"{block}.mlp.from", _norm(weights, f"{block}.mlp.norm", x))
        return x + _apply(weights, f"{block}.mlp.to", gelu(inner, approximate="tanh"))


def _apply(weights: Weights, name: str, inputs: Tensor) -> Tensor:
    return affine(inputs, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Layer norm over the last axis; for M networks at once, as `affine`."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    if weight.ndim == 1:
        return layer_norm(x, weight.shape, weight, bias)
    weight, bias = (v.view(len(v), *(1,) * (x.ndim - 2), -1) for v in (weight, bias))
    return torch.addcmul(bias, layer_norm(x, x.shape[-1:]), weight)
