"""Sentences that say in which way an agent breaks the protocol: shapes, chance, memory across trials, changed states.

    for sentence in problems(agent, EvidenceTask()):
        print(sentence)

`mtrnn check-agent` prints them; `mtrnn_envs.testing.check_agent` raises them, for tests.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mtrnn_envs.protocols import Agent
from mtrnn_envs.reward import action_sizes, is_discrete
from mtrnn_envs.stream import Stream
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import observe

N_TRIALS = 64


def problems(agent: object, task: EvidenceTask, seed: int = 0, *, uses_evidence: bool = True) -> list[str]:
    """One sentence for each way in which `agent`, made for `task`, breaks the protocol; an empty list if it does not.

    All trials run to their end, whatever the agent answers. With `deterministic=True` it must give the same answers
    whenever it sees the same observations from no state; so an agent that is random by design has one problem.

    Arguments:
        agent: the agent, after its training if it learns.
        seed: the seed of the trials that it sees.
        uses_evidence: whether an agent whose answers do not depend on the evidence has a problem.
    """
    if not isinstance(agent, Agent) or not callable(agent.predict):
        return ["It has no method predict(observation, state=None, episode_start=None, deterministic=False)."]
    shown = _observations(task, seed, 2 * N_TRIALS)
    said: list[str] = []
    try:
        actions = _actions(agent, task, shown[:N_TRIALS], said)
    except Exception as error:  # any error of the agent is one of its problems
        return [*said, raised("predict", error)]
    if said:
        return said
    steps = _decisive(task)
    replays = _Replays(agent, task, steps, shown[:N_TRIALS], shown[N_TRIALS:], [actions[t] for t in steps])
    checks = [replays.anew, replays.apart, replays.wiped, replays.untouched, replays.staggered]
    for check in [*checks, replays.evident] if uses_evidence else checks:
        try:
            if sentence := check():
                said.append(sentence)
                if check == replays.anew:  # chance shows in all further checks
                    break
        except Exception as error:
            said.append(f"{raised('predict', error)}, when it is used as a vector of environments does")
    return said


def unlike(agent: Agent, again: Agent, task: EvidenceTask, seed: int = 0) -> list[str]:
    """A sentence if `again`, made and trained as `agent` was, gives other answers."""
    shown = _observations(task, seed, N_TRIALS)
    first, second = (_run(each, _decisive(task), shown)[0] for each in (agent, again))
    if _same(first, second):
        return []
    return ["It does not learn the same again: made and fitted anew with the same seed, it answers otherwise."]


def raised(method: str, error: Exception) -> str:
    """A sentence on an error that a method raised, with the place."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{method} raises {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"


def _observations(task: EvidenceTask, seed: int, n: int) -> Float[np.ndarray, "N T F"]:
    return np.asarray(observe(Stream(task, "test", seed).take(n)), np.float32)


def _decisive(task: EvidenceTask) -> list[int]:
    """The steps whose actions may count: in fixed-duration tasks answers before the cue falls do not."""
    every = task.reaction_time or task.withhold or task.periods is None
    return list(range(task.n_steps) if every else range(task.timing.go, task.n_steps))


def _run(
    agent: Agent, decisive: Sequence[int], shown: Float[np.ndarray, "N T F"], state: Any = None, first: int = 0
) -> tuple[list[np.ndarray], Any]:
    """The actions of trials from their step `first` on, at the decisive steps, and the last state."""
    actions = []
    for t in range(first, shown.shape[1]):
        begins = np.full(len(shown), t == 0)
        action, state = agent.predict(shown[:, t].copy(), state=state, episode_start=begins, deterministic=True)
        if t in decisive:
            actions.append(np.asarray(action).copy())
    return actions, state


def _actions(agent: Agent, task: EvidenceTask, shown: np.ndarray, said: list[str]) -> list[np.ndarray]:
    """The actions of whole trials, until the form of one, or of another output, is wrong; `said` then has why."""
    n, sizes, state, actions = len(shown), action_sizes(task), None, []
    wanted = (n,) if is_discrete(task) else (n, len(sizes))
    for t in range(shown.shape[1]):
        given = shown[:, t].copy()
        answer = agent.predict(given, state=state, episode_start=np.full(n, t == 0), deterministic=True)
        if not np.array_equal(given, shown[:, t]):
            said.append("predict writes into the observation, which others still need.")
            return actions
        if not isinstance(answer, tuple) or len(answer) != 2:
            said.append(f"predict gives a {type(answer).__name__}, where a pair (action, state) is needed.")
            return actions
        action, state = np.asarray(answer[0]), answer[1]
        actions.append(action)
        if action.shape != wanted:
            said.append(f"Its actions have the shape {action.shape}, where {wanted} is needed for {n} environments.")
        elif action.dtype.kind not in "iub":
            said.append(f"Its actions are of the kind {action.dtype}, where whole numbers are needed.")
        elif np.any((action < 0) | (action >= (sizes[0] if is_discrete(task) else np.array(sizes)))):
            said.append(
                f"Its actions reach from {action.min()} to {action.max()}; each must be in 0 to {max(sizes) - 1}."
            )
        said += _outputs(agent, state, n, task)
        if said:
            return actions
    return actions


