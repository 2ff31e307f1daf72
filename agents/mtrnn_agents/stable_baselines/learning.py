"""What all agents trained by Stable-Baselines3 share: training that is watched, saved, stopped and taken up again.

A rollout and the updates after it, an iteration, follow from the weights, the state of the optimiser, the seed and the
iteration's number alone: the environments then begin the trials of seeds of their own, and SB3 draws from global
generators that are seeded for it and put back afterwards. So a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from tqdm import tqdm

from mtrnn_agents import storage
from mtrnn_agents.interrupts import held_back
from mtrnn_agents.keeping import SECONDS_BETWEEN_SAVES
from mtrnn_agents.loop import one_thread
from mtrnn_agents.network import option, real_field, whole_field
from mtrnn_agents.stable_baselines.agent import StableBaselinesAgent
from mtrnn_agents.stable_baselines.features import FeaturesVecEnv
from mtrnn_agents.stable_baselines.policies import takes_binary
from mtrnn_agents.stable_baselines.vec_env import SB3VecEnv
from mtrnn_agents.state import CHECKPOINT, refuse_other
from mtrnn_agents.supervised import AGENT
from mtrnn_envs import EvidenceTask, record
from mtrnn_envs.checks import whole
from mtrnn_envs.experiments.run import Metrics
from mtrnn_envs.seeding import seed_sequence
from mtrnn_envs.vector_env import EvidenceVectorEnv

# From environments, a seed and settings to a model that has not learned yet.
MakeModel: TypeAlias = Callable[[VecEnv, int, Any], OnPolicyAlgorithm]

VALIDATION_TRIALS, VALIDATION_ENVS = 1000, 250


@dataclass(frozen=True, kw_only=True)
class OnPolicyTraining:
    """How a policy is trained by its own rollouts; what PPO and A2C have in common.

    Raises:
        ValueError: if a field is out of its range.
    """

    n_envs: int = option(64, "environments that are stepped together")
    rollout_trials: int = option(
        4, "trials of a rollout in each environment, if they are of the longest length; those not over are cut off"
    )
    total_steps: int = option(500_000, "steps of training, over all environments, up to whole rollouts")
    learning_rate: float = option(1e-3, "the optimiser's rate")
    gamma: float = option(1.0, "discount of the next step's value")
    gae_lambda: float = option(0.95, "weight of longer returns in generalised advantages (arXiv:1506.02438)")
    entropy_weight: float = option(0.0, "weight of the policy's entropy in the loss")
    value_weight: float = option(0.5, "weight of the value's error in the loss")
    clip_norm: float = option(0.5, "norm at which the gradient is clipped")
    evaluate_every: int = option(20_000, "steps between evaluations on the validation stream, up to whole rollouts")

    def __post_init__(self) -> None:
        for name in ("n_envs", "rollout_trials", "total_steps", "evaluate_every"):
            whole_field(self, name, 1)
        for name in ("learning_rate", "clip_norm"):
            real_field(self, name, 0, 1e30)
        for name in ("gamma", "gae_lambda"):
            real_field(self, name, 0, 1, low_is_allowed=True)
        for name in ("entropy_weight", "value_weight"):
            real_field(self, name, 0, 1e30, low_is_allowed=True)


@dataclass(frozen=True, eq=False)
class Progress:
    """Where training stands after whole iterations.

    Attributes:
        arrays: the policy's weights, "policy.<name>", and the optimiser's, "optimizer.<parameter>.<name>".
        numbers: what the optimiser keeps besides arrays, by the same names.
        iteration: iterations made.
        history: the evaluations so far, by name; "steps" first.
    """

    arrays: dict[str, np.ndarray]
    numbers: dict[str, float]
    iteration: int = 0
    history: dict[str, tuple[float, ...]] = field(default_factory=dict)


def learn(
    make_model: MakeModel,
    task: EvidenceTask,
    seed: int,
    training: Any,
    *,
    name: str,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    metrics: Metrics | None = None,
    kind: str | None = None,
    multi_binary: bool = True,
) -> StableBaselinesAgent:
    """A policy trained on `task` by an on-policy algorithm of Stable-Baselines3, as an agent.

    The same arguments and build give the same bits, however often training was interrupted. No global generator is
    moved. Trials that are not over at the end of a rollout are cut off there, and count with the value of what is left.

    Arguments:
        make_model: makes the model, untrained, from environments, a seed for it, and `training`. Its `n_steps` should
            be `training.rollout_trials * task.n_steps`.
        task: the task.
        seed: a whole number, 0 or more.
        training: the settings: an `OnPolicyTraining`.
        name: of the algorithm, so that its runs are not taken for those of another.
        folder: where the agent (agent.safetensors), the state of training (checkpoint.safetensors) and TensorBoard's
            files go. If a state of the same run is there, training goes on from it; if the agent is, it is given.
        progress: whether to show a progress bar.
        metrics: from states at the last step `[N, H]` and latents `[N, D]` of validation trials to numbers by name.
        kind: the features that the policy is shown (`mtrnn_agents.stable_baselines.features`); None for observations.
        multi_binary: whether the policy answers in `MultiBinary` where it can, which is faster and means the same.

    Raises:
        ValueError: if the seed is not allowed, or the folder holds another run or a broken file.
        FloatingPointError: if training diverges; the state before that is kept in the folder.
        KeyboardInterrupt: if interrupted; the state is kept in the folder.
    """
    if folder is not None and not os.fspath(folder):
        raise ValueError(f"folder={folder!r} names no folder")
    place, run = None if folder is None else Path(folder), identity(name, task, whole("seed", seed, 0), training)
    if place is not None and (place / AGENT).exists():
        agent = StableBaselinesAgent.load(place / AGENT)
        refuse_other(place / AGENT, dict(agent.run or {}), run)
        return agent
    with one_thread(), own_generators(seed_sequence(seed, "network")):
        model = _model(make_model, task, seed, training, kind, multi_binary)
        state = _resumed(model, run, place)
        state = _trained(model, task, seed, training, state, run, place, progress, metrics, kind)
        agent = StableBaselinesAgent(model, task, kind=kind, seed=seed, run=run, history=state.history)
    if place is not None:
        agent.save(place / AGENT)
    return agent


def load(path: str | os.PathLike[str]) -> StableBaselinesAgent:
    """The agent in the file `path`, or in the folder that was given to `train`."""
    return StableBaselinesAgent.load(Path(path) / AGENT if Path(path).is_dir() else path)


def identity(name: str, task: EvidenceTask, seed: int, training: Any) -> dict[str, Any]:
    """All that determines a run, as JSON; of boundaries named as "module:attribute", a hash of what that holds now."""
    contents = {}
    if ":" in task.boundaries:
        points = np.linspace(-0.49, 0.48, 16 * task.n_dims).reshape(16, task.n_dims)
        contents["boundaries"] = hashlib.sha256(task.boundary.margins(points).tobytes()).hexdigest()[:16]
    return {
        "name": name,
        "task": json.loads(task.to_json()),
        "seed": seed,
        "training": json.loads(json.dumps(asdict(training))),
        "contents": contents,
    }


@contextmanager
def own_generators(seed: np.random.SeedSequence) -> Iterator[None]:
    """The global generators of Python, numpy and torch, from which SB3 draws, seeded; put back at the end."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    seeds = seed.generate_state(3).tolist()
    try:
        random.seed(seeds[0])
        np.random.seed(seeds[1])  # noqa: NPY002
        torch.manual_seed(seeds[2])
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


