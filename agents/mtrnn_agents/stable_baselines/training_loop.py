"""Resumable training of models of Stable-Baselines3: one iteration after the other, evaluated and saved.

A rollout and the updates after it, an iteration, follow from the weights, the state of the optimiser, the seed and the
iteration's number alone: the environments then begin the trials of seeds of their own, and SB3 draws from global
generators that are seeded for it and put back afterwards. So a run that was stopped goes on as if it had not been.

SB3's own loop is taken apart for this, by methods that it keeps to itself: tested with Stable-Baselines3 2.9.2.
"""

from __future__ import annotations

import json
import math
import os
import random
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from mtrnn_agents.stable_baselines import checkpoints
from mtrnn_agents.stable_baselines.agent import StableBaselinesAgent
from mtrnn_agents.stable_baselines.checkpoints import Progress
from mtrnn_agents.stable_baselines.history_features import FeaturesVecEnv
from mtrnn_agents.stable_baselines.policies import takes_binary
from mtrnn_agents.stable_baselines.settings import OnPolicyTraining
from mtrnn_agents.stable_baselines.vec_env import SB3VecEnv
from mtrnn_agents.training import history as columns
from mtrnn_agents.training.checkpoint import CHECKPOINT
from mtrnn_agents.training.progress import Monitor, monitor
from mtrnn_agents.training.resumable import carried_on, folder_of, one_thread, run_training
from mtrnn_agents.training.run import N_VALIDATION
from mtrnn_agents.training.settings import checked_settings, checked_task
from mtrnn_envs import EvidenceTask, record
from mtrnn_envs.environments.vector_env import EvidenceVectorEnv
from mtrnn_envs.experiments.fingerprints import task_contents
from mtrnn_envs.protocols import Metrics
from mtrnn_envs.reward import action_sizes
from mtrnn_envs.rng.seeding import seed_sequence
from mtrnn_envs.utils.validation import check_int

VALIDATION_ENVS = 512
# Statistics of the updates that SB3 logs, under the same names as in a history. Its probability ratios, and so these
# statistics, are of whole actions; those of `mtrnn_agents.trial_ppo` are of each part of an action. The entropy is of
# each part in both: here over all steps, there over those that count.
LOGGED = ("value_loss", "approx_kl", "clip_fraction")


class Algorithm(NamedTuple):
    """An on-policy algorithm of Stable-Baselines3, with its policy.

    Attributes:
        name: so that its runs are not taken for those of another: the name of its agent plug-in.
        make_model: makes the untrained model of environments, a task, a seed and settings. Its `n_steps` should be
            `training.rollout_trials * task.n_steps`.
        kind: the features that the policy sees (`mtrnn_agents.stable_baselines.history_features`); None for
            observations.
        multi_binary: whether the policy answers in `MultiBinary` where it can, which is faster and means the same.
    """

    name: str
    make_model: Callable[[VecEnv, EvidenceTask, int, Any], OnPolicyAlgorithm]
    kind: str | None = None
    multi_binary: bool = True


class Learner(NamedTuple):
    """The parts of a run that stay the same.

    Attributes:
        model: learns; its weights and optimiser alone change the next iteration.
        task, seed, training: as given to `learn`.
        kind: see `Algorithm`.
        run: all that determines the run.
        folder: where it is kept, if anywhere.
    """

    model: OnPolicyAlgorithm
    task: EvidenceTask
    seed: int
    training: OnPolicyTraining
    kind: str | None
    run: dict[str, Any]
    folder: Path | None

    @property
    def steps(self) -> int:
        """Environment steps of an iteration."""
        return self.training.n_envs * self.model.n_steps

    @property
    def iterations(self) -> int:
        """Iterations of the whole training, if it is not over before by its trials."""
        return math.ceil(self.training.total_steps / self.steps)

    def share(self, now: Progress) -> float:
        """The share of the training that is done; 1 or more: all."""
        trials = self.training.total_trials
        return max(now.iteration / self.iterations, 0 if trials is None else now.trials / trials)

    def agent(self, **more: Any) -> StableBaselinesAgent:
        """The agent of the model as it is now."""
        return StableBaselinesAgent(self.model, self.task, kind=self.kind, **more)

    def save(self, state: Progress) -> None:
        """Writes the state to the folder of the run, if it has one."""
        if self.folder is not None:
            checkpoints.write(self.folder / CHECKPOINT, self.run, state)


