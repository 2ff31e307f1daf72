"""The numerics of proximal policy optimisation on whole trials, against sums, enumeration and autograd."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_policy import TASKS, distributions, every_task
from torch.distributions import Bernoulli, Categorical

from mtrnn_agents.networks.base import Sizes, read
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.trial_ppo.action_heads import Head
from mtrnn_agents.trial_ppo.objective import Rollout, generalized_advantages, learned_from, objective, roll_out
from mtrnn_envs import EvidenceTask
from mtrnn_envs.trial_rewards import first_step, trial_rewards
from mtrnn_envs.trials import sample


@given(
    rewards=hnp.arrays(np.float64, (3, 6, 2), elements=st.floats(-2, 2)),
    given_values=hnp.arrays(np.float64, (3, 6, 2), elements=st.floats(-2, 2)),
    begins=hnp.arrays(np.int64, (3, 1, 2), elements=st.integers(0, 5)),
    lasts=hnp.arrays(np.int64, (3, 1, 2), elements=st.integers(1, 6)),
    gae_lambda=st.floats(0, 1),
)
def test_advantages_are_the_weighted_sum_of_later_errors(
    rewards: np.ndarray, given_values: np.ndarray, begins: np.ndarray, lasts: np.ndarray, gae_lambda: float
) -> None:
    steps = np.arange(6)[:, None]
    open_ = (steps >= begins) & (steps < begins + lasts)
    found = generalized_advantages(rewards * open_, given_values, open_, gae_lambda)
    values = np.concatenate([given_values * open_, np.zeros((3, 1, 2))], 1)
    errors = (rewards * open_ + values[:, 1:] - values[:, :-1]) * open_
    weights = np.array([[gae_lambda ** (s - t) if s >= t else 0.0 for s in range(6)] for t in range(6)])
    np.testing.assert_allclose(found, np.einsum("ts,nse->nte", weights, errors) * open_, atol=1e-9)


def test_with_lambda_one_they_are_what_is_still_paid_beyond_what_was_expected() -> None:
    rng = np.random.default_rng(0)
    rewards, expected = rng.standard_normal((2, 4, 7, 3))
    everything = np.ones((4, 7, 3), bool)
    left = rewards[:, ::-1].cumsum(1)[:, ::-1]
    np.testing.assert_allclose(generalized_advantages(rewards, expected, everything, 1.0), left - expected)


def acted(task: EvidenceTask, factored: bool, n: int = 32, seed: int = 0) -> tuple[Any, Head, Any, Rollout, Any]:
    """A small network, its weights, and a rollout of it."""
    network, head = LeakyRNN(n_units=8, noise=0.1), Head.of(task, factored)
    weights = network.first_weights(Sizes(task.n_features, head.n_outputs, task.n_steps), torch.Generator())
    rng = np.random.default_rng(seed)
    rollout, paid, _ = roll_out(task, network, weights, head, sample(task, n, rng), rng, 0.9)
    return network, head, weights, rollout, paid


def outputs_of(task: EvidenceTask, network: Any, weights: Any, rollout: Rollout) -> torch.Tensor:
    return read(weights, network.sequence(weights, rollout.observations, rollout.noise)[:, first_step(task) :])


@every_task
@pytest.mark.parametrize("factored", [True, False])
def test_at_first_ratios_are_one_even_in_a_network_with_noise(task: EvidenceTask, factored: bool) -> None:
    task = replace(task, stimulus=5, encoder=None)
    network, head, weights, rollout, _ = acted(task, factored)
    found = objective(head, outputs_of(task, network, weights, rollout), rollout, 0.2, 0.5, 0.0)
    assert found.approx_kl.item() == pytest.approx(0, abs=1e-6)
    assert found.clip_fraction.item() == 0
    counts = rollout.counts if factored else rollout.open
    mean = (rollout.advantages * counts).sum() / counts.sum()
    assert found.loss.item() == pytest.approx(float(0.5 * found.value_loss - mean), abs=1e-5)


@every_task
def test_at_first_the_gradient_is_that_of_the_policy_gradient_theorem(task: EvidenceTask) -> None:
    task = replace(task, stimulus=5, encoder=None)
    network, head, weights, rollout, _ = acted(task, True)
    leaves = {name: value.requires_grad_() for name, value in weights.items()}
    outputs = outputs_of(task, network, leaves, rollout)
    loss = objective(head, outputs, rollout, 0.2, 0.0, 0.0).loss
    parts = []
    for part in range(head.n_parts):
        if head.stops and part == 0:
            log_p: Any = Bernoulli(logits=outputs[..., 0]).log_prob(rollout.actions[..., 0].float())
        else:
            logits = head.logits(outputs)[..., part - head.stops]
            if head.n_choices == 2:
                logits = torch.cat([torch.zeros_like(logits), logits], -1)
            log_p = torch.log_softmax(logits, -1).gather(-1, rollout.actions[..., part, None])[..., 0]
        parts.append((log_p * rollout.advantages[..., part] * rollout.counts[..., part]).sum())
    theirs = -torch.stack(parts).sum() / rollout.counts.sum()
    gradients = [torch.autograd.grad(v, list(leaves.values()), retain_graph=True) for v in (loss, theirs)]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-4)


def test_a_ratio_beyond_the_clip_gives_no_more() -> None:
    head = Head(1, 2, False, True)
    rollout = Rollout(
        observations=torch.zeros(2, 1, 1),
        noise=None,
        actions=torch.ones(2, 1, 1, dtype=torch.long),
        before=torch.full((2, 1, 1), np.log(0.5)),
        counts=torch.ones(2, 1, 1),
        advantages=torch.tensor([1.0, -1.0]).view(2, 1, 1),
        returns=torch.zeros(2, 1, 1),
        open=torch.ones(2, 1, 1),
    )
    logits = torch.tensor([1.0, 1.0]).view(2, 1, 1).requires_grad_()  # ratio 1.46 for both
    outputs = torch.cat([logits, torch.zeros(2, 1, 1)], -1)
    found = objective(head, outputs, rollout, 0.2, 0.0, 0.0)
    ratio = torch.sigmoid(torch.tensor(1.0)).item() / 0.5
    assert found.loss.item() == pytest.approx(-(1.2 - ratio) / 2)
    assert found.clip_fraction.item() == 1
    (gradient,) = torch.autograd.grad(found.loss, logits)
    assert gradient[0].item() == 0
    assert gradient[1].item() > 0


def test_factored_and_plain_gradients_agree_in_expectation_and_the_factored_varies_less() -> None:
    """Against enumeration: one decision, four tasks, a policy without memory; no value is expected."""
    k, n, rounds = 4, 50, 400
    task = EvidenceTask(n_tasks=k, encoder=None, fixation=0, stimulus=1)
    rng = np.random.default_rng(0)
    trials = sample(task, n, rng)
    logits = torch.linspace(-1, 1, k).repeat(n, 1, 1)
    p = torch.sigmoid(logits[:, 0]).double().numpy()
    positive = trials.labels > 0
    # d/dl of the mean probability to be right, whose sign is that of the label.
    exact = (np.where(positive, 1, -1) * p * (1 - p)).sum(0) / (n * k)
    found: dict[str, list[np.ndarray]] = {"factored": [], "plain": []}
    for name, gradients in found.items():
        head = Head.of(task, name == "factored")
        for _ in range(rounds):
            leaves = logits.clone().requires_grad_()
            outputs = torch.cat([leaves, torch.zeros(n, 1, head.n_values)], -1)
            actions = torch.from_numpy((rng.random((n, 1, k)) < p[:, None]).astype(np.int64))
            paid = trial_rewards(task, trials, actions.numpy())
            rewards = paid.rewards if name == "factored" else paid.rewards.sum(-1, keepdims=True)
            log_p = torch.log_softmax(torch.stack([0 * leaves, leaves], -1), -1).gather(-1, actions[..., None])[..., 0]
            ones = torch.ones(n, 1, k)
            rollout = Rollout(
                torch.zeros(n, 1, 1),
                None,
                actions,
                log_p.detach(),
                ones,
                torch.from_numpy(rewards),
                torch.zeros(n, 1, head.n_values),
                ones[..., : head.n_values],
            )
            loss = objective(head, outputs, rollout, 0.2, 0.0, 0.0).loss
            (gradient,) = torch.autograd.grad(loss, leaves)
            # The factored loss is a mean over tasks, the plain one is not.
            gradients.append(-gradient[:, 0].sum(0).numpy() * (k if name == "factored" else 1))
    spread = {}
    for name, gradients in found.items():
        spread[name] = np.std(gradients, axis=0, ddof=1)
        error = np.abs(np.mean(gradients, axis=0) - exact)
        assert (error < 4.5 * spread[name] / np.sqrt(rounds)).all(), name
    assert (spread["factored"] < 0.7 * spread["plain"]).all()


def test_for_one_task_plain_and_factored_are_the_same() -> None:
    task = EvidenceTask(n_tasks=1, payoff="quadratic", decision=0, encoder=None, stimulus=6)
    *_, factored, _ = acted(task, True)
    *_, plain, _ = acted(task, False)
    for one, other in zip(factored, plain, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


@every_task
def test_plain_ppo_has_one_ratio_which_is_that_of_the_whole_action(task: EvidenceTask) -> None:
    """In tasks with one answer and a common stop too: against the product of the parts that counted, written out."""
    task = replace(task, stimulus=5, encoder=None)
    network, head, weights, rollout, paid = acted(task, False)
    outputs = outputs_of(task, network, weights, rollout)
    outputs = outputs + 0.3 * torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1))
    found = objective(head, outputs, rollout, 0.2, 0.0, 0.0)
    log_p = []
    for part, known in enumerate(distributions(head, outputs)):
        value = rollout.actions[..., part]
        log_p.append(known.log_prob(value if isinstance(known, Categorical) else value.float()))
    change = ((torch.stack(log_p, -1) - rollout.before) * rollout.counts).sum(-1)
    ratio, acting = change.exp(), rollout.counts.any(-1)
    advantages = rollout.advantages[..., 0]
    worse = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    torch.testing.assert_close(found.loss, -worse[acting].mean(), atol=1e-5, rtol=1e-4)
    assert rollout.advantages.shape[-1] == rollout.returns.shape[-1] == 1
    # And one return, which is all that is still paid.
    _, returns, open_ = learned_from(head, paid, np.zeros_like(paid.rewards[..., :1]), 1.0)
    still = paid.rewards.sum(-1)[:, ::-1].cumsum(1)[:, ::-1]
    np.testing.assert_allclose(returns[open_], still[..., None][open_], atol=1e-5)


def test_the_common_stop_has_the_advantages_of_all_tasks() -> None:
    task = replace(TASKS["common stop"], stimulus=6, encoder=None)
    _, head, _, rollout, paid = acted(task, True)
    torch.testing.assert_close(rollout.advantages[..., 0], rollout.advantages[..., 1:].sum(-1), atol=1e-4, rtol=1e-4)
    advantages, _, _ = learned_from(head, paid, np.zeros_like(paid.rewards), 1.0)
    assert advantages[paid.counts].std() == pytest.approx(1, abs=1e-4)


@every_task
def test_the_entropy_counts_in_the_objective_with_its_weight(task: EvidenceTask) -> None:
    task = replace(task, stimulus=4, encoder=None)
    network, head, weights, rollout, _ = acted(task, True)
    outputs = outputs_of(task, network, weights, rollout)
    with_it, without = (objective(head, outputs, rollout, 0.2, 0.5, weight).loss for weight in (0.1, 0.0))
    spread = [d.entropy() for d in distributions(head, outputs)]
    counted = (torch.stack(spread, -1) * rollout.counts).sum() / rollout.counts.sum()
    torch.testing.assert_close(without - with_it, 0.1 * counted, atol=1e-6, rtol=1e-4)
