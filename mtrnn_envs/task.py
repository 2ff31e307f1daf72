"""`EvidenceTask`: every choice that defines a task, as frozen data made of numbers and strings."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias, no_type_check

import numpy as np
from jaxtyping import Float

from mtrnn_envs.components import boundaries, encoder, noise, rewards
from mtrnn_envs.components.latents import share_left
from mtrnn_envs.timing import Periods, Timing, timing
from mtrnn_envs.utils.validation import UnknownKeyword, check_choice, check_int

Period: TypeAlias = int | tuple[int, int]

PERIODS = ("fixation", "stimulus", "delay", "decision")
# The shortest and the longest a period may be, in steps.
SHORTEST = {"fixation": 0, "stimulus": 1, "delay": 0, "decision": 1}
LONGEST = 100_000


@no_type_check  # by the test suite: `__post_init__` checks the fields, and says more
@dataclass(frozen=True, kw_only=True)
class EvidenceTask:
    """A hidden point x*, noisy evidence of it step by step, and N binary questions about it.

    A task is frozen, hashable, and survives JSON. Every field is a keyword of `gym.make`. A value that is not allowed
    raises `ValueError` naming the field, the value and what is allowed.

    Attributes:
        n_tasks: N, the number of binary questions.
        n_dims: D, the number of latents; x* is uniform on [-0.5, 0.5]^D.
        boundaries: what divides the latents: "linear" (the paper's: evenly spaced lines for D = 2, else random
            hyperplanes), "even", "random", "spread", "affine", "product", "quadric", or your own as "module:attribute":
            a function from latents `[N, D]` to margins `[N, K]`, positive where the label is +1, or one of (n_tasks,
            n_dims, seed) that gives a `mtrnn_envs.components.Boundary`.
        boundary_seed: the seed of boundaries that are drawn.
        sigma: standard deviation of the noise of one sample, in units of the latents: a number, or one for each
            latent (anisotropic noise). 0 only where `encoder_noise` is above 0.
        noise: "gaussian" or "gumbel" (centred, with standard deviation sigma), or your own class derived from
            `mtrnn_envs.components.Noise`, as "module:attribute".
        autocorrelation: coefficient of AR(1) noise in (-1, 1); needs gaussian noise.
        latent_correlation: correlation of the Gaussian copula between any two latents.
        excluded_orthants: orthants of the latents held out of training and validation, each written as D signs,
            for example ("+-",). The test split and `split="test"` environments show them.
        fixation: steps with the cue on and without evidence; an int, or a pair (shortest, longest) drawn per trial.
        stimulus: steps with evidence, likewise. In reaction-time tasks, the deadline.
        delay: steps between the evidence and the fall of the cue, likewise. 0 in reaction-time tasks.
        decision: steps with the cue off, on which the answers count, likewise. 0 in reaction-time tasks.
        dt: duration of a step in ms; it changes nothing but time axes.
        encoder: "relu" or "square", the non-linearity of the frozen random encoder, or None to show the evidence.
        encoder_seed: the seed of the encoder's weights.
        encoder_noise: standard deviation of noise added to the encoder's output on stimulus steps.
        cueing: "all", or "one": one task a trial, named by a one-hot cue, and one answer.
        payoff: the reward rule: "share" (fixed duration: the share of right answers), or, with free reaction time and
            confidence, "quadratic", "log" or "accuracy", or your own `mtrnn_envs.components.RewardRule`, as
            "module:attribute".
        commit: in reaction-time tasks, "each" task stops by itself, or one "common" stop for all.
        n_confidence: in reaction-time tasks, the confidence levels on each side.
        time_cost: in reaction-time tasks, the cost of one stimulus step with all tasks open.
        withhold: in fixed-duration tasks, whether an action may withhold answers, and early answers are punished.
        early_penalty: with `withhold`, the cost of answering all tasks on a step before the cue falls.
        action_encoding: "multi_discrete", which any library accepts, or "multi_binary", which is faster.
    """

    n_tasks: int = 24
    n_dims: int = 2
    boundaries: str = "linear"
    boundary_seed: int = 0
    sigma: float | tuple[float, ...] = 0.2
    noise: str = "gaussian"
    autocorrelation: float = 0.0
    latent_correlation: float = 0.0
    excluded_orthants: tuple[str, ...] = ()
    fixation: Period = 1
    stimulus: Period = 20
    delay: Period = 0
    decision: Period = 1
    dt: float = 100.0
    encoder: str | None = "relu"
    encoder_seed: int = 0
    encoder_noise: float = 0.0
    cueing: str = "all"
    payoff: str = "share"
    commit: str = "each"
    n_confidence: int = 3
    time_cost: float = 0.01
    withhold: bool = False
    early_penalty: float = 0.1
    action_encoding: str = "multi_discrete"

    def __post_init__(self) -> None:
        for name, value in _checked(self).items():
            object.__setattr__(self, name, value)
        _ = self.boundary, self.reward_table  # a kind that cannot be had raises

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled as its fields alone: what they name may not be picklable, and is built anew."""
        return EvidenceTask.from_fields, ({field.name: getattr(self, field.name) for field in fields(self)},)

    def __repr__(self) -> str:
        """The fields that differ from their defaults, as Python that makes the task."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return f"EvidenceTask({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @cached_property
    def boundary(self) -> boundaries.Boundary:
        """The boundaries themselves, with `margins(latents)`."""
        return boundaries.build(self.boundaries, self.n_tasks, self.n_dims, self.boundary_seed)

    @cached_property
    def sigmas(self) -> tuple[float, ...]:
        """The standard deviation of the noise of one sample, for each latent."""
        return self.sigma if isinstance(self.sigma, tuple) else (self.sigma,) * self.n_dims

    @cached_property
    def reaction_time(self) -> bool:
        """Whether the agent decides when to answer."""
        return self.reward_rule.reaction_time

    @cached_property
    def n_answers(self) -> int:
        """A, the answers asked for in a trial: N, or 1 with `cueing="one"`."""
        return self.n_tasks if self.cueing == "all" else 1

    @cached_property
    def n_evidence(self) -> int:
        """The number of evidence channels in an observation: D, or the width of the encoder."""
        return self.n_dims if self.encoder is None else encoder.N_ENCODED

    @cached_property
    def n_features(self) -> int:
        """F, the width of an observation: cue, evidence, then the one-hot context with `cueing="one"`."""
        return 1 + self.n_evidence + (self.n_tasks if self.cueing == "one" else 0)

    @cached_property
    def periods(self) -> Periods | None:
        """The lengths of the four periods in steps, or None if any of them is drawn per trial."""
        lengths = [getattr(self, name) for name in PERIODS]
        return None if any(isinstance(v, tuple) for v in lengths) else Periods(*lengths)

    @cached_property
    def longest(self) -> Periods:
        """The greatest length of each period in steps."""
        return Periods(*(v[1] if isinstance(v, tuple) else v for v in (getattr(self, name) for name in PERIODS)))

    @cached_property
    def shortest(self) -> Periods:
        """The least length of each period, in steps."""
        return Periods(*(v[0] if isinstance(v, tuple) else v for v in (getattr(self, name) for name in PERIODS)))

    @cached_property
    def timing(self) -> Timing:
        """When the periods begin in the longest trial, in steps; in every trial, if `periods` is not None."""
        return timing(self.longest, self.reaction_time)

    @cached_property
    def n_steps(self) -> int:
        """T, the steps of the longest trial."""
        return sum(self.longest)

    @cached_property
    def noise_kind(self) -> noise.Noise:
        """The noise itself: draws, sufficient statistic and likelihood."""
        return noise.build(self.noise, self.autocorrelation)

    @cached_property
    def reward_rule(self) -> rewards.RewardRule:
        """The rule itself, from reported probabilities to rewards."""
        return rewards.build(self.payoff)

    @cached_property
    def reward_table(self) -> Float[np.ndarray, "2 L"]:
        """The reward of an answer by label and response option; see `mtrnn_envs.components.rewards.reward_table`."""
        return rewards.reward_table(self.reward_rule, self.n_confidence if self.reaction_time else 1)

    def to_json(self) -> str:
        """The task as JSON; `from_json` gives it back, equal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> EvidenceTask:
        """The task that `to_json` wrote."""
        return cls.from_fields(json.loads(text))

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> EvidenceTask:
        """A task from names and values.

        Raises:
            UnknownKeyword: (a `ValueError`) if a name is unknown, saying which was probably meant.
        """
        names = [field.name for field in fields(cls)]
        for name in values:
            try:
                check_choice(name, names, "field", "EvidenceTask")
            except ValueError as error:
                raise UnknownKeyword(f"unexpected keyword argument {name!r}: {error}") from None
        return cls(**values)


