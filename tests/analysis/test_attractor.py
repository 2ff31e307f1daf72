"""The conclusion about a continuous attractor, on dynamics of which it is known."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from helpers.codes import LinearDynamics
from helpers.memory import SEEDS, first_rng, linear, task_of, trials_of

from mtrnn_agents import untrained
from mtrnn_analysis.dynamics import Evidence, attractor
from mtrnn_analysis.dynamics.attractor import CONTINUOUS, NO_MEMORY, NOT_IN_STATE, THRESHOLDS
from mtrnn_analysis.figures.dynamics import attractor_figure
from mtrnn_envs import EvidenceTask
from mtrnn_envs.testing import check_probe
from mtrnn_envs.trials import Trials

ROWS = ("decodable", "spectrum", "tangent", "held 1x", "held 2x", "held 10x", "along", "across")


def concluded(multipliers, seed: int = 0):
    task = task_of(len(multipliers))
    return attractor(linear(task, multipliers, seed), trials_of(task, 500, seed), np.random.default_rng(seed))


def failing(found) -> set[str]:
    return {row.name for row in found.evidence if not row.holds}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_a_continuous_attractor_is_one(n_dims: int, seed: int) -> None:
    found = concluded([1] * n_dims, seed)
    assert tuple(row.name for row in found.evidence) == ROWS
    assert not failing(found)
    assert found.verdict == CONTINUOUS
    assert found.value == 1
    assert np.isnan(found.p)
    assert found.values["across"] < 1e-6


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_a_leak_is_a_slow_manifold(n_dims: int) -> None:
    """Its eigenvalues are near enough to 1, and along the axes; that it does not hold shows in the long rollout."""
    found = concluded([0.98] * n_dims)
    assert found.verdict in [f"slow manifold that leaks (time constant {steps} steps)" for steps in (49, 50)]
    assert failing(found) == {"held 1x", "held 2x", "held 10x", "along"}
    assert found.values["along"] == pytest.approx(1 - 0.98**22, abs=0.03)


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_a_net_that_forgets_has_no_memory(n_dims: int) -> None:
    found = concluded([0.8] * n_dims)
    assert found.verdict == NO_MEMORY
    assert failing(found) >= {"spectrum", "held 1x", "held 2x", "held 10x", "along"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_network_has_no_memory(seed: int) -> None:
    task = EvidenceTask()
    found = attractor(untrained(task, seed).dynamics(), trials_of(task, 500), np.random.default_rng(seed))
    assert found.verdict == NO_MEMORY
    assert failing(found) >= {"spectrum", "held 1x", "held 2x", "held 10x", "along"}


def test_lines_in_a_plane_and_runaways_are_told() -> None:
    found = concluded([1, 0.8])
    assert found.verdict == "memory of 1 of 2 directions of x*"
    assert {"spectrum", "held 1x"} <= failing(found)
    found = concluded([1.06, 1.06])
    assert found.verdict == "no memory: the decoded x* goes astray"
    assert "spectrum" in failing(found)
    assert concluded([1.01, 1.01]).verdict.startswith("slow manifold that drifts away (half-life ")


class SlowEverywhere(LinearDynamics):
    """Every state stays where it is, and states differ in what has nothing to do with x*, too."""

    def start(self, n: int) -> np.ndarray:
        return np.random.default_rng(n).standard_normal((n, self.n_units))


def test_a_network_that_is_slow_everywhere_holds_but_does_not_attract() -> None:
    task = task_of()
    dynamics = SlowEverywhere(first_rng(), np.ones(2), task.n_features)
    dynamics.matrix = np.eye(dynamics.n_units)
    found = attractor(dynamics, trials_of(task, 500), first_rng())
    assert {"spectrum", "across"} <= failing(found)
    assert found.verdict.startswith("x* is held, but evidence of a continuous attractor is missing: spectrum, ")


def test_an_attractor_of_something_else_is_not_one_of_x() -> None:
    """It holds perfectly the point that it was shown, but that is another."""
    task = task_of()
    trials = trials_of(task, 500)
    shown = (trials.evidence - trials.latents[:, None] + trials.latents[::-1][:, None] - trials.latents[:, None]) / 0.2
    found = attractor(linear(task, [1, 1]), Trials(task, trials.latents, shown.astype(np.float32)), first_rng())
    assert found.verdict == NOT_IN_STATE
    assert found.value == 0
    assert all(np.isnan(row.value) for row in found.evidence[1:])


def test_one_of_two_latents_is_not_two() -> None:
    """N = 1 leaves one direction of x* out of the state: half of r2, and none of the worst direction's."""
    task = task_of()
    assert attractor(linear(task, [1]), trials_of(task, 500), first_rng()).verdict == NOT_IN_STATE


def test_evidence_can_be_held_against_other_thresholds() -> None:
    found = concluded([0.999, 0.999])
    assert THRESHOLDS.items() <= found.settings.items()
    last = {row.name: row for row in found.evidence}["held 10x"]
    assert not replace(last, threshold=0.999).holds
    assert replace(last, threshold=0.5).holds
    for at_least in (True, False):
        assert Evidence(name="x", value=0.5, threshold=0.5, at_least=at_least, why="").holds
        assert not Evidence(name="x", value=np.nan, threshold=0.5, at_least=at_least, why="").holds


def test_it_is_a_probe() -> None:
    check_probe("mtrnn_analysis.dynamics.attractor:attractor", n_starts=16, n_directions=5)
    with pytest.raises(ValueError, match="trials has 5 trials"):
        attractor(linear(task_of(), [1, 1]), trials_of(task_of(), 5), first_rng())


@pytest.mark.parametrize("multipliers", [[0.98, 0.98], [1]])
def test_the_figure_is_the_table(multipliers) -> None:
    task = task_of()
    found = attractor(linear(task, multipliers), trials_of(task, 500), first_rng())
    figure = attractor_figure(found)
    figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    words = [text.get_text() for text in axes.texts]
    assert words[0] == found.verdict
    assert set(ROWS) <= set(words)
    marks = [str(line.get_marker()) for line in axes.get_lines() if line.get_marker() in ("o", "X", "_")]
    assert marks == ["_" if np.isnan(row.value) else "o" if row.holds else "X" for row in found.evidence]
