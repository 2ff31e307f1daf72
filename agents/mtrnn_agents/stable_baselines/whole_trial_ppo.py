"""sb3-contrib's RecurrentPPO on whole trials: the same algorithm, with less work.

The differences, which change losses and gradients of the same minibatch by rounding only:

- **Actions are stored as float32.** sb3-contrib stores them in the dtype of the space, and fails when it pads those of
  `MultiBinary`.
- **A minibatch is made of whole sequences**, one trial each (or what of it lies in this rollout), in random order.
  sb3-contrib cuts the rollout at `batch_size` steps wherever that is, and goes through it in the order of the
  environments. Trials of the same length are stacked without padding.
- **The LSTM is called once for a whole sequence.** sb3-contrib calls it step by step where an episode starts anywhere
  in the sequences; but these are cut at starts, so that it is enough to reset the state before the first step.
- **The components of a `MultiDiscrete` action are one tensor**, not one `Categorical` each.

Methods that sb3-contrib and Stable-Baselines3 keep to themselves are overridden: tested with 2.9.2 of both.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.buffers import RecurrentRolloutBuffer
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RecurrentRolloutBufferSamples, RNNStates
from stable_baselines3.common.distributions import BernoulliDistribution, MultiCategoricalDistribution
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn


class WholeTrialBuffer(RecurrentRolloutBuffer):
    """`RecurrentRolloutBuffer` that keeps float32 actions and gives minibatches of whole sequences."""

    def reset(self) -> None:
        """Empties the buffer."""
        super().reset()
        self.actions = self.actions.astype(np.float32)

    def get(self, batch_size: int | None = None) -> Generator[RecurrentRolloutBufferSamples, None, None]:
        """Minibatches of whole sequences in random order, each of about `batch_size` steps, or one of all."""
        if not self.full:
            raise ValueError(
                "the rollout buffer is not full: there are no minibatches before the rollout is at its end"
            )
        n_steps, n_envs = self.buffer_size, self.n_envs
        if not self.generator_ready:  # environment by environment, and as tensors, once a rollout
            parts = (self.observations, self.actions, self.values, self.log_probs, self.advantages, self.returns)
            self._kept = [self.to_torch(self.swap_and_flatten(part), copy=False) for part in parts]
            self.generator_ready = True
        first, lengths = sequences(self.episode_starts)
        for chosen in minibatches(lengths, batch_size or n_steps * n_envs):
            yield self._batch(first[chosen], lengths[chosen])

    def _batch(self, first: Int[np.ndarray, " S"], lengths: Int[np.ndarray, " S"]) -> RecurrentRolloutBufferSamples:
        """The sequences that begin at the steps `first`, padded with their last steps, which the mask leaves out."""
        n_steps = self.buffer_size
        ahead = np.arange(lengths.max())
        steps = torch.from_numpy((first[:, None] + np.minimum(ahead, lengths[:, None] - 1)).ravel()).to(self.device)
        mask = torch.from_numpy((ahead < lengths[:, None]).ravel().astype(np.float32)).to(self.device)
        starts = np.zeros((len(first), len(ahead)), np.float32)
        starts[:, 0] = self.episode_starts[first % n_steps, first // n_steps]
        states = [
            self.to_torch(part[first % n_steps, :, first // n_steps].swapaxes(0, 1)).contiguous()
            for part in (self.hidden_states_pi, self.cell_states_pi, self.hidden_states_vf, self.cell_states_vf)
        ]
        observations, actions, *rest = (part.index_select(0, steps) for part in self._kept)
        values, log_probs, advantages, returns = (part.flatten() for part in rest)
        return RecurrentRolloutBufferSamples(
            observations=observations,
            actions=actions,
            old_values=values,
            old_log_prob=log_probs,
            advantages=advantages,
            returns=returns,
            lstm_states=RNNStates((states[0], states[1]), (states[2], states[3])),
            episode_starts=self.to_torch(starts.ravel()),
            mask=mask,
        )


def sequences(episode_starts: Float[np.ndarray, "T N"]) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " S"]]:
    """The first steps of the sequences in a rollout, as n T + t for step t of environment n, and their lengths.

    A sequence begins where an episode does, and with the rollout.
    """
    begins = episode_starts.T != 0
    begins[:, 0] = True
    first = np.flatnonzero(begins)
    return first, np.diff(first, append=begins.size)


def minibatches(lengths: Int[np.ndarray, " S"], batch_size: int) -> list[Int[np.ndarray, " _"]]:
    """Shuffles sequences by PyTorch's generator, and deals them out to parts of about `batch_size` steps each."""
    order = torch.randperm(len(lengths)).numpy()
    shuffled, n_parts = lengths[order], max(1, round(int(lengths.sum()) / batch_size))
    middles = np.cumsum(shuffled) - shuffled / 2
    part = (middles * n_parts / lengths.sum()).astype(np.int64)
    return np.split(order, np.flatnonzero(np.diff(part)) + 1)


