"""Monitoring of training: a progress bar, and curves in TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mtrnn_agents.training.history import OF_TRAINING
from mtrnn_envs import EvidenceTask
from mtrnn_envs.experiments.monitoring import ideals

# Numbers with four digits in the bar, and those in TensorBoard alone.
PRECISE = ("loss", "accuracy")
HIDDEN = ("validation_loss", "cross_entropy", "steps", *OF_TRAINING)


class Monitor:
    """See `monitor`."""

    def __init__(self, bar: tqdm, writers: Sequence[Any], tasks: Sequence[EvidenceTask]) -> None:
        self._bar, self._writers, self._tasks = bar, writers, tasks
        self._ideals: list[dict[str, float]] | None = None

    def advance(self, done: int) -> None:
        """Moves the bar to `done`."""
        self._bar.update(done - self._bar.n)

    def show(self, done: int, found: Sequence[Mapping[str, float]]) -> None:
        """Shows the numbers `found` after `done`: means over networks in the bar, each network in its own curves.

        A network that has stopped has no numbers. The bar leaves out those in `HIDDEN`.
        """
        new = [i for i, numbers in enumerate(found) if numbers]
        if not new:
            return
        if self._ideals is None:
            seen = self._writers or not self._bar.disable
            self._ideals = [ideals(task, found[new[0]]) if seen else {} for task in self._tasks]
        best = self._ideals
        mean = {name: float(np.mean([found[i][name] for i in new])) for name in found[new[0]] if name not in HIDDEN}
        shown = {name: f"{value:.4f}" if name in PRECISE else f"{value:.3f}" for name, value in mean.items()}
        for name in shown:
            if known := [best[i][name] for i in new if name in best[i]]:
                shown[name] += f" of {np.mean(known):{'.4f' if name in PRECISE else '.3f'}}"
        self._bar.set_postfix(shown)
        for i in new if self._writers else ():
            for name, value in (dict(found[i]) | {f"{n}_ideal": v for n, v in best[i].items()}).items():
                self._writers[i].add_scalar(name, value, done)
            self._writers[i].flush()


@contextmanager
def monitor(
    tasks: Sequence[EvidenceTask],
    folders: Sequence[Path] | None,
    total: int,
    first: int,
    progress: bool,
    unit: str,
    shown_until: int | None = None,
) -> Iterator[Monitor]:
    """A progress bar from `first` to `total` of `unit`, if `progress`, and TensorBoard files in `folders`, if given.

    TensorBoard forgets its curves after `shown_until` (`first`, if None): an interrupted run had gone on from the state
    that is resumed. Numbers stand beside those of ideal performance, where that is known: see
    `mtrnn_envs.experiments.monitoring.ideals`.
    """
    with ExitStack() as stack:
        writers = []
        if folders is not None:
            from torch.utils.tensorboard.writer import SummaryWriter

            for folder in folders:
                known = first if shown_until is None else shown_until
                writers.append(SummaryWriter(str(folder / "tensorboard"), purge_step=known + 1))
                stack.callback(writers[-1].close)
        name = f"{len(tasks)} networks" if len(tasks) > 1 else f"{tasks[0].n_tasks} task{'s'[: tasks[0].n_tasks - 1]}"
        bar = tqdm(total=total, initial=first, disable=not progress, desc=name, unit=f" {unit}", mininterval=0.5)
        stack.callback(bar.close)
        yield Monitor(bar, writers, tasks)
