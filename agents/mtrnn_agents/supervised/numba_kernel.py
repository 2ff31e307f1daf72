"""Training of the leaky RNN with a hand-written gradient, compiled: no Python runs inside a block of updates.

One update is about twenty small matrix products a time step and direction, which cost microseconds, so that calls, not
arithmetic, dominate in any framework. Here the whole update (forward, loss, gradient, clipping, Adam) is one compiled
function; what is hoisted out of the loop over time are all products but the recurrent ones. The plain form, against
which this is tested, is `LeakyRNN.sequence` under autograd.

Arrays are `[trial, time, feature]` outside and in `drive`, `logits` and what ends in `_rows`, and `[time, trial, unit]`
where a step must lie in one piece. N trials of an update, T steps, F inputs, H units, A answers.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit


def jitted(function: Callable[..., Any]) -> Any:
    """`function`, compiled when it is first called and, where numba finds a place for it, kept on disk.

    Sums may be reordered and products fused, which vectorises them; NaN and infinity keep their meaning. Wrappers, in
    which the tests put every function to check its types, are taken off.
    """
    plain, fast = inspect.unwrap(function), {"contract", "nsz", "reassoc", "arcp"}
    try:
        return njit(nogil=True, cache=True, error_model="numpy", fastmath=fast)(plain)
    except RuntimeError:  # neither this folder nor the user's cache can be written: compiled anew in every process
        return njit(nogil=True, error_model="numpy", fastmath=fast)(plain)


# Up to this many multiplications OpenBLAS has kernels for small matrices, which are half as fast again.
SMALL_PRODUCT = 1_000_000
CHUNK = 64
# The weights in the flat vector.
ORDER = ("input.weight", "input.bias", "recurrent.weight", "output.weight", "output.bias")
LOG2_E = np.float32(1.4426950408889634)


class Cell(NamedTuple):
    """The choices that the kernel knows; see `LeakyRNN` and `Training`."""

    alpha: float
    leaky: bool
    tanh: bool
    squared_error: bool
    clip_norm: float
    beta1: float
    beta2: float
    epsilon: float


@jitted
def times(a, b, out):
    """out = a b, a few rows of a at a time."""
    step = max(1, SMALL_PRODUCT // (b.shape[0] * b.shape[1]))
    for i in range(0, a.shape[0], step):
        np.dot(a[i : i + step], b, out[i : i + step])


@jitted
def transposed_times(a, b, out, part):
    """out = aᵀ b, a few rows of both at a time; `part` is room for one summand."""
    step = max(1, SMALL_PRODUCT // (a.shape[1] * b.shape[1]))
    np.dot(a[:step].T, b[:step], out)
    for i in range(step, a.shape[0], step):
        np.dot(a[i : i + step].T, b[i : i + step], part)
        for j in range(out.shape[0]):
            for k in range(out.shape[1]):
                out[j, k] += part[j, k]


@jitted
def kept(cell):
    """The share of a state that the next one keeps."""
    return 1 - cell.alpha if cell.leaky else 1.0


@jitted
def forward(drive, bias, recurrent, cell, states, rates, states_rows):
    """States r and rates f(z), `[T, N, H]`, of trials driven by `drive` `[N T, H]`; see `LeakyRNN` for the formula.

    `states_rows` `[N T, H]` receives the states once more, trial by trial.
    """
    n_steps, n_trials, n_units = states.shape
    dtype = states.dtype
    before, product = np.zeros((n_trials, n_units), dtype), np.zeros((n_trials, n_units), dtype)
    zero, alpha, keep = dtype.type(0), dtype.type(cell.alpha), dtype.type(kept(cell))
    for t in range(n_steps):
        if t > 0:
            before = states[t - 1]
            np.dot(before, recurrent, product)
        state, rate = states[t], rates[t]
        for n in range(n_trials):
            row = n * n_steps + t
            for h in range(n_units):
                z = product[n, h] + drive[row, h] + bias[h]
                if cell.tanh:
                    f = math.tanh(z)
                else:
                    f = zero if z < zero else z  # NaN stays NaN
                r = alpha * f + keep * before[n, h]
                rate[n, h] = f
                state[n, h] = r
                states_rows[row, h] = r


@jitted
def backward(d_states_rows, recurrent_transposed, cell, rates, d_drive, d_drive_rows):
    """The gradient with respect to z, `[T, N, H]` and once more `[N T, H]`, from that with respect to the states.

    With d(t) the whole gradient with respect to r(t) and e(t) that with respect to z(t):
    e(t) = a f'(z(t)) d(t) and d(t-1) = given(t-1) + k d(t) + e(t) Wᵀ, with k = 1 - a, or 1 in the non-leaky form.
    """
    n_steps, n_trials, n_units = rates.shape
    dtype = rates.dtype
    total, product = np.zeros((n_trials, n_units), dtype), np.zeros((n_trials, n_units), dtype)
    zero, one, alpha, keep = dtype.type(0), dtype.type(1), dtype.type(cell.alpha), dtype.type(kept(cell))
    for t in range(n_steps - 1, -1, -1):
        if t < n_steps - 1:
            np.dot(d_drive[t + 1], recurrent_transposed, product)
        rate, found = rates[t], d_drive[t]
        for n in range(n_trials):
            row = n * n_steps + t
            for h in range(n_units):
                f = rate[n, h]
                d = d_states_rows[row, h] + keep * total[n, h] + product[n, h]
                if cell.tanh:
                    e = alpha * (one - f * f) * d
                else:
                    e = alpha * d if f > zero else zero
                total[n, h] = d
                found[n, h] = e
                d_drive_rows[row, h] = e


@jitted
def loss_and_gradient(logits, values, squared_error, scale, exponents, powers):
    """`scale` times the summed loss of float32 `logits`, which its gradient replaces; all `[R]`.

    With s = sigmoid(l): cross-entropy max(l, 0) - l y + log(1 + exp(-|l|)), gradient s - y; or (s - y)², gradient
    2 (s - y) s (1 - s). exp(-|l|) = 2^k 2^f with a whole k, by its bits, and 2^f on [-1/2, 1/2] by Taylor's polynomial
    of degree 6 (relative error 1.2e-7); written so, it is vectorised. `exponents` (int32) and `powers` are room.
    """
    zero, half, one, two = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
    for i in range(logits.size):
        x = -abs(logits[i]) * LOG2_E
        x = x if x > np.float32(-126) else np.float32(-126)
        k = np.int32(x - half)
        f = x - np.float32(k)
        p = np.float32(1.5403530393381610e-4)
        p = p * f + np.float32(1.3333558146428443e-3)
        p = p * f + np.float32(9.6181291076284772e-3)
        p = p * f + np.float32(5.5504108664821580e-2)
        p = p * f + np.float32(2.4022650695910071e-1)
        p = p * f + np.float32(6.9314718055994531e-1)
        powers[i] = p * f + one
        exponents[i] = (k + np.int32(127)) << np.int32(23)
    whole_powers = exponents.view(np.float32)
    total = 0.0
    if squared_error:
        for i in range(logits.size):
            e = powers[i] * whole_powers[i]
            r = one / (one + e)
            x = logits[i]
            s = r if x > zero else e * r
            d = s - values[i]
            logits[i] = scale * two * d * s * (one - s)
            total += d * d + zero * x  # NaN, of which nothing is left in s, stays NaN
        return total * scale
    for i in range(logits.size):
        x, e = logits[i], powers[i] * whole_powers[i]
        total += (x if x > zero else zero) - x * values[i]
        r = one / (one + e)
        logits[i] = scale * ((r if x > zero else e * r) - values[i])
        powers[i] = one + e
    # The logarithm of a product of numbers between 1 and 2 is one logarithm instead of many.
    for i in range(0, powers.size, CHUNK):
        part, product = powers[i : i + CHUNK], one
        for j in range(part.size):
            product *= part[j]
        total += math.log(product)
    return total * scale


@jitted
def column_sums(rows, out):
    """out = sum of rows."""
    out[:] = 0
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[j] += rows[i, j]


@jitted
def adam(weights, moments, gradient, rate, cell, n_updates):
    """One step of Adam, its `n_updates`-th (arXiv:1412.6980), with the gradient clipped at `cell.clip_norm`.

    Gives the norm of the gradient before clipping; if it is not finite, nothing is changed.
    """
    first, second, dtype = moments[0], moments[1], weights.dtype.type
    total = dtype(0)
    for i in range(gradient.size):
        total += gradient[i] * gradient[i]
    norm = math.sqrt(total)
    if not math.isfinite(norm):
        return norm
    shrink = dtype(min(1.0, cell.clip_norm / (norm + 1e-6)))
    b1, c1, b2, c2 = dtype(cell.beta1), dtype(1 - cell.beta1), dtype(cell.beta2), dtype(1 - cell.beta2)
    step, root = dtype(rate / (1 - cell.beta1**n_updates)), dtype(1 / math.sqrt(1 - cell.beta2**n_updates))
    epsilon = dtype(cell.epsilon)
    for i in range(gradient.size):
        g = gradient[i] * shrink
        m, v = b1 * first[i] + c1 * g, b2 * second[i] + c2 * g * g
        first[i], second[i] = m, v
        weights[i] -= step * m / (np.sqrt(v) * root + epsilon)
    return norm


@jitted
def acting(weight, sign, mask, out):
    """out = the recurrent matrix that acts, `[H, H]`: masked, and with Dale's law |W| times the sign of the unit.

    `sign` `[H]` and `mask` `[H, H]` may be empty; see `LeakyRNN.recurrent`, with which it agrees at 0 too.
    """
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            w = weight[i, j]
            if sign.size:
                w = (w if w >= 0 else -w) * sign[i]
            out[i, j] = w * mask[i, j] if mask.size else w


@jitted
def acting_gradient(weight, sign, mask, gradient):
    """`gradient` with respect to the acting matrix becomes that with respect to `weight`, in place."""
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            if sign.size:
                gradient[i, j] *= sign[i] if weight[i, j] >= 0 else -sign[i]
            if mask.size:
                gradient[i, j] *= mask[i, j]


@jitted
def parts(flat, n_inputs, n_units, n_answers):
    """Views of the five parts of a flat vector, in the order of `ORDER`."""
    a = n_inputs * n_units
    b = a + n_units
    c = b + n_units * n_units
    d = c + n_units * n_answers
    return (
        flat[:a].reshape(n_inputs, n_units),
        flat[a:b],
        flat[b:c].reshape(n_units, n_units),
        flat[c:d].reshape(n_units, n_answers),
        flat[d:],
    )


@jitted
def advance(weights, moments, batches, values, valid, noise, sign, mask, rates, n_updates, n_units, cell, losses):
    """Updates `weights` and `moments` in place, one update for each of `rates`; gives how many were made.

    It stops before an update whose loss or gradient is not finite.

    Arguments:
        weights: those named in `ORDER`, flat; float32.
        moments: Adam's, `[2, P]`.
        batches: observations, `[U, N, T, F]`.
        values: targets, `[U, N T, A]`; 1/2 where not valid.
        valid: `[U, N T]`, or empty if all steps are.
        noise: in the drive, `[U, N T, H]`, or empty.
        sign: of the unit that a connection comes from, `[H]`, or empty (Dale's law).
        mask: of connections, `[H, H]`, or empty.
        rates: learning rates, `[U]`.
        n_updates: updates made before.
        n_units: H.
        cell: see `Cell`.
        losses: room for the loss of each update, `[U]`.
    """
    n, n_steps, n_inputs = batches.shape[1:]
    h, n_answers, rows, dtype = n_units, values.shape[2], n * n_steps, weights.dtype
    gradient = np.empty_like(weights)
    w_in, bias, w, w_out, b_out = parts(weights, n_inputs, h, n_answers)
    g_in, g_bias, g, g_out, g_b_out = parts(gradient, n_inputs, h, n_answers)
    drive, states_rows = np.empty((rows, h), dtype), np.empty((rows, h), dtype)
    d_states_rows, d_drive_rows = np.empty((rows, h), dtype), np.empty((rows, h), dtype)
    shape = (n_steps, n, h)
    states, rates_f, d_drive = np.empty(shape, dtype), np.empty(shape, dtype), np.empty(shape, dtype)
    logits = np.empty((rows, n_answers), dtype)
    exponents, powers = np.empty(rows * n_answers, np.int32), np.empty(rows * n_answers, np.float32)
    room_in, room, room_out = np.empty_like(w_in), np.empty_like(w), np.empty_like(w_out)
    recurrent = np.empty_like(w)
    for u in range(len(rates)):
        inputs = batches[u].reshape(rows, n_inputs)
        acting(w, sign, mask, recurrent)
        times(inputs, w_in, drive)
        if noise.size:
            for r in range(rows):
                for i in range(h):
                    drive[r, i] += noise[u, r, i]
        forward(drive, bias, recurrent, cell, states, rates_f, states_rows)
        times(states_rows, w_out, logits)
        for r in range(rows):
            for k in range(n_answers):
                logits[r, k] += b_out[k]
        n_valid = rows
        if valid.size:
            for r in range(rows):
                if not valid[u, r]:
                    n_valid -= 1
                    logits[r] = 0
        scale = np.float32(1 / (n_valid * n_answers))
        losses[u] = loss_and_gradient(
            logits.reshape(rows * n_answers),
            values[u].reshape(rows * n_answers),
            cell.squared_error,
            scale,
            exponents,
            powers,
        )
        if not cell.squared_error:  # steps that are not valid: logit 0, target 1/2
            losses[u] -= (rows - n_valid) / n_valid * math.log(2)
        if not math.isfinite(losses[u]):
            return u
        times(logits, np.ascontiguousarray(w_out.T), d_states_rows)
        transposed_times(states_rows, logits, g_out, room_out)
        column_sums(logits, g_b_out)
        backward(d_states_rows, np.ascontiguousarray(recurrent.T), cell, rates_f, d_drive, d_drive_rows)
        transposed_times(inputs, d_drive_rows, g_in, room_in)
        column_sums(d_drive_rows, g_bias)
        if n_steps > 1:
            before = states[: n_steps - 1].reshape(rows - n, h)
            transposed_times(before, d_drive[1:].reshape(rows - n, h), g, room)
        else:
            g[:] = 0
        acting_gradient(w, sign, mask, g)
        if not math.isfinite(adam(weights, moments, gradient, rates[u], cell, n_updates + u + 1)):
            return u
    return len(rates)
