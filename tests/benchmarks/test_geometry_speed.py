"""Speed of the probes of geometry with their nulls, on 2000 trials and 64 units: CPU seconds, and as ratios to loops.

What is aimed at is one core's (`OMP_NUM_THREADS=1`); nothing fails for being slow.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mtrnn_analysis.geometry import axes, ccgp, dimensionality, distortion, parallelism, shattering

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers import codes

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=5, warmup=True)
AIMS = {ccgp: 0.3, parallelism: 0.1, shattering: 0.2, dimensionality: 0.5, axes: 0.05, distortion: 0.5}


def least_seconds(call, rounds=5) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)


@pytest.mark.parametrize("probe", AIMS, ids=lambda probe: probe.__name__)
def test_probe_with_100_draws_of_each_null(benchmark, ratios, probe):
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng)
    states = codes.expanded(rng, latents)
    ratios(f"{probe.__name__}, CPU s", least_seconds(lambda: probe(states, latents, rng)), f"below {AIMS[probe]}")
    benchmark(lambda: probe(states, latents, rng))


def test_ccgp_against_a_loop_over_scikit_learn(ratios):
    """A draw of either null is a 200th of all of ours; the loop fits the four classifiers of the value."""
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng)
    states = codes.expanded(rng, latents)
    which = (latents > 0) @ [2, 1]

    def loop():
        for d, pairs in enumerate((((0, 2), (1, 3)), ((0, 1), (2, 3)))):
            for pair in pairs:
                tested = np.isin(which, pair)
                model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
                model.fit(states[~tested], latents[~tested, d] > 0).score(states[tested], latents[tested, d] > 0)

    ours = least_seconds(lambda: ccgp(states, latents, rng)) / 201
    ratios("ccgp: times as fast as a loop over scikit-learn, a draw", least_seconds(loop) / ours, "above 5")
