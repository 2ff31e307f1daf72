"""x* from an agent's answers alone, beside a fitted decoder and the ideal observer.

Axis letters: N trials, K tasks, D latents, H units, R draws, G bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import special
from scipy.stats import binned_statistic

from mtrnn_analysis.decoding.decoding import decode, r2_prior
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.orthants import checked, orthants
from mtrnn_analysis.result import ProbeResult
from mtrnn_analysis.theory.distances import (
    CLIP,
    CUT,
    FORMS,
    Lines,
    lines,
    located,
    samples,
    scaled,
    temperature,
    usable,
)
from mtrnn_envs.components.boundaries import labels as right_answers
from mtrnn_envs.ideal_observer.posterior import posterior, running_means
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.validation import check_choice

NEAR = 2.0  # |z| of the ideal observer below which the slope and the noise of an agent's z are taken
BINS: Any = np.linspace(-8, 8, 33)
NOTHING = float("nan")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Multilateration(ProbeResult):
    """x* from the answers alone, by geometry. `value` is `r2_prior` of the form in `settings`.

    Fields are NaN where an input was missing.

    Attributes:
        r2: `r2_prior` of each form.
        r2_recalibrated: the same of answers whose log-odds are all multiplied by one number, chosen by the labels (and
            not x*) of the other half of the trials: without a wrong scale of confidence.
        r2_identifiable: `r2_prior` of x* projected on the space that the normals span, of the form in `settings`; equal
            to `value` if that is the whole space. The rest of the estimate is 0.
        rank: of the normals; below `n_dims` the answers do not determine x*.
        n_dims: D.
        fallback_share: share of trials with too few answers below the cut, where "unsaturated" took the weighted form.
        unsaturated: mean number of answers with |z| < cut.
        n_patterns: number of patterns of choices; the null permutes trials within them.
        temperature: the factor on log-odds that fits the labels best; 1 if calibrated, below 1 if overconfident.
        r2_ideal_answers: each form on the answers Phi(z) of the formula itself, at the same precision: an upper bound.
        r2_ideal: of the mean of the exact posterior on these trials.
        r2_readout_id, r2_readout_ood: of a ridge decoder fitted to the z of all answers, tested on held-out trials and
            on held-out orthants.
        r2_decoder_id, r2_decoder_ood: the same, fitted to the states.
        slope_near: of the agent's z on the ideal observer's (of the formula), through the origin, where |ideal z| < 2.
        slope_far: the same beyond, up to where answers are clipped: below `slope_near`, the agent's answers saturate.
        noise_near: standard deviation of the agent's z about that line, where |ideal z| < 2; in units of z.
        estimates: by the form in `settings`, `[N, D]`.
        latents: x*, `[N, D]`.
        z_ideal: middles of bins of the ideal observer's z, `[G]`.
        z_agent: quartiles of the agent's z in these, `[3, G]`; NaN where empty.
    """

    r2: dict[str, float]
    r2_recalibrated: dict[str, float]
    r2_identifiable: float
    rank: int
    n_dims: int
    fallback_share: float
    unsaturated: float
    n_patterns: int
    temperature: float
    r2_ideal_answers: dict[str, float]
    r2_ideal: float
    r2_readout_id: float
    r2_readout_ood: float
    r2_decoder_id: float
    r2_decoder_ood: float
    slope_near: float
    slope_far: float
    noise_near: float
    estimates: Float[np.ndarray, "N D"]
    latents: Float[np.ndarray, "N D"]
    z_ideal: Float[np.ndarray, " G"]
    z_agent: Float[np.ndarray, "3 G"]


def multilateration(
    probabilities: Float[np.ndarray, "N K"],
    latents: Float[np.ndarray, "N D"],
    task: EvidenceTask,
    rng: np.random.Generator,
    response_steps: Int[np.ndarray, "N K"] | None = None,
    trials: Trials | None = None,
    states: Float[np.ndarray, "N H"] | None = None,
    *,
    n_null: int = 100,
    form: str = "weighted",
    cut: float = CUT,
) -> Multilateration:
    """Recovers x* from answers by the geometry of their tasks; nothing is fitted. Inputs: see `mtrnn_analysis.theory`.

    x = (CᵀWC)⁻¹ CᵀW [b + sigma / sqrt(t) Phi⁻¹(p)], with C the unit normals of the lines and b their offsets
    (arXiv:2407.11249; see `distances` for the three forms). It is as good as the agent's probabilities are calibrated:
    not to be confused with how well x* can be decoded from the states, or from the answers by a fitted read-out (both
    beside it).

    Null hypothesis: given all its choices, the agent's confidences say nothing of x*. The answers of trials with the
    same choices are then exchangeable, and are permuted among them. So the null is the r² of the choices alone. With
    many tasks and latents most patterns of choices occur once (`n_patterns`), and the null has nothing to permute: p is
    then 1, or near it.

    Arguments:
        n_null: draws of the null.
        form: one of `mtrnn_analysis.theory.distances.FORMS`.
        cut: |z| below which an answer counts as not saturated. Choose it on other networks.

    Raises:
        ValueError: if an argument is out of its range, or the task is not of that kind.
    """
    check_choice(form, FORMS, "form", "multilateration")
    given = lines(probabilities, task, samples(task, response_steps, trials))
    z, latents = checked(given.z, latents)
    estimates = located(given, form, cut)
    use, enough = usable(given, cut)
    pattern = np.unique(z > 0, axis=0, return_inverse=True)[1].reshape(-1)
    orders = permutations_within(pattern, n_null, rng)
    null = np.array([r2_prior(latents, estimates[order]) for order in orders])
    value = r2_prior(latents, estimates)
    labels = right_answers(task.boundary, latents)
    readout, decoder = _decoded(z, latents, rng), _decoded(states, latents, rng)
    return Multilateration(
        value=value,
        null=null,
        p=p_value(value, null),
        n=len(z),
        settings={"form": form, "cut": float(cut), "clip": CLIP, "n_null": n_null},
        r2={name: r2_prior(latents, located(given, name, cut)) for name in FORMS},
        r2_recalibrated=_recalibrated(given, labels, latents, rng, cut),
        r2_identifiable=r2_prior(*(_within(given, x) for x in (latents, estimates))),
        rank=given.rank,
        n_dims=latents.shape[1],
        fallback_share=float(np.mean(~enough)),
        unsaturated=float(use.sum(axis=1).mean()),
        n_patterns=int(pattern.max()) + 1,
        temperature=temperature(given, labels),
        r2_readout_id=readout[0],
        r2_readout_ood=readout[1],
        r2_decoder_id=decoder[0],
        r2_decoder_ood=decoder[1],
        estimates=estimates,
        latents=latents,
        **_beside_the_ideal(given, task, latents, trials, cut),
    )


def _within(given: Lines, x: np.ndarray) -> np.ndarray:
    """The coordinates of `x` along orthonormal axes of the space that the normals span, `[N, rank]`."""
    return x @ np.linalg.svd(given.normals, full_matrices=False)[2][: given.rank].T


def _recalibrated(
    given: Lines, labels: np.ndarray, latents: np.ndarray, rng: np.random.Generator, cut: float
) -> dict[str, float]:
    """`r2_prior` by form, the factor on log-odds of each half of the trials chosen on the other."""
    order = rng.permutation(len(labels))
    halves = (order[::2], order[1::2])
    found = {name: np.empty_like(latents) for name in FORMS}
    for mine, others in (halves, halves[::-1]):
        fitted = scaled(given.rows(mine), temperature(given.rows(others), labels[others]))
        for name in FORMS:
            found[name][mine] = located(fitted, name, cut)
    return {name: r2_prior(latents, x) for name, x in found.items()}


def _decoded(states: np.ndarray | None, latents: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """ID and OOD `r2_prior` of a linear decoder; NaN without states, or with too few orthants or trials."""
    if states is None or latents.shape[1] < 2:
        return NOTHING, NOTHING
    states, latents = checked(states, latents)
    there = orthants(latents)
    if len(there.names) < 3 or there.counts.min() < 8:
        return NOTHING, NOTHING
    found = decode(states, latents, rng, n_null=0)
    return found.in_distribution.r2_prior, found.out_of_distribution.r2_prior


def _beside_the_ideal(
    given: Lines, task: EvidenceTask, latents: np.ndarray, trials: Trials | None, cut: float
) -> dict[str, Any]:
    """The fields that compare the agent's answers with those of the formula, and with the ideal observer's."""
    middles = (BINS[1:] + BINS[:-1]) / 2
    if trials is None or task.reaction_time:  # there each answer rests on other samples
        nothing: dict[str, Any] = dict.fromkeys(("r2_ideal", "slope_near", "slope_far", "noise_near"), NOTHING)
        nothing["r2_ideal_answers"] = dict.fromkeys(FORMS, NOTHING)
        return nothing | {"z_ideal": middles, "z_agent": np.full((3, len(middles)), NOTHING)}
    n = np.broadcast_to(np.asarray(trials.n_samples), len(trials))
    means = running_means(trials)[np.arange(len(n)), n - 1]
    ideal = (means @ given.normals.T - given.offsets) / given.errors
    formula = given._replace(z=special.ndtri(np.clip(special.ndtr(ideal), CLIP, 1 - CLIP)))
    near = np.abs(ideal) < NEAR
    far = ~near & (np.abs(ideal) < -special.ndtri(CLIP))
    slope_near, slope_far = (_slope(ideal[some], given.z[some]) for some in (near, far))
    inside = np.abs(ideal) < BINS[-1]
    quartiles: list[Any] = [partial(np.quantile, q=q) for q in (0.25, 0.5, 0.75)]
    quartiles = [binned_statistic(ideal[inside], given.z[inside], each, BINS).statistic for each in quartiles]
    return {
        "r2_ideal_answers": {name: r2_prior(latents, located(formula, name, cut)) for name in FORMS},
        "r2_ideal": r2_prior(latents, posterior(task, means, n)[0]),
        "slope_near": slope_near,
        "slope_far": slope_far,
        "noise_near": float(np.std(given.z[near] - slope_near * ideal[near])) if near.any() else NOTHING,
        "z_ideal": middles,
        "z_agent": np.array(quartiles),
    }


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """The least-squares slope through the origin; NaN without values."""
    return float(x @ y / (x @ x)) if len(x) else NOTHING
