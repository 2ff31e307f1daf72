"""Metrics that interrupt training at one of their calls, as Ctrl-C does."""

from __future__ import annotations

import numpy as np


class Interrupt:
    """Interrupts at the call number `at`, counted from 1; else gives the mean absolute state as "size"."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def __call__(self, states: np.ndarray, latents: np.ndarray) -> dict[str, float]:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return {"size": float(np.abs(states).mean())}
