"""Trains networks by two protocols: both come close to the best answers there are, one closer to a flat code of x*.

Draws what accuracy and out-of-distribution r2_prior were in the course of training. About 40 CPU seconds a network.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtrnn_agents import PRESETS, SupervisedAgent
from mtrnn_agents.supervised import ensemble
from mtrnn_analysis.decoding import decode
from mtrnn_analysis.figures import Course, courses_figure, save
from mtrnn_analysis.report import table
from mtrnn_envs import EvidenceTask


def r2(states: np.ndarray, latents: np.ndarray) -> dict[str, float]:
    """What is decoded from validation trials, in and out of distribution."""
    found = decode(states, latents, np.random.default_rng(0), n_null=0)
    return {"r2_id": found.in_distribution.r2_prior, "r2_ood": found.out_of_distribution.r2_prior}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["paper", "dense"], choices=list(PRESETS), help="protocols")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each, every one with an encoder of its own")
    parser.add_argument("--updates", type=int, help="updates of a network, if not those of the protocol")
    parser.add_argument("--folder", type=Path, default=Path("results/training"), help="where the results go")
    a = parser.parse_args()
    runs = [(EvidenceTask(encoder_seed=seed), seed) for seed in range(a.seeds)]
    courses, rows = [], []
    for name in a.presets:
        training = replace(PRESETS[name], n_updates=a.updates or PRESETS[name].n_updates)
        agents = ensemble(runs, training, folder=a.folder / name, metrics=r2)
        histories = [agent.history for agent in agents if isinstance(agent, SupervisedAgent) and agent.history]
        courses += [Course(name, h.updates, h.accuracy, h.metrics["r2_ood"]) for h in histories]
        r2_ood = [h.metrics["r2_ood"][-1] for h in histories]
        accuracy, entropy = (np.median([getattr(h, n)[-1] for h in histories]) for n in ("accuracy", "cross_entropy"))
        span = f"{min(r2_ood):.3f} to {max(r2_ood):.3f}"
        rows.append([name, len(r2_ood), float(accuracy), float(entropy), float(np.median(r2_ood)), span])
    print(table(["protocol", "networks", "accuracy", "cross-entropy", "r2_prior OOD", "OOD, range"], rows))
    save(courses_figure(courses, runs[0][0]), a.folder / "training")
    print(
        f"medians over networks, of 2048 validation trials each; the figure and the agents are in {a.folder.resolve()}"
    )
