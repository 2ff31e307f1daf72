"""One of each kind from a made-up third party's package, touching no file of ours: what ours can, it can."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from mtrnn_agents import IdealObserver
from mtrnn_analysis import probe
from mtrnn_envs import EvidenceTask, Stream, record, sample
from mtrnn_envs.components.boundaries.quadrics import Quadric
from mtrnn_envs.ideal_observer import answer_probabilities, ideal_performance, running_means, trial_probabilities
from mtrnn_envs.ideal_observer.label_probabilities import plane_answers
from mtrnn_envs.testing import check_env

THIRD_PARTY = Path(__file__).parents[1] / "helpers" / "third_party"


@pytest.fixture(autouse=True, scope="module")
def installed() -> Iterator[None]:
    """The package can be imported, here and in workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(THIRD_PARTY)
        patch.setenv("PYTHONPATH", str(THIRD_PARTY), prepend=":")
        yield
        for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
            del sys.modules[name]


EXTENDED: dict[str, dict[str, Any]] = {
    "boundaries": {"boundaries": "lab.rings:rings"},
    "boundaries without sections": {"boundaries": "lab.rings:Fences"},
    "noise": {"noise": "lab.mirrored:MirroredGumbel"},
    "reward": {"payoff": "lab.rules:signed"},
    "reward in reaction time": {"payoff": "lab.rules:doubled", "decision": 0},
}


@pytest.mark.parametrize("fields", EXTENDED.values(), ids=EXTENDED)
def test_a_task_with_it_passes_the_conformance_suite(fields: dict[str, Any]) -> None:
    task = EvidenceTask(n_tasks=3, **fields)
    assert EvidenceTask.from_json(task.to_json()) == task
    assert len(Stream(task, "train", 0).take(70)) == 70
    check_env("MultiTaskEvidence-v0", n_tasks=3, stimulus=5, **fields)


def test_a_boundary_with_sections_has_the_exact_ideal_observer_of_the_same_quadrics() -> None:
    own = EvidenceTask(n_tasks=4, boundaries="lab.rings:rings", boundary_seed=3)
    rings: Any = own.boundary
    squared = (rings.centres**2).sum(axis=1) - rings.radii**2
    same = Quadric(np.tile(-np.eye(2), (4, 1, 1)), 2 * rings.centres, squared)
    trials = sample(own, 500, np.random.default_rng(0))
    np.testing.assert_allclose(rings.margins(trials.latents), same.margins(trials.latents), atol=1e-12)
    means = running_means(trials)[:, -1]
    counts = np.full(len(means), 20.0)
    found = answer_probabilities(own, means, 20)
    object.__setattr__(own, "boundary", same)  # of the task, whose cached attribute it is
    np.testing.assert_allclose(found, plane_answers(own, means, counts, 96), atol=2e-6)
    assert ideal_performance(EvidenceTask(n_tasks=4, boundaries="lab.rings:rings")).method == "exact (quadrature)"


def test_a_boundary_without_sections_has_the_same_ideal_observer_by_quasi_monte_carlo() -> None:
    exact, drawn = (EvidenceTask(n_tasks=4, boundaries=f"lab.rings:{name}") for name in ("rings", "Fences"))
    trials = sample(exact, 400, np.random.default_rng(0))
    p = trial_probabilities(trials)
    q = answer_probabilities(drawn, running_means(trials)[:, -1], 20)
    assert np.abs(p - q).max() < 0.02
    assert abs(p - q).mean() < 1e-3


def test_sections_that_contradict_the_margins_are_refused() -> None:
    with pytest.raises(ValueError, match=r"boundaries='lab.rings:crooked': section\(0, x\) and margins\(x\) disagree"):
        EvidenceTask(n_tasks=2, boundaries="lab.rings:crooked")


def test_mirrored_noise_has_the_ideal_performance_of_its_mirror_image() -> None:
    """Lines through the origin and the prior are their own mirror images."""
    own, image = (EvidenceTask(n_tasks=3, noise=noise) for noise in ("lab.mirrored:MirroredGumbel", "gumbel"))
    ours, theirs = ideal_performance(own), ideal_performance(image)
    for name in ("accuracy", "cross_entropy", "r2_prior"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-9), name
    trials = sample(own, 3000, np.random.default_rng(1))
    error = (trials.evidence - trials.latents[:, None]).ravel() / 0.2
    assert abs((error**3).mean() + 1.1395) < 0.05  # skewness of Gumbel noise, with its sign turned
    right = (trial_probabilities(trials) > 0.5) == (trials.labels > 0)
    assert abs(right.mean() - ours.accuracy) < 4 * right.mean(axis=1).std() / np.sqrt(len(right))


