"""Recurrent networks and a transformer: frozen settings, and pure functions of a dictionary of weights."""

from mtrnn_agents.networks.base import Network
from mtrnn_agents.networks.gated import GRU, LSTM
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_agents.networks.transformer import Transformer

__all__ = ["GRU", "LSTM", "NETWORKS", "LeakyRNN", "Network", "Transformer"]
