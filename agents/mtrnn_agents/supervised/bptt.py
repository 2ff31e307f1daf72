"""Training by backpropagation through time: one call from a task and a seed to an agent.

    agent = train(EvidenceTask(), seed=0, folder="results/mine")

This module is what the name "supervised" of the entry-point group `mtrnn.agents` stands for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtrnn_agents.decision_rule import accumulator_probability, fit_gain, fit_threshold
from mtrnn_agents.loading import AGENT, load
from mtrnn_agents.networks.base import read
from mtrnn_agents.networks.flat_weights import assembled
from mtrnn_agents.supervised import settings
from mtrnn_agents.supervised.agent import SupervisedAgent
from mtrnn_agents.supervised.batches import Run, validation_trials
from mtrnn_agents.supervised.loop import one_thread, train_together
from mtrnn_agents.supervised.settings import PRESETS, Training, checked_settings, checked_task
from mtrnn_agents.training.checkpoint import CHECKPOINT, Progress, finished, first_weights, resume
from mtrnn_agents.training.resumable import folder_of
from mtrnn_envs import EvidenceTask, Trials, observe
from mtrnn_envs.protocols import Metrics
from mtrnn_envs.utils.validation import check_int

__all__ = ["PRESETS", "Training", "ensemble", "from_fields", "load", "train", "untrained"]

# Settings from names and values, such as {"network": {"kind": "gru"}}.
from_fields = partial(settings.from_fields, Training)


def train(
    task: EvidenceTask,
    seed: int,
    training: Training | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    metrics: Metrics | None = None,
) -> SupervisedAgent:
    """A network trained on `task` by backpropagation through time, as an agent.

    The weights and the trials of every block follow from `seed`; validation has a stream of its own. The same
    arguments and build give the same bits, however often training was interrupted. No global generator is touched.
    In reaction-time tasks the agent's threshold is then fitted on validation trials, for the highest reward.

    Arguments:
        task: the task.
        seed: a whole number, 0 or more.
        training: the settings; `Training()`, which is `PRESETS["dense"]`, if None.
        folder: where the agent (agent.safetensors), the state of training (checkpoint.safetensors) and TensorBoard's
            files go. If a state of the same run is there, training goes on from it; if the agent is, it is given.
        progress: whether to show a progress bar.
        metrics: from states at the decision `[N, H]` and latents `[N, D]` of validation trials to numbers by name,
            for the bar, TensorBoard and the history.

    Raises:
        ValueError: if the seed is not allowed, the labels cannot be had for this task, or the folder holds another
            run or a broken file.
        FloatingPointError: if training diverges; the state before that is kept in the folder.
        KeyboardInterrupt: if interrupted; the state is kept in the folder.
    """
    run = Run(checked_task(task), check_int("seed", seed, 0))
    training = checked_settings(Training() if training is None else training, Training)
    place = folder_of(folder)
    if (agent := finished(SupervisedAgent, run, training, place)) is not None:
        return agent
    (state,) = train_together(
        [run],
        training,
        [resume(run, training, place)],
        folders=None if place is None else [place],
        device=torch.device("cpu"),
        progress=progress,
        metrics=metrics,
    )
    return completed(run, training, state, place)


def ensemble(runs: Sequence[tuple[EvidenceTask, int]], training: Training | None = None, **how: Any) -> list[Any]:
    """Trains many networks at once; see `mtrnn_agents.supervised.ensemble_training`."""
    from mtrnn_agents.supervised.ensemble_training import ensemble as together  # which imports this module

    return together(runs, training, **how)


def untrained(task: EvidenceTask, seed: int, training: Training | None = None) -> SupervisedAgent:
    """The agent that `train` starts from: the control for what a network owes to its first weights and its input."""
    run, training = Run(task, check_int("seed", seed, 0)), training or Training()
    return SupervisedAgent(task, training, first_weights(run, training), seed)


def completed(run: Run, training: Training, state: Progress, folder: Path | None) -> SupervisedAgent:
    """The agent that comes of a state at the end of training, saved in `folder`.

    Raises:
        FloatingPointError: if the training of this network diverged.
    """
    if state.diverged is not None:
        kept = "" if folder is None else f", in another folder; the state before it is kept in {folder / CHECKPOINT}"
        raise FloatingPointError(
            f"training diverged: the loss or gradient of update {state.diverged} is not finite, at "
            f"learning_rate={training.learning_rate}, clip_norm={training.clip_norm}; lower one of them{kept}"
        )
    first = first_weights(run, training)
    weights = assembled(first, state.weights if training.patience is None else state.best)
    agent = SupervisedAgent(run.task, training, weights, run.seed, history=state.history)
    fit_decisions(agent, validation_trials(run))
    if folder is not None:
        agent.save(folder / AGENT)
    return agent


@one_thread()
@torch.no_grad()
def fit_decisions(agent: SupervisedAgent, trials: Trials) -> None:
    """Fits what stands between a network's outputs and its answers, on `trials` (numpy): gain and threshold."""
    task, training = agent.task, agent.training
    if not task.reaction_time and training.labels != "accumulator":
        return
    hidden = agent.network.sequence(agent.weights, torch.from_numpy(observe(trials)))
    output = torch.sigmoid(read(agent.weights, hidden)).double().numpy()
    go = np.broadcast_to(trials.timing.go, len(trials))[:, None]
    end = np.broadcast_to(trials.timing.end, len(trials))[:, None]
    seen = np.arange(task.n_steps) - go + 1
    p = output
    if training.labels == "accumulator":
        each = np.broadcast_to(seen[:, :, None], output.shape)
        counts = (each > 0) & (each <= (end - go)[:, :, None])
        positive = np.broadcast_to(trials.asked[:, None, :] > 0, output.shape)
        agent.gain = fit_gain(task, training.bound, output[counts], each[counts], positive[counts])
        p = accumulator_probability(task, training.bound, agent.gain, output, each)
    if task.reaction_time:
        agent.threshold = fit_threshold(task, trials, p, np.abs(output - 0.5))