def _model(
    make_model: MakeModel, task: EvidenceTask, seed: int, training: Any, kind: str | None, multi_binary: bool
) -> OnPolicyAlgorithm:
    """The untrained model, ready for rollouts, and quiet."""
    binary = multi_binary and takes_binary(task) and task.cueing == "all"
    shown = replace(task, action_encoding="multi_binary") if binary else task
    envs: VecEnv = SB3VecEnv(EvidenceVectorEnv(training.n_envs, **asdict(shown)))
    if kind is not None:
        envs = FeaturesVecEnv(envs, task, kind)
    model = make_model(envs, int(seed_sequence(seed, "network", 0).generate_state(1)[0]), training)
    model.set_logger(Logger(None, []))
    return model


def _trained(
    model: OnPolicyAlgorithm,
    task: EvidenceTask,
    seed: int,
    training: Any,
    state: Progress,
    run: Mapping[str, Any],
    folder: Path | None,
    progress: bool,
    metrics: Metrics | None,
    kind: str | None,
) -> Progress:
    """Trains the model from `state` to the end; gives the state that it is in then."""
    per_iteration = training.n_envs * model.n_steps
    n_iterations = math.ceil(training.total_steps / per_iteration)
    total, saved = n_iterations * per_iteration, time.monotonic()
    _, callback = model._setup_learn(total, None, reset_num_timesteps=False)
    shows = _shown(task, folder, total, state.iteration * per_iteration, progress)
    with held_back() as interrupt, shows as show:
        try:
            save(state, run, folder)  # where that fails, it fails before anything is lost
            while state.iteration < n_iterations:
                reward = iterate(model, callback, seed, state.iteration, total)
                after = snapshot(model, state.iteration + 1, state.history)
                if not all(np.isfinite(v).all() for v in after.arrays.values()):
                    save(state, run, folder)
                    kept = "" if folder is None else f"; the state before it is kept in {folder / CHECKPOINT}"
                    raise FloatingPointError(
                        f"training diverged: weights are not finite after {after.iteration * per_iteration} steps, at "
                        f"learning_rate={training.learning_rate}, clip_norm={training.clip_norm}; lower one of them"
                        f"{kept}"
                    )
                done, before = after.iteration * per_iteration, state.iteration * per_iteration
                if done // training.evaluate_every > before // training.evaluate_every or done == total:
                    found = evaluated(StableBaselinesAgent(model, task, kind=kind), seed, metrics)
                    after = replace(after, history=extended(state.history, {"steps": done, **found}))
                    show(done, found, {"train/reward": reward, **_logged(model)})
                state = after
                if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                    save(state, run, folder)
                    saved = time.monotonic()
                show(done)
                interrupt()
        except KeyboardInterrupt:
            save(state, run, folder)
            where = (
                "nothing was kept, as no folder was given" if folder is None else f"the same call goes on from {folder}"
            )
            raise KeyboardInterrupt(f"stopped after {state.iteration * per_iteration} steps; {where}") from None
        save(state, run, folder)
    return state


