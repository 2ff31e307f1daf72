"""Memory of x* while nothing is shown: long rollouts, decoded by a decoder that is fitted once.

A decoder fitted anew at every step finds x* in states that have long moved on; a memory that other networks can read is
one that a *frozen* decoder reads. Axis letters: N trials, S components of the state, H units, F features of an
observation, D latents, K steps, M steps reported, B bins, R draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int

from mtrnn_analysis.decoding.decoding import r2_prior
from mtrnn_analysis.decoding.ridge import PENALTIES, Cells, Ridge, Split, choose, decoder
from mtrnn_analysis.dynamics.drift import PRECISION, bias_field, dispersion, growth, half_life, ideal_r2, time_constant
from mtrnn_analysis.nulls import p_value
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import observe
from mtrnn_envs.components.latents import PRIOR_VARIANCE
from mtrnn_envs.dynamics import resting_observation
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.trials import Trials
from mtrnn_envs.utils.validation import check_choice, check_int

AFTER = ("stimulus", "trial")
FEWEST_TRIALS = 20
FOLDS = 4


class Ends(NamedTuple):
    """Where rollouts start: the states, and the observation that is held from then on."""

    states: Float[np.ndarray, "N S"]
    resting: Float[np.ndarray, "N F"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Rollout(ProbeResult):
    """Memory of x* while nothing is shown. `value` is r2_prior of x* at the last step of the rollout, by a decoder that
    is fitted once, at its start.

    Attributes:
        steps: steps after the last observation of the trial that are reported below, 0 among them, `[M]`.
        marks: the chosen multiples of the trial's length among them.
        r2: r2_prior of x*, by the frozen decoder, `[M]`; -inf where a state is no longer finite.
        r2_directions: the same of D orthogonal directions of x*, the one that is decoded worst first, `[M, D]`: 1 - 12
            times each eigenvalue of the matrix of mean squared errors. A line attractor keeps one direction of a plane,
            and loses the first of these.
        r2_told: of the ideal observer that knows when the stimulus ends, `[M]`: constant. NaN if not computed.
        r2_untold: of the ideal observer that takes zeros for evidence, `[M]`.
        r2_start: `r2` at step 0.
        r2_after: `r2` at the marks, by their multiples ("1x").
        half_life: steps until `r2` falls below half of `r2_start`, interpolated; inf if it does not in this rollout.
        time_constant: in steps, of the fastest decay in the linear fit to the bias field, -1 / ln min |mu|; inf if
            none decays, NaN if the decoded values do not vary.
        multipliers: mu, the eigenvalues of the linear map from the decoded x* of a step to that of the next, `[D]`.
        slopes: the linear fit to the bias field: drift per step = slopes @ decoded + offset, `[D, D]`, 1 / step.
        offset: `[D]`, x* per step.
        positions: mean decoded x* in the bins of the bias field, `[B, D]`; empty for D > 2.
        drifts: mean change of the decoded x* in one step from there, `[B, D]`.
        counts: steps of trials in each bin, `[B]`.
        window: the bias field is that of steps 0 to `window`: one trial's length (the first mark).
        dispersion: the variance, per latent, of the decoded x* of trials among those that started from the same decoded
            x*, `[M]`.
        diffusion: half the growth of `dispersion` per step within the window, x*² per step. The dynamics have no noise:
            it measures how much the future of the decoded x* depends on components that the decoder does not see.
    """

    steps: Int[np.ndarray, " M"]
    marks: tuple[int, ...]
    r2: Float[np.ndarray, " M"]
    r2_directions: Float[np.ndarray, "M D"]
    r2_told: Float[np.ndarray, " M"]
    r2_untold: Float[np.ndarray, " M"]
    r2_start: float
    r2_after: Mapping[str, float]
    half_life: float
    time_constant: float
    multipliers: Complex[np.ndarray, " D"]
    slopes: Float[np.ndarray, "D D"]
    offset: Float[np.ndarray, " D"]
    positions: Float[np.ndarray, "B D"]
    drifts: Float[np.ndarray, "B D"]
    counts: Int[np.ndarray, " B"]
    window: int
    dispersion: Float[np.ndarray, " M"]
    diffusion: float


def rollout(
    dynamics: Dynamics,
    trials: Trials,
    rng: np.random.Generator,
    *,
    n_null: int = 100,
    multiples: tuple[int, ...] = (1, 2, 10),
    after: str = "stimulus",
    cue: float | None = None,
    n_trials: int = 1000,
    n_bins: int = 8,
) -> Rollout:
    """How well x* is held while nothing is shown, for up to 10 times a trial's length.

    The network sees its trials up to the end of the stimulus, then the resting observation (zeros through the encoder,
    and the cue) at every step. A ridge decoder of x* is fitted once, to the states at the end of the stimulus of half
    of the trials; its penalty is chosen on these alone. The other half is rolled out, and decoded by it at every step.

    `value` is r2_prior = 1 - 12 MSE at the last step: at most 1; 0 for a decoder that always says 0; below 0, without
    bound, where decoded values run away. Compare it with two ideal observers, computed from the exact posterior:

    - one that *knows* when the stimulus ends keeps its posterior mean, and its r2, forever;
    - one that does *not* takes k zeros for k more samples: of t samples with the mean m its statistic becomes
      (t m + k 0) / (t + k), so its estimate shrinks as l = t / (t + k), a drift towards 0 that is optimal for it. For
      Gaussian noise, and but for the edges of the prior, r2_prior = 1 - (1 - l)² - 12 l² sigma² / t.

    The drift of a leak is exponential and that of the second observer hyperbolic: 10 trial lengths tell them apart.

    *Bias field* (Burak & Fiete 2012, doi:10.1073/pnas.1117386109): the mean change of the decoded x* in a step as a
    function of its place, over all steps of the first mark; in bins of the cube of x* for D = 1 and 2 (bins with fewer
    than 5 steps are left out), and as a linear fit for every D. *Dispersion*: the variance of the decoded x* among
    trials that started from the same decoded x*, by a linear fit within bins of a quarter (D = 1, 2) or over all.

    Null hypothesis: at the last step the state has nothing to do with x* of its trial. Then x* can be permuted among
    the trials tested; the decoder was fitted to others. A memory may be far too small to be of use and still be real:
    read `p` beside `value`. Decoded values that differ by less than 1e-9 count as equal.

    Not to be confused with decoding the rollout by decoders fitted at each step (information in the state, not memory
    in a fixed format), nor with a slow point (`fixed_points`), which is local.

    Arguments:
        n_null: draws of the null.
        multiples: of the trial's length (its longest, in steps) at which memory is measured, rising.
        after: "stimulus", or "trial": roll out from the end of the stimulus, or of the trial.
        cue: of the resting observation; None for that of the task right after the stimulus (1 where answers do not
            count yet, 0 in reaction-time tasks), or at the trial's end (0).
        n_trials: at most so many trials are used.
        n_bins: of the bias field, for each latent.

    Raises:
        ValueError: if an argument is out of its range.
    """
    marks = _marks(trials, multiples)
    n_bins = check_int("n_bins", n_bins, 1)
    fitted, tested = halves(trials, rng, n_trials)
    seen = ends(dynamics, fitted, after=after, cue=cue).states
    frozen = decoder_at(seen[:, : dynamics.n_units], fitted.latents, rng)
    start = ends(dynamics, tested, after=after, cue=cue)
    decoded = decoded_at_rest(dynamics, start, frozen, marks[-1])
    r2 = np.array([_r2(tested.latents, decoded[:, k]) for k in range(marks[-1] + 1)])
    steps = np.unique([0, *np.geomspace(1, marks[-1], 16).round().astype(int), *marks])
    told, untold = ideal_r2(tested, steps)
    field = bias_field(decoded[:, : marks[0] + 1], n_bins)
    spread = dispersion(decoded[:, steps])
    null = _null(tested.latents, decoded[:, -1], n_null, rng)
    chosen = {"n_null": n_null, "multiples": tuple(multiples), "after": after, "cue": float(start.resting[0, 0])}
    return Rollout(
        value=float(r2[-1]),
        null=null,
        p=p_value(float(r2[-1]), null),
        n=len(tested),
        settings={**chosen, "n_trials": n_trials, "n_bins": n_bins, "penalty": frozen.penalty},
        steps=steps,
        marks=marks,
        r2=r2[steps],
        r2_directions=np.array([_r2_directions(tested.latents, decoded[:, k]) for k in steps]),
        r2_told=told,
        r2_untold=untold,
        r2_start=float(r2[0]),
        r2_after={f"{m}x": float(r2[step]) for m, step in zip(multiples, marks, strict=True)},
        half_life=half_life(r2),
        time_constant=time_constant(field.multipliers),
        **field._asdict(),
        window=marks[0],
        dispersion=spread,
        diffusion=growth(steps, spread, marks[0]) / 2,
    )


def ends(dynamics: Dynamics, trials: Trials, *, after: str = "stimulus", cue: float | None = None) -> Ends:
    """The states after the last observation of the stimulus, or of the trial, and the resting observation that follows.

    Periods may differ by trial. See `rollout` for `after` and `cue`. Raises `ValueError` if `after` is neither
    "stimulus" nor "trial", or a state is not finite.
    """
    check_choice(after, AFTER, "end", "a rollout")
    task, when = trials.task, trials.timing
    last = np.broadcast_to((when.stimulus_off if after == "stimulus" else when.end) - 1, len(trials))
    seen = np.asarray(observe(trials), np.float64)
    states = dynamics.start(len(trials))
    found = np.empty_like(states)
    for t in range(int(last.max()) + 1):
        states = dynamics(states, seen[:, t])
        found[last == t] = states[last == t]
    if not np.isfinite(found).all():
        raise ValueError(
            f"dynamics gives states that are not finite in {np.count_nonzero(~np.isfinite(found).all(axis=1))} trials"
        )
    if cue is None:
        cue = 1.0 if after == "stimulus" and not task.reaction_time else 0.0
    contexts = [None] if trials.context is None else range(task.n_tasks)
    resting = np.stack([resting_observation(task, cue=cue, context=context) for context in contexts])
    return Ends(found, resting[np.zeros(len(trials), int) if trials.context is None else trials.context])


def decoded_at_rest(dynamics: Dynamics, start: Ends, frozen: Ridge, n_steps: int) -> Float[np.ndarray, "N K D"]:
    """x* as decoded at step 0 and after each of `n_steps` steps at rest, K = n_steps + 1; inf beyond 1e100."""
    states, decoded = start.states, np.empty((len(start.states), n_steps + 1, len(frozen.intercept)))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(n_steps + 1):
            states = dynamics(states, start.resting) if k else states
            decoded[:, k] = frozen.predict(states[:, : dynamics.n_units])
        return np.where(np.abs(decoded) < 1e100, decoded, np.inf)


def halves(trials: Trials, rng: np.random.Generator, n_trials: int) -> tuple[Trials, Trials]:
    """Two random halves of at most `n_trials` of the trials: one to fit a decoder to, one to test it on. Raises
    `ValueError` if there are fewer than 20.
    """
    n = min(len(trials), check_int("n_trials", n_trials, FEWEST_TRIALS))
    if n < FEWEST_TRIALS:
        raise ValueError(f"trials has {n} trials; {FEWEST_TRIALS} or more are needed, half of them to fit a decoder to")
    order = rng.permutation(len(trials))[:n]
    return trials[order[: n // 2]], trials[order[n // 2 :]]


def decoder_at(states: Float[np.ndarray, "N H"], latents: Float[np.ndarray, "N D"], rng: np.random.Generator) -> Ridge:
    """A ridge decoder fitted to all of these trials, its penalty chosen by 4-fold cross-validation."""
    cells = Cells(states, rng.permutation(np.arange(len(states)) % FOLDS))
    targets, every = cells.targets(latents), np.ones(FOLDS, bool)
    split = Split(fit=every, test=every, validations=np.eye(FOLDS, dtype=bool), pool=every)
    chosen = choose(cells, targets, split, np.array(PENALTIES), latents.shape[1])
    path = cells.path(every)
    return decoder(cells.fit(path, targets, every), np.array(PENALTIES)[chosen] * path.scale(), cells.shift)


def _marks(trials: Trials, multiples: tuple[int, ...]) -> tuple[int, ...]:
    if not multiples or any(b <= a for a, b in zip((0, *multiples), multiples, strict=False)):
        raise ValueError(f"multiples={multiples!r} must be whole numbers above 0 that rise")
    return tuple(check_int("multiples", m, 1) * trials.task.n_steps for m in multiples)


def _r2(latents: np.ndarray, decoded: np.ndarray) -> float:
    return r2_prior(latents, decoded) if np.isfinite(decoded).all() else -math.inf


def _r2_directions(latents: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    error = latents - decoded
    if not np.isfinite(error).all():
        return np.full(latents.shape[1], -math.inf)
    return 1 - np.linalg.eigvalsh(error.T @ error / len(error))[::-1] / PRIOR_VARIANCE


def _null(latents: np.ndarray, decoded: np.ndarray, n_null: int, rng: np.random.Generator) -> np.ndarray:
    """r2_prior of `decoded` with latents permuted; only the mean of products changes from draw to draw."""
    value = _r2(latents, decoded)
    if value == -math.inf:
        return np.full(n_null, value)
    deviation = decoded - decoded.mean(axis=0)
    deviation[np.abs(deviation) < PRECISION] = 0
    orders = rng.permuted(np.tile(np.arange(len(latents)), (n_null, 1)), axis=1)
    centred = latents - latents.mean(axis=0)
    products = np.einsum("rnd,nd->r", centred[orders], deviation)
    return value + 2 * (products - np.einsum("nd,nd->", centred, deviation)) / latents.size / PRIOR_VARIANCE
