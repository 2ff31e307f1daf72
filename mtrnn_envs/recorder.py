"""The arrays that `mtrnn_envs.recording.record` fills while trials go on: one row a trial, one column a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtrnn_envs.reward import (
    LabelsAndTiming,
    action_sizes,
    choices,
    reported_probability,
    response_options,
    score_steps,
)
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Timing, asked


class Recorder:
    """The first `n` trials of a task, as far as they are recorded; see `mtrnn_envs.recording`."""

    def __init__(self, task: EvidenceTask, n: int) -> None:
        self.task, steps = task, task.n_steps
        self.valid = np.zeros((n, steps), bool)
        self.cue = np.ones((n, steps), bool)
        self.latents = np.zeros((n, task.n_dims))
        self.labels = np.zeros((n, task.n_tasks), np.int8)
        self.context = np.zeros(n, np.int64) if task.cueing == "one" else None
        self.actions = np.full((n, steps, len(action_sizes(task))), -1, np.int64)
        self.rewards = np.zeros((n, steps))
        self.hidden: np.ndarray | None = None
        self.probabilities: np.ndarray | None = None

    def begin(self, envs: np.ndarray, rows: np.ndarray, info: dict[str, Any]) -> None:
        """Begins new trials of `envs`, that of environment i in row `rows[i]`."""
        envs = envs[rows[envs] < len(self.valid)]
        for name in ("latents", "labels", "context"):
            if (kept := getattr(self, name)) is not None and len(envs):
                if name not in info:
                    raise ValueError(f"env gives no {name!r} in its info; environments of mtrnn_envs do")
                kept[rows[envs]] = info[name][envs]

    def see(
        self,
        envs: np.ndarray,
        rows: np.ndarray,
        t: np.ndarray,
        observation: np.ndarray,
        action: np.ndarray,
        hidden: np.ndarray | None,
        probabilities: np.ndarray | None,
    ) -> None:
        """Records one step of `envs`."""
        at = rows[envs], t[envs]
        self.valid[at] = True
        if self.task.periods is None:  # then only the observation says when the cue fell
            cue = observation[envs, 0]
            if not np.all((cue == 0) | (cue == 1)):
                raise ValueError(f"env shows cues {cue!r}; where periods are drawn, the cue must reach here as 0 or 1")
            self.cue[at] = cue > 0
        self.actions[at] = action.reshape(len(action), -1)[envs]
        self.hidden = None if hidden is None else self._keep(self.hidden, at, envs, hidden)
        if probabilities is not None:
            self.probabilities = self._keep(self.probabilities, at, envs, probabilities)

    def _keep(
        self, kept: np.ndarray | None, at: tuple[np.ndarray, np.ndarray], envs: np.ndarray, values: np.ndarray
    ) -> np.ndarray:
        if kept is None:
            kept = np.full((*self.valid.shape, values.shape[1]), np.nan, np.float32)
        kept[at] = values[envs]
        return kept

    def arrays(self) -> dict[str, Any]:
        """The fields of a `Recording` but for its metadata."""
        task, n = self.task, len(self.valid)
        end = np.count_nonzero(self.valid, axis=1)
        # The step at which the cue fell: from the task, or as seen where periods are drawn per trial.
        go = np.argmin(self.cue, axis=1) if task.periods is None else np.full(n, task.timing.go)
        question = LabelsAndTiming(asked(self.labels, self.context), Timing(go, end, go, end))
        confidence = None
        if task.reaction_time:
            *_, outcome = score_steps(task, question, np.maximum(self.actions, 0).swapaxes(0, 1))
            assert outcome.committed is not None
            level, response, _ = outcome.committed
            p = reported_probability(task, level)
            confidence = np.maximum(p, 1 - p)
            steps = np.where(response > 0, go[:, None] + response, end[:, None]) - 1
        else:
            level = response_options(task, self.actions[np.arange(n), end - 1])
            response = np.where(level > 0, (end - go)[:, None], 0)
            steps = np.broadcast_to(end[:, None] - 1, level.shape)
        kept = ("valid", "latents", "labels", "actions", "rewards", "hidden", "context")
        return {name: getattr(self, name) for name in kept} | {
            "answers": choices(task, level),
            "response_steps": response,
            "probabilities": self._answered(steps),
            "confidence": confidence,
        }

    def _answered(self, steps: np.ndarray) -> np.ndarray | None:
        """The probabilities of the tasks asked, each at its step `[N, A]`."""
        p, (n, n_answers) = self.probabilities, steps.shape
        if p is None:
            return None
        columns = np.arange(n_answers)[None]
        if self.context is not None and p.shape[2] == self.task.n_tasks:
            columns = self.context[:, None]
        elif p.shape[2] != n_answers:
            raise ValueError(f"agent.probabilities(state) is {p.shape[2]} wide; {n_answers} answers are asked for")
        return p[np.arange(n)[:, None], steps, columns]
