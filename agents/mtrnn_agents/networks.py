"""Recurrent networks: one step at a time for environments, whole sequences for training; the two agree."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import skip_init

from mtrnn_envs.checks import whole


class LeakyRNN(nn.Module):
    """The leaky ReLU network of the public code of arXiv:2407.11249:

        r(t) = (1 - a) r(t-1) + a relu(W_in u(t) + b_in + W r(t-1) + b),    r(-1) = 0,    logits(t) = V r(t) + c

    with a = dt / tau. At a = 1, the default as there, it is a ReLU Elman network. Weights and biases start uniform on
    ±1/sqrt(fan-in). Axes: N trials, T steps, F inputs, H units, A answers.

    Arguments:
        n_inputs: F.
        n_outputs: A.
        n_units: H.
        alpha: a, in (0, 1].
        generator: the source of the first weights; None leaves them to be loaded.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        n_units: int = 64,
        alpha: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        for name, value in {"n_inputs": n_inputs, "n_outputs": n_outputs, "n_units": n_units}.items():
            whole(name, value, 1)
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha={alpha!r} is not in (0, 1]")
        self.n_inputs, self.n_outputs, self.n_units, self.alpha = n_inputs, n_outputs, n_units, alpha
        self.input = _layer(n_inputs, n_units, generator)
        self.recurrent = _layer(n_units, n_units, generator)
        self.output = _layer(n_units, n_outputs, generator)

    def start(self, n: int) -> Float[Tensor, "N H"]:
        """The state before the first step of `n` trials: zeros."""
        return self.output.weight.new_zeros(n, self.n_units)

    def step(self, hidden: Float[Tensor, "N H"], observation: Float[Tensor, "N F"]) -> Float[Tensor, "N H"]:
        """The state in which `observation` has been seen, from the state before it."""
        return self._next(hidden, self.input(observation) + self.recurrent.bias, self.recurrent.weight.T)

    def forward(
        self, observations: Float[Tensor, "N T F"], hidden: Float[Tensor, "N H"] | None = None
    ) -> tuple[Float[Tensor, "N T A"], Float[Tensor, "N T H"]]:
        """Logits and states of whole sequences, from the state `hidden` (zeros if None).

        The products with the inputs and for the outputs are made for all steps at once, outside the loop.
        """
        weight = self.recurrent.weight.T
        bias = self.input.bias + self.recurrent.bias
        hidden = self.start(len(observations)) if hidden is None else hidden
        states = []
        for drive in linear(observations.transpose(0, 1), self.input.weight, bias).unbind(0):
            hidden = self._next(hidden, drive, weight)
            states.append(hidden)
        stacked = torch.stack(states)
        return self.output(stacked).transpose(0, 1), stacked.transpose(0, 1)

    def _next(self, hidden: Tensor, drive: Tensor, weight: Tensor) -> Tensor:
        rate = torch.relu(torch.addmm(drive, hidden, weight))
        return rate if self.alpha == 1 else torch.lerp(hidden, rate, self.alpha)


def _layer(n_inputs: int, n_outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """A layer whose first weights are from `generator`, or not drawn: PyTorch would use the global generator."""
    layer: Any = skip_init(nn.Linear, n_inputs, n_outputs)
    if generator is not None:
        bound = 1 / math.sqrt(n_inputs)
        for parameter in (layer.weight, layer.bias):
            nn.init.uniform_(parameter, -bound, bound, generator)
    return layer
