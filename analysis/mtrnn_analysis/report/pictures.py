"""Figures as parts of a page that fetches nothing: the same figure gives the same bytes."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any, NamedTuple
from urllib.parse import quote

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from mtrnn_analysis.figures.style import STYLE

# Dots an inch of what is drawn as dots: two for each CSS pixel, of which there are 96 an inch.
DPI = 192
# Up to so many characters a picture is kept as lines, which are sharp however large they are shown.
MOST = 100_000
# Without these matplotlib writes the date, its version, and ids that are drawn by chance.
PLAIN_SVG = {"Date": None, "Creator": None, "Format": None, "Type": None}
FIXED: Any = {**STYLE, "svg.hashsalt": "mtrnn", "svg.fonttype": "path"}
# What stands as it is in the address of a picture, besides letters and digits; all else takes three characters. None of
# it is markup within double quotes.
AS_IS = " !$'()*+,-./:;=?@[]_{}|~"


class Still(NamedTuple):
    """A picture: the address that holds it, and its size in CSS pixels."""

    source: Markup
    width: int
    height: int


class Turning(NamedTuple):
    """What plotly draws from: `data` and `layout`, and the height in CSS pixels that is kept free for it."""

    data: Any
    layout: Any
    height: int


def still(figure: Figure) -> Still:
    """A matplotlib figure as lines (SVG), or as dots (PNG of 256 colours) where lines would be many and dots are fewer.

    Letters are paths, so that they are those of the figure wherever it is read. It is an image of its own, not a part
    of the page, so that its ids clash with none.
    """
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    with mpl.rc_context(FIXED):
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata=PLAIN_SVG, facecolor="white")
        source = _lines(drawn.getvalue())
        if len(source) > MOST:
            source = min(source, _dots(figure), key=len)
    return Still(Markup(source), width, height)


def _lines(svg: str) -> str:
    """The address that holds an SVG, but for its comments."""
    text = re.sub("<!--.*?-->", "", svg, flags=re.DOTALL).replace('"', "'")
    return "data:image/svg+xml," + quote(" ".join(text.split()), safe=AS_IS)


def _dots(figure: Figure) -> str:
    """The address that holds a PNG."""
    from PIL import Image

    whole, small = io.BytesIO(), io.BytesIO()
    figure.savefig(whole, format="png", dpi=DPI, facecolor="white")
    Image.open(whole).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()


def turning(figure: Any) -> Turning:
    """A plotly figure, as wide as the page lets it be."""
    parts = json.loads(figure.to_json())
    layout = parts.get("layout", {})
    layout.pop("width", None)
    height = int(layout.pop("height", None) or 480)
    layout.setdefault("margin", {"l": 8, "r": 8, "t": 32, "b": 8})
    layout.setdefault("legend", {"orientation": "h", "y": 0, "yanchor": "top"})
    return Turning(parts["data"], layout, height)


def plotly_js() -> str:
    """The program that draws what plotly made: from the package, as it is installed.

    Raises:
        ImportError: without plotly.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError('figures to be turned need plotly: pip install "mtrnn-envs[analysis]"') from error
    return get_plotlyjs()
