"""Networks as dynamical systems, in float64 and without their noise: `mtrnn_envs.protocols.Dynamics` of each kind.

Those of the networks here are numpy with derivatives written out, a dozen times as fast as automatic ones; those of a
custom network are by torch. Axis letters: N points, F inputs, H units, S components of the state. Weights are
`[from, to]`, as in the networks, and Jacobians `[n, i, j]`: the derivative of component i of the next state by j of
this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit

from mtrnn_agents.networks.base import Network, Weights
from mtrnn_agents.networks.gru import GRU
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.lstm import LSTM
from mtrnn_envs.protocols import Dynamics, States

Inputs: TypeAlias = Float[np.ndarray, "N F"]
Jacobians: TypeAlias = Float[np.ndarray, "N S S"]


@dataclass(frozen=True, eq=False)
class Cell:
    """The weights of one layer of units, whose drive is u W_in + b + h W.

    Attributes:
        input: W_in, `[F, G H]`, with G gates.
        bias: b, `[G H]`.
        recurrent: W, `[H, G H]`.
    """

    input: Float[np.ndarray, "F G"]
    bias: Float[np.ndarray, " G"]
    recurrent: Float[np.ndarray, "H G"]

    @property
    def n_units(self) -> int:
        """H."""
        return len(self.recurrent)

    def start(self, n: int) -> Float[np.ndarray, "N H"]:
        """Zeros."""
        return np.zeros((n, self.n_units))

    def drive(self, hidden: States, inputs: Inputs) -> Float[np.ndarray, "N G"]:
        """u W_in + b + h W."""
        return inputs @ self.input + self.bias + hidden @ self.recurrent


@dataclass(frozen=True, eq=False)
class Leaky(Cell):
    """r' = (1 - a) r + a f(u W_in + b + r W); see `mtrnn_agents.networks.leaky_rnn.LeakyRNN`.

    Its Jacobian is (1 - a) I + a diag(f'(z)) W^T, with z the drive. The derivative of the ReLU at 0, where it has
    none, is taken as 0, as PyTorch does.

    Attributes:
        keep: 1 - a, or 1 for the form that is not leaky.
        alpha: a.
        activation: "relu" or "tanh".
    """

    keep: float
    alpha: float
    activation: str

    def __call__(self, states: States, inputs: Inputs) -> States:
        """The next states."""
        drive = self.drive(states, inputs)
        return self.keep * states + self.alpha * (np.maximum(drive, 0) if self.activation == "relu" else np.tanh(drive))

    def jacobian(self, states: States, inputs: Inputs) -> Jacobians:
        """The derivative of the next states by these."""
        drive = self.drive(states, inputs)
        slope = (drive > 0).astype(float) if self.activation == "relu" else 1 - np.tanh(drive) ** 2
        found = (self.alpha * slope)[:, :, None] * self.recurrent.T
        _add_to_diagonal(found, self.keep)
        return found


@dataclass(frozen=True, eq=False)
class Gated(Cell):
    """A GRU, with the gates r, z, n in this order; see `mtrnn_agents.networks.gru.GRU`.

    Attributes:
        candidate_bias: b_hn, `[H]`, which r multiplies with h W_hn.
    """

    candidate_bias: Float[np.ndarray, " H"]

    def __call__(self, states: States, inputs: Inputs) -> States:
        """h' = (1 - z) n + z h."""
        _, z, n, _ = self._gates(states, inputs)
        return n + z * (states - n)

    def jacobian(self, states: States, inputs: Inputs) -> Jacobians:
        """With m = h W_hn + b_hn, row i is

        z_i 1_i + (h - n)_i z'_i W_hz[:, i] + (1 - z)_i (1 - n^2)_i (r_i W_hn[:, i] + m_i r'_i W_hr[:, i]).
        """
        r, z, n, m = self._gates(states, inputs)
        to_r, to_z, to_n = np.split(self.recurrent, 3, axis=1)
        through_n = (1 - z) * (1 - n**2)
        found = ((states - n) * z * (1 - z))[:, :, None] * to_z.T
        found += (through_n * r)[:, :, None] * to_n.T
        found += (through_n * m * r * (1 - r))[:, :, None] * to_r.T
        _add_to_diagonal(found, z)
        return found

    def _gates(self, states: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """r, z, n and m."""
        given, h = inputs @ self.input + self.bias, self.n_units
        recurrent = states @ self.recurrent
        gates = expit(given[:, : 2 * h] + recurrent[:, : 2 * h])
        r, z = gates[:, :h], gates[:, h:]
        m = recurrent[:, 2 * h :] + self.candidate_bias
        return r, z, np.tanh(given[:, 2 * h :] + r * m), m


@dataclass(frozen=True, eq=False)
class LongShortTerm:
    """LSTM layers, each of which sees h' of the one before, with the gates i, f, g, o in this order.

    The state is (h, c) of the last layer, then of the one before, and so on, so that h of the last, the recorded
    units, comes first. See `mtrnn_agents.networks.lstm.LSTM`.

    Attributes:
        cells: the layers, the first that sees the inputs first.
        extract: from observations `[N, F]` to inputs of the first layer; None for the observations.
    """

    cells: Sequence[Cell]
    extract: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def n_units(self) -> int:
        """Units of the last layer."""
        return self.cells[-1].n_units

    def start(self, n: int) -> Float[np.ndarray, "N S"]:
        """Zeros."""
        return np.zeros((n, 2 * sum(cell.n_units for cell in self.cells)))

    def __call__(self, states: States, inputs: Inputs) -> States:
        """c' = f c + i g, h' = o tanh(c')."""
        following = np.empty_like(states)
        for cell, part, seen in self._layers(states, inputs, following):
            step = _Passage.of(cell, states[:, part], seen)
            following[:, part] = step.state
        return following

    def jacobian(self, states: States, inputs: Inputs) -> Jacobians:
        """By the gates of each layer, and by the chain rule through h' of the layer before."""
        n, size = states.shape
        following, found, below = np.empty_like(states), np.zeros((n, size, size)), slice(0, 0)
        for cell, part, seen in self._layers(states, inputs, following):
            step, h = _Passage.of(cell, states[:, part], seen), cell.n_units
            following[:, part] = step.state
            own, memory = slice(part.start, part.start + h), slice(part.start + h, part.stop)
            found[:, part, own] = step.slopes(cell.recurrent)
            diagonal = np.arange(h)
            found[:, own.start + diagonal, memory.start + diagonal] = step.through * step.f
            found[:, memory.start + diagonal, memory.start + diagonal] = step.f
            if part.stop < size:
                found[:, part, part.stop :] = step.slopes(cell.input) @ found[:, below, part.stop :]
            below = own
        return found

    def _layers(
        self, states: np.ndarray, inputs: np.ndarray, following: np.ndarray
    ) -> Iterator[tuple[Cell, slice, np.ndarray]]:
        """Each layer, the first first: the cell, its part of the state, and its inputs."""
        seen, stop = inputs if self.extract is None else self.extract(inputs), states.shape[1]
        for cell in self.cells:
            part = slice(stop - 2 * cell.n_units, stop)
            yield cell, part, seen
            seen, stop = following[:, part.start : part.start + cell.n_units], part.start


@dataclass(frozen=True, eq=False)
class Differentiated:
    """Any network whose state is vectors of units, in float64, with Jacobians by automatic differentiation."""

    network: Network
    weights: Weights

    @property
    def n_units(self) -> int:
        """H."""
        return self.network.n_units

    def start(self, n: int) -> Float[np.ndarray, "N S"]:
        """The state before the first step."""
        return torch.cat(self.network.start(self.weights, n), -1).numpy()

    @torch.no_grad()
    def __call__(self, states: States, inputs: Inputs) -> States:
        """The next states."""
        return self._step(torch.tensor(states), torch.tensor(inputs)).numpy()

    def jacobian(self, states: States, inputs: Inputs) -> Jacobians:
        """By `torch.func`."""

        def one(state: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
            return self._step(state[None], seen[None])[0]

        return torch.func.vmap(torch.func.jacrev(one))(torch.tensor(states), torch.tensor(inputs)).detach().numpy()

    def _step(self, states: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        widths = [part.shape[-1] for part in self.network.start(self.weights, 1)]
        return torch.cat(self.network.step(self.weights, states.split(widths, -1), inputs), -1)


def dynamics_of(network: Network, weights: Weights) -> Dynamics:
    """The dynamics of a network with these weights, without its noise.

    Raises:
        ValueError: if its state is more than vectors of units, as the past that a transformer looks back at is.
    """
    weights = {name: v.detach().cpu().double() for name, v in weights.items()}
    known = {name: v.numpy() for name, v in weights.items()}
    # By the very type: a subclass may make another step.
    if type(network) is LeakyRNN:
        keep = 1 - network.alpha if network.leaky else 1.0
        recurrent = network.recurrent(weights).numpy()
        return Leaky(known["input.weight"], known["input.bias"], recurrent, keep, network.alpha, network.activation)
    if type(network) in (GRU, LSTM):
        parts = known["input.weight"], known["input.bias"], known["recurrent.weight"]
        return Gated(*parts, known["recurrent.bias"]) if type(network) is GRU else LongShortTerm([Cell(*parts)])
    state = network.start(weights, 1)
    if any(part.ndim != 2 or not part.is_floating_point() for part in state):
        raise ValueError(f"network={type(network).__name__} looks back at its past: its state has no dynamics")
    return Differentiated(network, weights)


def torch_lstm(lstm: torch.nn.LSTM, extract: Callable[[np.ndarray], np.ndarray] | None = None) -> LongShortTerm:
    """The dynamics of `torch.nn.LSTM`, of one direction and without projections; `extract` makes its inputs."""
    cells = []
    for k in range(lstm.num_layers):
        wide, recurrent, *biases = (v.detach().cpu().double() for v in lstm.all_weights[k])
        bias = torch.stack(biases).sum(0).numpy() if biases else np.zeros(len(wide))
        cells.append(Cell(wide.T.numpy(), bias, recurrent.T.numpy()))
    return LongShortTerm(cells, extract)


class _Passage(NamedTuple):
    """One step of an LSTM layer, `[N, H]` each: gates, c, tanh(c'), and c'."""

    i: np.ndarray
    f: np.ndarray
    g: np.ndarray
    o: np.ndarray
    before: np.ndarray
    squashed: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, cell: Cell, state: np.ndarray, seen: np.ndarray) -> _Passage:
        hidden, before = np.split(state, 2, axis=1)
        i, f, g, o = np.split(cell.drive(hidden, seen), 4, axis=1)
        i, f, g, o = expit(i), expit(f), np.tanh(g), expit(o)
        after = f * before + i * g
        return cls(i, f, g, o, before, np.tanh(after), after)

    @property
    def state(self) -> np.ndarray:
        """(h', c')."""
        return np.concatenate([self.o * self.squashed, self.after], axis=1)

    @property
    def through(self) -> np.ndarray:
        """The derivative of h' by c'."""
        return self.o * (1 - self.squashed**2)

    def slopes(self, weights: np.ndarray) -> np.ndarray:
        """The derivative of (h', c') by the inputs of the gates through `weights` `[I, 4 H]`: `[N, 2 H, I]`."""
        to_i, to_f, to_g, to_o = (w.T for w in np.split(weights, 4, axis=1))
        i, f, g, o = self.i, self.f, self.g, self.o
        memory = (g * i * (1 - i))[:, :, None] * to_i
        memory += (self.before * f * (1 - f))[:, :, None] * to_f
        memory += (i * (1 - g**2))[:, :, None] * to_g
        hidden = (self.squashed * o * (1 - o))[:, :, None] * to_o + self.through[:, :, None] * memory
        return np.concatenate([hidden, memory], axis=1)


def _add_to_diagonal(matrices: Float[np.ndarray, "N S S"], values: float | Float[np.ndarray, "N S"]) -> None:
    """Adds `values` to the diagonal of every matrix, in place."""
    each = np.arange(matrices.shape[1])
    matrices[:, each, each] += values
