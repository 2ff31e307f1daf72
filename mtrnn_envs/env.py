"""The environment: a cursor over the trials of a stream. The pay-off of the task decides which kind it is."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from mtrnn_envs.rendering import Frame, Window, draw
from mtrnn_envs.score import Question, action_sizes, levels, open_commitments, score, sides, verdict
from mtrnn_envs.seeding import generator
from mtrnn_envs.stream import block_size, shown_task
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Timing, Trials, observe, sample


def observation_space(task: EvidenceTask) -> spaces.Box:
    """The cue in [0, 1], the evidence without bounds (its noise has none), the one-hot context in [0, 1]."""
    low, high = np.zeros(task.n_features, np.float32), np.ones(task.n_features, np.float32)
    low[1 : 1 + task.n_evidence], high[1 : 1 + task.n_evidence] = -np.inf, np.inf
    return spaces.Box(low, high, dtype=np.float32)


def action_space(task: EvidenceTask) -> spaces.Space[Any]:
    """One component for each answer (see `mtrnn_envs.score.action_sizes`); `Discrete` where there is only one."""
    sizes = action_sizes(task)
    if task.action_encoding == "multi_binary":
        return spaces.MultiBinary(len(sizes))
    return spaces.Discrete(sizes[0]) if task.cueing == "one" and len(sizes) == 1 else spaces.MultiDiscrete(sizes)


def seeded(seed: int | None, split: str) -> tuple[np.random.Generator, int]:
    """The generator of the stream of `split` under `seed` (drawn from the system if None), and the seed.

    Raises:
        ValueError: if `seed` is not a whole number of 0 or more.
    """
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    elif isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed={seed!r} is not a whole number, 0 or more")
    return generator(int(seed), split), int(seed)


def checked_render_mode(mode: str | None, allowed: list[str]) -> str | None:
    """`mode`, if it is None or one of `allowed`; else `ValueError`."""
    if mode is not None and mode not in allowed:
        raise ValueError(f"render_mode={mode!r} is not one of {[None, *allowed]}")
    return mode


class EvidenceEnv(gym.Env[np.ndarray, Any]):
    """PAGE"""

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 10}

    def __init__(self, *, render_mode: str | None = None, split: str = "train", **fields: Any) -> None:
        self.task = EvidenceTask.from_fields(fields)
        self.split = split
        self.render_mode = checked_render_mode(render_mode, self.metadata["render_modes"])
        self.observation_space = observation_space(self.task)
        self.action_space = action_space(self.task)
        self._shown = shown_task(self.task, split)
        # Steps before `go` need no look at the action, unless early answers or the passing of time cost something.
        self._heeds_all = self.task.reaction_time or self.task.withhold
        self._window: Window | None = None
        self._block: Trials | None = None
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begins the next trial of the stream; with `seed`, the first trial of the stream of that seed."""
        if seed is not None or self._np_random is None:
            self._np_random, self._np_random_seed = seeded(seed, self.split)
            self._block = None
        self._begin_trial()
        info = {"latents": self._trials.latents[self._row].copy(), "labels": self._trials.labels[self._row].copy()}
        if self._trials.context is not None:
            info["context"] = int(self._trials.context[self._row])
        if self.render_mode == "human":
            self.render()
        return self._observations[0], info

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Answers the last observation with `action`; gives the next one."""
        t = self._t
        self._t = t + 1
        if t < self._first_heeded:
            if self.render_mode == "human":
                self.render()
            return self._observations[t + 1], 0.0, False, False, {}
        return self._step_heeded(t, action)

    def render(self) -> Any:
        """A picture of the trial so far (`[480, 640, 3]` uint8), or None after showing it in a window."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: gym.make(..., render_mode='rgb_array')")
            return None
        picture = draw(frame(self._trials, self._row, self._t, self._answers))
        if self.render_mode == "rgb_array":
            return picture
        if self._window is None:
            self._window = Window()
        self._window.show(picture, self.metadata["render_fps"])
        return None

    def close(self) -> None:
        """Closes the window, if one is open."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _begin_trial(self) -> None:
        if self._block is None or self._row + 1 == len(self._block):
            self._block = sample(self._shown, block_size(self._shown), self._np_random)
            self._shows = observe(self._block)
            self._row = -1
        self._row += 1
        self._trials, self._observations = self._block, self._shows[self._row]
        row, when = slice(self._row, self._row + 1), self._block.timing
        if self._block.lengths is not None:
            when = Timing(*(v[row] for v in when))
        self._question = Question(self._block.asked[row], when)
        self._first_heeded = 0 if self._heeds_all else int(np.asarray(when.go).item())
        self._committed = open_commitments(1, self.task.n_answers) if self.task.reaction_time else None
        self._answers = None
        self._t, self._over = 0, False

    def _step_heeded(self, t: int, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """A step on which the action may count."""
        if self._over:
            raise gym.error.ResetNeeded("this trial has ended: call reset() before the next step()")
        actions = as_actions(action, (1, len(action_sizes(self.task))))
        outcome = score(self.task, self._question, t, actions, self._committed)
        self._committed, self._over = outcome.committed, bool(outcome.ended[0])
        info: dict[str, Any] = {}
        if self._over or (t >= self._question.timing.go and not self.task.reaction_time):
            paid = verdict(self.task, self._question, outcome)
            info = {"task_reward": paid.task_reward[0], "correct": paid.correct[0]}
            if outcome.committed is not None:
                info["response_step"] = outcome.committed.response_steps[0]
        observation = np.zeros(self.task.n_features, np.float32) if self._over else self._observations[t + 1]
        if self.render_mode is not None:
            level = levels(self.task, actions) if outcome.committed is None else outcome.committed.levels
            self._answers = sides(self.task, level)[0]
            if self.render_mode == "human":
                self.render()
        return observation, float(outcome.reward[0]), self._over, False, info


def as_actions(action: Any, shape: tuple[int, int]) -> np.ndarray:
    """Actions as an integer array `[N, M]`.

    Raises:
        ValueError: if they are not whole numbers, or not as many as are needed.
    """
    actions = np.asarray(action)
    if actions.dtype.kind not in "iub":
        raise ValueError(f"action={action!r} is not made of whole numbers")
    if actions.size != shape[0] * shape[1]:
        raise ValueError(f"action={action!r} has {actions.size} components; {shape[0]} x {shape[1]} are needed")
    return actions.reshape(shape)


def frame(trials: Trials, row: int, t: int, answers: np.ndarray | None) -> Frame:
    """What a picture of the trial in `row` shows at step `t`, its answers so far being `answers`."""
    one = trials[row : row + 1]
    when = Timing(*(int(np.asarray(v).item()) for v in one.timing))
    return Frame(
        task=trials.task,
        latents=one.latents[0],
        labels=one.labels[0],
        evidence=one.evidence[0, : min(max(t + 1 - when.stimulus_on, 0), when.stimulus_off - when.stimulus_on)],
        cue=float(t < when.go),
        step=t,
        n_steps=when.end,
        answers=answers,
        context=None if one.context is None else int(one.context[0]),
    )
