"""What every probe gives: a number, what it would be by chance, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

NO_NULL: np.ndarray = np.empty(0)


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbeResult:
    """What a probe found. Probes add fields of their own; those that are numbers become columns of tables.

    Attributes:
        value: the number that the probe is about.
        null: the same number where the null hypothesis holds, `[R]`; empty if the probe has no null.
        p: the share of `null` and `value` together that is at least as extreme as `value`; NaN without a null.
        n: what it rests on: trials, unless the probe says otherwise.
        settings: all that was chosen, plain values by name.
    """

    value: float
    null: Float[np.ndarray, " R"] = field(default_factory=lambda: NO_NULL)
    p: float = float("nan")
    n: int
    settings: Mapping[str, Any]
