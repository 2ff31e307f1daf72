"""The adapter to Stable-Baselines3 against its own `DummyVecEnv` of the same single environments, bit for bit."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers import vector as vector_wrappers
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor, VecNormalize

import mtrnn_envs
from mtrnn_agents.stable_baselines import SB3VecEnv, make_sb3_env
from mtrnn_envs import EvidenceTask
from mtrnn_envs.testing.comparisons import assert_same, random_action, task_of
from mtrnn_envs.testing.envs import ENCODER_TOLERANCE

pytestmark = pytest.mark.usefixtures("single_thread")
N_ENVS, N_STEPS = 4, 150
SAME = AutoresetMode.SAME_STEP

# Bare evidence is the same to the bit in batches of every size, encoded evidence up to rounding.
VARIANTS: list[dict[str, Any]] = [
    {"encoder": None},
    {"encoder": None, "fixation": (0, 3), "stimulus": (1, 6)},
    {"encoder": None, "n_tasks": 4, "stimulus": 4},
]
FIXED: list[dict[str, Any]] = [
    {"encoder": None, "withhold": True, "delay": 2},
    {"encoder": None, "decision": (1, 3), "delay": (0, 2)},
    {"encoder": None, "stimulus": 5, "decision": 2},
    {"encoder": None, "action_encoding": "multi_binary"},
]
TIMED: list[dict[str, Any]] = [
    {"encoder": None, "commit": "common", "n_confidence": 1},
    {"encoder": None, "stimulus": (2, 6), "payoff": "accuracy"},
]
CASES = [(env_id, kwargs) for env_id in mtrnn_envs.IDS for kwargs in VARIANTS]
CASES += [("MultiTaskEvidence-v0", kwargs) for kwargs in FIXED]
CASES += [("MultiTaskEvidenceRT-v0", kwargs) for kwargs in TIMED]
every_case = pytest.mark.parametrize(("env_id", "kwargs"), CASES)


def native(env_id: str, n_envs: int = N_ENVS, **kwargs: Any) -> SB3VecEnv:
    return SB3VecEnv(gym.make_vec(env_id, num_envs=n_envs, **kwargs))


def dummy(env_id: str, n_envs: int = N_ENVS, **kwargs: Any) -> DummyVecEnv:
    return DummyVecEnv([lambda: gym.make(env_id, **kwargs)] * n_envs)


def actions_for(env_id: str, **kwargs: Any) -> Callable[[np.random.Generator], np.ndarray]:
    """Draws actions for all environments, with which trials last a while."""
    single = gym.make(env_id, **kwargs)
    task = task_of(single)
    return lambda rng: np.array([random_action(single.action_space, task, rng) for _ in range(N_ENVS)])


def evenly(space: spaces.Discrete) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, space.n, N_ENVS)


def plain(told: Any) -> Any:
    """Observations without the kind of dict that SB3 makes of them."""
    return dict(told) if isinstance(told, OrderedDict) else told


def returns(env: VecEnv, draw: Callable[[np.random.Generator], np.ndarray], seed: int = 3) -> Iterator[Any]:
    """What an environment of SB3 gives at a seeded reset, many steps, and resets in their midst, seeded and not.

    Each as (observations, rewards, dones, infos), the last three None at resets, and the infos of the last resets.
    """
    rng = np.random.default_rng(seed)
    for t in range(N_STEPS):
        if t in (0, 80):
            assert env.seed(seed + t) == [seed + t + i for i in range(env.num_envs)]
        if t in (0, 40, 80):
            yield (plain(env.reset()), None, None, None), copy.deepcopy(env.reset_infos)
        observations, *told = env.step(draw(rng))
        yield (plain(observations), *told), copy.deepcopy(env.reset_infos)


def infos_of(env: VecEnv, draw: Callable[[np.random.Generator], np.ndarray]) -> list[dict[str, Any]]:
    """All infos of the steps in `returns`."""
    return [info for (_, _, _, infos), _ in returns(env, draw) for info in infos or ()]


def n_ended(infos: list[dict[str, Any]]) -> int:
    return sum("terminal_observation" in info for info in infos)


def check_same(ours: VecEnv, theirs: VecEnv, draw: Any, what: str, tolerance: float = 0.0) -> None:
    assert ours.num_envs == theirs.num_envs
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.render_mode == theirs.render_mode
    for t, (mine, other) in enumerate(zip(returns(ours, draw), returns(theirs, draw), strict=True)):
        assert_same(mine, other, f"{what}, return {t}: the adapter against DummyVecEnv", tolerance)


@every_case
def test_equals_dummy_vec_env(env_id: str, kwargs: dict[str, Any]) -> None:
    draw = actions_for(env_id, **kwargs)
    check_same(native(env_id, **kwargs), dummy(env_id, **kwargs), draw, f"{env_id}, {kwargs}")
    assert n_ended(infos_of(native(env_id, **kwargs), draw)) > 3 * N_ENVS, "few trials ended: the test shows little"


@pytest.mark.parametrize("env_id", list(mtrnn_envs.IDS))
def test_equals_dummy_vec_env_with_the_defaults_of_every_id(env_id: str) -> None:
    draw = actions_for(env_id)
    check_same(native(env_id), dummy(env_id), draw, env_id, ENCODER_TOLERANCE)
    single = SB3VecEnv(SyncVectorEnv([lambda: gym.make(env_id)] * N_ENVS, autoreset_mode=SAME))
    check_same(single, dummy(env_id), draw, f"{env_id} in SyncVectorEnv")


@every_case
def test_equals_dummy_vec_env_under_the_wrappers_of_sb3(env_id: str, kwargs: dict[str, Any]) -> None:
    draw = actions_for(env_id, **kwargs)

    def wrapped(env: VecEnv) -> Iterator[Any]:
        normalised: Any = VecNormalize(VecMonitor(env))
        for (*arrays, infos), begun in returns(normalised, draw):
            for info in infos or ():
                info.get("episode", {}).pop("t", None)  # of the clock
            yield arrays, infos, begun, normalised.get_original_obs(), normalised.obs_rms.mean, normalised.ret_rms.var

    mine, other = list(wrapped(native(env_id, **kwargs))), list(wrapped(dummy(env_id, **kwargs)))
    assert_same(mine, other, f"{env_id}, {kwargs}: the adapter against DummyVecEnv")
    episodes = [info["episode"] for told in mine for info in told[1] or () if "episode" in info]
    assert len(episodes) > 3 * N_ENVS


class Chatty(gym.Env[Any, Any]):
    """Tells much: observations in a dict, infos of all kinds that come and go, and memory of its own that it reuses."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 7}  # noqa: RUF012 (as Gymnasium has it)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Dict(
            {"place": spaces.Box(-9, 9, (2,), np.float32), "kind": spaces.Discrete(4), "flags": spaces.MultiBinary(3)}
        )
        self.action_space = spaces.Discrete(3)
        self._place = np.zeros(2, np.float32)

    def _seen(self) -> dict[str, Any]:
        return {"place": self._place, "kind": self._t % 4, "flags": np.array([self._t % 2, 1, 0], np.int8)}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._t, self._length = 0, int(self.np_random.integers(1, 9))
        self._place[:] = self.np_random.normal(size=2)
        told: dict[str, Any] = {"length": self._length, "begins": "a word"}
        return self._seen(), told | ({"options": str(options)} if options else {})

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._t += 1
        self._place += self.np_random.normal(size=2)
        told: dict[str, Any] = {"t": self._t, "half": self._t / 2, "even": self._t % 2 == 0, "_hidden": self._t}
        if action == 1:
            told |= {
                "numbers": np.arange(3) * self._t,
                "narrow": np.float32(self._t),
                "deep": {"a": 1, "b": {"c": "x"}},
            }
        if action == 2:
            told |= {"deep": {"only here": np.ones((2, 2))}, "object": ("a", self._t)}
        over = self._t >= self._length
        truncated = over and self._length % 2 == 0
        return self._seen(), self._t / 3, over and self._length % 3 != 0, truncated, told

    def render(self) -> Any:
        return np.full((4, 5, 3), self._t, np.uint8)


