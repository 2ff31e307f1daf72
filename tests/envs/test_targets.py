"""Targets: the accumulators against loops in plain Python, and their mean against its definition."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from mtrnn_envs import EvidenceTask, Trials
from mtrnn_envs.components.boundaries import Linear
from mtrnn_envs.rng.seeding import generator, torch_generator
from mtrnn_envs.targets import KINDS, targets
from mtrnn_envs.trials import sample

TASKS = {
    "default": EvidenceTask(),
    "cued": EvidenceTask(cueing="one", n_tasks=3),
    "affine in 3-D": EvidenceTask(boundaries="affine", n_dims=3, n_tasks=5, encoder=None),
    "one latent": EvidenceTask(boundaries="random", n_dims=1, n_tasks=2, fixation=0),
    "reaction time": EvidenceTask(payoff="quadratic", decision=0, n_tasks=3),
    "drawn periods": EvidenceTask(fixation=(0, 3), stimulus=(2, 9), delay=(0, 2), decision=(1, 2), n_tasks=5),
    "drawn, cued, affine": EvidenceTask(boundaries="affine", stimulus=(1, 9), delay=3, cueing="one", n_tasks=5),
    "drawn reaction time": EvidenceTask(payoff="quadratic", decision=0, stimulus=(3, 9), n_tasks=3),
    "noise behind the encoder": EvidenceTask(encoder_noise=0.1, sigma=0, n_tasks=3),
}


def plain(trials: Trials, bound: float) -> np.ndarray:
    """The accumulators themselves, [N, T, A], step by step and in float64."""
    task, boundary = trials.task, trials.task.boundary
    assert isinstance(boundary, Linear)
    on, off = (np.broadcast_to(v, len(trials)) for v in trials.timing[:2])
    found = np.zeros((len(trials), task.n_steps, task.n_answers))
    for n in range(len(trials)):
        tasks = range(task.n_tasks) if trials.context is None else [int(trials.context[n])]
        for i, k in enumerate(tasks):
            a, frozen = 0.0, False
            for t in range(task.n_steps):
                if on[n] <= t < off[n] and not frozen:
                    sample = trials.evidence[n, t - on[n]].astype(float)
                    a += float(boundary.normals[k] @ sample - boundary.offsets[k])
                    if abs(a) >= bound:
                        a, frozen = float(np.copysign(bound, a)), True
                found[n, t, i] = a
    return found


def in_torch(trials: Trials) -> Trials:
    """The same trials in torch."""
    arrays: dict[str, Any] = {f.name: getattr(trials, f.name) for f in fields(trials) if f.name != "task"}
    return replace(trials, **{k: torch.from_numpy(v) for k, v in arrays.items() if v is not None})


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("bound", [0.4, 1, 5.0])
def test_accumulators_are_those_of_plain_loops(task, bound):
    trials = sample(task, 40, generator(0, "train"))
    values, valid = targets(trials, "accumulator", bound)
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() <= 1
    np.testing.assert_allclose(bound * (2 * values - 1), plain(trials, bound), rtol=0, atol=1e-5 * max(bound, 1))
    np.testing.assert_array_equal(valid, targets(trials, "decision").valid)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_numpy_and_torch_agree(kind, task):
    trials = sample(task, 50, generator(1, "train"))
    for mine, theirs in zip(targets(trials, kind, 0.7), targets(in_torch(trials), kind, 0.7), strict=True):
        assert isinstance(theirs, torch.Tensor)
        assert mine.dtype == theirs.numpy().dtype
        np.testing.assert_array_equal(mine, theirs.numpy())


def test_what_has_reached_the_bound_stays_there():
    values = targets(sample(EvidenceTask(sigma=0.5), 500, generator(0, "train")), "accumulator", 0.8).values
    reached = (values == 0) | (values == 1)
    assert 0.2 < reached[:, -1].mean() < 0.999
    for t in range(1, values.shape[1]):
        np.testing.assert_array_equal(values[:, t][reached[:, t - 1]], values[:, t - 1][reached[:, t - 1]])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_mean_of_a_free_accumulator_is_time_times_the_signed_distance(seed):
    """With unit normals a(t) has the variance t sigma² about it; 5 standard errors."""
    task, n, bound, sigma = EvidenceTask(boundaries="affine", n_tasks=4), 4000, 100.0, 0.2
    trials = sample(task, n, generator(seed, "train"))
    assert isinstance(task.boundary, Linear)
    distance = task.boundary.margins(trials.latents)
    a = bound * (2 * targets(trials, "accumulator", bound).values.astype(float) - 1)
    when = task.timing
    assert not a[:, : when.stimulus_on].any()
    for t in range(1, 21):
        error = a[:, when.stimulus_on + t - 1] - t * distance
        np.testing.assert_allclose(error.mean(axis=0), 0, atol=5 * sigma * np.sqrt(t / n))
        np.testing.assert_allclose(error.var(axis=0), t * sigma**2, rtol=5 * np.sqrt(2 / n))
    np.testing.assert_array_equal(a[:, when.stimulus_off :], a[:, when.stimulus_off - 1 : when.stimulus_off])


def test_memory_with_what_was_in_it_before_changes_nothing():
    """Arrays are not cleared when they are made: whatever stands in them must be overwritten."""
    for task in TASKS.values():
        trials = sample(task, 9, torch_generator(0, "train"))
        for kind, fill in KINDS.items():
            out = torch.full((task.n_steps, 9, task.n_answers), torch.nan).transpose(0, 1)
            fill(trials, 0.7, out)
            assert torch.equal(out, targets(trials, kind, 0.7).values)


def test_bad_arguments():
    trials = sample(EvidenceTask(), 3, generator(0, "train"))
    with pytest.raises(ValueError, match=r"kind='late' is not one of \['accumulator', 'decision', 'stimulus'\]"):
        targets(trials, "late")
    for bound in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"bound={bound!r} is not a finite number above 0"):
            targets(trials, "accumulator", bound)
    curved = sample(EvidenceTask(boundaries="product"), 3, generator(0, "train"))
    with pytest.raises(ValueError, match="boundaries='product' have no accumulators, which need linear ones: 'linear'"):
        targets(curved, "accumulator")
