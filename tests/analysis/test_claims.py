"""Claims are judged by intervals over networks: clearly above, clearly below, across; refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.studied import networks_of, study_of
from scipy.stats import spearmanr, trim_mean

from mtrnn_analysis.statistics import Interval
from mtrnn_analysis.studies.claims import Judged, check, judge, sentence, verdict

# Of each number of tasks the same five networks, moved: the interquartile mean is that of the middle three.
SPREAD = [-0.02, -0.01, 0.0, 0.01, 0.06]
LEVELS = {2: 0.6, 6: 0.8, 24: 0.9}


def value_of(labels: Any) -> dict[str, float | None]:
    value = LEVELS[labels["N"]] + SPREAD[labels["seed"]]
    return {"decoding.value": value, "decoding.in_distribution.r2_prior": value + 0.05 - 0.01 * labels["seed"]}


def judged(
    claim: dict[str, Any], numbers: Any = value_of, diverged: Any = lambda labels: False, **given: Any
) -> Judged:
    claim = {"text": "It is so", "measure": "OOD r²", "expect": "> 0"} | claim
    found = networks_of(study_of(claims=[claim], **given), numbers, diverged=diverged)
    return judge(found, np.random.default_rng(0))[0]


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("> 0.5", "holds"),
        (">= 0.5", "holds"),
        ("> 0.7", "does not hold"),
        ("< 0.7", "holds"),
        ("< 0.5", "does not hold"),
        ("<= 0.605", "open"),
        ("> 0.605", "open"),
    ],
)
def test_a_group_against_a_number(expect: str, said: str) -> None:
    found = judged({"of": {"N": 2}, "expect": expect, "source": "Fig. 1"})
    assert found.value == pytest.approx(trim_mean([0.6 + s for s in SPREAD], 0.25)) == pytest.approx(0.6)
    assert 0.58 <= found.low < found.value < found.high <= 0.66  # within the networks
    assert (found.verdict, found.n, found.expect, found.source) == (said, (5,), expect, "Fig. 1")


def test_ends_of_the_interval_count_as_expect_says() -> None:
    interval = Interval(0.5, 0.4, 0.6, 0.95)
    assert [verdict(e, interval) for e in ("> 0.4", ">= 0.4", "< 0.6", "<= 0.6")] == ["open", "holds", "open", "holds"]
    assert [verdict(e, interval) for e in ("> 0.6", ">= 0.6")] == ["does not hold", "open"]


@pytest.mark.parametrize(("expect", "said"), [("> 0.1", "holds"), ("> 0.2", "open"), ("> 0.3", "does not hold")])
def test_a_difference_of_two_groups(expect: str, said: str) -> None:
    found = judged({"of": {"N": 6}, "minus": {"N": 2}, "expect": expect})
    assert found.value == pytest.approx(0.2)  # the same spread in both
    assert (found.verdict, found.n) == (said, (5, 5))
    assert found.low < 0.2 < found.high


def test_a_difference_within_networks_is_paired() -> None:
    """Networks vary by 0.08, but each differs from itself by 0.05 to 0.01: unpaired the interval would hold 0."""
    found = judged({"of": {"N": 2}, "measure": "ID r²", "minus_measure": "OOD r²", "expect": "> 0"})
    assert found.value == pytest.approx(0.03)
    assert found.low >= 0.01
    assert found.high <= 0.05
    assert found.verdict == "holds"


def test_all_networks_are_judged_together_drawn_within_each_setting() -> None:
    """Between settings the values vary by 0.3, within by 0.08: unstratified, the interval would be five times wider."""
    found = judged({"of": {}, "expect": "> 0.7"})
    every = [level + s for level in LEVELS.values() for s in SPREAD]
    assert found.value == pytest.approx(trim_mean(every, 0.25))
    assert (found.n, found.verdict) == ((15,), "holds")
    assert found.high - found.low < 0.08


def test_a_trend_is_spearmans_correlation() -> None:
    found = judged({"trend": "N", "expect": "> 0.8"})
    networks = [(n, level + s) for n, level in LEVELS.items() for s in SPREAD]
    assert found.value == pytest.approx(spearmanr(networks)[0])
    assert (found.verdict, found.n) == ("holds", (15,))
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert judged({"trend": "N", "expect": "< 0"}).verdict == "does not hold"
    flat = judged({"trend": "N", "expect": "> 0"}, lambda labels: {"decoding.value": 0.5})
    assert (flat.value, flat.verdict) == (0, "does not hold")
    noise = judged({"trend": "N"}, lambda labels: {"decoding.value": SPREAD[labels["seed"]]})
    assert noise.verdict == "open"


def test_a_trend_may_be_with_a_measure_whose_networks_are_drawn_with_it() -> None:
    rng = np.random.default_rng(0)
    pairs = {(n, seed): (x, x + rng.standard_normal()) for n in LEVELS for seed in range(5) for x in [rng.normal()]}

    def numbers(labels: Any) -> dict[str, float | None]:
        x, y = pairs[labels["N"], labels["seed"]]
        return {"decoding.in_distribution.r2_prior": x, "decoding.value": y}

    found = judged({"trend": "ID r²", "expect": "> 0"}, numbers)
    expected = spearmanr(list(pairs.values()))
    assert found.value == pytest.approx(expected[0])
    # Fisher's z of 15 pairs has the standard error 1.03 / sqrt(12): half of an interval is some 0.58 in z.
    z = np.arctanh([found.low, found.value, found.high])
    assert 0.3 < z[1] - z[0] < 1.2
    assert 0.3 < z[2] - z[1] < 1.2
    assert judged({"trend": "ID r²"}, lambda labels: {"decoding.value": 1.0}).n == (0,)

    def in_order(labels: Any) -> dict[str, float | None]:
        x = pairs[labels["N"], labels["seed"]][0]
        return {"decoding.in_distribution.r2_prior": x, "decoding.value": x**3}

    assert judged({"trend": "ID r²", "expect": "> 0"}, in_order)[3:6] == pytest.approx((1, 1, 1))
    some = judged({"trend": "ID r²", "of": {"N": [2, 24]}, "expect": "> 0"}, in_order)
    assert some.n == (10,)


def test_settings_outside_the_grid_are_in_no_trend_but_can_be_claimed_of() -> None:
    also = [{"labels": {"N": "untrained"}, "trained": False}]

    def numbers(labels: Any) -> dict[str, float | None]:
        return {"decoding.value": 0.1 + SPREAD[labels["seed"]]} if labels["N"] == "untrained" else value_of(labels)

    assert judged({"trend": "N"}, numbers, also=also).n == (15,)
    found = judged({"of": {"N": "untrained"}, "expect": "< 0.2"}, numbers, also=also)
    assert (found.n, found.verdict) == ((5,), "holds")


def test_diverged_networks_and_values_that_are_none_are_left_out_and_not_counted() -> None:
    def numbers(labels: Any) -> dict[str, float | None]:
        return {"decoding.value": None} if labels["seed"] == 0 else value_of(labels)

    claim = {"of": {"N": 6}, "minus": {"N": 2}}
    found = judged(claim, numbers, lambda labels: (labels["N"], labels["seed"]) == (2, 4))
    assert found.n == (4, 3)
    assert found.value == pytest.approx(0.8 + 0.005 - 0.6)  # middle two of four; mean of three
    nothing = judged(claim, lambda labels: {})
    assert (nothing.n, nothing.verdict) == ((0, 0), "open")
    assert np.isnan(nothing.value)
    assert sentence(nothing) == "no network yet: open"


def test_one_network_says_nothing_of_the_next() -> None:
    found = judged({"of": {"N": 24}, "expect": "> 0"}, seeds=1)
    assert found.value == pytest.approx(0.88)
    assert np.isnan([found.low, found.high]).all()
    assert found.verdict == "open"
    assert sentence(found) == "0.880 (one network a setting, no interval; 1 network): open"


def test_sentence() -> None:
    found = Judged("", "", "> 0", 0.6124, 0.58, 0.64, (5, 5), "holds")
    assert sentence(found) == "0.612 (0.580 to 0.640; 5 and 5 networks): holds"


def test_a_level_is_known_by_its_number_also_where_it_is_text() -> None:
    axes = {"N": {"2": {"task.n_tasks": 2}, "24": {"task.n_tasks": 24}}}
    numbers = lambda labels: {"decoding.value": LEVELS[int(labels["N"])] + SPREAD[labels["seed"]]}  # noqa: E731
    assert judged({"of": {"N": 24}, "expect": "> 0.8"}, numbers, axes=axes).verdict == "holds"
    assert judged({"trend": "N", "expect": "> 0.5"}, numbers, axes=axes).verdict == "holds"


def test_a_profile_may_have_fewer_levels_and_probes_than_its_claims() -> None:
    claim = {"text": "", "measure": "OOD r²", "of": {"N": 24}, "expect": "> 0"}
    profiles = {"quick": {"axes": {"N": {2: {"task.n_tasks": 2}}}, "probes": ["ccgp"]}}
    there = {"text": "", "measure": "OOD r²", "of": {"N": 2}, "expect": "> 0"}
    against = {**there, "minus": {"N": 24}}
    study = study_of(claims=[claim, there, against], profiles=profiles)
    check(study)
    rng = np.random.default_rng(0)
    assert [found.n for found in judge(networks_of(study, value_of, profile="quick"), rng)] == [(5,)]
    assert [found.n for found in judge(networks_of(study, value_of), rng)] == [(5,), (5,), (5, 5)]


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"measure": "OOD"}, r"'OOD' is not a measure of study 'mine'; did you mean 'OOD r²'"),
        ({"measure": "decodin.value"}, r"did you mean 'decoding.value'"),
        (
            {"measure": "decoding.valu"},
            r"'valu' is not a part of the result of probe 'decoding'; did you mean 'value'",
        ),
        ({"minus_measure": "ID r2"}, r"did you mean 'ID r²'"),
        ({"of": {"M": 2}}, r"'M' is not an axis of study 'mine'"),
        ({"of": {"N": 25}}, r"'25' is not a level of axis 'N'; did you mean '2[46]?'"),
        ({"minus": 24}, r"claims\[0\].minus=24 must be a table"),
        ({"trend": "n"}, r"'n' is not an axis"),
        ({"expect": "about 3"}, r"expect='about 3' must be one of >, >=, <, <= and a number"),
        ({"expects": "> 0"}, r"'expects' is not a field of claims\[0\]; did you mean 'expect'"),
        ({"minus": {"N": 2}, "trend": "N"}, r"claims\[0\] has minus and trend; give one of them"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_trained(claim: dict[str, Any], message: str) -> None:
    study = study_of(claims=[{"text": "", "measure": "OOD r²", "expect": "> 0"} | claim])
    with pytest.raises(ValueError, match=message):
        check(study)
    with pytest.raises(ValueError, match=message):
        judge(networks_of(study, value_of), np.random.default_rng(0))


def test_claims_need_their_fields_and_trends_numbers() -> None:
    with pytest.raises(ValueError, match=r"claims\[0\] has no expect; it needs text, measure and expect"):
        check(study_of(claims=[{"text": "", "measure": "OOD r²"}]))
    axes = {"network": {"GRU": {}, "LSTM": {}}}
    claim = {"text": "", "measure": "OOD r²", "trend": "network", "expect": "> 0"}
    with pytest.raises(
        ValueError, match=r"trend='network' has the levels \['GRU', 'LSTM'\]; two or more must be numbers"
    ):
        check(study_of(claims=[claim], axes=axes))
    with pytest.raises(ValueError, match=r"measures: 'sharp' is 'ccgp.value', which is not of a probe of the study"):
        check(study_of(measures={"sharp": "ccgp.value"}, claims=[claim | {"measure": "sharp"}], axes=axes))


def test_a_curve_where_another_has_reached_a_number() -> None:
    """OOD r² when accuracy first is 0.9: of seed s at the s-th evaluation, where it is s / 10; one never gets there."""

    def curves(labels: Any) -> dict[str, list[Any]]:
        accuracy = np.where(np.arange(6) >= labels["seed"], 0.95, 0.7) if labels["N"] != 24 else np.full(6, 0.8)
        return {"history.accuracy": accuracy.tolist(), "history.r2_ood": (np.arange(6) / 10).tolist()}

    measures = {"matched": "history.r2_ood where history.accuracy >= 0.9"}
    study = study_of(
        measures=measures,
        claims=[
            {"text": "", "measure": "matched", "of": {"N": 2}, "expect": "> 0"},
            {"text": "", "measure": "matched", "of": {"N": 24}, "expect": "> 0"},
        ],
        probes=(),
    )
    check(study)
    reached, never = judge(networks_of(study, lambda labels: {}, curves), np.random.default_rng(0))
    assert reached.value == pytest.approx(0.2)
    assert reached.n == (5,)
    assert never.n == (0,)
    with pytest.raises(ValueError, match=r"'histry.accuracy' is not a measure"):
        check(study_of(measures={"matched": "history.r2_ood where histry.accuracy >= 0.9"}, claims=study.claims))
