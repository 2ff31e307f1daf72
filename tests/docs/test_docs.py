"""The site is built, its links lead somewhere, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.needed import needed
from helpers.pages import COMMANDS, PAGES, ROOT

from mtrnn_envs import plugins
from mtrnn_envs.experiments.cli.main import COMMANDS as KNOWN

SHOWN = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    mkdocs = needed("mkdocs.commands.build")
    config = needed("mkdocs.config").load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True)
    mkdocs.build(config)
    for page in SHOWN:
        text = (tmp_path / page.replace("index.md", "").removesuffix(".md") / "index.html").read_text()
        assert 'role="main"' in text
        assert not re.search(r"8 ?&lt;|8 ?<--", text), f"{page} shows a snippet that was not put in"
        assert not re.search(r"\bx<em>|<em>\s", text), f"x* is emphasis in {page}"
    assert "class MeanAndRidge" in re.sub("<[^>]*>", "", (tmp_path / "tutorials" / "agent" / "index.html").read_text())
    assert (tmp_path / "results" / "fig1f" / "curve-1.png").stat().st_size > 10_000
    assert "<td>gru</td>" in (tmp_path / "concepts" / "benchmark" / "index.html").read_text()
    assert "Radar of the scores of gru" in (tmp_path / "leaderboard.html").read_text()
    reference = re.sub("<[^>]*>", "", (tmp_path / "reference" / "analysis" / "index.html").read_text())
    functions = [plugins.probe(name).__name__ for name in plugins.names("probe")]
    assert [name for name in functions if f"{name}(" not in reference] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    assert sorted(re.findall(r": (\S+\.md)", navigation)) == sorted(SHOWN)


def test_lines_that_include_a_file_are_intact() -> None:
    """The formatter turns `--8<-- "file"` into `--8 < --"file"`, which the site shows as it stands."""
    assert [page for page, text in PAGES.items() if re.search(r"8 +< *-|8<--(?! \")", text)] == []
    assert sum(text.count('--8<-- "') for text in PAGES.values()) >= 6


def test_every_command_exists() -> None:
    assert {words[0] for words in COMMANDS} <= set(KNOWN)
    assert len(COMMANDS) > 10
