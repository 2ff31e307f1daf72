"""Array operations whose spelling differs between numpy and torch, so that all other code is written once for both.

The generator or array passed in decides which of the two is used; torch is imported only then.
Axis letters used in annotations: N trials, T steps, S stimulus steps, K tasks, A answers, D latents, F features.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from scipy import special

Array: TypeAlias = Any  # a numpy array or a torch tensor
AnyGenerator: TypeAlias = Any  # a numpy or torch generator, or a `mtrnn_envs.rng.philox.Counter`
Numbers: TypeAlias = int | float | np.number | np.ndarray  # a number, or a numpy array
Values: TypeAlias = np.floating | np.ndarray  # the result of arithmetic on `Numbers`


def namespace(array: Array) -> ModuleType:
    """The module of an array: `numpy` or `torch`."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    if isinstance(array, torch.Tensor):
        return torch
    raise TypeError(f"expected a numpy array or a torch tensor, got {type(array).__name__}")


def like(values: Array, array: Array) -> Array:
    """`values` (numpy) as an array of the kind, device and floating type of `array`."""
    if isinstance(array, np.ndarray):
        return np.asarray(values, dtype=array.dtype)
    import torch

    return torch.as_tensor(values, dtype=array.dtype, device=array.device)


def to_numpy(array: Array) -> np.ndarray:
    """`array` as numpy, copied from its device if need be."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def cast(array: Array, dtype: str) -> Array:
    """`array` as the type named by `dtype`, for example `"int8"`."""
    if isinstance(array, np.ndarray):
        return array.astype(dtype)
    import torch

    return array.to(getattr(torch, dtype))


def normal_cdf(array: Array) -> Array:
    """The standard normal distribution function, elementwise."""
    return special.ndtr(array) if isinstance(array, np.ndarray) else namespace(array).special.ndtr(array)


def empty(shape: tuple[int, ...], dtype: str, rng: AnyGenerator) -> Array:
    """An uninitialised array of the kind and on the device of the generator `rng`."""
    device = getattr(rng, "device", None)
    if device is None:
        return np.empty(shape, dtype)
    import torch

    return torch.empty(shape, dtype=getattr(torch, dtype), device=device)


def empty_like(shape: tuple[int, ...], array: Array) -> Array:
    """An uninitialised array of the kind, device and type of `array`."""
    if isinstance(array, np.ndarray):
        return np.empty(shape, array.dtype)
    return array.new_empty(shape)


def arange(n: int, array: Array) -> Array:
    """0, 1, ..., n - 1 as int64, of the kind and on the device of `array`."""
    if isinstance(array, np.ndarray):
        return np.arange(n)
    return namespace(array).arange(n, device=array.device)


def column(value: float | Array) -> float | Array:
    """`value` `[N]` as `[N, 1]`; a number as it is."""
    return value if isinstance(value, int | float) else value[:, None]
