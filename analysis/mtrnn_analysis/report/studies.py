"""The report of studies: one page of HTML that contains all it shows and loads nothing.

    from mtrnn_analysis.report import write_report
    write_report("results")  # results/report.html, of all studies in results/studies

The same results give the same bytes. A content security policy in the page forbids loading from elsewhere; links are
followed when they are clicked. Figures for print are written beside the table of each study as PNG and PDF.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure

import mtrnn_envs
from mtrnn_analysis.figures.style import save
from mtrnn_analysis.report import summaries
from mtrnn_analysis.report.pages import templates
from mtrnn_analysis.report.pictures import Turning, plotly_js, still, turning
from mtrnn_analysis.studies.claims import FAILS, HOLDS, OPEN, Judged, judge
from mtrnn_analysis.studies.figures import figures
from mtrnn_analysis.studies.networks import Networks, networks
from mtrnn_envs.experiments.studies.results import STUDIES, Results, as_csv, load
from mtrnn_envs.experiments.studies.runner import status
from mtrnn_envs.experiments.studies.study import PAPER
from mtrnn_envs.utils.atomic_write import atomic_write
from mtrnn_envs.utils.validation import check_choice

NAME = "report.html"
DECLARED = "as declared"  # the profile of a study without changes, in words
# Intervals are drawn anew for each study, so that they do not depend on the other studies of the page.
SEED = 0
# The class of each verdict, which gives its colour, and a sign for colour-blind readers.
VERDICTS = {HOLDS: ("holds", "✓"), FAILS: ("fails", "✗"), OPEN: ("open", "?")}
REFERENCE = re.compile(r"arXiv:(?P<arxiv>\d{4}\.\d{4,5})|doi:(?P<doi>10\.\d{4,9}/[^\s,;)]*[^\s,;).])")


def write(out: str | Path, names: Sequence[str] | None = None) -> Path:
    """Writes the report of studies that were run in the folder `out`, finished or not; returns its path.

    Arguments:
        out: the folder of the results.
        names: the studies, in the order in which they are shown; None for all in the folder, by name.

    Raises:
        ValueError: if there is no study, or none of a name, or a file in `out` is not valid.
        ImportError: if a package that a figure needs is not installed.
    """
    out = Path(out)
    there = sorted(path.parent.name for path in (out / STUDIES).glob("*/study.json"))
    if not there:
        raise ValueError(f"{out} holds no study: there is no {STUDIES}/<name>/study.json; run a study first")
    chosen = [check_choice(name, there, "study", str(out)) for name in (there if names is None else names)]
    studies = [_study(load(out, name), out) for name in chosen]
    environment = templates()
    environment.filters["linked"] = linked
    turn = any(figure["turn"] for study in studies for figure in study["figures"])
    page = environment.get_template("template.html.jinja").render(
        studies=studies,
        version=mtrnn_envs.__version__,
        profiles=", ".join(dict.fromkeys(study["profile"] for study in studies)),
        verdicts=VERDICTS,
        # Text in a script is not markup and must not be escaped; only "</script" would end it.
        plotly=Markup(plotly_js().replace("</script", r"<\/script")) if turn else "",
    )
    with atomic_write(out / NAME) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / NAME


def linked(text: str) -> Markup:
    """Text with arXiv numbers and DOIs as links."""
    parts, end = [], 0
    for match in REFERENCE.finditer(text):
        to = f"https://arxiv.org/abs/{match['arxiv']}" if match["arxiv"] else f"https://doi.org/{match['doi']}"
        parts += [escape(text[end : match.start()]), Markup('<a href="{}">{}</a>').format(to, match[0])]
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def _study(results: Results, out: Path) -> dict[str, Any]:
    """The section of a study."""
    study, rng, found = results.study, np.random.default_rng(SEED), networks(results)
    entries, done = study.cells(), len(found.entries)
    shared, varied = summaries.settings(entries)
    notes: list[str] = []
    judged, drawn = _claims(found, rng, notes), []
    summary, rows = summaries.summed_up(found, rng)
    if done:
        drawn = _figures(found, out, notes)
        if lacking := summaries.absent_measures(found):
            notes.append(f"No network has {', '.join(lacking)}.")
    if len(summaries.versions(results)) > 1:
        notes.append("Runs were made with different versions, listed below: numbers may depend on them.")
    folder = f"{STUDIES}/{study.name}"
    return {
        "name": study.name,
        "title": study.title or study.name,
        "text": summaries.paragraphs(study.text),
        "profile": DECLARED if results.profile == PAPER else results.profile,
        "done": done,
        "n_cells": results.n_cells,
        "notes": notes,
        "claims": judged,
        "counts": {verdict: sum(claim["verdict"] == verdict for claim in judged) for verdict in VERDICTS},
        "figures": drawn,
        "ideals": summaries.ideals(found) if done else None,
        "controls": summaries.controls(found) if done else None,
        "summary": summary if done and study.measures else None,
        "csv": "data:text/csv;charset=utf-8;base64," + base64.b64encode(as_csv(rows).encode()).decode(),
        "shared": shared,
        "varied": varied,
        "costs": summaries.costs(results) if results.found else None,
        "cpu": summaries.duration(sum(summaries.spent(results)["cpu_s"])) if results.found else summaries.NOTHING,
        "versions": summaries.versions(results),
        "absent": summaries.absent(results, entries, status(out, study.name).failed),
        "files": [f"{folder}/{name}" for name in ("table.csv", "table.parquet") if (out / folder / name).exists()],
    }


def _claims(found: Networks, rng: np.random.Generator, notes: list[str]) -> list[dict[str, Any]]:
    """The claims as they are shown; if they are not valid, a note."""
    try:
        judged = judge(found, rng)
        if left := len(found.study.claims) - len(judged):
            one = "claim is" if left == 1 else "claims are"
            notes.append(f"{left} more {one} about settings that this profile leaves out.")
        return [_claim(each) for each in judged]
    except ValueError as error:
        notes.append(f"The claims cannot be tested: {error}")
        return []


def _claim(judged: Judged) -> dict[str, Any]:
    some = all(judged.n)
    return {
        **judged._asdict(),
        "found": summaries.interval(judged.value, judged.low, judged.high) if some else "no network yet",
        "networks": " and ".join(map(str, judged.n)),
    }


def _figures(found: Networks, out: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The figures as they are shown; if they cannot be drawn, a note."""
    try:
        drawn = figures(found, out)
    except ValueError as error:
        notes.append(f"The figures cannot be drawn: {error}")
        return []
    shown = []
    for each in drawn:
        turn = not isinstance(each.figure, Figure)
        picture = turning(each.figure) if turn else still(each.figure)
        if not turn:
            save(each.figure, out / STUDIES / found.study.name / each.name)
        # The data of a script must not end it.
        data = Markup(_json(picture).replace("<", "\\u003c")) if isinstance(picture, Turning) else ""
        about = re.split(r"(?<=[.:;])\s", each.caption.strip(), maxsplit=1)[0] or each.name
        said = {"name": each.name, "caption": each.caption, "alt": about}
        shown.append({**said, "turn": turn, "data": data, "p": picture})
    return shown


def _json(picture: Turning) -> str:
    return json.dumps({"data": picture.data, "layout": picture.layout}, separators=(",", ":"), ensure_ascii=False)
