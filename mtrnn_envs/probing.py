"""Probes by name, on a recording: what a probe asks for by the names of its parameters is taken from there.

A probe is a function of arrays that gives a frozen dataclass (see `mtrnn_envs.testing.check_probe`). Its parameters
without a `*` before them are found by name in `INPUTS`; one that has a default is left at it where the recording does
not have it. Those behind the `*` are settings. So a probe needs to know of no recording, and one's own is one function:

    def spread(states, rng, *, n_null=100): ...

    probe(recording, "my_package.my_module:spread")
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.dynamics import TOLERANCE, run
from mtrnn_envs.experiments.probe_output import PARTS
from mtrnn_envs.recording import Recording
from mtrnn_envs.trials import observe
from mtrnn_envs.utils.validation import check_choice, check_int

N_COMPARED = 8  # trials on which it is seen whether an agent is the one that was recorded


class Missing(ValueError):
    """A probe asks for what a recording, or its agent, does not have."""


class Source(NamedTuple):
    """Where the inputs of probes come from: a recording, and the agent that was recorded, if it is there."""

    recording: Recording
    agent: Any = None


def _of_recording(name: str, where: str, why: str) -> Callable[[Source], Any]:
    def take(source: Source) -> Any:
        if (value := getattr(source.recording, where)) is None:
            raise Missing(f"{name}: {why}")
        return value() if callable(value) else value

    return take


def _states(source: Source) -> Any:
    if source.recording.hidden is None:
        raise Missing(f"states: the agent {source.recording.metadata['agent']} has no hidden state")
    return source.recording.last_hidden()


def _trials(source: Source) -> Any:
    try:
        return source.recording.trials()
    except ValueError as error:
        raise Missing(f"trials: {error}") from error


def _agent(source: Source) -> Any:
    if source.agent is None:
        raise Missing("agent: none was given beside the recording")
    return source.agent


def _of_agent(name: str) -> Callable[[Source], Any]:
    def take(source: Source) -> Any:
        method = getattr(_agent(source), name, None)
        if not callable(method):
            raise Missing(f"{name}: the agent {type(source.agent).__name__} has no method {name}()")
        try:
            return method()
        except ValueError as error:
            raise Missing(f"{name}: {error}") from error

    return take


def _dynamics(source: Source) -> Any:
    """The agent's dynamics, if they go through the states that were recorded.

    Raises:
        ValueError: if they do not: another agent was recorded.
    """
    dynamics, recording = _of_agent("dynamics")(source), source.recording
    if recording.hidden is None or not recording.metadata["deterministic"]:
        return dynamics
    try:
        trials = recording.trials()[:N_COMPARED]
    except ValueError:
        return dynamics
    seen, units = observe(trials).astype(np.float64), recording.hidden[:N_COMPARED]
    mine = seen.shape[2] == source.agent.task.n_features if hasattr(source.agent, "task") else True
    path = run(dynamics, dynamics.start(len(seen)), seen)[:, :, : dynamics.n_units] if mine else None
    valid = recording.valid[:N_COMPARED]
    apart = np.inf if path is None or path.shape != units.shape else np.abs(path - units)[valid].max()
    if not apart <= TOLERANCE * max(1, np.abs(units[valid]).max()):
        raise ValueError(
            f"agent={source.agent!r} is not the one that was recorded: on the same trials its states are {apart:.3g} "
            "apart from those of the recording"
        )
    return dynamics


# What a parameter of a probe may be called, and where it is taken from.
INPUTS: dict[str, Callable[[Source], Any]] = {
    "recording": lambda source: source.recording,
    "task": _of_recording("task", "task", ""),
    "states": _states,  # at the last step of each trial, [N, H]
    "hidden": _of_recording("hidden", "hidden", "the agent has no hidden state"),  # at all steps, [N, T, H]
    "valid": _of_recording("valid", "valid", ""),
    "latents": _of_recording("latents", "latents", ""),
    "labels": _of_recording("labels", "asked", ""),  # of the tasks asked, [N, A]
    "answers": _of_recording("answers", "answers", ""),
    "correct": _of_recording("correct", "correct", ""),
    "response_steps": _of_recording("response_steps", "response_steps", ""),
    "probabilities": _of_recording("probabilities", "probabilities", "the agent does not tell probabilities"),
    "confidence": _of_recording("confidence", "confidence", "only reaction-time tasks have answers with confidence"),
    "rewards": _of_recording("rewards", "rewards", ""),
    "context": _of_recording("context", "context", "all tasks are asked"),
    "trials": _trials,  # the same trials with their evidence, `mtrnn_envs.Trials`
    "agent": _agent,
    "dynamics": _dynamics,  # `mtrnn_envs.protocols.Dynamics`
    "untrained": _of_agent("untrained"),  # the agent before training
}


def probe(recording: Recording, name: str, rng: Any = 0, *, agent: Any = None, **settings: Any) -> Any:
    """What the probe called `name` finds in `recording`.

    Arguments:
        recording: of any agent.
        name: of a probe (`plugins.names("probe")`), or package.module:function.
        rng: a seed, a whole number, 0 or more, of which each probe makes a generator of its own, so that what it finds
            does not depend on which others run; or a numpy `Generator`.
        agent: the agent that was recorded, for probes that need it (those of dynamics do).
        settings: of the probe.

    Raises:
        Missing: (a `ValueError`) if the recording or the agent lacks something that the probe needs.
        ValueError: if there is no such probe or setting, or the probe refuses its input.
    """
    function = plugins.probe(name)
    if not isinstance(rng, np.random.Generator):
        rng = np.random.default_rng([check_int("rng", rng, 0), zlib.crc32(name.encode())])
    source, given = Source(recording, agent), {}
    parameters = inspect.signature(function).parameters.values()
    allowed = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for setting in settings:
        check_choice(setting, allowed, "setting", f"probe {name!r}")
    for parameter in parameters:
        if parameter.name == "rng":
            given["rng"] = rng
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
                raise ValueError(f"probe {name!r} cannot be given its parameter {str(parameter)!r} by name")
            take = INPUTS[check_choice(parameter.name, INPUTS, "input", "probes")]
            try:
                given[parameter.name] = take(source)
            except Missing as error:
                if parameter.default is parameter.empty:
                    raise Missing(f"probe {name!r} needs {error}") from error
    found = function(**given, **settings)
    if missing := [part for part in PARTS if not hasattr(found, part)]:
        raise ValueError(f"probe {name!r} gives a {type(found).__name__} without {missing[0]!r}; a finding is needed")
    return found


def probe_all(
    recording: Recording,
    names: Iterable[str] | None = None,
    rng: int = 0,
    *,
    agent: Any = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """What each probe finds, by name; of one that does not go with the recording, or fails, `say` is told why.

    Arguments:
        recording: of any agent.
        names: of the probes; None for all that are installed.
        rng: a seed.
        agent: the agent that was recorded, for probes that need it.
        say: is told what was left out.
    """
    found = {}
    for name in plugins.names("probe") if names is None else names:
        try:
            found[name] = probe(recording, name, rng, agent=agent)
        except (ValueError, ImportError) as error:
            say(f"{name}: left out: {error}")
        except Exception as error:  # a fault of one probe takes what the others find with it in no case
            say(f"{name}: failed: {type(error).__name__}: {error}")
    return found
