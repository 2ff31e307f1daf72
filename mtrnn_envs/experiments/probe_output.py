"""Results of probes as numbers in a table, and as files: a table, JSON, and the figure of each probe."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtrnn_envs import plugins
from mtrnn_envs.probing import fields_in, flat_fields, numbers
from mtrnn_envs.recording import Recording
from mtrnn_envs.utils.atomic_write import atomic_write

LONGEST = 512  # numbers of a curve


def curves(result: object) -> dict[str, list[float]]:
    """The fields of a result that are arrays of at most `LONGEST` real numbers, by name; without nulls."""
    return {
        name: value.astype(float).tolist()
        for name, value in flat_fields(result).items()
        if isinstance(value, np.ndarray) and value.ndim == 1 and len(value) <= LONGEST and value.dtype.kind in "biuf"
        if "null" not in name.split(".")
    }


def words(result: object) -> dict[str, str]:
    """The fields of a result that are texts, such as a verdict, or the method of an upper bound."""
    return {name: value for name, value in fields_in(result).items() if isinstance(value, str) and value}


def table(results: Mapping[str, Any]) -> str:
    """The headlines of results as aligned text, one row a probe, followed by the verdicts of those that have one."""
    rows = [["probe", "value", "null", "p", "n"]]
    for name, result in results.items():
        n = numbers(result)
        null = f"{_short(n['null_mean'], 3)} ± {_short(n['null_sd'], 3)}" if "null_mean" in n else ""
        rows.append([name, _short(n["value"], 4), null, "" if np.isnan(n["p"]) else f"{n['p']:.3f}", f"{n['n']:.0f}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    verdicts = [f"{name}: {text['verdict']}" for name, r in results.items() if "verdict" in (text := words(r))]
    return "\n".join(["  ".join(cells).rstrip() for cells in aligned] + verdicts)


def _short(number: float, digits: int) -> str:
    return f"{number:.{digits}f}" if abs(number) < 1e4 else f"{number:.1e}"


def write(results: Mapping[str, Any], recording: Recording, folder: Path, say: Callable[[str], None]) -> None:
    """Writes the results of probes on `recording` to `folder`, each file atomically.

    probes.csv has one number a row: probe, name, number. probes.json adds texts, null distributions, settings, and the
    metadata of the recording. Earlier results of other probes on the same recording are kept. The figure of a probe
    (entry-point group `mtrnn.figures`) is written to <probe>.png and <probe>.pdf, or to <probe>.html if it is one of
    plotly's; of a mapping of figures each to <probe>-<key>. If a figure fails, `say` is called with the reason, and all
    else is written.
    """
    about = plain(recording.metadata)
    probes = _earlier(folder / "probes.json", about)
    for name, r in results.items():
        probes[name] = plain({"numbers": numbers(r), "words": words(r), "null": r.null, "settings": r.settings})
    probes = {name: probes[name] for name in sorted(probes)}
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["probe", "name", "number"])
    for name, probe in probes.items():
        lines.writerows([name, key, "nan" if v is None else v] for key, v in probe["numbers"].items())
    whole = json.dumps({"recording": about, "probes": probes}, allow_nan=False)
    for name, content in (("probes.csv", text.getvalue()), ("probes.json", whole)):
        with atomic_write(folder / name) as temporary:
            temporary.write_text(content)
    drawn = plugins.names("figure")
    for name in filter(drawn.__contains__, results):
        try:
            figures = plugins.figure(name)(results[name])
            for key, figure in figures.items() if isinstance(figures, Mapping) else [("", figures)]:
                _draw(figure, folder / (f"{name}-{key}" if key else name))
        except Exception as error:
            say(f"{name}: no figure: {type(error).__name__}: {error}")


def _earlier(path: Path, about: object) -> dict[str, Any]:
    """The results in a file, if it is of the same recording; otherwise, or if it is not a file of ours, none."""
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
    """`value` as JSON, which has neither NaN (null instead), infinity ("inf"), arrays nor paths."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