def learn(
    algorithm: Algorithm,
    task: EvidenceTask,
    seed: int,
    training: OnPolicyTraining,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    metrics: Metrics | None = None,
) -> StableBaselinesAgent:
    """A policy trained on `task` by an on-policy algorithm of Stable-Baselines3, as an agent.

    The same arguments and build give bit-identical agents, however often training is interrupted. No global generator
    is moved. A trial that has not ended with its rollout is cut off there, and counts with the value of its last state.

    Further arguments and errors are those of `mtrnn_agents.supervised.train`; `metrics` is given states at the last
    step.
    """
    task, training, place = checked_task(task), checked_settings(training, OnPolicyTraining), folder_of(folder)
    run = identity(algorithm.name, task, check_int("seed", seed, 0), training)

    def carry_on() -> tuple[str | None, Callable[[], StableBaselinesAgent]]:
        model = new_model(algorithm, task, seed, training)
        learner = Learner(model, task, seed, training, algorithm.kind, run, place)
        if place is None or not (place / CHECKPOINT).exists():
            first = checkpoints.snapshot(model, 0, {})
        else:
            first = checkpoints.read(place / CHECKPOINT, run)
            checkpoints.restore(model, first)
        folders, total = None if place is None else [place], learner.iterations * learner.steps
        with monitor([task], folders, total, first.iteration * learner.steps, progress, "steps") as shown:
            after = states(learner, first, shown, metrics)
            last = carried_on(first, after, learner.save, lambda now: f"{now.iteration * learner.steps} steps", place)
        done = last.diverged
        diverged = None if done is None else f"weights or logits are not finite after {done} steps"
        return diverged, lambda: learner.agent(seed=seed, run=run, history=last.history)

    with one_thread(), own_generators(seed_sequence(seed, "network")):
        return run_training(StableBaselinesAgent, run, place, training, carry_on)


def untrained_agent(
    algorithm: Algorithm, task: EvidenceTask, seed: int, training: OnPolicyTraining
) -> StableBaselinesAgent:
    """The agent that `learn` starts from, with the same arguments: the control for the effect of first weights."""
    run = identity(algorithm.name, task, check_int("seed", seed, 0), training)
    with one_thread(), own_generators(seed_sequence(seed, "network")):
        model = new_model(algorithm, task, seed, training)
    return StableBaselinesAgent(model, task, kind=algorithm.kind, seed=seed, run=run)


def identity(name: str, task: EvidenceTask, seed: int, training: OnPolicyTraining) -> dict[str, Any]:
    """All that determines a run, as JSON; of boundaries named as "module:attribute", a hash of the present content."""
    about = {"name": name, "seed": seed, "training": asdict(training), "contents": task_contents(task)}
    return {"task": json.loads(task.to_json()), **json.loads(json.dumps(about))}


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


def new_model(algorithm: Algorithm, task: EvidenceTask, seed: int, training: OnPolicyTraining) -> OnPolicyAlgorithm:
    """The untrained model, quiet."""
    binary = algorithm.multi_binary and takes_binary(task) and task.cueing == "all"
    shown = replace(task, action_encoding="multi_binary") if binary else task
    envs: VecEnv = SB3VecEnv(EvidenceVectorEnv(training.n_envs, **asdict(shown)))
    if algorithm.kind is not None:
        envs = FeaturesVecEnv(envs, task, algorithm.kind)
    with warnings.catch_warnings():
        # A last minibatch that is smaller than the others does no harm.
        warnings.filterwarnings("ignore", "You have specified a mini-batch size of", UserWarning)
        first = int(seed_sequence(seed, "network", 0).generate_state(1)[0])
        model = algorithm.make_model(envs, task, first, training)
    model.set_logger(Logger(None, []))
    return model


def states(learner: Learner, now: Progress, shown: Monitor, metrics: Metrics | None) -> Generator[Progress, None, None]:
    """The states after `now`, one for each iteration, until the end or until weights or logits are not finite."""
    model, steps, training = learner.model, learner.steps, learner.training
    _, callback = model._setup_learn(learner.iterations * steps, None, reset_num_timesteps=False)
    while learner.share(now) < 1:
        told: dict[str, float] | None = None
        try:
            told = iterate(learner, callback, now)
        except ValueError as error:
            if "invalid values" not in str(error):  # as torch says of logits that are not finite
                raise
        trials = now.trials + begun(model)
        after = checkpoints.snapshot(model, now.iteration + 1, now.history, trials)
        done = after.iteration * steps
        if told is None or not all(np.isfinite(v).all() for v in after.arrays.values()):
            yield replace(now, diverged=done)
            return
        due = done // training.evaluate_every > now.iteration * steps // training.evaluate_every
        if due or learner.share(after) >= 1:
            row = {"steps": done, **evaluated(learner.agent(), learner.seed, metrics), **told}
            after = replace(after, history=columns.extended(now.history, row, len(now.history.get("steps") or ())))
            shown.show(done, [columns.last(after.history)])
        shown.advance(done)
        now = after
        yield now


