"""How a network is trained, and the course that its training took."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mtrnn_envs.checks import whole
from mtrnn_envs.targets import KINDS


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained. Each field has its help in `dataclasses.fields(Training)[i].metadata["help"]`.

    The defaults come within 0.003 of the ideal observer's accuracy in the demo (see README). They are not the protocol
    of the public code of arXiv:2407.11249, which is `labels="decision", learning_rate=1e-3, n_updates=100_000`,
    without cosine and clipping.

    Raises:
        ValueError: if a field is out of its range.
    """

    n_units: int = _setting(64, "units of the network")
    alpha: float = _setting(1.0, "leak a = dt / tau of the network, in (0, 1]")
    labels: str = _setting("stimulus", "the steps that ask for the label: 'stimulus' (all with evidence) or 'decision'")
    n_updates: int = _setting(15_000, "updates of the weights")
    batch_size: int = _setting(16, "trials of an update")
    learning_rate: float = _setting(1e-2, "Adam's rate at the start; it falls to 0 along half a cosine")
    clip_norm: float = _setting(1.0, "norm at which the gradient is clipped")

    def __post_init__(self) -> None:
        for name in ("n_units", "n_updates", "batch_size"):
            whole(name, getattr(self, name), 1)
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)!r} is not a number above 0")
        if not 0 < self.alpha <= 1:
            raise ValueError(f"alpha={self.alpha!r} is not in (0, 1]")
        if self.labels not in KINDS:
            raise ValueError(f"labels={self.labels!r} is not one of {sorted(KINDS)}")


class Evaluation(NamedTuple):
    """How a network does: cross-entropy in nat per answer and accuracy, at the last step of each trial."""

    cross_entropy: float
    accuracy: float


@dataclass(frozen=True)
class History:
    """The course of training, one entry for each block of trials drawn.

    Attributes:
        updates: updates made so far.
        loss: mean training loss since the entry before, in nat per answer and step.
        cross_entropy: on validation trials, at the last step, in nat per answer.
        accuracy: likewise, the share of right answers.
    """

    updates: tuple[int, ...] = ()
    loss: tuple[float, ...] = ()
    cross_entropy: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()

    def extended(self, updates: int, loss: float, result: Evaluation) -> History:
        """This history with one entry more."""
        return History(
            (*self.updates, updates),
            (*self.loss, loss),
            (*self.cross_entropy, result.cross_entropy),
            (*self.accuracy, result.accuracy),
        )
