"""Training by backpropagation through time: one call from a task and a seed to an agent.

agent = train(EvidenceTask(), seed=0, folder="results/mine")
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from mtrnn_agents.decision_rule import accumulator_probability, fit_gain, fit_threshold
from mtrnn_agents.networks.base import read
from mtrnn_agents.networks.flat_weights import assembled
from mtrnn_agents.supervised.agent import SupervisedAgent, first_weights
from mtrnn_agents.supervised.loop import Progress, resume, train_together
from mtrnn_agents.supervised.settings import Training
from mtrnn_agents.training import settings
from mtrnn_agents.training.resumable import folder_of, one_thread, run_training
from mtrnn_agents.training.run import Run, identity, validation_trials
from mtrnn_agents.training.settings import checked_settings, checked_task
from mtrnn_envs import EvidenceTask, Trials, observe
from mtrnn_envs.protocols import Metrics
from mtrnn_envs.utils.validation import check_int

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
    arguments and build give bit-identical agents, however often training is interrupted. No global generator is used.
    In reaction-time tasks the agent's threshold is then fitted on validation trials, for the highest reward.

    Arguments:
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
    training, place = checked_settings(training, Training), folder_of(folder)

    def carry_on() -> tuple[str | None, Callable[[], SupervisedAgent]]:
        first, folders, cpu = resume(run, training, place), None if place is None else [place], torch.device("cpu")
        how = {"folders": folders, "device": cpu, "progress": progress, "metrics": metrics}
        (last,) = train_together([run], training, [first], **how)
        return failure(last), lambda: trained_agent(run, training, last)

    return run_training(SupervisedAgent, identity(run, training), place, training, carry_on)


def untrained(task: EvidenceTask, seed: int, training: Training | None = None) -> SupervisedAgent:
    """The agent that `train` starts from: the control for the effect of first weights and input."""
    run, training = Run(task, check_int("seed", seed, 0)), checked_settings(training, Training)
    return SupervisedAgent(task, training, first_weights(run, training), seed)


def failure(state: Progress) -> str | None:
    """A clause for an error, if training diverged; else None."""
    return None if state.diverged is None else f"the loss or gradient of update {state.diverged} is not finite"


def trained_agent(run: Run, training: Training, state: Progress) -> SupervisedAgent:
    """The agent of a state at the end of training, its decision rule fitted."""
    weights = assembled(first_weights(run, training), state.weights if training.patience is None else state.best)
    agent = SupervisedAgent(run.task, training, weights, run.seed, history=state.history)
    fit_decisions(agent, validation_trials(run))
    return agent


@one_thread()
@torch.no_grad()
def fit_decisions(agent: SupervisedAgent, trials: Trials) -> None:
    """Fits the gain and the threshold between a network's outputs and its answers, on `trials` (numpy)."""
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
