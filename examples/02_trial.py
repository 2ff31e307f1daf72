"""Draws one trial as the environment shows it: in the middle of the evidence, and after an ideal observer's answers."""

import argparse
from pathlib import Path

import gymnasium as gym
import matplotlib.image
import numpy as np

import mtrnn_envs
from mtrnn_agents import IdealObserver


def pictures(seed: int, n_tasks: int) -> np.ndarray:
    """The two pictures side by side, `[480, 1280, 3]` uint8."""
    task = mtrnn_envs.EvidenceTask(encoder=None, n_tasks=n_tasks)
    env = gym.make("MultiTaskEvidence-v0", encoder=None, n_tasks=n_tasks, render_mode="rgb_array")
    agent, state, ended, shown = IdealObserver(task), None, False, []
    observation, _ = env.reset(seed=seed)
    for t in range(task.n_steps):
        if t == task.n_steps // 2:
            shown.append(np.asarray(env.render()))
        action, state = agent.predict(observation[None], state, np.array([t == 0]))
        observation, _, ended, _, _ = env.step(action[0])
    assert ended
    return np.hstack([*shown, np.asarray(env.render())])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seed", type=int, default=3, help="the trial")
    parser.add_argument("--tasks", type=int, default=6, help="the number of tasks")
    parser.add_argument("--path", type=Path, default=Path("results/trial.png"), help="where the picture goes")
    a = parser.parse_args()
    a.path.parent.mkdir(parents=True, exist_ok=True)
    matplotlib.image.imsave(a.path, pictures(a.seed, a.tasks))
    print(f"the picture is {a.path.resolve()}")
