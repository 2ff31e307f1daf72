"""Puts what is kept once, in examples/, into the site: figures of studies, the leaderboard, and its table.

And x* is x* there, and not the beginning of emphasis: the docstrings of the reference are full of it.
"""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from mkdocs.structure.files import File

from mtrnn_analysis.report import leaderboard

EXAMPLES = Path(__file__).parents[1] / "examples"
RESULTS, BENCHMARK = EXAMPLES / "results", EXAMPLES / "benchmark"
TABLE = "<!-- the leaderboard -->"  # where it goes in a page


class Star(InlineProcessor):
    """x*, as it stands."""

    def handleMatch(self, m: re.Match, data: str) -> tuple[str, int, int]:  # noqa: D102 (Markdown's)
        return "x*", m.start(0), m.end(0)


class Stars(Extension):
    """After code, before emphasis."""

    def extendMarkdown(self, md) -> None:  # noqa: D102
        md.inlinePatterns.register(Star(r"\bx\*", md), "star", 185)


def on_config(config):
    """Adds the reading of x* to that of pages and docstrings."""
    config.markdown_extensions.append(Stars())
    return config


def on_files(files, config):
    """Adds results/<study>/<figure> for each figure that was kept, and the leaderboard's page."""
    for path in sorted(RESULTS.rglob("*.png")):
        files.append(File.generated(config, f"results/{path.relative_to(RESULTS).as_posix()}", abs_src_path=str(path)))
    with TemporaryDirectory() as place:
        shutil.copytree(BENCHMARK, place, dirs_exist_ok=True)
        files.append(File.generated(config, leaderboard.NAME, content=leaderboard.write(Path(place)).read_text()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Puts the leaderboard's table where a page asks for it; figures are in the site where they are added above."""
    markdown = markdown.replace("../examples/results/", "results/")
    return markdown.replace(TABLE, leaderboard.text(BENCHMARK)) if TABLE in markdown else markdown
