"""Pushes along and across, on dynamics whose eigenvalues are known."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from helpers.codes import LinearDynamics
from helpers.memory import SEEDS, first_rng, linear, task_of, trials_of
from scipy import stats

from mtrnn_agents import untrained
from mtrnn_analysis.dynamics import perturbations
from mtrnn_analysis.dynamics.rollout import ends
from mtrnn_analysis.figures.dynamics import perturbations_figure
from mtrnn_analysis.geometry.axes import encoding
from mtrnn_envs import EvidenceTask
from mtrnn_envs.testing import check_probe


class Spread(LinearDynamics):
    """Linear dynamics, all of whose components vary over trials; those across decay with the factor `across`."""

    def __init__(self, seed: int, along, across: float, task: EvidenceTask, n_units: int = 12) -> None:
        rng = np.random.default_rng(seed)
        super().__init__(rng, np.array(along, float), task.n_features, n_units)
        d = len(along)
        basis = np.linalg.qr(np.concatenate([self.slow, rng.standard_normal((n_units, n_units - d))], axis=1))[0]
        self.across = basis[:, d:]
        factors = np.concatenate([along, np.full(n_units - d, across)])
        self.matrix = (basis * factors) @ basis.T

    def start(self, n: int) -> np.ndarray:
        return np.random.default_rng(n).standard_normal((n, self.across.shape[1])) @ self.across.T


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_along_stays_and_across_decays_at_the_rate_that_is_known(n_dims: int, seed: int) -> None:
    task = task_of(n_dims)
    found = perturbations(Spread(seed, [1] * n_dims, 0.9, task), trials_of(task), first_rng(), n_null=20)
    assert found.settings["across"] == "data"
    # The axes are measured in noise across; so that of a push along a little is across. It decays.
    assert found.along[0] == pytest.approx(1)
    assert found.along[-1] == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(found.across, np.broadcast_to(0.9 ** np.arange(23), (20, 23)), atol=0.02)
    np.testing.assert_allclose(found.gain, found.gain[0], atol=0.01)
    assert found.gain_left == pytest.approx(1 / (1 + 12 * 0.04 / 20), abs=0.03)
    assert found.value == pytest.approx(1 - 0.9**22, abs=0.03)
    assert found.p == 1 / 21
    assert found.leak[-1] < 0.1


@pytest.mark.parametrize("leak", [0.98, 0.8])
def test_a_leak_keeps_of_a_push_what_its_eigenvalue_says(leak: float) -> None:
    task = task_of()
    found = perturbations(linear(task, [leak, leak]), trials_of(task), first_rng(), n_null=20, multiple=2)
    np.testing.assert_allclose(found.along, leak ** np.arange(45), atol=1e-3)
    np.testing.assert_allclose(found.gain / found.gain[0], leak ** np.arange(45), atol=1e-2)


def test_where_no_trial_goes_across_directions_are_isotropic_and_it_is_said() -> None:
    """All that varies in these states is the plane; the other eigenvalues are 0.5 to 0.1."""
    task = task_of()
    found = perturbations(linear(task, [1, 1]), trials_of(task), first_rng(), n_null=20)
    assert found.settings["across"] == "isotropic"
    steps = np.arange(23)
    assert (found.across <= 0.5**steps + 1e-9).all()
    assert (found.across >= 0.1**steps - 1e-9).all()
    assert found.across_left < 1e-6
    assert found.along_left == pytest.approx(1, abs=1e-9)


def test_a_network_that_is_slow_everywhere_is_no_attractor() -> None:
    """Nothing is lost in any direction: along and across remain alike, and the coding axes are not special."""
    task = task_of()
    found = perturbations(Spread(0, [1, 1], 1, task), trials_of(task), first_rng(), n_null=20)
    assert found.value == pytest.approx(0, abs=1e-9)
    assert found.along_left == pytest.approx(1)
    assert found.p > 0.05


def test_a_line_attractor_keeps_half_of_the_pushes() -> None:
    """A push in a random direction at the angle a keeps |cos a|: the median is cos 45°, of the gain its square."""
    task = task_of()
    trials = trials_of(task, 4000)
    found = perturbations(linear(task, [1, 0.5]), trials, first_rng(), n_null=5, n_trials=4000, n_pushed=2000)
    assert found.along_left < 1
    # The axis of the second latent is shorter, as it forgets: pushes along it are smaller, asked for the same step.
    lengths = np.array([20, (1 - 0.5**20) / 0.5])
    angle = np.linspace(0, 2 * np.pi, 10_001)
    share = np.abs(np.cos(angle)) * lengths[0] / np.hypot(np.cos(angle) * lengths[0], np.sin(angle) * lengths[1])
    assert found.along_left == pytest.approx(np.median(share), abs=0.02)
    assert found.gain_left == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_untrained_network_keeps_nothing(seed: int) -> None:
    found = perturbations(untrained(EvidenceTask(), seed).dynamics(), trials_of(EvidenceTask()), first_rng(), n_null=20)
    assert found.along_left < 0.01
    assert abs(found.value) < 0.01
    assert abs(found.gain_left) < 0.01


def test_pushes_have_the_size_asked_and_stay_in_the_cube() -> None:
    """What comes of a push does not depend on its size in linear dynamics, and turns it inwards in clipped ones."""
    task = task_of()

    class Clipped(LinearDynamics):
        """A plane attractor that ends at the edges of the cube of x*."""

        def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
            moved = super().__call__(states, inputs)
            inside = np.clip(moved @ self.slow, -0.5 * 20, 0.5 * 20)
            return moved + (inside - moved @ self.slow) @ self.slow.T

    small, large = (
        perturbations(linear(task, [1, 1]), trials_of(task), first_rng(), n_null=3, size=s) for s in (0.01, 0.5)
    )
    np.testing.assert_allclose(small.gain, large.gain, atol=0.01)
    held = perturbations(
        Clipped(first_rng(), np.ones(2), task.n_features), trials_of(task), first_rng(), n_null=3, size=0.2
    )
    assert held.gain_left == pytest.approx(1, abs=0.05)
    assert held.gain_quartiles[0, -1] == pytest.approx(1, abs=0.1)


def test_pushes_across_do_not_move_x_but_may_end_up_along() -> None:
    """Right eigenvectors of the slow plane are orthogonal to the push; the left ones, that let it in, are not."""
    task = task_of()
    for normal in (False, True):
        found = perturbations(linear(task, [1, 1], normal=normal), trials_of(task), first_rng(), n_null=20)
        assert found.leak[-1] < 1e-3 if normal else found.leak[-1] > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_how_the_units_are_turned_does_not_matter(seed: int) -> None:
    task = task_of()
    one = Spread(seed, [1, 0.95], 0.8, task)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((12, 12)))[0]

    class Turned:
        n_units = 12

        def start(self, n: int) -> np.ndarray:
            return one.start(n) @ turn

        def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
            return one(states @ turn.T, inputs) @ turn

    trials = trials_of(task)
    first, second = (perturbations(d, trials, first_rng(), n_null=20) for d in (one, Turned()))
    np.testing.assert_allclose(first.along, second.along, atol=1e-6)
    np.testing.assert_allclose(first.gain, second.gain, atol=1e-6)
    assert first.value == pytest.approx(second.value, abs=0.01)


def test_p_is_uniform_where_the_coding_axes_are_like_any_others() -> None:
    """A random step that is the same at rest for all directions, and axes that point anywhere."""
    task = task_of(stimulus=2)
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        axes, step = rng.standard_normal((40, 2)), rng.standard_normal((40, 40)) / 6

        class Random:
            n_units = 40

            def start(self, n: int) -> np.ndarray:
                return np.random.default_rng(1).standard_normal((n, 40))

            def __call__(self, states: np.ndarray, inputs: np.ndarray, axes=axes, step=step) -> np.ndarray:
                shown = inputs[:, 1:].any(axis=1, keepdims=True)
                return np.where(
                    shown, states + 20 * inputs[:, 1:] @ axes.T, np.where(inputs[:, :1] > 0.5, states, states @ step.T)
                )

        p.append(perturbations(Random(), trials_of(task, 60, seed), rng, n_null=19, cue=0.0, across="isotropic").p)
    levels = np.arange(1, 21) / 20
    distance = np.abs([np.mean(np.array(p) <= a + 1e-9) - a for a in levels]).max()
    assert distance < stats.kstwo.ppf(0.999, 200)


def test_the_axes_are_those_of_the_states_at_the_end_of_the_stimulus() -> None:
    task = task_of()
    dynamics, trials = linear(task, [1, 1]), trials_of(task, 2000)
    axes = encoding(ends(dynamics, trials).states, trials.latents).axes.T
    np.testing.assert_allclose(axes, 20 * dynamics.slow, atol=0.3)


def test_it_is_a_probe() -> None:
    found = check_probe("mtrnn_analysis.dynamics.perturbations:perturbations", n_null=5)
    assert found.gain_left == pytest.approx(1, abs=0.05)


def test_bad_arguments_and_states_without_room() -> None:
    task = task_of()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"n_null": 0}, "n_null=0 is not a whole number, 1 or more"),
        ({"size": 0.0}, r"size=0.0 is not a step of x\* in"),
        ({"size": 0.6}, r"size=0.6 is not a step of x\* in"),
        ({"across": "any"}, "'any' is not a kind of direction of pushes across"),
        ({"multiple": 0}, "multiple=0 is not a whole number"),
        ({"n_pushed": 0}, "n_pushed=0 is not a whole number"),
        ({"after": "go"}, "'go' is not an end of a rollout"),
    ]
    trials, dynamics = trials_of(task, 100), linear(task, [1, 1])
    for settings, message in bad:
        with pytest.raises(ValueError, match=message):
            perturbations(dynamics, trials, first_rng(), **settings)
    with pytest.raises(ValueError, match="trials has 10 trials"):
        perturbations(dynamics, trials[:10], first_rng())
    with pytest.raises(ValueError, match=r"dynamics has 1 directions across the coding axes .* 2, as many as"):
        perturbations(linear(task, [1, 1], n_units=3), trials, first_rng())
    dynamics.inputs = dynamics.inputs * 0
    with pytest.raises(ValueError, match="vary with fewer than 2 latents"):
        perturbations(dynamics, trials, first_rng())


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_the_figure_draws_what_was_found(n_dims: int) -> None:
    task = task_of(n_dims)
    found = perturbations(Spread(0, [0.99] * n_dims, 0.9, task), trials_of(task), first_rng(), n_null=5)
    figure = perturbations_figure(found)
    figure.savefig(io.BytesIO(), format="png")
    left, right = ({line.get_label(): line.get_ydata() for line in axes.get_lines()} for axes in figure.axes)
    np.testing.assert_array_equal(left["along the coding axes"], found.along)
    np.testing.assert_array_equal(left["across them (data)"], np.median(found.across, axis=0))
    np.testing.assert_array_equal(right["along: in the direction asked"], found.gain)
    np.testing.assert_array_equal(right["across: in any direction"], found.leak)
