"""A counter-based generator, which draws the same numbers in numpy and torch on every device.

Each draw is a function of a key and of its place in the stream: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011,
doi:10.1145/2063384.2063405), written once for numpy and torch. It is not for cryptography, and its draws are not those
of `torch.Generator` on a GPU, which runs the same cipher on another counter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from mtrnn_envs.rng.seeding import seed_sequence
from mtrnn_envs.utils.arrays import Array
from mtrnn_envs.utils.validation import check_int

if TYPE_CHECKING:
    import torch

# The multipliers of a round, what the key grows by after it, and the lower 32 bits of an int64.
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
WORD = 0xFFFFFFFF
# Blocks computed at a time on a CPU: their arrays (64 kB each) stay in the processor's cache. Elsewhere, all at once.
CHUNK = 8192


def philox(words: Int[Array, "4 n"], key: tuple[int, int]) -> tuple[Array, Array, Array, Array]:
    """The four words, each `[n]`, that Philox4x32-10 makes of each counter in `words` under `key`.

    Words are int64, numpy or torch, with values in [0, 2^32); the counters are overwritten. The product of two words
    wraps around in int64, but its halves, (p >> 32) & WORD and p & WORD, are right all the same.
    """
    a, b, c, d = words
    k0, k1 = key
    for _ in range(10):
        # All in place, for speed. The upper half of each product goes into the word beside it; of a product that has
        # become a word itself only the lower half is meant, and the mask that follows its next use drops the rest.
        a *= MULTIPLIERS[0]
        c *= MULTIPLIERS[1]
        b ^= c >> 32
        b ^= k0
        b &= WORD
        d ^= a >> 32
        d ^= k1
        d &= WORD
        a, b, c, d = b, c, d, a
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return a, b & WORD, c, d & WORD


class Counter:
    """A stream of draws for (seed, purpose, index): numpy arrays, or torch tensors on `device`.

    The methods fill an array of any strides in place, in the order of its elements. A block of the cipher gives two
    numbers, and each call begins with a new block: filling 2n elements and then m is filling 2n + m. Uniform draws and
    integers are bit-identical in numpy and torch, on all devices. The others go through logarithms and sines, whose
    last bit may differ; they are computed in float64, so that draws rounded to float32 hardly ever differ.

    Arguments:
        purpose: one of `mtrnn_envs.rng.seeding.PURPOSES`.
        index: which of the streams of this seed and purpose, for example one for each block of trials.

    Raises:
        ValueError: if `seed` or `index` is not a whole number of 0 or more, or the purpose is unknown.
    """

    def __init__(self, seed: int, purpose: str, index: int = 0, device: str | torch.device | None = None) -> None:
        sequence = seed_sequence(check_int("seed", seed, 0), purpose, check_int("index", index, 0))
        self._words: list[int] = sequence.generate_state(4, np.uint32).tolist()
        self._name = f"Counter({seed}, {purpose!r}, {index}, {device!r})"
        self._next = 0
        self._xp: ModuleType = np
        self._place: dict[str, Any] = {}
        self.device = None
        if device is not None:
            import torch

            self._xp, self.device = torch, torch.device(device)
            self._place = {"device": self.device}
        on_cpu = self.device is None or self.device.type == "cpu"
        self._chunk = CHUNK if on_cpu else 2**40
        # An array, because torch takes the product of integers and a Python number to float32.
        self._unit = self._xp.asarray(2.0**-53, dtype=self._xp.float64, **self._place)

    def __repr__(self) -> str:
        return self._name

    def uniform(self, out: Float[Array, "*any"]) -> None:
        """Fills `out` (float64) with multiples of 2^-53 in [0, 1)."""
        self._fill(out, lambda u, v: (u, v))

    def normal(self, out: Float[Array, "*any"]) -> None:
        """Fills `out` with standard normal draws, sqrt(-2 ln(1 - u)) (cos 2 pi v, sin 2 pi v) of uniform u and v.

        The transform of Box & Muller 1958, doi:10.1214/aoms/1177706645, in float64; no draw is beyond 8.6.
        """
        xp = self._xp

        def transform(u: Array, v: Array) -> tuple[Array, Array]:
            radius, angle = xp.sqrt(-2 * xp.log(1 - u)), 2 * math.pi * v
            return radius * xp.cos(angle), radius * xp.sin(angle)

        self._fill(out, transform)

    def exponential(self, out: Float[Array, "*any"]) -> None:
        """Fills `out` with standard exponential draws, -ln(1 - u) of uniform u, computed in float64."""
        self._fill(out, lambda u, v: (-self._xp.log(1 - u), -self._xp.log(1 - v)))

    def integers(self, out: Int[Array, "*any"], low: int, high: int) -> None:
        """Fills `out` with integers from `low` to `high`, both included: low + floor((high - low + 1) u)."""
        n = high - low + 1
        self._fill(out, lambda u, v: (u * n, v * n))  # storing them as integers rounds down
        out += low

    def _fill(self, out: Array, transform: Callable[[Array, Array], tuple[Array, Array]]) -> None:
        """Fills `out` with `transform` of pairs of uniform draws."""
        flat = out.reshape(-1)  # a copy, if the strides of `out` leave no other way
        n_blocks = (len(flat) + 1) // 2
        for start in range(0, n_blocks, self._chunk):
            part = flat[2 * start : 2 * (start + self._chunk)]
            first, second = transform(*self._pairs(self._next + start, (len(part) + 1) // 2))
            part[::2] = first
            part[1::2] = second[: len(part) // 2]
        self._next += n_blocks
        out[...] = flat.reshape(out.shape)

    def _pairs(self, start: int, n: int) -> tuple[Array, Array]:
        """The two uniform draws, float64 `[n]`, of each of `n` blocks from block `start` on."""
        xp, (k0, k1, upper, uppermost) = self._xp, self._words
        count = xp.arange(start, start + n, dtype=xp.int64, **self._place)
        words = xp.empty((4, n), dtype=xp.int64, **self._place)
        words[0], words[1], words[2], words[3] = count & WORD, count >> 32, upper, uppermost
        a, b, c, d = philox(words, (k0, k1))
        return ((a << 21) | (b >> 11)) * self._unit, ((c << 21) | (d >> 11)) * self._unit
