"""What is to be seen while networks are trained: a progress bar, and curves in TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mtrnn_envs import EvidenceTask

# What stands in the bar with four digits, what stands there beside its ideal, and what is shown by TensorBoard alone.
PRECISE = ("loss", "accuracy")
IDEALS = ("accuracy", "reward")
HIDDEN = ("validation_loss", "cross_entropy")


class Monitor:
    """See `monitor`."""

    def __init__(self, bar: Any, writers: Sequence[Any], ideals: Sequence[dict[str, float]]) -> None:
        self._bar, self._writers, self._ideals = bar, writers, ideals

    def advance(self, done: int) -> None:
        """Moves the bar to `done`."""
        self._bar.update(done - self._bar.n)

    def show(self, done: int, found: Sequence[Mapping[str, float]]) -> None:
        """Shows what was found after `done`: means over networks in the bar, each network in its own curves.

        Of a network that has stopped there is nothing. In the bar all but `HIDDEN` is shown.
        """
        new = [i for i, numbers in enumerate(found) if numbers]
        if not new:
            return
        mean = {name: float(np.mean([found[i][name] for i in new])) for name in found[new[0]] if name not in HIDDEN}
        shown = {name: f"{value:.4f}" if name in PRECISE else f"{value:.3f}" for name, value in mean.items()}
        for name in IDEALS:
            known = [value for i in new if (value := self._ideals[i].get(name)) is not None]
            if known and name in shown:
                shown[name] += f" of {np.mean(known):{'.4f' if name in PRECISE else '.3f'}}"
        self._bar.set_postfix(shown)
        for i in new if self._writers else ():
            for name, value in (dict(found[i]) | {f"{n}_ideal": v for n, v in self._ideals[i].items()}).items():
                self._writers[i].add_scalar(name, value, done)
            self._writers[i].flush()


@contextmanager
def monitor(
    tasks: Sequence[EvidenceTask], folders: Sequence[Path] | None, total: int, first: int, progress: bool, unit: str
) -> Iterator[Monitor]:
    """A progress bar from `first` to `total` of `unit`, if `progress`, and TensorBoard files in `folders`, if given.

    Accuracy stands beside the ideal observer's after all evidence, and in reaction-time tasks reward beside that of
    optimal stopping, where these can be computed.
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
        bar = tqdm(total=total, initial=first, disable=not progress, desc=name, unit=f" {unit}", mininterval=0.5)
        stack.callback(bar.close)
        ideals = [_ideals(task) if progress or writers else {} for task in tasks]
        yield Monitor(bar, writers, ideals)


def _ideals(task: EvidenceTask) -> dict[str, float]:
    """The best that can be had, by name; empty where there is no ideal observer."""
    # What the encoder shows is all that the evidence tells: one number for all encoders.
    bare = task if task.encoder_noise else replace(task, encoder=None, encoder_seed=0)
    try:
        best = bare.ideal()
    except ValueError:
        return {}
    return {"accuracy": best.accuracy} | ({} if best.value is None else {"reward": best.value})
