"""Gymnasium's vector environments as those of Stable-Baselines3."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from mtrnn_envs.utils.validation import check_int

# Attributes that have another name in a vector environment than in one of its environments.
RENAMED = {"observation_space": "single_observation_space", "action_space": "single_action_space"}
# Attributes of a vector environment that are lists, one value for each of its environments.
ONE_EACH = ("np_random", "np_random_seed")


class SB3VecEnv(VecEnv):
    """A Gymnasium vector environment as a `VecEnv`, bit-identical to SB3's `DummyVecEnv` of the same environments.

    That is observations, rewards (float32), dones, infos (one dict for each environment, `terminal_observation` and
    `TimeLimit.truncated` included), `reset_infos`, seeds and options. Of an info, Gymnasium's vector environments keep
    the values but not the kind of number: an int64, a float64 or a bool there is Python's int, float or bool here.

    A vector environment answers for all of its environments: an attribute is the same for each, cannot be set for some
    of them, and a method must give one result for each. (For single environments, take SB3's `DummyVecEnv`.)

    Arguments:
        envs: any `gymnasium.vector.VectorEnv` whose autoreset mode is SAME_STEP.

    Raises:
        ValueError: if the mode is another one.
    """

    def __init__(self, envs: VectorEnv) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"envs={envs!r} has autoreset_mode={mode!r}; Stable-Baselines3 needs AutoresetMode.SAME_STEP"
            )
        self.envs = envs
        self._actions: np.ndarray | None = None
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self.metadata = {name: value for name, value in envs.metadata.items() if name != "autoreset_mode"}

    def reset(self) -> VecEnvObs:
        """Begins an episode in every environment, with the seeds and options that were set for it."""
        first, others = self._options[0], self._options[1:]
        if any(each is not first and each != first for each in others):
            raise ValueError(f"options={self._options!r}: a vector environment takes the same for all")
        seed = self._seeds[0]  # `seed` sets neighbours, as a vector environment does with one number
        observations, infos = self.envs.reset(seed=None if seed is None else int(seed), options=first or None)
        self.reset_infos = [{} for _ in range(self.num_envs)]
        _give(self.reset_infos, infos, np.arange(self.num_envs))
        self._reset_seeds()
        self._reset_options()
        return deepcopy(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """Takes the actions of the step that `step_wait` makes."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Observations, rewards, dones and infos of the step."""
        observations, rewards, terminated, truncated, told = self.envs.step(self._actions)
        dones = terminated | truncated
        ended = np.flatnonzero(dones)
        infos: list[dict[str, Any]]
        if not told and not len(ended):  # most steps: nothing is told
            infos = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        else:
            infos = [{} for _ in range(self.num_envs)]
            self._tell(infos, told, ended, truncated & ~terminated)
        return deepcopy(observations), rewards.astype(np.float32), dones, infos

    def _tell(
        self, infos: list[dict[str, Any]], told: dict[str, Any], ended: np.ndarray, timed_out: np.ndarray
    ) -> None:
        """Deals out the infos of a step: where an episode ended, the infos proper are those of the next one."""
        final_info, final_obs = told.get("final_info", {}), told.get("final_obs")
        begun = {key: v for key, v in told.items() if key.removeprefix("_") not in ("final_info", "final_obs")}
        going = np.setdiff1d(np.arange(self.num_envs), ended, assume_unique=True)
        _give(infos, begun, going)
        _give(infos, final_info, ended)
        for info, late in zip(infos, timed_out.tolist(), strict=True):
            info["TimeLimit.truncated"] = late
        for i in ended.tolist():
            infos[i]["terminal_observation"] = None if final_obs is None else deepcopy(final_obs[i])
            self.reset_infos[i] = {}
        _give(self.reset_infos, begun, ended)

    def close(self) -> None:
        """Closes the environments."""
        self.envs.close()

    def get_images(self) -> list[np.ndarray | None]:
        """A picture of every environment, if they draw any."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"pictures need render_mode='rgb_array', not {self.render_mode!r}", stacklevel=2)
            return [None] * self.num_envs
        pictures: Any = self.envs.render()
        return list(pictures)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The attribute of each environment; see the class."""
        value: Any = getattr(self.envs, RENAMED.get(attr_name, attr_name))
        return [value[i] if attr_name in ONE_EACH else value for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets the attribute of each environment; see the class."""
        self._need_all(indices, attr_name)
        setattr(self.envs.unwrapped, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """The result of the method in each environment; see the class."""
        self._need_all(indices, method_name)
        results = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        if results is None:
            return [None] * self.num_envs
        if not isinstance(results, list | tuple | np.ndarray) or len(results) != self.num_envs:
            raise ValueError(
                f"{method_name} of {self.envs!r} gave {results!r}; one result for each environment is needed"
            )
        return list(results)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Whether each environment is in such a wrapper: none is, as they are one vector environment."""
        return [False for _ in self._get_indices(indices)]

    def _need_all(self, indices: VecEnvIndices, name: str) -> None:
        rows = list(self._get_indices(indices))
        if rows != list(range(self.num_envs)):
            raise ValueError(f"indices={rows}: {name} of {self.envs!r} is that of all environments; leave indices out")


def make_sb3_env(env_id: str, num_envs: int, *, seed: int | None = None, **kwargs: Any) -> VecEnv:
    """Environments of this package for Stable-Baselines3, monitored as those of its own `make_vec_env` are.

        model = PPO("MlpPolicy", make_sb3_env("MultiTaskEvidence-v0", 64, n_tasks=6))

    They are one native vector environment, the same as `make_vec_env(env_id, num_envs)`. With 64 of them, 24
    tasks and random actions, it made 5 (fixed duration, with the encoder) to 17 times (reaction time, without) as many
    steps a second of one core.

    Arguments:
        env_id: the id; one of `mtrnn_envs.IDS`, or another whose vector environment resets in the same step.
        num_envs: their number.
        seed: a whole number, 0 or more: environment i has `seed + i` from the first reset on. If None, it is not set.
        kwargs: arguments of `gym.make_vec`.

    Raises:
        ValueError: if the seed is not allowed, or an argument of the environments is not.
    """
    if seed is not None:
        seed = check_int("seed", seed, 0)
    envs = VecMonitor(SB3VecEnv(gym.make_vec(env_id, num_envs=num_envs, **kwargs)))
    if seed is not None:
        envs.seed(seed)
    return envs


def _give(infos: list[dict[str, Any]], told: dict[str, Any], rows: np.ndarray) -> None:
    """Adds the values of `told` to the infos of the environments `rows`, where their masks are True."""
    for key, values in told.items():
        if key.startswith("_") and key[1:] in told:
            continue  # it is a mask
        mask = told.get(f"_{key}")
        some = rows if mask is None else rows[mask[rows]]
        if not len(some):
            continue
        if isinstance(values, dict):
            for i in some.tolist():
                infos[i][key] = {}
            inner = [info.get(key, {}) for info in infos]
            _give(inner, values, some)
            continue
        taken: Any = values[some]
        # int, float and bool lose their kind in an array; other numpy numbers keep theirs.
        if taken.ndim == 1 and taken.dtype in (np.int64, np.float64, np.bool_):
            taken = taken.tolist()
        elif taken.dtype == object:
            taken = deepcopy(list(taken))
        for i, value in zip(some.tolist(), taken, strict=True):
            infos[i][key] = value
