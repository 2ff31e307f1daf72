"""Decoding on held-out quadrants of planes of x*: a test that means the same however many latents there are.

Axis letters: N trials, H units, D latents, P planes, R shuffles, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from mtrnn_analysis.decoding.decoding import ROUNDING, Control, above_untrained, decode_beside, others_of
from mtrnn_analysis.decoding.holdout import N_FOLDS
from mtrnn_analysis.decoding.released_holdout import released_holdout
from mtrnn_analysis.decoding.ridge import PENALTIES
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.orthants import checked
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.protocols import Agent

if TYPE_CHECKING:
    from mtrnn_envs import Trials

MOST_PLANES = 8


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PlaneDecoding(ProbeResult):
    """Decoding of x*, two latents at a time; `value` and `null` are `r2_prior` out of distribution, means over planes.

    Attributes:
        in_distribution: mean `r2_prior` in distribution.
        null_in_distribution: the same of shuffled latents, `[R]`.
        p_in_distribution: of `in_distribution` against it; NaN without a null.
        released: `value` by the test of the public code with its sampling error, see `released_holdout`.
        local: mean `r2_local` out of distribution.
        in_distribution_local: mean `r2_local` in distribution.
        planes: the two latents of each, counted from 0, `[P, 2]`.
        by_plane: `r2_prior` out of distribution, `[P]`.
        in_distribution_by_plane: in distribution, `[P]`.
        controls: other states in the same trials, by name, means over planes; see `controls`. Empty without trials.
        best_untrained: the name of the control with the highest `ood` among those that need no training; empty without
            controls.
        above_untrained: `value` less that `ood`; NaN without controls.
    """

    in_distribution: float
    null_in_distribution: Float[np.ndarray, " R"]
    p_in_distribution: float
    released: float
    local: float
    in_distribution_local: float
    planes: Int[np.ndarray, "P 2"]
    by_plane: Float[np.ndarray, " P"]
    in_distribution_by_plane: Float[np.ndarray, " P"]
    controls: Mapping[str, Control]
    best_untrained: str
    above_untrained: float


def plane_decoding(
    states: Float[np.ndarray, "N H"],
    latents: Float[np.ndarray, "N D"],
    rng: np.random.Generator,
    valid: Bool[np.ndarray, "N T"] | None = None,
    trials: Trials | None = None,
    untrained: Agent | None = None,
    *,
    n_null: int = 20,
) -> PlaneDecoding:
    """Decodes two latents at a time from states, on quadrants of their plane that the decoder was not fitted to.

    `decode` leaves out one orthant of 2^D. With two latents that is a quarter of x*; with ten it is one part of 1024,
    each of whose ten neighbours differs from it by one sign, and with a hundred no two trials share an orthant. Here a
    quarter is left out at every D: for each plane (x_i, x_j), `decode` gets these two latents alone. Each quadrant,
    that is all trials with its two signs, whatever the other latents are, is decoded by a fit to the other three
    quadrants. In distribution: folds, as there. `value` is the mean of r2_prior over planes and quadrants. With D = 2
    there is one plane, and every number is that of `decode`.

    Numbers at different D are of the same test. They are not of equally hard ones: with more latents in as many units,
    the others' variance is noise to the two decoded, and more trials are needed to fit.

    Planes: the pairs of latents that follow each other, (x_1, x_2), (x_3, x_4), ..., which share no latent; with an odd
    D the last latent is paired with the one before it, which then is in two. Of more than 8, 8 are drawn.

    Null hypothesis: given its quadrant, each plane's two latents are independent of the states and of other latents.
    They are shuffled among the trials of each quadrant, anew in each plane, `n_null` times, each draw with the whole
    procedure; a draw of `null` is the mean over planes.

    Arguments:
        states: of N trials, for example at the decision step.
        latents: x* of the trials, for D >= 2.
        rng: draws planes where there are more than 8, deals the trials into folds, and shuffles.
        valid: with `trials`, which steps belong to each trial: `states` are those of the last one. If None, `states`
            are of the last step that trials can have.
        trials: the same trials, for the controls.
        untrained: the agent before training, for one of the controls.
        n_null: shuffles.

    Raises:
        ValueError: if D < 2, a quadrant of a plane has fewer than 8 trials, arrays are not finite or not of the
            same trials, or an argument is out of its range.
    """
    states, latents = checked(states, latents)
    if latents.shape[1] < 2:
        raise ValueError("latents has D=1; a plane needs two latents: use decode")
    others = {} if trials is None else others_of(trials, latents, valid, untrained)
    planes = _planes(latents.shape[1], rng)
    found = [decode_beside(states, latents[:, pair], rng, others, "orthant", n_null) for pair in planes]
    outside, inside = [each.out_of_distribution for each in found], [each.in_distribution for each in found]
    by_plane, id_by_plane = (np.array([scores.r2_prior for scores in side]) for side in (outside, inside))
    null, id_null = (np.mean([scores.null for scores in side], axis=0) for side in (outside, inside))
    released = [released_holdout(states, latents[:, pair], rng, n_null=0).value for pair in planes]
    controls = {name: _mean([each.controls[name] for each in found]) for name in others}
    value, in_distribution = float(by_plane.mean()), float(id_by_plane.mean())
    best, above = above_untrained(value, controls)
    return PlaneDecoding(
        value=value,
        null=null,
        p=p_value(value - ROUNDING, null),
        n=len(states),
        settings={"n_planes": MOST_PLANES, "n_folds": N_FOLDS, "penalties": PENALTIES, "n_null": n_null},
        in_distribution=in_distribution,
        null_in_distribution=id_null,
        p_in_distribution=p_value(in_distribution - ROUNDING, id_null),
        released=float(np.mean(released)),
        local=float(np.mean([scores.r2_local for scores in outside])),
        in_distribution_local=float(np.mean([scores.r2_local for scores in inside])),
        planes=planes,
        by_plane=by_plane,
        in_distribution_by_plane=id_by_plane,
        controls=controls,
        best_untrained=best,
        above_untrained=above,
    )


def _planes(n_latents: int, rng: np.random.Generator) -> Int[np.ndarray, "P 2"]:
    """Pairs of latents that follow each other, in their order."""
    first = np.minimum(np.arange(0, n_latents, 2), n_latents - 2)
    if len(first) > MOST_PLANES:
        first = np.sort(rng.choice(first, MOST_PLANES, replace=False))
    return np.stack([first, first + 1], axis=1)


def _mean(controls: list[Control]) -> Control:
    return Control(*(float(np.mean([getattr(each, part.name) for each in controls])) for part in fields(Control)))
