"""A network: the plain recurrent network tanh(u W_in + b + h W)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PlainRNN:
    """h' = tanh(u W_in + b + h W); see `mtrnn_agents.networks.Network`."""

    n_units: int = 16

    def first_weights(self, sizes: Any, rng: torch.Generator) -> dict[str, Tensor]:
        """Normals of the scale of one over the root of the number of units."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=rng) / self.n_units**0.5

        h = self.n_units
        weights = {"input.weight": normal(sizes.n_inputs, h), "input.bias": normal(h), "recurrent.weight": normal(h, h)}
        return weights | {"output.weight": normal(h, sizes.n_outputs), "output.bias": normal(sizes.n_outputs)}

    def start(self, weights: dict[str, Tensor], n: int) -> tuple[Tensor, ...]:
        """Zeros."""
        return (weights["input.bias"].new_zeros(n, self.n_units),)

    def step(
        self, weights: dict[str, Tensor], state: tuple[Tensor, ...], observation: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """One step; it has no noise."""
        drive = observation @ weights["input.weight"] + weights["input.bias"]
        return (torch.tanh(drive + state[0] @ weights["recurrent.weight"]),)

    def sequence(self, weights: dict[str, Tensor], observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """Step by step."""
        state, states = self.start(weights, observations.shape[-3]), []
        for observation in observations.unbind(-2):
            state = self.step(weights, state, observation)
            states.append(state[0])
        return torch.stack(states, -2)
