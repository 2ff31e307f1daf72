"""Theory of x* and of answers: x* from the answers alone (`multilateration`), from so many of them (`rank_condition`),
and against the number of samples (`sample_curve`).

Inputs of these probes, as in a recording: `probabilities` of +1, of every task; `latents`, x*; the `task`; `trials`,
for the ideal observer and where the stimulus is drawn; `response_steps`, the samples before each answer in
reaction-time tasks; `states` of the agent at the last step, or `hidden` at all steps, `valid` where they belong to the
trial; `rng`. Tasks must have hyperplanes as boundaries, all queried, and Gaussian noise.
"""

from mtrnn_analysis.theory.multilateration import Multilateration, multilateration
from mtrnn_analysis.theory.rank_condition import RankCondition, RankCurve, rank_condition
from mtrnn_analysis.theory.sample_curve import SampleCurve, sample_curve

__all__ = ["Multilateration", "RankCondition", "RankCurve", "SampleCurve"]
__all__ += ["multilateration", "rank_condition", "sample_curve"]
