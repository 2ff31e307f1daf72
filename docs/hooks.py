"""Puts what is kept once, in examples/, into the site: figures of studies, the leaderboard, and its table."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from mkdocs.structure.files import File

from mtrnn_analysis.report import leaderboard

EXAMPLES = Path(__file__).parents[1] / "examples"
RESULTS, BENCHMARK = EXAMPLES / "results", EXAMPLES / "benchmark"
TABLE = "<!-- the leaderboard -->"  # where it goes in a page


def on_files(files, config):
    """Adds results/<study>/<figure> for each figure that was kept, and the leaderboard's page."""
    for path in sorted(RESULTS.rglob("*.png")):
        files.append(File.generated(config, f"results/{path.relative_to(RESULTS).as_posix()}", abs_src_path=str(path)))
    with TemporaryDirectory() as place:
        shutil.copytree(BENCHMARK, place, dirs_exist_ok=True)
        files.append(File.generated(config, leaderboard.NAME, content=leaderboard.write(Path(place)).read_text()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Puts the leaderboard's table where a page asks for it."""
    return markdown.replace(TABLE, leaderboard.text(BENCHMARK)) if TABLE in markdown else markdown
