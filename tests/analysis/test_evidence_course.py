"""Decoding after each sample, in trials that nothing ends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtrnn_analysis.decoding import decode
from mtrnn_analysis.decoding.controls import states_of
from mtrnn_analysis.decoding.evidence_course import evidence_course
from mtrnn_envs import EvidenceTask, Stream


class Mean:
    """An agent whose state is the mean of what it has been shown, and how often that was."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        on = np.abs(observation[:, 1:]).sum(axis=1, keepdims=True) > 0
        total, count = (np.zeros((len(observation), 2)), np.zeros((len(observation), 1))) if state is None else state
        state = total + observation[:, 1:], count + on
        return np.zeros((len(observation), 24), int), state

    def hidden(self, state):
        return state[0] / np.maximum(state[1], 1)


FIXED = EvidenceTask(encoder=None, stimulus=6)


@pytest.mark.parametrize("task", [FIXED, replace(FIXED, payoff="quadratic", decision=0)])
def test_the_mean_of_the_samples_is_on_the_curve_of_theory(task: EvidenceTask) -> None:
    trials = Stream(task, "test", 0).take(4000)
    found = evidence_course(trials, Mean(), np.random.default_rng(0))
    np.testing.assert_array_equal(found.n_samples, np.arange(1, 7))
    np.testing.assert_allclose(found.theory, 1 - 12 * 0.2**2 / found.n_samples, rtol=1e-12)
    # A decoder shrinks towards the trials fitted: that helps among them, and costs in the quadrant left out.
    assert (found.id > found.theory).all()
    np.testing.assert_allclose(found.ood, found.theory, atol=0.04)
    assert found.value == pytest.approx(np.mean(found.ood - found.theory))


def test_the_last_sample_is_what_decode_gives_there() -> None:
    trials = Stream(EvidenceTask(encoder=None, stimulus=3), "test", 0).take(600)
    found = evidence_course(trials, Mean(), np.random.default_rng(0))
    states = states_of(Mean(), trials)[:, 3]
    there = decode(states, trials.latents, np.random.default_rng(1), n_null=0)
    np.testing.assert_allclose(found.ood[-1], there.value, rtol=1e-12)


def test_drawn_periods_and_agents_without_state_are_refused() -> None:
    drawn = Stream(EvidenceTask(stimulus=(2, 5)), "test", 0).take(10)
    with pytest.raises(ValueError, match=r"stimulus=\(2, 5\)"):
        evidence_course(drawn, Mean(), np.random.default_rng(0))
    stateless: Any = SimpleNamespace(predict=lambda shown, **more: (np.zeros((len(shown), 24), int), None))
    with pytest.raises(ValueError, match="has no state"):
        evidence_course(Stream(FIXED, "test", 0).take(10), stateless, np.random.default_rng(0))
