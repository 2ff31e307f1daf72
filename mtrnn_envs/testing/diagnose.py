"""What is wrong with an agent, in sentences: shapes, chance, memory across episodes, states that are changed.

    for sentence in problems(agent, EvidenceTask()):
        print(sentence)

`mtrnn check-agent` prints them. `mtrnn_envs.testing.check_agent` asserts the same protocol, for tests.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mtrnn_envs.reward import action_sizes, is_discrete
from mtrnn_envs.stream import Stream
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import observe

N_TRIALS = 64


def problems(agent: Any, task: EvidenceTask, seed: int = 0) -> list[str]:
    """What is wrong with `agent`, which is made for `task`: a sentence each; none if nothing is.

    All trials are gone through to the end, whatever the agent answers. It must answer, with `deterministic=True`, the
    same whenever it is shown the same from no state; so an agent that is random by design has one problem.

    Arguments:
        agent: the agent; it has learned what it learns.
        task: the task.
        seed: of the trials that it is shown.
    """
    predict = getattr(agent, "predict", None)
    if not callable(predict):
        return ["It has no method predict(observation, state=None, episode_start=None, deterministic=False)."]
    shown = np.asarray(observe(Stream(task, "test", seed).take(2 * N_TRIALS)), np.float32)
    first, second = shown[:N_TRIALS], shown[N_TRIALS:]
    said: list[str] = []
    try:
        actions = _actions(predict, first, said, agent, task)
    except Exception as error:  # whatever an agent raises is what is wrong with it
        return [*said, raised("predict", error)]
    if said:
        return said
    decisive = _decisive(task)
    actions = [actions[t] for t in decisive]
    checks: list[Callable[[], str]] = [
        lambda: _deterministic(predict, decisive, first, actions),
        lambda: _apart(predict, decisive, first, actions),
        lambda: _wiped(predict, decisive, first, second, actions),
        lambda: _untouched(predict, decisive, first, actions),
        lambda: _staggered(predict, decisive, first, actions),
        lambda: _seen(agent, decisive, task, first, actions),
    ]
    for check in checks:
        try:
            if sentence := check():
                said.append(sentence)
                if check is checks[0]:  # chance shows in all that follows
                    break
        except Exception as error:
            said.append(f"{raised('predict', error)}, when it is used as a vector of environments does")
    return said


def unlike(agent: Any, again: Any, task: EvidenceTask, seed: int = 0) -> list[str]:
    """What is wrong where `again` was made, and has learned, as `agent` was: a sentence, if it answers otherwise."""
    shown = np.asarray(observe(Stream(task, "test", seed).take(N_TRIALS)), np.float32)
    first, second = (_through(each.predict, _decisive(task), shown)[0] for each in (agent, again))
    if _same(first, second):
        return []
    return ["It does not learn the same again: made and fitted anew with the same seed, it answers otherwise."]


def raised(method: str, error: Exception) -> str:
    """A sentence on what a method raised, with the place."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{method} raises {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"


def _decisive(task: EvidenceTask) -> list[int]:
    """The steps whose actions may count: in fixed-duration tasks answers before the cue falls do not."""
    every = task.reaction_time or task.withhold or task.periods is None
    return list(range(task.n_steps) if every else range(task.timing.go, task.n_steps))


def _through(
    predict: Any, decisive: Sequence[int], shown: Float[np.ndarray, "N T F"], state: Any = None, first: int = 0
) -> tuple[list[np.ndarray], Any]:
    """The actions of trials from their step `first` on, at the decisive steps, and the last state."""
    actions = []
    for t in range(first, shown.shape[1]):
        begins = np.full(len(shown), t == 0)
        action, state = predict(shown[:, t].copy(), state=state, episode_start=begins, deterministic=True)
        if t in decisive:
            actions.append(np.asarray(action).copy())
    return actions, state


def _actions(predict: Any, shown: np.ndarray, said: list[str], agent: Any, task: EvidenceTask) -> list[np.ndarray]:
    """The actions of whole trials; what is wrong with their form, or that of what else is told, goes to `said`."""
    n, sizes, state, actions = len(shown), action_sizes(task), None, []
    wanted = (n,) if is_discrete(task) else (n, len(sizes))
    for t in range(shown.shape[1]):
        given = shown[:, t].copy()
        answer = predict(given, state=state, episode_start=np.full(n, t == 0), deterministic=True)
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
        said += told(agent, state, n, task)
        if said:
            return actions
    return actions


