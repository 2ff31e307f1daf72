"""A conclusion about the continuous attractor, with its evidence. Axis letter: D latents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mtrnn_analysis.dynamics.fixed_points import fixed_points
from mtrnn_analysis.dynamics.perturbations import perturbations
from mtrnn_analysis.dynamics.rollout import Rollout, rollout
from mtrnn_analysis.dynamics.search import affordable_starts
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.trials import Trials

NOT_IN_STATE = "x* is not in the state"
CONTINUOUS = "continuous attractor"
NO_MEMORY = "no memory"
# Less than this share of r2 left one trial later is no memory.
HALF = 0.5
# Of r2_prior: the error is twice the prior's variance, as with another trial's x*. A decoder that always says 0 has 0.
ASTRAY = -1.0
# See `attractor` for their reasons. Evidence counts from the threshold up, or up to it for those in `AT_MOST`.
THRESHOLDS = {"decodable": 0.5, "continuum": 0.5, "tangent": 0.5, "kept": 0.9, "moved": 0.2, "remaining": 0.2}
AT_MOST = ("moved", "remaining")
WHY = {
    "decodable": "r² of the worst direction of x* at the end of the stimulus: what is not in the state cannot be held",
    "continuum": "share of starts that end at a point near the data with exactly D slow eigenvalues, and a gap: "
    "neutral in as many directions as x* has, and in no other",
    "tangent": "mean cos² between the slow directions and the coding axes of x*: it is x* that is held",
    "kept": "share of that r² left after {} steps with nothing shown, by the same decoder",
    "moved": "how far, of a step, the decoded x* is from where a push along the coding axes put it, a trial later",
    "remaining": "what remains of a push across the coding axes, a trial later: an attractor attracts",
}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One property of a continuous attractor, measured in this network.

    Attributes:
        name: of the property.
        value: as measured; NaN where it was not.
        threshold: compared with `value`.
        at_least: whether `value` must be `threshold` or more; otherwise `threshold` or less.
        why: the meaning of the value, and why it tells.
    """

    name: str
    value: float
    threshold: float
    at_least: bool
    why: str

    @property
    def holds(self) -> bool:
        """Whether `value` is on the attractor's side of `threshold`; False for NaN."""
        return self.value >= self.threshold if self.at_least else self.value <= self.threshold


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Attractor(ProbeResult):
    """Whether the network holds x* on a continuous attractor. `value` is the share of the evidence that holds; it has
    no null (see `attractor`).

    Attributes:
        verdict: the conclusion, in words.
        evidence: its rows.
        values: the rows' values by name.
        time_constant: of the fastest decay of the decoded x* in steps; see `mtrnn_analysis.dynamics.Rollout`.
        half_life: steps until half of r2 is gone, likewise.
    """

    verdict: str
    evidence: tuple[Evidence, ...]
    values: Mapping[str, float]
    time_constant: float
    half_life: float


