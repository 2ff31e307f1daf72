"""Behaviour of the agent: choices (`psychometric`), response steps (`chronometric`, `drift_diffusion`) and the price of
speed (`speed_accuracy`), each beside the ideal observer or the best policy in the same trials.

Inputs of these probes and of those of `mtrnn_analysis.confidence`, as in a recording: `answers`, +1, -1 or 0 for none,
and `labels`, the right ones; `response_steps`, the stimulus observation of each answer from 1, 0 for none;
`probabilities`, the agent's of +1; `confidence`, reported with the answer in reaction-time tasks; `context`, the cued
task; `trials`, the same ones with their evidence; `rng` for nulls, bootstrap samples and what is fitted.

Null hypothesis: an agent's answers (or steps, or confidence) have nothing to do with x*. Then any order of the trials'
rows of them is as likely (among trials with the same cue, where one task is asked). Rows stay whole, so that answers of
a trial stay as alike as they are.
"""

from mtrnn_analysis.behavior.chronometric import Chronometric, chronometric
from mtrnn_analysis.behavior.drift_diffusion import DriftDiffusion, drift_diffusion
from mtrnn_analysis.behavior.psychometric import Psychometric, psychometric
from mtrnn_analysis.behavior.speed_accuracy import SpeedAccuracy, speed_accuracy

__all__ = ["Chronometric", "DriftDiffusion", "Psychometric", "SpeedAccuracy"]
__all__ += ["chronometric", "drift_diffusion", "psychometric", "speed_accuracy"]