def told(agent: Any, state: Any, n: int, task: EvidenceTask) -> list[str]:
    """What is wrong with `hidden` and `probabilities`, where the agent has them."""
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


def _deterministic(predict: Any, decisive: Sequence[int], shown: np.ndarray, actions: list[np.ndarray]) -> str:
    if _same(_through(predict, decisive, shown)[0], actions):
        return ""
    return "It is not deterministic: shown the same trials from no state with deterministic=True, it answers otherwise."


def _apart(predict: Any, decisive: Sequence[int], shown: np.ndarray, actions: list[np.ndarray]) -> str:
    order = np.arange(len(shown))[::-1]
    mirrored = [action[order] for action in _through(predict, decisive, shown[order])[0]]
    alone = _through(predict, decisive, shown[2:3])[0]
    if _same(mirrored, actions) and _same(alone, [action[2:3] for action in actions]):
        return ""
    return "Environments leak into each other: a trial is answered otherwise in another row, or alone."


def _wiped(
    predict: Any, decisive: Sequence[int], shown: np.ndarray, other: np.ndarray, actions: list[np.ndarray]
) -> str:
    _, state = _through(predict, decisive, other)
    if _same(_through(predict, decisive, shown, state)[0], actions):
        return ""
    return "It remembers the trial before: answers depend on it, although episode_start says that a new one began."


def _untouched(predict: Any, decisive: Sequence[int], shown: np.ndarray, actions: list[np.ndarray]) -> str:
    """Whether trials can be gone on with from a state that was gone on from before, by other evidence."""
    half = max(1, shown.shape[1] // 2)
    late = [t for t in decisive if t >= half]
    expected = actions[len(actions) - len(late) :]
    _, state = _through(predict, (), shown[:, :half])
    kept = copy.deepcopy(state)
    _through(predict, (), shown[::-1], state, half)
    if all(_same(_through(predict, late, shown, each, half)[0], expected) for each in (state, kept)):
        return ""
    return "It changes the state that it is given, or keeps one of its own: from the same state it answers otherwise."


def _staggered(predict: Any, decisive: Sequence[int], shown: np.ndarray, actions: list[np.ndarray]) -> str:
    """Every other row begins in the middle of the others' trials, as trials of different lengths do."""
    n, steps = shown.shape[:2]
    late = np.arange(n) % 2 == 1
    delay, state, given = np.where(late, steps // 2, 0), None, np.zeros((len(decisive), *actions[0].shape), int)
    for step in range(steps + steps // 2):
        t = (step - delay) % steps
        begins = (t == 0) | (step == 0)
        action, state = predict(shown[np.arange(n), t], state=state, episode_start=begins, deterministic=True)
        for k, when in enumerate(decisive):
            here = step - delay == when
            given[k][here] = np.asarray(action)[here]
    expected = np.stack(actions)
    if not np.array_equal(given[:, ~late], expected[:, ~late]):
        return "It loses its memory where a trial begins in another environment."
    if not np.array_equal(given[:, late], expected[:, late]):
        return "It does not begin anew where episode_start says so, while trials go on in other environments."
    return ""


def _seen(agent: Any, decisive: Sequence[int], task: EvidenceTask, shown: np.ndarray, actions: list[np.ndarray]) -> str:
    """Whether answers follow from the evidence; of one who has learned little, at least what it thinks of them."""
    nothing = shown.copy()
    nothing[:, :, 1 : 1 + task.n_evidence] = 0
    blank, without = _through(agent.predict, decisive, nothing)
    if not _same(blank, actions):
        return ""
    thinks: Callable[[Any], Any] | None = getattr(agent, "probabilities", None)
    if callable(thinks):
        _, state = _through(agent.predict, decisive, shown)
        if not np.array_equal(np.asarray(thinks(state)), np.asarray(thinks(without))):
            return ""
    return "What it answers does not depend on the evidence: shown none, it answers the same."
