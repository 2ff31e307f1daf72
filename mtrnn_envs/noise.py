"""The noise of the evidence, standardised: mean 0 and standard deviation 1 at every step and stream.

A kind is one entry of `KINDS`: how the raw numbers are drawn, and how they become noise. The two are apart so that
thousands of streams can be drawn one by one and shaped together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from mtrnn_envs.arrays import fill_exponential, fill_normal

if TYPE_CHECKING:
    from mtrnn_envs.task import EvidenceTask


class Noise(NamedTuple):
    """A kind of noise: `draw(out, rng)` fills raw numbers, `shape(raw)` makes them noise, in place."""

    draw: Callable[[Any, Any], None]
    shape: Callable[[Any], None] | None


def _gumbel(raw: Any) -> None:
    """-ln E of a standard exponential E is standard Gumbel: mean Euler's gamma, variance pi²/6."""
    # About one float32 draw in 6 million is 0, and stands for everything below the least other draw.
    raw[...] = raw.clip(2.0**-24, None)
    np.log(raw, out=raw) if isinstance(raw, np.ndarray) else raw.log_()
    raw += np.float32(np.euler_gamma).item()
    raw *= -np.float32(np.sqrt(6) / np.pi).item()


KINDS = {"gaussian": Noise(fill_normal, None), "gumbel": Noise(fill_exponential, _gumbel)}


def draw_raw(task: EvidenceTask, out: Float[Any, "N S D"], rng: Any) -> None:
    """Fills `out` (float32) with the raw numbers of the task's kind of noise."""
    KINDS[task.noise].draw(out, rng)


def shape_noise(task: EvidenceTask, raw: Float[Any, "*N S D"]) -> None:
    """Turns raw numbers into noise of mean 0 and standard deviation 1, in place.

    With `autocorrelation` a, n_1 = e_1 and n_t = a n_{t-1} + sqrt(1 - a²) e_t: AR(1) from its stationary state.
    """
    if (shape := KINDS[task.noise].shape) is not None:
        shape(raw)
    if a := task.autocorrelation:
        fresh = float(np.sqrt(1 - a * a))
        for s in range(1, raw.shape[-2]):
            raw[..., s, :] *= fresh
            raw[..., s, :] += a * raw[..., s - 1, :]
