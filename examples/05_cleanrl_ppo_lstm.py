"""PPO with an LSTM in one file, in the manner of CleanRL: pure torch over `gym.make_vec`, read from top to bottom.

Nothing of it knows the environments: it takes any id whose actions are Discrete or MultiDiscrete. It is short, not
fast: it has one probability ratio for all answers of a step. Half a minute on one core.

PPO is of Schulman et al. 2017, arXiv:1707.06347.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch import nn
from torch.distributions import Categorical

from mtrnn_envs import EvidenceTask, record
from mtrnn_envs.ideal_observer import ideal_performance


@dataclass(frozen=True)
class Args:
    """PPO with an LSTM, on one environment."""

    env_id: str = "MultiTaskEvidence-v0"
    """the environment"""
    env_kwargs: str = '{"encoder": null}'
    """its arguments, as JSON"""
    seed: int = 0
    """of the weights, the actions, and the first of the environments"""
    total_timesteps: int = 600_000
    """steps of experience, over all environments"""
    num_envs: int = 256
    """environments side by side"""
    num_steps: int = 22
    """steps of each environment between two updates of the policy; a trial of fixed duration has 22"""
    hidden_size: int = 64
    """units of the LSTM"""
    learning_rate: float = 2e-3
    """of Adam, at the start"""
    anneal_lr: bool = True
    """whether the learning rate falls to 0 along a line"""
    gamma: float = 1.0
    """discount; 1, because a trial has an end"""
    gae_lambda: float = 0.95
    """of generalised advantage estimation (arXiv:1506.02438)"""
    update_epochs: int = 4
    """passes over the experience"""
    num_minibatches: int = 4
    """parts of a pass; each has whole sequences of some of the environments"""
    clip_coef: float = 0.2
    """how far from 1 a probability ratio may pay to go"""
    ent_coef: float = 0.0
    """weight of the entropy bonus"""
    vf_coef: float = 0.5
    """weight of the loss of the value"""
    max_grad_norm: float = 0.5
    """to which the norm of a gradient is cut"""
    trials: int = 2000
    """test trials that are recorded at the end"""


def layer(module: nn.Linear, std: float) -> nn.Linear:
    nn.init.orthogonal_(module.weight, std)
    nn.init.zeros_(module.bias)
    return module


class Agent(nn.Module):
    """Observation -> tanh layer -> LSTM -> logits of every component of an action, and the value."""

    void: torch.Tensor

    def __init__(self, observation_space: Any, action_space: Any, hidden_size: int) -> None:
        super().__init__()
        self.discrete = isinstance(action_space, gym.spaces.Discrete)
        sizes = np.array([action_space.n]) if self.discrete else action_space.nvec
        # Components of different sizes are padded with values that are never drawn.
        self.register_buffer("void", torch.from_numpy(np.arange(sizes.max()) >= sizes[:, None]))
        self.encoder = layer(nn.Linear(observation_space.shape[0], hidden_size), 2**0.5)
        self.lstm = nn.LSTMCell(hidden_size, hidden_size)
        self.actor = layer(nn.Linear(hidden_size, self.void.numel()), 0.01)
        self.critic = layer(nn.Linear(hidden_size, 1), 1.0)

    def forward(self, shown: Any, state: Any, begins: Any) -> tuple[Categorical, Any, Any]:
        """Policy and value at every step of `shown` `[T, B, F]`, and the last state; `begins` `[T, B]` wipes memory."""
        inputs, hidden = torch.tanh(self.encoder(shown)), []
        for x, begin in zip(inputs, begins, strict=True):
            state = self.lstm(x, tuple(part * (1 - begin)[:, None] for part in state))
            hidden.append(state[0])
        seen = torch.stack(hidden)
        logits = self.actor(seen).unflatten(-1, self.void.shape).masked_fill(self.void, -1e9)
        return Categorical(logits=logits, validate_args=False), self.critic(seen)[..., 0], state

    def start(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(n, self.lstm.hidden_size), torch.zeros(n, self.lstm.hidden_size)

    def for_env(self, actions: torch.Tensor) -> np.ndarray:
        return actions.numpy()[..., 0] if self.discrete else actions.numpy()

    @torch.no_grad()
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> Any:
        """What `mtrnn_envs.record`, and Stable-Baselines3, ask of an agent."""
        state = self.start(len(observation)) if state is None else state
        begins = torch.zeros(len(observation)) if episode_start is None else torch.as_tensor(episode_start).float()
        policy, _, state = self(torch.as_tensor(observation)[None], state, begins[None])
        return self.for_env((policy.mode if deterministic else policy.sample())[0]), state

    def hidden(self, state: Any) -> np.ndarray:
        return state[0].numpy()


def train(args: Args) -> tuple[Agent, EvidenceTask]:
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    envs: Any = gym.make_vec(args.env_id, num_envs=args.num_envs, **json.loads(args.env_kwargs))
    agent = Agent(envs.single_observation_space, envs.single_action_space, args.hidden_size)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    shape, iterations = (args.num_steps, args.num_envs), args.total_timesteps // (args.num_envs * args.num_steps)
    shown = torch.zeros(*shape, *envs.single_observation_space.shape)
    actions, values = torch.zeros(*shape, len(agent.void), dtype=torch.long), torch.zeros(shape)
    logprobs, rewards, begins = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)

    start, paid, n_trials = time.process_time(), 0.0, 0
    observation, next_begins, state = (
        envs.reset(seed=args.seed)[0],
        torch.ones(args.num_envs),
        agent.start(args.num_envs),
    )
    for iteration in range(iterations):
        if args.anneal_lr:
            optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - iteration / iterations)
        first_state = state
        with torch.no_grad():
            for t in range(args.num_steps):
                shown[t], begins[t] = torch.from_numpy(observation), next_begins
                policy, value, state = agent(shown[t][None], state, begins[t][None])
                actions[t], values[t] = policy.sample()[0], value[0]
                logprobs[t] = policy.log_prob(actions[t][None])[0].sum(-1)
                # In SAME_STEP mode, the default here, `observation` is the first of the next trial where one ended.
                observation, reward, terminated, truncated, _ = envs.step(agent.for_env(actions[t]))
                rewards[t], next_begins = torch.from_numpy(reward), torch.from_numpy(terminated | truncated).float()
                paid, n_trials = paid + reward.sum(), n_trials + int(terminated.sum())
            # Generalised advantage estimation, backwards from the value of what comes next.
            next_value = agent(torch.from_numpy(observation)[None], state, next_begins[None])[1][0]
            advantages, last = torch.zeros(shape), torch.zeros(args.num_envs)
            for t in reversed(range(args.num_steps)):
                goes_on = 1 - (next_begins if t + 1 == args.num_steps else begins[t + 1])
                after = next_value if t + 1 == args.num_steps else values[t + 1]
                delta = rewards[t] + args.gamma * after * goes_on - values[t]
                last = advantages[t] = delta + args.gamma * args.gae_lambda * goes_on * last
            returns = advantages + values

        for _ in range(args.update_epochs):
            for some in np.array_split(rng.permutation(args.num_envs), args.num_minibatches):
                policy, value, _ = agent(shown[:, some], [part[some] for part in first_state], begins[:, some])
                ratio = (policy.log_prob(actions[:, some]).sum(-1) - logprobs[:, some]).exp()
                gain = advantages[:, some]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                policy_loss = -torch.min(gain * ratio, gain * clipped).mean()
                value_loss = 0.5 * (value - returns[:, some]).square().mean()
                loss = policy_loss + args.vf_coef * value_loss - args.ent_coef * policy.entropy().sum(-1).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()

        if (iteration + 1) % max(1, iterations // 10) == 0:
            steps, seconds = (iteration + 1) * args.num_envs * args.num_steps, time.process_time() - start
            print(f"{steps:9,} steps {seconds:6.1f} CPU s  reward of a trial {paid / max(n_trials, 1):.3f}", flush=True)
            paid, n_trials = 0.0, 0
    return agent, envs.task


if __name__ == "__main__":
    torch.set_num_threads(1)
    args = tyro.cli(Args)
    agent, task = train(args)
    envs = gym.make_vec(args.env_id, 250, split="test", **json.loads(args.env_kwargs))
    recording = record(agent, envs, args.trials, seed=0)
    accuracy, ideal = float(recording.correct.mean()), ideal_performance(task)
    share = (accuracy - 0.5) / (ideal.accuracy - 0.5)
    print(f"accuracy {accuracy:.3f} of the ideal observer's {ideal.accuracy:.3f}: {share:.1%} of the way from 1/2")
    best = ideal.accuracy if ideal.value is None else ideal.value
    print(f"reward of a trial {recording.rewards.sum(axis=1).mean():.3f} of {best:.3f}")
