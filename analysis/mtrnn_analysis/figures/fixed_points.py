"""Figures of `mtrnn_analysis.dynamics.fixed_points`: where the state stands still, and how fast it gets there."""

from __future__ import annotations

from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtrnn_analysis.dynamics.fixed_points import FixedPoints
from mtrnn_analysis.figures.style import BLUE, GREY, INK, PALE, STYLE, VERMILLION
from mtrnn_analysis.geometry.principal import PrincipalComponents, principal_components

N_LINES = 40
# log10 q from black over colours to pale: q below the lowest is shown as that.
LOWEST, HIGHEST, COLOURS = -20.0, 0.0, "viridis"


class _Scene(NamedTuple):
    """What both pictures of the state space show, in the top three principal components of the trajectories."""

    components: PrincipalComponents
    paths: list[np.ndarray]
    points: np.ndarray
    log_q: np.ndarray
    far: int


def fixed_points_figures(finding: FixedPoints) -> dict[str, Any]:
    """Both: for print, and to be turned."""
    return {"": fixed_points_figure(finding), "3d": fixed_points_3d(finding)}


def fixed_points_figure(finding: FixedPoints) -> Figure:
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
        _draw_space(figure, finding)
        _draw_plane(figure.add_axes((0.68, 0.47, 0.31, 0.43)), finding)
        _draw_times(figure.add_axes((0.09, 0.09, 0.24, 0.23)), finding)
        _draw_shares(figure.add_axes((0.42, 0.09, 0.18, 0.23)), finding)
        _draw_alignment(figure.add_axes((0.69, 0.09, 0.29, 0.2)), finding)
        return figure


def fixed_points_3d(finding: FixedPoints) -> Any:
    """The first panel as a plotly `Figure` that can be turned: `write_html(path, include_plotlyjs=True)` gives a file
    that needs no network.

    Raises:
        ImportError: without plotly.
    """
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError('fixed_points_3d needs plotly: pip install "mtrnn-envs[analysis]"') from error
    scene, shown = _scene(finding), finding.near
    # One trace for all trajectories, with gaps between them, turns more smoothly than one each.
    lines = np.concatenate([np.concatenate([path, np.full((1, 3), np.nan)]) for path in scene.paths])
    x, y, z = lines.T
    figure = go.Figure(
        go.Scatter3d(
            x=x, y=y, z=z, mode="lines", line={"color": PALE, "width": 2}, name="trajectories", hoverinfo="skip"
        )
    )
    unstable = finding.of_points.n_unstable > 0
    for name, rows, symbol in (
        ("no unstable direction", shown & ~unstable, "circle"),
        ("unstable directions", shown & unstable, "x"),
    ):
        x, y, z = scene.points[rows].T
        told = np.stack(
            [
                finding.q[rows],
                finding.distance[rows],
                finding.of_points.n_slow[rows],
                finding.of_points.n_unstable[rows],
            ]
        ).T
        figure.add_trace(
            go.Scatter3d(
                x=x,
                y=y,
                z=z,
                mode="markers",
                name=name,
                customdata=told,
                hovertemplate="q = %{customdata[0]:.1e}<br>distance to the data %{customdata[1]:.2f}<br>"
                "slow eigenvalues %{customdata[2]:.0f}<br>unstable %{customdata[3]:.0f}<extra></extra>",
                marker={
                    "size": 4,
                    "symbol": symbol,
                    "color": scene.log_q[rows],
                    "colorscale": "Viridis",
                    "cmin": LOWEST,
                    "cmax": HIGHEST,
                    "colorbar": {"title": {"text": "log<sub>10</sub> q"}, "len": 0.6},
                },
            )
        )
    titles = [f"PC {k + 1} ({100 * share:.0f} %)" for k, share in enumerate(scene.components.shares)]
    axes = {f"{name}axis": {"title": {"text": title}} for name, title in zip("xyz", titles, strict=True)}
    figure.update_layout(
        scene={**axes, "aspectmode": "data"},
        template="plotly_white",
        legend={"x": 0, "y": 1},
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        title={"text": _title(finding, scene), "font": {"size": 13}},
    )
    return figure


