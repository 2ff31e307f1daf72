"""Probes by name, on a recording, and the numbers in their results.

A probe is a function of arrays that returns a frozen dataclass (see `mtrnn_envs.testing.check_probe`). Each of its
parameters but `rng` is taken from the recording by its name, one of `INPUTS`. A parameter with a default keeps it if
the recording lacks that input; keyword-only parameters are settings. A custom probe is one function:

    def spread(states, rng, *, n_null=100): ...

    probe(recording, "my_package.my_module:spread")
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.dynamics import TOLERANCE, run
from mtrnn_envs.protocols import Agent, Dynamics
from mtrnn_envs.recording import Recording
from mtrnn_envs.trials import Trials, observe
from mtrnn_envs.utils.validation import check_choice, check_int

PARTS = ("value", "null", "p", "n", "settings")  # the fields of every result; `check_probe` defines them
HEADLINES = ("value", "null_mean", "null_sd", "p", "n")
N_COMPARED = 8  # trials on which the agent is compared with the one that was recorded


class Missing(ValueError):
    """The recording, or its agent, lacks an input that a probe requires."""


class Source(NamedTuple):
    """The source of all inputs: a recording, and the recorded agent, if it is given."""

    recording: Recording
    agent: Agent | None = None


def _recorded(field: str, why: str = "") -> Callable[[Source], Any]:
    def take(source: Source) -> Any:
        if (value := getattr(source.recording, field)) is None:
            raise Missing(f"{field}: {why}")
        return value

    return take


def _states(source: Source) -> np.ndarray:
    if source.recording.hidden is None:
        raise Missing(f"states: the agent {source.recording.metadata['agent']} has no hidden state")
    return source.recording.last_hidden()


def _trials(source: Source) -> Trials:
    try:
        return source.recording.trials()
    except ValueError as error:
        raise Missing(f"trials: {error}") from error


def _agent(source: Source) -> Agent:
    if source.agent is None:
        raise Missing("agent: none was given with the recording")
    return source.agent


def _from_agent(name: str) -> Callable[[Source], Any]:
    def take(source: Source) -> Any:
        method = getattr(_agent(source), name, None)
        if not callable(method):
            raise Missing(f"{name}: the agent {type(source.agent).__name__} has no method {name}()")
        try:
            return method()
        except ValueError as error:
            raise Missing(f"{name}: {error}") from error

    return take


def _dynamics(source: Source) -> Dynamics:
    """The agent's dynamics; raises `ValueError` if they do not pass through the recorded states."""
    dynamics, recording, agent = _from_agent("dynamics")(source), source.recording, source.agent
    if recording.hidden is None or not recording.metadata["deterministic"]:
        return dynamics
    try:
        trials = recording.trials()[:N_COMPARED]
    except ValueError:
        return dynamics
    seen, units, valid = observe(trials).astype(np.float64), recording.hidden[:N_COMPARED], recording.valid[:N_COMPARED]
    task = getattr(agent, "task", None)
    fits = task is None or seen.shape[2] == task.n_features
    path = run(dynamics, dynamics.start(len(seen)), seen)[:, :, : dynamics.n_units] if fits else None
    apart = np.inf if path is None or path.shape != units.shape else np.abs(path - units)[valid].max()
    if not apart <= TOLERANCE * max(1, np.abs(units[valid]).max()):
        raise ValueError(
            f"agent={agent!r} is not the one that was recorded: on the same trials its states differ by {apart:.3g} "
            "from those of the recording"
        )
    return dynamics


# All inputs that a probe may have, by the name of its parameter.
INPUTS: dict[str, Callable[[Source], Any]] = {
    "recording": lambda source: source.recording,
    "task": _recorded("task"),
    "states": _states,  # at the last step of each trial, [N, H]
    "hidden": _recorded("hidden", "the agent has no hidden state"),  # at all steps, [N, T, H]
    "valid": _recorded("valid"),
    "latents": _recorded("latents"),
    "labels": _recorded("asked"),  # of the queried tasks, [N, A]
    "answers": _recorded("answers"),
    "correct": _recorded("correct"),
    "response_steps": _recorded("response_steps"),
    "probabilities": _recorded("probabilities", "the agent does not report probabilities"),
    "confidence": _recorded("confidence", "only answers in reaction-time tasks have one"),
    "rewards": _recorded("rewards"),
    "context": _recorded("context", "all tasks are queried"),
    "trials": _trials,  # the same trials with their evidence, `mtrnn_envs.Trials`
    "agent": _agent,
    "dynamics": _dynamics,  # `mtrnn_envs.protocols.Dynamics`
    "untrained": _from_agent("untrained"),  # the agent before training
}