def iterate(model: OnPolicyAlgorithm, callback: Any, seed: int, iteration: int, total: int) -> float:
    """One rollout, from the beginning of trials, and the updates after it; the mean reward of the trials that ended.

    It is a function of the model's weights and optimiser, the seed and the number of the iteration.
    """
    streams, draws = seed_sequence(seed, "train", iteration).spawn(2)
    envs: Any = model.env
    with own_generators(draws):
        envs.seed(int(streams.generate_state(1, np.uint64)[0] >> 1))
        model._last_obs = envs.reset()
        model._last_episode_starts = np.ones(envs.num_envs, bool)
        if hasattr(model, "_last_lstm_states"):
            states: Any = model._last_lstm_states  # pyright: ignore[reportAttributeAccessIssue]
            zeros = RNNStates(*(tuple(torch.zeros_like(v) for v in part) for part in states))
            model._last_lstm_states = zeros  # pyright: ignore[reportAttributeAccessIssue]
        model.num_timesteps = iteration * envs.num_envs * model.n_steps
        model.collect_rollouts(envs, callback, model.rollout_buffer, n_rollout_steps=model.n_steps)
        buffer = model.rollout_buffer
        starts: Any = model._last_episode_starts
        n_ended = np.count_nonzero(buffer.episode_starts[1:]) + np.count_nonzero(starts)
        reward = float(buffer.rewards.sum() / n_ended) if n_ended else math.nan
        model._update_current_progress_remaining(model.num_timesteps, total)
        model.train()
    return reward


def snapshot(model: OnPolicyAlgorithm, iteration: int, history: dict[str, tuple[float, ...]]) -> Progress:
    """The state of the model, copied."""
    arrays = {f"policy.{name}": v.detach().cpu().numpy().copy() for name, v in model.policy.state_dict().items()}
    numbers: dict[str, float] = {}
    for index, parts in model.policy.optimizer.state_dict()["state"].items():
        for name, value in parts.items():
            if isinstance(value, torch.Tensor):
                arrays[f"optimizer.{index}.{name}"] = value.cpu().numpy().copy()
            else:
                numbers[f"optimizer.{index}.{name}"] = value
    return Progress(arrays, numbers, iteration, history)


def restore(model: OnPolicyAlgorithm, state: Progress) -> None:
    """Puts the model in the state."""
    weights: dict[str, torch.Tensor] = {}
    optimizer: dict[int, dict[str, Any]] = {}
    tensors = {name: torch.from_numpy(v.copy()) for name, v in state.arrays.items()}
    for name, value in (tensors | state.numbers).items():
        part, _, rest = name.partition(".")
        if part == "policy":
            weights[rest] = value  # pyright: ignore[reportArgumentType]
        else:
            index, _, what = rest.partition(".")
            optimizer.setdefault(int(index), {})[what] = value
    model.policy.load_state_dict(weights)
    groups = model.policy.optimizer.state_dict()["param_groups"]
    model.policy.optimizer.load_state_dict({"state": optimizer, "param_groups": groups})


