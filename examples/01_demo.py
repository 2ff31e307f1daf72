"""Trains networks on few and on many tasks: those with many come to hold x* itself. A few minutes on two cores.

Each network is trained by backpropagation through time, recorded through the environment, and x* is decoded from its
state at the decision. Agents, recordings, a table and three figures go to `--folder`.
"""

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from tqdm import tqdm

from mtrnn_agents import Training, train, untrained
from mtrnn_analysis.decoding import decode
from mtrnn_analysis.figures import Result
from mtrnn_analysis.report import multitask_report
from mtrnn_envs import EvidenceTask
from mtrnn_envs.recording import Recording, record


def run(n_tasks: int, seed: int, updates: int, trials: int, folder: Path) -> tuple[Result, float]:
    """Trains (unless `updates` is 0), records and decodes one network; its result, and the CPU seconds it took."""
    torch.set_num_threads(1)
    start = time.process_time()
    task = EvidenceTask(n_tasks=n_tasks, encoder_seed=seed)
    agent = train(task, seed, Training(n_updates=updates), progress=False) if updates else untrained(task, seed)
    agent.save(folder / f"agent-{n_tasks}-{seed}-{updates}.safetensors")
    env = gym.make_vec("MultiTaskEvidence-v0", 64, split="test", **asdict(task))
    recording = record(agent, env, trials, seed=0)
    recording.save(folder / f"recording-{n_tasks}-{seed}-{updates}.npz")
    found = decode(recording.last_hidden(), recording.latents, np.random.default_rng(0), n_null=0)
    r2 = found.in_distribution.r2_prior, found.out_of_distribution.r2_prior
    return Result(n_tasks, float(recording.correct.mean()), *r2), time.process_time() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 3, 6, 12, 24], help="numbers of tasks")
    parser.add_argument("--seeds", type=int, default=2, help="networks for each number of tasks")
    parser.add_argument("--updates", type=int, default=150_000, help="updates of a network's weights")
    parser.add_argument("--trials", type=int, default=4000, help="test trials of a network")
    parser.add_argument("--folder", type=Path, default=Path("results/demo"), help="where the results go")
    a = parser.parse_args()
    cells = [(n, s, u) for u in (a.updates, 0) for n in (a.tasks if u else [max(a.tasks)]) for s in range(a.seeds)]
    results: dict[int, list[Result]] = {0: [], a.updates: []}
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(run, *cell, a.trials, a.folder): cell for cell in cells}
        for done in tqdm(as_completed(futures), "networks", len(futures)):
            result, seconds = done.result()
            results[futures[done][2]].append(result)
            tqdm.write(f"{result.n_tasks:3} tasks: OOD r2_prior {result.r2_ood:.3f}, {seconds:.0f} CPU s")
    shown = [a.folder / f"recording-{n}-0-{a.updates}.npz" for n in (min(a.tasks), max(a.tasks))]
    print(multitask_report(results[a.updates], results[0], [Recording.load(path) for path in shown], a.folder))
    print(f"table.md, and tasks, trajectories and r2 as .png and .pdf, are in {a.folder.resolve()}")