def begun(model: OnPolicyAlgorithm) -> int:
    """The trials begun in the last rollout."""
    return int(np.count_nonzero(model.rollout_buffer.episode_starts))


def iterate(learner: Learner, callback: BaseCallback, now: Progress) -> dict[str, float]:
    """One rollout, from the beginning of trials, and the updates after it; gives their statistics by name.

    If it began more trials than are left, the model does not learn from it: training is over, without statistics.
    It is a function of the model's weights and optimiser, the seed, and how many iterations and trials went before.
    """
    model: Any = learner.model
    envs, buffer, iteration, training = model.env, model.rollout_buffer, now.iteration, learner.training
    with own_generators(seed_sequence(learner.seed, "actions", iteration)):
        envs.seed(_start(learner.seed, "train", iteration))
        model._last_obs = envs.reset()
        model._last_episode_starts = np.ones(envs.num_envs, bool)
        if hasattr(model, "_last_lstm_states"):
            zeros = (tuple(torch.zeros_like(v) for v in part) for part in model._last_lstm_states)
            model._last_lstm_states = RNNStates(*zeros)
        model.num_timesteps = iteration * learner.steps
        # The schedule is of the share that was done before the rollout, as in `mtrnn_agents.trial_ppo`. SB3's own loop
        # counts this rollout too, so that the last of a rate that falls to 0 teaches nothing.
        model._current_progress_remaining = 1 - learner.share(now)
        model.collect_rollouts(envs, callback, buffer, n_rollout_steps=model.n_steps)
        ends = np.concatenate([buffer.episode_starts[1:], model._last_episode_starts[None]]) != 0
        reward = reward_of_ended(buffer.rewards, ends)
        if training.total_trials is not None and now.trials + begun(model) > training.total_trials:
            return {}
        model.train()
    logged = {name.removeprefix("train/"): float(value) for name, value in model.logger.name_to_value.items()}
    # That of a whole action is the sum of those of its parts, which are independent.
    entropy = -logged["entropy_loss"] / len(action_sizes(learner.task))
    return {"rollout_reward": reward, "entropy": entropy} | {name: logged[name] for name in LOGGED if name in logged}


def reward_of_ended(rewards: Float[np.ndarray, "T N"], ends: Bool[np.ndarray, "T N"]) -> float:
    """The mean reward of the trials that ended within a rollout, at the steps where `ends`; nan if none did.

    The rollout begins with trials, so that these are whole. Those cut off at its end are left out; where lengths
    differ, more of them are long than of the others.
    """
    whole_trials = np.logical_or.accumulate(ends[::-1])[::-1]
    n_ended = np.count_nonzero(ends)
    return float(rewards[whole_trials].sum() / n_ended) if n_ended else math.nan


def evaluated(agent: StableBaselinesAgent, seed: int, metrics: Metrics | None) -> dict[str, float]:
    """The performance of the likeliest actions on whole validation trials, the same at every call.

    The numbers are those of `mtrnn_agents.trial_ppo.evaluate`.
    """
    envs = EvidenceVectorEnv(VALIDATION_ENVS, split="validation", **asdict(agent.task))
    recording = record(agent, envs, N_VALIDATION, _start(seed, "validation"))
    found = {"reward": float(recording.rewards.sum(axis=1).mean()), "accuracy": float(recording.correct.mean())}
    if agent.task.reaction_time:
        given = recording.answers != 0
        if isinstance(agent.task.fixation, int):  # else a recording does not hold how long a task was left open
            samples = recording.last_steps[:, None] + 1 - agent.task.fixation
            found["response_step"] = float(np.where(given, recording.response_steps, samples).mean())
        found["answered"] = float(given.mean())
    return found | dict(metrics(recording.last_hidden(), recording.latents) if metrics else {})


def _start(seed: int, purpose: str, *index: int) -> int:
    """The seed of the first of some environments: far from those of all others."""
    return int(seed_sequence(seed, purpose, *index).generate_state(1, np.uint64)[0] >> 1)
