"""Policies over every kind of action, against PyTorch's distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Categorical

from mtrnn_agents.decision_rule import answer_probabilities
from mtrnn_agents.trial_ppo.action_heads import Head, draw, entropies, likeliest, log_probabilities, stated
from mtrnn_envs import EvidenceTask
from mtrnn_envs.reward import action_sizes

TASKS = {
    "answers": EvidenceTask(n_tasks=3),
    "cued": EvidenceTask(n_tasks=3, cueing="one"),
    "withheld": EvidenceTask(n_tasks=3, withhold=True),
    "each stops": EvidenceTask(n_tasks=3, payoff="quadratic", decision=0),
    "common stop": EvidenceTask(n_tasks=3, payoff="log", decision=0, commit="common", n_confidence=2),
    "cued, common stop": EvidenceTask(n_tasks=3, payoff="quadratic", decision=0, commit="common", cueing="one"),
    "common stop without confidence": EvidenceTask(
        n_tasks=3, payoff="accuracy", decision=0, commit="common", n_confidence=1
    ),
}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))


def outputs_of(head: Head, *shape: int) -> torch.Tensor:
    return 2 * torch.randn(*shape, head.n_outputs, generator=torch.Generator().manual_seed(0))


def distributions(head: Head, outputs: torch.Tensor) -> list[Any]:
    """PyTorch's distribution of every part of an action."""
    parts: list[Any] = [Bernoulli(logits=outputs[..., 0])] if head.stops else []
    for k in range(head.n_answers):
        logits = head.logits(outputs)[..., k]
        parts.append(Categorical(logits=logits) if head.n_choices > 2 else Bernoulli(logits=logits[..., 0]))
    return parts


@every_task
def test_log_probabilities_and_entropies_are_those_of_torch(task: EvidenceTask) -> None:
    head = Head.of(task, False)
    outputs = outputs_of(head, 4, 5)
    rng = np.random.default_rng(0)
    actions = torch.from_numpy(np.stack([rng.integers(0, size, (4, 5)) for size in action_sizes(task)], -1))
    found, spread = log_probabilities(head, outputs, actions), entropies(head, outputs)
    assert found.shape == actions.shape == (4, 5, head.n_parts)
    for part, known in enumerate(distributions(head, outputs)):
        value = actions[..., part] if isinstance(known, Categorical) else actions[..., part].float()
        torch.testing.assert_close(found[..., part], known.log_prob(value))
        torch.testing.assert_close(spread[..., part], known.entropy())


@every_task
def test_actions_are_drawn_as_often_as_they_are_likely(task: EvidenceTask) -> None:
    head, n = Head.of(task, True), 20_000
    outputs = outputs_of(head, 1).expand(n, -1)
    uniform = torch.rand(n, head.n_parts, generator=torch.Generator().manual_seed(1))
    actions, best = draw(head, outputs, uniform), likeliest(head, outputs)
    for part, size in enumerate(action_sizes(task)):
        values = torch.arange(size)[:, None].expand(size, head.n_parts)
        p = log_probabilities(head, outputs[:size], values)[:, part].exp().numpy()
        assert p.sum() == pytest.approx(1, abs=1e-5)
        share = np.bincount(actions[:, part], minlength=size) / n
        np.testing.assert_allclose(share, p, atol=5 * np.sqrt(p * (1 - p) / n).max())
        assert (best[:, part] == int(p.argmax())).all()


@every_task
def test_the_ends_of_the_unit_interval_give_actions_that_exist(task: EvidenceTask) -> None:
    head = Head.of(task, False)
    outputs = outputs_of(head, 50)
    for value in (0.0, float(np.nextafter(np.float32(1), np.float32(0)))):
        actions = draw(head, outputs, torch.full((50, head.n_parts), value))
        assert (actions >= 0).all()
        assert (actions < torch.tensor(action_sizes(task))).all()


def test_without_confidence_the_probability_stated_is_that_of_answering_plus() -> None:
    task = TASKS["answers"]
    head = Head.of(task, True)
    outputs = outputs_of(head, 6)
    np.testing.assert_allclose(stated(task, head, outputs), torch.sigmoid(outputs[:, :3]), rtol=1e-6)
    logits = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(2)).numpy()
    logits[..., 0] = 50  # withholding, which says nothing
    expected = 1 / (1 + np.exp(logits[..., 1] - logits[..., 2]))
    np.testing.assert_allclose(answer_probabilities(TASKS["withheld"], logits), expected, rtol=1e-6)


def test_with_confidence_it_is_the_mean_claim() -> None:
    task = TASKS["each stops"]  # levels 1 ... 6 claim 1/12, 3/12 ... 11/12
    logits = np.full((1, 3, 7), -1e9)
    logits[0, 0, 1], logits[0, 1, [3, 4]], logits[0, 2, [4, 6]] = 0, 0, [0, np.log(3)]
    logits[..., 0] = 3
    found = answer_probabilities(task, logits)
    np.testing.assert_allclose(found, [[1 / 12, 0.5, 0.25 * 7 / 12 + 0.75 * 11 / 12]])


@every_task
def test_patience_raises_the_odds_of_waiting_alone(task: EvidenceTask) -> None:
    head = Head.of(task, True)
    bias = torch.zeros(head.n_outputs)
    head.patient(bias, 3.0)
    first = torch.zeros(1, head.n_parts, dtype=torch.long)
    p = log_probabilities(head, bias[None], first).exp()[0]
    waits = p[:1] if head.stops else p
    others = {"answers": 1, "cued": 1, "withheld": 2, "each stops": 6}.get(
        next(name for name, known in TASKS.items() if known is task), 1
    )
    if task.withhold or task.reaction_time:
        torch.testing.assert_close(waits, torch.full_like(waits, np.e**3 / (np.e**3 + others)))
    else:
        torch.testing.assert_close(waits, torch.full_like(waits, 0.5))
    assert not head.values(bias).any()
