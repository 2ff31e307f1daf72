"""The pictures of the demo, its principal components, and tables as text."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrnn_analysis.dynamics.trajectories import trajectories
from mtrnn_analysis.figures import tasks_figure, trajectories_3d, trajectories_figure
from mtrnn_analysis.geometry.principal import principal_components
from mtrnn_analysis.report import table
from mtrnn_envs import EvidenceTask

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_picture_of_a_trial(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "trial.png"
    command = [sys.executable, str(EXAMPLES / "02_trial.py"), "--path", str(path), "--tasks", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_tasks_are_drawn_with_any_boundary_in_the_plane() -> None:
    assert len(tasks_figure([EvidenceTask(n_tasks=4, boundaries="quadric")]).axes) == 2
    with pytest.raises(ValueError, match="n_dims=3: only tasks with n_dims=2"):
        tasks_figure([EvidenceTask(n_dims=3)])


def spread(n_dims: int = 2, n_units: int = 5) -> dict[str, Any]:
    """States that move along a plane by x*, of trials of 4 or 6 steps."""
    rng = np.random.default_rng(0)
    latents = rng.uniform(-0.5, 0.5, (400, n_dims))
    code = np.linalg.qr(rng.standard_normal((n_units, n_dims)))[0].T
    hidden = np.linspace(0, 1, 6)[:, None] * (latents @ code)[:, None]
    valid = np.arange(6) < rng.choice([4, 6], 400)[:, None]
    return {"hidden": hidden, "valid": valid, "latents": latents, "task": EvidenceTask(n_dims=n_dims), "rng": rng}


def test_trajectories_are_the_states_in_three_components() -> None:
    given = spread()
    found = trajectories(**given)
    assert found.value == pytest.approx(1)  # a plane
    assert found.shares[2] == pytest.approx(0, abs=1e-9)
    assert (len(found.paths), len(found.points)) == (60, 0)
    lengths = np.isfinite(found.paths[:, :, 0]).sum(axis=1)
    assert set(lengths) == {4, 6}
    last = found.paths[np.arange(60), lengths - 1]
    # Components are turned from the latents: distances stay.
    apart = np.linalg.norm(last[0] - last[1])
    ends = found.path_latents[:2] * (lengths[:2, None] - 1) / 5
    assert apart == pytest.approx(np.linalg.norm(ends[0] - ends[1]), rel=1e-5)
    assert len(trajectories_figure(found).axes) == 2
    assert len(trajectories_figure({"a": found, "b": found}).axes) == 4
    assert [trace.name for trace in trajectories_3d(found).data][-1] == "first step"


def test_trajectories_refuse_what_they_cannot_draw() -> None:
    given = spread()
    with pytest.raises(ValueError, match="1 latents, 5 units: trajectories need at least 2 latents and 3 units"):
        trajectories(**given | {"latents": given["latents"][:, :1]})
    found = trajectories(**spread(n_dims=3))
    with pytest.raises(ValueError, match="3 latents: this figure shows two; draw trajectories_3d"):
        trajectories_figure({"three": found})
    assert trajectories_figure(found).layout == trajectories_3d(found).layout
    assert trajectories_3d(replace(found, value=0.0), "three").layout.title.text == "three"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_principal_components(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    states = rng.standard_normal((50_000, 6)) * np.sqrt([8, 4, 2, 1, 1, 1]) @ rotation + 10
    found = principal_components(states, 3)
    np.testing.assert_allclose(found.shares, np.array([8, 4, 2]) / 17, atol=0.01)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(3), atol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(found.axes * rotation[:3], axis=1)), 1, atol=0.01)
    np.testing.assert_allclose(np.var(found.project(states), axis=0), [8, 4, 2], rtol=0.05)
    with pytest.raises(ValueError, match="n_components=7 must be between"):
        principal_components(states, 7)


def test_table() -> None:
    text = table(["name", "r2"], [["a", 0.5], ["none", ""]])
    assert text == "| name |     r2 |\n| ---- | -----: |\n| a    | 0.5000 |\n| none |        |"
    with pytest.raises(ValueError, match=r"has 1 cells; the header has 2"):
        table(["name", "r2"], [["a"]])
