"""Speed of probes of memory, in CPU time, as ratios to the steps of the network that they cannot do without."""

import time

import numpy as np
import pytest
from test_speed import cpu_seconds

from mtrnn_agents import untrained
from mtrnn_analysis.dynamics import attractor, perturbations, rollout
from mtrnn_analysis.dynamics.rollout import ends
from mtrnn_envs import EvidenceTask, Stream

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=3, warmup=False)
TASK = EvidenceTask()
TRIALS = Stream(TASK, "test", 0).take(2000)
DYNAMICS = untrained(TASK, 0).dynamics()


def steps_alone(n_rows: int, n_steps: int) -> float:
    """CPU seconds of so many steps of the network with so many rows, and nothing else."""
    start = ends(DYNAMICS, TRIALS[:n_rows])

    def run():
        states = start.states
        for _ in range(n_steps):
            states = DYNAMICS(states, start.resting)

    return cpu_seconds(run, 1)


def test_rollout(benchmark, ratios):
    """500 trials, 220 steps at rest, 100 draws of the null, and two ideal observers."""
    seconds = cpu_seconds(lambda: rollout(DYNAMICS, TRIALS, np.random.default_rng(0)), 1)
    ratios("rollout: times the steps alone", seconds / steps_alone(500, 220), "below 6")
    ratios("rollout: CPU seconds", seconds, "below 1")
    benchmark(lambda: rollout(DYNAMICS, TRIALS, np.random.default_rng(0)))


def test_perturbations(benchmark, ratios):
    """100 sets of directions, 100 trials pushed, 22 steps."""
    seconds = cpu_seconds(lambda: perturbations(DYNAMICS, TRIALS, np.random.default_rng(0)), 1)
    ratios("perturbations: times the steps alone", seconds / (102 * steps_alone(100, 22)), "below 4")
    ratios("perturbations: CPU seconds", seconds, "below 1")
    benchmark(lambda: perturbations(DYNAMICS, TRIALS, np.random.default_rng(0)))


def test_attractor(benchmark, ratios):
    """All of the evidence, the search for 64 fixed points included."""
    seconds = cpu_seconds(lambda: attractor(DYNAMICS, TRIALS, np.random.default_rng(0)), 1)
    ratios("conclusion about the attractor: CPU seconds", seconds, "below 2")
    benchmark(lambda: attractor(DYNAMICS, TRIALS, np.random.default_rng(0)))
