"""Networks by name: those of this package, and those of the entry-point group `mtrnn.networks`.

    [project.entry-points."mtrnn.networks"]
    my-network = "my_package.my_network:MyNetwork"

The class is a frozen dataclass with the methods of `mtrnn_agents.networks.Network`; the name is that of the class in
lower case with hyphens, as the command line has it. It is then chosen by its name on the command line and in studies,
saved, loaded and hashed as those of this package are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib import metadata
from typing import TYPE_CHECKING, Any, Union

from mtrnn_agents.networks.base import Network
from mtrnn_agents.networks.gru import GRU
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.lstm import LSTM
from mtrnn_agents.networks.transformer import Transformer
from mtrnn_envs.utils.validation import check_choice

GROUP = "mtrnn.networks"
# Where a word of a class name begins: Leaky|RNN, My|Network.
WORDS = "(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
NETWORKS: dict[str, type[Any]] = {"leaky-rnn": LeakyRNN, "gru": GRU, "lstm": LSTM, "transformer": Transformer}

if TYPE_CHECKING:
    AnyNetwork = Network
else:

    def __getattr__(name: str) -> object:
        """`AnyNetwork`, the annotation of a setting: the union of all networks, as of when the command line asks."""
        if name == "AnyNetwork":
            return Union[tuple(installed().values())]  # noqa: UP007
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def installed() -> dict[str, type[Any]]:
    """`NETWORKS`, and the classes of the entry points in `mtrnn.networks`.

    Raises:
        ValueError: if an entry point has the name of another network or not that of its class, or cannot be imported.
    """
    found = dict(NETWORKS)
    for entry in metadata.entry_points(group=GROUP):
        if entry.name in found:
            raise ValueError(f"network {entry.name!r} of {entry.value} has the name of another; rename its entry point")
        try:
            kind = found[entry.name] = entry.load()
        except (ImportError, AttributeError) as error:
            raise ValueError(f"network {entry.name!r}: {entry.value} cannot be imported: {error}") from error
        if (name := re.sub(WORDS, "-", kind.__name__).lower()) != entry.name:
            raise ValueError(f"network {entry.name!r} is {entry.value}: name its entry point {name!r}, after the class")
    return found


def name_of(network: Network) -> str:
    """The name of a network's class: its key in `NETWORKS`, or the name of its entry point.

    Raises:
        ValueError: if it has none.
    """
    for names in (NETWORKS, None):  # entry points are looked up only for a network that is not of this package
        for name, kind in (installed() if names is None else names).items():
            if type(network) is kind:
                return name
    classes = ", ".join(kind.__name__ for kind in installed().values())
    raise ValueError(
        f"network={network!r} is of no registered kind: give one of {classes}, as LeakyRNN(), or name its class in "
        f"the entry-point group {GROUP}"
    )


def to_fields(network: Any) -> dict[str, Any]:
    """The network's kind and settings, for JSON; `from_fields` gives it back, equal."""
    return {"kind": name_of(network), **asdict(network)}


def from_fields(values: Mapping[str, Any]) -> Network:
    """The network that `values` name: its "kind", and settings of that kind, the others of which have their defaults.

    Raises:
        ValueError: if "kind" is missing or a name is not known, with the name that was probably meant.
    """
    settings, kinds = dict(values), NETWORKS
    if settings.get("kind") not in kinds:
        kinds = installed()
    if "kind" not in settings:
        raise ValueError(f"{settings} has no 'kind'; the kinds are {', '.join(kinds)}")
    kind = check_choice(settings.pop("kind"), kinds, "kind", "network")
    names = [field.name for field in fields(kinds[kind])]
    return kinds[kind](**{check_choice(name, names, "field", kind): value for name, value in settings.items()})
