"""What probes of states take, and what they refuse; without the checks of annotations, as users have it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mtrnn_analysis.orthants import checked, orthants


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
