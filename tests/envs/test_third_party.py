"""What a stranger does with the environments: stock libraries, and no name of ours but `mtrnn_envs`.

None of it may warn: warnings are errors here as in all tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from gymnasium import wrappers
from gymnasium.wrappers import vector as vector_wrappers
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

import mtrnn_envs

every_id = pytest.mark.parametrize("env_id", list(mtrnn_envs.IDS))
ZOO = Path(__file__).parents[2] / "examples" / "rl_zoo" / "ppo_lstm.yml"
every_mode = pytest.mark.parametrize("mode", [mode.value for mode in gymnasium.VectorizeMode])

# Enough steps for several trials of the default lengths (22 steps).
SEVERAL_TRIALS = 70
SMALL: dict[str, Any] = {"n_steps": 64, "n_epochs": 1, "seed": 0, "device": "cpu"}


def parameters(model: Any) -> np.ndarray:
    """All parameters of a policy of Stable-Baselines3, in a row."""
    return np.concatenate([value.detach().cpu().numpy().ravel() for value in model.policy.parameters()])


def learns(model: Any, n_steps: int) -> None:
    """Trains `model`, and sees that this changed it to something finite, whose actions the environment takes."""
    before = parameters(model)
    model.learn(n_steps)
    after = parameters(model)
    assert model.num_timesteps >= n_steps
    assert np.isfinite(after).all()
    assert not np.array_equal(before, after)
    observations = model.env.reset()
    actions, _ = model.predict(observations)
    assert all(model.env.action_space.contains(action) for action in actions)
    episodes = list(model.ep_info_buffer)
    assert episodes, "no episode ended in training"
    assert all(np.isfinite(episode["r"]) and episode["l"] >= 1 for episode in episodes)


@every_id
def test_stock_recurrent_ppo_trains(env_id: str) -> None:
    model = RecurrentPPO("MlpLstmPolicy", make_vec_env(env_id, n_envs=4, seed=0), batch_size=128, **SMALL)
    learns(model, 512)


@every_id
def test_stock_ppo_trains_on_observations_and_rewards_normalised(env_id: str) -> None:
    envs = VecNormalize(make_vec_env(env_id, n_envs=4, seed=0))
    learns(PPO("MlpPolicy", envs, batch_size=128, **SMALL), 512)


def test_stock_ppo_trains_on_binary_actions_which_it_gives_as_floats() -> None:
    kwargs: dict[str, Any] = {"action_encoding": "multi_binary"}
    envs = make_vec_env("MultiTaskEvidence-v0", n_envs=4, seed=0, env_kwargs=kwargs)
    learns(PPO("MlpPolicy", envs, batch_size=128, **SMALL), 512)
    env = gymnasium.make("MultiTaskEvidence-v0", n_tasks=2, fixation=0, stimulus=1, **kwargs).unwrapped
    env.reset(seed=0)
    env.step(np.zeros(2))  # the next is the decision
    with pytest.raises(ValueError, match="is not made of whole numbers"):
        env.step(np.array([0.5, 1.0]))


def test_other_kwargs_and_another_algorithm() -> None:
    envs = make_vec_env("MultiTaskEvidence-v0", n_envs=2, seed=0, env_kwargs={"n_tasks": 3, "sigma": 0.1})
    learns(A2C("MlpPolicy", envs, n_steps=32, seed=0, device="cpu"), 256)


@every_id
def test_check_env_of_stable_baselines(env_id: str) -> None:
    env = gymnasium.make(env_id)
    check_env(env, skip_render_check=True)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@every_id
def test_single_wrappers(env_id: str) -> None:
    env: Any = wrappers.RecordEpisodeStatistics(gymnasium.make(env_id))
    env = wrappers.FlattenObservation(wrappers.FrameStackObservation(wrappers.NormalizeObservation(env), 3))
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    n_episodes = 0
    for _ in range(SEVERAL_TRIALS):
        assert env.observation_space.contains(observation)
        observation, _, terminated, truncated, info = env.step(env.action_space.sample())
        assert not truncated
        if terminated:
            n_episodes += 1
            assert np.isfinite(info["episode"]["r"])
            assert 1 <= info["episode"]["l"] <= SEVERAL_TRIALS
            observation, _ = env.reset()
    assert n_episodes >= 3
    env.close()


@every_id
def test_a_video_is_written(env_id: str, tmp_path: Path) -> None:
    env: Any = gymnasium.make(env_id, render_mode="rgb_array")
    env = wrappers.RecordVideo(env, str(tmp_path / "videos"), episode_trigger=lambda episode: episode == 0)
    env.reset(seed=0)
    terminated = False
    while not terminated:
        *_, terminated, _, _ = env.step(env.action_space.sample())
    env.close()
    (video,) = (tmp_path / "videos").glob("*.mp4")
    assert video.stat().st_size > 1000


@every_id
@every_mode
def test_every_way_of_make_vec(env_id: str, mode: str) -> None:
    envs = gymnasium.make_vec(env_id, 3, vectorization_mode=mode)
    observations, _ = envs.reset(seed=0)
    envs.action_space.seed(0)
    n_ended = 0
    for _ in range(SEVERAL_TRIALS):
        assert envs.observation_space.contains(observations)
        observations, rewards, terminations, truncations, _ = envs.step(envs.action_space.sample())
        assert rewards.shape == (3,)
        assert np.isfinite(rewards).all()
        assert not truncations.any()
        n_ended += int(terminations.sum())
    assert n_ended >= 3
    envs.close()
    envs.close()


@every_id
def test_vector_wrappers_over_the_native_environment(env_id: str) -> None:
    # Wrappers of observations refuse SAME_STEP, the default, for they would not see `final_obs`.
    envs: Any = gymnasium.make_vec(env_id, 4, vectorization_mode="vector_entry_point", autoreset_mode="NextStep")
    envs = vector_wrappers.NormalizeReward(vector_wrappers.RecordEpisodeStatistics(envs))
    envs = vector_wrappers.DictInfoToList(vector_wrappers.NormalizeObservation(envs))
    envs.reset(seed=0)
    envs.action_space.seed(0)
    episodes = []
    for _ in range(SEVERAL_TRIALS):
        observations, rewards, terminations, _, infos = envs.step(envs.action_space.sample())
        assert np.isfinite(observations).all()
        assert np.isfinite(rewards).all()
        assert len(infos) == 4
        episodes += [info["episode"] for info, ended in zip(infos, terminations, strict=True) if ended]
    assert len(episodes) >= 4
    assert all(1 <= episode["l"] <= SEVERAL_TRIALS for episode in episodes)
    envs.close()


@every_id
def test_the_statistics_of_vector_and_single_wrappers_agree(env_id: str) -> None:
    """Gymnasium's statistics over the native vector environment, against those over single ones, trial for trial."""
    native: Any = gymnasium.make_vec(env_id, 2, vectorization_mode="vector_entry_point")
    native = vector_wrappers.RecordEpisodeStatistics(native)
    native.action_space.seed(0)
    native.reset(seed=5)
    steps = [native.action_space.sample() for _ in range(SEVERAL_TRIALS)]
    found: list[list[tuple[float, int]]] = [[], []]
    for actions in steps:
        _, _, terminations, _, infos = native.step(actions)
        for i in np.flatnonzero(terminations):
            found[i].append((float(infos["episode"]["r"][i]), int(infos["episode"]["l"][i])))
    for i in range(2):
        env: Any = wrappers.RecordEpisodeStatistics(gymnasium.make(env_id))
        env.reset(seed=5 + i)
        expected = []
        for actions in steps:
            _, _, terminated, _, info = env.step(actions[i])
            if terminated:
                expected.append((float(info["episode"]["r"]), int(info["episode"]["l"])))
                env.reset()
        assert [length for _, length in found[i]] == [length for _, length in expected]
        np.testing.assert_allclose([r for r, _ in found[i]], [r for r, _ in expected], rtol=1e-6)
        env.close()
    native.close()


@every_id
def test_the_settings_for_rl_zoo_make_a_model_for_every_id(env_id: str) -> None:
    of_id: dict[str, Any] = yaml.safe_load(ZOO.read_text())
    assert set(of_id) == set(mtrnn_envs.IDS)
    settings = of_id[env_id]
    assert settings.pop("n_timesteps") >= 1e5
    n_envs, policy = settings.pop("n_envs"), settings.pop("policy")
    # What the Zoo makes of these two: a schedule, and the value of an expression.
    kind, _, rate = settings.pop("learning_rate").partition("_")
    assert kind == "lin"
    settings["policy_kwargs"] = eval(settings["policy_kwargs"])
    envs = make_vec_env(env_id, 2, seed=0)
    agent = RecurrentPPO(policy, envs, learning_rate=lambda left: left * float(rate), device="cpu", **settings)
    steps = mtrnn_envs.EvidenceTask(**mtrnn_envs.IDS[env_id][0]).n_steps
    assert agent.n_steps % steps == 0, "a rollout holds whole trials"
    assert n_envs * agent.n_steps % settings["batch_size"] == 0
