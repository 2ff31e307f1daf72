"""Figures of `fixed_points`: where the state stands still, and how fast it gets there."""

from __future__ import annotations

from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtrnn_analysis.dynamics import FixedPoints
from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE, VERMILLION, Style
from mtrnn_analysis.geometry.principal import PrincipalComponents, principal_components

N_LINES = 40
# log10 q from black over colours to pale; a lower q has the colour of the lowest.
LOWEST, HIGHEST, COLOURS = -20.0, 0.0, "viridis"


class _Scene(NamedTuple):
    """The state space in the top three principal components of the trajectories; `unstable` are points near the data
    with, and without, an unstable direction.
    """

    components: PrincipalComponents
    paths: list[np.ndarray]
    points: np.ndarray
    log_q: np.ndarray
    unstable: dict[bool, np.ndarray]
    title: str


def fixed_points_figure(found: FixedPoints) -> dict[str, Any]:
    """The panels for print (""), and the first of them to be turned ("3d"); see `panels` and `turning`."""
    return {"": panels(found), "3d": turning(found)}


def panels(found: FixedPoints) -> Figure:
    """Five panels:

    a. Trajectories with fixed and slow points in the top three principal components of the trajectories from the first
       evidence on, coloured by log10 q; all axes have the same scale. Discs have no unstable direction, crosses have
       one or more. Points that are not near the data are left out, and counted.
    b. Eigenvalues at the points near the data, and at the data, in the complex plane with the unit circle.
    c. Time constants of the leading modes that do not grow: medians and quartiles.
    d. Shares that have the spectrum of a continuum: of starts whose points are fixed and near the data (`value`), and
       of the data; each beside that before training.
    e. The alignment of slow directions with the coding axes, at points with those of all trials, at the data with
       those of the same orthant of x*; with the null of each.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 5.2))
        _draw_space(figure, found)
        drawn = {
            "b": (_draw_plane, (0.68, 0.47, 0.31, 0.43), 0.0),
            "c": (_draw_times, (0.09, 0.09, 0.24, 0.23), 0.0),
            "d": (_draw_shares, (0.42, 0.09, 0.18, 0.23), 0.0),
            "e": (_draw_alignment, (0.69, 0.09, 0.29, 0.2), -0.12),
        }
        for letter, (draw, place, x) in drawn.items():
            axes = figure.add_axes(place)
            draw(axes, found)
            axes.set_title(letter, loc="left", weight="bold", x=x)
        return figure


def turning(found: FixedPoints) -> Any:
    """The first panel as a plotly `Figure` that can be turned: `write_html(path, include_plotlyjs=True)` gives a file
    that needs no network.

    Raises:
        ImportError: without plotly.
    """
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError('the turning figure needs plotly: pip install "mtrnn-envs[analysis]"') from error
    scene = _scene(found)
    # One trace for all trajectories, with gaps between them, turns more smoothly than one each.
    lines = np.concatenate([np.concatenate([path, np.full((1, 3), np.nan)]) for path in scene.paths])
    line = {"color": PALE, "width": 2}
    figure = go.Figure(go.Scatter3d(**_xyz(lines), mode="lines", line=line, name="trajectories", hoverinfo="skip"))
    bar = {"title": {"text": "log<sub>10</sub> q"}, "len": 0.6}
    marker = {"size": 4, "colorscale": "Viridis", "cmin": LOWEST, "cmax": HIGHEST, "colorbar": bar}
    about = np.stack([found.q, found.distance, found.of_points.n_slow, found.of_points.n_unstable]).T
    for name, unstable, symbol in (("no unstable direction", False, "circle"), ("unstable directions", True, "x")):
        rows = scene.unstable[unstable]
        points = go.Scatter3d(
            **_xyz(scene.points[rows]),
            mode="markers",
            name=name,
            customdata=about[rows],
            hovertemplate="q = %{customdata[0]:.1e}<br>distance to the data %{customdata[1]:.2f}<br>"
            "slow eigenvalues %{customdata[2]:.0f}<br>unstable %{customdata[3]:.0f}<extra></extra>",
            marker={**marker, "symbol": symbol, "color": scene.log_q[rows]},
        )
        figure.add_trace(points)
    titles = [f"PC {k + 1} ({100 * share:.0f} %)" for k, share in enumerate(scene.components.shares)]
    axes = {f"{name}axis": {"title": {"text": title}} for name, title in zip("xyz", titles, strict=True)}
    return figure.update_layout(
        scene={**axes, "aspectmode": "data"},
        template="plotly_white",
        legend={"x": 0, "y": 1},
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        title={"text": scene.title, "font": {"size": 13}},
    )


def _xyz(points: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip("xyz", points.T, strict=True))


def _scene(found: FixedPoints) -> _Scene:
    size = found.paths.shape[2]
    states = found.paths.reshape(-1, size)
    # States of one or two components have as many axes; the missing ones of three are 0.
    components = principal_components(states[np.isfinite(states[:, 0])], min(3, size))
    missing = 3 - len(components.axes)
    flat, shares = np.zeros((missing, size)), np.zeros(missing)
    axes, shares = np.concatenate([components.axes, flat]), np.append(components.shares, shares)
    components = PrincipalComponents(components.mean, axes, shares)
    lines = [components.project(path[np.isfinite(path[:, 0])]) for path in found.paths[:N_LINES]]
    log_q = np.log10(np.clip(found.q, 10.0**LOWEST, None))
    grows, n_far = found.of_points.n_unstable > 0, int((~found.near).sum())
    far = f"; {n_far} far from it are not shown" if n_far else ""
    title = f"{found.n_near} of {found.n} points near the data, {found.n_fixed_near} of them fixed{far}"
    unstable = {each: found.near & (grows == each) for each in (False, True)}
    return _Scene(components, lines, components.project(found.points), log_q, unstable, title)


def _draw_space(figure: Figure, found: FixedPoints) -> None:
    scene = _scene(found)
    axes: Any = figure.add_axes((0.0, 0.44, 0.5, 0.5), projection="3d", computed_zorder=False)
    for path in scene.paths:
        axes.plot(*path.T, color=PALE, lw=0.6, zorder=1)
    style: Style = {"s": 14, "cmap": COLOURS, "vmin": LOWEST, "vmax": HIGHEST, "depthshade": False, "zorder": 3}
    for unstable, marker, width in ((False, "o", 0), (True, "x", 0.9)):
        # Fixed points lie on top.
        order = np.flatnonzero(scene.unstable[unstable])
        order = order[np.argsort(-scene.log_q[order])]
        axes.scatter(*scene.points[order].T, marker=marker, lw=width, c=scene.log_q[order], **style)
    axes.set(xticks=[], yticks=[], zticks=[])
    for k, (name, share) in enumerate(zip("xyz", scene.components.shares, strict=True)):
        getattr(axes, f"set_{name}label")(f"PC {k + 1} ({100 * share:.0f} %)", labelpad=-13, fontsize=7)
        getattr(axes, f"{name}axis").pane.fill = False
    extent = np.ptp([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()], axis=1)
    axes.set_box_aspect(np.maximum(extent, 0.2 * extent.max()), zoom=0.95)
    figure.text(0.01, 0.965, "a", weight="bold", size=9)
    figure.text(0.035, 0.967, scene.title, size=7)
    bar = figure.add_axes((0.525, 0.52, 0.01, 0.34))
    mappable = mpl.cm.ScalarMappable(mpl.colors.Normalize(LOWEST, HIGHEST), COLOURS)  # pyright: ignore[reportAttributeAccessIssue]
    figure.colorbar(mappable, cax=bar, extend="min", ticks=[-20, -10, 0])
    bar.set_title("$\\log_{10} q$", fontsize=7, loc="left")
    handles = [
        Line2D([], [], color=PALE, label="trajectories"),
        Line2D([], [], ls="", marker="o", ms=4, color=INK, label="no unstable direction"),
        Line2D([], [], ls="", marker="x", ms=4, color=INK, label="unstable directions"),
    ]
    figure.legend(handles=handles, loc="lower left", ncols=3, bbox_to_anchor=(0.0, 0.395), columnspacing=1.0)


def _draw_plane(axes: Axes, found: FixedPoints) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=GREY, lw=0.8)
    axes.axhline(0, color=PALE, lw=0.5, zorder=0)
    for eigenvalues, colour, marker, name in (
        (found.of_points.eigenvalues[found.near], BLUE, "o", "at the points"),
        (found.of_data.eigenvalues, VERMILLION, "+", "at the data"),
    ):
        mu = eigenvalues.ravel()
        axes.plot(np.real(mu), np.imag(mu), marker, color=colour, ms=2.5, alpha=0.5, mew=0.6, label=name)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel="real part of $\\mu$", ylabel="imaginary part of $\\mu$")
    axes.legend(loc="upper center", bbox_to_anchor=(0.55, 1.14), ncols=2, handletextpad=0.1, columnspacing=0.8)


def _draw_times(axes: Axes, found: FixedPoints) -> None:
    """Time constants of the leading modes that do not grow: medians, with the quartiles."""
    n_dims = found.latents.shape[1]
    shown = min(n_dims + 3, found.points.shape[1])
    slow = found.settings["slow"] * found.dt
    most = 100 * slow
    for times, colour, marker, aside in (
        (found.of_points.times[found.near], BLUE, "o", -0.12),
        (found.of_data.times, VERMILLION, "s", 0.12),
    ):
        for k, mode in enumerate(times.T[:shown], 1):
            if not (known := mode[~np.isnan(mode)]).size:
                continue
            low, middle, high = np.clip(np.quantile(known, (0.25, 0.5, 0.75), method="nearest") * found.dt, 10, most)
            axes.plot([k + aside] * 2, [low, high], color=colour, lw=1)
            axes.plot(k + aside, middle, marker, color=colour, ms=4)
    axes.axhline(slow, color=GREY, lw=0.8, ls=(0, (4, 2)))
    axes.text(shown + 0.5, 1.15 * slow, "slow", ha="right", va="bottom", fontsize=7, color=GREY)
    axes.axvline(n_dims + 0.5, color=PALE, lw=0.8, zorder=0)
    axes.set(yscale="log", ylim=(8, 1.3 * most), xlim=(0.5, shown + 0.5), xticks=range(1, shown + 1))
    axes.set(xlabel="mode, by $|\\mu|$", ylabel="time constant (ms)")


def _draw_shares(axes: Axes, found: FixedPoints) -> None:
    of_data = found.continuum["data"], found.continuum["control"], VERMILLION
    for k, (share, control, colour) in enumerate(((found.value, found.control, BLUE), of_data)):
        for at, height, filled in ((k - 0.2, share, colour), (k + 0.2, control, GREY)):
            top = height if np.isfinite(height) else 0
            axes.bar(at, top, 0.36, color=filled)
            axes.text(at, top + 0.02, f"{height:.2f}" if np.isfinite(height) else "?", ha="center", fontsize=6.5)
    axes.set_xticks(range(2), ["fixed\npoints", "data"])
    axes.tick_params(axis="x", length=0)
    axes.set(ylim=(0, 1.12), yticks=[0, 0.5, 1], ylabel="share: a continuum")
    handle = Line2D([], [], ls="", marker="s", ms=5, color=GREY, label="before training")
    axes.legend(handles=[handle], loc="lower center", bbox_to_anchor=(0.55, 1.0), handletextpad=0.1, borderpad=0)


def _draw_alignment(axes: Axes, found: FixedPoints) -> None:
    for null, value, colour, name in (
        (found.alignment_null, found.alignment, BLUE, "points"),
        (found.alignment_data_null, found.alignment_data["value"], VERMILLION, "data"),
    ):
        axes.hist(null, np.linspace(0, 1, 41).tolist(), color=colour, alpha=0.3, label=f"null, {name}")
        if np.isfinite(value):
            axes.axvline(value, color=colour, lw=1.4, label=name)
    axes.axvline(found.alignment_data["isotropic"], color=GREY, lw=1, ls=":", label="isotropic")
    axes.set(xlim=(0, 1), xlabel="mean $\\cos^2$ with the coding axes", ylabel="draws of the null")
    more = {"ncols": 3, "columnspacing": 0.8, "handlelength": 1.2, "borderpad": 0.1}
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.98), **more)
