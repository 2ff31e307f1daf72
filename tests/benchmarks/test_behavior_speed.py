"""Speed of the probes of behaviour and confidence, in CPU time, as ratios to a plain calculation in the same run.

2000 trials of 24 tasks, with all nulls and bootstraps. The unit is the ideal observer's answers to these trials, which
any comparison with it takes.
"""

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from test_speed import cpu_seconds

from mtrnn_analysis.behavior import chronometric, psychometric, speed_accuracy
from mtrnn_analysis.confidence import calibration, metacognition
from mtrnn_analysis.confidence.metacognition import _Ranked
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.components.boundaries import even_lines
from mtrnn_envs.ideal_observer.posterior import running_means, trial_probabilities
from mtrnn_envs.ideal_observer.stopping import solve

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=3, warmup=False)


@pytest.fixture(scope="module")
def inputs():
    """What each probe asks for, of an agent that sums evidence; and CPU seconds of the ideal observer's answers."""
    out = {}
    for timed in (False, True):
        fields = {"payoff": "quadratic", "decision": 0} if timed else {}
        task = EvidenceTask(encoder=None, **fields)
        trials = Stream(task, "test", 0).take(2000)
        z = np.cumsum(trials.evidence, axis=1) @ even_lines(24, 2, 0).normals.T.astype(np.float32)
        beyond = np.abs(z) > 0.8
        steps = np.where(beyond.any(axis=1), beyond.argmax(axis=1) + 1, 20) if timed else np.full(z[:, 0].shape, 20)
        at = np.take_along_axis(z, steps[:, None] - 1, axis=1)[:, 0]
        p = trial_probabilities(trials)
        out[timed] = {
            "task": task,
            "trials": trials,
            "latents": trials.latents,
            "labels": trials.asked,
            "answers": np.where(at > 0, 1, -1).astype(np.int8),
            "response_steps": steps if timed else np.ones(steps.shape, np.int64),
            "probabilities": p,
            "confidence": np.full(p.shape, 11 / 12) if timed else None,
        }
    trials = out[False]["trials"]
    unit = cpu_seconds(lambda: (running_means(trials), trial_probabilities(trials)), 1)
    return out, unit


@pytest.mark.parametrize(
    ("probe", "timed", "names"),
    [
        (psychometric, False, "answers response_steps trials"),
        (chronometric, True, "answers labels response_steps trials"),
        (speed_accuracy, True, "answers labels response_steps confidence trials"),
        (calibration, False, "task latents answers labels response_steps probabilities trials"),
        (metacognition, False, "answers labels response_steps trials probabilities"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_probe(benchmark, ratios, inputs, probe, timed, names):
    given, unit = inputs
    arguments = {name: given[timed][name] for name in names.split()}

    def run():
        solve.cache_clear()  # the dynamic program is part of the cost
        return probe(**arguments, rng=np.random.default_rng(0))

    ratios(f"{probe.__name__}: times the ideal observer's answers", cpu_seconds(run, 1) / unit, "at most 3")
    benchmark(run)


def test_weighted_areas(benchmark, ratios):
    """The area under the ROC of one bootstrap sample of 48,000 answers."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, (2000, 24))
    right, ranked = rng.random(confidence.shape) < confidence, _Ranked(confidence)
    weight = np.repeat(rng.multinomial(2000, np.full(2000, 1 / 2000)).astype(float), 24).reshape(confidence.shape)
    flat = right.ravel(), confidence.ravel()
    assert np.isclose(ranked.auroc(right, weight), roc_auc_score(*flat, sample_weight=weight.ravel()))
    theirs = cpu_seconds(lambda: roc_auc_score(*flat, sample_weight=weight.ravel()), 5)
    ratios("scikit-learn's area over ours", theirs / cpu_seconds(lambda: ranked.auroc(right, weight), 5), "at least 5")
    benchmark(lambda: ranked.auroc(right, weight))
