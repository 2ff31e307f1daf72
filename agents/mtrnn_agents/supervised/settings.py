"""The settings of supervised training, their presets, and the training history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from mtrnn_agents.networks import registry as networks
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.options import check_fields, option
from mtrnn_agents.training import history as columns
from mtrnn_agents.training.settings import SCHEDULES
from mtrnn_envs import EvidenceTask
from mtrnn_envs.targets import KINDS

LOSSES = ("cross_entropy", "squared_error")


@dataclass(frozen=True, kw_only=True)
class Training:
    """The settings of training by backpropagation through time and Adam; `PRESETS` names those to start from.

    Raises:
        ValueError: if a field is out of its range.
    """

    network: networks.AnyNetwork = option(LeakyRNN(), "the architecture")  # noqa: RUF009 (it is frozen)
    labels: str = option(
        "stimulus",
        "what is asked when: 'stimulus' (the label at every step from the first evidence on, so that the best answer "
        "is the posterior), 'decision' (the label once the cue falls, 1/2 before), or 'accumulator' (evidence summed "
        "up to a bound)",
        among=KINDS,
    )
    loss: str = option(
        "cross_entropy", "'cross_entropy', or 'squared_error' of the probability (for accumulators)", among=LOSSES
    )
    bound: float = option(
        5.0, "where accumulators, sums over steps of distances in units of the latents, stop", above=0
    )
    n_updates: int = option(150_000, "updates of the weights", low=1)
    batch_size: int = option(8, "trials of an update", low=1)
    learning_rate: float = option(1e-2, "Adam's rate at its highest", above=0)
    schedule: str = option(
        "cosine", "how the rate falls to 0 over all updates: 'cosine', 'linear', or 'constant'", among=SCHEDULES
    )
    warmup: int = option(0, "updates over which the rate first rises from 0", low=0)
    clip_norm: float | None = option(1.0, "norm at which the gradient is clipped; None for not at all", above=0)
    evaluate_every: int = option(
        1000, "updates between evaluations on the validation stream, up to whole blocks of 2048 trials", low=1
    )
    patience: int | None = option(
        None,
        "evaluations, from the end of the curriculum on, without a lower validation loss after which to stop, keeping "
        "the best weights; None: never",
        low=1,
    )
    curriculum: int = option(
        0, "updates over which sigma and the stimulus go from where they start to the task's", low=0
    )
    start_sigma: float = option(1.0, "with a curriculum, sigma at its start, as a multiple of the task's", above=0)
    start_stimulus: float = option(
        1.0, "with a curriculum, steps of the stimulus at its start, as a share of the task's", above=0, high=1
    )

    def __post_init__(self) -> None:
        networks.name_of(self.network)
        check_fields(self)
        if self.labels == "accumulator" and self.loss != "squared_error":
            raise ValueError(
                f"loss={self.loss!r}: labels='accumulator' are not probabilities; use loss='squared_error'"
            )
        if not self.curriculum and (self.start_sigma, self.start_stimulus) != (1, 1):
            raise ValueError(
                f"curriculum=0 with start_sigma={self.start_sigma!r}, start_stimulus={self.start_stimulus!r}: give the "
                "number of updates that the curriculum takes"
            )

    def rate(self, n_updates: int) -> float:
        """The learning rate of the update after `n_updates`."""
        rising = min(1.0, (n_updates + 1) / self.warmup) if self.warmup else 1.0
        return self.learning_rate * SCHEDULES[self.schedule](n_updates / self.n_updates) * rising

    def task_at(self, task: EvidenceTask, n_updates: int) -> EvidenceTask:
        """The task of the curriculum after `n_updates`."""
        if n_updates >= self.curriculum:
            return task
        left = 1 - n_updates / self.curriculum
        factor, share = 1 + left * (self.start_sigma - 1), 1 + left * (self.start_stimulus - 1)

        def shorter(period: Any) -> Any:
            return tuple(map(shorter, period)) if isinstance(period, tuple) else max(1, round(share * period))

        sigma = tuple(factor * s for s in task.sigma) if isinstance(task.sigma, tuple) else factor * task.sigma
        return replace(task, sigma=sigma, stimulus=shorter(task.stimulus))


# "dense" is the recipe of this package: labels at every stimulus step, small batches, and a large rate that falls.
# "paper" is the protocol of the public code of arXiv:2407.11249.
PRESETS: dict[str, Training] = {
    "dense": Training(),
    "paper": Training(
        labels="decision", batch_size=16, n_updates=100_000, learning_rate=1e-3, schedule="constant", clip_norm=None
    ),
}


class Evaluation(NamedTuple):
    """The performance of a network on validation trials.

    Attributes:
        loss: as in training.
        cross_entropy: of the agent's probabilities at the last step of each trial, in nat per answer.
        accuracy: share of right answers there.
    """

    loss: float
    cross_entropy: float
    accuracy: float


@dataclass(frozen=True)
class History:
    """The training history, one entry for each evaluation.

    Attributes:
        updates: updates made so far.
        loss: mean training loss since the entry before.
        validation_loss, cross_entropy, accuracy: see `Evaluation`.
        metrics: further numbers by name, as given to `train`.
    """

    updates: tuple[int, ...] = ()
    loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    cross_entropy: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    metrics: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def best(self, first: int = 0) -> int:
        """The entry with the lowest validation loss from update `first` on, whose weights patience keeps."""
        late = [i for i, n in enumerate(self.updates) if n >= first] or [len(self.updates) - 1]
        return min(late, key=lambda i: (self.validation_loss[i], i))

    def last(self, updates: int) -> dict[str, float]:
        """The numbers of the last entry by name, if it was made after `updates`; else none."""
        if self.updates[-1:] != (updates,):
            return {}
        names = ("loss", "validation_loss", "cross_entropy", "accuracy")
        return {name: getattr(self, name)[-1] for name in names} | columns.last(self.metrics)

    def extended(self, updates: int, loss: float, found: Evaluation, metrics: Mapping[str, float]) -> History:
        """This history with one entry more; a metric that is missing now, or was before, is NaN there."""
        return History(
            (*self.updates, updates),
            (*self.loss, loss),
            (*self.validation_loss, found.loss),
            (*self.cross_entropy, found.cross_entropy),
            (*self.accuracy, found.accuracy),
            columns.extended(self.metrics, metrics, len(self.updates)),
        )

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> History:
        """The history that was written as JSON by `asdict`."""
        parts = {name: tuple(values[name]) for name in values if name != "metrics"}
        return cls(**parts, metrics=columns.from_json(values["metrics"]))
