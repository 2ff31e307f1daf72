"""States that an agent's are held against: known answers, and the same path as a recording takes."""

from __future__ import annotations

from dataclasses import asdict, replace

import gymnasium as gym
import numpy as np
import pytest
from helpers.codes import linear, unrelated

from mtrnn_agents import untrained
from mtrnn_analysis.decoding import decode
from mtrnn_analysis.decoding.controls import control_states, posterior_mean, states_of
from mtrnn_envs import EvidenceTask, Stream, observe, record
from mtrnn_envs.ideal_observer.posterior import posterior, running_means
from mtrnn_envs.trials import samples_seen

TASK = EvidenceTask(n_tasks=3)


def test_states_of_an_agent_are_those_that_are_recorded() -> None:
    agent = untrained(TASK, 0)
    recording = record(agent, gym.make_vec("MultiTaskEvidence-v0", 4, split="test", **asdict(TASK)), 10, seed=0)
    assert recording.hidden is not None
    np.testing.assert_allclose(states_of(agent, recording.trials()), recording.hidden, atol=1e-6)


def test_an_agent_without_states_is_refused() -> None:
    class Blind:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros((len(observation), 3)), None

    with pytest.raises(ValueError, match="agent=Blind has no state that could be recorded"):
        states_of(Blind(), Stream(TASK, "test", 0).take(5))


@pytest.mark.parametrize(
    "task",
    [
        TASK,
        replace(TASK, encoder=None),
        replace(TASK, fixation=(0, 3), stimulus=(2, 9), delay=(0, 2)),
        replace(TASK, payoff="quadratic", decision=0, stimulus=8),
    ],
)
def test_controls_are_of_what_has_been_seen(task: EvidenceTask) -> None:
    """Trial by trial, from the observations alone."""
    trials = Stream(task, "test", 0).take(40)
    rng = np.random.default_rng(0)
    on, n = (np.broadcast_to(v, 40) for v in (trials.timing.stimulus_on, trials.n_samples))
    last = np.broadcast_to(trials.timing.end, 40) - 1
    for steps in (None, rng.integers(on, last + 1)):
        states = control_states(trials, steps, untrained(task, 0))
        seen, path = observe(trials), states_of(untrained(task, 0), trials)
        for i, step in enumerate(last if steps is None else steps):
            count = min(step - on[i] + 1, n[i])
            assert samples_seen(trials, steps)[i] == count
            shown = seen[i, on[i] : on[i] + count, 1:]
            evidence = trials.evidence[i, :count].astype(float)
            np.testing.assert_allclose(states["untrained"][i], path[i, step])
            np.testing.assert_allclose(states["last input"][i], shown[-1], atol=1e-6)
            np.testing.assert_allclose(states["mean input"][i], shown.mean(axis=0), atol=1e-6)
            ideal = posterior(task, evidence.mean(axis=0)[None], int(count))[0][0]
            np.testing.assert_allclose(states["ideal"][i], ideal, atol=1e-7)
            if task.encoder is not None:
                np.testing.assert_allclose(states["mean evidence"][i], evidence.mean(axis=0), atol=1e-7)
        assert ("mean evidence" in states) == (task.encoder is not None)


def test_before_the_first_sample() -> None:
    trials = Stream(TASK, "test", 0).take(8)
    with pytest.raises(ValueError, match="steps: 8 of 8 trials end before the first sample"):
        control_states(trials, np.zeros(8, np.int64))
    assert not posterior_mean(trials, np.ones((8, 2)), np.zeros(8, np.int64)).any()


def test_the_ideal_observer_knows_the_prior_of_the_trials_it_is_tested_on() -> None:
    """Orthants left out of training are shown in the test split: an observer that ruled them out would be wrong."""
    task = replace(TASK, excluded_orthants=("++",))
    trials = Stream(task, "test", 0).take(50)
    means = running_means(trials)[:, -1]
    count = samples_seen(trials)
    np.testing.assert_allclose(posterior_mean(trials, means, count), posterior(TASK, means, count)[0])


def test_without_an_ideal_observer() -> None:
    trials = Stream(replace(TASK, encoder_noise=0.1), "test", 0).take(20)
    assert set(control_states(trials)) == {"last input", "mean input", "mean evidence"}


def test_what_the_agent_has_earned_can_be_read_from_the_finding() -> None:
    """The mean of a random encoder's outputs is a good code out of distribution; its last output is none."""
    trials = Stream(TASK, "test", 0).take(2000)
    rng = np.random.default_rng(0)
    better, worse = linear(rng, trials.latents), unrelated(rng, trials.latents)
    first, second = (
        decode(h, trials.latents, np.random.default_rng(0), None, trials, untrained(TASK, 0), n_null=0)
        for h in (better, worse)
    )
    ood = {name: control.ood for name, control in first.controls.items()}
    assert ood == {name: control.ood for name, control in second.controls.items()}
    assert ood["last input"] < 0.6 < 0.9 < ood["mean input"] < ood["mean evidence"] < ood["ideal"]
    assert ood["mean evidence"] == pytest.approx(1 - 12 * 0.2**2 / 20, abs=0.005)
    assert ood["untrained"] < 0.9
    assert first.best_untrained == second.best_untrained == "mean input"
    assert first.above_untrained == pytest.approx(first.value - ood["mean input"])
    assert first.above_untrained > 0
    assert second.above_untrained < -0.5
    assert np.isnan(decode(better, trials.latents, rng, n_null=0).above_untrained)
