"""Is x* in the states, linearly, and does it carry over to regions and questions that were not fitted?

`linear` (x* in and out of distribution), `planes` (two latents at a time, for any number of them), `course` (at every
step), `transfer` (questions that were never trained), `released` (the faulty test of the public code, to be seen beside
the right one); regressions in `ridge` and `logistic`, what is left out in `holdout`, what needs no training in
`controls`.
"""

from mtrnn_analysis.decoding.decoding import Decoding, decode, r2_local, r2_prior
from mtrnn_analysis.decoding.plane_decoding import PlaneDecoding, plane_decoding
from mtrnn_analysis.decoding.released_holdout import ReleasedHoldout, released_holdout
from mtrnn_analysis.decoding.ridge import PENALTIES, Ridge, ridge

__all__ = [
    "PENALTIES",
    "Decoding",
    "PlaneDecoding",
    "ReleasedHoldout",
    "Ridge",
    "decode",
    "plane_decoding",
    "r2_local",
    "r2_prior",
    "released_holdout",
    "ridge",
]
