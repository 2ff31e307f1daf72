"""Fixed points, spectra and slow directions of dynamics in which they are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
import torch
from helpers.codes import LinearDynamics

from mtrnn_agents import Training, one_thread, untrained
from mtrnn_agents.networks import GRU, LSTM
from mtrnn_analysis.dynamics import fixed_points
from mtrnn_analysis.dynamics.alignment import alignment_of, local_alignment
from mtrnn_analysis.dynamics.data_states import data_states, nearest
from mtrnn_analysis.dynamics.levenberg_marquardt import minimise_speed
from mtrnn_analysis.dynamics.spectra import overlap, principal_angles, slow_directions, spectra, time_constants
from mtrnn_analysis.figures import save
from mtrnn_analysis.figures.fixed_points import fixed_points_figure
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.dynamics import jacobians

TASK = EvidenceTask(n_tasks=3, encoder=None)


def linear(*eigenvalues: float, normal: bool = True, n_units: int = 8, seed: int = 0) -> LinearDynamics:
    """Linear dynamics whose first two directions are driven by the evidence."""
    made = LinearDynamics(np.random.default_rng(seed), np.array(eigenvalues), 6, n_units, normal)
    made.inputs = made.inputs[:, :3]
    return made


def found(dynamics: Any, task: EvidenceTask = TASK, seed: int = 0, **settings: Any) -> Any:
    settings = {"n_starts": 32, "n_trials": 64, "n_null": 19, **settings}
    return fixed_points(dynamics, task, Stream(task, "test", 0).take(64), np.random.default_rng(seed), **settings)


class Map:
    """Any function of states and evidence as dynamics, without derivatives written out."""

    def __init__(self, n_units: int, function: Any) -> None:
        self.n_units, self.function = n_units, function

    def start(self, n: int) -> np.ndarray:
        return np.zeros((n, self.n_units))

    def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return self.function(states, inputs)


@pytest.mark.parametrize("normal", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_plane_attractor_is_a_continuum_of_two_dimensions_along_the_code(normal, seed):
    attractor = linear(1, 1, normal=normal, seed=seed)
    finding = found(attractor)
    assert finding.value == finding.continuum["data"] == 1
    assert finding.n_fixed == finding.n_distinct == finding.n == 32, "a continuum keeps all its points"
    assert finding.slow_modes["points"] == 2
    assert finding.time_constants["points_1"] == finding.time_constants["points_2"] == math.inf
    assert finding.time_constants["points_3"] == pytest.approx(-100 / math.log(0.5))
    assert finding.real_parts["points_1"] == pytest.approx(0, abs=1e-9)
    assert finding.real_parts["points_3"] == pytest.approx(-0.5)
    assert finding.alignment == pytest.approx(1)
    assert np.nanmax(finding.angles) < 1e-3
    assert (finding.non_normality == pytest.approx(1)) == normal


def test_a_slow_leak_is_one_point_with_two_slow_directions():
    finding = found(linear(0.97, 0.96))
    assert finding.value == 1
    assert (finding.n_fixed, finding.n_distinct) == (32, 1)
    assert finding.time_constants["points_1"] == pytest.approx(-100 / math.log(0.97))
    np.testing.assert_allclose(finding.of_points.gap, math.log(0.5) / math.log(0.96))
    few = found(linear(0.97, 0.96, n_units=30), n_trials=8)
    assert (few.value, few.alignment) == (1, pytest.approx(1)), "fewer trials than components"


@pytest.mark.parametrize(
    ("eigenvalues", "n_slow", "why"),
    [
        ((0.6, 0.5), 0, "it forgets"),
        ((1.0, 0.5), 1, "one dimension is held of two"),
        ((0.99, 0.98, 0.97), 3, "more is held than x*"),
        ((0.97, 0.96, 0.93), 2, "there is no gap"),
        ((1.02, 0.97), 1, "what grows is not slow, however near 1"),
        ((1.001, 0.999), 1, "what grows is not slow, however near 1"),
        ((-0.98, 0.98), 1, "what alternates does not hold"),
    ],
)
def test_what_is_no_continuum_of_x(eigenvalues, n_slow, why):
    finding = found(linear(*eigenvalues))
    assert finding.value == 0, why
    assert finding.continuum["points"] == finding.continuum["data"] == 0
    assert finding.slow_modes["points"] == n_slow
    assert finding.n_unstable == (32 if max(eigenvalues) > 1 else 0)


def test_one_latent_asks_for_one_direction_and_three_for_three():
    one, three = (EvidenceTask(n_tasks=2, n_dims=d, encoder=None) for d in (1, 3))
    line, volume = linear(0.99), linear(0.99, 0.99, 0.99)
    line.inputs = line.inputs[:, :2]
    wide = LinearDynamics(np.random.default_rng(0), np.array([0.99, 0.99, 0.99]), 4)
    assert found(line, one).value == 1
    assert found(wide, three).value == 1
    volume.inputs = volume.inputs[:, :2]
    assert found(volume, one).value == 0


def test_directions_that_are_slow_but_not_driven_do_not_go_with_the_code():
    silent = linear(0.98, 0.97, 0.3, 0.3)
    silent.inputs[:, 1:3] = silent.slow[:, 2:4]
    finding = found(silent)
    assert finding.value == 1, "the spectrum alone does not know what is held"
    assert finding.alignment < 0.01
    assert np.nanmin(finding.angles) > 80


def test_points_far_from_the_data_do_not_count():
    away = linear(0.97, 0.96)
    away.inputs[:, 0] = 50 * scipy.linalg.null_space(away.slow.T)[:, 0]
    here, there = found(away), found(away, cue=0.0)
    assert here.value == 1
    assert there.n_fixed == 32
    assert there.n_near == there.value == 0
    assert there.distance.min() > 10
    assert math.isnan(there.alignment)
    assert math.isnan(there.alignment_p)
    assert math.isnan(there.time_constants["points_1"])
    assert there.continuum["data"] == 1


def test_bistable_units_stand_at_the_roots_that_are_known():
    """h' = tanh(2 h) has -r, 0 and r: there the slopes are 2 (1 - h^2), one stable and one not."""
    root: Any = scipy.optimize.brentq(lambda h: np.tanh(2 * h) - h, 0.5, 1)
    units = Map(3, lambda states, inputs: np.tanh(2 * states))
    starts = np.random.default_rng(0).uniform(-1.2, 1.2, (60, 3))
    ended = minimise_speed(units, np.zeros(3), starts, longest_step=0.1)
    assert (ended.q < 1e-18).mean() > 0.9
    fixed = ended.states[ended.q < 1e-18]
    kinds = np.array([-root, 0, root])
    which = np.abs(fixed[:, :, None] - kinds).argmin(axis=2)
    np.testing.assert_allclose(fixed, kinds[which], atol=1e-8)
    assert len(np.unique(which, axis=0)) > 15, "of the 27"
    slopes = jacobians(units, fixed, np.zeros((len(fixed), 3)))
    known = 2 * (1 - kinds[which] ** 2)
    np.testing.assert_allclose(slopes, known[:, :, None] * np.eye(3), atol=1e-6)
    spectrum = spectra(slopes, 2, 20.0, 3.0)
    np.testing.assert_array_equal(spectrum.n_unstable, (which == 1).sum(axis=1))