def attractor(
    dynamics: Dynamics,
    trials: Trials,
    rng: np.random.Generator,
    *,
    multiples: tuple[int, ...] = (1, 2, 10),
    cue: float | None = None,
    n_trials: int = 1000,
    n_starts: int | None = None,
    n_directions: int = 20,
) -> Attractor:
    """Whether the network holds x* on a continuous attractor of D dimensions at the end of the stimulus.

    No single number shows one: a decoder finds x* in networks that forget it at once, a slow point concerns one state,
    and a network that is slow in every direction holds x* with all its noise. So the probe measures all of these:

    | evidence | measure | threshold |
    |---|---|---|
    | decodable | r2_prior of the direction of x* decoded worst, at the end of the stimulus | at least 0.5 |
    | spectrum | share of starts that lead to a point near the data with D slow eigenvalues and a gap | at least 0.5 |
    | tangent | mean squared cosine of slow directions and coding axes at those points | at least 0.5 |
    | held 1x, 2x, 10x | share of that r2 left after so many trial lengths, frozen decoder | at least 0.9 |
    | along | distance of the decoded x* from where a push along the axes put it, one trial later | at most 0.2 |
    | across | share of a push across that remains, one trial later | at most 0.2 |

    Reasons for the thresholds: a network that knows less than half of the variance of some direction of x* has no D
    latents to hold. A majority of points must agree on the spectrum, and the slow directions must be nearer to the
    coding axes than to what is across (45 degrees). A tenth of r2, or a fifth of a step, may be lost: an attractor that
    training made is a row of near-fixed points. A fifth of a push across after one trial is a time constant of 14 steps
    in a trial of 22, less than that of what counts as slow (the length of the stimulus). For other thresholds compare
    `values` with them.

    The conclusion is the first of these that is true:

    - "x* is not in the state": it is not decodable. Nothing else is measured then.
    - "continuous attractor": all rows hold.
    - "x* is held, but ...": all memory rows hold; others, which are named, do not.
    - "no memory: the decoded x* goes astray": after the first multiple of the trial's length r2 of some direction is
      below -1, where another trial's x* would be as good; or none is left and no direction decays.
    - "no memory": less than half of r2 is left there in every direction; "memory of ... of D directions of x*": in
      some of them.
    - "slow manifold that leaks (time constant ...)", or "... that drifts away (half-life ...)" where no direction
      decays; with "pushes across remain" where they do: then it is slow in other directions too.

    A share of evidence has no null distribution. The rows rest on probes that have one (`rollout`, `perturbations`,
    `fixed_points`); read their results beside this one.

    Arguments:
        multiples: of the trial's length at which memory is measured, rising.
        cue: of the resting observation; None for that of the stimulus.
        n_trials: at most so many trials are used.
        n_starts: of the search for fixed points; None for half of the default of `fixed_points`.
        n_directions: sets of directions across.

    Raises:
        ValueError: if an argument is out of its range, or one of these probes refuses.
    """
    memory = rollout(dynamics, trials, rng, n_null=0, multiples=multiples, cue=cue, n_trials=n_trials)
    cue, worst = memory.settings["cue"], memory.r2_directions[:, 0]
    n_starts = affordable_starts(dynamics, 64) if n_starts is None else n_starts
    spectrum = tangent = along = across = math.nan
    held = dict.fromkeys(memory.marks, math.nan)
    if worst[0] >= THRESHOLDS["decodable"]:
        pushes = perturbations(dynamics, trials, rng, n_null=n_directions, cue=cue, n_trials=n_trials)
        points = fixed_points(dynamics, trials.task, trials, rng, n_starts=n_starts, cue=cue, n_null=0)
        spectrum, tangent = float(np.mean(points.near & points.of_points.continuous)), points.alignment
        along, across = abs(pushes.gain_left - 1), pushes.across_left
        held = {mark: float(worst[np.searchsorted(memory.steps, mark)] / worst[0]) for mark in memory.marks}
    rows = (
        _row("decodable", float(worst[0]), "decodable"),
        _row("spectrum", spectrum, "continuum"),
        _row("tangent", tangent, "tangent"),
        *(_row(f"held {times}x", held[mark], "kept", mark) for times, mark in zip(multiples, held, strict=True)),
        _row("along", along, "moved"),
        _row("across", across, "remaining"),
    )
    chosen = {"multiples": tuple(multiples), "cue": cue, "n_trials": n_trials, "n_starts": n_starts}
    return Attractor(
        value=float(np.mean([row.holds for row in rows])),
        n=memory.n,
        settings={**THRESHOLDS, **chosen, "n_directions": n_directions},
        verdict=_conclusion(rows, memory),
        evidence=rows,
        values={row.name: row.value for row in rows},
        time_constant=memory.time_constant,
        half_life=memory.half_life,
    )


def _row(name: str, value: float, key: str, steps: int = 0) -> Evidence:
    least, why = key not in AT_MOST, WHY[key].format(steps)
    return Evidence(name=name, value=value, threshold=THRESHOLDS[key], at_least=least, why=why)


def _conclusion(rows: tuple[Evidence, ...], memory: Rollout) -> str:
    if not rows[0].holds:
        return NOT_IN_STATE
    failing = [row.name for row in rows if not row.holds]
    if not failing:
        return CONTINUOUS
    if not any(name.startswith("held") for name in failing):
        return f"x* is held, but evidence of a continuous attractor is missing: {', '.join(failing)}"
    decaying, n_dims = math.isfinite(memory.time_constant), memory.r2_directions.shape[1]
    first = memory.r2_directions[np.searchsorted(memory.steps, memory.marks[0])]
    n_kept = int(np.count_nonzero(first >= HALF * memory.r2_directions[0]))
    if first[0] < ASTRAY or (n_kept == 0 and not decaying):
        return f"{NO_MEMORY}: the decoded x* goes astray"
    if n_kept < n_dims:
        return f"memory of {n_kept} of {n_dims} directions of x*" if n_kept else NO_MEMORY
    tail = "; pushes across remain" if "across" in failing else ""
    if decaying:
        return f"slow manifold that leaks (time constant {memory.time_constant:.0f} steps){tail}"
    gone = f"{memory.half_life:.0f}" if math.isfinite(memory.half_life) else f"over {memory.marks[-1]}"
    return f"slow manifold that drifts away (half-life {gone} steps){tail}"