# Lengths of 3 that are odd would never end: a limit ends them.
def chatty() -> gym.Env:
    return TimeLimit(Chatty(render_mode="rgb_array"), 10)


def limited_cart_pole() -> gym.Env:
    return gym.make("CartPole-v1", max_episode_steps=12)


@pytest.mark.parametrize("make", [chatty, limited_cart_pole])
def test_any_vector_environment_will_do(make: Callable[[], gym.Env]) -> None:
    theirs = DummyVecEnv([make] * N_ENVS)
    draw = evenly(make().action_space)  # pyright: ignore[reportArgumentType]
    check_same(SB3VecEnv(SyncVectorEnv([make] * N_ENVS, autoreset_mode=SAME)), theirs, draw, "SyncVectorEnv")
    infos = infos_of(theirs, draw)
    assert {info["TimeLimit.truncated"] for info in infos if "terminal_observation" in info} == {False, True}


def test_observations_in_memory_that_is_used_again_are_copied() -> None:
    shared = SyncVectorEnv([limited_cart_pole] * N_ENVS, autoreset_mode=SAME, copy=False)
    theirs, draw = DummyVecEnv([limited_cart_pole] * N_ENVS), evenly(spaces.Discrete(2))
    for mine, other in zip(list(returns(SB3VecEnv(shared), draw)), returns(theirs, draw), strict=True):
        assert_same(mine, other, "kept, and looked at in the end")


