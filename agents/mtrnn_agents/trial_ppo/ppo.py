"""Proximal policy optimisation on whole trials, of the networks that elsewhere here are trained on labels.

    agent = train(EvidenceTask(), seed=0, folder="results/mine")

Unlike in `mtrnn_agents.supervised`, the network receives only its own reward, never the labels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from mtrnn_agents.networks.base import FIXED, Weights, read
from mtrnn_agents.networks.flat_weights import Layout, assembled
from mtrnn_agents.training import checkpoint, settings
from mtrnn_agents.training import history as columns
from mtrnn_agents.training.checkpoint import CHECKPOINT
from mtrnn_agents.training.history import Columns
from mtrnn_agents.training.optimiser import adam, corrected, flat_gradient
from mtrnn_agents.training.progress import Monitor, monitor
from mtrnn_agents.training.resumable import carried_on, folder_of, one_thread, run_training
from mtrnn_agents.training.run import Run, identity, validation_trials
from mtrnn_agents.training.settings import checked_settings, checked_task
from mtrnn_agents.trial_ppo.action_heads import likeliest
from mtrnn_agents.trial_ppo.agent import PolicyAgent, first_weights, head_of
from mtrnn_agents.trial_ppo.objective import Objective, objective, roll_out
from mtrnn_agents.trial_ppo.settings import Training
from mtrnn_envs import EvidenceTask, Trials, observe
from mtrnn_envs.protocols import Metrics
from mtrnn_envs.rng.philox import Counter
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.trial_rewards import first_step, trial_rewards
from mtrnn_envs.trials import sample
from mtrnn_envs.utils.validation import check_int

# Settings from names and values, such as {"network": {"kind": "gru"}}.
from_fields = partial(settings.from_fields, Training)


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of training.

    Attributes:
        weights: the trained weights, `[P]`; see `Layout`.
        moments: Adam's means of the gradient and its square, `[2, P]`.
        n_iterations: rollouts learned from.
        n_steps: environment steps made in them; steps after the end of a trial are none.
        sums: what is summed up over the rollouts since the last evaluation, by name.
        course: the history, the evaluations so far.
        diverged: the rollout, counted from 1, from which nothing finite was learned; training has stopped before it.
    """

    weights: Float[np.ndarray, " P"]
    moments: Float[np.ndarray, "2 P"]
    n_iterations: int = 0
    n_steps: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    course: Columns = field(default_factory=dict)
    diverged: int | None = None


def train(
    task: EvidenceTask,
    seed: int,
    training: Training | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    metrics: Metrics | None = None,
) -> PolicyAgent:
    """A network trained on `task` by reward, as an agent.

    First weights, trials and draws of actions follow from `seed`; validation has a stream of its own. The same
    arguments and build give bit-identical agents, however often training is interrupted. No global generator is used.

    Arguments and errors are those of `mtrnn_agents.supervised.train`, with `PRESETS["factored"]` for a `training` of
    None; `metrics` is given states at the last step.
    """
    run = Run(checked_task(task), check_int("seed", seed, 0))
    training, place = checked_settings(training, Training), folder_of(folder)

    def carry_on() -> tuple[str | None, Callable[[], PolicyAgent]]:
        first, folders = resume(run, training, place), None if place is None else [place]
        size = training.n_trials
        total, start = training.n_iterations * size, first.n_iterations * size
        shows = monitor([task], folders, total, start, progress, "trials", shown_until=first.n_steps)

        def save(now: Progress) -> None:
            if place is not None:
                checkpoint.write(place / CHECKPOINT, identity(run, training), now)

        with one_thread(), shows as shown:
            after = steps(run, training, first, shown, metrics)
            last = carried_on(first, after, save, lambda now: f"{now.n_iterations} rollouts", place)

        def finish() -> PolicyAgent:
            weights = assembled(first_weights(run, training), last.weights)
            return PolicyAgent(task, training, weights, seed, history=last.course)

        diverged = None if last.diverged is None else f"the loss or gradient of rollout {last.diverged} is not finite"
        return diverged, finish

    return run_training(PolicyAgent, identity(run, training), place, training, carry_on)


def untrained(task: EvidenceTask, seed: int, training: Training | None = None) -> PolicyAgent:
    """The agent that `train` starts from: the control for the effect of first weights and input."""
    run, training = Run(task, check_int("seed", seed, 0)), checked_settings(training, Training)
    return PolicyAgent(task, training, first_weights(run, training), seed)


def resume(run: Run, training: Training, folder: Path | None) -> Progress:
    """The state in `folder`, or the first state where there is none.

    Raises:
        ValueError: if the state is that of another run, or the file is not whole.
    """
    if folder is None or not (folder / CHECKPOINT).exists():
        weights = first_weights(run, training)
        flat = Layout.of(weights).pack(weights)
        return Progress(flat, np.zeros((2, flat.size), np.float32))
    values = checkpoint.read(folder / CHECKPOINT, identity(run, training))
    return Progress(**{**values, "course": columns.from_json(values["course"])})


