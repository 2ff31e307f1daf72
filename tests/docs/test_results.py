"""The numbers in tables of the README and the pages are those of the kept results in `examples/results`.

A table that is checked has a comment before it: the measures of its columns, then one line for each row.

    <!-- kept: decoding.value | closed_form:multilateration.value
    fig1f; N=24; recipe=dense
    fig1f; N=*; recipe=dense
    -->

A row names a study and the settings of its networks; `*` stands for one row for each level. A column is a measure, of
another study with `study:measure`, of other settings with `measure; N=6`. A cell shows the interquartile mean over
networks and, in brackets, its 95 % bootstrap interval, to as many decimals as one likes.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mtrnn_analysis.statistics import bootstrap

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TABLE = re.compile(r"<!-- kept: (.*)\n([^>]*)-->\n\n\|.*\n\|[-:| ]+\n((?:\|.*\n)+)")
NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?")
TABLES = [
    pytest.param(*table, id=f"{page.name}-{number}")
    for page in PAGES
    for number, table in enumerate(TABLE.findall(page.read_text()), 1)
]


@cache
def networks(study: str) -> list[dict[str, str]]:
    with (ROOT / "examples" / "results" / study / "table.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def expected(study: str, measure: str, settings: tuple[tuple[str, str], ...]) -> tuple[float, float, float]:
    """The interquartile mean over networks with these settings, and its interval."""
    chosen = [row for row in networks(study) if all(row.get(name, value) == value for name, value in settings)]
    values = [float(row[measure]) for row in chosen if row[measure]]
    return bootstrap([values], np.random.default_rng(0))[:3]


def split(text: str) -> tuple[str, dict[str, str]]:
    """Parts `name; key=value; ...`."""
    name, *settings = (part.strip() for part in text.split(";"))
    return name, dict(setting.split("=", 1) for setting in settings)


def rows(text: str) -> list[tuple[str, dict[str, str]]]:
    """Studies and settings of the rows, `*` written out."""
    out = []
    for study, settings in map(split, text.strip().splitlines()):
        free = [name for name, value in settings.items() if value == "*"]
        fixed = {name: value for name, value in settings.items() if value != "*"}
        same = [row for row in networks(study) if all(row[name] == value for name, value in fixed.items())]
        levels = dict.fromkeys(tuple(row[name] for name in free) for row in same)
        out += [(study, fixed | dict(zip(free, level, strict=True))) for level in levels]
    return out


@pytest.mark.parametrize(("columns", "named", "body"), TABLES)
def test_tables_show_the_kept_results(columns: str, named: str, body: str) -> None:
    measures = [split(column.strip()) for column in columns.split("|")]
    shown = [[cell.strip() for cell in line.strip("| ").split("|")] for line in body.splitlines()]
    for (study, settings), (title, *cells) in zip(rows(named), shown, strict=True):
        for (measure, other), cell in zip(measures, cells, strict=True):
            source, _, name = measure.rpartition(":")
            right = expected(source or study, name, tuple((settings | other).items()))
            numbers = [number.replace("−", "-") for number in NUMBER.findall(cell)]
            assert len(numbers) in (1, 3), cell
            for number, value in zip(numbers, right, strict=False):
                text = f"{value:.{len(number.partition('.')[2])}f}"
                assert number == text, f"{title}, {name}: {cell!r} should be {text}, of {right}"


def test_tables_are_found() -> None:
    assert len(TABLES) >= 6
    assert len(TABLES) == sum(page.read_text().count("<!-- kept:") for page in PAGES)
