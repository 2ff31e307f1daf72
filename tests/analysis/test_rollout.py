"""Long rollouts with a frozen decoder, on dynamics whose memory is known in closed form."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.codes import LinearDynamics
from helpers.memory import SEEDS, first_rng, linear, task_of
from helpers.memory import trials_of as some_trials
from scipy import stats

from mtrnn_agents import untrained
from mtrnn_analysis.decoding.ridge import ridge
from mtrnn_analysis.dynamics import rollout
from mtrnn_analysis.dynamics.drift import half_life, ideal_r2, time_constant
from mtrnn_analysis.dynamics.rollout import decoder_at, ends
from mtrnn_analysis.figures.dynamics import rollout_figure
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.components.latents import PRIOR_VARIANCE
from mtrnn_envs.testing import check_probe
from mtrnn_envs.trials import Trials


def trials_of(task: EvidenceTask, n: int = 800, seed: int = 0) -> Trials:
    return some_trials(task, n, seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_dims", [1, 2, 3])
@pytest.mark.parametrize("normal", [True, False])
def test_an_attractor_holds_for_ever(n_dims: int, seed: int, normal: bool) -> None:
    task = task_of(n_dims)
    trials = trials_of(task, seed=seed)
    found = rollout(linear(task, [1] * n_dims, seed, normal=normal), trials, np.random.default_rng(seed), n_null=50)
    # The running mean of 20 samples, decoded by the best affine decoder: 1 / (1 + 12 sigma² / t).
    assert found.r2_start == pytest.approx(1 / (1 + 12 * 0.04 / 20), abs=0.01)
    np.testing.assert_allclose(found.r2, found.r2_start, atol=1e-3)
    assert found.value == found.r2[-1]
    assert found.half_life == np.inf
    assert found.p == 1 / 51
    assert found.marks == (22, 44, 220)
    assert found.steps[0] == 0
    assert found.steps[-1] == 220
    assert set(found.marks) <= set(found.steps)
    # The components that decay have died down within the first steps; what remains of their noise is not drift.
    np.testing.assert_allclose(np.abs(found.multipliers), 1, atol=2e-3)
    assert abs(found.diffusion) < 1e-6


@pytest.mark.parametrize("n_dims", [1, 2, 3])
@pytest.mark.parametrize("leak", [0.98, 0.9, 0.8])
def test_a_leak_loses_what_the_closed_form_says(n_dims: int, leak: float) -> None:
    """Decoded x* after k steps is b + mu^k (x̂ - b) with b near 0, so 12 MSE follows from the moments at step 0."""
    task = task_of(n_dims)
    trials = trials_of(task)
    found = rollout(linear(task, [leak] * n_dims), trials, first_rng())
    np.testing.assert_allclose(np.abs(found.multipliers), leak, atol=1e-3)
    assert found.time_constant == pytest.approx(-1 / np.log(leak), rel=0.05)
    # x̂ = g (x + e) with Var e from the weights leak^(20 - s) of samples; the best g makes r2 = v / (v + Var e).
    weights = leak ** np.arange(20)[::-1]
    noise = 0.04 * np.sum(weights**2) / np.sum(weights) ** 2
    best = PRIOR_VARIANCE / (PRIOR_VARIANCE + noise)
    expected = _closed(leak, best, noise)[found.steps]
    np.testing.assert_allclose(found.r2, expected, atol=0.02)
    # All directions alike: the worst is worse by no more than the spread of variances in a sample.
    assert (found.r2_directions[:, 0] <= found.r2 + 1e-12).all()
    np.testing.assert_allclose(found.r2_directions[:, 0], expected, atol=0.1)
    assert found.half_life == pytest.approx(half_life(_closed(leak, best, noise)), abs=1.5)


def _closed(leak: float, best: Any, noise: Any) -> np.ndarray:
    left = leak ** np.arange(221)
    return 1 - (1 - left * best) ** 2 - (left * best) ** 2 * noise / PRIOR_VARIANCE


@pytest.mark.parametrize("leak", [0.98, 0.8])
def test_the_bias_field_of_a_leak_is_linear_in_position(leak: float) -> None:
    task = task_of()
    found = rollout(linear(task, [leak, leak]), trials_of(task), first_rng(), n_bins=4)
    # The first steps of pushes that decay fast are seen through the decoder too; they are small.
    np.testing.assert_allclose(found.drifts, (leak - 1) * found.positions, atol=2e-3)
    np.testing.assert_allclose(found.slopes, (leak - 1) * np.eye(2), atol=2e-3)
    np.testing.assert_allclose(found.offset, 0, atol=1e-3)
    assert found.positions.shape == found.drifts.shape == (16, 2)
    assert found.counts.min() >= 5
    assert found.counts.sum() <= 22 * found.n


def test_a_line_attractor_keeps_one_direction_of_the_plane() -> None:
    """Half of the variance is held: r2 falls to about a half, and that of the worst direction to 0."""
    task = task_of()
    found = rollout(linear(task, [1, 0.8]), trials_of(task), first_rng())
    assert found.value == pytest.approx(found.r2_start / 2, abs=0.04)
    assert found.r2_directions[-1] == pytest.approx([0, found.r2_start], abs=0.06)
    np.testing.assert_allclose(found.r2_directions.mean(axis=1), found.r2)
    assert sorted(np.abs(found.multipliers)) == pytest.approx([0.8, 1], abs=2e-3)
    assert found.time_constant == pytest.approx(-1 / np.log(0.8), rel=0.05)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_untrained_network_says_no(seed: int) -> None:
    task = EvidenceTask()
    found = rollout(untrained(task, seed).dynamics(), trials_of(task), np.random.default_rng(seed))
    assert found.r2_start > 0.5  # x* can be decoded from any random network that has just seen evidence,
    assert found.r2[list(found.steps).index(22)] < 0.05  # and is gone a trial later.
    assert found.value < 0.01
    assert found.half_life < 10
    assert found.time_constant < 10


class Unstable(LinearDynamics):
    def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return super().__call__(states, inputs) * np.where(inputs[:, 1:].any(axis=1), 1, 1e30)[:, None]


def test_dynamics_that_leave_the_numbers_have_a_defined_answer() -> None:
    task = task_of()
    found = rollout(Unstable(first_rng(), np.ones(2), task.n_features), trials_of(task, 100), first_rng())
    assert found.value == -np.inf
    assert found.p == 1
    assert found.r2_start > 0.9
    assert found.half_life < 1
    assert found.dispersion[-1] == np.inf


def test_growth_is_worse_than_forgetting() -> None:
    task = task_of()
    found = rollout(linear(task, [1.02, 1.02]), trials_of(task), first_rng())
    # x̂ grows by 1.02^220 = 78: 12 MSE is about 77².
    assert found.value == pytest.approx(1 - (1.02**220 - 1) ** 2, rel=0.15)
    assert found.time_constant == np.inf
    np.testing.assert_allclose(np.abs(found.multipliers), 1.02, atol=1e-3)


def test_dispersion_is_what_the_decoder_does_not_see() -> None:
    """A third component, invisible at first, pushes the decoded x* by 0.01 a step: variance k² 1e-4 / D of latent 1."""
    task = task_of()

    class Hidden:
        n_units = 2

        def start(self, n: int) -> np.ndarray:
            return np.concatenate([np.zeros((n, 2)), np.random.default_rng(5).standard_normal((n, 1))], axis=1)

        def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
            evidence = inputs[:, 1:]
            push = 0.01 * states[:, 2:] * np.array([1, 0]) * ~evidence.any(axis=1, keepdims=True)
            return np.concatenate([states[:, :2] + evidence / 20 + push, states[:, 2:]], axis=1)

    found = rollout(Hidden(), trials_of(task, 1000), first_rng())
    expected = (0.01 * found.steps) ** 2 / 2
    np.testing.assert_allclose(found.dispersion, expected, rtol=0.15, atol=1e-12)
    shown = (found.steps >= 1) & (found.steps <= 22)
    slope = np.polyfit(found.steps[shown], expected[shown], 1)[0]
    assert found.diffusion == pytest.approx(slope / 2, rel=0.15)


@pytest.mark.parametrize("sigma", [0.2, 0.4])
def test_ideal_drift_is_hyperbolic(sigma: float) -> None:
    task = task_of(sigma=sigma)
    steps = np.array([0, 5, 22, 44, 220])
    told, untold = ideal_r2(trials_of(task, 4000), steps)
    kept = 20 / (20 + steps)
    closed = 1 - (1 - kept) ** 2 - 12 * kept**2 * sigma**2 / 20
    # The closed form is the mean's; the exact posterior, which knows the edges of the prior, is a little better.
    np.testing.assert_allclose(untold, closed, atol=0.025)
    np.testing.assert_allclose(told, untold[0])
    assert told[0] > 1 - 12 * sigma**2 / 20


def test_the_untold_ideal_sees_zeros_where_its_own_stimulus_ends() -> None:
    """Trials of drawn lengths, put together, are as the trials of each length by themselves."""
    drawn = trials_of(task_of(stimulus=(5, 8)), 400)
    lengths = np.asarray(drawn.n_samples)
    steps = np.array([0, 3, 30])
    apart = []
    for length in np.unique(lengths):
        rows = lengths == length
        same = Trials(task_of(stimulus=int(length)), drawn.latents[rows], drawn.noise[rows, :length])
        apart.append((1 - ideal_r2(same, steps)[1]) * rows.sum())
    np.testing.assert_allclose(1 - ideal_r2(drawn, steps)[1], np.sum(apart, axis=0) / 400, atol=1e-6)


def test_noise_behind_the_encoder_has_no_ideal() -> None:
    task = EvidenceTask(encoder_noise=0.1)
    found = rollout(untrained(task, 0).dynamics(), trials_of(task, 100), first_rng(), n_null=10)
    assert np.isnan(found.r2_told).all()
    assert np.isnan(found.r2_untold).all()
    assert np.isfinite(found.value)


def test_each_trial_ends_at_its_own_end() -> None:
    task = task_of(stimulus=(5, 9), delay=(0, 3))
    trials = trials_of(task, 50)
    dynamics = linear(task, [1, 0.9])
    for after in ("stimulus", "trial"):
        together = ends(dynamics, trials, after=after).states
        for i in range(50):
            f, s, d, g = np.asarray(trials.lengths)[i]
            alone = replace(task, fixation=int(f), stimulus=int(s), delay=int(d), decision=int(g))
            one = Trials(alone, trials.latents[[i]], trials.noise[[i], : int(s)])
            np.testing.assert_allclose(ends(dynamics, one, after=after).states[0], together[i], atol=1e-7)


@pytest.mark.parametrize(
    ("fields", "after", "cue"),
    [({}, "stimulus", 1), ({}, "trial", 0), ({"payoff": "quadratic", "decision": 0}, "stimulus", 0)],
)
def test_the_cue_at_rest_is_the_one_that_the_task_goes_on_with(fields: dict, after: str, cue: float) -> None:
    task = task_of(**fields)
    trials, dynamics = trials_of(task, 40), linear(task, [1, 1])
    assert (ends(dynamics, trials, after=after).resting[:, 0] == cue).all()
    assert (ends(dynamics, trials, after=after, cue=0.5).resting[:, 0] == 0.5).all()
    assert rollout(dynamics, trials, first_rng(), after=after, n_null=2).settings["cue"] == cue


def test_the_task_that_is_cued_stays_cued() -> None:
    task = task_of(cueing="one")
    trials = trials_of(task, 40)
    resting = ends(linear(task, [1, 1]), trials).resting
    np.testing.assert_array_equal(resting[:, 3:].argmax(axis=1), trials.context)
    assert (resting[:, 3:].sum(axis=1) == 1).all()


class Behind(LinearDynamics):
    """Units that show the state of the step before: the memory of an LSTM, too, may be in c, and h shows it."""

    def start(self, n: int) -> np.ndarray:
        return np.zeros((n, 2 * self.n_units))

    def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        memory = states[:, self.n_units :]
        return np.concatenate([memory[:, ::-1], super().__call__(memory, inputs)], axis=1)


def test_what_is_decoded_is_the_units_and_what_runs_is_the_whole_state() -> None:
    task = task_of()
    found = rollout(Behind(first_rng(), np.ones(2), task.n_features), trials_of(task), first_rng())
    # At the end of the stimulus the units know 19 of 20 samples; a step later, and ever after, all.
    assert found.value == pytest.approx(found.r2_start, abs=0.01)


def test_p_is_uniform_where_the_state_has_nothing_to_do_with_the_latents() -> None:
    """The evidence is about another point than x*; an attractor holds that, and x* can be permuted."""
    task = task_of()
    dynamics, rng = linear(task, [1, 1]), first_rng()
    p = []
    for seed in range(200):
        trials = trials_of(task, 40, seed)
        about = rng.uniform(-0.5, 0.5, (40, 2))
        noise = (trials.evidence - trials.latents[:, None] + (about - trials.latents)[:, None]) / 0.2
        other = Trials(task, trials.latents, noise.astype(np.float32))
        p.append(rollout(dynamics, other, rng, n_null=19, multiples=(1,)).p)
    steps = np.arange(1, 21) / 20
    distance = np.abs([np.mean(np.array(p) <= a + 1e-9) - a for a in steps]).max()
    assert distance < stats.kstwo.ppf(0.999, 200)


def test_the_null_is_the_r2_of_permuted_latents() -> None:
    task = task_of()
    found = rollout(linear(task, [0.999, 0.999]), trials_of(task), first_rng(), n_null=300)
    # Decoded values have nothing to do with permuted x*: MSE = Var x + Var x̂.
    spread = 0.999 ** (2 * 220) * found.r2_start
    assert np.mean(found.null) == pytest.approx(-spread, abs=0.04)


def test_the_decoder_is_the_ridge_of_the_best_penalty() -> None:
    rng = first_rng()
    x = rng.uniform(-0.5, 0.5, (200, 2))
    states = x @ rng.standard_normal((2, 10)) + 0.3 * rng.standard_normal((200, 10))
    found = decoder_at(states, x, rng)
    assert found.penalty > 0
    np.testing.assert_allclose(found.weights, ridge(states, x, found.penalty).weights, atol=1e-9)


def test_time_constants_and_half_lives() -> None:
    assert time_constant(np.array([0.5, 0.9 + 0j])) == pytest.approx(1 / np.log(2))
    assert time_constant(np.array([1 + 0j])) == np.inf
    assert time_constant(np.array([0.6 + 0.8j])) == np.inf  # turns, and does not decay
    assert time_constant(np.array([0j])) == 0
    assert np.isnan(time_constant(np.array([np.nan + 0j])))
    assert half_life(np.array([0.8, 0.6, 0.2])) == pytest.approx(1.5)
    assert half_life(np.array([0.8, 0.6, 0.4])) == np.inf
    assert half_life(np.array([-0.1, -5.0])) == 0


def test_it_is_a_probe() -> None:
    found = check_probe("mtrnn_analysis.dynamics.rollout:rollout", n_null=20)
    assert found.value > 0.9


def test_few_trials_constant_units_and_one_empty_orthant_have_an_answer() -> None:
    task = task_of(excluded_orthants=("++",))
    trials = Stream(task, "train", 0).take(60)
    found = rollout(linear(task, [1, 1], n_units=64), trials, first_rng())  # 30 trials to fit 64 units to
    assert found.value > 0.8
    assert found.n == 30

    class Silent(LinearDynamics):
        def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
            return np.zeros_like(states)

    silent = rollout(Silent(first_rng(), np.ones(2), task.n_features), trials, first_rng())
    assert silent.value == silent.r2_start < 0.5  # what is left is the mean of latents that lack a quadrant
    assert silent.p == 1
    assert np.isnan(silent.time_constant)
    assert np.isnan(silent.multipliers).all()


def test_bad_arguments() -> None:
    task = task_of()
    trials, dynamics = trials_of(task, 100), linear(task, [1, 1])
    with pytest.raises(ValueError, match="trials has 19 trials; 20 or more are needed"):
        rollout(dynamics, trials[:19], first_rng())
    bad: list[tuple[dict[str, Any], str]] = [
        ({"multiples": (2, 1)}, r"multiples=\(2, 1\) must be whole numbers above 0 that rise"),
        ({"multiples": ()}, r"multiples=\(\) must be whole numbers"),
        ({"after": "end"}, "'end' is not an end of a rollout"),
        ({"n_bins": 0}, "n_bins=0 is not a whole number, 1 or more"),
        ({"n_trials": 19}, "n_trials=19 is not a whole number, 20 or more"),
    ]
    for settings, message in bad:
        with pytest.raises(ValueError, match=message):
            rollout(dynamics, trials, first_rng(), **settings)
    dynamics.matrix = dynamics.matrix * np.nan
    with pytest.raises(ValueError, match="dynamics gives states that are not finite in 50 trials"):
        rollout(dynamics, trials, first_rng())


@pytest.mark.parametrize("n_dims", [1, 2, 3])
@pytest.mark.parametrize("leak", [0.98, 1.1])
def test_the_figure_draws_what_was_found(n_dims: int, leak: float) -> None:
    task = task_of(n_dims)
    found = rollout(linear(task, [leak] * n_dims), trials_of(task), first_rng())
    figure = rollout_figure(found)
    figure.savefig(io.BytesIO(), format="png")
    left, right = figure.axes[:2]
    drawn = {line.get_label(): np.asarray(line.get_ydata(), float) for line in left.get_lines()}
    np.testing.assert_allclose(drawn["decoded, decoder frozen"], np.maximum(found.r2, -1))
    np.testing.assert_allclose(drawn["ideal, not told"], found.r2_untold)
    assert {"1×", "2×", "10×"} <= {text.get_text() for text in left.texts}
    assert ("no direction decays" in right.get_title()) == (leak > 1)
    assert any("last step" in text.get_text() for text in left.texts) == (found.value < -0.5)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (left, right))
