"""Speed of decoding on 2000 trials of 64 units, in CPU time: as ratios to scikit-learn's loop in the same run."""

import time

import numpy as np
import pytest
import sklearn.linear_model
from helpers.codes import expanded, latents_of

from mtrnn_analysis.decoding import PENALTIES, decode, decoding_course, transfer

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=5, warmup=False)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    latents = latents_of(rng)
    return expanded(rng, latents), latents


def loop_seconds(states, latents) -> float:
    """CPU seconds of scikit-learn's ridge, once: four quadrants, three inner ones, all penalties, no shuffles."""
    which = (latents > 0) @ [2, 1]
    start = time.process_time()
    for q in range(4):
        for v in range(4):
            rows = (which != q) & (which != v)
            for penalty in np.geomspace(1e-2, 1e4, len(PENALTIES)):
                model = sklearn.linear_model.Ridge(alpha=penalty).fit(states[rows], latents[rows])
                model.predict(states[which == v])
    return time.process_time() - start


def test_decoding_with_a_hundred_shuffles(benchmark, ratios, data):
    """In and out of distribution; scikit-learn's loop would run 101 times for out of distribution alone."""

    def probe():
        return decode(data[0], data[1], np.random.default_rng(0))

    seconds = min(_cpu(probe) for _ in range(5))
    ratios("decoding with 100 shuffles: CPU s", seconds, "0.2 or less")
    ratios("decoding with 100 shuffles, ID and OOD: times one OOD loop of sklearn", seconds / loop_seconds(*data), "1")
    benchmark(probe)


def test_course_of_22_steps(benchmark, ratios, data):
    states, latents = data
    hidden = np.repeat(states[:, None], 22, axis=1)
    valid = np.ones(hidden.shape[:2], bool)
    ratios(
        "decoding at 22 steps: CPU s",
        _cpu(lambda: decoding_course(hidden, valid, latents, np.random.default_rng(0))),
        "1",
    )
    benchmark.pedantic(decoding_course, (hidden, valid, latents, np.random.default_rng(0)), rounds=2)


def test_new_questions(benchmark, ratios, data):
    ratios(
        "transfer to 12 new questions: CPU s", _cpu(lambda: transfer(data[0], data[1], np.random.default_rng(0))), "1"
    )
    benchmark.pedantic(transfer, (*data, np.random.default_rng(0)), rounds=2)


def _cpu(call) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start
