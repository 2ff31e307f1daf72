"""Analysis of what an agent knows: probes of its hidden states and its behaviour, statistics over networks, figures.

    from mtrnn_analysis import probe, probe_all

    result = probe(recording, "ccgp")  # result.value, result.null, result.p

A probe is also a function of arrays: `from mtrnn_analysis.geometry import ccgp`. Each room (`decoding`, `geometry`,
`dynamics`, `behavior`, `confidence`, `theory`, `selectivity`, `similarity`) exports its probes and their results.
"""

from mtrnn_analysis.result import ProbeResult
from mtrnn_analysis.statistics import Interval, bootstrap, interquartile_mean, summary
from mtrnn_envs.probing import numbers, probe, probe_all

__all__ = ["Interval", "ProbeResult", "bootstrap", "interquartile_mean", "numbers", "probe", "probe_all", "summary"]
