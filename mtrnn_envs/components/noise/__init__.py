"""The noise of the evidence. A kind is one file and one entry of `KINDS`; your own is named "module:attribute"."""

from __future__ import annotations

from inspect import signature

from mtrnn_envs.components.noise.base import Likelihood, Noise
from mtrnn_envs.components.noise.gaussian import Gaussian, Normal
from mtrnn_envs.components.noise.gumbel import Gumbel, LogGamma
from mtrnn_envs.utils.validation import kind_named

__all__ = ["KINDS", "Gaussian", "Gumbel", "Likelihood", "LogGamma", "Noise", "Normal", "build"]

KINDS: dict[str, type[Noise]] = {"gaussian": Gaussian, "gumbel": Gumbel}


def build(kind: str, autocorrelation: float) -> Noise:
    """The noise named by `kind`: one of `KINDS`, or "module:attribute", a class derived from `Noise`.

    Raises:
        ValueError: if the kind is unknown, is not a `Noise`, or does not take an `autocorrelation` that is not 0.
    """
    made = kind_named("noise", kind, KINDS)
    if not (isinstance(made, type) and issubclass(made, Noise)):
        raise ValueError(f"noise={kind!r} is not a class derived from mtrnn_envs.components.noise.Noise")
    if "autocorrelation" in signature(made).parameters:
        return made(autocorrelation=autocorrelation)  # pyright: ignore[reportCallIssue]
    if autocorrelation:
        raise ValueError(f"autocorrelation={autocorrelation!r} needs noise='gaussian', got {kind!r}")
    return made()
