"""The registry of network architectures: a new one is one class and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from mtrnn_agents.networks.base import Network
from mtrnn_agents.networks.gated import GRU, LSTM
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.transformer import Transformer
from mtrnn_envs.utils.validation import check_choice

NETWORKS: dict[str, type[Any]] = {
    "leaky-rnn": LeakyRNN,
    "gru": GRU,
    "lstm": LSTM,
    "transformer": Transformer,
}


def name_of(network: Network) -> str:
    """The name of a network's class in `NETWORKS`.

    Raises:
        ValueError: if it is not registered.
    """
    for name, kind in NETWORKS.items():
        if type(network) is kind:
            return name
    classes = ", ".join(kind.__name__ for kind in NETWORKS.values())
    raise ValueError(f"network={network!r} is of no registered kind: give one of {classes}, as LeakyRNN()")


def to_fields(network: Any) -> dict[str, Any]:
    """The network's kind and settings, for JSON; `from_fields` gives it back, equal."""
    return {"kind": name_of(network), **asdict(network)}


def from_fields(values: Mapping[str, Any]) -> Network:
    """The network that `values` name: its "kind", and settings of that kind, the others of which have their defaults.

    Raises:
        ValueError: if there is no kind, or a name is not known, saying which was probably meant.
    """
    settings = dict(values)
    if "kind" not in settings:
        raise ValueError(f"{settings} has no 'kind'; the kinds are {', '.join(NETWORKS)}")
    kind = check_choice(settings.pop("kind"), NETWORKS, "kind", "network")
    names = [field.name for field in fields(NETWORKS[kind])]
    return NETWORKS[kind](**{check_choice(name, names, "field", kind): value for name, value in settings.items()})
