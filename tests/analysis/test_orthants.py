"""What probes of states take, and what they refuse; without the checks of annotations, as users have it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
from helpers.codes import latents_of, linear

from mtrnn_analysis.orthants import checked, orthants
from mtrnn_envs import plugins

# Probes of states and latents, and those of them that need states that vary, two latents, or all orthants.
PROBES = [
    name
    for name in plugins.names("probe")
    if list(inspect.signature(plugins.probe(name)).parameters)[:2] == ["states", "latents"]
]
VARYING = {"axes", "ccgp", "dimensionality", "distortion", "parallelism", "rsa", "selectivity", "shattering"}
PLANAR = {"axes", "ccgp", "parallelism", "plane_decoding", "released_holdout", "unit_alignment"}
WHOLE = {"ccgp", "parallelism", "shattering"}


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_of_states_refuses_what_it_cannot_score(name: str) -> None:
    probe, rng = plugins.probe(name), np.random.default_rng(0)
    latents = latents_of(rng, 200)
    states = linear(rng, latents, 8)
    with pytest.raises(ValueError, match=r"states has 1 values that are not finite"):
        probe(np.where(np.arange(1600).reshape(200, 8) == 3, np.nan, states), latents, rng)
    with pytest.raises(ValueError, match="n_null=-1 is not a whole number, 0 or more"):
        probe(states, latents, rng, n_null=-1)
    if name in VARYING:
        with pytest.raises(
            ValueError, match=r"200 trials: no unit varies|8 units, and none varies over the 200 trials"
        ):
            probe(np.ones((200, 8)), latents, rng)
    if name in PLANAR:
        with pytest.raises(ValueError, match=r"latents has (D=)?1"):
            probe(states, latents[:, :1], rng)
    if name in WHOLE:
        some = latents.max(axis=1) > 0
        with pytest.raises(ValueError, match=r"latents lie in 3 of the 4 orthants"):
            probe(states[some], latents[some], rng)


def test_orthants_are_named_by_the_signs_of_the_latents() -> None:
    found = orthants(np.array([[0.1, -0.2], [-0.3, 0.4], [0.2, -0.1], [0.0, 0.3]]))
    assert found.names == ("-+", "+-")
    assert found.which.tolist() == [1, 0, 1, 0]
    assert found.counts.tolist() == [2, 2]
    assert found.signs.tolist() == [[-1, 1], [1, -1]]
    with pytest.raises(ValueError, match=r"orthant -\+ has 2 trials; 3 or more are needed"):
        orthants(np.array([[-0.1, 0.2]] * 2 + [[0.1, 0.1]] * 4), least=3)
    with pytest.raises(ValueError, match="latents lie in 1 of the 4 orthants; all are needed"):
        orthants(np.full((5, 2), 0.1), complete=True)


def test_what_is_not_finite_or_of_other_trials_is_refused() -> None:
    states, latents = np.zeros((3, 4)), np.zeros((3, 2))
    with pytest.raises(ValueError, match="states has 3 trials, latents 2; they must be the same"):
        checked(states, latents[:2])
    with pytest.raises(ValueError, match="states has 1 values that are not finite"):
        checked(np.where(np.arange(12).reshape(3, 4) == 5, np.inf, states), latents)


def test_what_is_no_matrix_of_numbers_is_refused_by_name() -> None:
    code = """if True:
        import numpy as np
        from mtrnn_analysis.geometry.ccgp import ccgp
        rng = np.random.default_rng(0)
        x = rng.uniform(-0.5, 0.5, (200, 2))
        h = x @ rng.standard_normal((2, 5)) + 0.1 * rng.standard_normal((200, 5))
        as_lists = ccgp(h.tolist(), x.tolist(), np.random.default_rng(0), n_null=3).value
        assert as_lists == ccgp(h, x, np.random.default_rng(0), n_null=3).value
        for states, latents, said in [
            (h[:, 0], x, "states has the shape (200,); [trials, units]"),
            (h[None], x, "states has the shape (1, 200, 5)"),
            (h, x[:, 0], "latents has the shape (200,); [trials, latents]"),
            (h[:0], x[:0], "states has the shape (0, 5)"),
            (h.astype(str), x, "states holds <U"),
            (h + 1j, x, "states holds complex128, not real numbers"),
        ]:
            try:
                ccgp(states, latents, rng)
            except ValueError as error:
                assert said in str(error), (said, error)
            else:
                raise AssertionError(said)
    """
    subprocess.run([sys.executable, "-c", code], check=True)
