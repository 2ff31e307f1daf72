"""Pages from the templates of this package."""

from __future__ import annotations

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
except ImportError as error:
    raise ImportError('pages need jinja2: pip install "mtrnn-envs[analysis]"') from error


def templates() -> Environment:
    """The templates; values are escaped, and a missing value is an error."""
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("mtrnn_analysis.report", ""),
    )
