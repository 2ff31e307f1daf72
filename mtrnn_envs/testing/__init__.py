"""The conformance suite: checks for the environments, agents and probes of this package and of third parties."""

from mtrnn_envs.testing.agents import check_agent, check_dynamics
from mtrnn_envs.testing.diagnose import problems
from mtrnn_envs.testing.envs import check_env
from mtrnn_envs.testing.probes import check_probe

__all__ = ["check_agent", "check_dynamics", "check_env", "check_probe", "problems"]
