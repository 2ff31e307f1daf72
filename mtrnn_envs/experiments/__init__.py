"""Experiments: probes on recordings, studies (grids of training runs), and the benchmark of agents.

The command `mtrnn` does the same from the shell.
"""

from mtrnn_envs.experiments.benchmark.runner import load_results, run_benchmark, verify
from mtrnn_envs.experiments.benchmark.suite import SETTINGS, Setting
from mtrnn_envs.experiments.studies import STUDIES, Backend, Results, Study, load_study, run_studies, run_study, status
from mtrnn_envs.probing import numbers, probe, probe_all

__all__ = [
    "SETTINGS",
    "STUDIES",
    "Backend",
    "Results",
    "Setting",
    "Study",
    "load_results",
    "load_study",
    "numbers",
    "probe",
    "probe_all",
    "run_benchmark",
    "run_studies",
    "run_study",
    "status",
    "verify",
]