def steps(run: Run, training: Training, now: Progress, shown: Monitor, metrics: Metrics | None) -> Generator[Progress]:
    """The states behind `now`, one for each rollout, until the end or until training diverges."""
    first = first_weights(run, training)
    layout, fixed = Layout.of(first), {name: v for name, v in first.items() if name.startswith(FIXED)}
    trials = validation_trials(run)
    while now.n_iterations < training.n_iterations and now.diverged is None:
        now = improved(run, training, layout, fixed, now)
        done = now.n_iterations
        if now.diverged is None and (done % training.evaluate_every == 0 or done == training.n_iterations):
            found = evaluate(run.task, training, assembled(first, now.weights), trials, metrics)
            since = now.sums["rollouts"]
            row = {"steps": now.n_steps, **found}
            row |= {name: value / since for name, value in now.sums.items() if name != "rollouts"}
            now = replace(now, sums={}, course=columns.extended(now.course, row, len(now.course.get("steps", ()))))
            shown.show(now.n_steps, [columns.last(now.course)])
        shown.advance(done * training.n_trials)
        yield now


def improved(run: Run, training: Training, layout: Layout, fixed: Weights, now: Progress) -> Progress:
    """The state after one more rollout, which follows from this one alone."""
    task, head, index = run.task, head_of(run.task, training), now.n_iterations
    rng = generator(run.seed, "actions", index)
    trials = sample(task, training.n_trials, Counter(run.seed, "train", index))
    flat, first, second = (torch.from_numpy(v.copy()) for v in (now.weights, *now.moments))
    acting = layout.unpack(flat) | fixed
    rollout, paid, entropy = roll_out(task, training.network, acting, head, trials, rng, training.gae_lambda)
    start, found = first_step(task), []
    count = index * training.n_epochs * training.n_minibatches
    for _ in range(training.n_epochs):
        for rows in np.split(rng.permutation(training.n_trials), training.n_minibatches):
            part, count = rollout.part(torch.from_numpy(rows)), count + 1
            leaves = {name: v.detach().requires_grad_() for name, v in layout.unpack(flat).items()}
            hidden = training.network.sequence(leaves | fixed, part.observations, part.noise)
            outputs = read(leaves, hidden[:, start:])
            one = objective(head, outputs, part, training.clip_range, training.value_weight, training.entropy_weight)
            gradient, norm = flat_gradient(one.loss, leaves, layout, training.clip_norm)
            if not (one.loss.isfinite() and norm.isfinite()):
                return replace(now, diverged=index + 1)
            flat, first, second = adam(flat, first, second, gradient, *corrected(training.rate(index), count))
            found.append(one)
    sums = {"rollouts": 1.0, "rollout_reward": float(paid.rewards.sum((1, 2)).mean()), "entropy": float(entropy)}
    sums |= {name: float(torch.stack([getattr(one, name) for one in found]).mean()) for name in Objective._fields[1:]}
    return replace(
        now,
        weights=flat.numpy(),
        moments=np.stack([first.numpy(), second.numpy()]),
        n_iterations=index + 1,
        n_steps=now.n_steps + int(paid.n_steps.sum()),
        sums={name: now.sums.get(name, 0.0) + value for name, value in sums.items()},
    )


@torch.no_grad()
def evaluate(
    task: EvidenceTask, training: Training, weights: Weights, trials: Trials, metrics: Metrics | None
) -> dict[str, float]:
    """How the likeliest actions do on `trials`, without noise of the network, by name.

    Reward is that of a trial; accuracy the share of right answers, of which one that is not given is none. In
    reaction-time tasks, the response step is the mean stimulus observation that tasks are answered to, or else the
    last, and "answered" the share of tasks that are answered.
    """
    hidden = training.network.sequence(weights, torch.from_numpy(observe(trials)))
    actions = likeliest(head_of(task, training), read(weights, hidden[:, first_step(task) :]))
    paid = trial_rewards(task, trials, actions.numpy())
    found = {"reward": float(paid.rewards.sum((1, 2)).mean()), "accuracy": float((paid.answers == trials.asked).mean())}
    if paid.response_steps is not None:
        deadline = np.broadcast_to(trials.n_samples, len(trials))[:, None]
        taken = np.where(paid.response_steps == 0, deadline, paid.response_steps)
        found |= {"response_step": float(taken.mean()), "answered": float((paid.response_steps > 0).mean())}
    last = hidden[torch.arange(len(trials)), torch.from_numpy(paid.n_steps - 1)]
    return found | (dict(metrics(last.numpy(), trials.latents.copy())) if metrics and last.isfinite().all() else {})
