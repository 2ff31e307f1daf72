"""The geometry of states. Axis letters: N points, H units, C components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The directions in which states vary most.

    Attributes:
        mean: of the states, `[H]`.
        axes: orthonormal rows, most variance first, `[C, H]`. Of the two signs of an axis, the one is taken that
            makes its largest entry positive.
        shares: the share of the total variance along each, `[C]`.
    """

    mean: Float[np.ndarray, " H"]
    axes: Float[np.ndarray, "C H"]
    shares: Float[np.ndarray, " C"]

    def project(self, states: Float[np.ndarray, "*N H"]) -> Float[np.ndarray, "*N C"]:
        """The coordinates of states along the axes, in the states' unit."""
        return (states - self.mean) @ self.axes.T


def principal_components(states: Float[np.ndarray, "N H"], n_components: int) -> PrincipalComponents:
    """The first principal components of states, by the eigenvectors of their covariance in float64.

    Raises:
        ValueError: if `n_components` is not between 1 and H.
    """
    if not 1 <= n_components <= states.shape[1]:
        raise ValueError(f"n_components={n_components!r} is not a whole number from 1 to {states.shape[1]}, the units")
    centred = states - states.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :n_components].T
    axes = axes * np.sign(axes[np.arange(n_components), np.abs(axes).argmax(axis=1)])[:, None]
    total = max(float(values.sum()), np.finfo(float).tiny)
    return PrincipalComponents(states.mean(axis=0, dtype=np.float64), axes, values[::-1][:n_components] / total)
