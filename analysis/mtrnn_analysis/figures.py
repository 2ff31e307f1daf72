"""Figures: functions from results to matplotlib figures, which touch no global state, and how to write them.

Colours are those of Okabe & Ito (2008), which colour-blind readers tell apart.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

try:
    import matplotlib as mpl
except ImportError as error:
    raise ImportError('mtrnn_analysis.figures needs matplotlib: pip install "mtrnn-envs[analysis]"') from error
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MultipleLocator, NullLocator

from mtrnn_analysis.geometry import principal_components
from mtrnn_envs import EvidenceTask, Stream, observe
from mtrnn_envs.files import replacing
from mtrnn_envs.recording import Recording

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, GREY, PALE = "#222222", "#7A7F87", "#C9CDD3"
# Quadrants in the order of the angle of x*, by the signs of (x1, x2).
QUADRANTS = {"++": BLUE, "-+": ORANGE, "--": PURPLE, "+-": GREEN}
QUADRANT_NAMES = {signs: f"$x_1$ {'><'[signs[0] == '-']} 0, $x_2$ {'><'[signs[1] == '-']} 0" for signs in QUADRANTS}
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "pdf.fonttype": 42,
}


class Result(NamedTuple):
    """One network: its number of tasks, its share of right answers, and `r2_prior` in and out of distribution."""

    n_tasks: int
    accuracy: float
    r2_id: float
    r2_ood: float


class Reference(NamedTuple):
    """What the networks are held against: `r2_prior` in and out of distribution, and what of."""

    name: str
    r2_id: float
    r2_ood: float


def tasks_figure(tasks: Sequence[EvidenceTask], seed: int = 0, n_trials: int = 4) -> Figure:
    """The latent plane with the boundaries of each of `tasks`, evidence of example trials, and one trial in time.

    The example trials are the first of the test stream of `seed` in each of up to four quadrants: the same in all
    panels, if the tasks differ in their boundaries only.

    Raises:
        ValueError: if a task has not two latents.
    """
    for task in tasks:
        if task.n_dims != 2:
            raise ValueError(f"n_dims={task.n_dims}: only tasks with n_dims=2 can be drawn")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.35 * len(tasks) + 3.1, 2.75), layout="constrained")
        axes = figure.subplots(1, len(tasks) + 1, width_ratios=[1] * len(tasks) + [1.4])
        for i, task in enumerate(tasks):
            _plane(axes[i], task, seed, n_trials)
            axes[i].set_title(f"{'abcdefg'[i]}   {task.n_tasks} tasks", loc="left", weight="bold")
        _course(axes[-1], tasks[-1], seed)
        axes[-1].set_title(f"{'abcdefgh'[len(tasks)]}   One trial", loc="left", weight="bold")
        marks = [
            Line2D([], [], ls="", marker="o", ms=3, mec="none", mfc=GREY, alpha=0.6, label="one sample"),
            Line2D([], [], color=GREY, lw=1.4, label="mean so far"),
            Line2D([], [], ls="", marker="*", ms=9, mfc=GREY, mec="white", mew=0.6, label="$x^*$"),
        ]
        figure.legend(handles=marks, loc="outside lower left", ncols=3)
        return figure


def trajectories_figure(
    recordings: Sequence[Recording], *, n_lines: int = 12, n_points: int = 150, tilt: float = 18.0
) -> Figure:
    """States of each of `recordings` in their top three principal components, coloured by the quadrant of x*.

    Lines are single trials, `n_lines` a quadrant; dots are the last states of `n_points` trials a quadrant. The
    components are those of all states of all trials; the three axes have the same scale, and percentages are shares
    of the variance. The plane in which the last states vary with x* (by least squares) is seen from `tilt` degrees
    below and beside its normal.

    Raises:
        ValueError: if a recording has no hidden state, or its task has not two latents.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * len(recordings), 3.5))
        for i, recording in enumerate(recordings):
            if recording.hidden is None or recording.latents.shape[1] != 2:
                raise ValueError("recordings must have hidden states, and two latents")
            axes: Any = figure.add_subplot(1, len(recordings), i + 1, projection="3d", computed_zorder=False)
            components = principal_components(recording.hidden[recording.valid], 3)
            states = components.project(recording.hidden.astype(float))
            ends = states[np.arange(len(states)), recording.last_steps]
            for signs, colour in QUADRANTS.items():
                rows = np.flatnonzero(_signs(recording.latents) == signs)[:n_points]
                for path in states[rows[:n_lines]]:
                    axes.plot(*path.T, color=colour, lw=0.7, alpha=0.8, zorder=3, clip_on=False)
                axes.scatter(
                    *ends[rows].T, s=6, color=colour, alpha=0.5, lw=0, depthshade=False, zorder=2, clip_on=False
                )
            axes.scatter(*states[:, 0].mean(axis=0), s=30, color=INK, marker="X", lw=0, depthshade=False, zorder=5)
            axes.set_axis_off()
            axes.set_box_aspect(np.ptp([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()], axis=1), zoom=1.3)
            axes.set_title(f"{'abcdefg'[i]}   {recording.task.n_tasks} tasks", loc="left", weight="bold", y=0.98)
            corner: Any = figure.add_axes(
                (i / len(recordings) + 0.005, 0.1, 0.26 / len(recordings), 0.26), projection="3d"
            )
            _triad(corner, components.shares)
            for each in (axes, corner):
                each.view_init(*_view(ends, recording.latents, tilt))
        handles = [
            Line2D([], [], ls="", marker="o", ms=4, mec="none", mfc=colour, label=QUADRANT_NAMES[signs])
            for signs, colour in QUADRANTS.items()
        ]
        handles.append(Line2D([], [], ls="", marker="X", ms=5.5, mec="none", mfc=INK, label="first step"))
        figure.legend(handles=handles, loc="lower center", ncols=5, columnspacing=1.4, handletextpad=0.1)
        figure.subplots_adjust(left=0.04, right=0.98, top=0.93, bottom=0.12, wspace=0.12)
        return figure


