"""Random generators that share no draw: one for each seed and purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mtrnn_envs.utils.validation import check_int

if TYPE_CHECKING:
    import torch

# The position of a purpose is part of the seed of every stream: append, never reorder.
PURPOSES = ("train", "validation", "test", "boundaries", "encoder", "ideal", "network", "noise", "actions", "suite")
SPLITS = PURPOSES[:3]


def seed_sequence(seed: int, purpose: str, *index: int) -> np.random.SeedSequence:
    """The seed sequence of `purpose` (and its part `index`) under `seed`; neighbours are as unrelated as any others."""
    if purpose not in PURPOSES:
        raise ValueError(f"purpose={purpose!r} is not one of {PURPOSES}")
    return np.random.SeedSequence(seed, spawn_key=(PURPOSES.index(purpose), *index))


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """A numpy generator for `purpose` (and its part `index`) under `seed`.

    PCG64DXSM, because its state is made of ints, which Gymnasium's checker can compare; SFC64, somewhat faster, has an
    array for a state, which it cannot.
    """
    return np.random.Generator(np.random.PCG64DXSM(seed_sequence(seed, purpose, *index)))


def seeded(seed: int | None, split: str) -> tuple[np.random.Generator, int]:
    """The generator of the stream of `split` under `seed` (drawn from the system if None), and the seed."""
    seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0]) if seed is None else check_int("seed", seed, 0)
    return generator(seed, split), seed


def torch_generator(seed: int, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator on `device` for `purpose` under `seed`."""
    import torch

    state = int(seed_sequence(seed, purpose).generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(state)
