"""The flat vector of trained weights, as updates need it, and its padding to that of larger networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from mtrnn_agents.networks.base import FIXED, Weights


class Layout(NamedTuple):
    """Where each trained weight lies in the flat vector of all: their shapes by name, in the order of the vector."""

    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, weights: Weights) -> Layout:
        """The layout of the trained ones among `weights`."""
        return cls({name: tuple(v.shape) for name, v in weights.items() if not name.startswith(FIXED)})

    def pack(self, weights: Weights) -> Float[np.ndarray, " P"]:
        """The flat vector of `weights`."""
        return np.concatenate([weights[name].detach().cpu().numpy().ravel() for name in self.shapes])

    def unpack(self, flat: Float[Tensor, "*M P"]) -> Weights:
        """Views of a flat vector, by name."""
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()], -1)
        return {name: part.unflatten(-1, self.shapes[name]) for name, part in zip(self.shapes, parts, strict=True)}


def assembled(first: Weights, flat: Float[np.ndarray, " P"]) -> Weights:
    """All weights of a network that began with `first`: the trained ones from `flat`, copied, and the fixed ones."""
    trained = {name: part.clone() for name, part in Layout.of(first).unpack(torch.from_numpy(flat)).items()}
    return trained | {name: v for name, v in first.items() if name.startswith(FIXED)}


def widened(flat: np.ndarray, own: Layout, common: Layout) -> np.ndarray:
    """A flat vector in the common layout, with zeros where the network has nothing."""
    if own == common:
        return flat.copy()
    wide = torch.zeros(sum(math.prod(shape) for shape in common.shapes.values()))
    for (name, part), shape in zip(own.unpack(torch.from_numpy(flat)).items(), common.shapes.values(), strict=True):
        common.unpack(wide)[name].copy_(padded(part, shape))
    return wide.numpy()


def narrowed(flat: np.ndarray, common: Layout, own: Layout) -> np.ndarray:
    """A flat vector in a network's own layout, from the common one."""
    if own == common:
        return flat.copy()
    wide = common.unpack(torch.from_numpy(flat))
    return own.pack({name: wide[name][tuple(map(slice, shape))] for name, shape in own.shapes.items()})


def padded(values: Tensor, shape: Sequence[int], fill: float = 0) -> Tensor:
    """`values` with `fill` behind, up to `shape`, along as many of the last axes as that has."""
    pairs = zip(values.shape[::-1], shape[::-1], strict=False)
    return pad(values, [n for have, want in pairs for n in (0, want - have)], value=fill)
