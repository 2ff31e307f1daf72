"""Speed of probes of units and of comparisons, in CPU time, on 2000 trials of 64 units: ratios to what is slower.

CKA against its definition with `[N, N]` matrices; the selectivity of units against scikit-learn's loop for one draw.
"""

import time

import numpy as np
import pytest
import sklearn.linear_model
from helpers.codes import conjunctive, expanded, latents_of
from sklearn.metrics import mutual_info_score
from sklearn.preprocessing import PolynomialFeatures
from test_speed import cpu_seconds

from mtrnn_analysis.selectivity import selectivity, unit_alignment
from mtrnn_analysis.selectivity.information import mutual_information
from mtrnn_analysis.similarity import cka, procrustes, rsa

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=3, warmup=False)
RNG = np.random.default_rng(0)
LATENTS = latents_of(RNG, 2000)
STATES, OTHERS = expanded(RNG, LATENTS), conjunctive(RNG, LATENTS)


def test_cka(benchmark, ratios):
    def grams():
        a, b = (x - x.mean(axis=0) for x in (STATES, OTHERS))
        a, b = a @ a.T, b @ b.T
        for matrix in (a, b):
            np.fill_diagonal(matrix, 0)
        rows = [(x * y).sum() - 2 * x.sum(axis=0) @ y.sum(axis=0) / 1998 for x, y in ((a, b), (a, a), (b, b))]
        return rows[0] / np.sqrt(rows[1] * rows[2])

    ratios(
        "debiased CKA, 2000 x 64: share of its Gram matrices' time",
        cpu_seconds(lambda: cka(STATES, OTHERS), 20) / cpu_seconds(grams, 1),
        0.1,
    )
    benchmark(cka, STATES, OTHERS)


def test_procrustes(benchmark):
    benchmark(procrustes, STATES, OTHERS)


def test_rsa_with_100_nulls(benchmark):
    benchmark(lambda: rsa(STATES, LATENTS, np.random.default_rng(0)))


def test_selectivity_with_100_nulls(benchmark, ratios):
    terms = PolynomialFeatures(3, include_bias=False).fit_transform(LATENTS)

    def loop():
        for test in np.array_split(np.arange(2000), 5):
            train = np.setdiff1d(np.arange(2000), test)
            for unit in range(64):
                sklearn.linear_model.LinearRegression().fit(terms[train], STATES[train, unit]).score(
                    terms[test], STATES[test, unit]
                )

    ours = cpu_seconds(lambda: selectivity(STATES, LATENTS, np.random.default_rng(0)), 1)
    ratios("selectivity, 200 draws: share of one model's loop", ours / cpu_seconds(loop, 1), 1)
    benchmark(lambda: selectivity(STATES, LATENTS, np.random.default_rng(0)))


def test_mutual_information(ratios):
    bins = [np.argsort(np.argsort(columns, axis=0), axis=0) * 10 // 2000 for columns in (STATES, LATENTS)]

    def loop():
        return [[mutual_info_score(unit, latent) for latent in bins[1].T] for unit in bins[0].T]

    faster = cpu_seconds(loop, 1) / cpu_seconds(lambda: mutual_information(STATES, LATENTS, 10), 5)
    ratios("mutual information, 64 x 2: times as fast as scikit-learn, pair by pair", faster, "above 5")


def test_unit_alignment_with_50_nulls(benchmark):
    benchmark(lambda: unit_alignment(STATES, LATENTS, np.random.default_rng(0)))
