"""Training by backpropagation through time, and the agent that comes of it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from mtrnn_agents.decisions import checked_threshold, decide
from mtrnn_agents.networks import LeakyRNN
from mtrnn_agents.settings import Evaluation, History, Training
from mtrnn_envs import EvidenceTask, Trials, observe
from mtrnn_envs.files import replacing
from mtrnn_envs.seeding import torch_generator
from mtrnn_envs.targets import Targets, targets

SCHEMA = 1
# Trials drawn at a time: enough to make drawing cheap, few enough to stay in the processor's cache for a while.
BLOCK = 4096
N_VALIDATION = 2048


def train(task: EvidenceTask, seed: int, training: Training | None = None, *, progress: bool = True) -> SupervisedAgent:
    """A leaky RNN trained on `task` by backpropagation through time, as an agent.

    The loss is the binary cross-entropy of every answer, averaged over trials, steps and answers. The weights and
    then the trials come from the training stream of `seed`; validation has a stream of its own. The same arguments,
    build and number of threads give the same bits. No global generator is touched.

    Raises:
        FloatingPointError: if training diverges.
    """
    training = training or Training()
    rng = torch_generator(seed, "train")
    network = _first_network(task, training, rng)
    validation = task.sample(N_VALIDATION, torch_generator(seed, "validation"))
    # The fused form makes one call for all weights.
    optimizer = torch.optim.Adam(network.parameters(), lr=training.learning_rate, fused=True)
    history, updates = History(), 0
    with tqdm(total=training.n_updates, disable=not progress, desc=f"{task.n_tasks} tasks", unit=" updates") as bar:
        while updates < training.n_updates:
            trials = max(1, BLOCK // training.batch_size) * training.batch_size
            losses = []
            for observations, target in _batches(task.sample(trials, rng), training):
                if updates == training.n_updates:
                    break
                rate = 0.5 * training.learning_rate * (1 + math.cos(math.pi * updates / training.n_updates))
                optimizer.param_groups[0]["lr"] = rate
                value = loss(network(observations)[0], target)
                optimizer.zero_grad()
                value.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm, foreach=True)
                optimizer.step()
                losses.append(value.detach())
                updates += 1
            mean = torch.stack(losses).mean().item()
            if not math.isfinite(mean):
                raise FloatingPointError(
                    f"training diverged within {updates} updates at learning_rate={training.learning_rate}, "
                    f"clip_norm={training.clip_norm}: lower one of them"
                )
            history = history.extended(updates, mean, evaluate(network, validation))
            bar.update(len(losses))
            bar.set_postfix(accuracy=f"{history.accuracy[-1]:.3f}", loss=f"{mean:.3f}")
    return SupervisedAgent(task, network, seed=seed, training=training, history=history)


def untrained(task: EvidenceTask, seed: int, training: Training | None = None) -> SupervisedAgent:
    """The agent that `train` starts from: the control for what a network owes to its first weights and its input."""
    training = training or Training()
    return SupervisedAgent(task, _first_network(task, training, torch_generator(seed, "train")), seed=seed)


def _first_network(task: EvidenceTask, training: Training, rng: torch.Generator) -> LeakyRNN:
    return LeakyRNN(task.n_features, task.n_answers, training.n_units, training.alpha, rng)


def loss(logits: Float[Tensor, "N T A"], target: Targets) -> Float[Tensor, ""]:
    """Binary cross-entropy, averaged over the valid steps of all trials and over answers, in nat."""
    weight = target.valid[:, :, None].to(logits.dtype)
    total = binary_cross_entropy_with_logits(logits, target.values, weight, reduction="sum")
    return total / (weight.sum() * logits.shape[-1])


@torch.no_grad()
def evaluate(network: LeakyRNN, trials: Trials) -> Evaluation:
    """How `network` answers `trials` (torch) at the last step of each."""
    rows = torch.arange(len(trials))
    logits = network(observe(trials))[0][rows, torch.as_tensor(trials.timing.end) - 1]
    positive = trials.asked > 0
    entropy = binary_cross_entropy_with_logits(logits, positive.to(logits.dtype)).item()
    return Evaluation(entropy, ((logits > 0) == positive).double().mean().item())


def _batches(trials: Trials, training: Training) -> Iterator[tuple[Tensor, Targets]]:
    """Observations and targets of `trials`, batch by batch, each laid out with time first as the network reads it."""

    def split(values: Tensor) -> Tensor:
        batches = values.unflatten(0, (-1, training.batch_size))
        return batches.transpose(1, 2).contiguous().transpose(1, 2)

    for observations, values, valid in zip(
        split(observe(trials)), *map(split, targets(trials, training.labels)), strict=True
    ):
        yield observations, Targets(values, valid)


class State(NamedTuple):
    """What the agent carries from step to step.

    Attributes:
        hidden: state of the network in which the last observation has been seen, `[N, H]` float32.
        seen: observations since the cue fell, `[N]`.
    """

    hidden: Float[np.ndarray, "N H"]
    seen: Int[np.ndarray, " N"]


class SupervisedAgent:
    """A trained network as an agent: it answers by its probabilities, with the signature of SB3's `predict`.

    What is done with the probabilities is described at `mtrnn_agents.decisions.decide`.

    Arguments:
        task: the task it is made for.
        network: the network, with `task.n_features` inputs and `task.n_answers` outputs.
        threshold: see there, in [0, 0.5]; used in reaction-time tasks only.
        seed, training, history: what the network comes from, if known; kept when it is saved.

    Raises:
        ValueError: if the network does not fit the task, or the threshold is out of its range.
    """

    def __init__(
        self,
        task: EvidenceTask,
        network: LeakyRNN,
        *,
        threshold: float = 0.4,
        seed: int | None = None,
        training: Training | None = None,
        history: History | None = None,
    ) -> None:
        have, need = (network.n_inputs, network.n_outputs), (task.n_features, task.n_answers)
        if have != need:
            raise ValueError(f"network={network!r} has (inputs, outputs) {have}; the task needs {need}")
        self.task, self.network, self.threshold = task, network, checked_threshold(threshold)
        self.seed, self.training, self.history = seed, training, history

    @torch.no_grad()
    def predict(
        self,
        observation: np.ndarray,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, State]:
        """Actions for `observation`, `[N, F]` or `[F]`, and the state in which it has been seen.

        `episode_start` `[N]` says which trials begin with this observation. The rule has no chance in it, whatever
        `deterministic` is.

        Raises:
            ValueError: if the observation is not `task.n_features` wide.
        """
        shown = np.atleast_2d(np.asarray(observation, np.float32))
        if shown.ndim != 2 or shown.shape[1] != self.task.n_features:
            raise ValueError(f"observation has shape {np.shape(observation)}; [N, {self.task.n_features}] is needed")
        n = len(shown)
        if state is None:
            state = State(np.zeros((n, self.network.n_units), np.float32), np.zeros(n, np.int64))
        hidden, seen = state
        if episode_start is not None:
            fresh = np.asarray(episode_start, bool).reshape(n)
            hidden, seen = np.where(fresh[:, None], np.float32(0), hidden), np.where(fresh, 0, seen)
        after = self.network.step(torch.from_numpy(hidden), torch.from_numpy(shown)).numpy()
        state = State(after, seen + (shown[:, 0] == 0))
        action = decide(self.task, self.probabilities(state), state.seen, self.threshold)
        return (action.squeeze(axis=0) if np.ndim(observation) == 1 else action), state

    def hidden(self, state: State) -> Float[np.ndarray, "N H"]:
        """The activity of the network's units."""
        return state.hidden

    @torch.no_grad()
    def probabilities(self, state: State) -> Float[np.ndarray, "N A"]:
        """The probability of +1 for every task asked."""
        return torch.sigmoid(self.network.output(torch.from_numpy(state.hidden))).numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes weights, task and settings to one safetensors file; the latter two are JSON in its header."""
        from safetensors.torch import save_file

        about = {
            "schema": SCHEMA,
            "task": json.loads(self.task.to_json()),
            "network": {"n_units": self.network.n_units, "alpha": self.network.alpha},
            "threshold": self.threshold,
            "seed": self.seed,
            "training": None if self.training is None else asdict(self.training),
            "history": None if self.history is None else asdict(self.history),
        }
        weights = {name: value.detach().contiguous() for name, value in self.network.state_dict().items()}
        with replacing(path) as temporary:
            save_file(weights, temporary, {"mtrnn_agents": json.dumps(about)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SupervisedAgent:
        """The agent that `save` wrote.

        Raises:
            ValueError: if the file was not written by `save`, or by a version whose schema is not known.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {}).get("mtrnn_agents", "{}"))
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        except SafetensorError as error:
            raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
        if about.get("schema") != SCHEMA:
            raise ValueError(f"{path} has schema {about.get('schema')!r}; this version reads schema {SCHEMA} only")
        task = EvidenceTask.from_fields(about["task"])
        network = LeakyRNN(task.n_features, task.n_answers, **about["network"])
        network.load_state_dict(weights)
        training, history = about["training"], about["history"]
        return cls(
            task,
            network,
            threshold=about["threshold"],
            seed=about["seed"],
            training=None if training is None else Training(**training),
            history=None if history is None else History(*(tuple(history[f.name]) for f in fields(History))),
        )
