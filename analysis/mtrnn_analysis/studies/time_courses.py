"""Figures of curves, averaged over networks: over samples, or over training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D

from mtrnn_analysis.figures.style import INK, STYLE
from mtrnn_analysis.studies.networks import Networks, estimate, strata
from mtrnn_analysis.studies.panels import (
    ACROSS,
    SEED,
    Asked,
    Drawn,
    Line,
    Mark,
    caption,
    entitle,
    handles_of,
    has,
    legend,
    limit,
    lines_of,
    measures_of,
    nothing,
    panels_of,
    start,
    ylabel,
)

BANDS = "Lines: interquartile means over networks; bands: their 95 % bootstrap intervals at each place."
LABELS = {
    "trials": "trials seen in training",
    "history.updates": "updates",
    "history.steps": "environment steps",
    "sample_curve.n_samples": "samples seen",
    "decoding_course.n_samples": "samples seen",
    "evidence_course.n_samples": "samples seen",
}


def steps(asked: Asked) -> list[Drawn]:
    """Curves over samples, or steps of the trial, beside what theory says of them."""
    return _courses(asked, log=False)


def course(asked: Asked) -> list[Drawn]:
    """Curves over training, as far as all networks of a line were trained."""
    return _courses(asked, log=True)


def averaged(found: Networks, rows: Sequence[int], x: str, y: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """A curve of each of the networks `rows` that has it, at the same places: places `[P]`, values `[N, P]`, which.

    The places are all that any network has, from where the last of them begins to where the first ends. Where networks
    have the same, these are their numbers; else they are joined up in between.
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


def _courses(asked: Asked, log: bool) -> list[Drawn]:
    found, table, x = asked.found, asked.table, asked.table["x"]
    curves = measures_of(found.study, table["y"])
    lines = [line for line in lines_of(asked, curves) if has(found, line.column, line.rows, True)]
    if not lines:
        return [nothing(asked, f"No network has {' or '.join(curves.values())}.")]
    parts, about = panels_of(found, curves.values(), [i for line in lines for i in line.rows], curves=True)
    marks: list[Mark] = []
    with mpl.rc_context(STYLE):
        figure, panels = start(len(parts))
        handles: dict[str, Line2D] = {}
        for axes, (_, changed) in zip(panels, parts, strict=True):
            for line in lines:
                marks += _band(axes, found, line._replace(column=changed.get(line.column, line.column)), x)
            handles |= _theory(axes, asked, lines)
            axes.set_xlabel(LABELS.get(x, x))
        if log:
            panels[0].set_xscale("log")
        panels[0].set_ylabel(ylabel(curves))
        entitle(panels, [title for title, _ in parts])
        outside = limit(panels, table, curves.values(), [])
        legend(figure, [*handles_of(lines, curves, True), *handles.values()])
    return [Drawn(asked.name, figure, caption(asked, [BANDS, about, outside], marks, lines))]


def _band(axes: Any, found: Networks, line: Line, x: str) -> list[Mark]:
    places, values, which = averaged(found, line.rows, x, line.column)
    if not len(places):
        return []
    at = {i: k for k, i in enumerate(which)}
    groups = [[at[i] for i in group] for group in strata(found, which)]
    # The same networks are drawn at every place: the band has no jumps that the curves have not.
    found_at = [estimate([column[group] for group in groups], np.random.default_rng(SEED)) for column in values.T]
    shown = {"marker": line.marker, "ms": 3, "markevery": max(1, len(places) // 12)}
    face = line.colour if line.filled else "white"
    axes.plot(
        places,
        [e.value for e in found_at],
        color=line.colour,
        ls=line.dash,
        lw=1.3,
        mfc=face,
        mew=0.7,
        **shown,
        zorder=3,
        gid="iqm",
    )
    if np.isfinite(found_at[0].low):
        axes.fill_between(
            places, [e.low for e in found_at], [e.high for e in found_at], color=line.colour, alpha=0.18, lw=0, zorder=2
        )
    return [Mark(line.label, values[:, -1], len(line.rows) - len(which), found_at[-1])]


def _theory(axes: Any, asked: Asked, lines: Sequence[Line]) -> dict[str, Line2D]:
    """Draws what theory says: one line, or, where it differs between levels, one of each colour."""
    handles, found, x = {}, asked.found, asked.table["x"]
    first = [line for line in lines if line.column == lines[0].column]
    if "hue" not in asked.table:
        first = first[:1]
    for k, (name, column) in enumerate(measures_of(found.study, asked.table.get("theory", {})).items()):
        style: Any = {"lw": 1.0, "ls": ACROSS[k % len(ACROSS)], "zorder": 4}
        each = [(line, *averaged(found, line.rows, x, column)[:2]) for line in first]
        each = [(line, places, values.mean(axis=0)) for line, places, values in each if len(places)]
        if not each:
            continue
        one = all(
            np.array_equal(places, each[0][1]) and np.allclose(values, each[0][2], atol=1e-3)
            for _, places, values in each
        )
        for line, places, values in each[:1] if one else each:
            axes.plot(places, values, color=INK if one else line.colour, **style)
        handles[name] = Line2D([], [], color=INK, label=name, **style)
    return handles