def _checked(task: EvidenceTask) -> dict[str, Any]:
    """The fields as plain Python numbers, strings and tuples, each checked by itself and then with the others."""
    get = {field.name: getattr(task, field.name) for field in fields(task)}
    get = {name: v.tolist() if isinstance(v, np.ndarray | np.generic) else v for name, v in get.items()}
    counts = {"n_tasks": (1, 10_000), "n_dims": (1, 1_000), "n_confidence": (1, 60)}
    counts |= {"boundary_seed": (0, 2**63 - 1), "encoder_seed": (0, 2**63 - 1)}
    real = {"autocorrelation": (-1, 1, False), "latent_correlation": (-1, 1, False), "dt": (0, math.inf, False)}
    real |= dict.fromkeys(("encoder_noise", "time_cost", "early_penalty"), (0, math.inf, True))
    one_of = {"encoder": (None, *encoder.KINDS), "cueing": ("all", "one")}
    one_of |= {"commit": ("each", "common")}
    for name, kinds in (("noise", noise.KINDS), ("payoff", rewards.KINDS)):
        if not (isinstance(get[name], str) and ":" in get[name]):
            one_of[name] = tuple(kinds)
    one_of |= {"action_encoding": ("multi_discrete", "multi_binary"), "withhold": (False, True)}

    new: dict[str, Any] = get.copy()
    for name, (low, high) in counts.items():
        new[name] = check_int(name, get[name], low, high)
    for name, (low, high, closed) in real.items():
        new[name] = _real(name, get[name], low, high, closed)
    for name, allowed in one_of.items():
        if not any(get[name] is v or (isinstance(v, str) and get[name] == v) for v in allowed):
            raise ValueError(f"{name}={get[name]!r} is not allowed; use one of {allowed}")
    if not isinstance(get["boundaries"], str):
        raise ValueError(f"boundaries={get['boundaries']!r} is not a name; use a kind or 'module:attribute'")
    new["sigma"] = _sigma(get["sigma"], new["n_dims"], new["encoder_noise"])
    new["excluded_orthants"] = _orthants(get["excluded_orthants"], new["n_dims"])
    timed = rewards.build(new["payoff"]).reaction_time
    for name in PERIODS:
        new[name] = _period(name, get[name], get["payoff"], timed)
    _check_together(new, timed)
    return new