def save(state: Progress, run: Mapping[str, Any], folder: Path | None) -> None:
    """Writes the state to the folder, if there is one."""
    if folder is not None:
        about = {f.name: getattr(state, f.name) for f in fields(state) if f.name != "arrays"}
        storage.write(folder / CHECKPOINT, "checkpoint", state.arrays, {"run": run, **about})


def _resumed(model: OnPolicyAlgorithm, run: Mapping[str, Any], folder: Path | None) -> Progress:
    """The state in the folder, in which the model is put, or that of the untrained model."""
    if folder is None or not (folder / CHECKPOINT).exists():
        return snapshot(model, 0, {})
    arrays, about = storage.read(folder / CHECKPOINT, "checkpoint")
    refuse_other(folder / CHECKPOINT, about["run"], dict(run))
    history = {name: tuple(values) for name, values in about["history"].items()}
    state = Progress(arrays, about["numbers"], about["iteration"], history)
    restore(model, state)
    return state


def evaluated(agent: StableBaselinesAgent, seed: int, metrics: Metrics | None) -> dict[str, float]:
    """How the agent does when it takes the likeliest action, on whole validation trials, the same at every call."""
    envs = EvidenceVectorEnv(VALIDATION_ENVS, split="validation", **asdict(agent.task))
    start = int(seed_sequence(seed, "validation").generate_state(1, np.uint64)[0] >> 1)
    recording = record(agent, envs, VALIDATION_TRIALS, start)
    steps = recording.response_steps[recording.answers != 0]
    found = {
        "reward": float(recording.rewards.sum(axis=1).mean()),
        "accuracy": float(recording.correct.mean()),
        "response_step": float(steps.mean()) if len(steps) else math.nan,
    }
    return found | dict(metrics(recording.last_hidden(), recording.latents) if metrics else {})


def extended(history: Mapping[str, tuple[float, ...]], found: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    """The history with one entry more; a number that is missing now, or was before, is NaN there."""
    n = len(history.get("steps", ()))
    names = dict.fromkeys([*history, *found])
    return {name: (*history.get(name, (math.nan,) * n), found.get(name, math.nan)) for name in names}


@contextmanager
def _shown(
    task: EvidenceTask, folder: Path | None, total: int, first: int, progress: bool
) -> Iterator[Callable[..., None]]:
    """A function that shows how many steps are done and, where it is given them, what an evaluation found.

    It shows it in a progress bar, and in TensorBoard files in the folder; beside it, the best that can be had.
    """
    with ExitStack() as stack:
        writer = None
        if folder is not None:
            from torch.utils.tensorboard.writer import SummaryWriter

            # What a broken-off run wrote beyond the state that is taken up again is not shown twice.
            writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1)
            stack.callback(writer.close)
        name = f"{task.n_tasks} task{'s'[: task.n_tasks - 1]}"
        bar = tqdm(total=total, initial=first, disable=not progress, desc=name, unit=" steps", mininterval=0.5)
        stack.callback(bar.close)
        best = _ideal(task) if progress or writer else {}

        def show(done: int, found: Mapping[str, float] | None = None, more: Mapping[str, float] | None = None) -> None:
            bar.update(done - bar.n)
            if found is None:
                return
            bar.set_postfix(
                {key: f"{v:.4f}" + (f" of {best[key]:.4f}" if key in best else "") for key, v in found.items()}
            )
            if writer is not None:
                ideals = {f"{key}_ideal": value for key, value in best.items()}
                for key, value in {**found, **ideals, **(more or {})}.items():
                    writer.add_scalar(key, value, done)
                writer.flush()

        yield show


def _ideal(task: EvidenceTask) -> dict[str, float]:
    """The best there is of what an evaluation finds; nothing where that is not known."""
    # What the encoder shows is all that the evidence tells: one number for all encoders.
    bare = task if task.encoder_noise else replace(task, encoder=None, encoder_seed=0)
    try:
        ideal = bare.ideal()
    except ValueError:
        return {}
    if not task.reaction_time:
        return {"reward": ideal.accuracy, "accuracy": ideal.accuracy}
    best = {"reward": ideal.value, "accuracy": ideal.response_accuracy, "response_step": ideal.response_step}
    return {name: value for name, value in best.items() if value is not None}


def _logged(model: OnPolicyAlgorithm) -> dict[str, float]:
    """What SB3 told its logger of the last updates."""
    return {key: float(v) for key, v in model.logger.name_to_value.items() if isinstance(v, int | float | np.number)}
