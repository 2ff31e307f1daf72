"""What probes found, as numbers in a table, and as files: a table, JSON, and the figure that goes with each probe."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.recording import Recording
from mtrnn_envs.utils.atomic_write import atomic_write

# What every finding has; `mtrnn_envs.testing.check_probe` says what each is.
PARTS = ("value", "null", "p", "n", "settings")
HEADLINES = ("value", "null_mean", "null_sd", "p", "n")
LONGEST = 512


def numbers(finding: Any) -> dict[str, float]:
    """The numbers of a finding by name, as columns of a table: those of `HEADLINES`, and all other fields that are
    numbers; of mappings and dataclasses in it each number, as "field.key". Settings are left out.
    """
    null = np.asarray(finding.null, float)
    first = {"value": float(finding.value), "p": float(finding.p), "n": float(finding.n)}
    if len(null):
        finite = bool(np.isfinite(null).all())
        first |= {"null_mean": float(null.mean()), "null_sd": float(null.std()) if finite else float("nan")}
    rest = {name: value for name, value in _items(finding).items() if name not in (*HEADLINES, "null")}
    return {name: first[name] for name in HEADLINES if name in first} | _numbers(rest)


def _items(value: Any) -> dict[str, Any]:
    """The parts of a mapping by name, or of a dataclass but for its settings; nothing of anything else."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    named = is_dataclass(value) and not isinstance(value, type)
    return {f.name: getattr(value, f.name) for f in fields(value) if f.name != "settings"} if named else {}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, bool | int | float | np.bool_ | np.number):
            found[name] = float(value)
        else:
            found |= {f"{name}.{key}": number for key, number in _numbers(_items(value)).items()}
    return found


def curves(finding: Any) -> dict[str, list[float]]:
    """The fields of a finding that are rows of `LONGEST` real numbers or fewer, by name; of mappings and dataclasses in
    it each, as "field.key". Nulls are left out.
    """
    return _curves(_items(finding))


def _curves(values: Mapping[str, Any]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name, value in values.items():
        if name == "null":
            continue
        if isinstance(value, np.ndarray) and value.ndim == 1 and len(value) <= LONGEST and value.dtype.kind in "biuf":
            found[name] = value.astype(float).tolist()
        else:
            found |= {f"{name}.{key}": row for key, row in _curves(_items(value)).items()}
    return found


def words(finding: Any) -> dict[str, str]:
    """What a finding says in words, such as a verdict, or how a ceiling was got: its fields that are strings."""
    return {name: value for name, value in _items(finding).items() if isinstance(value, str) and value}


def table(found: Mapping[str, Any]) -> str:
    """The headlines of findings as aligned text, one row a probe; below, the verdicts of those that have one."""
    rows = [["probe", "value", "null", "p", "n"]]
    for name, finding in found.items():
        n = numbers(finding)
        null = f"{_short(n['null_mean'], 3)} ± {_short(n['null_sd'], 3)}" if "null_mean" in n else ""
        rows.append([name, _short(n["value"], 4), null, "" if np.isnan(n["p"]) else f"{n['p']:.3f}", f"{n['n']:.0f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    aligned = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    verdicts = [f"{name}: {said['verdict']}" for name, f in found.items() if "verdict" in (said := words(f))]
    return "\n".join(["  ".join(cells).rstrip() for cells in aligned] + verdicts)


def _short(number: float, digits: int) -> str:
    return f"{number:.{digits}f}" if abs(number) < 1e4 else f"{number:.1e}"


def write(found: Mapping[str, Any], recording: Recording, folder: Path, say: Callable[[str], None]) -> None:
    """Writes what probes found in `recording` to `folder`, each file whole or not at all.

    probes.csv has one number a row: probe, name, number. probes.json has the same, with what is said in words, the null
    distributions, the settings, and the metadata of the recording. What is there of other probes on the same recording
    stays. The figure of a probe, if there is one (entry-point group `mtrnn.figures`), goes to <probe>.png and
    <probe>.pdf, or <probe>.html if it is one of plotly's; of a mapping of figures each goes to <probe>-<key>. A figure
    that cannot be drawn takes nothing else with it; `say` is told why.
    """
    about = plain(recording.metadata)
    whole = _kept(folder / "probes.json", about) | {
        name: plain(
            {"numbers": numbers(f), "words": words(f), "null": f.null, "settings": f.settings},
        )
        for name, f in found.items()
    }
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["probe", "name", "number"])
    for name in sorted(whole):
        lines.writerows([name, key, "nan" if v is None else v] for key, v in whole[name]["numbers"].items())
    contents = {"recording": about, "probes": {name: whole[name] for name in sorted(whole)}}
    for name, content in (
        ("probes.csv", text.getvalue()),
        ("probes.json", json.dumps(contents, allow_nan=False)),
    ):
        with atomic_write(folder / name) as temporary:
            temporary.write_text(content)
    drawn = set(plugins.names("figure"))
    for name, finding in found.items():
        if name not in drawn:
            continue
        try:
            figures = plugins.figure(name)(finding)
            for key, figure in figures.items() if isinstance(figures, Mapping) else [("", figures)]:
                _draw(figure, folder / (f"{name}-{key}" if key else name))
        except Exception as error:
            say(f"{name}: no figure: {type(error).__name__}: {error}")


def _kept(path: Path, about: Any) -> dict[str, Any]:
    """What was found before in the same recording; nothing if the file is of another, or none of ours."""
    try:
        before = json.loads(path.read_text())
        return before["probes"] if before["recording"] == about else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _draw(figure: Any, path: Path) -> None:
    if hasattr(figure, "write_html"):
        with atomic_write(path.with_suffix(".html")) as temporary:
            figure.write_html(temporary)
        return
    for suffix, more in ((".png", {}), (".pdf", {"metadata": {"CreationDate": None}})):
        with atomic_write(path.with_suffix(suffix)) as temporary:
            figure.savefig(temporary, format=suffix[1:], dpi=200, **more)


def plain(value: Any) -> Any:
    """`value` in the words of JSON, which has none for NaN (null stands for it), infinity ("inf"), arrays and paths."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
