"""The native vector environment: many environments, each with the stream of its own seed, stepped together."""

from __future__ import annotations

from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mtrnn_envs.environments.lockstep import Lockstep
from mtrnn_envs.environments.rendering import checked_render_mode, draw
from mtrnn_envs.environments.spaces import Infos, action_space, as_actions, observation_space
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
from mtrnn_envs.rng.seeding import seeded
from mtrnn_envs.stream import Streams
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import observe, timing_of
from mtrnn_envs.utils.validation import check_int

Step: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Infos]

METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10, "autoreset_mode": AutoresetMode.SAME_STEP}


class EvidenceVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many `EvidenceEnv` in one: observations, rewards and infos are bit-identical to `SyncVectorEnv` of them.

    Environment i has the stream of `seed + i`. Observations, actions and rewards are described at `EvidenceEnv`.

    Arguments:
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

        self._streams = Streams(self.task, split, self.num_envs)
        self._seeds: list[int] = [-1] * self.num_envs
        n, shown = self.num_envs, self._streams.task
        # The present trials: the labels asked, the step of each, whether it has ended, and its answers.
        self._asked = np.zeros((n, shown.n_answers), np.int8)
        self._lengths = None if shown.periods is not None else np.zeros((n, 4), np.int64)
        self._t = np.zeros(n, np.int64)
        self._over = np.ones(n, bool)
        self._committed = open_commitments(n, shown.n_answers) if shown.reaction_time else None
        self._answers = np.zeros((n, shown.n_answers), np.int8)
        # Trials that all begin and end together run in lockstep: their observations are returned without a copy. Others
        # are entered into a schedule, a ring over time in which slot `_now` is the present.
        self._in_step = (
            shown.periods is not None
            and not shown.reaction_time
            and not shown.withhold
            and self.autoreset_mode is AutoresetMode.SAME_STEP
        )
        self._lockstep: Lockstep | None = None
        self._schedule = np.zeros((n, shown.n_steps, shown.n_features), np.float32)
        self._now = 0

    @property
    def np_random(self) -> tuple[np.random.Generator | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The generators of the environments."""
        return tuple(self._streams.generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The seeds of the environments; -1 before the first reset."""
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, Infos]:
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
            if seeds[i] is not None or self._streams.generators[i] is None:
                rng, self._seeds[i] = seeded(seeds[i], self.split)
                self._streams.start(i, rng)
        if self._in_step and len(rows) == self.num_envs:
            self._lockstep = None  # the trials that it has loaded may be of other seeds
            return self._next_in_lockstep()
        if self._lockstep is not None:
            self._leave_lockstep(self._lockstep)
        infos = self._begin(rows)
        return self._schedule[:, self._now].copy(), infos

    def step(self, actions: np.ndarray) -> Step:
        """Answers the last observations; gives the next ones. Actions on steps that do not count are ignored."""
        lockstep = self._lockstep
        if lockstep is None:
            return self._step_apart(actions)
        if not lockstep.quiet:
            return self._step_in_lockstep(lockstep, actions)
        observations, rewards, terminations, truncations = lockstep.quiet.pop()
        return observations, rewards, terminations, truncations, {}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of every environment, each `[480, 640, 3]` uint8."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: gym.make_vec(..., render_mode='rgb_array')")
            return None
        if self._streams.generators[0] is None:
            raise gym.error.ResetNeeded("no trial is on: call reset() before render()")
        everyone = np.arange(self.num_envs)
        trials = self._streams.trials(everyone)
        steps = self._t if self._lockstep is None else [self._lockstep.t] * self.num_envs
        return tuple(draw(trials[[i]], int(steps[i]), self._answers[i]) for i in everyone)

    def _reset_rows(self, options: dict[str, Any] | None) -> np.ndarray:
        """The environments to reset."""
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.arange(self.num_envs)
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask']={mask!r} is not a boolean array of shape ({self.num_envs},) with a True in it"
            )
        if any(generator is None for generator, hit in zip(self._streams.generators, mask, strict=True) if not hit):
            raise gym.error.ResetNeeded("call reset() without a reset_mask first")
        return np.flatnonzero(mask)

    # Trials in lockstep.

    def _next_in_lockstep(self) -> tuple[np.ndarray, Infos]:
        """Begins the next trial of all environments; gives their observations and infos."""
        if self._lockstep is None:
            self._lockstep = Lockstep(self.task, self.num_envs)
        if self._lockstep.n_left:
            self._streams.rows += 1
        else:
            self._streams.advance(np.arange(self.num_envs))
            self._lockstep.load(self._streams.upcoming(self._lockstep.capacity))
        self._answers[...] = 0
        infos = self._spread(None, self._lockstep.next())
        return self._lockstep.observations[0], infos

    def _leave_lockstep(self, lockstep: Lockstep) -> None:
        """Goes on with each of the trials by itself."""
        self._now = 0
        self._schedule[:, : self.task.n_steps - lockstep.t] = lockstep.observations[lockstep.t :].swapaxes(0, 1)
        self._asked[...] = lockstep.asked
        self._t[...] = lockstep.t
        self._over[...] = False
        self._lockstep = None

    def _step_in_lockstep(self, lockstep: Lockstep, actions: np.ndarray) -> Step:
        """A decision step of all trials."""
        question = LabelsAndTiming(lockstep.asked, self.task.timing)
        actions = as_actions(self.task, actions, (self.num_envs,))
        outcome = score(self.task, question, lockstep.t, actions)
        infos = self._spread(None, task_outcomes(self.task, question, outcome)._asdict())
        truncations = np.zeros(self.num_envs, bool)
        lockstep.decided += 1
        if lockstep.t < self.task.n_steps:
            self._keep_answers(actions, outcome)
            return lockstep.observations[lockstep.t], outcome.reward, outcome.ended, truncations, infos
        infos = self._final(None, infos)
        observations, begun = self._next_in_lockstep()
        return observations, outcome.reward, outcome.ended, truncations, infos | begun

    # Trials at steps of their own.

    def _begin(self, rows: np.ndarray) -> Infos:
        """Begins the next trial of the environments `rows`; gives their infos."""
        self._streams.advance(rows)
        trials = self._streams.trials(rows)
        observations, ahead = observe(trials), self.task.n_steps - self._now
        self._schedule[rows, self._now :] = observations[:, :ahead]
        self._schedule[rows, : self._now] = observations[:, ahead:]
        self._asked[rows] = trials.asked
        if self._lengths is not None and trials.lengths is not None:
            self._lengths[rows] = trials.lengths
        if self._committed is not None:
            for kept, begun in zip(self._committed, (0, 0, self.task.n_answers), strict=True):
                kept[rows] = begun
        self._answers[rows] = 0
        self._t[rows] = 0
        self._over[rows] = False
        values = {"latents": trials.latents, "labels": trials.labels}
        if trials.context is not None:
            values["context"] = trials.context
        return self._spread(rows, values)

    def _step_apart(self, actions: np.ndarray) -> Step:
        """A step of trials that are each at a step of their own."""
        same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        actions = as_actions(self.task, actions, (self.num_envs,))
        stale = np.flatnonzero(self._over)
        if len(stale):
            if self._streams.generators[0] is None:
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
        self._keep_answers(actions, outcome)
        rows = ending = np.flatnonzero(ended)
        if not self.task.reaction_time:
            decided = (self._t >= question.timing.go) & ~self._over
            rows = np.flatnonzero(decided & ~ended if same_step else decided)
        infos = {}
        if len(rows) and not (same_step and self.task.reaction_time):
            infos = self._outcomes(rows, outcome)
        if same_step and len(ending):
            infos |= self._final(ending, self._outcomes(ending, outcome))
        self._t += 1
        self._now = (self._now + 1) % self.task.n_steps
        begin = ending if same_step else stale
        if not same_step:
            self._over[ending] = True
            self._schedule[ending, self._now] = 0
        if len(begin):
            infos |= self._begin(begin)
        return self._schedule[:, self._now].copy(), reward, ended, np.zeros(self.num_envs, bool), infos

    # Infos.

    def _keep_answers(self, actions: np.ndarray, outcome: Outcome) -> None:
        """Keeps the answers for pictures."""
        if self.render_mode is not None:
            level = response_options(self.task, actions) if outcome.committed is None else outcome.committed.options
            self._answers = choices(self.task, level)

    def _outcomes(self, rows: np.ndarray, outcome: Outcome) -> Infos:
        """The infos of the decisions of the environments `rows`."""
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

    def _final(self, rows: np.ndarray | None, infos: Infos) -> Infos:
        """The last observations (zeros) and infos of trials that ended, as SAME_STEP gives them."""
        mask = self._mask(rows)
        last = np.zeros((self.num_envs if rows is None else len(rows), self.task.n_features), np.float32)
        final = np.fromiter(last, object, len(last))
        if rows is not None:
            some, final = final, np.full(self.num_envs, None, object)
            final[rows] = some
        return {"final_obs": final, "_final_obs": mask, "final_info": infos, "_final_info": mask.copy()}

    def _spread(self, rows: np.ndarray | None, values: dict[str, np.ndarray]) -> Infos:
        """Infos of some environments (or of all: None) in arrays for all, each with its mask, as Gymnasium wants."""
        infos: Infos = {}
        for key, value in values.items():
            infos[key] = value
            if rows is not None:
                infos[key] = np.zeros((self.num_envs, *value.shape[1:]), value.dtype)
                infos[key][rows] = value
            infos[f"_{key}"] = self._mask(rows)
        return infos

    def _mask(self, rows: np.ndarray | None) -> np.ndarray:
        mask = np.full(self.num_envs, rows is None)
        if rows is not None:
            mask[rows] = True
        return mask
