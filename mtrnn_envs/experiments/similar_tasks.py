"""Boundaries of six tasks that constrain the representation little: similar lines; labels that x* and -x* share."""

from __future__ import annotations

import numpy as np

from mtrnn_envs.utils.arrays import Array, like

N = 6


def fan(latents: Array, degrees: float) -> Array:
    """Signed distances from six lines through the origin, evenly spread over `degrees` about the first diagonal.

    At 180 they are as far apart as those of boundaries="linear". The labels carry least about the direction along the
    diagonal.
    """
    angles = np.deg2rad(45 + degrees * ((np.arange(N) + 0.5) / N - 0.5))
    return latents @ like(np.stack([-np.sin(angles), np.cos(angles)]), latents)


def fan_10(latents: Array) -> Array:
    """Lines over 10 degrees."""
    return fan(latents, 10)


def fan_30(latents: Array) -> Array:
    """Lines over 30 degrees."""
    return fan(latents, 30)


def fan_90(latents: Array) -> Array:
    """Lines over 90 degrees."""
    return fan(latents, 90)


def crosses(latents: Array) -> Array:
    """Six crosses of two orthogonal lines through the origin: products of signed distances, the same at x* and -x*."""
    first = np.pi / 2 * (np.arange(N) + 0.5) / N
    one, other = (latents @ like(np.stack([-np.sin(a), np.cos(a)]), latents) for a in (first, first + np.pi / 2))
    return one * other
