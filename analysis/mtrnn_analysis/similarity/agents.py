"""Similarity of the states of agents, trial by trial: CKA, Procrustes, representational dissimilarities.

None of these measures the use of the states: agents that are alike may both be bad. All here compare states of *the
same trials* at one step, and none depends on the order of units or a rotation of them; for dynamics see `dsa`.
Axis letters: N trials, H and J units of two agents, D latents, M agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.orthants import checked, varying
from mtrnn_analysis.result import ShortRepr
from mtrnn_analysis.similarity.rsa import agreement, agreement_null, cells, dissimilarities
from mtrnn_envs.recording import Recording
from mtrnn_envs.utils.validation import check_int

X_STAR = "x*"
EXACT = 1e-12  # what is smaller than this, relative to what it is a difference of, is rounding


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Comparison(ShortRepr):
    """Similarity of agents, each with each, and with x*, which is the last row. Matrices are symmetric, `[M, M]`.

    Attributes:
        names: of the agents, in the order given, and "x*".
        cka: debiased CKA, up to 1.
        procrustes: angles, in radians, 0 to pi / 2.
        rsa: Spearman's correlations of dissimilarities.
        chance: means of "cka", "procrustes" and "rsa" with the trials (for "rsa": conditions) of one of the two put in
            another order; NaN on the diagonal.
        p: how often such orders are as much alike (for "procrustes": as close), likewise.
        embedding: by classical scaling of `procrustes`, points in the plane, `[M, 2]`, in radians.
        embedded: the share of the squared distances' positive part that the plane holds.
        n: trials.
        settings: all that was chosen.
    """

    names: tuple[str, ...]
    cka: Float[np.ndarray, "M M"]
    procrustes: Float[np.ndarray, "M M"]
    rsa: Float[np.ndarray, "M M"]
    chance: Mapping[str, np.ndarray]
    p: Mapping[str, np.ndarray]
    embedding: Float[np.ndarray, "M 2"]
    embedded: float
    n: int
    settings: Mapping[str, Any]


def cka(a: Float[np.ndarray, "N H"], b: Float[np.ndarray, "N J"], *, debiased: bool = True) -> float:
    """Centred kernel alignment with a linear kernel (Kornblith et al. 2019, arXiv:1905.00414).

    HSIC(a, b) / sqrt(HSIC(a, a) HSIC(b, b)): 1 if b is a, but for a shift, a rotation and one scale; unlike a decoder
    it weighs directions by their variance, so that a and a stretched in one direction are not the same.
    The plain estimate, debiased=False, is |A'B|² / (|A'A| |B'B|) of centred states (Frobenius norms); where a and b are
    independent it is far above 0, if there are not many more trials than units: about 0.56 for 50 trials of 64 units.
    Therefore by default HSIC is the unbiased estimator (Song et al. 2012, jmlr.org/papers/v13/song12a.html), with which
    independent states give about 0, and less than 0 about as often as more. Both are computed from products of
    features: no `[N, N]` matrix is made.

    Raises:
        ValueError: if the arrays are not of the same trials, not finite, or constant; or with fewer than 4 trials.
    """
    left, right = _shape(a, b, 4)
    return _cka(left, right, left.centred.T @ right.centred, debiased)


def procrustes(a: Float[np.ndarray, "N H"], b: Float[np.ndarray, "N J"]) -> float:
    """The angular Procrustes distance of two sets of states, in radians, 0 to pi / 2.

    arccos(|A'B|_* / (|A| |B|)) of centred states, with the nuclear norm |.|_* (the sum of singular values) above and
    Frobenius norms below: the angle that is left after the best rotation (or reflection) of the one onto the other.
    Shift, scale and rotation do not matter. Other than CKA's it is a *metric* on what is left (Williams et al. 2021,
    arXiv:2110.14739): symmetric, 0 for the same shape only, and never longer than by way of a third. States with
    another number of units are compared as if units that are silent were added. Finite trials make the angle of
    independent states less than pi / 2 (see `Comparison.chance`), and noise that of equal ones more than 0.

    Raises:
        ValueError: as `cka`; with fewer than 2 trials.
    """
    left, right = _shape(a, b, 2)
    return _angle(left, right, left.centred.T @ right.centred)


def compare(recordings: Mapping[str, Recording], rng: np.random.Generator, *, n_null: int = 20) -> Comparison:
    """Similarity of the states of agents at the last step, each with each and with x*, in the same trials.

    Arguments:
        recordings: by the name of the agent; of the same trials: record with the same seed, split and environments.
        rng: draws the orders of trials for `chance`.
        n_null: draws of these.

    Raises:
        ValueError: if there is none, one has no states, an agent is called "x*", or latents differ: they are not of
            the same trials.
    """
    check_int("n_null", n_null, 0)
    if not recordings or X_STAR in recordings:
        raise ValueError(
            f"recordings has the names {list(recordings)}; one or more are needed, and none may be {X_STAR}"
        )
    (first, reference), states = next(iter(recordings.items())), {}
    for name, recording in recordings.items():
        if not np.array_equal(recording.latents, reference.latents):
            raise ValueError(
                f"recordings {first!r} and {name!r} have other latents: they are not of the same trials; record both "
                "with the same seed, split, number of environments and latents"
            )
        states[name] = checked(recording.last_hidden(), recording.latents)[0]
    states[X_STAR] = checked(reference.latents, reference.latents)[1]
    cell, names = cells(states[X_STAR]), tuple(states)
    shapes = [_Shape.of(each) for each in states.values()]
    rdms = [dissimilarities(each, cell) for each in states.values()]
    m, n = len(names), len(reference)
    found = {"cka": np.ones((m, m)), "procrustes": np.zeros((m, m)), "rsa": np.ones((m, m))}
    chance, p = ({measure: np.full((m, m), np.nan) for measure in found} for _ in range(2))
    for i in range(m):
        for j in range(i):
            # One product of all features serves both measures.
            orders = [np.arange(n), *(rng.permutation(n) for _ in range(n_null))]
            others = [shapes[j].ordered(order) for order in orders]
            products = [shapes[i].centred.T @ other.centred for other in others]
            pairs = list(zip(others, products, strict=True))
            values = {
                "cka": [_cka(shapes[i], other, product) for other, product in pairs],
                "procrustes": [_angle(shapes[i], other, product) for other, product in pairs],
                "rsa": [agreement(rdms[i], rdms[j]), *agreement_null(rdms[i], rdms[j], "spearman", n_null, rng)],
            }
            for measure, (value, *null) in values.items():
                found[measure][i, j] = found[measure][j, i] = value
                side = "less" if measure == "procrustes" else "greater"
                p[measure][i, j] = p[measure][j, i] = p_value(value, np.array(null), side)
                if n_null:
                    chance[measure][i, j] = chance[measure][j, i] = np.mean(null)
    points, share = classical_scaling(found["procrustes"])
    chosen = {"n_null": n_null, "n_cells": None}
    return Comparison(names=names, **found, chance=chance, p=p, embedding=points, embedded=share, n=n, settings=chosen)


def classical_scaling(distances: Float[np.ndarray, "M M"]) -> tuple[Float[np.ndarray, "M 2"], float]:
    """Points in the plane whose distances are about those given (Torgerson 1952, doi:10.1007/BF02288916).

    The two first eigenvectors of -J D² J / 2, J the centring matrix, times the roots of their eigenvalues; and the
    share of these two of all positive eigenvalues: 1 if the distances are those of points in a plane.
    """
    m = len(distances)
    centring = np.eye(m) - 1 / m
    values, vectors = np.linalg.eigh(-centring @ np.square(distances) @ centring / 2)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    points = np.zeros((m, 2))
    points[:, : min(m, 2)] = vectors[:, :2] * np.sqrt(values[:2])
    total = float(values.sum())
    return points, float(values[:2].sum() / total) if total > 0 else 1.0


class _Shape(NamedTuple):
    """Centred states, with the numbers that measures of similarity need of them alone."""

    centred: np.ndarray  # [N, H]
    squares: np.ndarray  # of the length of each row, [N]
    size: float  # the Frobenius norm
    hsic: float  # with themselves: unbiased, times N (N - 3)
    plain: float  # with themselves: biased, times (N - 1)²

    @classmethod
    def of(cls, states: np.ndarray) -> _Shape:
        varying(states)
        centred = states - states.mean(axis=0)
        squares = np.einsum("nh,nh->n", centred, centred)
        plain = float(np.square(centred.T @ centred).sum())
        return cls(centred, squares, float(np.sqrt(squares.sum())), _hsic(plain, squares, squares), plain)

    def ordered(self, order: np.ndarray) -> _Shape:
        return self._replace(centred=self.centred[order], squares=self.squares[order])


def _shape(a: np.ndarray, b: np.ndarray, least: int) -> tuple[_Shape, _Shape]:
    a, b = checked(a, b)
    if len(a) < least:
        raise ValueError(f"states has {len(a)} trials; {least} or more are needed")
    return _Shape.of(a), _Shape.of(b)


def _hsic(product: float, squares_a: np.ndarray, squares_b: np.ndarray) -> float:
    """N (N - 3) times the unbiased HSIC, from |A'B|² and the squared lengths of rows of centred states.

    Kernels go without their diagonals, the squared lengths; as centred rows add up to 0, the rows of such a kernel add
    up to minus its diagonal.
    """
    n = len(squares_a)
    if n < 4:
        return float("nan")
    sums = float(squares_a.sum() * squares_b.sum()) / ((n - 1) * (n - 2))
    return product - float(squares_a @ squares_b) * n / (n - 2) + sums


def _cka(a: _Shape, b: _Shape, product: np.ndarray, debiased: bool = True) -> float:
    total = float(np.square(product).sum())
    if not debiased:
        return total / float(np.sqrt(a.plain) * np.sqrt(b.plain))
    if not min(a.hsic / a.plain, b.hsic / b.plain) > EXACT:
        raise ValueError("all rows of states are as far from each other: they hold no structure above noise to compare")
    return _hsic(total, a.squares, b.squares) / float(np.sqrt(a.hsic) * np.sqrt(b.hsic))


def _angle(a: _Shape, b: _Shape, product: np.ndarray) -> float:
    scaled = product / (a.size * b.size)
    cosine = float(np.linalg.svd(scaled, compute_uv=False).sum())
    if cosine < 0.999:
        return float(np.arccos(cosine))
    # Where angles are small, arccos loses half of the digits; the chord between the states, best turned, does not.
    u, _, vt = np.linalg.svd(scaled, full_matrices=False)
    left, right = a.centred / a.size, b.centred / b.size
    if left.shape[1] > right.shape[1]:
        left, right, u, vt = right, left, vt.T, u.T
    return float(2 * np.arcsin(min(1.0, float(np.linalg.norm(left @ (u @ vt) - right)) / 2)))
