"""What is to be seen while networks are trained: a progress bar, and curves in TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mtrnn_agents.settings import History
from mtrnn_envs import EvidenceTask


class Monitor:
    """See `monitor`."""

    def __init__(self, bar: Any, writers: Sequence[Any], ideals: Sequence[float | None]) -> None:
        self._bar, self._writers, self._ideals = bar, writers, ideals

    def advance(self, n_updates: int) -> None:
        """Moves the bar to `n_updates`."""
        self._bar.update(n_updates - self._bar.n)

    def show(self, n_updates: int, histories: Sequence[History]) -> None:
        """Shows the evaluations after `n_updates`: means over networks in the bar, each network in its own curves."""
        new = [i for i, history in enumerate(histories) if history.updates[-1:] == (n_updates,)]
        if not new:  # every network has stopped or diverged
            return
        last = {i: _last(histories[i]) for i in new}
        mean = {name: float(np.mean([last[i][name] for i in new])) for name in last[new[0]]}
        known = [ideal for i in new if (ideal := self._ideals[i]) is not None]
        of_ideal = f" of {np.mean(known):.4f}" if known else ""
        shown = {"loss": f"{mean['loss']:.4f}", "accuracy": f"{mean['accuracy']:.4f}{of_ideal}"}
        shown |= {name: f"{mean[name]:.3f}" for name in histories[new[0]].metrics}
        self._bar.set_postfix(shown)
        for i in new if self._writers else ():
            ideal = {} if self._ideals[i] is None else {"accuracy_ideal": self._ideals[i]}
            for name, value in (last[i] | ideal).items():
                self._writers[i].add_scalar(name, value, n_updates)
            self._writers[i].flush()


@contextmanager
def monitor(
    tasks: Sequence[EvidenceTask], folders: Sequence[Path] | None, n_updates: int, first: int, progress: bool
) -> Iterator[Monitor]:
    """A progress bar from update `first` on, if `progress`, and TensorBoard files in `folders`, if given.

    Accuracy stands beside the ideal observer's after all evidence, where that can be computed.
    """
    with ExitStack() as stack:
        writers = []
        if folders is not None:
            from torch.utils.tensorboard.writer import SummaryWriter

            for folder in folders:
                # What a broken-off run wrote beyond the state that is taken up again is not shown twice.
                writers.append(SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1))
                stack.callback(writers[-1].close)
        name = f"{len(tasks)} networks" if len(tasks) > 1 else f"{tasks[0].n_tasks} task{'s'[: tasks[0].n_tasks - 1]}"
        bar = tqdm(total=n_updates, initial=first, disable=not progress, desc=name, unit=" updates", mininterval=0.5)
        stack.callback(bar.close)
        ideals = [_ideal_accuracy(task) if progress or writers else None for task in tasks]
        yield Monitor(bar, writers, ideals)


def _last(history: History) -> dict[str, float]:
    numbers = {name: getattr(history, name)[-1] for name in ("loss", "validation_loss", "cross_entropy", "accuracy")}
    return numbers | {name: values[-1] for name, values in history.metrics.items()}


def _ideal_accuracy(task: EvidenceTask) -> float | None:
    """The ideal observer's accuracy at the last step; None where there is no ideal observer."""
    # What the encoder shows is all that the evidence tells: one number for all encoders.
    bare = task if task.encoder_noise else replace(task, encoder=None, encoder_seed=0)
    try:
        return bare.ideal().accuracy
    except ValueError:
        return None
