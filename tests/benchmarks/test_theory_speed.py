"""Speed of x* from answers alone, in CPU time, in eigendecompositions of a 400 x 400 matrix in the same run.

2000 trials, 24 tasks, 64 units. The decoders beside it are most of the cost of "multilateration".
"""

import time

import numpy as np
import pytest
from scipy import special
from test_speed import cpu_seconds

from mtrnn_analysis.theory import multilateration, rank_condition, sample_curve
from mtrnn_analysis.theory.distances import FORMS, lines, located
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.ideal_observer.posterior import running_means

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=5, warmup=False)
TASK = EvidenceTask()
TRIALS = Stream(TASK, "test", 0).take(2000)
MEANS = running_means(TRIALS)
P = special.ndtr(np.sqrt(20) * TASK.boundary.margins(MEANS[:, -1]) / 0.2)
MAP = np.random.default_rng(0).standard_normal((2, 64))
STATES = MEANS[:, -1] @ MAP + 0.05 * np.random.default_rng(1).standard_normal((2000, 64))
HIDDEN = np.concatenate([MEANS[:, :1], MEANS, MEANS[:, -1:]], axis=1) @ MAP


@pytest.fixture(scope="module")
def unit() -> float:
    square = np.random.default_rng(0).standard_normal((400, 400))
    return cpu_seconds(lambda: np.linalg.eigh(square + square.T), 1)


PROBES = {
    "multilateration": (lambda: multilateration(P, TRIALS.latents, TASK, rng(), None, TRIALS, STATES), 20),
    "rank_condition": (lambda: rank_condition(P, TRIALS.latents, TASK, rng(), None, TRIALS), 40),
    "sample_curve": (lambda: sample_curve(TRIALS.latents, TASK, TRIALS, rng(), HIDDEN), 20),
}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", PROBES)
def test_probes(benchmark, ratios, unit, name):
    call, aim = PROBES[name]
    seconds = cpu_seconds(call, 1)
    ratios(f"{name}, 100 draws of the null ({seconds:.2f} CPU s): eigendecompositions", seconds / unit, aim)
    benchmark(call)


@pytest.mark.parametrize("form", FORMS)
def test_forms(benchmark, ratios, unit, form):
    given = lines(P, TASK)
    seconds = cpu_seconds(lambda: located(given, form, 2.5), 1)
    ratios(f"{form} form ({seconds * 1e3:.0f} CPU ms): eigendecompositions", seconds / unit, 2)
    benchmark(lambda: located(given, form, 2.5))
