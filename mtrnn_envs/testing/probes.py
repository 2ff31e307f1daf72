"""The check that any probe must pass; it raises `AssertionError` that says what is wrong."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.probing import INPUTS, PARTS, Missing, numbers, probe
from mtrnn_envs.protocols import Agent
from mtrnn_envs.recording import Recording, record
from mtrnn_envs.reward import is_discrete
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.testing.comparisons import assert_same, global_generators_untouched, task_of

N_UNITS, N_TRIALS = 12, 400


class Average:
    """The agent on which probes are tested: its state is a random linear image of the mean evidence.

    So x* can be decoded linearly; its dynamics have a continuous attractor.
    """

    def __init__(self, task: EvidenceTask, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.task, self.n_units = task, N_UNITS
        self.axes = np.linalg.qr(rng.standard_normal((N_UNITS, task.n_dims)))[0] / task.longest.stimulus
        x = rng.uniform(-0.5, 0.5, (4000, task.n_dims))
        self.slopes = np.linalg.lstsq(x, task.boundary.margins(x))[0] * 20

    def start(self, n: int) -> np.ndarray:
        """See `mtrnn_envs.protocols.Dynamics`."""
        return np.zeros((n, N_UNITS))

    def __call__(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """See `mtrnn_envs.protocols.Dynamics`."""
        return states + np.asarray(inputs, float)[:, 1 : 1 + self.task.n_dims] @ self.axes.T

    def predict(
        self,
        observation: np.ndarray,
        state: np.ndarray | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `mtrnn_envs.record`."""
        state = self.start(len(observation)) if state is None else state
        fresh = np.zeros(len(observation), bool) if episode_start is None else np.asarray(episode_start, bool)
        state = self(np.where(fresh[:, None], 0, state), observation)
        p = self.probabilities(state)
        if self.task.cueing == "one":
            cued = np.argmax(observation[:, 1 + self.task.n_evidence :], axis=1)
            p = p[np.arange(len(p)), cued][:, None]
        right, sure = p > 0.5, np.abs(p - 0.5) > 0.35
        if not self.task.reaction_time:
            action = right + int(self.task.withhold)
        elif self.task.commit == "common":
            action = np.column_stack([sure.all(axis=1), right * self.task.n_confidence])
        else:
            action = np.where(sure, 1 + right * self.task.n_confidence, 0)
        return (action[:, 0] if is_discrete(self.task) else action).astype(np.int64), state

    def hidden(self, state: np.ndarray) -> np.ndarray:
        """The units."""
        return state

    def probabilities(self, state: np.ndarray) -> np.ndarray:
        """The probability of +1 for every task."""
        scale = self.axes.T @ self.axes
        decoded = state @ self.axes @ np.linalg.pinv(scale)
        return 1 / (1 + np.exp(-np.clip(decoded / self.task.longest.stimulus @ self.slopes, -30, 30)))

    def dynamics(self) -> Average:
        """The agent is its own dynamics."""
        return self

    def untrained(self) -> Average:
        """The same with other axes."""
        return Average(self.task, seed=1)


def recording_of(**kwargs: Any) -> tuple[Recording, Average]:
    """A small recording of `Average` in a task with fields `kwargs`, and the agent."""
    env = gym.make_vec("MultiTaskEvidence-v0", 16, split="test", **{"n_tasks": 6, "encoder": None, **kwargs})
    agent = Average(task_of(env))
    return record(agent, env, N_TRIALS, seed=0), agent


