"""Codes of x* whose geometry is known, and dynamics whose eigenvalues are: what probes are tried on."""

from __future__ import annotations

import numpy as np

from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.ideal_observer.posterior import posterior, running_means

N_UNITS = 64


def latents_of(rng: np.random.Generator, n: int = 2000, n_dims: int = 2) -> np.ndarray:
    """x* of `n` trials, uniform."""
    return rng.uniform(-0.5, 0.5, (n, n_dims))


def linear(rng: np.random.Generator, latents: np.ndarray, n_units: int = N_UNITS, noise: float = 0.05) -> np.ndarray:
    """A random linear image of x*, and isotropic noise: abstract, of dimension D."""
    axes = rng.standard_normal((latents.shape[1], n_units))
    return latents @ axes + 3 + noise * rng.standard_normal((len(latents), n_units))


def rotated(rng: np.random.Generator, states: np.ndarray) -> np.ndarray:
    """The same code in other units: a random orthogonal transformation of the states."""
    return states @ np.linalg.qr(rng.standard_normal((states.shape[1],) * 2))[0]


def expanded(rng: np.random.Generator, latents: np.ndarray, n_units: int = N_UNITS, noise: float = 0.05) -> np.ndarray:
    """A random non-linear expansion of x* (steep random ReLUs): decodable, of high dimension, hardly abstract."""
    d = latents.shape[1]
    drive = latents @ (6 * rng.standard_normal((d, n_units))) + 2 * rng.standard_normal(n_units)
    return np.maximum(drive, 0) + noise * rng.standard_normal((len(latents), n_units))


def conjunctive(
    rng: np.random.Generator, latents: np.ndarray, n_units: int = N_UNITS, noise: float = 0.05
) -> np.ndarray:
    """One random direction for each orthant, and in each a map of x* of its own: nothing carries over (XOR, too)."""
    orthant = (latents > 0) @ (2 ** np.arange(latents.shape[1]))
    states = noise * rng.standard_normal((len(latents), n_units))
    for q in range(2 ** latents.shape[1]):
        rows = orthant == q
        within = latents[rows] @ rng.standard_normal((latents.shape[1], n_units))
        states[rows] += rng.standard_normal(n_units) + within
    return states


def unrelated(rng: np.random.Generator, latents: np.ndarray, n_units: int = N_UNITS) -> np.ndarray:
    """States that have nothing to do with x*."""
    return rng.standard_normal((len(latents), n_units))


def ideal_states(task: EvidenceTask, n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The posterior mean of the ideal observer at the end of the stimulus, `[N, D]`, and x*."""
    trials = Stream(task, "test", seed).take(n)
    means = running_means(trials)[:, -1]
    return posterior(task, means, trials.n_samples)[0], trials.latents


class LinearDynamics:
    """h' = h A' + u B', with eigenvalues chosen: `n_units` of the state, the last eigenvectors decaying fast.

    A continuous attractor of dimension D has D eigenvalues of 1; a net that forgets has them below 1.
    """

    def __init__(
        self, rng: np.random.Generator, eigenvalues: np.ndarray, n_inputs: int, n_units: int = 8, normal: bool = True
    ) -> None:
        self.n_units = n_units
        rest = np.linspace(0.5, 0.1, n_units - len(eigenvalues))
        self.eigenvalues = np.concatenate([eigenvalues, rest])
        basis = np.linalg.qr(rng.standard_normal((n_units, n_units)))[0]
        if not normal:
            basis = basis + 0.3 * rng.standard_normal((n_units, n_units))
        self.slow = basis[:, : len(eigenvalues)]
        self.matrix = basis @ np.diag(self.eigenvalues) @ np.linalg.inv(basis)
        self.inputs = np.zeros((n_units, n_inputs))
        # The evidence, behind the cue, drives the slow directions.
        self.inputs[:, 1 : 1 + len(eigenvalues)] = self.slow

    def start(self, n: int) -> np.ndarray:
        return np.zeros((n, self.n_units))

    def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return states @ self.matrix.T + inputs @ self.inputs.T

    def jacobian(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.matrix, (len(states), *self.matrix.shape))
