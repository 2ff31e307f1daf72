"""Steps every id in TorchRL, one environment and many at once, by actions drawn at random: pip install torchrl

Many at once are the native vector environment; it begins new trials when TorchRL says so, which is the mode "Disabled".
"""

import argparse
import logging

import gymnasium as gym
import torch
from torchrl.envs import GymEnv, GymWrapper  # pyright: ignore[reportMissingImports]
from torchrl.envs.utils import check_env_specs  # pyright: ignore[reportMissingImports]

import mtrnn_envs
from mtrnn_analysis.report import table

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--envs", type=int, default=64, help="environments side by side")
    parser.add_argument("--steps", type=int, default=220, help="steps of each")
    parser.add_argument("--seed", type=int, default=0, help="of the actions, and of the first environment")
    a = parser.parse_args()
    torch.manual_seed(a.seed)
    logging.getLogger("torchrl").setLevel(logging.WARNING)
    rows = []
    for env_id in mtrnn_envs.IDS:
        one = GymEnv(env_id, categorical_action_encoding=True)
        vector = gym.make_vec(env_id, a.envs, autoreset_mode="Disabled")
        for env in (one, GymWrapper(vector, categorical_action_encoding=True)):
            check_env_specs(env)
            first = env.reset(seed=a.seed)
            steps = env.rollout(a.steps, auto_reset=False, tensordict=first, break_when_any_done=False)
            n_trials = int(steps["next", "done"].sum())
            paid = float(steps["next", "reward"].sum()) / max(n_trials, 1)
            rows.append(
                [env_id, str(tuple(steps["observation"].shape)), str(tuple(steps["action"].shape)), n_trials, paid]
            )
            env.close()
    print(table(["id", "observations", "actions", "trials", "reward of a trial"], rows))
