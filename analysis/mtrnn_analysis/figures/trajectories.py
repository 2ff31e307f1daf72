"""Figures of the states of agents over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from mtrnn_analysis.figures.style import GREY, INK, QUADRANT_NAMES, QUADRANTS, STYLE, signs
from mtrnn_analysis.geometry.principal import principal_components
from mtrnn_envs.recording import Recording


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
            for quadrant, colour in QUADRANTS.items():
                rows = np.flatnonzero(signs(recording.latents) == quadrant)[:n_points]
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
            Line2D([], [], ls="", marker="o", ms=4, mec="none", mfc=colour, label=QUADRANT_NAMES[quadrant])
            for quadrant, colour in QUADRANTS.items()
        ]
        handles.append(Line2D([], [], ls="", marker="X", ms=5.5, mec="none", mfc=INK, label="first step"))
        figure.legend(handles=handles, loc="lower center", ncols=5, columnspacing=1.4, handletextpad=0.1)
        figure.subplots_adjust(left=0.04, right=0.98, top=0.93, bottom=0.12, wspace=0.12)
        return figure


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
