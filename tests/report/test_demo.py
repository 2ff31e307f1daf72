"""The demo runs from end to end, small, and its figures and table are there and whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrnn_analysis.figures import (
    Course,
    Curve,
    Result,
    courses_figure,
    learning_figure,
    r2_figure,
    tasks_figure,
    trajectories_figure,
)
from mtrnn_analysis.geometry.principal import principal_components
from mtrnn_analysis.report import table
from mtrnn_envs import EvidenceTask
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.recording import Recording

EXAMPLES = Path(__file__).parents[2] / "examples"
DEMO = EXAMPLES / "01_demo.py"


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO), "--tasks", "2", "3", "--seeds", "1", "--updates", "40", "--trials", "200"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "| tasks" in done.stdout
    assert str(tmp_path) in done.stdout
    runs = ["2-0-40", "3-0-40", "3-0-0"]
    expected = {f"{kind}-{run}.{end}" for kind, end in (("agent", "safetensors"), ("recording", "npz")) for run in runs}
    expected |= {f"{name}.{end}" for name in ("tasks", "trajectories", "r2") for end in ("png", "pdf")}
    assert set(os.listdir(tmp_path)) == expected | {"table.md"}
    assert (tmp_path / "table.md").read_text().strip() in done.stdout
    recording = Recording.load(tmp_path / "recording-2-0-40.npz")
    assert len(recording) == 200
    assert recording.task == EvidenceTask(n_tasks=2)
    for name in ("tasks", "trajectories", "r2"):
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_picture_of_a_trial(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "trial.png"
    command = [sys.executable, str(EXAMPLES / "02_trial.py"), "--path", str(path), "--tasks", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert path.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_courses_of_training(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "03_training.py"), "--seeds", "2", "--updates", "256"]
    done = subprocess.run([*command, "--folder", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    assert [line.split("|")[1:3] for line in done.stdout.splitlines()[2:4]] == [
        [" paper    ", "        2 "],
        [" dense    ", "        2 "],
    ]
    assert set(os.listdir(tmp_path)) == {"paper", "dense", "training.png", "training.pdf"}


def test_courses_are_drawn_as_what_they_lack() -> None:
    task = EvidenceTask()
    best = ideal_performance(task)
    courses = [Course("a", (10, 20), (best.accuracy - 0.1, best.accuracy - lack), (0.5, 0.9)) for lack in (0.02, 0.04)]
    left, right = courses_figure([*courses, courses[0]._replace(name="b")], task).axes
    thick = [line for line in left.lines if line.get_linewidth() > 1]
    np.testing.assert_allclose(np.asarray(thick[0].get_ydata()), [0.1, 0.03])
    np.testing.assert_allclose(np.asarray(right.lines[0].get_ydata()), [best.r2_prior - 0.5, best.r2_prior - 0.9])
    legend: Any = right.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["a (2 networks)", "b (1 networks)"]


def test_figures_refuse_what_they_cannot_draw() -> None:
    with pytest.raises(ValueError, match="n_dims=3: only tasks with n_dims=2"):
        tasks_figure([EvidenceTask(n_dims=3)])
    silent = Recording(
        valid=np.ones((1, 2), bool),
        latents=np.zeros((1, 2)),
        labels=np.ones((1, 3), np.int8),
        actions=np.zeros((1, 2, 3), int),
        answers=np.ones((1, 3), np.int8),
        response_steps=np.ones((1, 3), int),
        rewards=np.zeros((1, 2)),
        metadata={},
    )
    with pytest.raises(ValueError, match="must have hidden states, and two latents"):
        trajectories_figure([silent])


def test_figures_draw_any_boundary_in_the_plane() -> None:
    assert len(tasks_figure([EvidenceTask(n_tasks=4, boundaries="quadric")]).axes) == 2
    assert len(r2_figure([Result(2, 0.9, 0.8, 0.7)]).axes) == 1


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


@pytest.mark.slow
def test_learning_curves_of_all_agents(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "07_learning_curves.py"), "--seeds", "1", "--shorter", "100"]
    done = subprocess.run([*command, "--folder", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.startswith(("| accuracy", "| reward"))]) == 12
    assert set(os.listdir(tmp_path)) == {"accuracy", "reward", "learning.png", "learning.pdf"}


def test_learning_curves_are_medians_with_bands_beside_the_best() -> None:
    curves = [Curve("a", "accuracy", (10, 100, 1000), (0.5, 0.5 + rise, 0.9)) for rise in (0.1, 0.2, 0.4)]
    curves += [Curve("b", "reward", (10, 1000), (0.0, 1.0)), Curve("c", "reward", (10,), (0.3,))]
    left, right = learning_figure(curves, {"accuracy": 0.96, "reward": 0.8}).axes
    line = left.lines[0]
    steps, values = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert steps[0] == pytest.approx(10)
    assert steps[-1] == pytest.approx(1000)
    assert np.interp(100, steps, values) == pytest.approx(0.7, abs=5e-3)
    band: Any = left.collections[0]
    at_100 = [y for x, y in band.get_paths()[0].vertices if abs(x / 100 - 1) < 0.02]
    assert min(at_100) == pytest.approx(0.6, abs=0.02)
    assert max(at_100) == pytest.approx(0.9, abs=0.02)
    assert {0.96} <= {float(np.asarray(one.get_ydata())[0]) for one in left.lines}
    assert len(right.lines) == 3  # two agents, one of which was evaluated once, and the best
    (legend,) = right.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
