"""CPU time of an update, as ratios to the loop that the public code of arXiv:2407.11249 runs, in the same run.

The reference is written anew from its description: at every step a linear layer for the input, one for the state, one
for the answers, the noise of the units (of size 0 here) and the leak; binary cross-entropy; PyTorch's Adam.
"""

import math
import time

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from mtrnn_agents import LeakyRNN, Training
from mtrnn_agents.networks.flat_weights import Layout
from mtrnn_agents.supervised.agent import first_weights
from mtrnn_agents.supervised.batches import draw_block
from mtrnn_agents.supervised.updates import kernel_learner
from mtrnn_agents.training.run import Run
from mtrnn_envs import EvidenceTask

TASK = EvidenceTask()
AIMS = {16: "12 (reach for 25)", 64: "6", 256: "2.5"}
ROUNDS = 7


class PublicLoop(torch.nn.Module):
    """One step at a time, every layer at every step."""

    def __init__(self, n_inputs: int, n_units: int, n_outputs: int, alpha: float = 1.0) -> None:
        super().__init__()
        self.input = torch.nn.Linear(n_inputs, n_units)
        self.recurrent = torch.nn.Linear(n_units, n_units)
        self.output = torch.nn.Linear(n_units, n_outputs)
        self.alpha = alpha

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        state, outputs = torch.zeros(len(observations), self.recurrent.in_features), []
        for t in range(observations.shape[1]):
            drive = self.input(observations[:, t]) + self.recurrent(state) + 0.0 * torch.randn(state.shape[1])
            state = (1 - self.alpha) * state + self.alpha * torch.relu(drive)
            outputs.append(torch.sigmoid(self.output(state)))
        return torch.stack(outputs, 1)


def cpu_seconds(*calls) -> list[float]:
    """CPU seconds of each call, the median of interleaved rounds."""
    rounds = []
    for _ in range(ROUNDS):
        rounds.append([])
        for call in calls:
            start = time.process_time()
            call()
            rounds[-1].append(time.process_time() - start)
    return np.median(rounds, axis=0).tolist()


def updates(batch_size: int, n_updates: int):
    """A call for `n_updates` of ours, and one for a tenth as many of the reference, on the same batches."""
    training = Training(labels="decision", batch_size=batch_size)
    run, network = Run(TASK, 0), LeakyRNN()
    weights = first_weights(run, training)
    layout = Layout.of(weights)
    flat, batch = layout.pack(weights)[None], draw_block(run, training, 0)
    moments = np.zeros((1, 2, flat.size), np.float32)
    advance, few = kernel_learner(network, {}, training), len(batch.valid)
    rates = np.full((1, few), 1e-3)
    inputs, targets = torch.from_numpy(batch.observations), torch.from_numpy(batch.values)
    model, criterion = PublicLoop(41, 64, 24), torch.nn.BCELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def ours() -> None:
        for _ in range(max(1, n_updates // few)):
            advance(flat, moments, [batch], rates, 0)

    def theirs() -> None:
        for u in range(n_updates // 10):
            optimizer.zero_grad()
            criterion(model(inputs[u % few]), targets[u % few]).backward()
            optimizer.step()

    return ours, theirs, max(1, n_updates // few) * few, n_updates // 10, training


@pytest.mark.benchmark(timer=time.process_time, min_rounds=5, warmup=True)
@pytest.mark.parametrize("batch_size", AIMS)
def test_update_against_the_public_loop(benchmark, ratios, batch_size):
    torch.set_num_threads(1)
    with threadpool_limits(1):
        ours, theirs, n_ours, n_theirs, _ = updates(batch_size, max(40, 4096 // batch_size))
        ours()
        seconds = cpu_seconds(ours, theirs)
        faster = (seconds[1] / n_theirs) / (seconds[0] / n_ours)
        ratios(f"update of {batch_size} trials: times as fast as the public loop", faster, AIMS[batch_size])
        multiplied = 3 * 22 * batch_size * (41 * 64 + 64 * 64 + 64 * 24)
        reached = 2 * multiplied / (seconds[0] / n_ours) / peak()
        ratios(f"update of {batch_size} trials: share of the core's peak", reached, "0.8")
        benchmark(ours)


def test_training_end_to_end(ratios):
    """Sampling, encoding and targets included, ours on both sides."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        ours, theirs, n_ours, n_theirs, training = updates(16, 256)
        ours()
        data = lambda: draw_block(Run(TASK, 0), training, 1)  # noqa: E731
        data()
        mine, public, drawn = cpu_seconds(ours, theirs, data)
        per_update = drawn / (2048 // 16)
        faster = (public / n_theirs + per_update) / (mine / n_ours + per_update)
        ratios("training on batches of 16, data included: times as fast", faster, "10")
        ratios("share of data in the time of training", per_update / (mine / n_ours + per_update), "below 0.5")


def peak() -> float:
    """Floating-point operations a second of a large matrix product on this core."""
    a = np.random.default_rng(0).standard_normal((1024, 1024), np.float32)
    out, best = np.empty_like(a), math.inf
    for _ in range(5):
        start = time.process_time()
        np.dot(a, a, out=out)
        best = min(best, time.process_time() - start)
    return 2 * 1024**3 / best
