"""Studies: grids of tasks, agents and seeds, declared as data, run on any backend, with their results as tables."""

from mtrnn_envs.experiments.studies.backends import Backend
from mtrnn_envs.experiments.studies.find import load_study
from mtrnn_envs.experiments.studies.paper import STUDIES
from mtrnn_envs.experiments.studies.results import Results, as_csv
from mtrnn_envs.experiments.studies.results import load as load_results
from mtrnn_envs.experiments.studies.runner import Status, run_studies, run_study, status
from mtrnn_envs.experiments.studies.study import Study

__all__ = [
    "STUDIES",
    "Backend",
    "Results",
    "Status",
    "Study",
    "as_csv",
    "load_results",
    "load_study",
    "run_studies",
    "run_study",
    "status",
]
