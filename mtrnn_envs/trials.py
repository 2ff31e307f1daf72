"""Trials: their random draws, the beginnings of their periods, and the observations they show.

This is the only place that draws random numbers for a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Int8

from mtrnn_envs.components.boundaries import labels as labels_of
from mtrnn_envs.components.encoder import N_ENCODED, encode
from mtrnn_envs.components.latents import draw_latents
from mtrnn_envs.rng.fill import fill_integers, fill_normal
from mtrnn_envs.rng.philox import Counter
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.timing import Periods, Steps, Timing, timing
from mtrnn_envs.utils.arrays import AnyGenerator, Array, arange, cast, empty, empty_like, like, namespace
from mtrnn_envs.utils.validation import check_int


@dataclass(frozen=True, eq=False)
class Trials:
    """N trials of a task, in numpy or torch. Fields that a task does not draw are None.

    Attributes:
        task: the task they belong to.
        latents: x*, `[N, D]` float64, in [-0.5, 0.5].
        noise: standardised noise of every stimulus step, `[N, S, D]` float32; S is the longest stimulus.
        encoder_noise: standard normal noise for the encoder's output, `[N, S, F]` float32.
        lengths: steps of the four periods, `[N, 4]` int64.
        context: the task that is asked, `[N]` int64, with `cueing="one"`.
    """

    task: EvidenceTask
    latents: Float[Array, "N D"]
    noise: Float[Array, "N S D"]
    encoder_noise: Float[Array, "N S F"] | None = None
    lengths: Int[Array, "N 4"] | None = None
    context: Int[Array, " N"] | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, rows: slice | Array) -> Trials:
        """The trials of `rows`: a slice, a mask or an array of indices."""
        return Trials(self.task, *(None if v is None else v[rows] for v in self._drawn))

    def put(self, rows: slice | Array, trials: Trials) -> None:
        """Overwrites what was drawn for the trials of `rows`, which must not have been looked at, with `trials`."""
        for mine, theirs in zip(self._drawn, trials._drawn, strict=True):
            if mine is not None:
                mine[rows] = theirs

    @property
    def _drawn(self) -> tuple[Array | None, ...]:
        return self.latents, self.noise, self.encoder_noise, self.lengths, self.context

    @cached_property
    def labels(self) -> Int8[Array, "N K"]:
        """The right answer to every task, +1 or -1."""
        return labels_of(self.task.boundary, self.latents)

    @cached_property
    def asked(self) -> Int8[Array, "N A"]:
        """The labels of the tasks that are asked: all of them, or the cued one."""
        return asked(self.labels, self.context)

    @cached_property
    def timing(self) -> Timing:
        """When the periods begin."""
        return timing_of(self.task, self.lengths)

    @cached_property
    def n_samples(self) -> Steps:
        """The number of stimulus steps: an int, or `[N]` where it is drawn per trial."""
        return self.timing.stimulus_off - self.timing.stimulus_on

    @cached_property
    def evidence(self) -> Float[Array, "N S D"]:
        """The noisy evidence of every stimulus step, x* + sigma noise, before the encoder; float32."""
        return scaled_noise(self.task, self.noise) + cast(self.latents, "float32")[:, None]


def sample(task: EvidenceTask, n: int, rng: AnyGenerator) -> Trials:
    """Draws `n` trials of `task` from `rng`.

    Arguments:
        rng: a numpy `Generator`; a torch one (then tensors, on its device); or a `mtrnn_envs.rng.philox.Counter`, which
            draws the same trials in numpy and on every torch device.

    Raises:
        ValueError: if `n` is not a whole number of 1 or more, or `rng` is none of these.
    """
    n = check_int("n", n, 1)
    if not isinstance(rng, np.random.Generator | Counter) and not type(rng).__module__.startswith("torch"):
        raise ValueError(
            f"rng={rng!r} is neither a numpy.random.Generator nor a torch.Generator nor a mtrnn_envs.rng.philox.Counter"
        )
    trials = allocate(task, n, rng)
    draw(trials, rng)
    return trials


def concatenate(parts: Sequence[Trials]) -> Trials:
    """The trials of `parts` one after the other."""
    if len(parts) == 1:
        return parts[0]
    join = namespace(parts[0].latents).concatenate
    columns = zip(*(part._drawn for part in parts), strict=True)
    return Trials(parts[0].task, *(None if column[0] is None else join(column) for column in columns))


def allocate(task: EvidenceTask, n: int, rng: AnyGenerator) -> Trials:
    """`n` trials whose arrays are yet to be drawn; `rng` says of which kind they are."""
    s = task.longest.stimulus
    return Trials(
        task,
        empty((n, task.n_dims), "float64", rng),
        empty((n, s, task.n_dims), "float32", rng),
        empty((n, s, N_ENCODED), "float32", rng) if task.encoder_noise else None,
        empty((n, 4), "int64", rng) if task.periods is None else None,
        empty((n,), "int64", rng) if task.cueing == "one" else None,
    )


def draw(trials: Trials, rng: AnyGenerator) -> None:
    """Draws everything random in `trials` from `rng`, in place."""
    task = trials.task
    draw_latents(task.latent_correlation, task.excluded_orthants, trials.latents, rng)
    task.noise_kind.draw(trials.noise, rng)
    if trials.encoder_noise is not None:
        fill_normal(trials.encoder_noise, rng)
    if trials.lengths is not None:
        for i, name in enumerate(Periods._fields):
            period = getattr(task, name)
            if isinstance(period, tuple):
                fill_integers(trials.lengths[:, i], period[0], period[1], rng)
            else:
                trials.lengths[:, i] = period
    if trials.context is not None:
        fill_integers(trials.context, 0, task.n_tasks - 1, rng)


def timing_of(task: EvidenceTask, lengths: Int[Array, "N 4"] | None) -> Timing:
    """When the periods begin, from the lengths `[N, 4]` of trials, or from the task where they are fixed."""
    return task.timing if lengths is None else timing(Periods(*lengths.T), task.reaction_time)


def samples_seen(trials: Trials, steps: Int[np.ndarray, " N"] | None = None) -> Int[np.ndarray, " N"]:
    """How many samples of the evidence have been seen in the observation of step `steps` of each trial, 0 or more.

    Steps are counted from 0; None is the last one of the trial.
    """
    when = trials.timing
    last = np.asarray(when.end) - 1 if steps is None else steps
    seen = np.clip(last + 1 - np.asarray(when.stimulus_on), 0, np.asarray(trials.n_samples))
    return np.broadcast_to(seen, len(trials)).astype(np.int64)


def asked(labels: Int8[Array, "N K"], context: Int[Array, " N"] | None) -> Int8[Array, "N A"]:
    """The labels of the tasks that are asked: all, or only the one that `context` names."""
    return labels if context is None else labels[arange(len(labels), labels), context][:, None]


def scaled_noise(task: EvidenceTask, noise: Float[Array, "N S D"]) -> Float[Array, "N S D"]:
    """sigma noise, in float32."""
    return noise * (task.sigma if isinstance(task.sigma, float) else like(np.asarray(task.sigma), noise))


def observe(trials: Trials, out: Array = None) -> Float[Array, "N T F"]:
    """The observations of every step, float32: the cue, the evidence (encoded), and the one-hot context.

    The cue is 1 until answers count and 0 from then on; the evidence is 0 outside the stimulus. Steps beyond the end
    of a trial that is shorter than the longest are 0 in every channel. With `out`, a view of any strides, the result
    is written there.
    """
    task = trials.task
    shape = (len(trials), task.n_steps, task.n_features)
    out = empty_like(shape, trials.noise) if out is None else out
    cue, shown = out[:, :, 0], out[:, :, 1 : 1 + task.n_evidence]
    (_observe_fixed if trials.lengths is None else _observe_drawn)(trials, cue, shown)
    if trials.context is not None:
        context = out[:, :, 1 + task.n_evidence :]
        context[...] = 0
        context[arange(len(trials), context), :, trials.context] = 1
        if trials.lengths is not None:
            context *= (arange(task.n_steps, context) < trials.timing.end[:, None])[:, :, None]
    return out


def _observe_fixed(trials: Trials, cue: Array, shown: Array) -> None:
    """Cue and evidence of trials that all have the same periods."""
    task, when = trials.task, trials.timing
    cue[:, : when.go] = 1
    cue[:, when.go :] = 0
    silence = like(np.zeros(task.n_dims, np.float32), trials.noise)
    silence = silence if task.encoder is None else encode(task.encoder, task.encoder_seed, silence)
    shown[:, : when.stimulus_on] = silence
    shown[:, when.stimulus_off :] = silence
    stimulus = shown[:, when.stimulus_on : when.stimulus_off]
    if task.encoder is not None:
        stimulus[...] = encode(task.encoder, task.encoder_seed, trials.evidence)
        if trials.encoder_noise is not None:
            stimulus += trials.encoder_noise * task.encoder_noise
    else:
        # `evidence`, latent by latent, so that the innermost loop is long whatever the strides of `out`, and (in numpy)
        # a few trials at a time, so that they stay in the processor's cache.
        latents = cast(trials.latents, "float32")
        step = 256 if isinstance(latents, np.ndarray) else len(trials)
        for rows in (slice(i, i + step) for i in range(0, len(trials), step)):
            scaled = scaled_noise(task, trials.noise[rows])
            for d in range(task.n_dims):
                stimulus[rows, :, d] = scaled[:, :, d] + latents[rows, d, None]


def _observe_drawn(trials: Trials, cue: Array, shown: Array) -> None:
    """Cue and evidence of trials whose periods differ."""
    task, when = trials.task, trials.timing
    steps, rows = arange(task.n_steps, trials.noise), arange(len(trials), trials.noise)[:, None]
    on = (steps >= when.stimulus_on[:, None]) & (steps < when.stimulus_off[:, None])
    sample_index = (steps - when.stimulus_on[:, None]).clip(0, task.longest.stimulus - 1)
    cue[...] = steps < when.go[:, None]
    values = trials.evidence[rows, sample_index]
    values[~on] = 0
    if task.encoder is not None:
        values = encode(task.encoder, task.encoder_seed, values)
        if trials.encoder_noise is not None:
            extra = trials.encoder_noise[rows, sample_index] * task.encoder_noise
            extra[~on] = 0
            values += extra
    shown[...] = values
    shown[steps >= when.end[:, None]] = 0
