"""The scaling of observations by SB3's `VecNormalize`, as a policy was trained on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, is_vecenv_wrapped

from mtrnn_agents.stable_baselines.history_features import FeaturesVecEnv, width
from mtrnn_envs import EvidenceTask


class Scaling(NamedTuple):
    """The scaling by SB3's `VecNormalize`: clip((x - mean) / deviation).

    Attributes:
        mean, deviation: of each channel, `[F]`.
        clip: the greatest absolute value.
    """

    mean: Float[np.ndarray, " F"]
    deviation: Float[np.ndarray, " F"]
    clip: float

    @classmethod
    def of(cls, normalised: VecNormalize | None) -> Scaling | None:
        """The scaling of observations in these environments, as it is now; None if there is none."""
        if normalised is None or not normalised.norm_obs:
            return None
        rms: Any = normalised.obs_rms
        return cls(rms.mean.copy(), np.sqrt(rms.var + normalised.epsilon), float(normalised.clip_obs))

    def __call__(self, shown: np.ndarray) -> np.ndarray:
        """The scaled observations."""
        return np.clip((shown - self.mean) / self.deviation, -self.clip, self.clip)


def is_inside(scaling: VecNormalize, envs: VecEnv | None) -> bool:
    """Whether features are made of observations that `scaling` has scaled."""
    wrapped = [env is not None and is_vecenv_wrapped(env, FeaturesVecEnv) for env in (envs, scaling.venv)]
    return wrapped == [True, False]


def widths(task: EvidenceTask, kind: str | None) -> tuple[int, ...]:
    """The numbers of channels that may be scaled: those that the policy sees, then those of a frame, if stacked."""
    if kind is None:
        return (task.n_features,)
    last = width(task, kind)
    return (last,) if last == task.n_features else (last, task.n_features)