def r2_figure(results: Sequence[Result], references: Sequence[Reference] = ()) -> Figure:
    """`r2_prior` of decoded x* against the number of tasks: one mark a network, lines through the means.

    References are drawn as lines across, dashed in and dotted out of distribution; one name for two that are close.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.0, 3.1), layout="constrained")
        axes = figure.subplots()
        numbers = sorted({result.n_tasks for result in results})
        for field, colour, marker, name in (
            ("r2_id", BLUE, "o", "in distribution"),
            ("r2_ood", VERMILLION, "s", "out of distribution: held-out quadrant"),
        ):
            values = [[getattr(r, field) for r in results if r.n_tasks == n] for n in numbers]
            axes.plot(numbers, [np.mean(v) for v in values], color=colour, lw=1.4, label=name, zorder=3)
            for n, group in zip(numbers, values, strict=True):
                axes.plot([n] * len(group), group, marker, color=colour, ms=5, mec="white", mew=0.6, ls="", zorder=4)
        for name, *levels in references:
            together = abs(levels[0] - levels[1]) < 0.02
            for level, dashes, side in zip(levels, ((0, (5, 2)), (0, (1, 1.5))), ("in", "out"), strict=True):
                axes.axhline(level, color=GREY, lw=0.9, ls=dashes, zorder=2)
                label = name if together else f"{name}, {side}"
                if not together or side == "in":
                    axes.text(
                        1.02, level, label, transform=axes.get_yaxis_transform(), va="center", fontsize=7, color=GREY
                    )
        axes.set_xscale("log", base=2)
        axes.set_xticks(numbers, [str(n) for n in numbers])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MultipleLocator(0.1))
        axes.set_xlabel("number of tasks $N$")
        axes.set_ylabel("$r^2_{\\mathrm{prior}}$ of decoded $x^*$  $(= 1 - 12\\,\\mathrm{MSE})$")
        lowest = min([0.6, *(r.r2_ood for r in results), *(r.r2_ood for r in references)])
        axes.set_ylim(np.floor(20 * (lowest - 0.02)) / 20, 1)
        axes.legend(loc="lower right")
        return figure


def save(figure: Figure, path: str | os.PathLike[str], dpi: int = 200) -> list[Path]:
    """Writes `figure` as PNG and PDF beside each other, each whole or not at all; gives their paths."""
    paths = [Path(path).with_suffix(suffix) for suffix in (".png", ".pdf")]
    for target in paths:
        with mpl.rc_context(STYLE), replacing(target) as temporary:
            dates = {"CreationDate": None} if target.suffix == ".pdf" else None
            figure.savefig(temporary, format=target.suffix[1:], dpi=dpi, metadata=dates, facecolor="white")
    return paths


def _plane(axes: Axes, task: EvidenceTask, seed: int, n_trials: int) -> None:
    """Boundaries, and example trials in front of them."""
    trials, rows = _examples(task, seed, n_trials)
    grid = np.linspace(-0.5, 0.5, 241)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    margins = task.boundary.margins(points).reshape(len(grid), len(grid), -1)
    axes.add_patch(Rectangle((-0.5, -0.5), 1, 1, fc="#F4F5F7", ec=GREY, lw=0.6, zorder=0))
    for k in range(task.n_tasks):
        axes.contour(grid, grid, margins[:, :, k], levels=[0], colors=[INK], linewidths=0.5, alpha=0.6, zorder=1)
    for row in rows:
        colour, samples = QUADRANTS[_signs(trials.latents)[row]], trials.evidence[row]
        means = np.cumsum(samples, axis=0) / np.arange(1, len(samples) + 1)[:, None]
        axes.plot(*samples.T, ".", color=colour, ms=4.5, mec="none", alpha=0.45, zorder=2)
        axes.plot(*means.T, color=colour, lw=1.3, zorder=3)
        axes.plot(*trials.latents[row], "*", color=colour, ms=10, mec="white", mew=0.7, zorder=5)
    axes.set_box_aspect(1)
    axes.set(xlim=(-0.8, 0.8), ylim=(-0.8, 0.8), xlabel="$x_1$ (latent units)", ylabel="$x_2$ (latent units)")
    axes.set_xticks([-0.5, 0, 0.5])
    axes.set_yticks([-0.5, 0, 0.5])


def _course(axes: Axes, task: EvidenceTask, seed: int) -> None:
    """The cue and the evidence of one trial, step by step, in seconds."""
    trials, rows = _examples(task, seed, 2)
    trial = trials[rows[-1:]]
    when, dt = task.timing, task.dt / 1000
    edges = np.arange(task.n_steps + 1) * dt
    seen = (np.arange(when.stimulus_on, when.stimulus_off) + 0.5) * dt
    axes.axvspan(when.stimulus_on * dt, when.stimulus_off * dt, color="#F4F5F7", lw=0)
    for d, colour in enumerate((SKY, VERMILLION)):
        samples = trial.evidence[0, :, d]
        axes.plot(seen, samples, "o", color=colour, ms=2.8, mec="none", alpha=0.6)
        axes.plot(seen, np.cumsum(samples) / np.arange(1, len(samples) + 1), color=colour, lw=1.3)
        x = float(trial.latents[0, d])
        axes.hlines(x, seen[0], seen[-1], color=colour, lw=0.9, ls=(0, (4, 2)))
        axes.annotate(f"$x_{d + 1}^*$", (edges[-1], x), color=colour, va="center", annotation_clip=False)
    cue = observe(trial)[0, :, 0]
    axes.stairs(1.05 + 0.25 * cue, edges, baseline=None, color=INK, lw=1.1)
    axes.text(edges[-1], 1.36, "cue", ha="right", va="bottom", color=INK, fontsize=7)
    axes.text(edges[-1], 0.99, "answers", ha="right", va="top", color=INK, fontsize=7)
    axes.text(np.mean(seen), -1.02, "stimulus", ha="center", va="bottom", color=GREY, fontsize=7)
    axes.set(xlabel="time (s)", ylabel="evidence (latent units)", xlim=(0, edges[-1]), ylim=(-1.05, 1.5))
    axes.set_yticks([-0.5, 0, 0.5])
    axes.set_box_aspect(1 / 1.4)


def _examples(task: EvidenceTask, seed: int, n: int) -> tuple[Any, list[int]]:
    """Trials of the test stream, and the first row of each of `n` quadrants that is far from its sides."""
    trials = Stream(task, "test", seed).take(1024)
    signs, clear = _signs(trials.latents), (np.abs(np.abs(trials.latents) - 0.25) < 0.15).all(axis=1)
    return trials, [int(np.flatnonzero((signs == s) & clear)[0]) for s in list(QUADRANTS)[:n]]


def _signs(latents: np.ndarray) -> np.ndarray:
    """The quadrant of each row, such as "+-"."""
    return np.array(["".join("-+"[int(v)] for v in row > 0) for row in latents])


def _view(ends: np.ndarray, latents: np.ndarray, tilt: float) -> tuple[float, float]:
    """Elevation and azimuth, in degrees, of the normal to the plane in which `ends` vary with x*, off by `tilt`."""
    slopes = np.linalg.lstsq(latents - latents.mean(axis=0), ends - ends.mean(axis=0))[0]
    x, y, z = np.cross(*slopes) * np.sign(np.cross(*slopes)[2] or 1)
    return float(np.degrees(np.arctan2(z, np.hypot(x, y))) - tilt), float(np.degrees(np.arctan2(y, x)) + tilt)


def _triad(axes: Any, shares: np.ndarray) -> None:
    """The directions of the three components, with their shares of the variance."""
    axes.set_axis_off()
    axes.patch.set_alpha(0)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for i, direction in enumerate(np.eye(3)):
        axes.plot(*np.stack([np.zeros(3), direction]).T, color=GREY, lw=0.9)
        share = f"PC {i + 1}\n{100 * shares[i]:.0f} %"
        axes.text(*(1.45 * direction), share, ha="center", va="center", fontsize=6.5, path_effects=halo)
    axes.set(xlim=(-0.2, 1.2), ylim=(-0.2, 1.2), zlim=(-0.2, 1.2))
    axes.set_box_aspect((1, 1, 1))
