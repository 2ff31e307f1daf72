"""Figures of geometry: drawn from the finding alone, for any number of latents, with and without nulls."""

from typing import Any

import numpy as np
import pytest
from helpers import codes
from matplotlib.figure import Figure

from mtrnn_analysis.figures import abstraction, geometry, save
from mtrnn_analysis.geometry import axes, ccgp, dimensionality, distortion, parallelism, shattering

DRAWN = [
    (ccgp, abstraction.ccgp_figure, (2, 3)),
    (parallelism, abstraction.parallelism_figure, (2, 3)),
    (shattering, abstraction.shattering_figure, (1, 2, 3, 4)),
    (dimensionality, geometry.dimensionality_figure, (1, 2)),
    (axes, geometry.axes_figure, (2, 3)),
    (distortion, geometry.distortion_figure, (1, 2, 3)),
]


def texts(figure: Figure) -> str:
    found = [text.get_text() for panel in figure.axes for text in panel.texts]
    return " ".join(
        [*found, *(panel.get_xlabel() + panel.get_ylabel() + panel.get_title("left") for panel in figure.axes)]
    )


@pytest.mark.parametrize("n_null", [0, 19])
@pytest.mark.parametrize(("probe", "figure", "n_dims"), [(p, f, d) for p, f, dims in DRAWN for d in dims])
def test_each_is_drawn(probe, figure, n_dims, n_null, tmp_path):
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 600, n_dims)
    found = probe(codes.linear(rng, latents, 12), latents, rng, n_null=n_null)
    drawn = figure(found)
    assert ("$p$" in texts(drawn)) == (n_null > 0), "the p-value stands beside the value, if there is one"
    assert all(panel.get_ylabel() or not panel.get_yticks().size for panel in drawn.axes if panel.get_visible())
    paths = save(drawn, tmp_path / "figure", dpi=40)
    assert all(path.stat().st_size > 2000 for path in paths)


def test_the_course_over_time_is_drawn_where_it_was_asked_for():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 300)
    hidden = np.stack([t * codes.linear(rng, latents, 8) for t in range(4)], axis=1)
    found = dimensionality(hidden[:, -1], latents, rng, hidden, n_null=3)
    assert len(geometry.dimensionality_figure(found).axes) == 3


def test_states_without_a_signal_are_said_to_have_none():
    rng = np.random.default_rng(1)
    latents = codes.latents_of(rng, 300)
    found = dimensionality(codes.unrelated(rng, latents, 8), latents, rng, n_null=19)
    assert "no signal" in texts(geometry.dimensionality_figure(found))


def test_ellipses_are_as_many_as_places_and_round_for_an_isometry():
    rng = np.random.default_rng(0)
    latents = codes.latents_of(rng, 2000)
    axes_ = np.linalg.qr(rng.standard_normal((12, 2)))[0].T
    found = distortion(latents @ axes_ + 0.001 * rng.standard_normal((2000, 12)), latents, rng, n_null=2)
    drawn: Any = geometry.distortion_figure(found).axes[0].patches
    patches = [patch for patch in drawn if hasattr(patch, "get_angle")]
    assert len(patches) == 2 * len(found.bins) + 1  # each with its circle, and the square
    sizes = [patch.width / patch.height for patch in patches if patch.get_edgecolor() != patches[0].get_edgecolor()]
    np.testing.assert_allclose(sizes, 1, atol=0.05)
