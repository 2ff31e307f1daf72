"""All probes of states beside each other, on codes whose answers are known: each says yes where it is, else no.

What each row says of a code: does x* carry over linearly (decoding), do its signs (CCGP), are coding vectors parallel,
can any question be read (shattering, XOR), how many dimensions, is the map of x* even (distortion).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import codes

from mtrnn_envs import EvidenceTask, plugins
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance

SEEDS = [0, 1, 2]
N_NULL = 39  # the least p is 1/40


def found(name: str, states: np.ndarray, latents: np.ndarray) -> Any:
    """The result of a probe."""
    return plugins.probe(name)(states, latents, np.random.default_rng(0), n_null=N_NULL)


def is_found(finding: Any) -> bool:
    return finding.p <= 1 / (1 + N_NULL) + 1e-12


LINEAR: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "linear": codes.linear,
    "rotated": lambda rng, x: codes.rotated(rng, codes.linear(rng, x)),
    "scaled": lambda rng, x: 1e4 * codes.linear(rng, x) - 7,
    "with a constant unit": lambda rng, x: np.column_stack([codes.linear(rng, x), np.full(len(x), 5.0)]),
    "with units that repeat others": lambda rng, x: np.tile(codes.linear(rng, x), 2),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("code", LINEAR)
def test_a_linear_code_is_abstract_in_whatever_units(code: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = codes.latents_of(rng)
    states = LINEAR[code](rng, x)
    decoded, abstract, parallel = (found(name, states, x) for name in ("decoding", "ccgp", "parallelism"))
    assert decoded.value > 0.99
    assert abstract.value > 0.95
    assert parallel.value == pytest.approx(1, abs=0.02)
    assert is_found(decoded)
    assert is_found(parallel)
    # Four conditions have three contrasts: a random turn of them now and then leaves them nearly where they were.
    assert abstract.p <= 0.1
    assert found("shattering", states, x).xor == pytest.approx(0.5, abs=0.06)  # no plane parts opposite quadrants
    assert found("dimensionality", states, x).value == pytest.approx(2, abs=0.2)
    assert abs(found("distortion", states, x).value) < 0.05
    assert found("rsa", states, x).value > 0.98


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ideal_state_is_a_linear_code_on_single_units(seed: int) -> None:
    states, x = codes.ideal_states(EvidenceTask(), 4000, seed)
    decoded = found("decoding", states, x)
    assert decoded.value == pytest.approx(ideal_performance(EvidenceTask()).r2_prior, abs=0.004)
    assert found("parallelism", states, x).value == pytest.approx(1, abs=0.01)
    assert found("unit_alignment", states, x).value > 0.9
    turned = found("decoding", codes.rotated(np.random.default_rng(seed), states), x)
    assert turned.value == pytest.approx(decoded.value, abs=1e-3)  # which units hold it is another question
    quarter = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    assert found("unit_alignment", states @ quarter, x).value < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_conjunctive_code_is_readable_and_not_abstract(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = codes.latents_of(rng)
    states = codes.conjunctive(rng, x)
    decoded = found("decoding", states, x)
    assert decoded.in_distribution.r2_prior > 0.9
    assert decoded.value < 0.5
    shattered = found("shattering", states, x)
    assert shattered.value > 0.99
    assert shattered.xor > 0.99
    assert not is_found(found("ccgp", states, x))
    assert not is_found(found("parallelism", states, x))
    assert found("distortion", states, x).value > 0.5
    assert found("rsa", states, x).value < 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_expansion_lies_between(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = codes.latents_of(rng)
    states = codes.expanded(rng, x)
    assert found("shattering", states, x).xor > 0.9  # what a linear code cannot have
    parallel, even = found("parallelism", states, x), found("distortion", states, x)
    assert 0.5 < parallel.value < 0.95
    assert even.value > 0.05
    assert parallel.p <= 0.1
    assert found("dimensionality", states, x).value > 2.3
    mixed = found("selectivity", states, x)
    assert mixed.value > 0.05
    assert is_found(mixed)


@pytest.mark.parametrize("seed", SEEDS)
def test_states_that_know_nothing_are_found_to(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = codes.latents_of(rng)
    states = codes.unrelated(rng, x)
    assert found("decoding", states, x).in_distribution.r2_prior < 0.01
    for name, chance in (("ccgp", 0.5), ("parallelism", 0), ("shattering", 0.5), ("rsa", 0)):
        finding = found(name, states, x)
        assert finding.value == pytest.approx(chance, abs=0.15), name
        assert finding.p > 1 / 40, name
    with pytest.raises(ValueError, match="states do not follow latents"):
        found("distortion", states, x)


INVARIANT = {
    "decoding": ("value",),
    "parallelism": ("value",),
    "shattering": ("value", "xor"),
    "dimensionality": ("value", "signal"),
    "distortion": ("value", "isometry", "isotropy", "area_variation", "turning"),
    "rsa": ("value", "cosine"),
}


@pytest.mark.parametrize("name", INVARIANT)
def test_rotation_scale_and_shift_of_states_change_nothing(name: str) -> None:
    x = codes.latents_of(np.random.default_rng(1), 1000)
    states = codes.expanded(np.random.default_rng(2), x, 20, noise=0.5)
    turned = codes.rotated(np.random.default_rng(3), states)
    one, *others = (
        plugins.probe(name)(h, x, np.random.default_rng(0), n_null=0) for h in (states, turned, 9 * states - 50)
    )
    for other in others:
        for field in INVARIANT[name]:
            assert getattr(other, field) == pytest.approx(getattr(one, field), abs=1e-9, rel=1e-6), field


@pytest.mark.parametrize(("name", "code"), [("ccgp", codes.linear), ("shattering", codes.conjunctive)])
def test_fewer_trials_than_units_and_silent_units_are_scored(name: str, code: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(2)
    x = codes.latents_of(rng, 48)
    states = np.hstack([code(rng, x), np.zeros((48, 10))])
    assert plugins.probe(name)(states, x, rng, n_null=3).value > {"ccgp": 0.8, "shattering": 0.9}[name]
