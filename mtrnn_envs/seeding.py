"""Random generators that never share a draw: one per (seed, purpose)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

# The position of a purpose is part of the seed of every stream: append, never reorder.
PURPOSES = ("train", "validation", "test", "boundaries", "encoder", "ideal")
SPLITS = PURPOSES[:3]


def seed_sequence(seed: int, purpose: str) -> np.random.SeedSequence:
    """The seed sequence of `purpose` under `seed`; neighbouring seeds are as unrelated as distant ones."""
    if purpose not in PURPOSES:
        raise ValueError(f"purpose={purpose!r} is not one of {PURPOSES}")
    return np.random.SeedSequence(seed, spawn_key=(PURPOSES.index(purpose),))


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A numpy generator for `purpose` under `seed`.

    PCG64DXSM is as fast as any that numpy ships, and its state is made of ints, which Gymnasium's checker can compare.
    """
    return np.random.Generator(np.random.PCG64DXSM(seed_sequence(seed, purpose)))


def checked_seed(seed: Any) -> int:
    """`seed` as an int, if it is a whole number of 0 or more; else `ValueError`."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed={seed!r} is not a whole number, 0 or more")
    return int(seed)


def seeded(seed: Any, split: str) -> tuple[np.random.Generator, int]:
    """The generator of the stream of `split` under `seed` (drawn from the system if None), and the seed."""
    seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0]) if seed is None else checked_seed(seed)
    return generator(seed, split), seed


def torch_generator(seed: int, purpose: str, device: Any = "cpu") -> torch.Generator:
    """A torch generator on `device` for `purpose` under `seed`."""
    import torch

    state = int(seed_sequence(seed, purpose).generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(state)
