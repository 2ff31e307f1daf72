"""Whoever is ranked by the benchmark: what makes an agent, found by name, and what is asked of it.

An entrant is a class, or a function, that makes an agent. Of these arguments it is given the ones that it names, and
all others need defaults: `task` (an `EvidenceTask`), `seed`, and `rng` (a numpy generator of that seed). What it makes
needs

    predict(observation, state=None, episode_start=None, deterministic=False) -> (action, state)

on batches, Stable-Baselines3's own. It may have

    fit(task, seed, budget)    learns from at most `budget` trials; gives the agent that has learned, or None: itself
    hidden(state)              its states `[B, H]`, if its state is no array `[B, H]`: without either, no abstraction
    probabilities(state)       of +1, `[B, A]`, without which there is none of confidence in tasks of fixed duration

What `fit` draws is not counted: that it keeps to its budget is a matter of honour. One with `fit` is made for the task
that it learns, and may be made and fitted many times; one without, for the task that it is tested on.

In the pyproject.toml of what is installed:

    [project.entry-points."mtrnn.entrants"]
    mine = "my_package.my_agent:Mine"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mtrnn_envs import plugins
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.task import EvidenceTask

GIVEN = ("task", "seed", "rng")
Entrant = Callable[..., Any]


def entrant(name: str) -> Entrant:
    """The entrant called `name`, or package.module:Class of one's own.

    Raises:
        ValueError: if there is none, saying which was probably meant, or it cannot be called, or needs an argument that
            none is given.
        ImportError: if it cannot be imported, with the command that installs what is missing.
    """
    found = plugins.entrant(name)
    for parameter in inspect.signature(found).parameters.values():
        needed = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if needed and (parameter.name not in GIVEN or parameter.kind is parameter.POSITIONAL_ONLY):
            raise ValueError(
                f"agent {name!r} is made with {parameter.name!r}, which has no default; the benchmark gives "
                f"{', '.join(GIVEN)}, by name"
            )
    return found


def made(make: Entrant, task: EvidenceTask, tested: EvidenceTask, seed: int) -> Any:
    """An agent: for `task` if it learns, else for `tested`.

    Raises:
        ValueError: if it neither learns nor has a method `predict`, or refuses the task.
    """
    agent = _called(make, tested, seed)
    if not callable(getattr(agent, "fit", None)):
        return _answering(agent)
    return agent if tested == task else _called(make, task, seed)


def trained(agent: Any, task: EvidenceTask, seed: int, budget: int) -> Any:
    """The agent after it has learned from at most `budget` trials.

    Raises:
        ValueError: if it has no method `predict`.
    """
    learned = agent.fit(task, seed, budget)
    return _answering(agent if learned is None else learned)


def _answering(agent: Any) -> Any:
    if not callable(getattr(agent, "predict", None)):
        wanted = "predict(observation, state, episode_start, deterministic)"
        raise ValueError(f"the agent, a {type(agent).__name__}, has no method {wanted}")
    return agent


def _called(make: Entrant, task: EvidenceTask, seed: int) -> Any:
    given = {"task": task, "seed": seed, "rng": generator(seed, "actions")}
    return make(**{name: given[name] for name in inspect.signature(make).parameters if name in given})
