"""The results of a study: one row a network, with all settings, versions and seeds; as CSV and Parquet.

Files, in studies/<name>/ of the folder of the results: table.csv and table.parquet (a row for each run, independent of
backend and order), costs.csv (cost and host of each run), study.json (the study as it was run). Columns:

| columns | content |
|---|---|
| study, cell, status | name of the study and of the run; "done" or "diverged" |
| the axes, seed | the level of each |
| agent, trained, n_trials, `task.*`, `training.*`, `test.*`, `probes.*` | all settings |
| versions.* | versions that numbers may depend on |
| all others | results: accuracy, and the numbers and words of each probe, such as decoding.value |
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtrnn_envs.experiments.studies import cell as cells
from mtrnn_envs.experiments.studies.study import PAPER, Entry, Study, flat
from mtrnn_envs.utils.atomic_write import atomic_write

if TYPE_CHECKING:
    from pandas import DataFrame

STUDIES = "studies"
TABLES = ("table.csv", "table.parquet", "costs.csv")
LINES = 8  # of the representation of results


@dataclass(frozen=True, eq=False)
class Results:
    """The runs of a study that are done, or diverged, in the order of `Study.cells`.

    Attributes:
        study: the study as it was run, with the changes of the profile.
        profile: the name of the profile.
        entries: labels and cell of each run.
        found: the results of each run, from `mtrnn_envs.experiments.studies.cell.run_cell`.
        n_cells: the number of runs of the study.
    """

    study: Study
    profile: str
    entries: Sequence[Entry] = field(repr=False)
    found: Sequence[Mapping[str, Any]] = field(repr=False)
    n_cells: int

    def __repr__(self) -> str:
        done = f"{self.study.name}: {len(self.entries)} of {self.n_cells} runs; means over networks"
        table = self.means()
        if table.empty:
            return done
        more = [f"... {len(table) - LINES + 3} more settings"] if len(table) > LINES - 2 else []
        shown = table.head(LINES - 3) if more else table
        return "\n".join([done, shown.to_string(index=False, float_format="{:.3f}".format), *more])

    def _repr_html_(self) -> str:
        return self.means().to_html(index=False, float_format="{:.3f}".format)

    def means(self) -> DataFrame:
        """The means of the measures over the networks of each setting, diverged networks left out."""
        import pandas

        rows = pandas.DataFrame([row for row in self.rows() if row["status"] == "done"])
        if rows.empty:
            return rows
        measures = {c: title for title, c in (self.study.measures or {"accuracy": "accuracy"}).items() if c in rows}
        axes = list(dict.fromkeys(name for e in self.entries for name in e.labels if name != "seed")) or ["study"]
        groups = rows.groupby(axes, sort=False, dropna=False)
        table: Any = groups[list(measures)].mean()
        table = table.rename(columns=measures)
        table.insert(0, "networks", groups.size())
        return table.reset_index()

    def rows(self) -> list[dict[str, Any]]:
        """The table, one dictionary a row; None where a row lacks a column."""
        rows = [_row(self.study.name, entry.labels, each) for entry, each in zip(self.entries, self.found, strict=True)]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return [{name: row.get(name) for name in columns} for row in rows]

    def column(self, name: str) -> list[Any]:
        """One column of the table; None where a row lacks it."""
        return [row.get(name) for row in self.rows()]


def collect(study: Study, out: Path, profile: str = PAPER) -> Results:
    """The results of a study so far, in the folder `out`.

    Raises:
        ValueError: if a file there is not a cell.
    """
    entries = study.cells(profile)
    found = [cells.read(out, entry.cell.id) for entry in entries]
    pairs = [(entry, each) for entry, each in zip(entries, found, strict=True) if each is not None]
    return Results(study.at(profile), profile, [e for e, _ in pairs], [f for _, f in pairs], len(entries))


def load(out: Path, name: str) -> Results:
    """The results so far of the study called `name` that was run in the folder `out`.

    Raises:
        FileNotFoundError: if there is no such study.
        ValueError: if it was run by an older version.
    """
    about = json.loads((Path(out) / STUDIES / name / "study.json").read_text())
    return collect(Study.from_fields(about["study"]), Path(out), about["profile"])


def write_study(study: Study, out: Path, profile: str) -> bool:
    """Writes the study, so that `load` finds it; whether another study or profile of this name was there before.

    The tables of another study or profile are removed; its runs stay.
    """
    path, about = out / STUDIES / study.name / "study.json", {"profile": profile, "study": study.to_fields()}
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
    """Rows as CSV: None and missing values are empty, numbers have all their digits."""
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
    """A setting as one entry of a table."""
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _typed(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Columns for Parquet, each of one type: flags, integers or numbers; all else, and mixtures, as text."""
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
