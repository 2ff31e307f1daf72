"""Is x* in the states, linearly, and does it carry over to regions and questions that were not fitted?

`linear` (x* in and out of distribution), `course` (at every step), `transfer` (questions that were never trained);
regressions in `ridge` and `logistic`, what is left out in `holdout`, what needs no training in `controls`.
"""

from mtrnn_analysis.decoding.linear import Decoding, decode, r2_local, r2_prior
from mtrnn_analysis.decoding.ridge import PENALTIES, Ridge, ridge

__all__ = ["PENALTIES", "Decoding", "Ridge", "decode", "r2_local", "r2_prior", "ridge"]
