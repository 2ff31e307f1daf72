"""The environment: a cursor over the trials of a stream. The pay-off of the task decides which kind it is."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Int

from mtrnn_envs.environments.rendering import Frame, Window, draw
from mtrnn_envs.reward import (
    LabelsAndTiming,
    action_sizes,
    choices,
    is_discrete,
    open_commitments,
    response_options,
    score,
    task_outcomes,
)
from mtrnn_envs.rng.seeding import seeded
from mtrnn_envs.stream import block_size, shown_task
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Periods, Timing, Trials, observe, sample


def observation_space(task: EvidenceTask) -> spaces.Box:
    """The cue in [0, 1], the evidence without bounds (its noise has none), the one-hot context in [0, 1]."""
    low, high = np.zeros(task.n_features, np.float32), np.ones(task.n_features, np.float32)
    low[1 : 1 + task.n_evidence], high[1 : 1 + task.n_evidence] = -np.inf, np.inf
    return spaces.Box(low, high, dtype=np.float32)


def action_space(task: EvidenceTask) -> spaces.Space[Any]:
    """One component for each answer (see `mtrnn_envs.reward.action_sizes`); `Discrete` where there is only one."""
    sizes = action_sizes(task)
    if task.action_encoding == "multi_binary":
        return spaces.MultiBinary(len(sizes))
    return spaces.Discrete(sizes[0]) if is_discrete(task) else spaces.MultiDiscrete(sizes)


def checked_render_mode(mode: str | None, allowed: list[str]) -> str | None:
    """`mode`, if it is None or one of `allowed`; else `ValueError`."""
    if mode is not None and mode not in allowed:
        raise ValueError(f"render_mode={mode!r} is not one of {[None, *allowed]}")
    return mode


METADATA: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 10}


class EvidenceEnv(gym.Env[np.ndarray, Any]):
    """A hidden point x*, noisy evidence of it step by step, and N binary questions about it, all answered at once.

    ## Description
    A trial draws x* uniformly from [-0.5, 0.5]^D. While the stimulus is on, every observation carries fresh evidence
    x* + sigma n, n standard normal, encoded by a frozen random network (or bare, with `encoder=None`). Each of N
    boundaries divides the latents in two, and each question asks on which side x* lies. An agent that answers all of
    them well must come to know x* itself; whether and how it does is what this suite is for (Vafidis, Bhargava &
    Rangel 2025). The evidence does not depend on the actions.

    Four ids share this class, and differ in the defaults of a few arguments:

    | id | what differs |
    |---|---|
    | `MultiTaskEvidence-v0` | fixed duration, all tasks at once, N = 24 lines in D = 2 |
    | `MultiTaskEvidenceRT-v0` | free reaction time with confidence: `payoff="quadratic"`, no decision period |
    | `MultiTaskEvidenceNonlinear-v0` | `boundaries="product"`: tasks on the product of the latents |
    | `MultiTaskEvidenceCued-v0` | `cueing="one"`: one task a trial, named by a cue; the control |

    ## Action Space
    | task | space | meaning of a component |
    |---|---|---|
    | fixed duration | `MultiDiscrete([2] * N)` | 0 answers -1, 1 answers +1 |
    | with `action_encoding="multi_binary"` | `MultiBinary(N)` | the same |
    | with `withhold=True` | `MultiDiscrete([3] * N)` | 0 withholds, 1 answers -1, 2 answers +1 |
    | cued | `Discrete(2)` | 0 answers -1, 1 answers +1 |
    | reaction time, Q = `n_confidence` | `MultiDiscrete([1 + 2Q] * N)` | 0 waits; a claims P(+1) = (a - 1/2) / 2Q |
    | with `commit="common"` | `MultiDiscrete([2] + [2Q] * N)` | 1 stops; then a claims P(+1) = (a + 1/2) / 2Q |

    Actions on steps that do not count are not looked at; where they count, a component out of range is a `ValueError`.

    ## Observation Space
    `Box` of float32, shape (F,), F = 1 + E (+ N if cued); E is 40 with the encoder, D without.

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0 | fixation cue: 1 while answers do not count, 0 from then on | 0 | 1 |
    | 1 ... E | evidence, encoded or bare; outside the stimulus, that of zeros | -Inf | Inf |
    | E + 1 ... E + N | cued only: one-hot, the task that is asked | 0 | 1 |

    The observation that comes with the end of a trial is 0 in every channel.

    ## Rewards
    - **Fixed duration**: on each decision step the share of right answers, divided by the number of decision steps;
      else 0. With `withhold`, answers before the cue falls cost `early_penalty` times the share of tasks answered.
    - **Free reaction time**: each stimulus observation costs `time_cost` / N for every task that is still open when it
      is seen; each answer, with q the probability claimed for the chosen side, pays 1/N times 1 - 4 (1-q)^2 if right
      and 1 - 4 q^2 if wrong (`payoff="quadratic"`), or 1 + log2 of the probability claimed for what is the case
      (`"log"`), or 1 if right and 0 if wrong (`"accuracy"`). An answer is final. Tasks open at the end pay 0.

    Rewards add over tasks and steps; `info["task_reward"]` has the part of each task, but for penalties of early
    answers. `mtrnn_envs.ideal_observer.ideal_performance(task)` is the best possible.

    ## Starting State
    The next trial of a seeded stream (`mtrnn_envs.Stream`); `reset(seed=...)` starts the stream of that seed. The info
    of a reset has `latents` `[D]` float64, `labels` `[N]` int8 (+1 or -1), and `context` (int) if cued.

    ## Episode End
    One trial is one episode: it is `terminated` after its last decision step (default: step 22), or, with free
    reaction time, when no task is open and at the latest after the last stimulus step. Nothing is ever truncated. The
    info of each decision step, or of the end of a reaction-time trial, has `task_reward` `[A]`, `correct` `[A]`, and
    with free reaction time `response_step` `[A]`, counted from 1, 0 for no answer; A is N, or 1 if cued.

    ## Arguments
    Every field of `mtrnn_envs.EvidenceTask` (see there), and

    - `split`: "train" (default), "validation" or "test": streams that share no draw. Only "test" shows the orthants
      that `excluded_orthants` holds out.
    - `render_mode`: None, "rgb_array" (480 x 640 pixels: the plane of the first two latents with its boundaries, the
      evidence so far, the ideal posterior, the cue, the answers) or "human" (needs `pip install "mtrnn-envs[human]"`).

    ```python
    >>> import gymnasium as gym
    >>> import mtrnn_envs
    >>> env = gym.make("MultiTaskEvidence-v0", n_tasks=6, n_dims=3, sigma=0.3, encoder=None)
    >>> env.observation_space.shape, env.action_space
    ((4,), MultiDiscrete([2 2 2 2 2 2]))

    ```

    ## Vectorized environment
    `gym.make_vec(id, num_envs=...)` gives the native `mtrnn_envs.environments.vector_env.EvidenceVectorEnv`: the same
    trials, rewards and infos as `SyncVectorEnv` of these, bit for bit (encoded observations to rounding), many times
    faster. It takes `autoreset_mode`: SAME_STEP (default), NEXT_STEP or DISABLED.

    ## References
    P. Vafidis, A. Bhargava, A. Rangel: Disentangling representations through multi-task learning. ICLR 2025,
    arXiv:2407.11249.

    ## Version History
    - v0: initial version.
    """

    metadata: dict[str, Any] = METADATA

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
        self._t, self._first_heeded, self._over = -1, 0, True

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
        if 0 <= t < self._first_heeded:
            self._t = t + 1
            if self.render_mode == "human":
                self.render()
            return self._observations[t + 1], 0.0, False, False, {}
        return self._step_heeded(t, action)

    def render(self) -> Any:
        """A picture of the trial so far (`[480, 640, 3]` uint8), or None after showing it in a window."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: gym.make(..., render_mode='rgb_array')")
            return None
        if self._block is None:
            raise gym.error.ResetNeeded("no trial is on: call reset() before render()")
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
        self._question = LabelsAndTiming(self._block.asked[row], when)
        self._first_heeded = 0 if self._heeds_all else int(np.asarray(when.go).item())
        self._committed = open_commitments(1, self.task.n_answers) if self.task.reaction_time else None
        self._answers = None
        self._t, self._over = 0, False

    def _step_heeded(self, t: int, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """A step on which the action may count."""
        if self._over:
            raise gym.error.ResetNeeded("no trial is on: call reset() before step()")
        actions = as_actions(self.task, action, ())
        outcome = score(self.task, self._question, t, actions, self._committed)
        self._t = t + 1
        self._committed, self._over = outcome.committed, bool(outcome.ended[0])
        info: dict[str, Any] = {}
        if self._over or (t >= self._question.timing.go and not self.task.reaction_time):
            paid = task_outcomes(self.task, self._question, outcome)
            info = {"task_reward": paid.task_reward[0], "correct": paid.correct[0]}
            if outcome.committed is not None:
                info["response_step"] = outcome.committed.response_steps[0]
        observation = np.zeros(self.task.n_features, np.float32) if self._over else self._observations[t + 1]
        if self.render_mode is not None:
            level = response_options(self.task, actions) if outcome.committed is None else outcome.committed.options
            self._answers = choices(self.task, level)[0]
            if self.render_mode == "human":
                self.render()
        return observation, float(outcome.reward[0]), self._over, False, info


def as_actions(task: EvidenceTask, action: Any, batch: tuple[()] | tuple[int]) -> Int[np.ndarray, "N M"]:
    """Actions as an integer array `[N, M]`; `batch` is `(N,)` for those of a vector, `()` for those of one environment.

    Raises:
        ValueError: if they are not whole numbers, or not of the shape of the action space.
    """
    actions, n_components = np.asarray(action), len(action_sizes(task))
    if actions.dtype.kind == "f" and task.action_encoding == "multi_binary" and np.isin(actions, (0, 1)).all():
        actions = actions.astype(np.int8)  # as `MultiBinary` does, and as Stable-Baselines3 gives them
    if actions.dtype.kind not in "iub":
        raise ValueError(f"action={action!r} is not made of whole numbers")
    if actions.shape != (*batch, n_components) and not (is_discrete(task) and actions.shape == batch):
        needed = batch if is_discrete(task) else (*batch, n_components)
        raise ValueError(f"action has shape {actions.shape}; {needed} is needed")
    return actions.reshape(-1, n_components)


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
        periods=trials.task.periods if one.lengths is None else Periods(*one.lengths[0].tolist()),
    )
