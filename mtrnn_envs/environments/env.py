"""The single environment: it shows the trials of a stream one after the other and scores the actions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from mtrnn_envs.environments.rendering import Window, checked_render_mode, draw
from mtrnn_envs.environments.spaces import Infos, action_space, as_actions, observation_space
from mtrnn_envs.reward import LabelsAndTiming, choices, open_commitments, response_options, score, task_outcomes
from mtrnn_envs.rng.seeding import seeded
from mtrnn_envs.stream import Stream, shown_task
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Timing, Trials, observe

METADATA: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 10}


class EvidenceEnv(gym.Env[np.ndarray, Any]):
    """Perceptual decisions: the agent sees noisy evidence of a hidden point x* and answers N binary questions about it.

    ## Description
    A trial draws x* uniformly from [-0.5, 0.5]^D. On every step of the stimulus the observation holds fresh evidence
    x* + sigma n, n standard normal, encoded by a frozen random network (or raw, with `encoder=None`). Each of N
    boundaries divides the latents in two, and each task asks on which side x* lies. An agent that answers all tasks
    well must represent x* itself; this suite measures whether and how it does (Vafidis, Bhargava & Rangel 2025). The
    evidence does not depend on the actions.

    Four ids share this class, and differ in the defaults of a few arguments:

    | id | difference |
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
    | reaction time, Q = `n_confidence` | `MultiDiscrete([1 + 2Q] * N)` | 0 waits; a reports P(+1) = (a - 1/2) / 2Q |
    | with `commit="common"` | `MultiDiscrete([2] + [2Q] * N)` | 1 stops; then a reports P(+1) = (a + 1/2) / 2Q |

    Actions on steps that do not count are ignored; where they count, a component out of range is a `ValueError`.

    ## Observation Space
    `Box` of float32, shape (F,), F = 1 + E (+ N if cued); E is 40 with the encoder, D without.

    | Num | Observation | Min | Max |
    |---|---|---|---|
    | 0 | fixation cue: 1 while answers do not count, 0 from then on | 0 | 1 |
    | 1 ... E | evidence, encoded or raw; outside the stimulus, that of zeros | -Inf | Inf |
    | E + 1 ... E + N | cued only: one-hot, the task that is asked | 0 | 1 |

    The observation that comes with the end of a trial is 0 in every channel.

    ## Rewards
    - **Fixed duration**: on each decision step the share of right answers, divided by the number of decision steps;
      else 0. With `withhold`, answers before the cue falls cost `early_penalty` times the share of tasks answered.
    - **Free reaction time**: each stimulus observation costs `time_cost` / N for every task that is still open when it
      is seen; each answer, with q the reported probability of the choice, earns 1/N times 1 - 4 (1-q)^2 if right and
      1 - 4 q^2 if wrong (`payoff="quadratic"`), or 1 + log2 of the reported probability of the label (`"log"`), or 1
      if right and 0 if wrong (`"accuracy"`). An answer is final. Tasks open at the end earn 0.

    Rewards add over tasks and steps; `info["task_reward"]` has the part of each task, without penalties of early
    answers. `mtrnn_envs.ideal_observer.ideal_performance(task)` is the highest expected reward.

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
      evidence so far, the ideal posterior, the cue, the answers) or "human", a window. Both need
      `pip install "mtrnn-envs[human]"`.

    ```python
    >>> import gymnasium as gym
    >>> import mtrnn_envs
    >>> env = gym.make("MultiTaskEvidence-v0", n_tasks=6, n_dims=3, sigma=0.3, encoder=None)
    >>> env.observation_space.shape, env.action_space
    ((4,), MultiDiscrete([2 2 2 2 2 2]))

    ```

    ## Vectorized environment
    `gym.make_vec(id, num_envs=...)` gives the native `mtrnn_envs.environments.vector_env.EvidenceVectorEnv`:
    trials, rewards and infos are bit-identical to `SyncVectorEnv` of these (encoded observations to rounding), and many
    times faster. It takes `autoreset_mode`: SAME_STEP (default), NEXT_STEP or DISABLED.

    ## References
    P. Vafidis, A. Bhargava, A. Rangel: Disentangling representations through multi-task learning. ICLR 2025,
    arXiv:2407.11249. Version v0: initial version.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(self, *, render_mode: str | None = None, split: str = "train", **fields: Any) -> None:
        self.task = EvidenceTask.from_fields(fields)
        self.split = split
        self.render_mode = checked_render_mode(render_mode, self.metadata["render_modes"])
        self.observation_space = observation_space(self.task)
        self.action_space = action_space(self.task)
        shown_task(self.task, split)  # refuses an unknown split
        # Before `go`, actions are scored only where early answers or the passing of time cost something.
        self._scores_all = self.task.reaction_time or self.task.withhold
        self._window: Window | None = None
        self._stream: Stream | None = None
        self._trials: Trials | None = None
        self._t, self._first_scored, self._over = -1, 0, True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, Infos]:
        """Begins the next trial of the stream; with `seed`, the first trial of the stream of that seed."""
        if seed is not None or self._np_random is None:
            self._np_random, self._np_random_seed = seeded(seed, self.split)
        if self._stream is None or self._stream.rng is not self._np_random:
            self._stream = Stream(self.task, self.split, self._np_random)
        trials, rows = self._stream.next()
        if trials is not self._trials:
            self._trials, self._shows = trials, observe(trials)
        self._row, when = rows.start, trials.timing
        if trials.lengths is not None:
            when = Timing(*(v[rows] for v in when))
        self._observations, self._question = self._shows[self._row], LabelsAndTiming(trials.asked[rows], when)
        self._first_scored = 0 if self._scores_all else int(np.asarray(when.go).item())
        self._committed = open_commitments(1, self.task.n_answers) if self.task.reaction_time else None
        self._t, self._over, self._answers = 0, False, None
        info = {"latents": trials.latents[self._row].copy(), "labels": trials.labels[self._row].copy()}
        if trials.context is not None:
            info["context"] = int(trials.context[self._row])
        if self.render_mode == "human":
            self.render()
        return self._observations[0], info

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, Infos]:
        """Answers the last observation with `action`; gives the next one."""
        t = self._t
        if 0 <= t < self._first_scored:
            self._t = t + 1
            if self.render_mode == "human":
                self.render()
            return self._observations[t + 1], 0.0, False, False, {}
        return self._step_scored(t, action)

    def render(self) -> np.ndarray | None:
        """A picture of the trial so far (`[480, 640, 3]` uint8), or None after showing it in a window."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: gym.make(..., render_mode='rgb_array')")
            return None
        if self._trials is None:
            raise gym.error.ResetNeeded("no trial is on: call reset() before render()")
        picture = draw(self._trials[self._row : self._row + 1], self._t, self._answers)
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

    def _step_scored(self, t: int, action: Any) -> tuple[np.ndarray, float, bool, bool, Infos]:
        """A step on which the action may count."""
        if self._over:
            raise gym.error.ResetNeeded("no trial is on: call reset() before step()")
        actions = as_actions(self.task, action, ())
        outcome = score(self.task, self._question, t, actions, self._committed)
        self._t = t + 1
        self._committed, self._over = outcome.committed, bool(outcome.ended[0])
        info: Infos = {}
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
