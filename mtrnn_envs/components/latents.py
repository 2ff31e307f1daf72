"""The prior over the latents x*: uniform on [-1/2, 1/2]^D, correlated by a copula, with orthants held out."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float

from mtrnn_envs.rng.fill import fill_normal, fill_uniform
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.utils.arrays import AnyGenerator, Array, arange, cast, empty, like, namespace, normal_cdf

# Of a latent: it is uniform on an interval of length 1.
PRIOR_VARIANCE = 1 / 12


def draw_latents(correlation: float, excluded: tuple[str, ...], out: Float[Array, "N D"], rng: AnyGenerator) -> None:
    """Fills `out` (float64) from the prior: each latent uniform on [-0.5, 0.5).

    With `correlation` c the latents are coupled by a Gaussian copula: x_i = Phi(g_i) - 1/2 with unit normals g
    of pairwise correlation c (their Pearson correlation is then 6/pi arcsin(c/2)). The `excluded` orthants
    are held out by rejection, so the shape of the prior outside them does not change.
    """
    _draw_all(correlation, out, rng)
    if not excluded:
        return
    left = arange(len(out), out)[in_orthants(out, excluded)]
    while len(left):
        fresh = empty((len(left), out.shape[1]), "float64", rng)
        _draw_all(correlation, fresh, rng)
        out[left] = fresh
        left = left[in_orthants(fresh, excluded)]


def in_orthants(latents: Float[Array, "N D"], orthants: tuple[str, ...]) -> Bool[Array, " N"]:
    """Whether each row lies in one of `orthants`, written as signs: `"+-"` is x_1 > 0, x_2 <= 0."""
    positive = cast(latents > 0, "int64")
    code = positive[:, 0]
    for d in range(1, latents.shape[1]):
        code = code + positive[:, d] * 2**d
    codes = np.array([sum(2**d for d, sign in enumerate(orthant) if sign == "+") for orthant in orthants], np.int64)
    return namespace(latents).isin(code, like(codes, code))


def share_left(n_dims: int, correlation: float, orthants: tuple[str, ...], n: int = 8192) -> float:
    """The share of the prior outside `orthants`; with correlated latents, from `n` draws."""
    if not correlation:
        return 1 - len(orthants) / 2**n_dims
    normals = generator(0, "ideal").standard_normal((n, n_dims)) @ _copula_root(n_dims, correlation).T
    return 1 - float(np.mean(in_orthants(normals, orthants)))


def _draw_all(correlation: float, out: Array, rng: AnyGenerator) -> None:
    if correlation == 0:
        fill_uniform(out, rng)
    else:
        fill_normal(out, rng)
        root = like(_copula_root(out.shape[1], correlation), out)
        for d in reversed(range(out.shape[1])):
            out[:, d] = sum(root[d, e] * out[:, e] for e in range(d + 1))
        out[...] = normal_cdf(out)
    out -= 0.5


@lru_cache(maxsize=64)
def _copula_root(n_dims: int, correlation: float) -> np.ndarray:
    return np.linalg.cholesky(correlation + (1 - correlation) * np.eye(n_dims))
