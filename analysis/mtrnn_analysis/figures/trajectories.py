"""Figures of the states of agents along trials, in three principal components: for print, and to be turned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mtrnn_analysis.dynamics.trajectories import Trajectories
from mtrnn_analysis.figures.marks import dot
from mtrnn_analysis.figures.style import GREY, INK, QUADRANT_NAMES, QUADRANTS, STYLE, Style, signs

N_LINES, TILT = 12, 18.0  # paths a quadrant for print; degrees between the line of sight and the normal of the plane
N_STEPS = 25  # steps of a path that can be turned: few enough for a phone
NAMES = {q: f"x₁ {'><'[q[0] == '-']} 0, x₂ {'><'[q[1] == '-']} 0" for q in QUADRANTS}


def trajectories_figure(found: Trajectories | Mapping[str, Trajectories]) -> Any:
    """States along trials, coloured by the quadrant of x*; one panel for each network, by title.

    Lines are single trials, dots are last states. The three axes have the same scale, and percentages are shares of the
    variance. The plane in which the last states vary with x* is seen from 18 degrees below and beside its normal. Of
    one network with more than two latents the figure is `trajectories_3d`, since there is no such plane.

    Raises:
        ValueError: if one of several networks has more than two latents.
    """
    if isinstance(found, Trajectories) and found.end_latents.shape[1] > 2:
        return trajectories_3d(found)
    networks = {"": found} if isinstance(found, Trajectories) else found
    n = len(networks)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * n, 3.5))
        for i, (title, network) in enumerate(networks.items()):
            if network.end_latents.shape[1] != 2:
                raise ValueError(f"{network.end_latents.shape[1]} latents: this figure shows two; draw trajectories_3d")
            axes: Any = figure.add_subplot(1, n, i + 1, projection="3d", computed_zorder=False)
            paths, ends = signs(network.path_latents), signs(network.end_latents)
            for quadrant, colour in QUADRANTS.items():
                for path in network.paths[paths == quadrant][:N_LINES]:
                    axes.plot(*path.T, color=colour, lw=0.7, alpha=0.8, zorder=3, clip_on=False)
                look: Style = {"s": 6, "color": colour, "alpha": 0.5, "lw": 0, "depthshade": False, "clip_on": False}
                axes.scatter(*network.ends[ends == quadrant].T, zorder=2, **look)
            axes.scatter(*network.first, s=30, color=INK, marker="X", lw=0, depthshade=False, zorder=5)
            axes.set_axis_off()
            axes.set_box_aspect(np.ptp([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()], axis=1), zoom=1.3)
            if title:
                axes.set_title(f"{'abcdefgh'[i % 8]}   {title}", loc="left", weight="bold", size=9, y=0.98)
            corner: Any = figure.add_axes((i / n + 0.005, 0.1, 0.26 / n, 0.26), projection="3d")
            _triad(corner, network.shares)
            for each in (axes, corner):
                each.view_init(*_view(network.slopes))
        handles = [dot(colour, QUADRANT_NAMES[quadrant]) for quadrant, colour in QUADRANTS.items()]
        handles.append(dot(INK, "first step", "X", 5.5))
        ncols = 5 if n > 1 else 2
        figure.legend(handles=handles, loc="lower center", ncols=ncols, columnspacing=1.4, handletextpad=0.1)
        figure.subplots_adjust(left=0.04, right=0.98, top=0.93, bottom=0.12, wspace=0.12)
        return figure


def _view(slopes: np.ndarray) -> tuple[float, float]:
    """Elevation and azimuth, in degrees, of the normal to the plane of `slopes`, off by `TILT`."""
    x, y, z = np.cross(*slopes) * np.sign(np.cross(*slopes)[2] or 1)
    return float(np.degrees(np.arctan2(z, np.hypot(x, y))) - TILT), float(np.degrees(np.arctan2(y, x)) + TILT)


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


def trajectories_3d(found: Trajectories, title: str = "") -> Any:
    """The states along trials as a plotly figure, one trace for each quadrant of the first two latents.

    Discs are last states. Fixed points (q below the tolerance of the search) and slow points are those near the data.
    """
    import plotly.graph_objects as go

    figure, quadrants = go.Figure(), signs(found.path_latents[:, :2])
    for quadrant, colour in QUADRANTS.items():
        lines, ends = [], []
        for path in found.paths[quadrants == quadrant]:
            steps = np.flatnonzero(np.isfinite(path[:, 0]))
            steps = steps[np.unique(np.linspace(0, len(steps) - 1, N_STEPS).round().astype(int))]
            lines += [path[steps], np.full((1, 3), np.nan)]
            ends.append(path[steps[-1]])
        if not lines:
            continue
        look: Style = {"name": NAMES[quadrant], "legendgroup": quadrant, "hoverinfo": "skip"}
        figure.add_trace(_scatter(np.concatenate(lines), mode="lines", line={"color": colour, "width": 2}, **look))
        marker = {"size": 3.5, "color": colour}
        figure.add_trace(_scatter(np.array(ends), mode="markers", marker=marker, showlegend=False, **look))
    marker = {"size": 5, "symbol": "x", "color": INK}
    figure.add_trace(_scatter(found.first[None], mode="markers", marker=marker, name="first step", hoverinfo="skip"))
    for name, rows, colour, symbol in (
        ("fixed points", found.near & found.fixed, INK, "diamond"),
        ("slow points", found.near & ~found.fixed, GREY, "diamond-open"),
    ):
        if rows.any():
            look = {"mode": "markers", "name": name, "marker": {"size": 4, "symbol": symbol, "color": colour}}
            told = "q = %{customdata[0]:.1e}<br>%{customdata[1]:.0f} unstable<extra></extra>"
            data = np.stack([found.q[rows], found.n_unstable[rows]]).T
            figure.add_trace(_scatter(found.points[rows], customdata=data, hovertemplate=told, **look))
    normal, along = np.cross(*found.slopes), found.slopes[0]
    eye = 1.9 * (normal / (np.linalg.norm(normal) or 1) + 0.35 * along / (np.linalg.norm(along) or 1))
    titles = [f"PC {k} ({100 * share:.0f} %)" for k, share in enumerate(found.shares, 1)]
    axes = {
        f"{x}axis": {"title": {"text": title, "font": {"size": 11}}, "showticklabels": False}
        for x, title in zip("xyz", titles, strict=True)
    }
    camera = {"eye": dict(zip("xyz", eye.round(3).tolist(), strict=True))}
    figure.update_layout(
        scene={**axes, "aspectmode": "data", "camera": camera},
        template="plotly_white",
        autosize=True,
        height=480,
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.02, "yanchor": "top", "font": {"size": 11}},
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        title={"text": title, "font": {"size": 13}},
    )
    return figure


def _scatter(points: np.ndarray, **look: object) -> Any:
    """A trace of points `[N, 3]`; in float32, which is half the text."""
    import plotly.graph_objects as go

    x, y, z = points.astype(np.float32).T
    return go.Scatter3d(x=x, y=y, z=z, **look)
