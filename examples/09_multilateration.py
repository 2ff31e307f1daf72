"""x* from the answers of networks alone, with nothing fitted: of which networks, and how good beside fitted decoders.

Takes the agents in `--folder`, files KIND-SEED.safetensors, or trains some there; the cut of each kind is from others.
"""

import argparse
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import gymnasium as gym
import numpy as np

from mtrnn_agents import PRESETS, load, train
from mtrnn_analysis import numbers
from mtrnn_analysis.figures.style import save
from mtrnn_analysis.figures.theory import Located, networks_figure
from mtrnn_analysis.report import table
from mtrnn_analysis.theory.distances import choose_cut
from mtrnn_analysis.theory.multilateration import multilateration
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
    for n, seed in [] if any(a.folder.glob("*.safetensors")) else product(a.tasks, range(a.seeds)):
        agent = train(EvidenceTask(n_tasks=n, encoder_seed=seed), seed, replace(PRESETS["dense"], n_updates=a.updates))
        agent.save(a.folder / f"n{n}-{seed}.safetensors")
    recordings, rows = {}, []
    for path in sorted(a.folder.glob("*.safetensors")):
        agent = load(path)
        if agent.task.cueing == "all" and hasattr(agent.task.boundary, "normals"):
            env_id = f"MultiTaskEvidence{'RT' * agent.task.reaction_time}-v0"
            made = record(agent, gym.make_vec(env_id, 64, split="test", **asdict(agent.task)), a.trials, seed=0)
            recordings[path.stem] = replace(made, hidden=None), made.last_hidden()
    cut, kinds = choose_cut([made for made, _ in recordings.values()]), [n.rpartition("-")[0] for n in recordings]
    for (name, (made, states)), kind in zip(recordings.items(), kinds, strict=True):
        own = cut.without(np.array(kinds) == kind) if len(set(kinds)) > 1 else cut.cut
        given = made.probabilities, made.latents, made.task, np.random.default_rng(0), made.response_steps
        found = {"network": name, "kind": kind} | numbers(multilateration(*given, made.trials(), states, cut=own))
        entropy = -np.log(np.where(made.labels > 0, given[0], 1 - given[0]).clip(1e-7)).mean()
        rows.append(found | {"accuracy": made.correct.mean(), "cross_entropy": entropy, "cut": own})
    lines = [list(rows[0]), *(map(str, row.values()) for row in rows)]
    (a.folder / "theory.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    groups = {kind: [row for row in rows if row["kind"] == kind] for kind in kinds}
    means = [[k, len(g), *(float(np.mean([row[c] for row in g])) for c in SHOWN.values())] for k, g in groups.items()]
    print(table(["kind", "networks", *SHOWN], means))
    marks = (Located(row["kind"], {n: row[c] for n, c in R2.items()}, row["r2_ideal"]) for row in rows)
    save(networks_figure(list(marks)), a.folder / "multilateration")
    print(f"means over networks; the cut chosen on all is {cut.cut}; results are in {a.folder.resolve()}")
