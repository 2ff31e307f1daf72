"""The leaky RNN of the paper, with the options of PsychRNN."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mtrnn_agents.networks.base import FIXED, Recurrent, Sizes, State, Weights, add_product, layer
from mtrnn_agents.networks.options import check_fields, option
from mtrnn_envs.utils.validation import attribute_named

# A kind of start is one row: from the matrix [H, H] to be filled and the generator.
INITIALIZATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "uniform": lambda matrix, rng: nn.init.uniform_(matrix, -(len(matrix) ** -0.5), len(matrix) ** -0.5, rng),
    "orthogonal": lambda matrix, rng: nn.init.orthogonal_(matrix, generator=rng),
    "sparse": lambda matrix, rng: _sparse(matrix, rng),
}
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}


def _sparse(matrix: Tensor, rng: torch.Generator, share: float = 0.1) -> Tensor:
    """Normal weights of variance 1 / (share H) on a random `share` of places, 0 elsewhere.

    Sussillo & Abbott 2009, doi:10.1016/j.neuron.2009.07.018.
    """
    nn.init.normal_(matrix, 0, (share * len(matrix)) ** -0.5, rng)
    return matrix.mul_(torch.rand(matrix.shape, generator=rng) < share)


@dataclass(frozen=True, kw_only=True)
class LeakyRNN(Recurrent):
    """The leaky network of the public code of arXiv:2407.11249, with the options that users of PsychRNN have:

        z(t) = u(t) W_in + b + r(t-1) W + sqrt(2 / a) s xi(t),    r(t) = (1 - a) r(t-1) + a f(z(t)),    r(-1) = 0

    with a = dt / tau, and r(t-1) in place of (1 - a) r(t-1) in the non-leaky form. At a = 1, the default as there, it
    is an Elman network. xi is standard normal (Song, Yang & Wang 2016, doi:10.1371/journal.pcbi.1004792): alone, at
    slope 1, it gives r a standard deviation of s sqrt(2 / (2 - a)). It is added in training, and in acting unless that
    is deterministic. W is masked by `connectivity`; with Dale's law it is |W| times the sign of the unit that it comes
    from. Weights start uniform on ±1/sqrt(fan-in). PsychRNN: Ehrlich et al. 2021, doi:10.1523/ENEURO.0427-20.2020.

    Raises:
        ValueError: if a field is out of its range.
    """

    n_units: int = option(64, "units H", low=1)
    alpha: float = option(1.0, "dt / tau, in (0, 1]", above=0, high=1)
    leaky: bool = option(True, "whether activity decays: (1 - alpha) r + ..., not r + ...")
    activation: str = option("relu", "'relu' or 'tanh'", among=ACTIVATIONS)
    noise: float = option(0.0, "standard deviation s of the noise of the units", low=0, high=1e6)
    initialization: str = option(
        "uniform", "first recurrent weights: 'uniform', 'orthogonal' or 'sparse' (1 in 10)", among=INITIALIZATIONS
    )
    connectivity: float | str = option(
        1.0,
        "share of recurrent connections that exist, drawn at random, or 'module:attribute', an array [H, H] of 0, 1",
        above=0,
        high=1,
    )
    excitatory: float | None = option(
        None, "Dale's law: the share of units that are excitatory; None for no such law", low=0, high=1
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if isinstance(self.connectivity, str):
            _named_mask(self.connectivity, self.n_units)

    def named_arrays(self) -> dict[str, np.ndarray]:
        """The named mask, if there is one: other contents make another run."""
        name = self.connectivity
        return {"connectivity": _named_mask(name, self.n_units)} if isinstance(name, str) else {}

    def first_weights(self, sizes: Sizes, rng: torch.Generator) -> Weights:
        """See `Network`."""
        h = self.n_units
        recurrent = INITIALIZATIONS[self.initialization](torch.empty(h, h, dtype=torch.float32), rng)
        weights = {
            **layer("input", sizes.n_inputs, h, rng),
            "recurrent.weight": recurrent,
            **layer("output", h, sizes.n_outputs, rng),
        }
        if isinstance(self.connectivity, str):
            weights[FIXED + "mask"] = torch.tensor(_named_mask(self.connectivity, h))
        elif self.connectivity < 1:
            weights[FIXED + "mask"] = (torch.rand(h, h, generator=rng) < self.connectivity).float()
        if self.excitatory is not None:
            n_excitatory = round(self.excitatory * h)
            weights[FIXED + "sign"] = torch.where(torch.arange(h) < n_excitatory, 1.0, -1.0).float()
            if 0 < n_excitatory < h:  # the few inhibitory units start strong enough to balance the others
                recurrent[n_excitatory:] *= n_excitatory / (h - n_excitatory)
        return weights

    def recurrent(self, weights: Weights) -> Float[Tensor, "*M H H"]:
        """The recurrent matrix that acts: masked, and with Dale's law of one sign for each unit that it comes from."""
        matrix = weights["recurrent.weight"]
        if self.excitatory is not None:
            # |W|, with a slope at 0 too: a sparse start is a start, and connections may grow from it.
            matrix = torch.where(matrix < 0, -matrix, matrix) * weights[FIXED + "sign"][..., None]
        return matrix * weights[FIXED + "mask"] if FIXED + "mask" in weights else matrix

    @property
    def noise_scale(self) -> float:
        """sqrt(2 / a) s, the standard deviation of the noise in the drive of one step."""
        return math.sqrt(2 / self.alpha) * self.noise

    def _drives(self, weights: Weights, inputs: Float[Tensor, "*B F"], noise: Tensor | None) -> tuple[Tensor, ...]:
        (drive,) = super()._drives(weights, inputs, None)
        return (drive if noise is None else drive + noise * self.noise_scale,)

    def _next(self, state: State, drive: Tensor, recurrent: Tensor) -> State:
        (hidden,) = state
        rate = ACTIVATIONS[self.activation](add_product(drive, hidden, recurrent))
        if not self.leaky:
            return (hidden + self.alpha * rate,)
        return (rate if self.alpha == 1 else torch.lerp(hidden, rate, self.alpha),)


def _named_mask(name: str, n_units: int) -> np.ndarray:
    """The array of 0 and 1, `[H, H]` float32, that "module:attribute" names."""
    try:
        mask = np.asarray(attribute_named(name), np.float32)
    except Exception as error:  # importing runs a user's code, which may raise anything
        raise ValueError(f"connectivity={name!r} cannot be imported as 'module:attribute': {error!r}") from error
    if mask.shape != (n_units, n_units) or not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"connectivity={name!r} is an array of shape {mask.shape}; one of 0 and 1 of shape "
            f"{(n_units, n_units)} is needed"
        )
    return mask