def test_a_wrapped_vector_environment() -> None:
    def single() -> gym.Env:
        return gym.wrappers.TransformReward(limited_cart_pole(), lambda reward: float(reward) / 3)

    envs = vector_wrappers.TransformReward(
        SyncVectorEnv([limited_cart_pole] * N_ENVS, autoreset_mode=SAME), lambda reward: reward / 3
    )
    check_same(SB3VecEnv(envs), DummyVecEnv([single] * N_ENVS), evenly(spaces.Discrete(2)), "wrapped")


def test_options_reach_the_environments_once() -> None:
    ours = SB3VecEnv(SyncVectorEnv([chatty] * N_ENVS, autoreset_mode=SAME))
    theirs = DummyVecEnv([chatty] * N_ENVS)
    for env in (ours, theirs):
        env.seed(0)
        env.set_options({"table": [1, 2]})
    assert_same((ours.reset(), ours.reset_infos), (plain(theirs.reset()), theirs.reset_infos), "with options")
    assert all("options" in info for info in ours.reset_infos)
    assert_same((ours.reset(), ours.reset_infos), (plain(theirs.reset()), theirs.reset_infos), "without")
    assert not any("options" in info for info in ours.reset_infos)
    ours.set_options([{"a": i} for i in range(N_ENVS)])
    with pytest.raises(ValueError, match=r"options=.* takes the same for all"):
        ours.reset()


@pytest.mark.parametrize("mode", [mode for mode in AutoresetMode if mode is not SAME])
def test_other_ways_to_reset_are_refused(mode: AutoresetMode) -> None:
    with pytest.raises(ValueError, match=rf"autoreset_mode={mode!r}; .* needs AutoresetMode.SAME_STEP"):
        SB3VecEnv(gym.make_vec("MultiTaskEvidence-v0", num_envs=2, autoreset_mode=mode))


def test_attributes_and_methods_of_native_environments() -> None:
    kwargs: dict[str, Any] = {"render_mode": "rgb_array", "split": "test"}
    ours, theirs = (make("MultiTaskEvidence-v0", n_envs=3, **kwargs) for make in (native, dummy))
    for env in (ours, theirs):
        env.seed(4)
        env.reset()
    assert ours.render_mode == theirs.render_mode == "rgb_array"
    for name in ("task", "split", "render_mode", "observation_space", "action_space", "np_random_seed"):
        assert ours.get_attr(name) == theirs.get_attr(name)
        assert ours.get_attr(name, [2, 0]) == theirs.get_attr(name, [2, 0])
    np.testing.assert_array_equal(ours.get_images(), theirs.get_images())
    np.testing.assert_array_equal(ours.render(), theirs.render())
    np.testing.assert_array_equal(ours.env_method("render"), theirs.env_method("render"))
    assert ours.env_method("close") == theirs.env_method("close") == [None] * 3
    assert ours.env_is_wrapped(Monitor) == theirs.env_is_wrapped(Monitor) == [False] * 3
    assert not ours.has_attr("no such thing")
    with pytest.raises(AttributeError):
        ours.get_attr("no such thing")
    ours.set_attr("mark", 7)
    assert ours.get_attr("mark", 1) == [7]
    with pytest.raises(ValueError, match=r"indices=\[1\]: mark of .* is that of all environments; leave indices out"):
        ours.set_attr("mark", 8, indices=1)
    with pytest.raises(ValueError, match=r"gave .*; one result for each environment is needed"):
        ours.env_method("__str__")


