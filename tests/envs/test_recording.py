"""Recordings hold whole trials, unbiased, with the state of the step and the rewards of the environment."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import sys
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from mtrnn_agents import RandomAgent
from mtrnn_envs import IDS, EvidenceTask, Stream, observe
from mtrnn_envs.recording import AXES, Recording, record
from mtrnn_envs.reward import LabelsAndTiming, action_sizes, reported_probability, response_options
from mtrnn_envs.reward import score as score_step
from mtrnn_envs.testing.comparisons import task_of
from mtrnn_envs.utils.atomic_write import atomic_write

MODES = [mode.value for mode in AutoresetMode]
# Without the encoder: only then are all kinds of environments equal bit for bit.
KWARGS = [
    {},
    {"cueing": "one", "n_tasks": 5},
    {"withhold": True, "n_tasks": 3, "decision": 2},
    {"action_encoding": "multi_binary"},
    {"stimulus": (2, 6), "delay": (0, 2), "decision": (1, 2), "fixation": (0, 2)},
    {"payoff": "quadratic", "decision": 0, "n_tasks": 3, "stimulus": 6},
    {"payoff": "log", "decision": 0, "n_tasks": 4, "stimulus": (2, 6), "fixation": (0, 3), "commit": "common"},
    {"payoff": "quadratic", "decision": 0, "n_tasks": 4, "stimulus": (2, 6), "fixation": (0, 3), "cueing": "one"},
]
KWARGS = [{"encoder": None, **kwargs} for kwargs in KWARGS]


class Counter:
    """An agent whose actions and state depend on what it has seen, trial by trial: mixing trials up would show."""

    def __init__(self, task: EvidenceTask) -> None:
        self.task, self.sizes = task, np.array(action_sizes(task))

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        state = np.zeros((len(observation), 3)) if state is None else state
        state = np.where(np.asarray(episode_start)[:, None], 0, state)
        step = np.stack([np.ones(len(observation)), observation[:, 0], observation[:, 1]], axis=1)
        state = (state + step).astype(np.float32)
        spread = np.abs(state[:, 2:] * 1000).astype(int) + np.arange(len(self.sizes))
        waits = spread % 3 == 0 if self.task.reaction_time else np.zeros_like(spread, bool)
        action = np.where(waits, 0, spread % self.sizes)
        single = self.task.cueing == "one" and len(self.sizes) == 1
        return (action[:, 0] if single else action), state

    def probabilities(self, state):
        return np.tile(1 / (1 + state[:, :1]), self.task.n_answers)


def make(kwargs: dict, n: int | None, mode: str = "SameStep", split: str = "test") -> Any:
    if n is None:
        return gym.make("MultiTaskEvidence-v0", split=split, **kwargs)
    return gym.make_vec("MultiTaskEvidence-v0", n, autoreset_mode=mode, split=split, **kwargs)


def same(a: Recording, b: Recording) -> None:
    for name in AXES:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize("kwargs", KWARGS)
def test_every_kind_of_environment_gives_the_same_recording(kwargs: dict) -> None:
    agent = Counter(EvidenceTask(**kwargs))
    expected = record(agent, make(kwargs, 3), 11, seed=5)
    assert len(expected) == 11
    assert expected.hidden is not None
    for mode in MODES:
        same(record(agent, make(kwargs, 3, mode), 11, seed=5), expected)
        sync = SyncVectorEnv([lambda: make(kwargs, None)] * 3, autoreset_mode=mode)
        same(record(agent, sync, 11, seed=5), expected)
    # Row 3 j + i is trial j of the environment whose seed is 5 + i.
    for i in range(3):
        one = record(agent, make(kwargs, None), 4 if i < 2 else 3, seed=5 + i)
        for name in AXES:
            if (mine := getattr(one, name)) is not None:
                np.testing.assert_array_equal(mine, getattr(expected, name)[i::3], err_msg=name)


@pytest.mark.parametrize("kwargs", KWARGS)
@pytest.mark.parametrize("seed", [0, 1])
def test_recording_agrees_with_the_stream_and_with_score(kwargs: dict, seed: int) -> None:
    task = EvidenceTask(**kwargs)
    recording = record(Counter(task), make(kwargs, None), 20, seed=seed)
    trials = Stream(task, "test", seed).take(20)
    np.testing.assert_array_equal(recording.latents, trials.latents)
    np.testing.assert_array_equal(recording.labels, trials.labels)
    np.testing.assert_array_equal(recording.asked, trials.asked)
    assert recording.task == task
    # The state of a step has counted the observation of that step.
    rows, steps = np.nonzero(recording.valid)
    assert recording.hidden is not None
    np.testing.assert_array_equal(recording.hidden[rows, steps, 0], steps + 1)
    shown = np.cumsum(observe(trials)[:, :, 1], axis=1)
    np.testing.assert_allclose(recording.hidden[rows, steps, 2], shown[rows, steps], rtol=1e-5, atol=1e-5)
    assert np.isnan(recording.hidden[~recording.valid]).all()
    np.testing.assert_array_equal(recording.last_hidden()[:, 0], recording.valid.sum(axis=1))
    assert (recording.actions[~recording.valid] == -1).all()
    # Rewards and answers are what `score` makes of the actions.
    committed, reward, question = None, np.zeros_like(recording.rewards), LabelsAndTiming(trials.asked, trials.timing)
    for t in range(task.n_steps):
        outcome = score_step(task, question, t, np.maximum(recording.actions[:, t], 0), committed)
        committed, reward[:, t] = outcome.committed, outcome.reward
    np.testing.assert_allclose(recording.rewards[recording.valid], reward[recording.valid], atol=1e-12)
    assert (recording.rewards[~recording.valid] == 0).all()
    if committed is not None:
        np.testing.assert_array_equal(recording.response_steps, committed.response_steps)
        claim = reported_probability(task, committed.options)
        np.testing.assert_array_equal(recording.confidence, np.maximum(claim, 1 - claim))
        np.testing.assert_array_equal(recording.answers == 0, committed.options == 0)
    else:
        last = recording.actions[np.arange(20), recording.last_steps]
        np.testing.assert_array_equal(recording.answers > 0, response_options(task, last) == 2)
        assert recording.confidence is None


@pytest.mark.parametrize("mode", MODES)
def test_short_trials_are_not_over_represented(mode: str) -> None:
    class Extreme:
        """Answers at once where the first evidence is positive, else waits for the deadline."""

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.where((observation[:, :1] == 0) & (observation[:, 1:2] > 0), 1, np.zeros((1, 2), int)), None

    kwargs = {"payoff": "quadratic", "decision": 0, "n_tasks": 2, "encoder": None, "sigma": 1e-6, "stimulus": 30}
    recording = record(Extreme(), make(kwargs, 16, mode), 160, seed=3)
    expected = np.stack([Stream(EvidenceTask(**kwargs), "test", 3 + i).take(10).latents for i in range(16)], axis=1)
    np.testing.assert_array_equal(recording.latents, expected.reshape(160, 2))
    short = recording.latents[:, 0] > 0
    np.testing.assert_array_equal(recording.valid.sum(axis=1), np.where(short, 2, 31))
    assert recording.hidden is None
    assert recording.probabilities is None


@pytest.mark.parametrize("env_id", IDS)
def test_recurrent_ppo(env_id: str) -> None:
    from sb3_contrib import RecurrentPPO

    env = gym.make(env_id, split="test")
    model = RecurrentPPO(
        "MlpLstmPolicy", env, n_steps=8, seed=0, device="cpu", policy_kwargs={"lstm_hidden_size": 7, "n_lstm_layers": 2}
    )
    single = record(model, env, 3, seed=1)
    assert single.hidden is not None
    assert single.hidden.shape == (3, single.task.n_steps, 7)
    assert np.isfinite(single.hidden[single.valid]).all()
    assert single.probabilities is None
    vector = record(model, gym.make_vec(env_id, 2, split="test"), 4, seed=1)
    assert vector.hidden is not None
    np.testing.assert_array_equal(vector.latents[::2], single.latents[:2])
    np.testing.assert_allclose(vector.hidden[0][:2], single.hidden[0][:2], atol=1e-6)
    with pytest.raises(ValueError, match=r"made for observations of shape \(\d+,\); env shows \(3,\)"):
        record(model, make({"encoder": None}, None), 1, seed=0)


def test_bad_arguments() -> None:
    env = make({}, None)
    agent = Counter(EvidenceTask())
    with pytest.raises(ValueError, match="has no method predict"):
        record(SimpleNamespace(predict=3), env, 1, 0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="n_trials=0 is not a whole number, 1 or more"):
        record(agent, env, 0, 0)
    with pytest.raises(ValueError, match=r"seed=-1 is not a whole number, 0 or more"):
        record(agent, env, 1, -1)
    with pytest.raises(ValueError, match=r"env='CartPole' is neither a gymnasium\.Env nor"):
        inspect.unwrap(record)(agent, "CartPole", 1, 0)  # without the tests' own check of types
    with pytest.raises(ValueError, match="is not an environment of mtrnn_envs: it has no task"):
        record(agent, gym.make("CartPole-v1"), 1, 0)

    class Wide(Counter):
        def probabilities(self, state):
            return np.zeros((len(state), 7))

    with pytest.raises(ValueError, match=r"probabilities\(state\) is 7 wide; 24 answers are asked for"):
        record(Wide(EvidenceTask()), env, 1, 0)
    silent = record(Counter(EvidenceTask()), env, 1, 0)
    with pytest.raises(ValueError, match="no state that could be recorded"):
        dataclasses.replace(silent, hidden=None).last_hidden()


@pytest.mark.parametrize("kwargs", [KWARGS[0], KWARGS[1], KWARGS[5]])
def test_files_survive_and_hold_no_pickle(tmp_path, kwargs: dict) -> None:
    recording = record(Counter(EvidenceTask(**kwargs)), make(kwargs, 2), 6, seed=2)
    path = tmp_path / "new" / "recording.npz"
    recording.save(path)
    loaded = Recording.load(path)
    same(loaded, recording)
    assert loaded.metadata == recording.metadata
    assert loaded.metadata["split"] == "test"
    assert os.listdir(path.parent) == ["recording.npz"]
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file)


def test_a_recording_is_printed_in_a_few_lines() -> None:
    recording = record(Counter(EvidenceTask(**KWARGS[5])), make(KWARGS[5], 2), 6, seed=2)
    lines = repr(recording).splitlines()
    assert len(lines) <= 8
    for part in (
        repr(recording.task),
        "6, seed=2, split='test', n_envs=2",
        f"accuracy: {recording.correct.mean():.3f}",
    ):
        assert part in repr(recording)
    assert recording._repr_html_().count("<tr>") == len(lines) - 1
    assert "task: unknown" in repr(dataclasses.replace(recording, metadata={}))


def test_files_of_unknown_schemas_or_that_are_no_recordings_are_refused(tmp_path) -> None:
    path, recording = tmp_path / "recording.npz", record(Counter(EvidenceTask()), make({}, None), 1, seed=2)
    dataclasses.replace(recording, metadata={**recording.metadata, "schema": 99}).save(path)
    with pytest.raises(ValueError, match="has schema 99; this version reads schema 1 only"):
        Recording.load(path)
    np.savez(path, latents=recording.latents)
    with pytest.raises(ValueError, match=r"is not a whole recording: .*metadata"):
        Recording.load(path)
    np.savez(path, metadata=np.array('{"schema": 1}'))
    with pytest.raises(ValueError, match="it lacks valid, latents"):
        Recording.load(path)
    recording.save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"no archive at all", b"", whole[:300] + b"?" + whole[301:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"recording\.npz is not a whole recording"):
            Recording.load(path)


def test_agents_that_do_not_fit_are_refused_by_name() -> None:
    class Agent:
        def __init__(self, answer: Any, **methods: Any) -> None:
            self.__dict__.update(methods, answer=answer)

        def predict(self, observation, state=None, episode_start=None, deterministic=False) -> Any:
            return self.__dict__["answer"]

    right = np.zeros((1, 24), int), None
    for answer, message in (
        (None, r"agent\.predict gave None; \(action, state\) is needed"),
        ((np.int64(1), None), r"with actions for a whole batch"),
        ((np.zeros((1, 3), int), None), r"agent\.predict gave actions of shape \(1, 3\) for 1 environments"),
    ):
        with pytest.raises(ValueError, match=message):
            record(Agent(answer), make({}, None), 1, seed=0)
    with pytest.raises(ValueError, match=r"agent\.hidden\(state\) has shape \(5,\)"):
        record(Agent(right, hidden=lambda state: np.zeros(5)), make({}, None), 1, seed=0)
    with pytest.raises(ValueError, match=r"agent\.probabilities\(state\) has shape \(2, 24\)"):
        record(Agent(right, probabilities=lambda state: np.zeros((2, 24))), make({}, None), 1, seed=0)


def test_a_state_of_ones_own_shape_is_no_hidden_activity() -> None:
    """A pair of which one part holds others, as an agent may carry: it is handed back, and nothing is read from it."""

    class Nested:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros((len(observation), 3), int), ((1, np.zeros((2, 2))), None)

    assert record(Nested(), gym.make("MultiTaskEvidence-v0", n_tasks=3), 2, seed=0).hidden is None


def test_an_agent_of_another_kind_of_task_is_refused(rng) -> None:
    agent = RandomAgent(EvidenceTask(n_tasks=3), rng)
    with pytest.raises(ValueError, match=r"agent\.task has payoff='share', n_tasks=3, env\.task payoff='quadratic'"):
        record(agent, gym.make("MultiTaskEvidenceRT-v0", n_tasks=3), 2, seed=0)


def test_environments_that_break_off_or_hide_the_cue_are_refused() -> None:
    agent = Counter(EvidenceTask(stimulus=(3, 6)))
    with pytest.raises(ValueError, match="truncates trials; whole trials are recorded"):
        record(agent, gym.make("MultiTaskEvidence-v0", stimulus=(3, 6), max_episode_steps=2), 1, seed=0)
    env = gym.make("MultiTaskEvidence-v0", stimulus=(3, 6))
    inverted = gym.wrappers.TransformObservation(env, lambda seen: -seen, env.observation_space)
    with pytest.raises(ValueError, match="the cue must reach here as 0 or 1"):
        record(agent, inverted, 1, seed=0)


def test_an_interrupted_write_leaves_the_old_file(tmp_path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_xarray(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = record(Counter(EvidenceTask(n_tasks=3)), make({"n_tasks": 3}, None), 2, seed=2)
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match="pip install xarray"):
        recording.to_xarray()

    class Stub:
        @staticmethod
        def Dataset(variables, coordinates, attributes):
            return variables, coordinates, attributes

    monkeypatch.setitem(sys.modules, "xarray", Stub)
    variables, coordinates, attributes = recording.to_xarray()
    for name, (axes, values) in variables.items():
        assert axes[0] == "trial", name
        assert values.ndim == len(axes), name
    assert coordinates["time"][1][-1] == 2100
    assert json.loads(attributes["metadata"]) == recording.metadata


@pytest.mark.parametrize("kwargs", KWARGS)
@pytest.mark.parametrize(("n_envs", "n_trials"), [(None, 3), (4, 4), (3, 8), (5, 2)])
def test_the_trials_of_a_recording_can_be_drawn_once_more(kwargs: dict, n_envs: int | None, n_trials: int) -> None:
    env = make(kwargs, n_envs)
    recording = record(Counter(task_of(env)), env, n_trials, seed=11)
    trials = recording.trials()
    assert np.array_equal(trials.labels, recording.labels)
    seen = np.zeros(n_trials)
    for row, shown in enumerate(observe(trials)):  # the agent's state is the sum of what it was shown
        seen[row] = shown[: recording.last_steps[row] + 1, 1].sum()
    assert recording.hidden is not None
    assert recording.last_hidden()[:, 2] == pytest.approx(seen, abs=1e-5)


def test_trials_that_were_drawn_otherwise_are_not_given() -> None:
    env = make(KWARGS[0], 2)
    recording = record(Counter(task_of(env)), env, 4, seed=11)
    for name, value, match in [
        ("seed", 12, "have other latents than were recorded"),
        ("split", None, "split=None"),
        ("n_envs", None, "n_envs=None"),
    ]:
        other = dataclasses.replace(recording, metadata={**recording.metadata, name: value})
        with pytest.raises(ValueError, match=match):
            other.trials()
