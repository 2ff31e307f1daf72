"""The noise of the evidence, standardised: mean 0 and standard deviation 1 at every step and stream.

A kind is one entry of `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from mtrnn_envs.rng.fill import fill_exponential, fill_normal

if TYPE_CHECKING:
    from mtrnn_envs.task import EvidenceTask


def _gumbel(out: Any, rng: Any) -> None:
    """-ln E of a standard exponential E is standard Gumbel: mean Euler's gamma, variance pi²/6."""
    fill_exponential(out, rng)
    # About one float32 draw in 6 million is 0, and stands for everything below the least other draw.
    out[...] = out.clip(2.0**-24, None)
    np.log(out, out=out) if isinstance(out, np.ndarray) else out.log_()
    out += float(np.euler_gamma)
    out *= -float(np.sqrt(6) / np.pi)


KINDS: dict[str, Callable[[Any, Any], None]] = {"gaussian": fill_normal, "gumbel": _gumbel}


def draw_noise(task: EvidenceTask, out: Float[Any, "N S D"], rng: Any) -> None:
    """Fills `out` (float32) with noise of mean 0 and standard deviation 1.

    With `autocorrelation` a, n_1 = e_1 and n_t = a n_{t-1} + sqrt(1 - a²) e_t: AR(1) from its stationary state.
    """
    KINDS[task.noise](out, rng)
    if a := task.autocorrelation:
        fresh = float(np.sqrt(1 - a * a))
        for s in range(1, out.shape[1]):
            out[:, s] *= fresh
            out[:, s] += a * out[:, s - 1]
