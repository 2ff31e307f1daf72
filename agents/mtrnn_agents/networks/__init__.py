"""Recurrent networks and a transformer: frozen settings, and pure functions of a dictionary of weights."""

from mtrnn_agents.networks.base import FIXED, Network, Sizes, read
from mtrnn_agents.networks.gru import GRU
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.lstm import LSTM
from mtrnn_agents.networks.options import check_fields, option
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_agents.networks.transformer import Transformer

__all__ = [
    "FIXED",
    "GRU",
    "LSTM",
    "NETWORKS",
    "LeakyRNN",
    "Network",
    "Sizes",
    "Transformer",
    "check_fields",
    "option",
    "read",
]
