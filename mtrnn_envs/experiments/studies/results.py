"""What came of a study: one row a network, with every setting, version and seed in it; as CSV and Parquet.

Files, in studies/<name>/ of the folder of the results: table.csv and table.parquet (a row for each cell; the same
however the study was run), costs.csv (what each cell took, and where), study.json (the study as it was run). Columns:

| columns | what |
|---|---|
| study, cell, status | its name; the cell's; "done" or "diverged" |
| the axes, seed | the level of each |
| agent, trained, n_trials, `task.*`, `training.*`, `test.*`, `probes.*` | all settings |
| versions.* | of what numbers may depend on |
| all others | numbers and words that were found: accuracy, and those of each probe, such as decoding.value |
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtrnn_envs.experiments.studies import cell as cells
from mtrnn_envs.experiments.studies.study import PAPER, Entry, Study, flat
from mtrnn_envs.utils.atomic_write import atomic_write

STUDIES = "studies"
TABLES = ("table.csv", "table.parquet", "costs.csv")


@dataclass(frozen=True, eq=False)
class Results:
    """The cells of a study that are done, or diverged, in the order of `Study.cells`.

    Attributes:
        study: as it was run: that of its budget.
        budget: the budget's name.
        entries: labels and cell of each.
        found: what `mtrnn_envs.experiments.studies.cell.run_cell` gave for each.
        n_cells: how many cells the study has.
    """

    study: Study
    budget: str
    entries: Sequence[Entry] = field(repr=False)
    found: Sequence[Mapping[str, Any]] = field(repr=False)
    n_cells: int

    def rows(self) -> list[dict[str, Any]]:
        """The table of this module, a dictionary a row; what a row has not is None."""
        rows = [_row(self.study.name, entry.labels, each) for entry, each in zip(self.entries, self.found, strict=True)]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return [{name: row.get(name) for name in columns} for row in rows]

    def column(self, name: str) -> list[Any]:
        """One column of the table; None where a row has not got it."""
        return [row.get(name) for row in self.rows()]

    def groups(self, *axes: str) -> dict[tuple[Any, ...], list[int]]:
        """The rows, by index, of each combination of levels of these axes; a label that a row has not is None."""
        found: dict[tuple[Any, ...], list[int]] = {}
        for i, entry in enumerate(self.entries):
            found.setdefault(tuple(entry.labels.get(axis) for axis in axes), []).append(i)
        return found


def collect(study: Study, out: Path, budget: str = PAPER) -> Results:
    """What is there of a study in the folder `out`.

    Raises:
        ValueError: if a file in it is none of ours.
    """
    entries = study.cells(budget)
    found = [cells.read(out, entry.cell.id) for entry in entries]
    pairs = [(entry, each) for entry, each in zip(entries, found, strict=True) if each is not None]
    return Results(study.at(budget), budget, [e for e, _ in pairs], [f for _, f in pairs], len(entries))


def load(out: Path, name: str) -> Results:
    """What is there of the study called `name` that was run in the folder `out`.

    Raises:
        FileNotFoundError: if there is none.
    """
    about = json.loads((out / STUDIES / name / "study.json").read_text())
    return collect(Study.from_fields(about["study"]), out, about["budget"])


def write_study(study: Study, out: Path, budget: str) -> bool:
    """Writes what is run, so that `load` finds it; whether another study or budget of this name was there before.

    Their tables do not outlive it; their cells do.
    """
    path, about = out / STUDIES / study.name / "study.json", {"budget": budget, "study": study.to_fields()}
    other = path.exists() and json.loads(path.read_text()) != about
    if other:
        for name in TABLES:
            path.with_name(name).unlink(missing_ok=True)
    _write(path, json.dumps(about, indent=1))
    return other


def write_tables(results: Results, out: Path) -> None:
    """Writes table.csv, table.parquet and costs.csv, each whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    folder, rows = out / STUDIES / results.study.name, results.rows()
    _write(folder / "table.csv", as_csv(rows))
    with atomic_write(folder / "table.parquet") as temporary:
        pyarrow.parquet.write_table(pyarrow.table(_typed(rows)), temporary)
    costs = [{"cell": e.cell.id, **each["cost"]} for e, each in zip(results.entries, results.found, strict=True)]
    _write(folder / "costs.csv", as_csv(costs))


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV; None, and what a row has not got, is empty, a number of many digits is whole."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(study: str, labels: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    cell = dict(found["cell"])
    settings = {"agent": cell["agent"], "trained": cell["trained"], "n_trials": cell["n_trials"]}
    for group in ("task", "training", "test", "probes"):
        settings |= flat(cell[group], f"{group}.")
    row = {"study": study, "cell": cells.name_of(found["cell"]), "status": found["status"], **labels}
    row |= {name: _plain(value) for name, value in settings.items()}
    row |= {f"versions.{name}": value for name, value in found["versions"].items()}
    row |= {name: _number(value) for name, value in found["numbers"].items()}
    return row | dict(found["words"])


def _plain(value: Any) -> Any:
    """A setting as one cell of a table."""
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _typed(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Columns for Parquet, each of one type: flags, whole numbers or numbers; all else, and mixtures, as text."""
    columns: dict[str, list[Any]] = {}
    for name in rows[0] if rows else []:
        values = [row[name] for row in rows]
        kinds = {type(value) for value in values if value is not None}
        kind = float if kinds == {int, float} else kinds.pop() if len(kinds) == 1 else str
        columns[name] = [None if value is None else kind(value) for value in values]
    return columns


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text)
