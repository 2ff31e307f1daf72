"""Seeded streams of trials, drawn in blocks of a fixed size.

Environments, batches and data sets read the same streams: the trials of `Stream(task, "train", 3)` are those that
`gym.make(...).reset(seed=3)` and its resets show, in the same order.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtrnn_envs.rng.seeding import SPLITS, generator
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, allocate, concatenate, draw, sample
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
        split: "train", "validation" or "test".
        seed: a whole number, 0 or more; or the numpy `Generator` to draw the trials from.
    """

    def __init__(self, task: EvidenceTask, split: str, seed: int | np.random.Generator) -> None:
        self.task = shown_task(task, split)
        self.rng = seed if isinstance(seed, np.random.Generator) else generator(check_int("seed", seed, 0), split)
        self._block: Trials | None = None
        self._row = 0

    def next(self, n: int = 1) -> tuple[Trials, slice]:
        """The block that holds the next trial, and the rows of the next trials in it: `n`, or fewer at its end."""
        if self._block is None or self._row == len(self._block):
            self._block, self._row = sample(self.task, block_size(self.task), self.rng), 0
        rows = slice(self._row, min(self._row + n, len(self._block)))
        self._row = rows.stop
        return self._block, rows

    def take(self, n: int) -> Trials:
        """The next `n` trials."""
        parts, missing = [], check_int("n", n, 1)
        while missing:
            block, rows = self.next(missing)
            parts.append(block[rows])
            missing -= len(parts[-1])
        return concatenate(parts)


class Streams:
    """`n` streams side by side, each at its own trial, for environments that are stepped together.

    Their blocks share one set of arrays: trial r of the block of stream i is row r n + i, so that trials that run
    together lie together.
    """

    def __init__(self, task: EvidenceTask, split: str, n: int) -> None:
        self.task, self.n = shown_task(task, split), n
        self.generators: list[np.random.Generator | None] = [None] * n
        self.block_size = block_size(self.task)
        self.blocks = allocate(self.task, self.block_size * n, generator(0, split))
        self._fresh = allocate(self.task, self.block_size, generator(0, split))
        self.rows = np.full(n, self.block_size - 1)  # the trial of its block that each stream is at

    def start(self, i: int, rng: np.random.Generator) -> None:
        """Lets stream `i` begin anew, with trials drawn from `rng`."""
        self.generators[i] = rng
        self.rows[i] = self.block_size - 1

    def advance(self, which: np.ndarray) -> None:
        """Moves the streams `which` (indices) on to their next trials."""
        self.rows[which] += 1
        for i in which[self.rows[which] == self.block_size].tolist():
            draw(self._fresh, self.generators[i])
            self.blocks.put(slice(i, None, self.n), self._fresh)
            self.rows[i] = 0

    def trials(self, which: np.ndarray) -> Trials:
        """The trials that the streams `which` are at."""
        return self.blocks[self.rows[which] * self.n + which]

    def upcoming(self, n: int) -> Trials:
        """The present trials of all streams, then their next ones, and so on: `n` of each, fewer at a block's end."""
        first, last = int(self.rows.min()), int(self.rows.max())
        n = min(n, self.block_size - last)
        if first == last:  # the usual case, without a copy
            return self.blocks[first * self.n : (first + n) * self.n]
        return self.blocks[((self.rows + np.arange(n)[:, None]) * self.n + np.arange(self.n)).ravel()]
