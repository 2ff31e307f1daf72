"""The contract of a kind of noise: draws, a sufficient statistic of the samples, and the likelihood it leads to.

Each latent has its own stream, and streams are independent. Letters: N trials, S stimulus steps, D latents. Arrays
broadcast; units are those of the latents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs.utils.arrays import AnyGenerator, Array, Numbers, Values

HALF = 0.5  # the latents lie in [-HALF, HALF]
NEGLIGIBLE = 40.0  # nats below its peak at which a density counts as zero
NARROWEST = 1e-9  # of the intervals that are integrated over, in units of the latents


@runtime_checkable
class Likelihood(Protocol):
    """The posterior of one latent under a flat prior on the box: a frozen dataclass of arrays that broadcast."""

    def log_density(self, x: Numbers) -> Values:
        """Normalised over the real line, not over the box."""
        ...

    def log_mass(self) -> Values:
        """ln P(|x| < 1/2), which is also the log density of the statistic when x is uniform on the box."""
        ...

    def support(self) -> tuple[Values, Values]:
        """The part of the box outside which the density is negligible (or a little more than that)."""
        ...

    def survival(self, x: Numbers) -> Values:
        """P(X > x) of the distribution truncated to the box."""
        ...

    def quantile(self, u: Numbers) -> Values:
        """The x below which a share `u` of the truncated distribution lies."""
        ...


class Noise(ABC):
    """A kind of noise, standardised: mean 0 and standard deviation 1 at every step and stream.

    The samples of a latent must have a sufficient statistic of one number, in units of the latents. The attributes say
    how exact averages are taken; their defaults are safe.

    Attributes:
        reach: standard errors beyond the box within which all likely values of the statistic lie.
        edge: standard errors over which the density of the statistic falls to nothing at an end of the box.
        symmetric: whether the noise and its mirror image are the same.
        cost: how many times as long as a normal distribution the likelihood takes.
    """

    reach: float = 13.0
    edge: float = 30.0
    symmetric: bool = False
    cost: int = 4

    @property
    def gaussian_steps(self) -> bool:
        """Whether the statistic is the mean of independent normal samples, as optimal stopping needs it."""
        return False

    @abstractmethod
    def draw(self, out: Float[Array, "N S D"], rng: AnyGenerator) -> None:
        """Fills `out` (float32, numpy or torch) with draws from `rng`."""

    @abstractmethod
    def statistic(
        self, evidence: Float[np.ndarray, "N S D"], sigmas: Float[np.ndarray, " D"]
    ) -> Float[np.ndarray, "N S D"]:
        """The sufficient statistic after every stimulus step."""

    @abstractmethod
    def likelihood(self, statistic: Numbers, n_samples: Numbers, sigma: float) -> Likelihood:
        """Of a latent, given the statistic of `n_samples` samples."""

    def effective_samples(self, n_samples: Numbers) -> Values:
        """The number of independent samples whose mean has the same standard error as that of `n_samples`."""
        return np.asarray(n_samples, float)

    def standard_error(self, n_samples: Numbers, sigmas: Numbers) -> Values:
        """The standard deviation of the (generalised least squares) mean of `n_samples` samples."""
        return sigmas / np.sqrt(self.effective_samples(n_samples))

    def draw_statistic(
        self,
        latents: Float[np.ndarray, "N D"],
        n_samples: Int[np.ndarray, " N"],
        sigmas: Float[np.ndarray, " D"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "N D"]:
        """The statistic of `n_samples` samples of each trial: its exact law, here by drawing them."""
        noise = np.empty((len(latents), int(n_samples.max()), latents.shape[1]), np.float32)
        self.draw(noise, rng)
        return self.statistic(latents[:, None] + sigmas * noise, sigmas)[np.arange(len(latents)), n_samples - 1]
