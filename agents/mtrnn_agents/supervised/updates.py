"""Updates of the weights: the compiled kernel for the leaky RNN on a CPU, and autograd for everything else.

Both compute the same: Adam on the flat vector of trained weights, with a clipped gradient. Many
networks are trained at once by autograd, with a first axis M; on a GPU each update is a CUDA graph, so that the few
hundred small products of a sequence are launched as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mtrnn_agents.networks.base import FIXED, Network, Weights, read
from mtrnn_agents.networks.flat_weights import Layout
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_agents.supervised.batches import Batch, as_tensors, stack
from mtrnn_agents.supervised.settings import Training
from mtrnn_agents.training.optimiser import BETA1, BETA2, EPSILON, adam, corrected, flat_gradient

# From weights [M, P] and Adam's moments [M, 2, P], which are updated in place, a batch for each network, rates [M, U],
# and the number of updates before, to the loss of each update, [M, U]. An update whose loss or gradient is not finite
# is not made, nor any after it; its loss is NaN, and so are those after it.
Advance: TypeAlias = Callable[[np.ndarray, np.ndarray, Sequence[Batch], np.ndarray, int], np.ndarray]


class Step(NamedTuple):
    """The tensors of one update of M networks; the first four are changed in place."""

    flat: Tensor
    first: Tensor
    second: Tensor
    alive: Tensor
    observations: Tensor
    values: Tensor
    valid: Tensor
    noise: Tensor | None
    n_answers: Tensor
    rate: Tensor
    root: Tensor


# What an update changes, and what changes from one update to the next.
KEPT = ("flat", "first", "second", "alive")
CHANGING = ("observations", "values", "valid", "noise", "rate", "root")


def loss(
    logits: Float[Tensor, "*M N T A"], values: Float[Tensor, "*M N T A"], which: Bool[Tensor, "*M N T B"], kind: str
) -> Float[Tensor, "*M"]:
    """The mean loss of the answers that count, `which`, one number for each of M networks.

    Cross-entropy in nat, or squared error of the probability sigmoid(logits).
    """
    weight = which.to(logits.dtype).expand(logits.shape)
    if kind == "cross_entropy":
        each = binary_cross_entropy_with_logits(logits, values, reduction="none")
    else:
        each = (torch.sigmoid(logits) - values) ** 2
    dims = (-3, -2, -1)
    return (each * weight).sum(dims) / weight.sum(dims)


def counted(valid: Bool[Tensor, "*M N T"], n_answers: Int[Tensor, "*M 1"], n_outputs: int) -> Bool[Tensor, "*M N T A"]:
    """Which of the outputs count: on steps of the trial, those that the network is asked for, not those of padding."""
    asked = torch.arange(n_outputs, device=valid.device) < n_answers
    return valid[..., None] & asked[..., None, None, :]


def kernel_learner(network: LeakyRNN, fixed: Weights, training: Training) -> Advance:
    """The compiled kernel, for one leaky RNN."""
    from mtrnn_agents.supervised import numba_kernel as kernels  # numba takes a second to import

    cell = kernels.Cell(
        alpha=float(network.alpha),
        leaky=network.leaky,
        tanh=network.activation == "tanh",
        squared_error=training.loss == "squared_error",
        clip_norm=_clip(training),
        beta1=BETA1,
        beta2=BETA2,
        epsilon=EPSILON,
    )
    sign, mask = (
        fixed[FIXED + name].numpy() if FIXED + name in fixed else np.zeros((0,) * ndim, np.float32)
        for name, ndim in (("sign", 1), ("mask", 2))
    )
    all_valid, no_noise = np.zeros((0, 0), bool), np.zeros((0, 0, 0), np.float32)

    def advance(
        weights: np.ndarray, moments: np.ndarray, batches: Sequence[Batch], rates: np.ndarray, n_updates: int
    ) -> np.ndarray:
        (batch,) = batches
        u, n, t, _ = batch.observations.shape
        valid = batch.valid.reshape(u, n * t)
        losses = np.full((1, u), np.nan)
        made = kernels.advance(
            weights[0],
            moments[0],
            np.ascontiguousarray(batch.observations),
            np.ascontiguousarray(batch.values.reshape(u, n * t, -1)),
            all_valid if valid.all() else np.ascontiguousarray(valid),
            no_noise if batch.noise is None else batch.noise.reshape(u, n * t, -1) * np.float32(network.noise_scale),
            sign,
            mask,
            rates[0],
            n_updates,
            network.n_units,
            cell,
            losses[0],
        )
        losses[0, made:] = np.nan
        return losses

    return advance


def autograd_learner(
    network: Network, layout: Layout, fixed: Weights, training: Training, n_answers: Sequence[int], device: torch.device
) -> Advance:
    """Autograd, for any network and for M of them at once, on `device`, where the batches are drawn too.

    Arguments:
        layout: of the trained weights of one network, padded to the common sizes.
        fixed: weights that are not trained, `[M, ...]`, on the device; without the axis M for one network.
        n_answers: the answers that each network is asked for; others, which padding adds, do not count.
    """
    clip = _clip(training)
    alone = len(n_answers) == 1  # without the axis M, products are plain matrix products
    graphs: dict[torch.Size, tuple[torch.cuda.CUDAGraph, Step, Tensor]] = {}

    @torch.enable_grad()
    def update(s: Step) -> Tensor:
        """One update of `s.flat` and the moments, in place; the loss of each network, NaN where none was made."""
        leaves = {name: part.detach().requires_grad_() for name, part in layout.unpack(s.flat).items()}
        logits = read(leaves, network.sequence(leaves | fixed, s.observations, s.noise))
        value = loss(logits, s.values, counted(s.valid, s.n_answers, logits.shape[-1]), training.loss)
        gradient, norm = flat_gradient(value.sum(), leaves, layout, clip)
        s.alive.logical_and_((value.isfinite() & norm.isfinite())[..., None])
        moved = adam(s.flat, s.first, s.second, gradient, s.rate, s.root)
        for old, new in zip((s.flat, s.first, s.second), moved, strict=True):
            old.copy_(torch.where(s.alive, new, old))
        return torch.where(s.alive[..., 0], value.detach(), math.nan)

    def captured(s: Step) -> tuple[torch.cuda.CUDAGraph, Step, Tensor]:
        """`update` as a CUDA graph, with the tensors that it reads and writes; one for each shape of batches."""
        key = s.observations.shape
        if key not in graphs:
            own = Step(*(None if v is None else v.clone() for v in s))  # pyright: ignore[reportArgumentType]
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    update(own)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            # Another thread draws the next block meanwhile, and may ask for memory.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                result = update(own)
            graphs[key] = graph, own, result
        return graphs[key]

    def replayed(steps: Sequence[Step]) -> list[Tensor]:
        """`update` for each of `steps`, which share what it changes, by graphs."""
        graph, own, result = captured(steps[0])
        losses = []
        for u, step in enumerate(steps):
            for name in Step._fields if u == 0 else CHANGING:
                if (given := getattr(step, name)) is not None:
                    getattr(own, name).copy_(given)
            graph.replay()
            losses.append(result.clone())
        for name in KEPT:
            getattr(steps[0], name).copy_(getattr(own, name))
        return losses

    def advance(
        weights: np.ndarray, moments: np.ndarray, batches: Sequence[Batch], rates: np.ndarray, n_updates: int
    ) -> np.ndarray:
        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values[0] if alone else values, dtype=torch.float32).to(device, copy=True)

        batch = as_tensors(batches[0]) if alone else stack(list(map(as_tensors, batches)))
        counts = n_updates + 1 + np.arange(rates.shape[1])
        steps, roots = corrected(rates, counts)
        steps, roots = tensor(steps), tensor(0 * rates + roots)
        flat, first, second = tensor(weights), tensor(moments[:, 0]), tensor(moments[:, 1])
        alive = torch.ones(*flat.shape[:-1], 1, dtype=torch.bool, device=device)
        answers = torch.tensor(n_answers[:1] if alone else [[n] for n in n_answers], device=device)
        axis = 0 if alone else 1
        todo = []
        for u in range(rates.shape[1]):
            shown, wanted, valid = (v.select(axis, u) for v in batch[:3])
            noise = None if batch.noise is None else batch.noise.select(axis, u)
            rate, root = steps[..., u, None], roots[..., u, None]
            todo.append(Step(flat, first, second, alive, shown, wanted, valid, noise, answers, rate, root))
        losses = replayed(todo) if device.type == "cuda" else [update(step) for step in todo]
        for mine, found in ((weights, flat), (moments[:, 0], first), (moments[:, 1], second)):
            mine[...] = found.cpu().numpy()
        return torch.stack(losses, -1).reshape(rates.shape).cpu().double().numpy()

    return advance


def _clip(training: Training) -> float:
    return math.inf if training.clip_norm is None else float(training.clip_norm)
