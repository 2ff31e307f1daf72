"""The verdict, on dynamics of which it is known."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from helpers.codes import LinearDynamics

from mtrnn_agents import untrained
from mtrnn_analysis.dynamics.attractor import CONTINUOUS, NO_MEMORY, NOT_IN_STATE, Evidence, attractor
from mtrnn_analysis.figures.dynamics import attractor_figure
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.testing import check_probe
from mtrnn_envs.trials import Trials

SEEDS = [0, 1, 2]
ROWS = ("decodable", "spectrum", "tangent", "held 1x", "held 2x", "held 10x", "along", "across")


def task_of(n_dims: int = 2) -> EvidenceTask:
    return EvidenceTask(n_tasks=6, n_dims=n_dims, encoder=None)


def trials_of(task: EvidenceTask, n: int = 500, seed: int = 0) -> Trials:
    return Stream(task, "test", seed).take(n)


def verdict_on(multipliers, seed: int = 0, **kwargs):
    task = task_of(len(multipliers))
    dynamics = LinearDynamics(np.random.default_rng(seed), np.array(multipliers, float), task.n_features, **kwargs)
    return attractor(dynamics, trials_of(task, seed=seed), np.random.default_rng(seed))


def failing(found) -> set[str]:
    return {row.name for row in found.evidence if not row.holds}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_a_continuous_attractor_is_one(n_dims: int, seed: int) -> None:
    found = verdict_on([1] * n_dims, seed)
    assert tuple(row.name for row in found.evidence) == ROWS
    assert not failing(found)
    assert found.verdict == CONTINUOUS
    assert found.value == 1
    assert np.isnan(found.p)
    assert found.values["across"] < 1e-6


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_a_leak_is_a_slow_manifold(n_dims: int) -> None:
    """Its eigenvalues are near enough to 1, and along the axes; that it does not hold shows in the long rollout."""
    found = verdict_on([0.98] * n_dims)
    assert found.verdict in (
        "slow manifold that leaks (time constant 49 steps)",
        "slow manifold that leaks (time constant 50 steps)",
    )
    assert failing(found) == {"held 1x", "held 2x", "held 10x", "along"}
    assert found.values["along"] == pytest.approx(1 - 0.98**22, abs=0.03)


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_a_net_that_forgets_has_no_memory(n_dims: int) -> None:
    found = verdict_on([0.8] * n_dims)
    assert found.verdict == NO_MEMORY
    assert failing(found) >= {"spectrum", "held 1x", "held 2x", "held 10x", "along"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_network_has_no_memory(seed: int) -> None:
    task = EvidenceTask()
    found = attractor(untrained(task, seed).dynamics(), trials_of(task), np.random.default_rng(seed))
    assert found.verdict == NO_MEMORY
    assert failing(found) >= {"spectrum", "held 1x", "held 2x", "held 10x", "along"}


def test_a_line_in_a_plane_is_told() -> None:
    found = verdict_on([1, 0.8])
    assert found.verdict == "memory of 1 of 2 directions of x*"
    assert {"spectrum", "held 1x"} <= failing(found)


def test_what_goes_astray_is_told() -> None:
    found = verdict_on([1.06, 1.06])
    assert found.verdict == "no memory: the decoded x* goes astray"
    assert "spectrum" in failing(found)
    slower = verdict_on([1.01, 1.01])
    assert slower.verdict.startswith("slow manifold that drifts away (half-life ")


class SlowEverywhere(LinearDynamics):
    """Every state stays where it is, and states differ in what has nothing to do with x*, too."""

    def start(self, n: int) -> np.ndarray:
        return np.random.default_rng(n).standard_normal((n, self.n_units))


def test_a_network_that_is_slow_everywhere_holds_but_does_not_attract() -> None:
    task = task_of()
    dynamics = SlowEverywhere(np.random.default_rng(0), np.ones(2), task.n_features)
    dynamics.matrix = np.eye(dynamics.n_units)
    found = attractor(dynamics, trials_of(task), np.random.default_rng(0))
    assert {"spectrum", "across"} <= failing(found)
    assert found.verdict.startswith("x* is held, but evidence of a continuous attractor is missing: spectrum, ")


def test_an_attractor_of_something_else_is_not_one_of_x() -> None:
    """It holds perfectly what it was shown, but that is another point."""
    task = task_of()
    trials = trials_of(task)
    shown = (trials.evidence - trials.latents[:, None] + trials.latents[::-1][:, None] - trials.latents[:, None]) / 0.2
    dynamics = LinearDynamics(np.random.default_rng(0), np.ones(2), task.n_features)
    found = attractor(dynamics, Trials(task, trials.latents, shown.astype(np.float32)), np.random.default_rng(0))
    assert found.verdict == NOT_IN_STATE
    assert found.value == 0
    assert all(np.isnan(row.value) for row in found.evidence[1:])


def test_one_of_two_latents_is_not_two() -> None:
    """N = 1 leaves one direction of x* out of the state: half of r2, and none of the worst direction's."""
    task = task_of()
    dynamics = LinearDynamics(np.random.default_rng(0), np.ones(1), task.n_features)
    assert attractor(dynamics, trials_of(task), np.random.default_rng(0)).verdict == NOT_IN_STATE


