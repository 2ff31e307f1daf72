"""Dynamical similarity analysis of agents, by its authors' own package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from mtrnn_analysis.geometry.principal import principal_components
from mtrnn_analysis.orthants import checked
from mtrnn_envs.recording import Recording
from mtrnn_envs.utils.validation import check_choice, check_int

# Components with less than this share of the variance are rounding, and would be blown up by the whitening.
LEAST_SHARE = 1e-6


def dsa(
    recordings: Mapping[str, Recording],
    *,
    n_components: int = 8,
    n_delays: int = 3,
    rank: int = 10,
    score: str = "wasserstein",
) -> Float[np.ndarray, "M M"]:
    """Distances between the dynamics of agents (Ostrow et al. 2023, arXiv:2306.10168), 0 for the same.

    The paths of states over whole trials are projected to principal components, of the same number for all agents; a
    linear map of delayed copies is fitted to each agent's (dynamic mode decomposition), and the maps are compared.
    Two agents may have the same geometry at a step and other dynamics, and the other way round. Input is part of the
    paths: networks that are driven alike are alike to that extent. Trials need not be the same ones.

    Arguments:
        recordings: two or more, by the name of the agent, with trials of one length.
        n_components: principal components, or as many as all agents have.
        n_delays: copies of the state, delayed by a step each, 1 or more.
        rank: of the fitted maps; or n_components n_delays, if that is less.
        score: "wasserstein" compares eigenvalues alone, as the package does by default; "angular" is the measure of
            the paper, the angle between the maps after the best rotation, by gradient descent, which is far slower.

    Raises:
        ImportError: if the package is not installed.
        ValueError: if an argument is out of its range, or trials have other lengths.
    """
    check_choice(score, ("wasserstein", "angular"), "score", "dsa")
    for name, value in (("n_components", n_components), ("n_delays", n_delays), ("rank", rank)):
        check_int(name, value, 1)
    if len(recordings) < 2:
        raise ValueError(f"recordings has {len(recordings)} agents; 2 or more are needed")
    try:
        import DSA  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError('dsa() needs the package dsa-metric: pip install "mtrnn-envs[dsa]"') from error
    projected = [_paths(name, recording, n_components) for name, recording in recordings.items()]
    common = min(paths.shape[2] for paths in projected)
    method: Any = score  # checked above
    measure: Any = DSA.DSA(
        [np.ascontiguousarray(paths[:, :, :common]) for paths in projected],
        n_delays=n_delays,
        rank=min(rank, common * n_delays),
        score_method=method,
        device="cpu",
        verbose=False,
    )
    distances = np.asarray(measure.fit_score(), np.float64)
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    return distances


def _paths(name: str, recording: Recording, n_components: int) -> np.ndarray:
    """States over time along their principal components, `[N, T, C]`, in units of their root mean square."""
    if recording.hidden is None:
        raise ValueError(f"recording {name!r} has no hidden state")
    if not recording.valid.all():
        raise ValueError(f"recording {name!r} has trials that end apart; dsa compares paths of one length")
    hidden = recording.hidden.astype(np.float64)
    rows = hidden.reshape(-1, hidden.shape[2])
    checked(rows, np.zeros((len(rows), 1)))
    components = principal_components(rows, min(n_components, rows.shape[1]))
    kept = int(np.count_nonzero(components.shares > LEAST_SHARE))
    if not kept:
        raise ValueError(f"recording {name!r} has states that never change")
    paths = components.project(hidden)[:, :, :kept]
    return paths / np.sqrt(np.mean(np.square(paths).sum(axis=2)))
