"""The conformance suite: what our own environments, agents and probes pass, for those of third parties."""

from mtrnn_envs.testing.envs import check_agent, check_dynamics, check_env
from mtrnn_envs.testing.probes import check_probe

__all__ = ["check_agent", "check_dynamics", "check_env", "check_probe"]
