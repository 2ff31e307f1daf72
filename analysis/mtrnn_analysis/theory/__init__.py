"""Theory of x* and of answers: x* from the answers alone (`multilateration`), from so many of them (`rank_condition`),
and against the number of samples (`sample_curve`).
"""

from mtrnn_analysis.theory.multilateration import Multilateration, multilateration
from mtrnn_analysis.theory.rank_condition import RankCondition, RankCurve, rank_condition
from mtrnn_analysis.theory.sample_curve import SampleCurve, sample_curve

__all__ = [
    "Multilateration",
    "RankCondition",
    "RankCurve",
    "SampleCurve",
    "multilateration",
    "rank_condition",
    "sample_curve",
]
