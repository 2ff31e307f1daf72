"""Figures of single networks, from arrays kept beside their runs; and of the tasks of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mtrnn_analysis.dynamics.trajectories import Trajectories
from mtrnn_analysis.figures.tasks import tasks_figure
from mtrnn_analysis.figures.trajectories import trajectories_3d, trajectories_figure
from mtrnn_analysis.studies.networks import where
from mtrnn_analysis.studies.panels import Drawn, Request, caption, count, level_text, nothing
from mtrnn_envs.experiments.studies.cell import arrays_of
from mtrnn_envs.experiments.studies.study import has_levels


def trajectories(request: Request) -> list[Drawn]:
    """For print, all levels side by side; then a figure of each that can be turned, with fixed and slow points."""
    shown: dict[str, Trajectories] = {}
    drawn, why_not = [], []
    for letter, levels in zip("abcdefgh", request.table["level"], strict=False):
        name = ", ".join(level_text(axis, level) for axis, level in levels.items())
        try:
            found = shown[name] = _kept(request, levels)
        except LookupError as error:
            why_not.append(f"{name}: left out: {error.args[0]}.")
            continue
        n = count(len(found.paths), "trial")
        what = f"{name}, one network: states of {n} in the top principal components."
        figure = trajectories_3d(found, name)
        drawn.append(Drawn(f"{request.name}-{letter}", figure, caption(request, [what, _about_points(found)])))
    if not shown:
        return [nothing(request, " ".join(why_not))]
    if all(found.end_latents.shape[1] == 2 for found in shown.values()):
        names = "; ".join(f"{letter}: {name}" for letter, name in zip("abcdefgh", shown, strict=False))
        about = f"States of one network each in their top three principal components, by the quadrant of x*. {names}."
        drawn.insert(0, Drawn(request.name, trajectories_figure(shown), caption(request, [about, *why_not])))
    return drawn


def _kept(request: Request, levels: Mapping[str, Any]) -> Trajectories:
    """The trajectories of the network of seed 0 with these levels.

    Raises:
        LookupError: if there are none.
    """
    rows = where(request.found, {"seed": 0, **levels})
    if not rows:
        raise LookupError("no network of these levels is done")
    path = arrays_of(request.out, request.found.entries[rows[0]].cell.id, "trajectories")
    if not path.exists():
        raise LookupError("its trajectories are not in the folder of the results; run the study again to add them")
    with np.load(path) as file:
        kept = {name: file[name] if file[name].ndim else file[name].item() for name in file.files}
    if "left_out" in kept:
        raise LookupError(kept["left_out"])
    return Trajectories(settings={}, **kept)


def _about_points(found: Trajectories) -> str:
    """The sentence of the caption about fixed and slow points."""
    if not len(found.points):
        return "Without fixed points: they cannot be searched in this agent."
    far = f"; {int((~found.near).sum())} far from the data are not shown" if not found.near.all() else ""
    fixed, slow = int((found.near & found.fixed).sum()), int((found.near & ~found.fixed).sum())
    return f"Of {len(found.points)} points at which the search ended, {fixed} are fixed, {slow} slow{far}."


def tasks(request: Request) -> list[Drawn]:
    """The boundaries of the tasks of some levels, and one trial in time."""
    entries = request.found.study.cells()
    chosen = {}
    for levels in request.table["of"]:
        rows = [e.cell.task for e in entries if has_levels(e.labels, levels)]
        if rows and rows[0].n_dims == 2:
            chosen[", ".join(level_text(axis, level) for axis, level in levels.items())] = rows[0]
    if not chosen:
        return [nothing(request, "No run of this study has these levels and two latents.")]
    about = "Boundaries between answers in the plane of the two latents, with example trials; and one trial in time."
    return [Drawn(request.name, tasks_figure(list(chosen.values())), caption(request, [about]))]
