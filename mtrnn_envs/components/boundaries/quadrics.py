"""Quadrics: ellipses, hyperbolas and saddles, with classes of about equal size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs.components.boundaries.base import HALF, Section, dot, without
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.utils.arrays import Array, like


@dataclass(frozen=True, eq=False)
class Quadric:
    """Quadrics: margin k = xᵀ forms[k] x + slopes[k] · x - offsets[k] (ellipses, hyperbolas, saddles)."""

    forms: Float[np.ndarray, "K D D"]
    slopes: Float[np.ndarray, "K D"]
    offsets: Float[np.ndarray, " K"]

    def margins(self, latents: Float[Array, "*N D"]) -> Float[Array, "*N K"]:
        """Values of the quadratic forms."""
        forms, slopes, offsets = (like(v, latents) for v in (self.forms, self.slopes, self.offsets))
        dims = range(slopes.shape[1])
        total = 0.0 * latents[..., :1] - offsets
        for d in dims:
            total += latents[..., d : d + 1] * slopes[:, d]
            for e in dims:
                total += (latents[..., d] * latents[..., e])[..., None] * forms[:, d, e]
        return total

    def section(self, d: int, x: Float[np.ndarray, "*N K D"]) -> Section:
        """Between the two roots of a quadratic, or outside of them."""
        others = without(x, d)
        a = self.forms[:, d, d]
        a = np.where(np.abs(a) < 1e-12, 1e-12, a)
        b = self.slopes[:, d] + dot(others, self.forms[:, d] + self.forms[:, :, d])
        c = dot(others, self.slopes) - self.offsets
        for e in range(x.shape[-1]):
            c = c + others[..., e] * dot(others, self.forms[:, e])
        q = -0.5 * (b + np.where(b < 0, -1.0, 1.0) * np.sqrt(np.maximum(b * b - 4 * a * c, 0)))
        roots = q / a, np.divide(c, q, out=np.zeros(np.shape(q)), where=q != 0)
        real = b * b > 4 * a * c
        return Section(np.where(real, np.minimum(*roots), 0.0), np.where(real, np.maximum(*roots), 0.0), a > 0)

    def steepest_latent(self, sigmas: Float[np.ndarray, " D"]) -> Int[np.ndarray, " K"]:
        """The latent with the largest curvature, in units of its noise."""
        return np.argmax(np.abs(np.diagonal(self.forms, axis1=1, axis2=2)) * sigmas, axis=1)

    def kinks(self, d: int) -> Float[np.ndarray, "K B"]:
        """Where a root leaves the box or appears."""
        rows = zip(self.forms, self.slopes, self.offsets, strict=True)
        return np.array([_quadric_kinks(*row, d) for row in rows])


def quadric(n_tasks: int, n_dims: int, seed: int) -> Quadric:
    """Random quadrics: curvatures of random sign and size in [0.5, 1], random axes and centre, balanced classes.

    The offset is the median of the form over a fixed sample of the prior, so about half of it is on either side.
    """
    if n_tasks * n_dims**2 > 100_000:
        raise ValueError(
            f"n_tasks={n_tasks} and n_dims={n_dims} are too many for boundaries='quadric', which takes "
            "n_tasks * n_dims**2 of 100000 at most"
        )
    rng = generator(seed, "boundaries")
    axes = np.linalg.qr(rng.standard_normal((n_tasks, n_dims, n_dims)))[0]
    curvatures = rng.uniform(0.5, 1, (n_tasks, n_dims)) * rng.choice([-1.0, 1.0], (n_tasks, n_dims))
    forms = np.einsum("kde,ke,kfe->kdf", axes, curvatures, axes)
    slopes = -2 * np.einsum("kde,ke->kd", forms, rng.uniform(-0.25, 0.25, (n_tasks, n_dims)))
    centred = Quadric(forms, slopes, np.zeros(n_tasks))
    return Quadric(forms, slopes, np.median(centred.margins(rng.uniform(-0.5, 0.5, (4096, n_dims))), axis=0))


def _quadric_kinks(form: np.ndarray, slope: np.ndarray, offset: float, d: int) -> list[float]:
    a, cross = 1 - d, form[0, 1] + form[1, 0]
    edge = [
        [form[a, a], slope[a] + cross * x, form[d, d] * x * x + slope[d] * x - offset]  # as a function of x_a
        for x in (-HALF, HALF)
    ]
    b = [cross, slope[d]]
    fold = np.polysub(np.polymul(b, b), 4 * form[d, d] * np.array([form[a, a], slope[a], -offset]))
    real = []
    for polynomial in (*edge, fold):
        roots = np.roots(polynomial)
        kept = [float(r.real) for r in roots if abs(r.imag) < 1e-12]
        real += kept + [HALF] * (2 - len(kept))
    return real
