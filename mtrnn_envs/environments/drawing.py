"""A small rasteriser in numpy: smooth lines, discs and words onto pictures `[H, W, 3]`.

Colours are those of Okabe & Ito (2008), which colour-blind readers tell apart.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

Colour = tuple[int, int, int]
Point = tuple[float | int, float | int]

WHITE, PAPER, RULE, GREY, INK = (255, 255, 255), (240, 241, 243), (205, 208, 212), (120, 124, 130), (20, 20, 20)
BLUE, GREEN, ORANGE, PURPLE = (0, 114, 178), (0, 158, 115), (230, 159, 0), (204, 121, 167)
YELLOW, VERMILLION = (240, 228, 66), (213, 94, 0)

# Letters, each followed by its strokes through a grid of 3 × 5 points: rows a b c / d e f / g h i / j k l / m n o.
FONT = """0bdjnlfb 1dbn,mo 2dbfmo 3aceilnj 4ocjl 5caghlnm 6jhlnjdb 7acn 8bdhfb,hjnlh 9fhdbfln Amdbfo,jl Babfhlnma,gh
Cfbdjnl Dabflnma Ecamo,gh Fcam,gh Gfbdjnlih Ham,co,gi Ibn Jclnj Kam,cgo Lamo Mmahco Nmaoc Obdjnlfb Pmabfhg Qbdjnlfb,ko
Rmabfhg,ho Scbdhlnm Tac,bn Uajnlc Vanc Wamhoc Xao,cm Yahc,hn Zacmo +gi,ek -gi /mc :e,k .n *gi,dl,fj =df,jl"""
STROKES = {glyph[0]: glyph[1:].split(",") for glyph in FONT.split()}


def blend(below: Any, cover: Float[np.ndarray, "H W"], colour: Any) -> Float32[np.ndarray, "H W 3"]:
    """`colour` over `below`, opaque where `cover` is 1."""
    return below + cover.astype(np.float32)[..., None] * (np.asarray(colour, np.float32) - below)


def stroke(
    picture: np.ndarray, start: Point, end: Point, radius: float | int, colour: Colour, alpha: float = 1.0
) -> None:
    """A smooth line of half-width `radius` with round ends, onto `picture`; a disc where `start` is `end`."""
    (x0, y0), (x1, y1) = start, end
    left, right = max(int(min(x0, x1) - radius - 1), 0), max(int(max(x0, x1) + radius + 2), 0)
    top, bottom = max(int(min(y0, y1) - radius - 1), 0), max(int(max(y0, y1) + radius + 2), 0)
    part = picture[top:bottom, left:right]
    x = np.arange(left, left + part.shape[1]) + 0.5 - x0
    y = np.arange(top, top + part.shape[0])[:, None] + 0.5 - y0
    dx, dy = x1 - x0, y1 - y0
    if start != end:
        along = ((x * dx + y * dy) / (dx * dx + dy * dy)).clip(0, 1)
        x, y = x - along * dx, y - along * dy
    part[...] = blend(part, alpha * (radius + 0.5 - np.hypot(x, y)).clip(0, 1), colour) + 0.5


@lru_cache(maxsize=1_000)
def word(text: str, unit: float) -> UInt8[np.ndarray, "H W"]:
    """How much of each pixel the strokes of `text` cover, 0 to 255; letters are 4 `unit` high."""
    cover = np.zeros((int(4 * unit) + 5, int(3.4 * unit * len(text)) + 4, 3), np.uint8)
    for i, letter in enumerate(text):
        for path in STROKES.get(letter, ()):
            at = [divmod(ord(c) - ord("a"), 3) for c in path]
            points = [(2 + unit * (3.4 * i + column), 2 + unit * row) for row, column in at]
            for start, end in pairwise(points if len(points) > 1 else points * 2):
                stroke(cover, start, end, 0.28 * unit, WHITE)
    return cover[..., 0]


def text(picture: np.ndarray, x: int, y: int, text: str, colour: Colour = INK, unit: float = 2.4) -> None:
    """Writes `text` with its upper left corner at column `x` and row `y`."""
    cover = word(text, unit) / np.float32(255)
    part = picture[y : y + cover.shape[0], x : x + cover.shape[1]]
    part[...] = blend(part, cover[: part.shape[0], : part.shape[1]], colour) + 0.5
