"""What networks came to know: every probe on every network, and what comes out over the networks of a kind.

Takes the agents in `--folder`, files KIND-SEED.safetensors, or trains some there. Numbers and figures of each network
go to a folder of its own; interquartile means over networks, with bootstrap intervals, to table.md.
"""

import argparse
from collections import defaultdict
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import gymnasium as gym
import numpy as np
from tqdm import tqdm

from mtrnn_agents import PRESETS, load, train, untrained
from mtrnn_analysis import numbers, probe_all
from mtrnn_analysis.figures import save
from mtrnn_analysis.figures.statistics import groups_figure
from mtrnn_analysis.report import table
from mtrnn_analysis.statistics import summary
from mtrnn_envs import EvidenceTask, record
from mtrnn_envs.experiments.probe_output import write

SHOWN = {
    "r2 ID": "decoding in_distribution.r2_prior",
    "r2 OOD": "decoding value",
    "above the input": "decoding above_untrained",
    "CCGP": "ccgp value",
    "parallelism": "parallelism value",
    "XOR": "shattering xor",
    "dimensions": "dimensionality value",
    "r2 after 1x": "rollout r2_after.1x",
    "time constant": "rollout time_constant",
    "answers alone": "multilateration value",
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("results/probes"), help="of agents and results")
    parser.add_argument("--trials", type=int, default=2000, help="test trials of each agent")
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 2, 24], help="where agents are trained: their N")
    parser.add_argument("--seeds", type=int, default=2, help="where agents are trained: how many of each")
    parser.add_argument("--updates", type=int, default=10_000, help="where agents are trained: updates of each")
    a = parser.parse_args()
    for n, seed in [] if any(a.folder.glob("*.safetensors")) else product(a.tasks, range(a.seeds)):
        task = EvidenceTask(n_tasks=n, encoder_seed=seed)
        train(task, seed, replace(PRESETS["dense"], n_updates=a.updates)).save(a.folder / f"n{n}-{seed}.safetensors")
        untrained(task, seed).save(a.folder / f"untrained-{seed}.safetensors")
    found = defaultdict(lambda: defaultdict(list))
    for path in (bar := tqdm(sorted(a.folder.glob("*.safetensors"), key=lambda p: (len(p.stem), p.stem)), "networks")):
        agent = load(path)
        envs = gym.make_vec("MultiTaskEvidence-v0", 64, split="test", **asdict(agent.task))
        recording = record(agent, envs, a.trials, seed=0)
        findings = probe_all(recording, agent=agent, say=lambda why, name=path.stem: bar.write(f"{name}: {why}"))
        write(findings, recording, a.folder / path.stem, bar.write)
        row = {f"{probe} {k}": v for probe, finding in findings.items() for k, v in numbers(finding).items()}
        for name, column in SHOWN.items():
            found[name][path.stem.rpartition("-")[0]].append(row.get(column, np.nan))
    rows = defaultdict(list)
    for kind, values in ((kind, values) for groups in found.values() for kind, values in groups.items()):
        if np.isfinite(values).all():
            (line,) = summary({kind: values}, np.random.default_rng(0))
            between = f" ({line['low']:.3g}, {line['high']:.3g})" if len(values) > 1 else ""
            rows[kind] += [f"{line['iqm']:.3g}{between}"]
        else:
            rows[kind] += [f"{np.isfinite(values).sum()} of {len(values)} finite"]
    text = table(["networks", *SHOWN], [[kind, *cells] for kind, cells in rows.items()])
    (a.folder / "table.md").write_text(text + "\n")
    print(text)
    ood = {kind: values for kind, values in found["r2 OOD"].items() if np.isfinite(values).all()}
    save(groups_figure(ood, summary(ood, np.random.default_rng(0)), "OOD $r^2_\\mathrm{prior}$"), a.folder / "r2")
    print(f"interquartile means over networks, with 95 % intervals; all is in {a.folder.resolve()}")
