"""Figures of curves, averaged over networks: over samples or steps of a trial, or over training."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mtrnn_analysis.figures.style import INK, STYLE, Style
from mtrnn_analysis.studies import panels
from mtrnn_analysis.studies.curves import references
from mtrnn_analysis.studies.networks import Networks, estimate, strata
from mtrnn_analysis.studies.panels import Drawn, Line, Mark, Request

BANDS = "Lines: interquartile means over networks; bands: their 95 % bootstrap intervals at each place."
LABELS = {
    "trials": "trials seen in training",
    "steps": "environment steps",
    "history.updates": "updates",
    "history.steps": "environment steps",
    "sample_curve.n_samples": "samples seen",
    "decoding_course.n_samples": "samples seen",
    "evidence_course.n_samples": "samples seen",
}


def time_course(request: Request) -> list[Drawn]:
    """Curves over samples, or steps of the trial, beside theory."""
    return _curves(request, log=False)


def training_history(request: Request) -> list[Drawn]:
    """Curves over training, as far as all networks of a line were trained."""
    return _curves(request, log=True)


def averaged(found: Networks, rows: Sequence[int], x: str, y: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """A curve of each of the networks `rows` that has it, at the same places: places `[P]`, values `[N, P]`, networks.

    The places are those of any network, from the last beginning to the first end; values between are interpolated.
    """
    curves, which = [], []
    for i in rows:
        across, up = found.curve(i, x), found.curve(i, y)
        if len(across) != len(up):
            continue
        finite = np.isfinite(across) & np.isfinite(up)
        if finite.any():
            curves.append((across[finite], up[finite]))
            which.append(i)
    if not curves:
        return np.empty(0), np.empty((0, 0)), []
    first, last = max(a[0] for a, _ in curves), min(a[-1] for a, _ in curves)
    places = np.unique(np.concatenate([a for a, _ in curves]))
    places = places[(places >= first) & (places <= last)]
    return places, np.array([np.interp(places, a, b) for a, b in curves]), which


def _curves(request: Request, log: bool) -> list[Drawn]:
    found, table, x = request.found, request.table, request.table["x"]
    curves = panels.measures_of(found.study, table["y"])
    lines = [line for line in panels.lines_of(request, curves) if panels.has(found, line.column, line.rows, True)]
    if not lines:
        return [panels.nothing(request, f"No network has {' or '.join(curves.values())}.")]
    with mpl.rc_context(STYLE):
        figure, axes = panels.start()
        marks = [each for line in lines for each in _band(axes, found, line, x)]
        handles = _theory(axes, request, lines) | references(axes, request, np.zeros(len(found.rows)), lines)
        axes.set_xlabel(str(LABELS.get(x, x)))
        if log:
            axes.set_xscale("log")
        axes.set_ylabel(panels.ylabel(curves))
        outside = panels.limit(axes, table, curves.values(), [])
        panels.legend(figure, [*panels.handles_of(lines, curves, True), *handles.values()])
    return [Drawn(request.name, figure, panels.caption(request, [BANDS, outside], marks, lines))]


def _band(axes: Axes, found: Networks, line: Line, x: str) -> list[Mark]:
    places, values, which = averaged(found, line.rows, x, line.column)
    if not len(places):
        return []
    at = {i: k for k, i in enumerate(which)}
    groups = [[at[i] for i in group] for group in strata(found, which)]
    # The same networks are resampled at every place, so that the band is as smooth as the curves.
    rngs = (np.random.default_rng(panels.SEED) for _ in values.T)
    found_at = [estimate([column[group] for group in groups], rng) for column, rng in zip(values.T, rngs, strict=True)]
    shown: Style = {"marker": line.marker, "ms": 3, "markevery": max(1, len(places) // 12), "mew": 0.7, "lw": 1.3}
    shown |= {"color": line.colour, "ls": line.dash, "mfc": line.colour if line.filled else "white", "zorder": 3}
    axes.plot(places, [e.value for e in found_at], gid="iqm", **shown)
    if np.isfinite(found_at[0].low):
        low, high = ([getattr(e, end) for e in found_at] for end in ("low", "high"))
        axes.fill_between(places, low, high, color=line.colour, alpha=0.18, lw=0, zorder=2)
    return [Mark(line.label, values[:, -1], len(line.rows) - len(which), found_at[-1])]


def _theory(axes: Axes, request: Request, lines: Sequence[Line]) -> dict[str, Line2D]:
    """Draws theory: one line, or, where it differs between levels, one of each colour."""
    handles, found, x = {}, request.found, request.table["x"]
    first = [line for line in lines if line.column == lines[0].column]
    if "hue" not in request.table:
        first = first[:1]
    for k, (name, column) in enumerate(panels.measures_of(found.study, request.table.get("theory", {})).items()):
        style: Style = {"lw": 1.0, "ls": panels.ACROSS[k % len(panels.ACROSS)], "zorder": 4}
        each = [(line, *averaged(found, line.rows, x, column)[:2]) for line in first]
        each = [(line, places, values.mean(axis=0)) for line, places, values in each if len(places)]
        if not each:
            continue
        (_, x_first, y_first), *_ = each
        one = all(np.array_equal(at, x_first) and np.allclose(values, y_first, atol=1e-3) for _, at, values in each)
        for line, places, values in each[:1] if one else each:
            axes.plot(places, values, color=INK if one else line.colour, **style)
        handles[name] = Line2D([], [], color=INK, label=name, **style)
    return handles