def test_thresholds_are_settings() -> None:
    task = task_of()
    dynamics = LinearDynamics(np.random.default_rng(0), np.full(2, 0.999), task.n_features)
    strict, mild = (
        attractor(dynamics, trials_of(task), np.random.default_rng(0), kept=kept, moved=0.3) for kept in (0.999, 0.9)
    )
    assert "held 10x" in failing(strict)
    assert strict.settings["kept"] == 0.999
    assert strict.values == mild.values
    assert "held 1x" not in failing(mild)


def test_a_value_that_is_nan_holds_nothing() -> None:
    for at_least in (True, False):
        assert not Evidence(name="x", value=np.nan, threshold=0.5, at_least=at_least, why="").holds
    assert Evidence(name="x", value=0.5, threshold=0.5, at_least=True, why="").holds
    assert Evidence(name="x", value=0.5, threshold=0.5, at_least=False, why="").holds


def test_it_is_a_probe() -> None:
    check_probe("mtrnn_analysis.dynamics.attractor:attractor", n_starts=16, n_directions=5)


def test_bad_arguments() -> None:
    task = task_of()
    dynamics = LinearDynamics(np.random.default_rng(0), np.ones(2), task.n_features)
    for name in ("decodable", "continuum", "tangent", "kept", "moved", "remaining"):
        for bad in (-0.1, 1.1, np.nan):
            threshold: dict[str, Any] = {name: bad}
            with pytest.raises(ValueError, match=f"{name}=.* is not a number from 0 to 1"):
                attractor(dynamics, trials_of(task), np.random.default_rng(0), **threshold)
    with pytest.raises(ValueError, match="trials has 5 trials"):
        attractor(dynamics, trials_of(task, 5), np.random.default_rng(0))


def test_the_figure_is_the_table() -> None:
    task = task_of()
    for dynamics in (
        LinearDynamics(np.random.default_rng(0), np.full(2, 0.98), task.n_features),
        LinearDynamics(np.random.default_rng(0), np.ones(1), task.n_features),
    ):
        found = attractor(dynamics, trials_of(task), np.random.default_rng(0))
        figure = attractor_figure(found)
        figure.savefig(io.BytesIO(), format="png")
        (axes,) = figure.axes
        words = [text.get_text() for text in axes.texts]
        assert words[0] == found.verdict
        assert set(ROWS) <= set(words)
        marks = [str(line.get_marker()) for line in axes.get_lines() if line.get_marker() in ("o", "X", "_")]
        asked = [not np.isnan(row.value) for row in found.evidence]
        assert marks == [
            ("o" if row.holds else "X") if a else "_" for row, a in zip(found.evidence, asked, strict=True)
        ]
