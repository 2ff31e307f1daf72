"""The loop that trains one network, or many at once; it can be interrupted and resumed bit-identically."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit, log_expit, logit
from torch import Tensor

from mtrnn_agents.decision_rule import accumulator_probability, fit_gain
from mtrnn_agents.networks.base import FIXED, Sizes, Weights, read
from mtrnn_agents.networks.flat_weights import Layout, narrowed, padded, widened
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.supervised.agent import first_weights
from mtrnn_agents.supervised.batches import Batch, as_tensors, batch_of, blocks, stack
from mtrnn_agents.supervised.settings import Evaluation, History, Training
from mtrnn_agents.supervised.updates import Advance, autograd_learner, counted, kernel_learner, loss
from mtrnn_agents.training import checkpoint
from mtrnn_agents.training.checkpoint import CHECKPOINT
from mtrnn_agents.training.progress import Monitor, monitor
from mtrnn_agents.training.resumable import carried_on, one_thread
from mtrnn_agents.training.run import Run, identity, validation_trials
from mtrnn_envs import Trials
from mtrnn_envs.protocols import Metrics


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of training of one network.

    Attributes:
        weights: the trained weights, `[P]`; see `Layout`.
        moments: Adam's means of the gradient and its square, `[2, P]`.
        n_updates: updates made.
        losses: sum of the training losses since the last evaluation, and their number.
        history: the evaluations so far.
        best: the weights with the lowest validation loss, `[P]`.
        best_loss: that loss.
        n_worse: evaluations since then.
        stopped: whether patience has run out.
        diverged: the update, counted from 1, whose loss was not finite; training has stopped before it.
    """

    weights: Float[np.ndarray, " P"]
    moments: Float[np.ndarray, "2 P"]
    best: Float[np.ndarray, " P"]
    n_updates: int = 0
    losses: tuple[float, int] = (0.0, 0)
    history: History = field(default_factory=History)
    best_loss: float = math.inf
    n_worse: int = 0
    stopped: bool = False
    diverged: int | None = None

    @property
    def going(self) -> bool:
        """Whether it is still being trained."""
        return not self.stopped and self.diverged is None


def resume(run: Run, training: Training, folder: Path | None) -> Progress:
    """The state in `folder`, or the first state if there is none.

    Raises:
        ValueError: if the state is that of another run, or the file is not whole.
    """
    if folder is None or not (folder / CHECKPOINT).exists():
        weights = first_weights(run, training)
        flat = Layout.of(weights).pack(weights)
        return Progress(flat, np.zeros((2, flat.size), np.float32), flat)
    values = checkpoint.read(folder / CHECKPOINT, identity(run, training))
    values |= {"history": History.from_fields(values["history"]), "losses": tuple(values["losses"])}
    return Progress(**values)


class Together(NamedTuple):
    """The parts that networks trained together share.

    Attributes:
        own, common: the layout of each network's weights, and that of all, padded to the largest task.
        fixed: weights that are not trained, `[M, ...]`, on the device; without the axis M for one network.
        advance: makes the updates.
        trials: validation trials of each network, numpy; their streams share nothing with training.
        validation: the same as one batch of tensors on the device.
    """

    runs: Sequence[Run]
    training: Training
    own: list[Layout]
    common: Layout
    fixed: Weights
    advance: Advance
    trials: list[Trials]
    validation: Batch


def train_together(
    runs: Sequence[Run],
    training: Training,
    states: Sequence[Progress],
    *,
    folders: Sequence[Path] | None,
    device: torch.device,
    progress: bool,
    metrics: Metrics | None,
) -> list[Progress]:
    """Trains a network for each run from `states`, all of which have made the same number of updates.

    The states are saved in `folders` from time to time, at the end, and when it is interrupted. Arithmetic has one
    thread, and the drawing of trials another.

    Raises:
        KeyboardInterrupt: if interrupted, saying where the states are.
    """
    together = set_up(runs, training, device)
    on_cpu, first = device.type == "cpu", states[0].n_updates
    shows = monitor([run.task for run in runs], folders, training.n_updates, first, progress, "updates")

    def save(states: list[Progress]) -> None:
        for run, state, folder in zip(runs, states, folders or (), strict=False):
            checkpoint.write(folder / CHECKPOINT, identity(run, training), state)

    def steps(shown: Monitor, states: list[Progress]) -> Generator[list[Progress]]:
        for batches in blocks(runs, training, first, None if on_cpu else device):
            if not any(state.going for state in states):
                break
            # Updates and their evaluation are one step: an interrupt leaves both undone.
            after = advanced(together, states, batches)
            done = after[0].n_updates
            due = done // training.evaluate_every > states[0].n_updates // training.evaluate_every
            due = due or done == training.n_updates
            states = evaluated(together, after, metrics) if due else after
            if due:
                shown.show(done, [state.history.last(done) for state in states])
            shown.advance(done)
            yield states

    place = None if not folders else folders[0] if len(folders) == 1 else folders[0].parent
    with one_thread(), nullcontext() if on_cpu else torch.cuda.device(device), shows as shown:
        return carried_on(
            list(states), steps(shown, list(states)), save, lambda states: f"{states[0].n_updates} updates", place
        )


