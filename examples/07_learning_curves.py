"""Trains agents by labels and by reward, and draws how fast each learns to answer, and to answer in time.

About 15 CPU minutes a seed. What is there already is not trained again.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from mtrnn_agents.networks import GRU, LSTM
from mtrnn_analysis.figures import Curve, learning_figure, save
from mtrnn_analysis.report import table
from mtrnn_envs import IDS, EvidenceTask, plugins
from mtrnn_envs.experiments.monitoring import decoding
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance

# An agent is one row: its plug-in, its preset in either panel (if it has one), and in what it differs from these.
AGENTS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "labels, leaky RNN": ("supervised", ["dense"], {"n_updates": 20_000, "evaluate_every": 256}),
    "reward of each task, leaky RNN": ("trial_ppo", ["factored", "reaction_time"], {"evaluate_every": 4}),
    "reward of each task, GRU": ("trial_ppo", ["factored", "reaction_time"], {"network": GRU(), "evaluate_every": 4}),
    "reward of each task, LSTM": ("trial_ppo", ["factored", "reaction_time"], {"network": LSTM(), "evaluate_every": 4}),
    "reward in all, leaky RNN": ("trial_ppo", ["scalar", "scalar"], {"evaluate_every": 4}),
    "recurrent PPO of sb3-contrib": ("recurrent_ppo", ["whole_trials", "reaction_time"], {}),
    "PPO on the mean, no memory": ("ppo_history", ["mean"], {}),
}
TASKS = {"accuracy": EvidenceTask(), "reward": EvidenceTask(**IDS["MultiTaskEvidenceRT-v0"][0])}


def run(name: str, what: str, seed: int, folder: Path, shorter: int) -> tuple[Curve, float, float]:
    """The course of `what` in one training, out-of-distribution r2_prior at its end, and the CPU seconds it took."""
    (plugin, presets, fields), task, start = AGENTS[name], TASKS[what], time.process_time()
    agent = plugins.agent(plugin)
    training = replace(agent.PRESETS[presets[list(TASKS).index(what)]], **fields)
    length = next(field for field in ("n_updates", "n_iterations", "total_steps") if hasattr(training, field))
    training = replace(training, **{length: getattr(training, length) // shorter})
    place = folder / what / f"{name.replace(' ', '_')}_{seed}"
    history = agent.train(task, seed, training, folder=place, progress=False, metrics=decoding(print)).history
    if plugin == "supervised":
        shown = np.multiply(history.updates, training.batch_size * task.n_steps)
        history = {"steps": shown, "accuracy": history.accuracy, **history.metrics}
    return Curve(name, what, history["steps"], history[what]), history["r2_ood"][-1], time.process_time() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each agent")
    parser.add_argument("--shorter", type=int, default=1, help="how many times shorter than usual all trainings are")
    parser.add_argument("--folder", type=Path, default=Path("results/learning"), help="where the results go")
    a = parser.parse_args()
    if a.seeds < 1 or a.shorter < 1:
        parser.error("--seeds and --shorter are 1 or more")
    panels = [(name, what) for i, what in enumerate(TASKS) for name, row in AGENTS.items() if len(row[1]) > i]
    cells = [(*panel, seed) for panel in panels for seed in range(a.seeds)]
    found: Any = Parallel(n_jobs=-1, verbose=5)(delayed(run)(*cell, a.folder, a.shorter) for cell in cells)
    best = {
        "accuracy": ideal_performance(TASKS["accuracy"]).accuracy,
        "reward": ideal_performance(TASKS["reward"]).value,
    }
    rows = []
    for name, what in panels:
        mine = [one for one in found if (one[0].name, one[0].what) == (name, what)]
        ends, r2, seconds = zip(*((curve.values[-1], r2, seconds) for curve, r2, seconds in mine), strict=True)
        steps = float(np.median([curve.steps[-1] for curve, *_ in mine]))
        span = f"{min(ends):.4f} to {max(ends):.4f}"
        rows.append(
            [
                what,
                name,
                f"{steps / 1e3:.0f}k",
                float(np.median(ends)),
                span,
                best[what],
                float(np.median(r2)),
                f"{np.median(seconds):.0f}",
            ]
        )
    print(table(["", "agent", "steps", "median", "range", "best", "r2_prior OOD", "CPU s"], rows))
    save(learning_figure([curve for curve, *_ in found], best), a.folder / "learning")
    print(f"medians over {a.seeds} runs; the figure and the agents are in {a.folder.resolve()}")
