"""The network as a dynamical system: `fixed_points` finds where its state stands still, `rollout` measures how long it
holds x*, `perturbations` pushes its state, `attractor` concludes whether all that is a continuous attractor, and
`trajectories` are its states along trials in three dimensions.

Inputs of these probes: `dynamics` F of the network (`mtrnn_envs.protocols.Dynamics`); `trials` of a `task`; `rng` for
all draws; `untrained`, the agent before training, for a control.
"""

from mtrnn_analysis.dynamics.attractor import Attractor, Evidence, attractor
from mtrnn_analysis.dynamics.fixed_points import FixedPoints, fixed_points
from mtrnn_analysis.dynamics.perturbations import Perturbations, perturbations
from mtrnn_analysis.dynamics.rollout import Rollout, rollout
from mtrnn_analysis.dynamics.trajectories import Trajectories, trajectories

__all__ = ["Attractor", "Evidence", "FixedPoints", "Perturbations", "Rollout", "Trajectories"]
__all__ += ["attractor", "fixed_points", "perturbations", "rollout", "trajectories"]