def check_probe(name: str, recording: Recording | None = None, agent: Agent | None = None, **settings: Any) -> Any:
    """Checks a probe against the contract of this package, and gives its result.

    A probe is a function whose parameters are inputs by the names of `probing.INPUTS`, `rng`, and settings behind a
    `*`, each with a default. It gives a frozen dataclass with `value`, a number; `null`, an array `[R]`, maybe empty;
    `p`, in (0, 1], or NaN without a null; `n`, a whole number; and `settings`, by name. The same `rng` gives the same
    result. The probe changes none of its inputs, prints nothing, and leaves the global generators alone. It refuses
    states with NaN by a `ValueError`.

    Arguments:
        name: the name of a probe, or package.module:function.
        recording: the recording to probe; if None, a small one of a fixed-duration task, or of a reaction-time task if
            the probe asks for confidence.
        settings: settings of the probe, for example fewer draws of a null.
    """
    function = plugins.probe(name)
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        assert parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY), f"{name}: {parameter}"
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert parameter.default is not parameter.empty, f"{name}: the setting {parameter.name!r} has no default"
        else:
            known = (*INPUTS, "rng")
            assert parameter.name in known, f"{name}: {parameter.name!r} is not one of the inputs {', '.join(known)}"
    if recording is None:
        timed = {"confidence", "response_steps"} & {n for n, p in parameters.items() if p.default is p.empty}
        recording, agent = recording_of(**({"payoff": "quadratic", "decision": 0} if timed else {}))

    before = _copies(recording)
    with _untouched(name):
        found = probe(recording, name, 0, agent=agent, **settings)
    for field, value in _copies(recording).items():
        assert_same(value, before[field], f"{name} changes {field}")
    _check_result(name, found)
    again = probe(recording, name, 0, agent=agent, **settings)
    np.testing.assert_equal(numbers(again), numbers(found), f"{name}: the same rng gives other numbers")
    np.testing.assert_equal(again.null, found.null, f"{name}: the same rng gives another null")
    if recording.hidden is not None and {"states", "hidden"} & set(parameters):
        _check_refuses_nan(name, recording, agent, settings)
    return found


def _check_result(name: str, found: Any) -> None:
    assert is_dataclass(type(found)), f"{name} gives a {type(found).__name__}, not a dataclass"
    for field in PARTS:
        assert hasattr(found, field), f"{name}: the result has no {field!r}"
    try:
        found.value = found.value
    except FrozenInstanceError:
        pass
    else:
        raise AssertionError(f"{name}: the result can be changed; make its dataclass frozen")
    assert isinstance(found.value, int | float | np.number), f"{name}: value is {found.value!r}, not a number"
    null = np.asarray(found.null)
    assert null.ndim == 1, f"{name}: null has shape {null.shape}, not [R]"
    assert null.dtype.kind in "fiu", f"{name}: null holds {null.dtype}, not numbers"
    in_range = 0 < found.p <= 1 if len(null) else np.isnan(found.p)
    assert in_range, f"{name}: p={found.p!r} with a null of {len(null)} draws"
    assert isinstance(found.n, int | np.integer), f"{name}: n is {found.n!r}, not a whole number"
    assert all(isinstance(key, str) for key in found.settings), f"{name}: settings={found.settings!r}"


def _check_refuses_nan(name: str, recording: Recording, agent: Agent | None, settings: dict[str, Any]) -> None:
    assert recording.hidden is not None
    broken = recording.hidden.copy()
    broken[0, recording.last_steps[0], 0] = np.nan
    try:
        found = probe(replace(recording, hidden=broken), name, 0, agent=agent, **settings)
    except Missing as error:
        raise AssertionError(f"{name}: {error}") from error
    except ValueError:
        return
    raise AssertionError(f"{name}: states with NaN are not refused; value={found.value!r} came out")


def _copies(recording: Recording) -> dict[str, np.ndarray]:
    arrays = {f.name: getattr(recording, f.name) for f in fields(recording)}
    return {name: value.copy() for name, value in arrays.items() if isinstance(value, np.ndarray)}


@contextlib.contextmanager
def _untouched(name: str) -> Iterator[None]:
    """Fails if the block prints, or draws from the global generators."""
    out = io.StringIO()
    with global_generators_untouched(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        yield
    assert not out.getvalue(), f"{name} prints {out.getvalue()!r}"
