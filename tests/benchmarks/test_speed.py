"""Speed, in CPU time, as ratios to what cannot be undercut, or to a well-known environment, in the same run.

`make bench` runs this and prints the ratios beside what is aimed at; nothing fails for being slow. The noise bound is
the drawing of a trial's noise alone, by the generator that the environments use; the encoder bound adds the three
matrix products of every step.
"""

import time
import tracemalloc

import gymnasium as gym
import numpy as np
import pytest

from mtrnn_envs import EvidenceTask, observe
from mtrnn_envs.components.encoder import CHUNK, layers
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.testing.comparisons import task_of
from mtrnn_envs.trials import sample

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=20, warmup=False)
ROUNDS = 5
DEFAULTS = EvidenceTask()
PER_STEP = DEFAULTS.longest.stimulus * DEFAULTS.n_dims / DEFAULTS.n_steps  # normals for a step


def cpu_seconds(call, n_calls: int) -> float:
    """CPU seconds of a call, the least of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(n_calls):
            call()
        rounds.append((time.process_time() - start) / n_calls)
    return min(rounds)


def noise_bound() -> float:
    """CPU seconds of the noise of one step of one environment."""
    rng, out = generator(0, "train"), np.empty(2560, np.float32)
    return cpu_seconds(lambda: rng.standard_normal(out=out, dtype=np.float32), 2000) / out.size * PER_STEP


def encoder_bound() -> float:
    """CPU seconds of the noise and the encoder's matrix products of one step of one environment."""
    first, second, third = (layer.weight for layer in layers(2, 0))
    rows = np.ones((CHUNK, 2), np.float32)
    return noise_bound() + cpu_seconds(lambda: rows @ first @ second @ third, 200) / CHUNK


def stepper(envs, actions):
    """A call that takes the next of `actions`, over and over."""
    state = {"i": 0}

    def step():
        state["i"] = (state["i"] + 1) % len(actions)
        envs.step(actions[state["i"]])

    return step


@pytest.mark.parametrize("n_envs", [64, 1024])
@pytest.mark.parametrize(("encoder", "aim"), [(None, {64: 0.3, 1024: 0.4}), ("relu", {64: 0.6, 1024: 0.6})])
def test_vector_environment(benchmark, ratios, n_envs, encoder, aim):
    envs = gym.make_vec("MultiTaskEvidence-v0", num_envs=n_envs, encoder=encoder)
    envs.reset(seed=0)
    step = stepper(envs, [envs.action_space.sample() for _ in range(7)])
    n_calls = 64 * DEFAULTS.n_steps  # a whole block of trials, so that all costs are in
    bound = encoder_bound() if encoder else noise_bound()
    seconds = cpu_seconds(step, n_calls) / n_envs
    ratios(f"vector, {encoder or 'no encoder'}, {n_envs} envs: share of the bound", bound / seconds, aim[n_envs])
    benchmark(step)


def test_reaction_time_vector_environment(benchmark, ratios):
    """Each open task is answered with probability 0.15 a step, so that trials last nearly to the deadline."""
    envs = gym.make_vec("MultiTaskEvidenceRT-v0", num_envs=1024, encoder=None)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    shape = (1024, task_of(envs).n_tasks)
    actions = [np.where(rng.random(shape) < 0.85, 0, rng.integers(1, 7, shape)) for _ in range(23)]
    step = stepper(envs, actions)
    seconds = cpu_seconds(step, 500) / 1024
    ratios("reaction time, no encoder, 1024 envs: share of the bound", noise_bound() / seconds, 0.25)
    benchmark(step)


def test_batch_sampler(benchmark, ratios):
    task, rng = EvidenceTask(encoder=None), generator(0, "train")

    def batch():
        trials = sample(task, 256, rng)
        return observe(trials), trials.labels

    bound = noise_bound() * task.n_steps * 256
    ratios("sampler, no encoder, 256 trials: share of the bound", bound / cpu_seconds(batch, 300), 0.6)
    benchmark(batch)


def single(env_id: str, **kwargs):
    """A call that steps one environment, resetting it where its episode ended."""
    env = gym.make(env_id, **kwargs)
    env.reset(seed=0)
    action = env.action_space.sample()

    def step():
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()

    return step


@pytest.mark.parametrize(("encoder", "aim"), [(None, 4), ("relu", 2)])
def test_single_environment_against_cartpole(benchmark, ratios, encoder, aim):
    cartpole, ours = single("CartPole-v1"), single("MultiTaskEvidence-v0", encoder=encoder)
    faster = cpu_seconds(cartpole, 20_000) / cpu_seconds(ours, 20_000)
    ratios(f"single, {encoder or 'no encoder'}: times as fast as CartPole-v1", faster, aim)
    benchmark(ours)


def test_memory_of_a_large_vector_environment(ratios):
    tracemalloc.start()
    envs = gym.make_vec("MultiTaskEvidence-v0", num_envs=16384, encoder=None)
    envs.reset(seed=0)
    for _ in range(30):
        envs.step(np.zeros((16384, 24), np.int8))
    megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    ratios("memory of 16384 envs without encoder, peak, of 400 MB", megabytes / 400, "below 1")
