"""Trajectories of one network of each of some levels: to be turned, and for print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from mtrnn_analysis.figures.style import GREY, INK, QUADRANTS, signs
from mtrnn_analysis.figures.trajectories import trajectories_figure
from mtrnn_analysis.geometry.principal import PrincipalComponents, principal_components
from mtrnn_analysis.studies.networks import where
from mtrnn_analysis.studies.panels import Asked, Drawn, caption, count, nothing, told
from mtrnn_envs import plugins
from mtrnn_envs.experiments.studies import cell as cells
from mtrnn_envs.experiments.studies.cell import Cell
from mtrnn_envs.probing import probe
from mtrnn_envs.recording import Recording

# What is drawn of a quadrant, and of a trial: little enough to be turned on a phone.
N_TRIALS, N_STEPS = 15, 25
N_STARTS = 64
NAMES = {q: f"x₁ {'><'[q[0] == '-']} 0, x₂ {'><'[q[1] == '-']} 0" for q in QUADRANTS}


class Network(NamedTuple):
    """One network, its recording, and where its state stands still (None if that cannot be told)."""

    name: str
    agent: Any
    recording: Recording
    points: Any


def trajectories(asked: Asked) -> list[Drawn]:
    """For print, all levels side by side; then a figure of each that can be turned, with fixed and slow points."""
    shown, drawn, why_not = [], [], []
    for i, levels in enumerate(asked.table["level"]):
        suffix, name = f"-{'abcdefgh'[i % 8]}", ", ".join(told(axis, level) for axis, level in levels.items())
        try:
            network = _network(asked, levels, name)
            figure, shows = trajectories_3d(network)
        except (FileNotFoundError, LookupError, ValueError) as error:
            why_not.append(f"{name}: left out: {error}.")
            continue
        shown.append(network)
        what = f"{name}, one network: states of {count(shows.n_trials, 'trial')} in the top principal components."
        drawn.append(Drawn(asked.name + suffix, figure, caption(asked, [what, shows.points])))
    if not shown:
        return [nothing(asked, " ".join(why_not))]
    if all(network.recording.latents.shape[1] == 2 for network in shown):
        drawn.insert(0, Drawn(asked.name, _static(shown), caption(asked, [_about(shown), *why_not])))
    return drawn


def _about(shown: list[Network]) -> str:
    names = "; ".join(f"{'abcdefgh'[i]}: {network.name}" for i, network in enumerate(shown))
    return f"States of one network each in their top three principal components, by the quadrant of x*. {names}."


def _static(shown: list[Network]) -> Figure:
    figure = trajectories_figure([network.recording for network in shown])
    titled = [axes for axes in figure.axes if axes.get_title("left")]
    for axes, letter, network in zip(titled, "abcdefgh", shown, strict=False):
        axes.set_title(f"{letter}   {network.name}", loc="left", weight="bold", size=9, y=0.98)
    return figure


def _network(asked: Asked, levels: Mapping[str, Any], name: str) -> Network:
    """The first network of these levels, from its weights.

    Raises:
        LookupError: if there is none, or it diverged.
        FileNotFoundError: if its weights are not there.
    """
    done = {str(sorted(labels.items(), key=str)) for labels in asked.found.labels}
    entries = [entry for entry in asked.results.entries if str(sorted(entry.labels.items(), key=str)) in done]
    rows = where(asked.found, levels)
    if not rows:
        raise LookupError("no network of these levels is done")
    labels = asked.found.labels[min(rows, key=lambda i: asked.found.labels[i]["seed"])]
    cell = next(entry.cell for entry in entries if entry.labels == labels)
    agent = _agent(cell, asked)
    recording = cells.recorded(cell, agent)
    if recording.hidden is None:
        raise LookupError("the agent has no hidden state")
    try:
        points = probe(recording, "fixed_points", agent=agent, n_starts=N_STARTS, n_null=0)
    except ValueError:
        points = None
    return Network(name, agent, recording, points)


def _agent(cell: Cell, asked: Asked) -> Any:
    folder = asked.out / cells.AGENTS / cell.run
    if cell.trained and not folder.is_dir():
        raise FileNotFoundError("its weights are not in the folder of the results")
    return plugins.agent(cell.agent).load(folder) if cell.trained else cells.agent_of(cell, asked.out)


class Shows(NamedTuple):
    """What a caption says of a figure that can be turned."""

    n_trials: int
    points: str


def trajectories_3d(network: Network) -> tuple[Any, Shows]:
    """States of some trials in the top three principal components of all, as a plotly figure, and what it shows.

    Coloured by the signs of the first two latents, one trace a quadrant. Discs are last states; points at which the
    dynamics stand still (q below the tolerance of the search) or nearly so are those near the data.

    Raises:
        ValueError: if there are fewer than two latents, or three units.
    """
    import plotly.graph_objects as go

    recording, hidden = network.recording, network.recording.hidden
    if hidden is None or recording.latents.shape[1] < 2 or hidden.shape[2] < 3:
        raise ValueError("two latents, and three units, are needed")
    components = principal_components(hidden[recording.valid].astype(float), 3)
    quadrants, figure, n_trials = signs(recording.latents[:, :2]), go.Figure(), 0
    for quadrant, colour in QUADRANTS.items():
        lines, ends = [], []
        for i in np.flatnonzero(quadrants == quadrant)[:N_TRIALS]:
            steps = np.flatnonzero(recording.valid[i])
            steps = steps[np.unique(np.linspace(0, len(steps) - 1, N_STEPS).round().astype(int))]
            path = components.project(hidden[i, steps].astype(float))
            lines += [path, np.full((1, 3), np.nan)]
            ends.append(path[-1])
        if not lines:
            continue
        n_trials += len(ends)
        look: Any = {"name": NAMES[quadrant], "legendgroup": quadrant, "hoverinfo": "skip"}
        figure.add_trace(_scatter(np.concatenate(lines), mode="lines", line={"color": colour, "width": 2}, **look))
        marker = {"size": 3.5, "color": colour}
        figure.add_trace(_scatter(np.array(ends), mode="markers", marker=marker, showlegend=False, **look))
    first = components.project(hidden[:, 0].astype(float)).mean(axis=0, keepdims=True)
    marker = {"size": 5, "symbol": "x", "color": INK}
    figure.add_trace(_scatter(first, mode="markers", marker=marker, name="first step", hoverinfo="skip"))
    shows = Shows(n_trials, _add_points(figure, network, components))
    titles = [f"PC {k + 1} ({100 * share:.0f} %)" for k, share in enumerate(components.shares)]
    axes = {
        f"{name}axis": {"title": {"text": title, "font": {"size": 11}}, "showticklabels": False}
        for name, title in zip("xyz", titles, strict=True)
    }
    figure.update_layout(
        scene={**axes, "aspectmode": "data", "camera": {"eye": _eye(components, recording)}},
        template="plotly_white",
        autosize=True,
        height=480,
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.02, "yanchor": "top", "font": {"size": 11}},
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        title={"text": network.name, "font": {"size": 13}},
    )
    return figure, shows


def _eye(components: PrincipalComponents, recording: Recording) -> dict[str, float]:
    """Where the plane in which the last states vary with the first two latents is seen from: beside its normal."""
    ends = components.project(recording.last_hidden().astype(float))
    latents = recording.latents[:, :2]
    slopes = np.linalg.lstsq(latents - latents.mean(axis=0), ends - ends.mean(axis=0))[0]
    normal, along = np.cross(*slopes), slopes[0]
    eye = normal / (np.linalg.norm(normal) or 1) + 0.35 * along / (np.linalg.norm(along) or 1)
    return dict(zip("xyz", (1.9 * eye).round(3).tolist(), strict=True))


def _scatter(points: np.ndarray, **look: Any) -> Any:
    """A trace of points `[N, 3]`; in float32, which is half the text."""
    import plotly.graph_objects as go

    x, y, z = points.astype(np.float32).T
    return go.Scatter3d(x=x, y=y, z=z, **look)


def _add_points(figure: Any, network: Network, components: PrincipalComponents) -> str:
    """Adds the points near the data at which the state stands still, or nearly; gives what a caption says of them."""
    found = network.points
    if found is None:
        return "Without fixed points: they cannot be sought in this agent."
    fixed = found.q < found.settings["tolerance"]
    units = components.axes.shape[1]  # the state of an LSTM is more than its units
    for name, rows, colour, symbol in (
        ("fixed points", found.near & fixed, INK, "diamond"),
        ("slow points", found.near & ~fixed, GREY, "diamond-open"),
    ):
        if rows.any():
            figure.add_trace(
                _scatter(
                    components.project(found.points[rows, :units]),
                    mode="markers",
                    name=name,
                    marker={"size": 4, "symbol": symbol, "color": colour},
                    customdata=np.stack([found.q[rows], found.of_points.n_unstable[rows]]).T,
                    hovertemplate="q = %{customdata[0]:.1e}<br>%{customdata[1]:.0f} unstable<extra></extra>",
                )
            )
    far = f"; {int((~found.near).sum())} far from the data are not shown" if not found.near.all() else ""
    slow = found.n_near - found.n_fixed_near
    return f"Of {found.n} points that the search ended at {found.n_fixed_near} are fixed, {slow} slow{far}."
