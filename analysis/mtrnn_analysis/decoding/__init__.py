"""Is x* in the states, linearly, and does it carry over to regions and questions that were not fitted?

`decode` (x* in and out of distribution), `plane_decoding` (two latents at a time, for any number of them),
`decoding_course` (at every step), `evidence_course` (after each sample), `transfer` (new questions), `released_holdout`
(the sampling error in the public code, beside the right test). Regressions are in `ridge`, held-out regions in
`holdout`, states that need no training in `controls`.
"""

from mtrnn_analysis.decoding.controls import control_states, states_of
from mtrnn_analysis.decoding.decoding import Control, Decoding, Scores, decode, mean_r2, r2_prior
from mtrnn_analysis.decoding.decoding_course import DecodingCourse, decoding_course
from mtrnn_analysis.decoding.evidence_course import EvidenceCourse, evidence_course
from mtrnn_analysis.decoding.plane_decoding import PlaneDecoding, plane_decoding
from mtrnn_analysis.decoding.released_holdout import ReleasedHoldout, released_holdout
from mtrnn_analysis.decoding.ridge import PENALTIES, Ridge, ridge
from mtrnn_analysis.decoding.transfer import Transfer, transfer

__all__ = ["PENALTIES", "Control", "Decoding", "DecodingCourse", "EvidenceCourse"]
__all__ += ["PlaneDecoding", "ReleasedHoldout", "Ridge", "Scores", "Transfer"]
__all__ += ["control_states", "decode", "decoding_course", "evidence_course", "mean_r2", "plane_decoding"]
__all__ += ["r2_prior", "released_holdout", "ridge", "states_of", "transfer"]
