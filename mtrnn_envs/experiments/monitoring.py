"""The numbers that are shown while an agent trains: ideal performance, and r² of x*."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.protocols import Metrics
from mtrnn_envs.task import EvidenceTask


def ideals(task: EvidenceTask, names: Iterable[str]) -> dict[str, float]:
    """The ideal performance for those of the numbers `names` for which it is known; empty if the task has no ideal.

    If a reaction-time task has a reward among them, the reference is optimal stopping, since an agent that stops early
    knows less than one that waits. Otherwise it is the ideal observer after all evidence.
    """
    # The encoder's noiseless output carries all evidence: one number for all encoders.
    raw = task if task.encoder_noise else replace(task, encoder=None, encoder_seed=0)
    try:
        best = ideal_performance(raw)
    except ValueError:
        return {}
    names = list(names)
    if task.reaction_time and "reward" in names:
        exact = best.stopping_method.startswith("dynamic programming")  # otherwise it is only a lower bound
        known = {"reward": best.value, "response_step": best.response_step} if exact else {}
    else:
        known = {"accuracy": best.accuracy, "cross_entropy": best.cross_entropy, "reward": best.value}
    return {name: value for name in names if (value := known.get(name)) is not None}


def decoding(say: Callable[[str], None]) -> Metrics | None:
    """The `metrics` of `train`: r2_prior of x* decoded from states, in and out of distribution (probe "decoding").

    Training does not fail for lack of them: if the probe is missing or not applicable, `say` is called once, and there
    are no numbers.
    """
    try:
        decode = plugins.probe("decoding")
    except (ImportError, ValueError) as error:
        say(f"training continues without r2: {error}")
        return None
    applicable = True

    def metrics(states: np.ndarray, latents: np.ndarray) -> dict[str, float]:
        nonlocal applicable
        if not applicable:
            return {}
        try:
            result = decode(states, latents, np.random.default_rng(0), n_null=0)
        except ValueError as error:
            applicable = False
            say(f"\ntraining continues without r2: {error}")  # a progress bar may occupy the line
            return {}
        return {"r2_id": result.in_distribution.r2_prior, "r2_ood": result.out_of_distribution.r2_prior}

    return metrics
