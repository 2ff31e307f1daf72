"""What an agent came to know: probes of its hidden states and its behaviour, statistics over networks, figures.

    from mtrnn_analysis import probe, probe_all

    found = probe(recording, "ccgp")  # found.value, found.null, found.p

A probe is also a function of arrays, in the module of its subject.
"""

from mtrnn_analysis.result import ProbeResult
from mtrnn_envs.probing import numbers, probe, probe_all

__all__ = ["ProbeResult", "numbers", "probe", "probe_all"]
