"""Benchmark agents: found by name, made, and trained.

A benchmark agent is a class, or a function, that makes an `mtrnn_envs.protocols.Agent`. It receives those of these
arguments that its parameters name; all others need defaults: `task` (an `EvidenceTask`), `seed`, and `rng` (a numpy
generator of that seed). Besides `predict`, the agent may have

    fit(task, seed, budget)    learns from at most `budget` trials, and returns the trained agent, or None: itself
    hidden(state)              its units `[B, H]`, if its state is not an array `[B, H]`; else abstraction is not scored
    probabilities(state)       of +1, `[B, A]`; else confidence is not scored in tasks of fixed duration

The draws of `fit` are not counted: keeping to the budget is left to the agent's honesty. An agent with `fit` is made
for the task that it learns, and may be made and fitted many times; one without, for the task that it is tested on.

A package registers its benchmark agents in its pyproject.toml:

    [project.entry-points."mtrnn.entrants"]
    mine = "my_package.my_agent:Mine"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mtrnn_envs import plugins
from mtrnn_envs.protocols import Agent
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.task import EvidenceTask

ARGUMENTS = ("task", "seed", "rng")
Make = Callable[..., Any]  # gives an agent; one with `fit` may have `predict` only after it


def find_agent(name: str) -> Make:
    """The benchmark agent called `name`, or package.module:Class; raises as `mtrnn_envs.plugins.find`.

    Raises:
        ValueError: if it requires an argument that the benchmark does not give.
    """
    make = plugins.find_function("benchmark agent", name)
    for parameter in inspect.signature(make).parameters.values():
        several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        by_name = parameter.name in ARGUMENTS and parameter.kind is not parameter.POSITIONAL_ONLY
        if parameter.default is parameter.empty and not several and not by_name:
            raise ValueError(
                f"agent {name!r} requires {parameter.name!r}, which has no default; the benchmark gives "
                f"{', '.join(ARGUMENTS)}, by name"
            )
    return make


def make_agent(make: Make, task: EvidenceTask, tested: EvidenceTask, seed: int) -> Any:
    """An agent, or one that becomes it by `fit`: for `task` if it learns, else for `tested`.

    Raises:
        ValueError: if it neither learns nor has a method `predict`, or refuses the task.
    """
    agent = _call(make, tested, seed)
    if not callable(getattr(agent, "fit", None)):
        return _checked(agent)
    return agent if tested == task else _call(make, task, seed)


def train_agent(agent: Any, task: EvidenceTask, seed: int, budget: int) -> Agent:
    """The agent after training on at most `budget` trials; raises `ValueError` if it has no method `predict`."""
    trained = agent.fit(task, seed, budget)
    return _checked(agent if trained is None else trained)


def _checked(agent: Any) -> Agent:
    if not callable(getattr(agent, "predict", None)):
        needed = "predict(observation, state, episode_start, deterministic)"
        raise ValueError(f"the agent, a {type(agent).__name__}, has no method {needed}")
    return agent


def _call(make: Make, task: EvidenceTask, seed: int) -> Any:
    arguments = {"task": task, "seed": seed, "rng": generator(seed, "actions")}
    return make(**{name: arguments[name] for name in inspect.signature(make).parameters if name in arguments})
