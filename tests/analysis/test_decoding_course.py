"""Decoding at every step, against ceilings in closed form."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mtrnn_analysis.decoding import DecodingCourse, decode
from mtrnn_analysis.decoding import decoding_course as course
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.ideal_observer.posterior import posterior, running_means
from mtrnn_envs.trials import samples_seen


def recorded(task: EvidenceTask, n: int = 2000) -> tuple:
    """States that are the ideal observer's running posterior mean, NaN beyond the end, and the trials."""
    trials = Stream(task, "test", 0).take(n)
    steps = np.arange(task.n_steps)
    valid = steps < np.broadcast_to(trials.timing.end, n)[:, None]
    hidden = np.full((n, task.n_steps, 2), np.nan)
    means = running_means(trials)
    for t in steps:
        count = samples_seen(trials, np.full(n, t))
        hidden[:, t] = 0
        some = count > 0
        hidden[some, t] = posterior(task, means[some, count[some] - 1], count[some])[0]
    hidden[~valid] = np.nan
    return hidden, valid, trials


def test_the_ideal_state_is_at_the_ceiling_at_every_step() -> None:
    hidden, valid, trials = recorded(EvidenceTask(n_tasks=2))
    found = course(hidden, valid, trials.latents, np.random.default_rng(0), trials)
    assert found.n_samples.tolist() == [0, *range(1, 21), 20]
    assert np.isnan(found.mean[0])
    np.testing.assert_allclose(found.mean[1:21], 1 - 12 * 0.2**2 / np.arange(1, 21))
    np.testing.assert_allclose(found.id[1:], found.ideal[1:], atol=0.01)
    np.testing.assert_allclose(found.ood[10:], found.ideal[10:], atol=0.005)
    assert (found.ideal[1:] > found.mean[1:] - 0.01).all()
    assert found.ideal[0] == pytest.approx(0, abs=0.05)
    # Before the evidence the mean of the other quadrants is decoded: worse than the centre.
    assert found.ood[0] < -0.5
    assert found.value == found.ood[-1]
    assert found.gap == pytest.approx(np.mean(found.ideal[1:] - found.ood[1:]))
    last = decode(hidden[:, -1], trials.latents, np.random.default_rng(0), n_null=0)
    assert found.value == pytest.approx(last.value, abs=1e-3)


def test_a_state_that_forgets_falls_below_the_ceiling() -> None:
    hidden, valid, trials = recorded(EvidenceTask(n_tasks=2))
    rng = np.random.default_rng(0)
    hidden[:, -1] = rng.standard_normal(hidden[:, -1].shape)
    found = course(hidden, valid, trials.latents, rng, trials)
    assert found.ood[-2] > 0.95
    assert found.value < 0.05


def least(monkeypatch: pytest.MonkeyPatch, value: int) -> None:
    monkeypatch.setattr(sys.modules[DecodingCourse.__module__], "LEAST", value)


def test_trials_that_have_ended_are_left_out_and_steps_with_too_few(monkeypatch) -> None:
    """Drawn periods: the ceilings are means over the trials that go on, by what each has seen."""
    hidden, valid, trials = recorded(EvidenceTask(n_tasks=2, stimulus=(2, 12), fixation=(0, 2)))
    least(monkeypatch, 120)
    found = course(hidden, valid, trials.latents, np.random.default_rng(0), trials)
    assert found.n_trials.tolist() == valid.sum(axis=0).tolist()
    enough = [
        min(np.count_nonzero(valid[:, t] & ((trials.latents > 0) == s).all(axis=1)) for s in np.ndindex(2, 2)) >= 120
        for t in range(valid.shape[1])
    ]
    assert 5 < sum(enough) < valid.shape[1]
    assert np.isfinite(found.ood).tolist() == np.isfinite(found.id).tolist() == enough
    t = np.flatnonzero(enough)[-1]
    count = samples_seen(trials, np.full(2000, t))[valid[:, t]]
    assert found.mean[t] == pytest.approx(1 - 12 * np.mean(0.04 / count))
    assert found.value == found.ood[t]
    np.testing.assert_allclose(found.id[3:t], found.ideal[3:t], atol=0.03)


def test_without_trials_there_are_no_ceilings() -> None:
    hidden, valid, trials = recorded(EvidenceTask(n_tasks=2, stimulus=3), 400)
    found = course(hidden, valid, trials.latents, np.random.default_rng(0))
    assert np.isfinite(found.ood).all()
    for ceiling in (found.ideal, found.mean, found.n_samples, found.gap, found.dt):
        assert np.isnan(ceiling).all()


def test_bad_arguments(monkeypatch) -> None:
    hidden, valid, trials = recorded(EvidenceTask(n_tasks=2, stimulus=3), 100)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no step has 50 trials or more in each orthant; the most is"):
        course(hidden, valid, trials.latents, rng)
    least(monkeypatch, 8)
    with pytest.raises(ValueError, match="trials are not those of latents"):
        course(hidden, valid, trials.latents, rng, trials[::-1])
    with pytest.raises(ValueError, match="values that are not finite"):
        course(np.full_like(hidden, np.nan), valid, trials.latents, rng)
