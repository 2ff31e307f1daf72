"""Seeded streams of trials, drawn in blocks of a fixed size.

Environments, batches and data sets read the same streams: the trials of `Stream(task, "train", 3)` are those that
`gym.make(...).reset(seed=3)` and its resets show, in the same order.
"""

from __future__ import annotations

from dataclasses import replace

from mtrnn_envs.rng.seeding import SPLITS, generator
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, concatenate, sample
from mtrnn_envs.utils.validation import check_int


def block_size(task: EvidenceTask) -> int:
    """The trials of one block: 64, or as many as have 4096 evidence values, and at least 1.

    It is part of what a seed means: a stream draws all latents of a block, then all its noise.
    """
    return max(1, min(64, 4096 // (task.longest.stimulus * task.n_dims)))


def shown_task(task: EvidenceTask, split: str) -> EvidenceTask:
    """The task as `split` shows it: excluded orthants are held out of "train" and "validation", not of "test"."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not one of {SPLITS}")
    return replace(task, excluded_orthants=()) if split == "test" and task.excluded_orthants else task


class Stream:
    """An endless stream of trials of `task`; streams of another split or seed share no draw with it.

    Arguments:
        task: the task.
        split: "train", "validation" or "test".
        seed: a whole number, 0 or more.
    """

    def __init__(self, task: EvidenceTask, split: str, seed: int) -> None:
        self.task = shown_task(task, split)
        self._rng = generator(check_int("seed", seed, 0), split)
        self._rest: Trials | None = None

    def take(self, n: int) -> Trials:
        """The next `n` trials."""
        parts, missing = [], check_int("n", n, 1)
        while missing:
            block = self._rest if self._rest is not None else sample(self.task, block_size(self.task), self._rng)
            parts.append(block[:missing])
            self._rest = block[missing:] if len(block) > missing else None
            missing -= len(parts[-1])
        return concatenate(parts)
