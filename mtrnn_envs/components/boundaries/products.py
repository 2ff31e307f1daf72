"""The multiplicative tasks of the paper: is x in this orthant, with a product of its latents above a threshold?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs.components.boundaries.base import HALF, Section
from mtrnn_envs.utils.arrays import Array, like


@dataclass(frozen=True, eq=False)
class Product:
    """The multiplicative tasks of the paper: +1 where x lies in orthant `signs[k]` and |x_1 ... x_D| > thresholds[k].

    For D = 2 the thresholds are 0.2 linspace(1/(2N), 1, N/4) in each quadrant (public code of arXiv:2407.11249);
    0.2 is 0.8 of the largest product, 2^-D, and this is how other D are scaled here. Classes are unbalanced.
    """

    signs: Float[np.ndarray, "K D"]
    thresholds: Float[np.ndarray, " K"]

    def margins(self, latents: Float[Array, "*N D"]) -> Float[Array, "*N K"]:
        """|x_1 ... x_D| in the orthant, 0 outside, less the threshold."""
        signs, thresholds = like(self.signs, latents), like(self.thresholds, latents)
        # The product of the parts of x that point into the orthant is |x_1 ... x_D| inside it and 0 elsewhere.
        product = (latents[..., :1] * signs[:, 0]).clip(0, None)
        for d in range(1, signs.shape[1]):
            product = product * (latents[..., d : d + 1] * signs[:, d]).clip(0, None)
        return product - thresholds

    def section(self, d: int, x: Float[np.ndarray, "*N K D"]) -> Section:
        """A half-line that begins where the product reaches the threshold."""
        product = np.ones(1)
        for e in range(x.shape[-1]):
            if e != d:
                product = product * np.clip(x[..., e] * self.signs[:, e], 0, None)
        reach, plus = self.thresholds / np.maximum(product, 1e-300), self.signs[:, d] > 0
        return Section(np.where(plus, reach, -np.inf), np.where(plus, np.inf, -reach), False)

    def steepest_latent(self, sigmas: Float[np.ndarray, " D"]) -> Int[np.ndarray, " K"]:
        """The last latent."""
        return np.full(len(self.signs), len(sigmas) - 1)

    def kinks(self, d: int) -> Float[np.ndarray, "K B"]:
        """Where the threshold enters the box."""
        return (self.signs[:, 1 - d] * self.thresholds / HALF)[:, None]


def product(n_tasks: int, n_dims: int, seed: int) -> Product:
    """See `Product`; N must be a multiple of 2^D."""
    if n_dims > 13:
        raise ValueError(f"n_dims={n_dims} is too many for boundaries='product', which takes 13 at most")
    if n_tasks % 2**n_dims:
        raise ValueError(
            f"n_tasks={n_tasks} is not a multiple of 2**n_dims={2**n_dims}, which boundaries='product' needs: "
            "each orthant has equally many tasks"
        )
    n_each = n_tasks // 2**n_dims
    orthants = np.array([[1 - 2 * (q >> d & 1) for d in range(n_dims)] for q in range(2**n_dims)], dtype=float)
    thresholds = 0.8 * 0.5**n_dims * np.linspace(1 / (2 * n_tasks), 1, n_each)
    return Product(np.repeat(orthants, n_each, axis=0), np.tile(thresholds, 2**n_dims))
