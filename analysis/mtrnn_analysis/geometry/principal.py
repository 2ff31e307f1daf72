"""Principal components of states. Axis letters: N points, H units, C components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA

from mtrnn_analysis.result import ShortRepr


@dataclass(frozen=True, eq=False, repr=False)
class PrincipalComponents(ShortRepr):
    """The directions in which states vary most.

    Attributes:
        mean: of the states, `[H]`.
        axes: orthonormal rows, most variance first, `[C, H]`; the largest entry of each is positive.
        shares: the share of the total variance along each, `[C]`.
    """

    mean: Float[np.ndarray, " H"]
    axes: Float[np.ndarray, "C H"]
    shares: Float[np.ndarray, " C"]

    def project(self, states: Float[np.ndarray, "*N H"]) -> Float[np.ndarray, "*N C"]:
        """The coordinates of states along the axes, in the states' unit."""
        return (states - self.mean) @ self.axes.T


def principal_components(states: Float[np.ndarray, "N H"], n_components: int) -> PrincipalComponents:
    """The first principal components of states, by scikit-learn's `PCA` in float64.

    Raises:
        ValueError: if `n_components` is greater than N or H.
    """
    with np.errstate(invalid="ignore"):  # states that do not vary have no shares: NaN
        pca: Any = PCA(n_components, svd_solver="covariance_eigh").fit(states.astype(np.float64))
    return PrincipalComponents(pca.mean_, pca.components_, pca.explained_variance_ratio_)
