"""What is to be seen while networks are trained: a progress bar, and curves in TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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

    def show(self, histories: Sequence[History]) -> None:
        """Shows the last evaluation of every network: means in the bar, each in its own curves."""
        last = [_last(history) for history in histories]
        mean = {name: np.mean([numbers[name] for numbers in last]) for name in last[0]}
        known = [ideal for ideal in self._ideals if ideal is not None]
        of_ideal = f" of {np.mean(known):.4f}" if known else ""
        shown = {"loss": f"{mean.pop('loss'):.4f}", "accuracy": f"{mean.pop('accuracy'):.4f}{of_ideal}"}
        for name in ("validation_loss", "cross_entropy"):
            mean.pop(name)
        self._bar.set_postfix(shown | {name: f"{value:.3f}" for name, value in mean.items()})
        for history, numbers, writer, ideal in zip(histories, last, self._writers, self._ideals, strict=False):
            for name, value in numbers.items():
                writer.add_scalar(name, value, history.updates[-1])
            if ideal is not None:
                writer.add_scalar("accuracy_ideal", ideal, history.updates[-1])
            writer.flush()


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
        name = f"{len(tasks)} networks" if len(tasks) > 1 else f"{tasks[0].n_tasks} tasks"
        bar = tqdm(total=n_updates, initial=first, disable=not progress, desc=name, unit=" updates", mininterval=0.5)
        stack.callback(bar.close)
        ideals = [_ideal_accuracy(task) if progress or writers else None for task in tasks]
        yield Monitor(bar, writers, ideals)


def _last(history: History) -> dict[str, float]:
    numbers = {name: getattr(history, name)[-1] for name in ("loss", "validation_loss", "cross_entropy", "accuracy")}
    return numbers | {name: values[-1] for name, values in history.metrics.items()}


def _ideal_accuracy(task: EvidenceTask) -> float | None:
    """The ideal observer's accuracy at the last step; None where there is no ideal observer."""
    try:
        return task.ideal().accuracy
    except ValueError:
        return None
