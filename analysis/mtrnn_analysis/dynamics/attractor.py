"""A verdict on the continuous attractor that lists its evidence. Axis letter: D latents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mtrnn_analysis.dynamics.fixed_points import FixedPoints, affordable_starts, fixed_points
from mtrnn_analysis.dynamics.perturbations import Perturbations, perturbations
from mtrnn_analysis.dynamics.rollout import Rollout, rollout
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


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One thing that is true of a continuous attractor, and whether it is of this network.

    Attributes:
        name: in short.
        value: what was found; NaN where it was not asked.
        threshold: what it is held against.
        at_least: whether `value` must be `threshold` or more; otherwise `threshold` or less.
        why: what the value is, and why it tells.
    """

    name: str
    value: float
    threshold: float
    at_least: bool
    why: str

    @property
    def holds(self) -> bool:
        """Whether it is as it is on a continuous attractor. A value that is NaN is not."""
        return self.value >= self.threshold if self.at_least else self.value <= self.threshold


@dataclass(frozen=True, eq=False, kw_only=True)
class Attractor(ProbeResult):
    """The verdict. `value` is the share of the evidence that holds; it has no null: see `attractor`.

    Attributes:
        verdict: in words.
        evidence: row by row.
        values: the rows' values by name.
        time_constant: of the fastest decay of the decoded x* in steps; see `mtrnn_analysis.dynamics.rollout.Rollout`.
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
    decodable: float = 0.5,
    continuum: float = 0.5,
    tangent: float = 0.5,
    kept: float = 0.9,
    moved: float = 0.2,
    remaining: float = 0.2,
    multiples: tuple[int, ...] = (1, 2, 10),
    cue: float | None = None,
    n_trials: int = 1000,
    n_starts: int | None = None,
    n_directions: int = 20,
) -> Attractor:
    """Whether the network holds x* on a continuous attractor of D dimensions at the end of the stimulus.

    No number alone shows one. A decoder finds x* in networks that forget it at once; a slow point is a matter of one
    state; and a network that is slow in every direction holds x* too, with all its noise. So all of these are asked:

    | evidence | what | threshold |
    |---|---|---|
    | decodable | r2_prior of the direction of x* decoded worst, at the end of the stimulus | at least `decodable` |
    | spectrum | share of starts that lead to a point near the data with D slow eigenvalues and a gap | `continuum` |
    | tangent | mean squared cosine of slow directions and coding axes at those points | `tangent` |
    | held 1x, 2x, 10x | what is left of that r2 after so many trial lengths, frozen decoder | at least `kept` |
    | along | how far the decoded x* is from where a push along the axes put it, one trial later | at most `moved` |
    | across | what remains of a push across, one trial later | at most `remaining` |

    Why these thresholds: a network that knows less than half of the variance of some direction of x* has no D latents
    to hold. A majority of points must agree on the spectrum, and the slow directions be nearer to the coding axes than
    to what is across (45 degrees). A tenth of r2, or a fifth of a step, may be lost: an attractor that training made is
    a row of near-fixed points. A fifth of a push across after one trial is a time constant of 14 steps in a trial of
    22, less than that of what counts as slow (the length of the stimulus). All are settings; the values are told.

    The verdict is the first of these that is true:

    - "x* is not in the state": it is not decodable. Nothing else is asked then.
    - "continuous attractor": all rows hold.
    - "x* is held, but ...": all memory rows hold, and others, which are named, do not.
    - "no memory: the decoded x* goes astray": after the first multiple of the trial's length r2 of some direction is
      below -1, where another trial's x* would be as good; or none is left and no direction decays.
    - "no memory": less than half of r2 is left there in every direction; "memory of ... of D directions of x*": in
      some of them.
    - "slow manifold that leaks (time constant ...)", or "... that drifts away (half-life ...)" where no direction
      decays; with "pushes across remain" where they do: then it is slow in other directions too.

    A share of evidence has no null distribution; rows rest on probes that have (`rollout`, `perturbations`,
    `fixed_points`), and whose findings should be looked at beside this one.

    Arguments:
        dynamics: of the network.
        trials: at least 20.
        rng: for all that is drawn.
        decodable: a threshold, see above.
        continuum: a threshold, see above.
        tangent: a threshold, see above.
        kept: a threshold, see above.
        moved: a threshold, see above.
        remaining: a threshold, see above.
        multiples: of the trial's length at which memory is asked, rising.
        cue: shown while nothing is; None for what the task shows during the stimulus.
        n_trials: how many trials are used at most.
        n_starts: of the search for fixed points; None for half of what `fixed_points` takes by itself.
        n_directions: sets of directions across.

    Raises:
        ValueError: if an argument is out of its range, or one of these probes refuses.
    """
    thresholds = {
        "decodable": decodable,
        "continuum": continuum,
        "tangent": tangent,
        "kept": kept,
        "moved": moved,
        "remaining": remaining,
    }
    for name, threshold in thresholds.items():
        if not 0 <= threshold <= 1:
            raise ValueError(f"{name}={threshold!r} is not a number from 0 to 1")
    memory = rollout(dynamics, trials, rng, n_null=0, multiples=multiples, cue=cue, n_trials=n_trials)
    cue = memory.settings["cue"]
    points = pushes = None
    n_starts = affordable_starts(dynamics, 64) if n_starts is None else n_starts
    if memory.r2_directions[0, 0] >= decodable:
        pushes = perturbations(dynamics, trials, rng, n_null=n_directions, cue=cue, n_trials=n_trials)
        points = fixed_points(dynamics, trials.task, trials, rng, n_starts=n_starts, cue=cue, n_null=0)
    rows = (
        Evidence(
            name="decodable",
            value=float(memory.r2_directions[0, 0]),
            threshold=decodable,
            at_least=True,
            why="r² of the worst direction of x* at the end of the stimulus: what is not in the state cannot be held",
        ),
        *_of_points(points, continuum, tangent),
        *_of_memory(memory, kept, multiples, asked=points is not None),
        *_of_pushes(pushes, moved, remaining),
    )
    return Attractor(
        value=float(np.mean([row.holds for row in rows])),
        n=memory.n,
        settings={
            **thresholds,
            "multiples": tuple(multiples),
            "cue": cue,
            "n_trials": n_trials,
            "n_starts": n_starts,
            "n_directions": n_directions,
        },
        verdict=_verdict(rows, memory),
        evidence=rows,
        values={row.name: row.value for row in rows},
        time_constant=memory.time_constant,
        half_life=memory.half_life,
    )


def _of_points(points: FixedPoints | None, continuum: float, tangent: float) -> tuple[Evidence, ...]:
    share = math.nan if points is None else float(np.mean(points.near & points.of_points.continuous))
    return (
        Evidence(
            name="spectrum",
            value=share,
            threshold=continuum,
            at_least=True,
            why="share of starts that end at a point near the data with exactly D slow eigenvalues, and a gap: "
            "neutral in as many directions as x* has, and in no other",
        ),
        Evidence(
            name="tangent",
            value=math.nan if points is None else points.alignment,
            threshold=tangent,
            at_least=True,
            why="mean cos² between the slow directions and the coding axes of x*: it is x* that is held",
        ),
    )


def _of_memory(memory: Rollout, kept: float, multiples: tuple[int, ...], asked: bool) -> tuple[Evidence, ...]:
    at = np.searchsorted(memory.steps, memory.marks)
    return tuple(
        Evidence(
            name=f"held {multiple}x",
            value=float(memory.r2_directions[k, 0] / memory.r2_directions[0, 0]) if asked else math.nan,
            threshold=kept,
            at_least=True,
            why=f"share of that r² left after {memory.steps[k]} steps with nothing shown, by the same decoder",
        )
        for multiple, k in zip(multiples, at, strict=True)
    )


def _of_pushes(pushes: Perturbations | None, moved: float, remaining: float) -> tuple[Evidence, ...]:
    return (
        Evidence(
            name="along",
            value=math.nan if pushes is None else abs(pushes.gain_left - 1),
            threshold=moved,
            at_least=False,
            why="how far, of a step, the decoded x* is from where a push along the coding axes put it, a trial later",
        ),
        Evidence(
            name="across",
            value=math.nan if pushes is None else pushes.across_left,
            threshold=remaining,
            at_least=False,
            why="what remains of a push across the coding axes, a trial later: an attractor attracts",
        ),
    )


def _verdict(rows: tuple[Evidence, ...], memory: Rollout) -> str:
    if not rows[0].holds:
        return NOT_IN_STATE
    failing = [row.name for row in rows if not row.holds]
    if not failing:
        return CONTINUOUS
    held = [row for row in rows if row.name.startswith("held")]
    if all(row.holds for row in held):
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
