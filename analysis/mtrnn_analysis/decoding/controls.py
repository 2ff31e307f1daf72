"""Control states of the same trials: their code of x* is not an achievement of the agent.

| name | state | needs training |
|---|---|---|
| "untrained" | of the agent before training | no |
| "last input" | the agent's input at the last step with evidence: with an encoder, its output | no |
| "mean input" | the mean of its input over the steps with evidence | no |
| "mean evidence" | the sufficient statistic of the evidence itself (its mean), where an encoder hides it | yes |
| "ideal" | the ideal observer's posterior mean of x* | yes |

The mean of a random encoder's outputs is a good code of x* out of distribution: summing up the input is enough.
Axis letters: N trials, T steps, S stimulus steps, F features, H units, D latents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs import observe
from mtrnn_envs.components.latents import in_orthants
from mtrnn_envs.ideal_observer.posterior import posterior, running_means
from mtrnn_envs.protocols import Agent
from mtrnn_envs.recording import hidden_of
from mtrnn_envs.trials import samples_seen

if TYPE_CHECKING:
    from mtrnn_envs import Trials

# Controls that need no training.
UNTRAINED = ("untrained", "last input", "mean input")


def states_of(agent: Agent, trials: Trials) -> Float[np.ndarray, "N T H"]:
    """The states of `agent` on the observations of `trials`, as `mtrnn_envs.record` takes them.

    They are of all steps of the longest trial, whatever the agent answers: in reaction-time tasks it sees what it would
    have seen had it waited.

    Raises:
        ValueError: if the agent has no state that could be recorded.
    """
    path = []
    for state in replayed(agent, trials):
        if (units := hidden_of(agent, state, len(trials))) is None:
            raise ValueError(f"agent={type(agent).__name__} has no state that could be recorded; see mtrnn_envs.record")
        path.append(np.asarray(units))
    return np.stack(path, axis=1)


def replayed(agent: Agent, trials: Trials) -> Iterator[Any]:
    """The state that `agent.predict` returns after each step of `trials`, all steps of the longest one."""
    state = None
    for t, observed in enumerate(np.asarray(observe(trials)).swapaxes(0, 1)):
        begins = np.full(len(trials), t == 0)
        _, state = agent.predict(observed, state=state, episode_start=begins, deterministic=True)
        yield state


def posterior_mean(
    trials: Trials, means: Float[np.ndarray, "N *S D"], n_samples: Int[np.ndarray, " N *S"]
) -> Float[np.ndarray, "N *S D"]:
    """The ideal observer's estimate of x* from the sufficient statistic of `n_samples` samples; 0 before the first.

    Its prior is that of the trials: orthants excluded from training count if trials of them are there.

    Raises:
        ValueError: if the ideal observer of the task is not computed.
    """
    task = trials.task
    if task.excluded_orthants and in_orthants(trials.latents, task.excluded_orthants).any():
        task = replace(task, excluded_orthants=())
    found, some = np.zeros(means.shape), n_samples > 0
    if some.any():
        found[some] = posterior(task, means[some], n_samples[some])[0]
    return found


def control_states(
    trials: Trials, steps: Int[np.ndarray, " N"] | None = None, untrained: Agent | None = None
) -> dict[str, Float[np.ndarray, "N _"]]:
    """The states of the table of this module, by name, at step `steps` of each trial.

    "ideal" is absent where the ideal observer is not computed (noise behind the encoder), "untrained" where no such
    agent is given.

    Arguments:
        trials: N of them, in numpy.
        steps: counted from 0, after the first sample; None for the last one of the trial.
        untrained: the agent before training.

    Raises:
        ValueError: if at some step no sample has been seen, or the agent has no state.
    """
    task, count, rows = trials.task, samples_seen(trials, steps), np.arange(len(trials))
    if not count.all():
        raise ValueError(f"steps: {np.count_nonzero(count == 0)} of {len(count)} trials end before the first sample")
    states: dict[str, np.ndarray] = {}
    if untrained is not None:
        last = np.broadcast_to(np.asarray(trials.timing.end) - 1 if steps is None else steps, len(trials))
        states["untrained"] = states_of(untrained, trials)[rows, last]
    on = np.broadcast_to(np.asarray(trials.timing.stimulus_on), len(trials))[:, None]
    seen = np.asarray(observe(trials))[:, :, 1 : 1 + task.n_evidence]
    seen = seen[rows[:, None], np.minimum(on + np.arange(count.max()), task.n_steps - 1)].astype(np.float64)
    states["last input"] = seen[rows, count - 1]
    states["mean input"] = np.cumsum(seen, axis=1)[rows, count - 1] / count[:, None]
    means = running_means(trials)[rows, count - 1]
    if task.encoder is not None:
        states["mean evidence"] = means
    if task.encoder_noise == 0:
        states["ideal"] = posterior_mean(trials, means, count)
    return states
