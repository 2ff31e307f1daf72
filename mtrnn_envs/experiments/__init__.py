"""Experiments: probes on recordings, studies (grids of training runs), and the benchmark of agents.

The command `mtrnn` does the same from the shell. A name is imported when it is first used, so that each module of this
package loads only what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtrnn_envs.experiments.benchmark.runner import load_results, run_benchmark, verify
    from mtrnn_envs.experiments.benchmark.suite import SETTINGS, Setting
    from mtrnn_envs.experiments.probe_output import numbers
    from mtrnn_envs.experiments.studies.backends import Backend
    from mtrnn_envs.experiments.studies.runner import run_studies, run_study, status
    from mtrnn_envs.experiments.studies.study import Study
    from mtrnn_envs.experiments.studies.study import found as load_study
    from mtrnn_envs.probing import probe, probe_all

__all__ = [
    "SETTINGS",
    "Backend",
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
_MODULES = {
    "mtrnn_envs.experiments.benchmark.runner": ("load_results", "run_benchmark", "verify"),
    "mtrnn_envs.experiments.benchmark.suite": ("SETTINGS", "Setting"),
    "mtrnn_envs.experiments.probe_output": ("numbers",),
    "mtrnn_envs.experiments.studies.backends": ("Backend",),
    "mtrnn_envs.experiments.studies.runner": ("run_studies", "run_study", "status"),
    "mtrnn_envs.experiments.studies.study": ("Study", "load_study"),
    "mtrnn_envs.probing": ("probe", "probe_all"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), "found" if name == "load_study" else name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