def probe(
    recording: Recording,
    name: str,
    rng: int | np.integer | np.random.Generator = 0,
    *,
    agent: Agent | None = None,
    **settings: Any,
) -> Any:
    """The result of the probe called `name` on `recording`.

    Arguments:
        name: of a probe (`plugins.names("probe")`), or package.module:function.
        rng: a seed, a whole number, 0 or more, from which each probe has a generator of its own, so that its result
            does not depend on which others run; or a numpy `Generator`.
        agent: the agent that was recorded, for probes that need it (those of dynamics do).

    Raises:
        Missing: (a `ValueError`) if the recording or the agent lacks an input that the probe requires.
        ValueError: if there is no such probe or setting, or the probe refuses its input.
    """
    function = plugins.probe(name)
    if not isinstance(rng, np.random.Generator):
        rng = np.random.default_rng([check_int("rng", rng, 0), zlib.crc32(name.encode())])
    source, inputs = Source(recording, agent), {}
    parameters = inspect.signature(function).parameters.values()
    allowed = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for setting in settings:
        check_choice(setting, allowed, "setting", f"probe {name!r}")
    for parameter in parameters:
        if parameter.name == "rng":
            inputs["rng"] = rng
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
                raise ValueError(f"probe {name!r} cannot be given its parameter {str(parameter)!r} by name")
            take = INPUTS[check_choice(parameter.name, INPUTS, "input", "probes")]
            try:
                inputs[parameter.name] = take(source)
            except Missing as error:
                if parameter.default is parameter.empty:
                    raise Missing(f"probe {name!r} requires {error}") from error
    result = function(**inputs, **settings)
    if missing := [part for part in PARTS if not hasattr(result, part)]:
        raise ValueError(f"probe {name!r} returns a {type(result).__name__} without {missing[0]!r}; see check_probe")
    return result


def probe_all(
    recording: Recording,
    names: Iterable[str] | None = None,
    rng: int = 0,
    *,
    agent: Agent | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """The result of each probe by name; for one that does not apply, or fails, `say` is called with the reason.

    Arguments:
        names: of the probes; None for all that are installed.
        agent: the agent that was recorded, for probes that need it.
        say: receives the reason for each skipped probe.
    """
    results = {}
    for name in plugins.names("probe") if names is None else names:
        try:
            results[name] = probe(recording, name, rng, agent=agent)
        except (ValueError, ImportError) as error:
            say(f"{name}: skipped: {error}")
        except Exception as error:  # a fault of one probe must not lose the results of the others
            say(f"{name}: failed: {type(error).__name__}: {error}")
    return results


def numbers(result: Any) -> dict[str, float]:
    """The numbers of a result by name: those of `HEADLINES` first, then all other fields that are numbers.

    The numbers in a field that is a mapping or dataclass are "field.key". Settings are left out.
    """
    null = np.asarray(result.null, float)
    first = {"value": float(result.value), "p": float(result.p), "n": float(result.n)}
    if len(null):
        finite = bool(np.isfinite(null).all())
        first |= {"null_mean": float(null.mean()), "null_sd": float(null.std()) if finite else float("nan")}
    rest = {
        name: float(value)
        for name, value in flat_fields(result).items()
        if name.partition(".")[0] not in (*HEADLINES, "null")
        and isinstance(value, bool | int | float | np.bool_ | np.number)
    }
    return {name: first[name] for name in HEADLINES if name in first} | rest


def fields_in(value: Any) -> dict[str, Any]:
    """The items of a mapping, or the fields of a dataclass but for its settings; empty for anything else."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    named = is_dataclass(value) and not isinstance(value, type)
    return {f.name: getattr(value, f.name) for f in fields(value) if f.name != "settings"} if named else {}


def flat_fields(value: object) -> dict[str, Any]:
    """The fields of a result, and of mappings and dataclasses within it, as "field.key"."""
    leaves: dict[str, Any] = {}
    for name, part in fields_in(value).items():
        leaves |= {f"{name}.{key}": leaf for key, leaf in flat_fields(part).items()} or {name: part}
    return leaves
