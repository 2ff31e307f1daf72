"""Speed of all default probes, with their nulls, on one recording of 2000 trials of 64 units, in CPU seconds."""

import time
from dataclasses import asdict, replace

import gymnasium as gym
import numpy as np
import pytest

from mtrnn_agents import PRESETS, train
from mtrnn_envs import EvidenceTask, plugins, record
from mtrnn_envs.probing import Missing, probe


@pytest.mark.parametrize("task", [EvidenceTask(), EvidenceTask(payoff="quadratic", decision=0)], ids=["fixed", "rt"])
def test_all_probes_of_a_recording(ratios, task):
    agent = train(task, 0, replace(PRESETS["dense"], n_updates=5000), progress=False)
    recording = record(agent, gym.make_vec("MultiTaskEvidence-v0", 64, split="test", **asdict(task)), 2000, seed=0)
    assert recording.last_hidden().shape == (2000, 64)
    seconds = {}
    for name in plugins.names("probe"):
        plugins.probe(name)  # imported before the clock starts
        start = time.process_time()
        try:
            probe(recording, name, agent=agent)
        except (Missing, ValueError):
            continue  # of another kind of task
        seconds[name] = time.process_time() - start
    kind = "reaction time" if task.reaction_time else "fixed duration"
    ratios(f"all {len(seconds)} default probes, {kind}: CPU s", np.sum(list(seconds.values())), "20 or less")
    for name in sorted(seconds, key=seconds.__getitem__)[-3:]:
        ratios(f"  of which {name}", seconds[name], "")