def network(seed: int, gain: float, n_units: int = 24) -> tuple[Map, torch.Tensor]:
    weights = gain * np.random.default_rng(seed).standard_normal((n_units, n_units)) / math.sqrt(n_units)
    return Map(n_units, lambda states, inputs: np.tanh(states @ weights)), torch.from_numpy(weights)


@pytest.mark.parametrize("seed", range(3))
def test_points_are_roots_or_have_no_way_down(seed):
    dynamics, weights = network(seed, 1.8)
    starts = np.random.default_rng(seed).uniform(-1, 1, (30, 24))
    ended = minimise_speed(dynamics, np.zeros(3), starts, longest_step=0.3)
    fixed = ended.q < 1e-18
    assert fixed.any()
    for state in ended.states[fixed][:5]:
        solution = scipy.optimize.root(lambda h: np.tanh(h @ weights.numpy()) - h, state, tol=1e-13)
        np.testing.assert_allclose(solution.x, state, atol=1e-6)
    slow = ended.states[~fixed]
    residual = dynamics(slow, np.zeros((len(slow), 3))) - slow
    slopes = jacobians(dynamics, slow, np.zeros((len(slow), 3))) - np.eye(24)
    gradient = np.einsum("nij,ni->nj", slopes, residual)
    assert (np.linalg.norm(gradient, axis=1) < 1e-2 * np.linalg.norm(residual, axis=1)).all()
    q = [0.5 * ((dynamics(each, np.zeros((30, 3))) - each) ** 2).sum(axis=1) for each in (starts, ended.states)]
    assert (q[1] <= q[0]).all()
    np.testing.assert_allclose(q[1], ended.q, atol=1e-15)


