"""The contract of a network, and the functions that networks share.

A network is frozen settings and pure functions of its weights, so that training, checkpoints and many networks at once
need to know nothing else of it. Its two forms agree: `step`, one observation at a time, for environments, and
`sequence`, whole trials, for training. A new network is one frozen dataclass in one file, and one line: in
`mtrnn_agents.networks.registry.NETWORKS`, or in the entry-point group `mtrnn.networks` of another package.

Axes: N trials, T steps, F inputs, H units, A answers; weight matrices are `[from, to]`. Every function also takes
weights of M networks stacked along a first axis, with inputs `[M, N, ...]`: annotated as `*M`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mtrnn_envs import EvidenceTask

Weights: TypeAlias = dict[str, Tensor]
State: TypeAlias = tuple[Tensor, ...]
Observation: TypeAlias = Float[Tensor, "*M N F"]
Observations: TypeAlias = Float[Tensor, "*M N T F"]
UnitNoise: TypeAlias = Float[Tensor, "*M N H"]
UnitNoises: TypeAlias = Float[Tensor, "*M N T H"]
Activity: TypeAlias = Float[Tensor, "*M N T H"]
# Weights under these names are kept with the others but not trained.
FIXED = "fixed."


class Sizes(NamedTuple):
    """The numbers of inputs F, outputs A, and steps T of the longest trial that a task needs."""

    n_inputs: int
    n_outputs: int
    n_steps: int

    @classmethod
    def of(cls, task: EvidenceTask) -> Sizes:
        """The sizes that `task` needs."""
        return cls(task.n_features, task.n_answers, task.n_steps)


@runtime_checkable
class Network(Protocol):
    """An architecture. Logits are `read(weights, hidden)`, so `output.weight` `[H, A]` and `output.bias` are needed."""

    @property
    def n_units(self) -> int:
        """H."""
        ...

    def first_weights(self, sizes: Sizes, rng: torch.Generator) -> Weights:
        """Weights to start training from, float32; those named `FIXED + ...` stay as they are."""
        ...

    def start(self, weights: Weights, n: int) -> State:
        """The state before the first step of `n` trials: zeros, the first of them the hidden activity."""
        ...

    def step(self, weights: Weights, state: State, observation: Observation, noise: UnitNoise | None = None) -> State:
        """The state after `observation`, from the state before it; the hidden activity `[N, H]` comes first."""
        ...

    def sequence(self, weights: Weights, observations: Observations, noise: UnitNoises | None = None) -> Activity:
        """The hidden activity at every step of whole trials, `[N, T, H]`."""
        ...


class Recurrent:
    """The part that recurrent networks share: the loop over steps, with what does not depend on the state outside it.

    A subclass defines `_next`, and `_drives` if the inputs act by more than one product; see `Network`.
    """

    n_units: int
    _next: Callable[..., State]  # the next state, from this one, its drives and the recurrent matrix

    def start(self, weights: Weights, n: int) -> State:
        """See `Network`."""
        return (zeros(weights, n, self.n_units),)

    def recurrent(self, weights: Weights) -> Float[Tensor, "*M H G"]:
        """The recurrent matrix that acts."""
        return weights["recurrent.weight"]

    def step(self, weights: Weights, state: State, observation: Observation, noise: UnitNoise | None = None) -> State:
        """See `Network`; `noise` is ignored by networks that have none."""
        return self._next(state, *self._drives(weights, observation, noise), self.recurrent(weights))

    def sequence(self, weights: Weights, observations: Observations, noise: UnitNoises | None = None) -> Activity:
        """See `Network`; `noise` is ignored by networks that have none."""
        drives, recurrent = self._drives(weights, observations, noise), self.recurrent(weights)
        state, hidden = self.start(weights, observations.shape[-3]), []
        for step in zip(*(drive.unbind(-2) for drive in drives), strict=True):
            state = self._next(state, *step, recurrent)
            hidden.append(state[0])
        return torch.stack(hidden, -2)

    def _drives(self, weights: Weights, inputs: Float[Tensor, "*B F"], noise: Tensor | None) -> tuple[Tensor, ...]:
        """The terms of the next state that do not depend on this one."""
        return (affine(inputs, weights["input.weight"], weights["input.bias"]),)


def fitting(network: Network, sizes: Sizes, weights: Weights) -> Weights:
    """`weights` in the order of those that `network` begins with, which a file does not keep.

    Raises:
        ValueError: if they are not as many and of the shapes that the network needs.
    """
    needed = network.first_weights(sizes, torch.Generator())
    for name in dict.fromkeys([*needed, *weights]):
        have, need = (tuple(w[name].shape) if name in w else None for w in (weights, needed))
        if have != need:
            raise ValueError(f"weights[{name!r}] has shape {have}; the task and {network} need {need}")
    return {name: weights[name] for name in needed}


def noise_of(network: Network) -> float:
    """The standard deviation of the network's own noise: its field `noise`, or 0 if it has none."""
    return getattr(network, "noise", 0.0)


def read(weights: Weights, hidden: Float[Tensor, "*B H"]) -> Float[Tensor, "*B A"]:
    """The logits of the probability of +1, read linearly from hidden activity."""
    return affine(hidden, weights["output.weight"], weights["output.bias"])


def affine(
    inputs: Float[Tensor, "*B I"], weight: Float[Tensor, "*M I O"], bias: Float[Tensor, "*M O"]
) -> Float[Tensor, "*B O"]:
    """inputs weight + bias; for M networks at once if the weights have a first axis M, as the inputs then have too."""
    if weight.ndim == 2:
        return torch.addmm(bias, inputs.reshape(-1, inputs.shape[-1]), weight).view(*inputs.shape[:-1], -1)
    rows = inputs.reshape(len(weight), -1, inputs.shape[-1])
    return torch.baddbmm(bias[:, None], rows, weight).view(*inputs.shape[:-1], -1)


def layer(name: str, n_inputs: int, n_outputs: int, rng: torch.Generator) -> Weights:
    """A matrix `[n_inputs, n_outputs]` and a bias, uniform on ±1/sqrt(n_inputs), as PyTorch's `nn.Linear` starts."""
    bound = 1 / math.sqrt(n_inputs)
    weight, bias = (torch.empty(shape, dtype=torch.float32) for shape in ((n_inputs, n_outputs), (n_outputs,)))
    for values in (weight, bias):
        nn.init.uniform_(values, -bound, bound, rng)
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def uniform(n_units: int, rng: torch.Generator, *shape: int) -> Tensor:
    """Weights of this shape, uniform on ±1/sqrt(n_units), as PyTorch's recurrent layers start."""
    return nn.init.uniform_(torch.empty(shape, dtype=torch.float32), -(n_units**-0.5), n_units**-0.5, rng)


def add_product(drive: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
    """drive + hidden weight; for M networks at once, as `affine`."""
    return (torch.addmm if weight.ndim == 2 else torch.baddbmm)(drive, hidden, weight)


def zeros(weights: Weights, n: int, *shape: int) -> Tensor:
    """A part of a starting state, `[n, *shape]`, or `[M, n, *shape]` where weights are those of M networks."""
    output = weights["output.weight"]
    return output.new_zeros(*output.shape[:-2], n, *shape)
