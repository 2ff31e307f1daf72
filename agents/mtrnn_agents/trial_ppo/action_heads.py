"""Policies over answers: their place in the outputs of a network, their draws, and the probabilities that they state.

A network's outputs are, in this order: the logit of stopping, where there is one common stop; the logits of what each
answer's part of an action can be, `[L, A]`, so that all answers are worked on side by side, or of two choices that of
the second alone, as in supervised training; and the values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from mtrnn_agents.decision_rule import answer_probabilities
from mtrnn_envs import EvidenceTask
from mtrnn_envs.reward import action_sizes


class Head(NamedTuple):
    """The numbers of outputs that a policy needs.

    Attributes:
        n_answers: A.
        n_choices: L, the values that an answer's part of an action can take.
        stops: whether there is a common stop.
        factored: whether there is a value for each task, and a policy to be learned by each; else one in all.
    """

    n_answers: int
    n_choices: int
    stops: bool
    factored: bool

    @classmethod
    def of(cls, task: EvidenceTask, factored: bool) -> Head:
        """The head that `task` needs."""
        stops = task.reaction_time and task.commit == "common"
        return cls(task.n_answers, action_sizes(task)[-1], stops, factored)

    @property
    def n_parts(self) -> int:
        """M, the parts of an action."""
        return self.stops + self.n_answers

    @property
    def n_logits(self) -> int:
        """The logits of the policy."""
        return self.stops + self.n_answers * (self.n_choices if self.n_choices > 2 else 1)

    @property
    def n_values(self) -> int:
        """E, the values."""
        return self.n_answers if self.factored else 1

    @property
    def n_outputs(self) -> int:
        """All outputs."""
        return self.n_logits + self.n_values

    def logits(self, outputs: Float[Tensor, "*B O"]) -> Float[Tensor, "*B L A"]:
        """The logits of the answers; of two choices the second alone, `[*B, 1, A]`."""
        return outputs[..., int(self.stops) : self.n_logits].unflatten(-1, (-1, self.n_answers))

    def values(self, outputs: Float[Tensor, "*B O"]) -> Float[Tensor, "*B E"]:
        """The values: the expected remaining reward, of each task or in all."""
        return outputs[..., self.n_logits :]

    def patient(self, bias: Float[Tensor, " O"], by: float) -> None:
        """Raises the log-odds of waiting by `by` in the `bias` of all outputs, in place, where an action can wait."""
        if self.stops:
            bias[0] -= by
        elif self.n_choices % 2:  # an odd number: the first choice is no answer
            bias[: self.n_answers] += by


def log_probabilities(
    head: Head, outputs: Float[Tensor, "*B O"], actions: Int[Tensor, "*B M"]
) -> Float[Tensor, "*B M"]:
    """The log-probability of each part of `actions`; given the state, the parts are independent."""
    logits, first, rest = head.logits(outputs), actions[..., : head.stops], actions[..., head.stops :]
    if head.n_choices == 2:
        answers = logsigmoid(torch.where(rest == 1, logits.squeeze(-2), -logits.squeeze(-2)))
    else:
        answers = log_softmax(logits, -2).gather(-2, rest[..., None, :]).squeeze(-2)
    if not head.stops:
        return answers
    stop = outputs[..., :1]
    return torch.cat([logsigmoid(torch.where(first == 1, stop, -stop)), answers], -1)


def entropies(head: Head, outputs: Float[Tensor, "*B O"]) -> Float[Tensor, "*B M"]:
    """The entropy of each part of an action, in nat."""
    logits = head.logits(outputs)
    if head.n_choices == 2:
        answers = _entropy_of_two(logits.squeeze(-2))
    else:
        log_p = log_softmax(logits, -2)
        answers = -(log_p.exp() * log_p).sum(-2)
    return torch.cat([_entropy_of_two(outputs[..., :1]), answers], -1) if head.stops else answers


def draw(head: Head, outputs: Float[Tensor, "*B O"], uniform: Float[Tensor, "*B M"]) -> Int[Tensor, "*B M"]:
    """Actions drawn from the policy, by numbers `uniform` on [0, 1): one for each part."""
    logits, stop = head.logits(outputs), (uniform[..., :1] < torch.sigmoid(outputs[..., :1])).long()
    uniform = uniform[..., head.stops :]
    if head.n_choices == 2:
        answers = (uniform < torch.sigmoid(logits.squeeze(-2))).long()
    else:
        below = torch.softmax(logits, -2).cumsum(-2)[..., :-1, :]
        answers = (uniform[..., None, :] >= below).sum(-2)
    return torch.cat([stop, answers], -1) if head.stops else answers


def likeliest(head: Head, outputs: Float[Tensor, "*B O"]) -> Int[Tensor, "*B M"]:
    """The likeliest value of each part of an action."""
    logits = head.logits(outputs)
    if head.n_choices == 2:
        answers = (logits.squeeze(-2) > 0).long()
    else:  # value by value: `argmax` along an axis that is not the last takes much longer
        answers, best = torch.zeros_like(logits[..., 0, :], dtype=torch.long), logits[..., 0, :]
        for value, logit in enumerate(logits.unbind(-2)):
            answers, best = torch.where(logit > best, value, answers), torch.maximum(best, logit)
    return torch.cat([(outputs[..., :1] > 0).long(), answers], -1) if head.stops else answers


def stated(task: EvidenceTask, head: Head, outputs: Float[Tensor, "N O"]) -> Float[np.ndarray, "N A"]:
    """The probability of +1 that the policy states for each task asked: see `answer_probabilities`."""
    logits = head.logits(outputs).movedim(-2, -1).numpy()
    return answer_probabilities(task, logits if head.n_choices > 2 else np.concatenate([0 * logits, logits], -1))


def _entropy_of_two(logit: Tensor) -> Tensor:
    return -(torch.sigmoid(logit) * logsigmoid(logit) + torch.sigmoid(-logit) * logsigmoid(-logit))
