"""Figures as parts of a page that loads nothing: the same figure gives the same bytes."""

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

# Dots an inch of PNG figures: two for each CSS pixel, of which there are 96 an inch.
DPI = 192
# Up to so many characters a figure is kept as SVG, which is sharp at any size.
MOST = 100_000
# Without these matplotlib writes the date, its version, and random ids.
PLAIN_SVG = {"Date": None, "Creator": None, "Format": None, "Type": None}
FIXED: Any = {**STYLE, "svg.hashsalt": "mtrnn", "svg.fonttype": "path"}
# Characters of the address of a picture that are not escaped, besides letters and digits; none of them is markup within
# double quotes.
AS_IS = " !$'()*+,-./:;=?@[]_{}|~"


class Still(NamedTuple):
    """A picture: a data address, and its size in CSS pixels."""

    source: Markup
    width: int
    height: int


class Turning(NamedTuple):
    """The input of plotly: `data` and `layout`, and the height in CSS pixels that is kept free for it."""

    data: Any
    layout: Any
    height: int


def still(figure: Figure) -> Still:
    """A matplotlib figure as SVG, or as PNG of 256 colours where the SVG would be large and the PNG is smaller.

    Letters are paths, so that fonts do not matter. The SVG is an image, not a part of the page, so that its ids do not
    clash.
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
    """The data address of an SVG, without comments."""
    text = re.sub("<!--.*?-->", "", svg, flags=re.DOTALL).replace('"', "'")
    return "data:image/svg+xml," + quote(" ".join(text.split()), safe=AS_IS)


def _dots(figure: Figure) -> str:
    """The data address of a PNG."""
    from PIL import Image

    whole, small = io.BytesIO(), io.BytesIO()
    figure.savefig(whole, format="png", dpi=DPI, facecolor="white")
    Image.open(whole).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()


def turning(figure: Any) -> Turning:
    """A plotly figure, as wide as the page allows."""
    parts = json.loads(figure.to_json())
    layout = parts.get("layout", {})
    layout.pop("width", None)
    height = int(layout.pop("height", None) or 480)
    layout.setdefault("margin", {"l": 8, "r": 8, "t": 32, "b": 8})
    layout.setdefault("legend", {"orientation": "h", "y": 0, "yanchor": "top"})
    return Turning(parts["data"], layout, height)


def plotly_js() -> str:
    """The JavaScript of plotly, from the installed package.

    Raises:
        ImportError: without plotly.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError('figures to be turned need plotly: pip install "mtrnn-envs[analysis]"') from error
    return get_plotlyjs()