def set_up(runs: Sequence[Run], training: Training, device: torch.device) -> Together:
    """Networks that are to be trained together: one, or many padded to the largest task."""
    network, alone = training.network, len(runs) == 1
    sizes = [Sizes.of(run.task) for run in runs]
    largest = Sizes(*(max(values) for values in zip(*sizes, strict=True)))
    weights = [first_weights(run, training) for run in runs]
    template = network.first_weights(largest, torch.Generator())
    fixed = {
        name: torch.stack([padded(w[name], part.shape) for w in weights]).to(device)
        for name, part in template.items()
        if name.startswith(FIXED)
    }
    fixed = {name: v[0] for name, v in fixed.items()} if alone else fixed
    own, common, n_answers = [Layout.of(w) for w in weights], Layout.of(template), [s.n_outputs for s in sizes]
    if alone and isinstance(network, LeakyRNN) and device.type == "cpu":
        advance = kernel_learner(network, fixed, training)
    else:
        advance = autograd_learner(network, common, fixed, training, n_answers, device)
    trials = [validation_trials(run) for run in runs]
    batches = [as_tensors(batch_of(t, training)) for t in trials]
    batch = batches[0] if alone else stack(batches)
    axis = 0 if alone else 1
    parts = [None if v is None else v.select(axis, 0).to(device) for v in batch]
    return Together(runs, training, own, common, fixed, advance, trials, Batch(*parts))


def side_by_side(together: Together, states: Sequence[Progress]) -> Float[np.ndarray, "M P"]:
    """The weights of all networks in the common layout."""
    pairs = zip(states, together.own, strict=True)
    return np.stack([widened(state.weights, own, together.common) for state, own in pairs])


def advanced(together: Together, states: Sequence[Progress], batches: Sequence[Batch]) -> list[Progress]:
    """The states after one update for each batch of a block."""
    training, n_updates = together.training, states[0].n_updates
    count = len(batches[0].valid)
    plan = [training.rate(n) for n in range(n_updates, n_updates + count)]
    rates = np.array([plan if state.going else [0.0] * count for state in states])
    weights = side_by_side(together, states)
    moments = np.stack(
        [[widened(m, own, together.common) for m in s.moments] for s, own in zip(states, together.own, strict=True)]
    )
    losses = together.advance(weights, moments, batches, rates, n_updates)
    after = []
    for m, (state, own) in enumerate(zip(states, together.own, strict=True)):
        if state.going:
            finite, (total, number) = np.isfinite(losses[m]), state.losses
            state = replace(
                state,
                weights=narrowed(weights[m], together.common, own),
                moments=np.stack([narrowed(v, together.common, own) for v in moments[m]]),
                losses=(total + float(losses[m][finite].sum()), number + int(finite.sum())),
                diverged=None if finite.all() else n_updates + int(np.argmin(finite)) + 1,
            )
        after.append(replace(state, n_updates=n_updates + count))
    return after


def evaluated(together: Together, states: Sequence[Progress], metrics: Metrics | None) -> list[Progress]:
    """The states after an evaluation on the validation trials: histories are longer, and patience may run out."""
    training, after = together.training, []
    hidden, logits, losses = validate(together, side_by_side(together, states))
    for m, (state, trials) in enumerate(zip(states, together.trials, strict=True)):
        if not state.going:
            after.append(state)
            continue
        positive, mine = trials.asked > 0, logits[m, :, : trials.asked.shape[1]].double().numpy()
        entropy = float(np.mean(-log_expit(np.where(positive, 1, -1) * log_odds(training, trials, mine))))
        found = Evaluation(losses[m], entropy, float(np.mean((mine > 0) == positive)))
        # Weights that are still finite may give states that are not.
        extra = metrics(hidden[m].numpy(), trials.latents.copy()) if metrics and hidden[m].isfinite().all() else {}
        total, number = state.losses
        history = state.history.extended(state.n_updates, total / max(number, 1), found, extra)
        # A loss on the task as it is says little of one that is still easier: patience begins behind the curriculum.
        early = state.n_updates < training.curriculum
        better = early or found.loss < state.best_loss
        n_worse = 0 if better else state.n_worse + 1
        after.append(
            replace(
                state,
                losses=(0.0, 0),
                history=history,
                best=state.weights if better else state.best,
                best_loss=math.inf if early else found.loss if better else state.best_loss,
                n_worse=n_worse,
                stopped=training.patience is not None and n_worse >= training.patience,
            )
        )
    return after


def log_odds(training: Training, trials: Trials, logits: Float[np.ndarray, "N A"]) -> Float[np.ndarray, "N A"]:
    """The log-odds of the agent's probabilities at the last step: `logits`, for accumulators by the best gain."""
    if training.labels != "accumulator":
        return logits
    task, output = trials.task, expit(logits)
    seen = np.broadcast_to(np.asarray(trials.timing.end - trials.timing.go)[..., None], output.shape)
    gain = fit_gain(task, training.bound, output.ravel(), seen.ravel(), (trials.asked > 0).ravel())
    return logit(np.clip(accumulator_probability(task, training.bound, gain, output, seen), 1e-12, 1 - 1e-12))


@torch.no_grad()
def validate(together: Together, flat: Float[np.ndarray, "M P"]) -> tuple[Tensor, Tensor, list[float]]:
    """States `[M, N, H]` and logits `[M, N, A]` at the last step of validation trials, and losses, without noise."""
    batch, training = together.validation, together.training
    device, alone = batch.observations.device, len(flat) == 1
    weights = together.common.unpack(torch.as_tensor(flat[0] if alone else flat, device=device))
    hidden = training.network.sequence(weights | together.fixed, batch.observations)
    logits = read(weights, hidden)
    answers = torch.tensor([[run.task.n_answers] for run in together.runs], device=device)
    which = counted(batch.valid, answers[0] if alone else answers, logits.shape[-1])
    losses = loss(logits, batch.values, which, training.loss)
    last = (batch.valid.sum(-1) - 1)[..., None, None]
    at_last = [v.take_along_dim(last, -2).squeeze(-2).reshape(len(flat), -1, v.shape[-1]) for v in (hidden, logits)]
    return at_last[0].cpu(), at_last[1].cpu(), losses.reshape(-1).tolist()