def _check_together(f: dict[str, Any], timed: bool) -> None:
    """Raises `ValueError` for fields that do not go together; `timed` is whether the agent decides when to answer."""
    least = -1 / (f["n_dims"] - 1) if f["n_dims"] > 1 else -1.0
    if f["n_dims"] == 1 and f["latent_correlation"]:
        raise ValueError(f"latent_correlation={f['latent_correlation']!r} needs n_dims of 2 or more")
    if f["latent_correlation"] and not least + 1e-6 < f["latent_correlation"] <= 0.9999:
        raise ValueError(
            f"latent_correlation={f['latent_correlation']!r} is not in ({least:.6g} + 1e-6, 0.9999], where "
            f"n_dims={f['n_dims']} latents can all have it with each other"
        )
    if f["excluded_orthants"] and f["n_dims"] > 60:
        raise ValueError(f"n_dims={f['n_dims']} is too many for excluded_orthants, which take 60 at most")
    left = share_left(f["n_dims"], f["latent_correlation"], f["excluded_orthants"]) if f["excluded_orthants"] else 1
    if left < 1e-3:
        raise ValueError(
            f"excluded_orthants of {len(f['excluded_orthants'])} leave {left:.2g} of the prior in; 0.001 at least is "
            "needed to draw from it"
        )
    noise.build(f["noise"], f["autocorrelation"])
    if f["encoder_noise"] and f["encoder"] is None:
        raise ValueError(f"encoder_noise={f['encoder_noise']!r} needs an encoder, got encoder=None")
    if f["withhold"] and timed:
        raise ValueError(f"withhold=True goes with payoff='share'; in payoff={f['payoff']!r} action 0 already waits")
    if f["action_encoding"] == "multi_binary" and (timed or f["withhold"] or f["cueing"] == "one"):
        raise ValueError(
            "action_encoding='multi_binary' goes with payoff='share', withhold=False and cueing='all' only, "
            f"got payoff={f['payoff']!r}, withhold={f['withhold']!r}, cueing={f['cueing']!r}"
        )
    if f["commit"] == "common" and not timed:
        timed_rules = tuple(name for name, rule in rewards.KINDS.items() if rule.reaction_time)
        raise ValueError(f"commit='common' needs a reaction-time payoff, one of {timed_rules}")


