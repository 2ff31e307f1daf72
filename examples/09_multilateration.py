"""x* from the answers of networks alone, with nothing fitted: of which networks, and how good beside fitted decoders.

Takes the agents in `--folder`, files named KIND-SEED.safetensors, and trains small ones there if it has none. The cut
below which an answer counts as not saturated is chosen, for each kind, on the networks of all other kinds.
"""

import argparse
import csv
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium as gym
import numpy as np

from mtrnn_agents import PRESETS, load, train
from mtrnn_analysis import numbers
from mtrnn_analysis.distances import choose_cut
from mtrnn_analysis.figures.style import save
from mtrnn_analysis.figures.theory import Located, networks_figure
from mtrnn_analysis.multilateration import multilateration
from mtrnn_analysis.report import table
from mtrnn_envs import EvidenceTask, record

R2 = {f"alone, {form}": f"r2.{form}" for form in ("weighted", "unsaturated", "bounded")}
R2 |= {"bounded, rescaled": "r2_recalibrated.bounded", "decoder, ID": "r2_decoder_id", "decoder, OOD": "r2_decoder_ood"}
SHOWN = R2 | {"ideal": "r2_ideal", "slope near": "slope_near", "slope far": "slope_far", "noise": "noise_near"}
SHOWN |= {"factor": "temperature", "accuracy": "accuracy", "cross-entropy": "cross_entropy", "cut": "cut"}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("results/multilateration"), help="of agents and results")
    parser.add_argument("--trials", type=int, default=4000, help="test trials of each agent")
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 6, 24], help="where agents are trained: their N")
    parser.add_argument("--seeds", type=int, default=2, help="where agents are trained: how many of each")
    parser.add_argument("--updates", type=int, default=10_000, help="where agents are trained: updates of each")
    a = parser.parse_args()
    for n, seed in [] if any(a.folder.glob("*.safetensors")) else np.ndindex(len(a.tasks), a.seeds):
        training = replace(PRESETS["dense"], n_updates=a.updates)
        agent = train(EvidenceTask(n_tasks=a.tasks[n], encoder_seed=seed), seed, training)
        agent.save(a.folder / f"n{a.tasks[n]}-{seed}.safetensors")
    recordings, rows = {}, []
    for path in sorted(a.folder.glob("*.safetensors")):
        agent = load(path)
        if agent.task.cueing == "all" and hasattr(agent.task.boundary, "normals"):
            env = gym.make_vec(
                f"MultiTaskEvidence{'RT' * agent.task.reaction_time}-v0", 64, split="test", **asdict(agent.task)
            )
            made = record(agent, env, a.trials, seed=0)
            recordings[path.stem] = replace(made, hidden=None), made.last_hidden()
    cut, kinds = choose_cut([made for made, _ in recordings.values()]), [n.rpartition("-")[0] for n in recordings]
    for (name, (made, states)), kind in zip(recordings.items(), kinds, strict=True):
        own = cut.without(np.array(kinds) == kind) if len(set(kinds)) > 1 else cut.cut
        given = made.probabilities, made.latents, made.task, np.random.default_rng(0), made.response_steps
        found = numbers(multilateration(*given, made.trials(), states, cut=own))
        right = np.where(made.labels > 0, made.probabilities, 1 - made.probabilities).clip(1e-7)
        found |= {"accuracy": made.correct.mean(), "cross_entropy": -np.log(right).mean(), "cut": own}
        rows.append({"network": name, "kind": kind} | found)
    with open(a.folder / "theory.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    means = []
    for kind in dict.fromkeys(kinds):
        group = [row for row in rows if row["kind"] == kind]
        means.append([kind, len(group), *(float(np.mean([row[c] for row in group])) for c in SHOWN.values())])
    print(table(["kind", "networks", *SHOWN], means))
    marks = [Located(row["kind"], {n: row[c] for n, c in R2.items()}, row["r2_ideal"]) for row in rows]
    save(networks_figure(marks), a.folder / "multilateration")
    print(f"means over networks; the cut chosen on all is {cut.cut}; results are in {a.folder.resolve()}")