def test_autocorrelation_is_refused_by_noise_that_does_not_take_it() -> None:
    with pytest.raises(ValueError, match=r"autocorrelation=0.5 needs noise='gaussian', got 'lab.mirrored"):
        EvidenceTask(noise="lab.mirrored:MirroredGumbel", autocorrelation=0.5)


@pytest.mark.parametrize("rule", ["signed", "misses_are_dear"])
def test_the_ideal_observer_earns_the_best_mean_reward_of_a_fixed_duration(rule: str) -> None:
    task = EvidenceTask(n_tasks=3, payoff=f"lab.rules:{rule}", encoder=None, sigma=0.6)
    best = ideal_performance(task)
    assert best.value is not None
    env = gym.make_vec("MultiTaskEvidence-v0", 64, n_tasks=3, payoff=f"lab.rules:{rule}", encoder=None, sigma=0.6)
    recording = record(IdealObserver(task), env, 3000, seed=0)
    earned = recording.rewards.sum(axis=1)
    assert abs(earned.mean() - best.value) < 4 * earned.std() / np.sqrt(len(earned))
    if rule == "signed":
        assert best.value == pytest.approx(2 * best.accuracy - 1, abs=1e-9)
    else:
        assert recording.correct.mean() < best.accuracy - 0.01  # it answers +1 more often than is likely


def test_optimal_stopping_of_a_rule_in_other_units_is_the_same_policy() -> None:
    fields: dict[str, Any] = {"n_tasks": 2, "decision": 0, "stimulus": 8, "encoder": None}
    once = ideal_performance(EvidenceTask(payoff="quadratic", time_cost=0.01, **fields))
    twice = ideal_performance(EvidenceTask(payoff="lab.rules:doubled", time_cost=0.02, **fields))
    assert once.value is not None
    assert twice.value == pytest.approx(2 * once.value, abs=1e-9)
    assert twice.response_step == pytest.approx(once.response_step, abs=1e-9)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"noise": "lab.rings:rings"}, "is not a class derived from mtrnn_envs.components.noise.Noise"),
        ({"noise": "lab.nowhere:Noise"}, "noise='lab.nowhere:Noise' cannot be imported"),
        ({"payoff": "lab.rings:rings"}, "is a function; a mtrnn_envs.components.RewardRule is needed"),
        ({"payoff": "lab.nowhere:rule"}, "payoff='lab.nowhere:rule' cannot be imported"),
        ({"boundaries": "lab.rules:signed"}, "is not a function of latents"),
        ({"boundaries": "lab.rings:broken"}, "fails for 2 tasks of 2 latents: RuntimeError"),
    ],
)
def test_another_thing_under_its_name_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EvidenceTask(n_tasks=2, **fields)


def test_a_probe_has_its_figure_and_prints_shortly() -> None:
    from mtrnn_envs.testing import check_probe
    from mtrnn_envs.testing.probes import recording_of

    check_probe("spread")
    found = probe(recording_of()[0], "spread", power=2.0)
    assert found.settings == {"power": 2.0}
    assert len(repr(found).splitlines()) <= 8
    assert "<img" in found._repr_html_()


@pytest.mark.slow
def test_a_network_and_a_study_of_all_kinds(tmp_path: Path) -> None:
    """In a process of its own: a network is one of the installed ones from the start."""
    script = THIRD_PARTY / "train_and_study.py"
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["reloaded"] is True
    assert found["units"] == 6
    assert found["calls of the backend"] == "1"
    assert found["spread"] > 0
    assert found["reward"] == pytest.approx(2 * found["accuracy"] - 1, abs=1e-9)
    assert found["ideal.reward"] == pytest.approx(2 * found["ideal.accuracy"] - 1, abs=1e-9)
    assert found["another rule under its name"] != found["the rule"]
