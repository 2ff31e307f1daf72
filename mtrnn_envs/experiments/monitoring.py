"""One run: what it is called, and what is looked at while it goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.experiments.fingerprints import own_contents
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.protocols import Metrics
from mtrnn_envs.task import EvidenceTask


def digest(agent: str, task: EvidenceTask, seed: int, training: Any) -> str:
    """The name of a run: a hash of all that determines it."""
    whole = {"agent": agent, "task": task, "seed": seed, "training": training}
    if contents := own_contents(agent, task):
        whole["contents"] = contents
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=fields_of).encode()).hexdigest()[:16]


def ideals(task: EvidenceTask, names: Iterable[str]) -> dict[str, float]:
    """The best that can be had of those numbers among `names` for which it is known; empty if there is no ideal.

    Where a reward is among them in a reaction-time task, it is what counts, and optimal stopping is what it stands
    beside: who stops early knows less than who waits. In all other cases answers stand beside those that the ideal
    observer gives after all evidence.
    """
    # What the encoder shows is all that the evidence tells: one number for all encoders.
    bare = task if task.encoder_noise else replace(task, encoder=None, encoder_seed=0)
    try:
        best = ideal_performance(bare)
    except ValueError:
        return {}
    names = list(names)
    if task.reaction_time and "reward" in names:
        exact = best.stopping_method.startswith("dynamic programming")  # else there is a lower bound at most
        known = {"reward": best.value, "response_step": best.response_step} if exact else {}
    else:
        known = {"accuracy": best.accuracy, "cross_entropy": best.cross_entropy, "reward": best.value}
    return {name: value for name in names if (value := known.get(name)) is not None}


def fields_of(settings: Any) -> dict[str, Any]:
    """A dataclass for JSON, with its kind: two networks may have the same fields."""
    return {"kind": type(settings).__name__, **{f.name: getattr(settings, f.name) for f in fields(settings)}}


def decoding(say: Callable[[str], None], *, released: bool = False) -> Metrics | None:
    """r2_prior in and out of distribution of x* decoded from states, by the probe "decoding", as `metrics` of `train`.

    With `released`, also as the public code draws the trials that it tests on, by the probe "released_holdout".
    A run does not fail for want of it: where the probe is not there, or does not go with the task, `say` is told once,
    and there are no numbers.
    """
    try:
        decode = plugins.probe("decoding")
        other = plugins.probe("released_holdout") if released else None
    except (ImportError, ValueError) as error:
        say(f"training goes on without r2: {error}")
        return None
    possible = True

    def metrics(states: np.ndarray, latents: np.ndarray) -> dict[str, float]:
        nonlocal possible
        if not possible:
            return {}
        try:
            found = decode(states, latents, np.random.default_rng(0), n_null=0)
            faulty = other(states, latents, np.random.default_rng(0), n_null=0) if other else None
        except ValueError as error:
            possible = False
            say(f"\ntraining goes on without r2: {error}")  # a progress bar may stand in the line
            return {}
        r2 = {"r2_id": found.in_distribution.r2_prior, "r2_ood": found.out_of_distribution.r2_prior}
        return r2 if faulty is None else r2 | {"r2_ood_released": faulty.value}

    return metrics
