"""Puts the figures of examples/results, which are kept once, among the files of the site: results/<study>/<figure>."""

from pathlib import Path

from mkdocs.structure.files import File

KEPT = Path(__file__).parents[1] / "examples" / "results"


def on_files(files, config):
    """Adds each figure that was kept."""
    for path in sorted(KEPT.rglob("*.png")):
        files.append(File.generated(config, f"results/{path.relative_to(KEPT).as_posix()}", abs_src_path=str(path)))
    return files
