"""Figures of tasks: boundaries, evidence, and one trial over time."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from mtrnn_analysis.figures.style import GREY, INK, QUADRANTS, SKY, STYLE, VERMILLION, signs
from mtrnn_envs import EvidenceTask, Stream, Trials, observe


def tasks_figure(tasks: Sequence[EvidenceTask], seed: int = 0, n_trials: int = 4) -> Figure:
    """The latent plane with the boundaries and example trials of each of `tasks`, and one trial in time.

    Example trials are the first of the test stream of `seed` in each of up to four quadrants: the same in all panels,
    if the tasks differ in their boundaries only.

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
        colour, samples = QUADRANTS[signs(trials.latents)[row]], trials.evidence[row]
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


def _examples(task: EvidenceTask, seed: int, n: int) -> tuple[Trials, list[int]]:
    """Trials of the test stream, and the first row of each of `n` quadrants that is far from its sides."""
    trials = Stream(task, "test", seed).take(1024)
    quadrants, clear = signs(trials.latents), (np.abs(np.abs(trials.latents) - 0.25) < 0.15).all(axis=1)
    return trials, [int(np.flatnonzero((quadrants == s) & clear)[0]) for s in list(QUADRANTS)[:n]]
