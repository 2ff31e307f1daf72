"""The native vector environment: many cursors, each over the stream of its own seed, stepped together."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mtrnn_envs.environments.env import action_space, as_actions, checked_render_mode, frame, observation_space
from mtrnn_envs.environments.lockstep import March
from mtrnn_envs.environments.rendering import draw as draw_picture
from mtrnn_envs.reward import (
    Commitments,
    LabelsAndTiming,
    Outcome,
    choices,
    open_commitments,
    response_options,
    score,
    task_outcomes,
)
from mtrnn_envs.rng.seeding import generator, seeded
from mtrnn_envs.stream import block_size, shown_task
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import allocate, draw, observe, timing_of
from mtrnn_envs.utils.validation import check_int

METADATA: dict[str, Any] = {
    "render_modes": ["rgb_array"],
    "render_fps": 10,
    "autoreset_mode": AutoresetMode.SAME_STEP,
}


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

    metadata: dict[str, Any] = METADATA

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        split: str = "train",
        **fields: Any,
    ) -> None:
        self.num_envs = check_int("num_envs", num_envs, 1)
        modes = [mode.value for mode in AutoresetMode]
        if not isinstance(autoreset_mode, AutoresetMode) and autoreset_mode not in modes:
            raise ValueError(f"autoreset_mode={autoreset_mode!r} is not an AutoresetMode nor one of {modes}")
        self.task = EvidenceTask.from_fields(fields)
        self.split = split
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
        # A block of trials for each environment, trial r of environment i in row r n + i, so that those which go on
        # together lie together; and where each environment is in its own. All are at the end until drawn.
        self._block_size = block_size(shown)
        self._blocks = allocate(shown, self._block_size * n, generator(0, split))
        self._fresh = allocate(shown, self._block_size, generator(0, split))
        self._rows = np.full(n, self._block_size - 1)
        # The trials that are on: what is asked, at which step each is, whether it has ended, what it was answered.
        self._asked = np.zeros((n, shown.n_answers), np.int8)
        self._lengths = None if shown.periods is not None else np.zeros((n, 4), np.int64)
        self._t = np.zeros(n, np.int64)
        self._over = np.ones(n, bool)
        self._committed = open_commitments(n, shown.n_answers) if shown.reaction_time else None
        self._answers = np.zeros((n, shown.n_answers), np.int8)
        # Trials that all begin and end together march: their observations are handed out without a copy. Others are
        # entered into a schedule, a ring over time in which slot `_now` is the present.
        self._can_march = (
            shown.periods is not None
            and not shown.reaction_time
            and not shown.withhold
            and self.autoreset_mode is AutoresetMode.SAME_STEP
        )
        self._march: March | None = None
        self._schedule = np.zeros((n, shown.n_steps, shown.n_features), np.float32)
        self._now = 0

    @property
    def np_random(self) -> tuple[np.random.Generator | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The generators of the environments."""
        return tuple(self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The seeds of the environments; -1 before the first reset."""
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins a new trial in every environment, or in those of `options["reset_mask"]`.

        With `seed`, environment i starts the stream of `seed + i`, or of `seed[i]` if it is a list.
        """
        seeds = [None] * self.num_envs if seed is None else seed
        if not isinstance(seeds, list | tuple | np.ndarray):
            seeds = [check_int("seed", seeds, 0) + i for i in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed={seed!r} has {len(seeds)} numbers for num_envs={self.num_envs}")
        seeds = [None if one is None else check_int("seed", one, 0) for one in seeds]  # all, before any is used
        rows = self._reset_rows(options)
        for i in rows.tolist():
            if seeds[i] is not None or self._generators[i] is None:
                self._generators[i], self._seeds[i] = seeded(seeds[i], self.split)
                self._rows[i] = self._block_size - 1
        if self._can_march and len(rows) == self.num_envs:
            self._march = None  # what it has loaded may be of other seeds
            return self._march_on()
        if self._march is not None:
            self._leave_march(self._march)
        infos = self._begin(rows)
        return self._present(), infos

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Answers the last observations; gives the next ones. Actions on steps that do not count are not looked at."""
        march = self._march
        if march is None:
            return self._step_apart(actions)
        if not march.quiet:
            return self._step_marching(march, actions)
        observations, rewards, terminations, truncations = march.quiet.pop()
        return observations, rewards, terminations, truncations, {}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of every environment, each `[480, 640, 3]` uint8."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: gym.make_vec(..., render_mode='rgb_array')")
            return None
        if self._generators[0] is None:
            raise gym.error.ResetNeeded("no trial is on: call reset() before render()")
        trials = self._blocks[self._rows * self.num_envs + np.arange(self.num_envs)]
        steps = self._t if self._march is None else [self._march.t] * self.num_envs
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

    def _advance(self, rows: np.ndarray) -> None:
        """Moves the environments `rows` on to the next trial of their streams."""
        self._rows[rows] += 1
        for i in rows[self._rows[rows] == self._block_size].tolist():
            draw(self._fresh, self._generators[i])
            self._blocks.put(slice(i, None, self.num_envs), self._fresh)
            self._rows[i] = 0

    # Trials that march.

    def _march_on(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins the next trial of all environments; gives their observations and infos."""
        if self._march is None:
            self._march = March(self.task, self.num_envs)
        if self._march.n_left:
            self._rows += 1
        else:
            everyone = np.arange(self.num_envs)
            self._advance(everyone)
            first, last = int(self._rows.min()), int(self._rows.max())
            n_trials = min(self._march.capacity, self._block_size - last)
            rows = (first + np.arange(n_trials)[:, None]) * self.num_envs + everyone
            if first == last:  # as from the first step on, unless some were reset alone
                self._march.load(self._blocks[rows[0, 0] : rows[-1, -1] + 1])
            else:
                self._march.load(self._blocks[(rows + (self._rows - first) * self.num_envs).ravel()])
        self._answers[...] = 0
        told = self._march.next()
        return self._march.observations[0], self._spread(None, told)

    def _leave_march(self, march: March) -> None:
        """Goes on with the marching trials each by itself."""
        self._now = 0
        self._schedule[:, : self.task.n_steps - march.t] = march.observations[march.t :].swapaxes(0, 1)
        self._asked[...] = march.asked
        self._t[...] = march.t
        self._over[...] = False
        self._march = None

    def _step_marching(
        self, march: March, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """A decision step of all trials."""
        question = LabelsAndTiming(march.asked, self.task.timing)
        actions = as_actions(self.task, actions, (self.num_envs,))
        outcome = score(self.task, question, march.t, actions)
        told = self._spread(None, task_outcomes(self.task, question, outcome)._asdict())
        truncations = np.zeros(self.num_envs, bool)
        march.decided += 1
        if march.t < self.task.n_steps:
            self._remember(actions, outcome)
            return march.observations[march.t], outcome.reward, outcome.ended, truncations, told
        infos = self._final(None, told)
        observations, begun = self._march_on()
        return observations, outcome.reward, outcome.ended, truncations, infos | begun

    # Trials that each go their own way.

    def _present(self) -> np.ndarray:
        """The observations that the schedule has for now."""
        return self._schedule[:, self._now].copy()

    def _begin(self, rows: np.ndarray) -> dict[str, Any]:
        """Begins the next trial of the environments `rows`; gives their infos."""
        self._advance(rows)
        trials = self._blocks[self._rows[rows] * self.num_envs + rows]
        observations, ahead = observe(trials), self.task.n_steps - self._now
        self._schedule[rows, self._now :] = observations[:, :ahead]
        self._schedule[rows, : self._now] = observations[:, ahead:]
        self._asked[rows] = trials.asked
        if self._lengths is not None and trials.lengths is not None:
            self._lengths[rows] = trials.lengths
        if self._committed is not None:
            self._committed.options[rows] = 0
            self._committed.response_steps[rows] = 0
            self._committed.n_open[rows] = self.task.n_answers
        self._answers[rows] = 0
        self._t[rows] = 0
        self._over[rows] = False
        values = {"latents": trials.latents, "labels": trials.labels}
        if trials.context is not None:
            values["context"] = trials.context
        return self._spread(rows, values)

    def _step_apart(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """A step of trials that are each at a step of their own."""
        same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        actions = as_actions(self.task, actions, (self.num_envs,))
        stale = np.flatnonzero(self._over)
        if len(stale):
            if self._generators[0] is None:
                raise gym.error.ResetNeeded("no trial is on: call reset() before step()")
            if self.autoreset_mode is not AutoresetMode.NEXT_STEP:
                raise gym.error.ResetNeeded("trials have ended: reset(options={'reset_mask': ...}) them before step()")
            actions = actions.copy()
            actions[stale] = 0
        question = LabelsAndTiming(self._asked, timing_of(self.task, self._lengths))
        outcome = score(self.task, question, self._t, actions, self._committed)
        self._committed = outcome.committed
        reward, ended = outcome.reward, outcome.ended
        reward[stale], ended[stale] = 0, False
        self._remember(actions, outcome)
        rows = ending = np.flatnonzero(ended)
        if not self.task.reaction_time:
            decided = (self._t >= question.timing.go) & ~self._over
            rows = np.flatnonzero(decided & ~ended if same_step else decided)
        infos = {}
        if len(rows) and not (same_step and self.task.reaction_time):
            infos = self._verdicts(rows, outcome)
        if same_step and len(ending):
            infos |= self._final(ending, self._verdicts(ending, outcome))
        self._t += 1
        self._now = (self._now + 1) % self.task.n_steps
        begin = ending if same_step else stale
        if not same_step:
            self._over[ending] = True
            self._schedule[ending, self._now] = 0
        if len(begin):
            infos |= self._begin(begin)
        return self._present(), reward, ended, np.zeros(self.num_envs, bool), infos

    # What is told.

    def _remember(self, actions: np.ndarray, outcome: Outcome) -> None:
        """Keeps the answers for pictures."""
        if self.render_mode is not None:
            level = response_options(self.task, actions) if outcome.committed is None else outcome.committed.options
            self._answers = choices(self.task, level)

    def _verdicts(self, rows: np.ndarray, outcome: Outcome) -> dict[str, Any]:
        """What is told of the decisions of the environments `rows`."""
        lengths = None if self._lengths is None else self._lengths[rows]
        question = LabelsAndTiming(self._asked[rows], timing_of(self.task, lengths))
        committed = outcome.committed
        if committed is not None:
            committed = Commitments(*(part[rows] for part in committed))
        here = Outcome(outcome.reward, outcome.ended, committed, *(None if v is None else v[rows] for v in outcome[3:]))
        values = task_outcomes(self.task, question, here)._asdict()
        if committed is not None:
            values["response_step"] = committed.response_steps
        return self._spread(rows, values)

    def _final(self, rows: np.ndarray | None, told: dict[str, Any]) -> dict[str, Any]:
        """The last observations (zeros) and infos of trials that ended, as SAME_STEP gives them."""
        mask = self._mask(rows)
        last = np.zeros((self.num_envs if rows is None else len(rows), self.task.n_features), np.float32)
        final = np.fromiter(last, object, len(last))
        if rows is not None:
            some, final = final, np.full(self.num_envs, None, object)
            final[rows] = some
        return {"final_obs": final, "_final_obs": mask, "final_info": told, "_final_info": mask.copy()}

    def _spread(self, rows: np.ndarray | None, values: dict[str, np.ndarray]) -> dict[str, Any]:
        """Infos of some environments (or of all: None) in arrays for all, each with its mask, as Gymnasium wants."""
        infos: dict[str, Any] = {}
        for key, value in values.items():
            infos[key] = value
            if rows is not None:
                infos[key] = np.zeros((self.num_envs, *value.shape[1:]), value.dtype)
                infos[key][rows] = value
            infos[f"_{key}"] = self._mask(rows)
        return infos

    def _mask(self, rows: np.ndarray | None) -> np.ndarray:
        if rows is None:
            return np.ones(self.num_envs, bool)
        mask = np.zeros(self.num_envs, bool)
        mask[rows] = True
        return mask