class OneCallPolicy(RecurrentActorCriticPolicy):
    """`MlpLstmPolicy` that calls its LSTM once for a whole sequence; its weights are the same, by name and shape.

    Its distribution is one tensor.
    """

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: tuple[Tensor, Tensor], episode_starts: Tensor, lstm: nn.LSTM
    ) -> tuple[Tensor, Any]:
        """LSTM outputs and states of sequences that are flat, sequence by sequence, as all arguments but the states."""
        n = lstm_states[0].shape[1]
        starts = episode_starts.reshape(n, -1)
        if starts.shape[1] > 1 and starts[:, 1:].any():  # no sequence of a buffer here: step by step, then
            return RecurrentActorCriticPolicy._process_sequence(features, lstm_states, episode_starts, lstm)
        goes_on = (1 - starts[:, 0]).view(1, n, 1)
        hidden, states = lstm(
            features.reshape(n, -1, lstm.input_size).swapaxes(0, 1),
            (lstm_states[0] * goes_on, lstm_states[1] * goes_on),
        )
        return hidden.swapaxes(0, 1).flatten(end_dim=1), states

    def _build(self, lr_schedule: Schedule) -> None:
        if type(self.action_dist) is MultiCategoricalDistribution:
            self.action_dist = StackedCategoricals(self.action_dist.action_dims)
        elif type(self.action_dist) is BernoulliDistribution:
            self.action_dist = WholeBernoulli(self.action_dist.action_dims)
        super()._build(lr_schedule)


class StackedCategoricals(MultiCategoricalDistribution):
    """SB3's distribution of `MultiDiscrete` actions, with all components in one tensor.

    Components with fewer values than the largest are filled up with values that are never drawn. The axis of the values
    comes first: it is short, and PyTorch's functions are several times faster along the others.
    """

    def __init__(self, action_dims: Any) -> None:
        super().__init__(list(map(int, action_dims)))
        exists = np.arange(max(self.action_dims)) < np.array(self.action_dims)[:, None]
        self._where = None if exists.all() else torch.from_numpy(np.flatnonzero(exists))
        self._last = torch.tensor(self.action_dims) - 1

    def proba_distribution(self, action_logits: Float[Tensor, "B S"]) -> StackedCategoricals:
        """Takes the logits of all components, one after the other."""
        shape = (len(action_logits), len(self.action_dims), max(self.action_dims))
        if self._where is not None:
            full = action_logits.new_full((shape[0], shape[1] * shape[2]), -1e30)
            action_logits = full.index_copy(1, self._where.to(full.device), action_logits)
        self.log_p = action_logits.view(shape).permute(2, 0, 1).contiguous().log_softmax(0)
        return self

    def log_prob(self, actions: Tensor) -> Float[Tensor, " B"]:
        """The log-probability of actions `[B, A]`."""
        return self.log_p.gather(0, actions.long()[None]).sum((0, 2))

    def entropy(self) -> Float[Tensor, " B"]:
        """The entropy of whole actions, in nat."""
        return -(self.log_p.exp() * self.log_p).sum((0, 2))

    def sample(self) -> Int[Tensor, "B A"]:
        """Actions drawn by PyTorch's generator: how many cumulative probabilities a uniform number has passed."""
        below = self.log_p.exp().cumsum(0)
        drawn = (torch.rand_like(below[0]) >= below).sum(0)
        return drawn.minimum(self._last.to(drawn.device))  # rounding may leave the sum of all below 1

    def mode(self) -> Int[Tensor, "B A"]:
        """The likeliest actions."""
        return self.log_p.argmax(0)


class WholeBernoulli(BernoulliDistribution):
    """SB3's distribution of `MultiBinary` actions, whose samples are whole numbers (int8), as those of the space."""

    def proba_distribution(self, action_logits: Float[Tensor, "B A"]) -> WholeBernoulli:
        """Takes the log-odds of 1."""
        self.logits = action_logits
        self.log_partition = nn.functional.softplus(action_logits)
        return self

    def log_prob(self, actions: Tensor) -> Float[Tensor, " B"]:
        """The log-probability of actions `[B, A]`."""
        return (actions * self.logits - self.log_partition).sum(1)

    def entropy(self) -> Float[Tensor, " B"]:
        """The entropy of whole actions, in nat."""
        return (self.log_partition - self.logits * self.logits.sigmoid()).sum(1)

    def sample(self) -> Int[Tensor, "B A"]:
        """Actions drawn by PyTorch's generator."""
        return (torch.rand_like(self.logits) < self.logits.sigmoid()).to(torch.int8)

    def mode(self) -> Int[Tensor, "B A"]:
        """The likeliest actions."""
        return (self.logits > 0).to(torch.int8)


class WholeTrialPPO(RecurrentPPO):
    """`sb3_contrib.RecurrentPPO` on whole trials; see this module. Arguments, methods and files are the same.

    `batch_size` is what minibatches come close to, in steps: all of a rollout are about as long, and of whole trials.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpLstmPolicy": OneCallPolicy}

    def _setup_model(self) -> None:
        super()._setup_model()
        stock = self.rollout_buffer
        self.rollout_buffer = WholeTrialBuffer(
            self.n_steps,
            self.observation_space,  # pyright: ignore[reportArgumentType] (it is that of the stock buffer)
            self.action_space,
            stock.hidden_state_shape,  # pyright: ignore[reportAttributeAccessIssue]
            self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
        )
        _keep_allocations()


def _keep_allocations() -> None:
    """Keeps glibc from giving memory back after every minibatch, to take it again by page faults in the next.

    They were a fifth of the time of training. The allocator keeps at most twice the largest block that was ever freed,
    and this block is as large as it looks at. Others do not heed it, and nothing is held.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