def _scene(finding: FixedPoints) -> _Scene:
    paths, size = finding.paths, finding.paths.shape[2]
    states = paths.reshape(-1, size)
    states = states[np.isfinite(states[:, 0])]
    # Two components, or one, are shown in as many; what is missing of three is 0.
    components = principal_components(states, min(3, size))
    flat = np.zeros((3, size))
    flat[: len(components.axes)] = components.axes
    shares = np.append(components.shares, np.zeros(3 - len(components.axes)))
    components = PrincipalComponents(components.mean, flat, shares)
    lines = [components.project(path[np.isfinite(path[:, 0])]) for path in paths[:N_LINES]]
    log_q = np.log10(np.clip(finding.q, 10.0**LOWEST, None))
    return _Scene(components, lines, components.project(finding.points), log_q, int((~finding.near).sum()))


def _title(finding: FixedPoints, scene: _Scene) -> str:
    far = f"; {scene.far} far from it are not shown" if scene.far else ""
    return f"{finding.n_near} of {finding.n} points near the data, {finding.n_fixed_near} of them fixed{far}"


def _draw_space(figure: Figure, finding: FixedPoints) -> None:
    scene, shown = _scene(finding), finding.near
    axes: Any = figure.add_axes((0.0, 0.44, 0.5, 0.5), projection="3d", computed_zorder=False)
    for path in scene.paths:
        axes.plot(*path.T, color=PALE, lw=0.6, zorder=1)
    unstable = finding.of_points.n_unstable > 0
    marks: Any = {"c": None, "cmap": COLOURS, "vmin": LOWEST, "vmax": HIGHEST, "depthshade": False, "zorder": 3}
    for rows, marker, size in ((shown & ~unstable, "o", 14), (shown & unstable, "x", 14)):
        # Those that stand still lie on top.
        order = np.flatnonzero(rows)[np.argsort(-scene.log_q[rows])]
        marks["c"] = scene.log_q[order]
        axes.scatter(*scene.points[order].T, marker=marker, s=size, lw=0.9 if marker == "x" else 0, **marks)
    axes.set(xticks=[], yticks=[], zticks=[])
    for name, share in zip("xyz", scene.components.shares, strict=True):
        getattr(axes, f"set_{name}label")(f"PC {'xyz'.index(name) + 1} ({100 * share:.0f} %)", labelpad=-13, fontsize=7)
        getattr(axes, f"{name}axis").pane.fill = False
    extent = np.ptp([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()], axis=1)
    axes.set_box_aspect(np.maximum(extent, 0.2 * extent.max()), zoom=0.95)
    figure.text(0.01, 0.965, "a", weight="bold", size=9)
    figure.text(0.035, 0.967, _title(finding, scene), size=7)
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


