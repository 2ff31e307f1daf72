"""The native vector environment: many cursors, each over the stream of its own seed, stepped together."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mtrnn_envs import boundaries
from mtrnn_envs.encoder import encode
from mtrnn_envs.env import action_space, as_actions, checked_render_mode, frame, observation_space, seeded
from mtrnn_envs.noise import shape_noise
from mtrnn_envs.rendering import draw as draw_picture
from mtrnn_envs.score import Commitments, Outcome, Question, action_sizes, levels, score, sides, verdict
from mtrnn_envs.stream import block_size, shown_task
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, allocate, asked, draw, evidence, observe, timing


class EvidenceVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many `EvidenceEnv` in one: the same observations, rewards and infos as `SyncVectorEnv` of them, bit for bit.

    Environment i owns the stream of `seed + i`. What it shows and pays is described at `EvidenceEnv`.

    Arguments:
        num_envs: the number of environments.
        autoreset_mode: `AutoresetMode` or its value: "SameStep" (the default: the step that ends a trial gives the
            first observation of the next, and the last one in `info["final_obs"]`), "NextStep" or "Disabled"
            (then `reset(options={"reset_mask": mask})` begins new trials).
        render_mode: None or "rgb_array"; `render()` gives a tuple of pictures.
        split: "train", "validation" or "test".
        fields: the fields of `EvidenceTask`.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 10,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        split: str = "train",
        **fields: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
            raise ValueError(f"num_envs={num_envs!r} is not a whole number, 1 or more")
        modes = [mode.value for mode in AutoresetMode]
        if not isinstance(autoreset_mode, AutoresetMode) and autoreset_mode not in modes:
            raise ValueError(f"autoreset_mode={autoreset_mode!r} is not an AutoresetMode nor one of {modes}")
        self.task = EvidenceTask.from_fields(fields)
        self.split = split
        self.num_envs = int(num_envs)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = checked_render_mode(render_mode, self.metadata["render_modes"])
        self.single_observation_space = observation_space(self.task)
        self.single_action_space = action_space(self.task)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

        n, shown = self.num_envs, shown_task(self.task, split)
        self._generators: list[np.random.Generator | None] = [None] * n
        self._seeds: list[int] = [-1] * n
        # A block of trials for each environment, and where it is in it; all are at its end until drawn.
        self._blocks = allocate(shown, (n, block_size(shown)), np.random.Generator(np.random.SFC64(0)))
        self._rows = np.full(n, block_size(shown) - 1)
        self._t = np.zeros(n, np.int64)
        self._over = np.ones(n, bool)
        # What is to be known of the trials that are on; their noise is read from the blocks.
        self._latents = np.zeros((n, shown.n_dims))
        self._asked = np.zeros((n, shown.n_answers), np.int8)
        self._context = None if self._blocks.context is None else np.zeros(n, np.int64)
        self._lengths = None if self._blocks.lengths is None else np.zeros((n, 4), np.int64)
        self._committed: Commitments | None = None
        if shown.reaction_time:
            self._committed = Commitments(np.zeros_like(self._asked), np.zeros(self._asked.shape, np.int64))
        self._answers = np.zeros_like(self._asked)
        # Where all trials begin and end together, their observations are made for whole trials at a time.
        self._can_march = (
            self._lengths is None
            and not shown.reaction_time
            and not shown.withhold
            and self.autoreset_mode is AutoresetMode.SAME_STEP
        )
        self._march: _March | None = None

    @property
    def np_random(self) -> tuple[np.random.Generator | None, ...]:
        """The generators of the environments."""
        return tuple(self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:
        """The seeds of the environments; -1 before the first reset."""
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins a new trial in every environment, or in those of `options["reset_mask"]`.

        With `seed`, environment i starts the stream of `seed + i`, or of `seed[i]` if it is a list.
        """
        seeds = [None] * self.num_envs if seed is None else seed
        if isinstance(seeds, int | np.integer):
            seeds = [int(seeds) + i for i in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed={seed!r} has {len(seeds)} numbers for num_envs={self.num_envs}")
        rows = self._reset_rows(options)
        for i in rows.tolist():
            if seeds[i] is not None or self._generators[i] is None:
                self._generators[i], self._seeds[i] = seeded(seeds[i], self.split)
                self._rows[i] = self._blocks.latents.shape[1] - 1
        infos = self._begin(rows)
        if self._can_march and len(rows) == self.num_envs:
            self._march = _March(self._trials())
            return self._march.observations[0], infos
        self._march = None
        return self._observe(), infos

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Answers the last observations; gives the next ones. Actions on steps that do not count are not looked at."""
        march = self._march
        if march is None or march.t >= march.go:
            return self._step_heeded(actions)
        t = march.t
        march.t = t + 1
        return march.observations[t + 1], march.rewards[t], march.terminations[t], march.truncations[t], {}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of every environment, each `[480, 640, 3]` uint8."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: gym.make_vec(..., render_mode='rgb_array')")
            return None
        trials, steps = self._trials(), self._steps()
        return tuple(draw_picture(frame(trials, i, int(steps[i]), self._answers[i])) for i in range(self.num_envs))

    def _reset_rows(self, options: dict[str, Any] | None) -> np.ndarray:
        """The environments to reset."""
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.arange(self.num_envs)
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask']={mask!r} is not a boolean array of shape ({self.num_envs},) with a True in it"
            )
        if any(generator is None for generator, hit in zip(self._generators, mask, strict=True) if not hit):
            raise gym.error.ResetNeeded("call reset() without a reset_mask first")
        return np.flatnonzero(mask)

    def _begin(self, rows: np.ndarray) -> dict[str, Any]:
        """Begins the next trial of the environments `rows`; gives their infos."""
        self._t[...] = self._steps()
        self._rows[rows] += 1
        block = self._blocks.latents.shape[1]
        for i in rows[self._rows[rows] == block].tolist():
            trials = self._blocks[i]
            draw(trials, self._generators[i])
            shape_noise(self.task, trials.noise)
            self._rows[i] = 0
        at = rows, self._rows[rows]
        latents = self._blocks.latents[at]
        labels = boundaries.labels(self.task.boundary, latents)
        values = {"latents": latents, "labels": labels}
        self._latents[rows] = latents
        if self._context is not None:
            self._context[rows] = values["context"] = self._blocks.context[at]
        if self._lengths is not None:
            self._lengths[rows] = self._blocks.lengths[at]
        self._asked[rows] = asked(labels, values.get("context"))
        if self._committed is not None:
            for part in self._committed:
                part[rows] = 0
        self._answers[rows] = 0
        self._t[rows] = 0
        self._over[rows] = False
        return self._spread(rows, values)

    def _step_heeded(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """A step on which actions may count."""
        march, over = self._march, self._over.copy()
        actions = as_actions(actions, (self.num_envs, len(action_sizes(self.task))))
        if over.any():
            if self.autoreset_mode is not AutoresetMode.NEXT_STEP:
                raise gym.error.ResetNeeded("trials have ended: reset(options={'reset_mask': ...}) them before step()")
            actions = np.where(over[:, None], 0, actions)
        question = Question(self._asked, timing(self.task, self._lengths))
        t = self._t if march is None else march.t
        outcome = score(self.task, question, t, actions, self._committed)
        reward, ended = np.where(over, 0, outcome.reward), outcome.ended & ~over
        self._committed = outcome.committed
        if self.render_mode is not None:
            level = levels(self.task, actions) if outcome.committed is None else outcome.committed.levels
            self._answers = sides(self.task, level)
        decided = ended if self.task.reaction_time else (t >= question.timing.go) & ~over
        same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        infos = self._verdicts(np.flatnonzero(decided & ~ended if same_step else decided), outcome)
        if march is None:
            self._t += 1
        else:
            march.t += 1
        if same_step:
            rows = np.flatnonzero(ended)
            if len(rows):
                infos |= self._final(rows, outcome)
                infos |= self._begin(rows)
                if march is not None:
                    self._march = march = _March(self._trials())
        else:
            if over.any():
                infos |= self._begin(np.flatnonzero(over))
            self._over |= ended
        observations = self._observe() if march is None else march.observations[march.t]
        return observations, reward, ended, np.zeros(self.num_envs, bool), infos

    def _steps(self) -> np.ndarray:
        """The step that each environment is at."""
        return self._t if self._march is None else np.full(self.num_envs, self._march.t)

    def _trials(self) -> Trials:
        """The trials that are on."""
        at = np.arange(self.num_envs), self._rows
        extra = self._blocks.encoder_noise
        return Trials(
            self.task,
            self._latents,
            self._blocks.noise[at],
            None if extra is None else extra[at],
            self._lengths,
            self._context,
        )

    def _observe(self) -> np.ndarray:
        """The observations of trials that are each at a step of its own."""
        task, when = self.task, timing(self.task, self._lengths)
        t, n_samples = self._t, task.longest.stimulus
        out = np.zeros((self.num_envs, task.n_features), np.float32)
        out[:, 0] = t < when.go
        at = np.arange(self.num_envs) * self._blocks.latents.shape[1] + self._rows
        at = at * n_samples + np.clip(t - when.stimulus_on, 0, n_samples - 1)
        silent = (t < when.stimulus_on) | (t >= when.stimulus_off)
        shown = evidence(task, self._latents, self._blocks.noise.reshape(-1, task.n_dims).take(at, axis=0))
        shown[silent] = 0
        if task.encoder is not None:
            shown = encode(task, shown)
            if (extra := self._blocks.encoder_noise) is not None:
                noise = extra.reshape(-1, extra.shape[-1])[at] * np.float32(task.encoder_noise)
                shown += np.where(silent[:, None], 0, noise)
        out[:, 1 : 1 + task.n_evidence] = shown
        if self._context is not None:
            out[np.arange(self.num_envs), 1 + task.n_evidence + self._context] = 1
        if self._over.any():
            out[self._over] = 0
        return out

    def _final(self, rows: np.ndarray, outcome: Outcome) -> dict[str, Any]:
        """The last observations (zeros) and infos of trials that ended, as SAME_STEP gives them."""
        last = np.zeros((len(rows), self.task.n_features), np.float32)
        final, mask = np.full(self.num_envs, None, object), np.zeros(self.num_envs, bool)
        final[rows] = np.fromiter(last, object, len(rows))
        mask[rows] = True
        info = self._verdicts(rows, outcome)
        return {"final_obs": final, "_final_obs": mask, "final_info": info, "_final_info": mask.copy()}

    def _verdicts(self, rows: np.ndarray, outcome: Outcome) -> dict[str, Any]:
        """What is told of the decisions of the environments `rows`."""
        if not len(rows):
            return {}
        lengths = None if self._lengths is None else self._lengths[rows]
        question = Question(self._asked[rows], timing(self.task, lengths))
        committed, correct = outcome.committed, outcome.correct
        if committed is not None:
            committed = Commitments(*(part[rows] for part in committed))
        here = Outcome(outcome.reward, outcome.ended, committed, None if correct is None else correct[rows])
        values = verdict(self.task, question, here)._asdict()
        if committed is not None:
            values["response_step"] = committed.response_steps
        return self._spread(rows, values)

    def _spread(self, rows: np.ndarray, values: dict[str, np.ndarray]) -> dict[str, Any]:
        """Infos of some environments in arrays for all, each with its mask, as Gymnasium wants them."""
        infos: dict[str, Any] = {}
        for key, value in values.items():
            infos[key] = np.zeros((self.num_envs, *value.shape[1:]), value.dtype)
            infos[key][rows] = value
            infos[f"_{key}"] = np.zeros(self.num_envs, bool)
            infos[f"_{key}"][rows] = True
        return infos


class _March:
    """A trial of every environment, all with the same periods and at the same step."""

    def __init__(self, trials: Trials) -> None:
        task, n = trials.task, len(trials)
        self.t, self.go = 0, trials.timing.go
        # Time comes first, so that a step hands out a contiguous row. Every trial has new memory: users keep rows.
        self.observations = np.empty((task.n_steps, n, task.n_features), np.float32)
        observe(trials, self.observations.transpose(1, 0, 2))
        self.rewards = np.zeros((self.go, n))
        self.terminations = np.zeros((self.go, n), bool)
        self.truncations = np.zeros((self.go, n), bool)