def test_without_pictures() -> None:
    ours, theirs = native("MultiTaskEvidence-v0", 2), dummy("MultiTaskEvidence-v0", 2)
    for env in (ours, theirs):
        env.reset()
        assert env.render_mode is None
        with pytest.warns(UserWarning, match="rgb_array"):
            assert list(env.get_images()) == [None, None]


@every_case
def test_what_is_given_shares_no_memory(env_id: str, kwargs: dict[str, Any]) -> None:
    def spoiled(value: Any) -> None:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            for part in value:
                spoiled(part)
        elif isinstance(value, np.ndarray):
            value[...] = 1

    draw = actions_for(env_id, **kwargs)
    for clean, used in zip(
        returns(native(env_id, **kwargs), draw), returns(native(env_id, **kwargs), draw), strict=True
    ):
        assert_same(clean, used, "after all that was given before has been overwritten")
        spoiled(used)


def test_make_sb3_env_is_sb3s_own_make_vec_env() -> None:
    kwargs: dict[str, Any] = {"n_tasks": 3, "encoder": None}
    ours = make_sb3_env("MultiTaskEvidence-v0", N_ENVS, seed=5, **kwargs)
    theirs = make_vec_env("MultiTaskEvidence-v0", N_ENVS, seed=5, env_kwargs=kwargs)
    assert_same(ours.reset(), theirs.reset(), "reset")
    draw, rng = actions_for("MultiTaskEvidence-v0", **kwargs), np.random.default_rng(0)
    for _ in range(50):
        actions = draw(rng)
        (*mine, told), (*other, told_there) = ours.step(actions), theirs.step(actions)
        assert_same(mine, other, "step")
        for info, there in zip(told, told_there, strict=True):
            assert ("episode" in info) == ("episode" in there)
            if "episode" in info:
                assert info["episode"]["l"] == there["episode"]["l"]
                assert info["episode"]["r"] == pytest.approx(there["episode"]["r"], abs=1e-6)  # rounded there


@pytest.mark.parametrize("seed", [-1, "a", 0.5, True])
@pytest.mark.usefixtures("unannotated")
def test_seeds_that_are_none_are_refused_at_once(seed: Any) -> None:
    with pytest.raises(ValueError, match=f"seed={seed!r} is not a whole number, 0 or more"):
        make_sb3_env("MultiTaskEvidence-v0", 2, seed=seed)


@pytest.mark.parametrize("env_id", list(mtrnn_envs.IDS))
def test_ppo_learns_the_same_in_ours_as_in_sb3s_own(env_id: str) -> None:
    """The whole of SB3's loop sees no difference: the weights after training are the same to the bit."""
    settings: dict[str, Any] = {"n_steps": 24, "batch_size": 48, "n_epochs": 1, "seed": 0, "device": "cpu"}
    models = [
        PPO("MlpPolicy", env, **settings).learn(192)
        for env in (native(env_id, encoder=None), dummy(env_id, encoder=None))
    ]
    mine, other = ({name: v.numpy() for name, v in model.policy.state_dict().items()} for model in models)
    assert_same(mine, other, "weights")


def test_binary_actions_may_be_floats_but_nothing_between_0_and_1() -> None:
    kwargs: dict[str, Any] = {"action_encoding": "multi_binary", "encoder": None, "n_tasks": 3}
    ours, theirs = (make("MultiTaskEvidence-v0", **kwargs) for make in (native, dummy))
    check_same(ours, theirs, lambda rng: rng.integers(0, 2, (N_ENVS, 3)).astype(np.float32), "floats")
    for env in (ours, theirs):
        env.reset()
        for _ in range(EvidenceTask(**kwargs).n_steps - 1):
            env.step(np.zeros((N_ENVS, 3), np.float32))
        with pytest.raises(ValueError, match="is not made of whole numbers"):  # in the last step, where answers count
            env.step(np.full((N_ENVS, 3), 0.7, np.float32))


def test_policies_of_sb3_act_in_multi_binary_environments() -> None:
    envs = make_sb3_env("MultiTaskEvidence-v0", 4, action_encoding="multi_binary", encoder=None, n_tasks=3)
    model = PPO("MlpPolicy", envs, n_steps=22, batch_size=88, n_epochs=1, seed=0, device="cpu").learn(88)
    assert len(model.ep_info_buffer or ()) == 4
