"""Trains the third party's network, and runs a study of all its kinds on its backend; the last line is the outcome."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import lab.rules  # pyright: ignore[reportMissingImports]
import numpy as np
from lab.plain_rnn import PlainRNN  # pyright: ignore[reportMissingImports]

from mtrnn_agents import Training, load, train
from mtrnn_envs import EvidenceTask, record
from mtrnn_envs.experiments import Backend, Study, run_study

folder = Path(sys.argv[1])
task = EvidenceTask(n_tasks=2, boundaries="lab.rings:rings", noise="lab.mirrored:MirroredGumbel")
training = Training(network=PlainRNN(n_units=6), n_updates=40, evaluate_every=20)
agent = train(task, 0, training, folder=folder / "agent", progress=False)
again: Any = load(folder / "agent")
env = gym.make_vec("MultiTaskEvidence-v0", 8, split="test", **asdict(task))
ours, theirs = (record(each, env, 40, seed=0).hidden for each in (agent, again))
assert ours is not None
assert theirs is not None
found: dict[str, Any] = {"reloaded": again.training == training and np.array_equal(ours, theirs)}
found["units"] = ours.shape[2]

settings = {"task.n_tasks": 2, "task.boundaries": task.boundaries, "task.noise": task.noise, "n_trials": 200}
settings |= {"task.payoff": "lab.rules:signed", "training.network.kind": "plain-rnn", "training.n_updates": 30}
study = Study(name="theirs", seeds=1, probes=["spread", "decoding"], settings=settings)
found["the rule"] = study.cells()[0].cell.id
backend = Backend(name="here", folder=folder / "files")
results = run_study(study, folder / "studies", backend=backend, progress=False)
found["calls of the backend"] = (folder / "files" / "calls").read_text()
for name in ("reward", "accuracy", "ideal.reward", "ideal.accuracy", "spread.value"):
    (found[name.removesuffix(".value")],) = map(float, results.column(name))
lab.rules.signed = lab.rules.misses_are_dear
found["another rule under its name"] = study.cells()[0].cell.id
print(json.dumps(found))