def _outputs(agent: Agent, state: Any, n: int, task: EvidenceTask) -> list[str]:
    """The faults of `hidden` and `probabilities`, where the agent has them."""
    said = []
    for name, widths in (("hidden", None), ("probabilities", {task.n_answers, task.n_tasks})):
        if not callable(method := getattr(agent, name, None)):
            continue
        try:
            values = np.asarray(method(state))
        except Exception as error:
            said.append(raised(f"{name}(state)", error))
            continue
        if values.ndim != 2 or len(values) != n or (widths and values.shape[1] not in widths):
            width = "units" if widths is None else " or ".join(map(str, sorted(widths)))
            said.append(f"{name}(state) has the shape {values.shape}, where ({n}, {width}) is needed.")
        elif not np.isfinite(values).all():
            said.append(f"{name}(state) is not finite.")
        elif widths and np.any((values < 0) | (values > 1)):
            said.append(f"probabilities(state) reach from {values.min():.3g} to {values.max():.3g}, out of [0, 1].")
    return said


def _same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@dataclass(frozen=True)
class _Replays:
    """The same trials, seen again in other ways; each method gives a sentence if the actions are not what they were."""

    agent: Agent
    task: EvidenceTask
    decisive: list[int]
    shown: np.ndarray
    other: np.ndarray
    actions: list[np.ndarray]

    def _run(self, shown: np.ndarray, state: Any = None) -> tuple[list[np.ndarray], Any]:
        return _run(self.agent, self.decisive, shown, state)

    def anew(self) -> str:
        """The same trials from no state."""
        if _same(self._run(self.shown)[0], self.actions):
            return ""
        return "It is not deterministic: on the same trials, from no state, deterministic=True gives other answers."

    def apart(self) -> str:
        """The trials in reverse order, and one of them alone."""
        mirrored = [action[::-1] for action in self._run(self.shown[::-1])[0]]
        alone = self._run(self.shown[2:3])[0]
        if _same(mirrored, self.actions) and _same(alone, [action[2:3] for action in self.actions]):
            return ""
        return "Environments leak into each other: a trial is answered otherwise in another row, or alone."

    def wiped(self) -> str:
        """The trials after other ones."""
        if _same(self._run(self.shown, self._run(self.other)[1])[0], self.actions):
            return ""
        return "It remembers the trial before: answers depend on it, although episode_start says that a new one began."

    def untouched(self) -> str:
        """The second half of the trials, from a state from which the opposite evidence was seen in between."""
        half = max(1, self.shown.shape[1] // 2)
        late = [t for t in self.decisive if t >= half]
        expected = self.actions[len(self.actions) - len(late) :]
        _, state = _run(self.agent, (), self.shown[:, :half])
        kept = copy.deepcopy(state)
        opposite = self.shown.copy()
        opposite[:, :, 1 : 1 + self.task.n_evidence] *= -1
        _run(self.agent, (), opposite, state, half)
        if all(_same(_run(self.agent, late, self.shown, each, half)[0], expected) for each in (state, kept)):
            return ""
        return (
            "It changes the state that it is given, or keeps one of its own: from the same state it answers otherwise."
        )

    def staggered(self) -> str:
        """Every other row begins in the middle of the others' trials, as trials of different lengths do."""
        n, steps = self.shown.shape[:2]
        late = np.arange(n) % 2 == 1
        delay, state = np.where(late, steps // 2, 0), None
        expected = np.stack(self.actions)
        given = np.zeros(expected.shape, int)
        for step in range(steps + steps // 2):
            t = (step - delay) % steps
            seen, begins = self.shown[np.arange(n), t], (t == 0) | (step == 0)
            action, state = self.agent.predict(seen, state=state, episode_start=begins, deterministic=True)
            for k, when in enumerate(self.decisive):
                here = step - delay == when
                given[k][here] = np.asarray(action)[here]
        if not np.array_equal(given[:, ~late], expected[:, ~late]):
            return "It loses its memory where a trial begins in another environment."
        if not np.array_equal(given[:, late], expected[:, late]):
            return "It does not begin anew where episode_start says so, while trials go on in other environments."
        return ""

    def evident(self) -> str:
        """The trials without their evidence; where no action changes, the probabilities must."""
        nothing = self.shown.copy()
        nothing[:, :, 1 : 1 + self.task.n_evidence] = 0
        blank, without = self._run(nothing)
        if not _same(blank, self.actions):
            return ""
        told = getattr(self.agent, "probabilities", None)
        if callable(told) and not np.array_equal(np.asarray(told(self._run(self.shown)[1])), np.asarray(told(without))):
            return ""
        return "What it answers does not depend on the evidence: shown none, it answers the same."