def _real(name: str, value: object, low: float, high: float, closed: bool) -> float:
    number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    if not (low < number < high or (closed and number == low)):
        raise ValueError(f"{name}={value!r} is not a number in {'[' if closed else '('}{low}, {high})")
    return number


def _sigma(value: object, n_dims: int, encoder_noise: float) -> float | tuple[float, ...]:
    zero_allowed = encoder_noise > 0
    if not isinstance(value, list | tuple):
        return _real("sigma", value, 0, math.inf, zero_allowed)
    if len(value) != n_dims:
        raise ValueError(
            f"sigma={value!r} has {len(value)} numbers; one, or one for each of n_dims={n_dims}, is needed"
        )
    return tuple(_real("sigma", v, 0, math.inf, zero_allowed) for v in value)


def _orthants(value: object, n_dims: int) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(
        isinstance(o, str) and len(o) == n_dims and set(o) <= {"+", "-"} for o in value
    ):
        raise ValueError(
            f"excluded_orthants={value!r} is not a sequence of strings of n_dims={n_dims} signs '+' or '-'"
        )
    if len(set(value)) != len(value) or len(value) >= 2**n_dims:
        raise ValueError(f"excluded_orthants={value!r} must name each orthant once and leave one of {2**n_dims} in")
    return tuple(value)


def _period(name: str, value: object, payoff: str, timed: bool) -> Period:
    if timed and name in ("delay", "decision"):
        if value != 0:
            raise ValueError(
                f"{name}={value!r} must be 0 with payoff={payoff!r} (give {name}=0): the evidence itself takes answers"
            )
        return 0
    if name == "decision" and value in (0, [0, 0], (0, 0)):
        raise ValueError(
            f"decision={value!r} must be 1 or more with payoff={payoff!r}: answers count on the decision steps"
        )
    low = SHORTEST[name]
    if not isinstance(value, list | tuple):
        return check_int(name, value, low, LONGEST)
    if len(value) != 2:
        raise ValueError(f"{name}={value!r} is neither a number of steps nor a pair (shortest, longest)")
    shortest, longest = (check_int(name, v, low, LONGEST) for v in value)
    if shortest > longest:
        raise ValueError(f"{name}={value!r} has its shortest above its longest")
    return shortest if shortest == longest else (shortest, longest)
