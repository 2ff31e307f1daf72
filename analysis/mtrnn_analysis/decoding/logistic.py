"""Logistic regression of many binary targets on the same states, for a path of penalties.

Axis letters: N trials, H units, L targets, P penalties.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

# Newton steps for a penalty, halvings of a step that does not lower the objective, and when a fit is done: after a step
# before which the objective was, by its quadratic form, at most this far above its minimum, per trial. The next step
# would gain the square of that.
STEPS, HALVINGS, DONE = 50, 20, 1e-6
# The intercept's penalty: so little that it matters only where all targets are alike, and the fit would not end.
INTERCEPT = 1e-8


def logistic_path(
    states: Float[np.ndarray, "N H"],
    targets: Int[np.ndarray, "N L"],
    penalties: Float[np.ndarray, " P"],
) -> tuple[Float[np.ndarray, "P H L"], Float[np.ndarray, "P L"]]:
    """Weights and intercepts that minimise sum log(1 + exp(-y (w·h + b))) + N penalty |w|² / 2 for each target y.

    scikit-learn's `LogisticRegression(C=1 / (N penalty))`. Newton's method on all targets at once, with halved steps
    where one does not lower the objective; each penalty starts from the next larger one.

    Arguments:
        states: of N trials.
        targets: +1 or -1.
        penalties: per trial, above 0, largest first.
    """
    n, h = states.shape
    design = np.concatenate([states, np.ones((n, 1))], axis=1)
    signed = targets.T.astype(float)  # [L, N]
    weights = np.zeros((len(signed), h + 1))
    path = np.empty((len(penalties), len(signed), h + 1))
    for i, penalty in enumerate(penalties):
        square = n * np.append(np.full(h, penalty), INTERCEPT)
        path[i] = weights = _newton(design, signed, weights, square)
    return path[:, :, :-1].transpose(0, 2, 1), path[:, :, -1]


def _objective(margins: np.ndarray, weights: np.ndarray, square: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, -margins).sum(axis=1) + 0.5 * weights**2 @ square


def _newton(design: np.ndarray, signed: np.ndarray, weights: np.ndarray, square: np.ndarray) -> np.ndarray:
    """The minimum for one penalty, from `weights` on, `[L, H + 1]`."""
    weights, open_ = weights.copy(), np.arange(len(weights))
    margins = signed * (weights @ design.T)
    for _ in range(STEPS):
        wrong = expit(-margins[open_])
        gradient = -(signed[open_] * wrong) @ design + square * weights[open_]
        curvature = wrong * (1 - wrong)
        hessian = np.stack([(design * row[:, None]).T @ design for row in curvature])
        hessian[:, np.arange(len(square)), np.arange(len(square))] += square
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        along = signed[open_] * (step @ design.T)
        before = _objective(margins[open_], weights[open_], square)
        size = np.ones(len(open_))
        for _ in range(HALVINGS):
            tried = weights[open_] - size[:, None] * step
            worse = _objective(margins[open_] - size[:, None] * along, tried, square) > before
            if not worse.any():
                break
            size[worse] /= 2
        weights[open_] -= size[:, None] * step
        margins[open_] -= size[:, None] * along
        open_ = open_[np.sum(gradient * step, axis=1) / 2 > DONE * len(design)]
        if not len(open_):
            break
    return weights
