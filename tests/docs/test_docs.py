"""The site is built, its links lead somewhere, and every snippet in its pages runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from mtrnn_envs.experiments.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
SHOWN = {page.relative_to(ROOT / "docs").as_posix(): page.read_text() for page in PAGES}


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    mkdocs = pytest.importorskip("mkdocs.commands.build")
    config = pytest.importorskip("mkdocs.config").load_config(
        str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True
    )
    mkdocs.build(config)
    for page in SHOWN:
        place = tmp_path / page.replace("index.md", "").removesuffix(".md") / "index.html"
        assert 'role="main"' in place.read_text()
        assert not re.search(r"8 ?&lt;|8 ?<--", place.read_text()), f"{page} shows a snippet that was not put in"
    assert "class MeanAndRidge" in re.sub("<[^>]*>", "", (tmp_path / "tutorials" / "agent" / "index.html").read_text())
    assert (tmp_path / "results" / "fig1f" / "curve-1.png").stat().st_size > 10_000
    assert not [p for p in tmp_path.rglob("index.html") if re.search(r"\bx<em>|<em>\s", p.read_text())], (
        "x* is emphasis"
    )
    assert "<td>gru</td>" in (tmp_path / "benchmark" / "index.html").read_text()
    assert "Radar of the scores of gru" in (tmp_path / "leaderboard.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, text in SHOWN.items() if "```python\n" in text])
def test_every_snippet_runs_in_order(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "examples")])
    scope: dict[str, object] = {"__name__": "docs"}
    for snippet in re.findall(r"```python\n(.*?)```", SHOWN[page], flags=re.DOTALL):
        exec(compile(snippet, page, "exec"), scope)


def test_every_command_and_every_file_that_is_named_is_there() -> None:
    text = "\n".join(SHOWN.values())
    commands = re.findall(r"^mtrnn (\S+)", text, flags=re.MULTILINE)
    assert set(commands) <= set(COMMANDS)
    assert len(commands) > 10
    for path in re.findall(r"examples/[\w./-]+\w", text):
        assert (ROOT / path).exists(), path