@pytest.mark.parametrize("seed", range(2))
def test_it_finds_as_many_as_adam(seed):
    dynamics, weights = network(seed, 1.3)
    starts = np.random.default_rng(seed).uniform(-0.5, 0.5, (40, 24))
    with one_thread():
        states = torch.tensor(starts, requires_grad=True)
        adam, q = torch.optim.Adam([states], 0.01), torch.full((40,), math.inf)
        for _ in range(2000):
            adam.zero_grad()
            q = 0.5 * ((torch.tanh(states @ weights) - states) ** 2).sum(1)
            q.sum().backward()
            adam.step()
    ours = minimise_speed(dynamics, np.zeros(3), starts, longest_step=0.1)
    assert (ours.q < 1e-10).sum() >= max(1, (q < 1e-10).sum())


def test_no_step_is_longer_than_allowed():
    forgets = linear(0.5, 0.5)
    starts = 10 * forgets.slow[:, :1].T
    ended = minimise_speed(forgets, np.zeros(3), starts, longest_step=0.01, max_iterations=7)
    assert ended.iterations.tolist() == [7]
    assert 0.069 < np.linalg.norm(ended.states - starts) <= 0.07 + 1e-12


def test_points_on_a_kink_are_told():
    """F(h) = h / 2 + 0.3 |h| in the first unit stands still at 0, where its slope is 0.2 or 0.8."""

    def bent(states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        following = 0.5 * states + 0.3 * np.abs(states) * (np.arange(4) == 0)
        following[:, 1:3] += inputs[:, 1:3]
        return following

    finding = found(Map(4, bent))
    assert finding.n_fixed == finding.n_kinked == 32
    assert found(linear(1, 1)).n_kinked == 0


def test_at_a_kink_q_may_be_least_where_nothing_is_fixed():
    """F(h) - h = (1 + |h| / 2) / 10 is nowhere 0: the least q is 1/200."""
    bent = Map(1, lambda states, inputs: states + 0.1 * (1 + np.abs(states) / 2))
    starts = np.random.default_rng(0).uniform(-2, 2, (20, 1))
    ended = minimise_speed(bent, np.zeros(3), starts, longest_step=0.1)
    assert (ended.q >= 1 / 200).all()
    assert (np.abs(ended.states) < 0.5 * np.abs(starts)).mean() > 0.7


def test_slow_directions_span_the_right_eigenvectors_and_their_transpose_the_left():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        dynamics = linear(0.99, 0.95, normal=False, seed=seed)
        mu = np.linalg.eigvals(dynamics.matrix)
        right = slow_directions(dynamics.matrix, mu, 2)
        left = slow_directions(dynamics.matrix.T, mu, 2)
        assert right is not None
        assert left is not None
        assert overlap(right, np.linalg.qr(dynamics.slow)[0]) == pytest.approx(1)
        # What is orthogonal to the left ones leaves no trace in the slow modes.
        lost = scipy.linalg.null_space(left.T) @ rng.standard_normal(6)
        assert np.linalg.norm(np.linalg.matrix_power(dynamics.matrix, 60) @ lost) < 1e-12
        np.testing.assert_allclose(principal_angles(right, right), 0, atol=1e-5)


def test_pairs_and_repeated_eigenvalues():
    turn = 0.98 * np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((5, 5))
    blocks: Any = scipy.linalg
    for block, dims in ((turn, 2), (np.array([[0.98, 1], [0, 0.98]]), 2)):
        matrix = basis @ blocks.block_diag(block, np.diag([0.5, 0.3, -0.99])) @ np.linalg.inv(basis)
        directions = slow_directions(matrix, np.linalg.eigvals(matrix), dims)
        assert directions is not None
        assert overlap(directions, np.linalg.qr(basis[:, :2])[0]) == pytest.approx(1)
    matrix = basis @ blocks.block_diag(turn, np.diag([0.5, 0.3, -0.99])) @ np.linalg.inv(basis)
    assert slow_directions(matrix, np.linalg.eigvals(matrix), 1) is None, "half a pair is no direction"
    assert spectra(matrix[None], 2, 20.0, 1.0).n_slow[0] == 0, "it turns before it decays"
    slower = blocks.block_diag(0.99 * np.eye(2) + 0.001 * np.array([[0, 1], [-1, 0]]), 0.1)
    assert spectra(slower[None], 2, 20.0, 3.0).continuous.tolist() == [True]


def test_time_constants():
    mu = np.array([0, 0.5, 0.99, -0.99, 0.6 + 0.6j, 1, 1 + 1e-12, 1.001, 2], complex)
    times = time_constants(mu)
    np.testing.assert_allclose(times[:5], [0, *(-1 / np.log(np.abs(mu[1:5])))])
    np.testing.assert_array_equal(times[5:], [np.inf, np.inf, np.nan, np.nan])


def test_overlap_is_the_mean_squared_cosine():
    rng = np.random.default_rng(0)
    first, second = (np.linalg.qr(rng.standard_normal((9, 2)))[0] for _ in range(2))
    angles = scipy.linalg.subspace_angles(first, second)
    np.testing.assert_allclose(np.sort(principal_angles(first, second)), np.degrees(np.sort(angles)))
    assert overlap(first, second) == pytest.approx(np.mean(np.cos(angles) ** 2))


def test_the_null_of_the_alignment_is_uniform_where_it_holds():
    """Axes that are drawn from the data's covariance are as well aligned as others drawn so."""
    data = data_states(linear(0.9, 0.8, 0.7, 0.6, normal=False), Stream(TASK, "test", 0).take(64))
    rng = np.random.default_rng(0)
    directions = [np.linalg.qr(rng.standard_normal((8, 2)))[0] for _ in range(3)]
    p = []
    for _ in range(200):
        axes, *others = np.linalg.qr(data.random_axes(20, rng))[0]
        value, null = alignment_of([*directions, None], axes, np.array(others))
        assert value == pytest.approx(np.mean([overlap(each, axes) for each in directions]))
        p.append((1 + np.sum(null >= value)) / 20)
    # Between its 20 values the distribution is a staircase, no more than 1/20 off.
    assert scipy.stats.kstest(p, "uniform").statistic < 1 / 20 + scipy.stats.kstwo.ppf(0.999, 200)


def test_at_the_data_the_code_is_that_of_the_same_orthant():
    """A code that is bent at x_1 = 0: of two other directions on either side, each slow on its own side only."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((8, 8)))[0]

    def bent(states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        # Components 0 and 1 sum up the positive and the negative evidence of x_1, component 2 that of x_2.
        own = states @ basis
        net = own[:, 0] - own[:, 1] + inputs[:, 1]
        own[:, 0], own[:, 1] = np.maximum(net, 0), np.maximum(-net, 0)
        own[:, 2] += inputs[:, 2]
        own[:, 3:] *= 0.3
        return own @ basis.T

    finding = found(Map(8, bent), n_null=50)
    assert finding.continuum["data"] > 0.9
    assert finding.alignment_data["global"] < 0.8
    assert finding.alignment_data["value"] > 0.9
    assert len(finding.alignment_data_null) == 50
    assert finding.alignment_data["isotropic"] == 2 / 8


def test_orthants_with_too_few_trials_are_left_out():
    task = EvidenceTask(n_tasks=4, n_dims=4, encoder=None)
    dynamics = LinearDynamics(np.random.default_rng(0), np.full(4, 0.99), 5)
    data = data_states(dynamics, Stream(task, "test", 0).take(20))
    directions = [np.eye(8)[:, :4]] * 6
    value, null = local_alignment(data, np.arange(6), directions, 3, np.random.default_rng(0))
    assert math.isnan(value)
    assert len(null) == 0


def test_random_axes_have_the_covariance_of_the_data():
    data = data_states(linear(0.9, 0.8, normal=False), Stream(TASK, "test", 0).take(64))
    states = np.concatenate([data.reference, data.others])
    axes = data.random_axes(20_000, np.random.default_rng(0))
    known = np.cov(states.T, bias=True)
    np.testing.assert_allclose(np.einsum("rid,rjd->ij", axes, axes) / 40_000, known, atol=0.05 * np.abs(known).max())


def test_the_scales_of_the_data():
    dynamics, trials = linear(0.9, 0.8), Stream(TASK, "test", 0).take(20)
    data = data_states(dynamics, trials)
    assert data.paths.shape == (20, 21, 8)
    assert len(data.reference) == len(data.others) == 210
    apart = np.linalg.norm(data.others[:, None] - data.reference, axis=2).min(axis=1)
    np.testing.assert_allclose(data.own, apart, atol=1e-7)
    assert data.unit == pytest.approx(np.median(apart))
    np.testing.assert_allclose(nearest(data.reference[:3] + 0, data.reference), 0, atol=1e-6)
    covariance = np.cov(data.paths[:, -1].T, trials.latents.T)
    np.testing.assert_allclose(data.coding, covariance[:8, 8:] @ np.linalg.inv(covariance[8:, 8:]), atol=1e-10)


VARIANTS: list[dict[str, Any]] = [
    {"cueing": "one"},
    {"payoff": "quadratic", "decision": 0, "stimulus": (2, 6)},
    {"delay": (0, 4), "n_dims": 3},
]


@pytest.mark.parametrize("kwargs", VARIANTS, ids=str)
@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_networks_in_every_kind_of_task(kwargs, kind):
    task = EvidenceTask(n_tasks=3, **kwargs)
    agent = untrained(task, 0, Training(network=kind(n_units=12)))
    trials = Stream(task, "test", 0).take(64)
    settings: dict[str, Any] = {"n_starts": 8, "n_trials": 64, "n_null": 5}
    finding = fixed_points(agent.dynamics(), task, trials, np.random.default_rng(0), agent, **settings)
    again = fixed_points(agent.dynamics(), task, trials, np.random.default_rng(0), agent, **settings)
    assert finding.points.shape == (8, 12 if kind is GRU else 24)
    np.testing.assert_array_equal(finding.points, again.points)
    assert finding.value == finding.control == finding.continuum["control"] == 0, "before training it forgets"
    assert finding.n_fixed > 0
    assert finding.n_unstable == 0
    assert finding.settings["cue"] == (0 if task.reaction_time else 1)
    assert np.isfinite(finding.paths[:, : 2 + (task.n_dims == 3)]).any()


def test_a_unit_that_never_changes_does_no_harm():
    plane = linear(0.97, 0.96)

    def with_constant(states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return np.concatenate([plane(states[:, :8], inputs), np.full((len(states), 1), 7.0)], axis=1)

    finding = found(Map(9, with_constant))
    assert finding.value == 1
    assert finding.alignment == pytest.approx(1)


@pytest.mark.parametrize(
    ("dynamics", "settings", "message"),
    [
        (Map(4, lambda s, u: s * np.nan), {}, "not finite"),
        (Map(4, lambda s, u: 0 * s + 1), {}, "must vary"),
        (Map(2, lambda s, u: 0.9 * s + u[:, 1:3]), {}, "states of 2 components; more than the 2 latents"),
        (linear(1, 1), {"n_trials": 3}, "n_trials=3 is not"),
        (linear(1, 1), {"n_starts": 0}, "n_starts=0 is not"),
        (linear(1, 1), {"n_null": -1}, "n_null=-1 is not"),
        (linear(1, 1), {"context": 1}, "context=1 does not go"),
    ],
)
def test_what_cannot_be_is_refused(dynamics, settings, message):
    with pytest.raises(ValueError, match=message):
        found(dynamics, **settings)


def test_too_few_trials_are_refused():
    with pytest.raises(ValueError, match="trials has 3 trials; 4 or more"):
        fixed_points(linear(1, 1), TASK, Stream(TASK, "test", 0).take(3), np.random.default_rng(0))


@pytest.mark.parametrize("dynamics", [linear(1, 1), linear(1.02, 0.97), linear(0.97, 0.96, n_units=3)])
def test_figures_show_what_was_found(dynamics, tmp_path):
    finding = found(dynamics)
    figure, turning = fixed_points_figure(finding).values()
    save(figure, tmp_path / "points")
    assert (tmp_path / "points.pdf").stat().st_size > 1000
    shown = {text.get_text() for text in figure.texts} | {
        text.get_text() for axes in figure.axes for text in axes.texts
    }
    assert f"{finding.n_near} of 32 points near the data, {finding.n_fixed_near} of them fixed" in shown
    assert f"{finding.continuum['data']:.2f}" in shown
    assert {"real part of $\\mu$", "time constant (ms)"} <= {
        label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())
    }
    assert sum(len(trace.x) for trace in turning.data[1:]) == finding.n_near
    colours = np.concatenate([trace.marker.color for trace in turning.data[1:]])
    np.testing.assert_allclose(np.sort(colours), np.sort(np.maximum(np.log10(finding.q[finding.near] + 1e-300), -20)))
    page = turning.to_html(include_plotlyjs=True)
    assert '<script src="' not in page, "nothing is fetched"


def test_points_far_away_are_not_shown_but_counted():
    away = linear(0.97, 0.96)
    away.inputs[:, 0] = 50 * away.matrix[:, 0]
    finding = found(away, cue=0.0)
    assert finding.n_near < 32
    figure, turning = fixed_points_figure(finding).values()
    assert any(f"{32 - finding.n_near} far from it are not shown" in text.get_text() for text in figure.texts)
    assert len(turning.data) == 3
