"""Proximal policy optimisation on whole trials, with one probability ratio, advantage and clip for each task.

Given the state, answers are independent, and the reward of an answer to one task does not depend on the others. So in
the gradient of the expected reward each answer's log-probability can stand with the return of its own task alone: the
returns of the others add only noise to it (for factored policies see Wu et al. 2018, arXiv:1803.07246). Here each
answer then has a clipped objective (Schulman et al. 2017, arXiv:1707.06347) of its own, and the loss is their
mean; a common stop, which all tasks share, stands with the sum of their advantages. Plain PPO clips one ratio, that of
the whole action, and has the return of all.

Axes: N trials, S steps on which actions may count, A answers, M parts of an action, E values: A, or 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mtrnn_agents.networks.base import Network, Weights, noise_of, read
from mtrnn_agents.trial_ppo.action_heads import Head, draw, entropies, log_probabilities
from mtrnn_envs import EvidenceTask, Trials, observe
from mtrnn_envs.trial_rewards import TrialRewards, first_step, trial_rewards


class Rollout(NamedTuple):
    """N whole trials of a policy, for its updates.

    Attributes:
        observations: of all steps, `[N, T, F]`.
        noise: of the network, standard normal, `[N, T, H]`, or None: it is kept, so that the ratios begin at 1.
        actions: `[N, S, M]`.
        before: their log-probabilities when they were drawn, `[N, S, M]`.
        counts: which of them made a difference, 1 or 0, `[N, S, M]`.
        advantages: `[N, S, M]`, or of the actions as a whole `[N, S, 1]`, of standard deviation 1 where they count.
        returns: targets of the values, `[N, S, E]`.
        open: which of the values are asked for, 1 or 0, `[N, S, E]`.
    """

    observations: Float[Tensor, "N T F"]
    noise: Float[Tensor, "N T H"] | None
    actions: Int[Tensor, "N S M"]
    before: Float[Tensor, "N S M"]
    counts: Float[Tensor, "N S M"]
    advantages: Float[Tensor, "N S ..."]
    returns: Float[Tensor, "N S E"]
    open: Float[Tensor, "N S E"]

    def part(self, rows: Int[Tensor, " n"]) -> Rollout:
        """The trials of `rows`."""
        return Rollout(*(None if v is None else v[rows] for v in self))  # pyright: ignore[reportArgumentType]


class Objective(NamedTuple):
    """The loss, and statistics of it.

    Attributes:
        loss: a number to differentiate.
        approx_kl: an estimate of the mean Kullback-Leibler divergence from the policy that acted, for each part.
        clip_fraction: the share of ratios that are clipped.
        value_loss: mean squared error of the values.
    """

    loss: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor
    value_loss: Tensor


@torch.no_grad()
def roll_out(
    task: EvidenceTask,
    network: Network,
    weights: Weights,
    head: Head,
    trials: Trials,
    rng: np.random.Generator,
    gae_lambda: float,
) -> tuple[Rollout, TrialRewards, Float[Tensor, ""]]:
    """Lets the policy act on `trials` (numpy); gives the rollout, its rewards, and the policy's entropy.

    The evidence does not depend on the answers, so all steps are made at once; steps after the end of a trial do not
    count.
    """
    observations, noise = torch.from_numpy(observe(trials)), None
    if noise_of(network):
        shape = (len(trials), task.n_steps, network.n_units)
        noise = torch.from_numpy(rng.standard_normal(shape, np.float32))
    outputs = read(weights, network.sequence(weights, observations, noise)[:, first_step(task) :])
    uniform = torch.from_numpy(rng.random((*outputs.shape[:2], head.n_parts), np.float32))
    actions = draw(head, outputs, uniform)
    paid = trial_rewards(task, trials, actions.numpy())
    advantages, returns, open_ = learned_from(head, paid, head.values(outputs).numpy(), gae_lambda)
    rollout = Rollout(
        observations,
        noise,
        actions,
        log_probabilities(head, outputs, actions),
        *(torch.from_numpy(np.ascontiguousarray(v, np.float32)) for v in (paid.counts, advantages, returns, open_)),
    )
    return rollout, paid, mean_entropy(head, outputs, rollout)


def mean_entropy(head: Head, outputs: Float[Tensor, "N S O"], rollout: Rollout) -> Float[Tensor, ""]:
    """The mean entropy of the parts of actions that counted, in nat."""
    return (entropies(head, outputs) * rollout.counts).sum() / rollout.counts.sum().clamp(min=1)


def learned_from(
    head: Head, paid: TrialRewards, values: Float[np.ndarray, "N S E"], gae_lambda: float
) -> tuple[Float[np.ndarray, "N S P"], Float[np.ndarray, "N S E"], Bool[np.ndarray, "N S E"]]:
    """Advantages (scaled), returns, and where these are open, from rewards and values.

    With one value for each task, rewards are those of one task, times A, so that they do not shrink with the number of
    tasks; the common stop, where there is one, has the sum of the advantages of all tasks. With one value in all,
    rewards are those of the environment.
    """
    if head.factored:
        rewards, open_ = paid.rewards * np.float32(head.n_answers), paid.open
    else:
        rewards, open_ = paid.rewards.sum(-1, keepdims=True), np.asarray(paid.open.any(-1, keepdims=True))
    advantages = generalized_advantages(rewards, values, open_, gae_lambda)
    returns, counting = advantages + values, open_
    if head.factored:
        counting = paid.counts
        if head.stops:
            advantages = np.concatenate([advantages.sum(-1, keepdims=True), advantages], -1)
    scale = advantages[counting].std() if counting.any() else 1.0
    return advantages / (scale + 1e-8), returns, open_


def generalized_advantages(
    rewards: Float[np.ndarray, "N S E"],
    values: Float[np.ndarray, "N S E"],
    open_: Bool[np.ndarray, "N S E"],
    gae_lambda: float,
) -> Float[np.ndarray, "N S E"]:
    """Generalised advantages (Schulman et al. 2016, arXiv:1506.02438), undiscounted:

        A(t) = d(t) + lambda A(t+1),    d(t) = r(t) + V(t+1) - V(t)

    with V and A at 0 where nothing is open any more. A step that is not open yet has no advantage.
    """
    advantages, later = np.zeros_like(rewards), np.zeros_like(rewards[:, 0])
    upcoming = np.zeros_like(later)
    for s in range(rewards.shape[1] - 1, -1, -1):
        error = rewards[:, s] + upcoming - values[:, s]
        advantages[:, s] = later = np.where(open_[:, s], error + gae_lambda * later, 0)
        upcoming = np.where(open_[:, s], values[:, s], 0)
    return advantages


def objective(
    head: Head,
    outputs: Float[Tensor, "N S O"],
    rollout: Rollout,
    clip: float,
    value_weight: float,
    entropy_weight: float,
) -> Objective:
    """The clipped objective of arXiv:1707.06347, equation 9, as a loss:

        - mean min(ratio A, clip(ratio, 1 - c, 1 + c) A) + value_weight mean (V - return)² - entropy_weight mean H

    The means are over what counted. Ratios and advantages are those of each part of an action, or, where the head is
    not factored, those of the whole action: the product of the ratios of the parts that counted.
    """
    change, counts = log_probabilities(head, outputs, rollout.actions) - rollout.before, rollout.counts
    if not head.factored:
        change, counts = (change * counts).sum(-1, keepdim=True), counts.amax(-1, keepdim=True)
    number = counts.sum().clamp(min=1)
    ratio, advantages = change.exp(), rollout.advantages
    worse = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    errors = (head.values(outputs) - rollout.returns) ** 2
    value_loss = (errors * rollout.open).sum() / rollout.open.sum().clamp(min=1)
    with torch.no_grad():
        # k3 of J. Schulman, "Approximating KL divergence" (2020): unbiased, and never below 0.
        approx_kl = ((ratio - 1 - change) * counts).sum() / number
        clip_fraction = (((ratio - 1).abs() > clip).float() * counts).sum() / number
    loss = -(worse * counts).sum() / number + value_weight * value_loss
    if entropy_weight:
        loss = loss - entropy_weight * mean_entropy(head, outputs, rollout)
    return Objective(loss, approx_kl, clip_fraction, value_loss.detach())
