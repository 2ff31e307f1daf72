"""Adds generated parts to the site: kept figures of studies, the leaderboard, and the reference of the probes.

It also keeps x* from being read as emphasis, in pages and in docstrings.
"""

import re
import shutil
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory

from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from mkdocs.structure.files import File

from mtrnn_analysis.report import leaderboard

EXAMPLES = Path(__file__).parents[1] / "examples"
RESULTS, BENCHMARK = EXAMPLES / "results", EXAMPLES / "benchmark"
TABLE = "<!-- the leaderboard -->"  # where the leaderboard goes in a page
PROBES = re.compile(r"<!-- probes: (\w+) -->")  # where the reference of the probes of a subject goes


class Star(InlineProcessor):
    """The inline pattern of x*."""

    def handleMatch(self, m: re.Match, data: str) -> tuple[str, int, int]:  # noqa: D102 (Markdown's)
        return "x*", m.start(0), m.end(0)


class Stars(Extension):
    """Registers the pattern after code and before emphasis."""

    def extendMarkdown(self, md) -> None:  # noqa: D102
        md.inlinePatterns.register(Star(r"\bx\*", md), "star", 185)


def on_config(config):
    """Adds the pattern to the Markdown of pages and docstrings."""
    config.markdown_extensions.append(Stars())
    return config


def on_files(files, config):
    """Adds results/<study>/<figure> for each kept figure, and the page of the leaderboard."""
    for path in sorted(RESULTS.rglob("*.png")):
        files.append(File.generated(config, f"results/{path.relative_to(RESULTS).as_posix()}", abs_src_path=str(path)))
    with TemporaryDirectory() as place:
        shutil.copytree(BENCHMARK, place, dirs_exist_ok=True)
        files.append(File.generated(config, leaderboard.NAME, content=leaderboard.write(Path(place)).read_text()))
    return files


def probes(subject):
    """The lines for mkdocstrings that document each probe of a subject, from the entry points.

    Where a probe has the name of its module, mkdocstrings does not find it in the package that exports it.
    """
    found = sorted(entry.value.partition(":")[::2] for entry in entry_points(group="mtrnn.probes"))
    names = [f"{m}.{name}" for m, name in found if m.startswith(f"mtrnn_analysis.{subject}") and m.endswith(f".{name}")]
    return "\n".join(f"::: {name}\n    options:\n      heading_level: 4\n" for name in names)


def on_page_markdown(markdown, page, config, files):
    """Fills in the leaderboard's table and the probes, and points kept figures to where `on_files` adds them."""
    markdown = PROBES.sub(lambda match: probes(match[1]), markdown.replace("../examples/results/", "results/"))
    return markdown.replace(TABLE, leaderboard.text(BENCHMARK)) if TABLE in markdown else markdown
