"""Backends run jobs: in processes of this machine, on a dask or Ray cluster, or by SLURM; each is one file here.

| name | runs jobs in | needs |
|---|---|---|
| local | processes of joblib's loky, one thread each | joblib |
| dask | the cluster whose scheduler is at `address`; None: one on this machine | distributed |
| ray | the cluster at `address` ("auto": the one that this machine is in); None: one on this machine | ray |
| submitit | jobs of SLURM, or of the cluster in `parameters["cluster"]` | submitit |

Jobs and their results are pickled. A process runs one job at a time, so that dask's workers should have one thread
each. The death of a worker ends only the job that it had, which is restarted. `base` documents how to add a backend.
"""

from mtrnn_envs.experiments.studies.backends.base import (
    DEATHS,
    Backend,
    Call,
    Failure,
    Pool,
    Unreachable,
    needed,
    outcomes,
)

__all__ = ["DEATHS", "Backend", "Call", "Failure", "Pool", "Unreachable", "needed", "outcomes"]
