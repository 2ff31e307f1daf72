"""Training data: blocks of batches, each from a generator of its own, so that training can go on from any block.

The draws of a block follow from (seed, block) alone: a resumed run, a process of its own, and many networks at once on
a GPU see the same trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mtrnn_agents.networks.base import noise_of
from mtrnn_agents.networks.flat_weights import padded
from mtrnn_agents.supervised.settings import Training
from mtrnn_agents.training.run import Run
from mtrnn_envs import Trials, observe
from mtrnn_envs.rng.philox import Counter
from mtrnn_envs.targets import targets
from mtrnn_envs.trials import sample
from mtrnn_envs.utils.arrays import empty

# Trials of a block: enough to make drawing cheap, few enough to stay in the processor's cache for a while.
BLOCK = 2048
Array: TypeAlias = Any  # a numpy array or a torch tensor


class Batch(NamedTuple):
    """U batches of N trials, observations and targets; numpy, or torch on a device.

    Attributes:
        observations: `[U, N, T, F]`.
        values: targets in [0, 1], `[U, N, T, A]`; 1/2 where not valid.
        valid: which steps belong to the trial, `[U, N, T]`.
        noise: standard normal, for networks that have noise, `[U, N, T, H]`; else None.
    """

    observations: Float[Array, "*M U N T F"]
    values: Float[Array, "*M U N T A"]
    valid: Bool[Array, "*M U N T"]
    noise: Float[Array, "*M U N T H"] | None


def updates_of_block(training: Training) -> int:
    """Updates of one block."""
    return max(1, BLOCK // training.batch_size)


def draw_block(run: Run, training: Training, block: int, device: torch.device | None = None) -> Batch:
    """The batches of block `block`, counted from 0; numpy, or torch on `device`."""
    size = updates_of_block(training)
    trials = training_trials(run, training, block, device)
    task, noise = trials.task, None
    if noise_of(training.network):
        source = Counter(run.seed, "noise", block, device)
        noise = empty((len(trials), task.n_steps, training.network.n_units), "float32", source)
        source.normal(noise)
    batch = batch_of(trials, training, size, noise)
    # The last block is drawn whole, too: a longer training begins with a shorter one.
    left = training.n_updates - block * size
    return Batch(*(None if v is None else v[:left] for v in batch))


def training_trials(run: Run, training: Training, block: int, device: torch.device | None = None) -> Trials:
    """All trials of block `block`, counted from 0."""
    size = updates_of_block(training)
    task = training.task_at(run.task, block * size)
    return sample(task, size * training.batch_size, Counter(run.seed, "train", block, device))


def batch_of(trials: Trials, training: Training, n_updates: int = 1, noise: Array = None) -> Batch:
    """`trials` dealt into `n_updates` batches, with their targets."""
    values, valid = targets(trials, training.labels, training.bound)
    if trials.lengths is not None:
        values[~valid] = 0.5
    parts = observe(trials), values, valid, noise
    return Batch(*(None if v is None else v.reshape(n_updates, -1, *v.shape[1:]) for v in parts))


def stack(batches: Sequence[Batch]) -> Batch:
    """Batches of M networks (torch) as one, padded to common sizes: with silence, and with steps that are not valid."""
    n_inputs, n_steps = (max(batch.observations.shape[axis] for batch in batches) for axis in (-1, -2))
    n_outputs = max(batch.values.shape[-1] for batch in batches)

    def joined(name: str, *shape: int, fill: float) -> Tensor:
        return torch.stack([padded(getattr(batch, name), shape, fill) for batch in batches])

    return Batch(
        joined("observations", n_steps, n_inputs, fill=0),
        joined("values", n_steps, n_outputs, fill=0.5),
        joined("valid", n_steps, fill=False),
        None if batches[0].noise is None else joined("noise", n_steps, batches[0].noise.shape[-1], fill=0),
    )


def as_tensors(batch: Batch) -> Batch:
    """The batch as tensors, on the same memory."""
    return Batch(*(None if v is None else torch.as_tensor(v) for v in batch))


def blocks(
    runs: Sequence[Run], training: Training, n_updates: int, device: torch.device | None = None
) -> Iterator[list[Batch]]:
    """The blocks that are left after `n_updates`, one batch for each run.

    The next is drawn by another thread while the caller works on this one, so that on a CPU with a second core drawing
    and encoding take no time: numpy and the compiled kernel leave the interpreter to others.
    """
    size = updates_of_block(training)
    left = range(-(-n_updates // size), -(-training.n_updates // size))

    def draw(block: int) -> list[Batch]:
        return [draw_block(run, training, block, device) for run in runs]

    with ThreadPoolExecutor(1, "mtrnn-draw") as pool:
        upcoming = [pool.submit(draw, block) for block in left[:1]]
        for block in left:
            ready = upcoming.pop().result()
            if block + 1 in left:
                upcoming.append(pool.submit(draw, block + 1))
            yield ready