def _draw_plane(axes: Any, finding: FixedPoints) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=GREY, lw=0.8)
    axes.axhline(0, color=PALE, lw=0.5, zorder=0)
    for mu, colour, marker, name in _spectra(finding):
        axes.plot(
            np.real(mu).ravel(), np.imag(mu).ravel(), marker, color=colour, ms=2.5, alpha=0.5, mew=0.6, label=name
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("real part of $\\mu$")
    axes.set_ylabel("imaginary part of $\\mu$")
    axes.set_title("b", loc="left", weight="bold")
    axes.legend(loc="upper center", bbox_to_anchor=(0.55, 1.14), ncols=2, handletextpad=0.1, columnspacing=0.8)


def _draw_times(axes: Any, finding: FixedPoints) -> None:
    """Time constants of the leading modes: medians, with the quartiles, of those that do not grow."""
    n_dims = finding.latents.shape[1]
    shown = min(n_dims + 3, finding.points.shape[1])
    slow = finding.settings["slow"] * finding.dt
    most = 100 * slow
    rows = (
        (finding.of_points.times[finding.near], BLUE, "o", -0.12),
        (finding.of_data.times, VERMILLION, "s", 0.12),
    )
    for times, colour, marker, aside in rows:
        for k in range(shown):
            known = times[:, k][~np.isnan(times[:, k])] if len(times) else times[:, :0]
            if not known.size:
                continue
            low, middle, high = np.clip(np.quantile(known, (0.25, 0.5, 0.75), method="nearest") * finding.dt, 10, most)
            axes.plot([k + 1 + aside] * 2, [low, high], color=colour, lw=1)
            axes.plot(k + 1 + aside, middle, marker, color=colour, ms=4)
    axes.axhline(slow, color=GREY, lw=0.8, ls=(0, (4, 2)))
    axes.text(shown + 0.5, 1.15 * slow, "slow", ha="right", va="bottom", fontsize=7, color=GREY)
    axes.axvline(n_dims + 0.5, color=PALE, lw=0.8, zorder=0)
    axes.set_yscale("log")
    axes.set_ylim(8, 1.3 * most)
    axes.set_xlim(0.5, shown + 0.5)
    axes.set_xticks(range(1, shown + 1))
    axes.set_xlabel("mode, by $|\\mu|$")
    axes.set_ylabel("time constant (ms)")
    axes.set_title("c", loc="left", weight="bold")


def _draw_shares(axes: Any, finding: FixedPoints) -> None:
    pairs = (
        (finding.value, finding.control, BLUE),
        (finding.continuum["data"], finding.continuum["control"], VERMILLION),
    )
    for k, (share, control, colour) in enumerate(pairs):
        for at, height, filled in ((k - 0.2, share, colour), (k + 0.2, control, GREY)):
            known = bool(np.isfinite(height))
            axes.bar(at, height if known else 0, 0.36, color=filled)
            told = f"{height:.2f}" if known else "?"
            axes.text(at, (height if known else 0) + 0.02, told, ha="center", fontsize=6.5)
    axes.set_xticks(range(2), ["fixed\npoints", "data"])
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, 1.12)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("share: a continuum")
    axes.set_title("d", loc="left", weight="bold")
    handle = Line2D([], [], ls="", marker="s", ms=5, color=GREY, label="before training")
    axes.legend(handles=[handle], loc="lower center", bbox_to_anchor=(0.55, 1.0), handletextpad=0.1, borderpad=0)


def _draw_alignment(axes: Any, finding: FixedPoints) -> None:
    edges = np.linspace(0, 1, 41)
    for null, value, colour, name in (
        (finding.alignment_null, finding.alignment, BLUE, "points"),
        (finding.alignment_data_null, finding.alignment_data["value"], VERMILLION, "data"),
    ):
        axes.hist(null, edges, color=colour, alpha=0.3, label=f"null, {name}")
        if np.isfinite(value):
            axes.axvline(value, color=colour, lw=1.4, label=name)
    axes.axvline(finding.alignment_data["isotropic"], color=GREY, lw=1, ls=":", label="isotropic")
    axes.set_xlim(0, 1)
    axes.set_xlabel("mean $\\cos^2$ with the coding axes")
    axes.set_ylabel("draws of the null")
    axes.set_title("e", loc="left", weight="bold", x=-0.12)
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=3, columnspacing=0.8, handlelength=1.2, borderpad=0.1
    )


def _spectra(finding: FixedPoints) -> list[tuple[np.ndarray, str, str, str]]:
    """Eigenvalues, and how they are drawn."""
    return [
        (finding.of_points.eigenvalues[finding.near], BLUE, "o", "at the points"),
        (finding.of_data.eigenvalues, VERMILLION, "+", "at the data"),
    ]
