"""Pictures of one moment of a trial, drawn with Pillow, and a window that shows them, which needs pygame.

A picture is a pure function of a `Frame`. Colours are those of Okabe & Ito (2008), which colour-blind readers tell
apart. Axis letters: H, W rows and columns of a picture; K tasks, A answers, D latents, n samples of evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from gymnasium.error import DependencyNotInstalled
from jaxtyping import Float, Float32, Int, UInt8

from mtrnn_envs.ideal_observer.latent_posterior import marginal, running_statistic
from mtrnn_envs.ideal_observer.observer import flat_prior, prior_ratio
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Periods, Trials, timing

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float | int, float | int]

WHITE, PAPER, RULE, GREY, INK = (255, 255, 255), (240, 241, 243), (205, 208, 212), (95, 99, 105), (20, 20, 20)
BLUE, GREEN, ORANGE, PURPLE = (0, 114, 178), (0, 158, 115), (230, 159, 0), (204, 121, 167)
TRUTH, EVIDENCE, BELIEF, RIGHT, WRONG, LAMP = INK, ORANGE, BLUE, GREEN, (213, 94, 0), (255, 190, 30)
ANSWERS: dict[int, Colour] = {1: (240, 228, 66), -1: PURPLE, 0: (226, 228, 231)}
PERIOD_COLOURS = Periods(GREY, ORANGE, GREY, GREEN)

HEIGHT, WIDTH = 480, 640
FINE = 3  # shapes are drawn so many times as large and then reduced, which smooths their edges
SIDE = 300  # pixels of the square [-0.5, 0.5]^2 of latents
PLANE, APRON = 16, 62  # corner of the plane, and the width of what it shows around the square: evidence falls there too
SQUARE = PLANE + APRON
PANEL = 458  # first column of what stands to the right of the plane
CELLS = 104  # first row of the answers
LONGEST_TRAIL = 200  # samples shown
MOST_LINES = 250  # tasks beyond which boundaries would be a grey blur, and are left out
SHADE = 0.3  # strength of the shading on the +1 side of each boundary, which fades over `SHADED` pixels
SHADED = 7


def checked_render_mode(mode: str | None, allowed: list[str]) -> str | None:
    """`mode`, if it is None or one of `allowed`; else `ValueError`."""
    if mode is not None and mode not in allowed:
        raise ValueError(f"render_mode={mode!r} is not one of {[None, *allowed]}")
    return mode


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment of a trial, as a picture needs it.

    Attributes:
        task: the task.
        latents: x*, `[D]`.
        labels: the right answers to all tasks, `[K]`, +1 or -1.
        evidence: the samples shown so far, before the encoder, `[n, D]`; n may be 0.
        step: the step whose observation is shown, counted from 0; the length of the trial or more once it is over.
        periods: the lengths of the periods of this trial, in steps.
        answers: the answers so far, `[A]`, +1 or -1, 0 where there is none; None for no answers at all.
        context: the task that is asked, with `cueing="one"`, else None.
    """

    task: EvidenceTask
    latents: Float[np.ndarray, " D"]
    labels: Int[np.ndarray, " K"]
    evidence: Float[np.ndarray, "n D"]
    step: int
    periods: Periods
    answers: Int[np.ndarray, " A"] | None = None
    context: int | None = None

    @classmethod
    def of(cls, trials: Trials, row: int, t: int, answers: np.ndarray | None) -> Frame:
        """The trial in `row` of `trials` at step `t`, with its answers so far."""
        task, one = trials.task, trials[row : row + 1]
        periods = task.longest if one.lengths is None else Periods(*one.lengths[0].tolist())
        seen = min(max(t + 1 - periods.fixation, 0), periods.stimulus)
        context = None if one.context is None else int(one.context[0])
        return cls(task, one.latents[0], one.labels[0], one.evidence[0, :seen], t, periods, answers, context)


def draw(frame: Frame) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of a frame, 480 × 640, rows from the top.

    On the plane of the first two latents stand the boundaries, each shaded on its +1 side, the evidence (older is
    fainter; what falls outside the view is put on its rim), the path of its mean, and x*. Boundaries of more than
    `MOST_LINES` tasks are left out; with D > 2 they are those of the slice through the other latents of x*. With D = 1
    the second axis is time, downwards.

    The heat map is the density of the ideal observer's posterior, over its peak (see `mtrnn_envs.ideal_observer`). With
    noise behind the encoder, where that is not computed, there is none; with D > 2 and correlated latents or excluded
    orthants it is that of a flat prior.

    Raises:
        DependencyNotInstalled: if Pillow is missing.
    """
    pen = _Pen()
    end, many = SQUARE + SIDE, frame.task.n_dims > 1
    pen.box(PLANE, PLANE, SIDE + 2 * APRON, SIDE + 2 * APRON, PAPER)
    pen.box(SQUARE - 1, SQUARE - 1, SIDE + 2, SIDE + 2, RULE)
    pen.paste(SQUARE, SQUARE, _with_boundaries(frame, _heat(_belief(frame))))
    for at, name in ((SQUARE, "-0.5"), (SQUARE + SIDE // 2, "0"), (end, "0.5")):
        pen.text(at, end + 5, name, GREY, anchor="ma")
        if many:
            pen.text(SQUARE - 6, SQUARE + end - at, name, GREY, anchor="rm")
    pen.text(SQUARE + 3 * SIDE // 4, end + 5, "x1", GREY, anchor="ma")
    pen.text(SQUARE - 6, SQUARE + SIDE // 4, "x2" if many else "time", GREY, anchor="rm")
    if frame.task.n_dims > 2:
        pen.text(PLANE + 8, end + 40, f"slice through x* in D = {frame.task.n_dims}", GREY)
    _draw_evidence(pen, frame)
    _draw_time(pen, frame)
    _draw_answers(pen, frame)
    _draw_legend(pen)
    return pen.picture()


def pixel(x1: float, x2: float) -> Point:
    """Column and row, in pixels and fractions of them, at which the plane shows the latents (x1, x2)."""
    return SQUARE + SIDE * (x1 + 0.5), SQUARE + SIDE * (0.5 - x2)


class Window:
    """A window that shows pictures; needs pygame, which is imported with the first picture."""

    _screen: Any = None
    _clock: Any = None

    def show(self, picture: UInt8[np.ndarray, "H W 3"], fps: float | int) -> None:
        """Shows a picture, opening the window if need be, and waits so that at most `fps` are shown in a second.

        Raises:
            DependencyNotInstalled: if pygame is missing.
        """
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                'render_mode="human" needs pygame: `pip install "mtrnn-envs[human]"`'
            ) from error
        size = (picture.shape[1], picture.shape[0])
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption("mtrnn-envs")
            self._screen, self._clock = pygame.display.set_mode(size), pygame.time.Clock()
        self._screen.blit(pygame.image.frombuffer(picture.tobytes(), size, "RGB"), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(fps)

    def close(self) -> None:
        """Closes the window, if it is open; `show` opens it again."""
        if self._screen is not None:
            import pygame

            pygame.display.quit()
            self._screen = None


class _Pen:
    """A picture that is being drawn; all places and sizes are in its pixels."""

    def __init__(self) -> None:
        try:
            from PIL import Image, ImageDraw
        except ImportError as error:
            raise DependencyNotInstalled(
                'render_mode="rgb_array" needs Pillow: `pip install "mtrnn-envs[human]"`'
            ) from error
        self._image, self._of, self._words = Image, ImageDraw.Draw, []
        self._large = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), WHITE)
        self._shapes = ImageDraw.Draw(self._large, "RGBA")

    def paste(self, x: int, y: int, part: Float[np.ndarray, "H W 3"]) -> None:
        """Puts a part, with its upper left corner at column `x` and row `y`."""
        small = self._image.fromarray((part + 0.5).astype(np.uint8))
        size = (small.width * FINE, small.height * FINE)
        self._large.paste(small.resize(size, self._image.Resampling.NEAREST), (x * FINE, y * FINE))

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A rectangle."""
        if width > 0 and height > 0:
            left, top, right, bottom = (round(v * FINE) for v in (x, y, x + width, y + height))
            self._large.paste(colour, (left, top, right, bottom))

    def line(self, points: list[Point], width: float, colour: Colour, alpha: float = 1.0) -> None:
        """A line through points."""
        path, fill = [(x * FINE, y * FINE) for x, y in points], (*colour, round(255 * alpha))
        self._shapes.line(path, fill=fill, width=max(1, round(width * FINE)), joint="curve")

    def disc(self, at: Point, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """A disc with a white rim."""
        for r, fill in ((radius + 1.2, WHITE), (radius, colour)):
            box = [v * FINE for v in (at[0] - r, at[1] - r, at[0] + r, at[1] + r)]
            self._shapes.ellipse(box, fill=(*fill, round(255 * alpha)))

    def cross(self, at: Point, length: float, width: float, colour: Colour) -> None:
        """A plus sign."""
        self.box(at[0] - length / 2, at[1] - width / 2, length, width, colour)
        self.box(at[0] - width / 2, at[1] - length / 2, width, length, colour)

    def text(self, x: float, y: float, words: str, colour: Colour = INK, size: int = 13, anchor: str = "lm") -> None:
        """Words on a line; `anchor` is Pillow's: "lm" puts the middle of their left edge at (x, y)."""
        self._words.append(((x, y), words, colour, size, anchor))

    def picture(self) -> UInt8[np.ndarray, "H W 3"]:
        """What was drawn, words on top."""
        small = self._large.reduce(FINE)
        for at, words, colour, size, anchor in self._words:
            self._of(small).text(at, words, colour, _font(size), anchor)
        return np.array(small)


@lru_cache
def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _mark(pen: _Pen, at: Point) -> None:
    """The mark of x*."""
    pen.cross(at, 20, 5, WHITE)
    pen.cross(at, 17, 3, TRUTH)


def _heat(strength: Float[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W 3"]:
    """The colour of the posterior over white, at full strength where `strength` is 1."""
    white = np.array(WHITE, np.float32)
    return white + strength.astype(np.float32)[..., None] * (np.array(BELIEF, np.float32) - white)


def _belief(frame: Frame) -> Float[np.ndarray, "H W"]:
    """The strength of the heat map on the square: the density over its peak, fainter the flatter it is."""
    task, n, centres = frame.task, len(frame.evidence), (np.arange(SIDE) + 0.5) / SIDE - 0.5
    profiles = np.ones((2, SIDE))
    if n and not task.encoder_noise:
        statistic = running_statistic(task, frame.evidence[None])[0, -1]
        for d in range(min(2, task.n_dims)):
            log = marginal(task, d, statistic[d], n).log_density(centres)
            profiles[d] = np.exp(log - log.max())
    heat = np.outer(profiles[1, ::-1], profiles[0])
    if task.n_dims <= 2 and not flat_prior(task):
        plane = np.stack(np.broadcast_arrays(centres, centres[::-1, None]), axis=-1)
        heat *= prior_ratio(task, plane[..., : task.n_dims])
        heat /= max(heat.max(), 1e-300)
    return (0.75 - 0.65 * heat.mean()) * heat


def _tints(n_tasks: int) -> Float[np.ndarray, "K 3"]:
    """A soft colour for every task, in order from blue by green and orange to purple."""
    channels = zip(BLUE, GREEN, ORANGE, PURPLE, strict=True)
    return 45 + 0.7 * np.stack([np.interp(np.linspace(0, 3, n_tasks), range(4), c) for c in channels], axis=1)


@lru_cache(maxsize=32)
def _boundaries(
    task: EvidenceTask, others: tuple[float, ...], only: int | None, shade: float = SHADE
) -> tuple[np.ndarray, np.ndarray]:
    """The boundaries on the square as layers `keep` and `add`, `[H, W, 1]` and `[H, W, 3]`: below * keep + add.

    A pixel is as far from a boundary as its margin over the margin's steepest change to a neighbour; this holds for
    boundaries of any kind. With `only`, that task's boundary, bold, and both its sides in the colours of the answers.
    """
    keep, add = np.ones((SIDE, SIDE, 1), np.float32), np.zeros((SIDE, SIDE, 3), np.float32)
    n_rows = max(1, 2_000_000 // (SIDE * task.n_tasks))
    centres = (np.arange(-1, SIDE + 1, dtype=np.float32) + 0.5) / SIDE - 0.5
    tints, radius, strength, most = _tints(task.n_tasks), 0.45, 0.75, MOST_LINES
    if only is not None:
        tints, radius, strength, most, shade = np.array([INK], float), 1.1, 1.0, 10 * MOST_LINES, 0.0
    for top in range(0, SIDE if task.n_tasks <= most else 0, n_rows):
        rows = -centres[top : top + n_rows + 2]
        grid = np.empty((len(rows), SIDE + 2, task.n_dims), np.float32)
        grid[..., 0] = centres
        grid[..., 1:2] = rows[:, None, None]
        grid[..., 2:] = others
        margins = np.asarray(task.boundary.margins(grid.reshape(-1, task.n_dims)))
        margins = margins.reshape(*grid.shape[:2], task.n_tasks)
        margins = margins if only is None else margins[..., only : only + 1]
        down, across = np.abs(np.diff(margins[:, 1:-1], axis=0)), np.abs(np.diff(margins[1:-1], axis=1))
        slopes = np.hypot(np.maximum(down[1:], down[:-1]), np.maximum(across[:, 1:], across[:, :-1]))
        inner = margins[1:-1, 1:-1]
        far = np.full(inner.shape, np.inf, np.float32)
        distance = np.divide(np.abs(inner), slopes, out=far, where=slopes > 0)
        cover = strength * (radius + 0.5 - distance).clip(0, 1)
        cover = np.maximum(cover, shade * (inner > 0) * (1 - distance / SHADED).clip(0, 1))
        total = 1 - np.prod(1 - cover, axis=-1, keepdims=True)
        band = slice(top, top + n_rows)
        keep[band] = 1 - total
        add[band] = cover @ tints * (total / np.maximum(cover.sum(axis=-1, keepdims=True), 1e-6))
        if only is not None:
            add[band] += 0.22 * keep[band] * np.where(inner > 0, *np.array([ANSWERS[1], ANSWERS[-1]], np.float32))
            keep[band] *= 0.78
    return keep, add


def _with_boundaries(frame: Frame, below: Float32[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "H W 3"]:
    """The boundaries over `below`; with a cued task all are faint but its own."""
    others = tuple(frame.latents[2:].tolist())
    keep, add = _boundaries(frame.task, others, None)
    if frame.context is None:
        return below * keep + add
    below = 0.7 * below + 0.3 * (below * keep + add)
    keep, add = _boundaries(frame.task, others, frame.context)
    return below * keep + add


def _draw_evidence(pen: _Pen, frame: Frame) -> None:
    """Samples, the path of their mean, and x*."""
    n, task = len(frame.evidence), frame.task
    means = np.cumsum(frame.evidence, axis=0, dtype=np.float64) / np.arange(1, n + 1)[:, None]
    rim = 0.5 + (APRON - 6) / SIDE

    def places(values: np.ndarray, first: int) -> list[Point]:
        if task.n_dims == 1:
            times = (np.arange(first, first + len(values)) + 0.5) / task.longest.stimulus
            values = np.column_stack([values, 0.5 - times])
        return [pixel(x1, x2) for x1, x2 in values[:, :2].clip(-rim, rim).tolist()]

    first = max(0, n - LONGEST_TRAIL)
    dots, path = places(frame.evidence[first:], first), places(means[first:], first)
    for i, at in enumerate(dots):
        pen.disc(at, 3.5, EVIDENCE, max(0.25, 0.9 ** (len(dots) - 1 - i)))
    if n:
        pen.line(path, 1.5, BELIEF, 0.7)
        pen.disc(path[-1], 4.5, BELIEF)
    _mark(pen, places(frame.latents[None], max(0, n - 1))[0])


def _draw_time(pen: _Pen, frame: Frame) -> None:
    """The cue's lamp, the name of the period, and the bar of the trial with its periods."""
    ends = np.cumsum(frame.periods).tolist()
    n_steps, done = ends[-1], min(frame.step + 1, ends[-1])
    lit, over = frame.step < timing(frame.periods, frame.task.reaction_time).go, frame.step >= n_steps
    pen.disc((PANEL + 9, 26), 9, INK)
    pen.disc((PANEL + 9, 26), 6.5, LAMP if lit else GREY)
    pen.text(PANEL + 26, 26, "Cue on: wait" if lit else "Cue off: answer", size=15)
    now = "end" if over else Periods._fields[int(np.searchsorted(ends, frame.step, side="right"))]
    pen.text(PANEL, 54, f"{now.capitalize()}, step {done} of {n_steps}", size=15)
    length, start = SIDE + 2 * APRON, 0.0
    for end, colour in zip((length * end / n_steps for end in ends), PERIOD_COLOURS, strict=True):
        red, green, blue = (191 + c // 4 for c in colour)
        pen.box(PLANE + start, 454, end - start - 2, 12, (red, green, blue))
        pen.box(PLANE + start, 454, min(length * done / n_steps, end - 2) - start, 12, colour)
        start = end


def _draw_answers(pen: _Pen, frame: Frame) -> None:
    """One cell for every answer asked for, and the number of right ones."""
    labels = frame.labels if frame.context is None else frame.labels[frame.context :][:1]
    answers = np.zeros(len(labels), int) if frame.answers is None else frame.answers
    width, height = WIDTH - 16 - PANEL, 180
    size = next((s for s in range(48, 6, -1) if (width // s) * (height // s) >= len(labels)), 6)
    n_columns = width // size
    n_shown = min(len(labels), n_columns * (height // size))
    pen.text(PANEL, 86, "Answers" + (f", the first {n_shown}" if n_shown < len(labels) else ""), size=15)
    tints: list[Any] = [None] * len(labels)
    if frame.context is None and len(labels) <= MOST_LINES:
        tints = _tints(frame.task.n_tasks).round().astype(int).tolist()
    right = (answers == labels).tolist()
    for k, answer in enumerate(answers[:n_shown].tolist()):
        row, column = divmod(k, n_columns)
        _cell(pen, PANEL + size * column, CELLS + size * row, size, answer, right[k] if answer else None, tints[k])
    if answers.any():
        pen.text(PANEL, 298, f"{sum(right)} of {np.count_nonzero(answers)} right", size=15)


def _cell(
    pen: _Pen, x: float, y: float, size: int, answer: int, right: bool | None, tint: list[int] | None = None
) -> None:
    """An answer: its colour and sign, a frame (a notch if it is wrong), and above it the colour of its boundary."""
    bar, rim = (2 + size // 12 if tint is not None and size >= 10 else 0), 1 + size // 12
    if tint is not None and bar:
        pen.box(x, y, size - 2, bar, (tint[0], tint[1], tint[2]))
    top, width, height = y + bar + (bar > 0), size - 2, size - 2 - bar - (bar > 0)
    pen.box(x, top, width, height, RULE if right is None else RIGHT if right else WRONG)
    pen.box(x + rim, top + rim, width - 2 * rim, height - 2 * rim, ANSWERS[answer])
    if right is False:
        pen.box(x + width - size / 4, top, size / 4, size / 4, WRONG)
    if answer and size >= 12:
        centre, length = (x + width / 2, top + height / 2), size / 3.5
        pen.box(centre[0] - length / 2, centre[1] - length / 8, length, length / 4, INK)
        if answer > 0:
            pen.box(centre[0] - length / 8, centre[1] - length / 2, length / 4, length, INK)


def _draw_legend(pen: _Pen) -> None:
    """The meaning of marks and colours."""
    x, top = PANEL + 8, 324
    pen.disc((x, top), 3.5, EVIDENCE)
    pen.line([(x - 8, top + 21), (x, top + 21)], 1.5, BELIEF, 0.7)
    pen.disc((x, top + 21), 4.5, BELIEF)
    spot = np.exp(-0.5 * (np.arange(-9, 9) / 4) ** 2)
    pen.paste(x - 9, top + 33, _heat(0.7 * np.outer(spot, spot)))
    _mark(pen, (x, top + 63))
    shades = np.linspace(SHADE, 0, SHADED)[:, None, None] * (np.array(BLUE, float) - 255) + 255
    pen.paste(x - 9, top + 84, np.tile(shades, (1, 18, 1)))
    pen.line([(x - 9, top + 84), (x + 9, top + 84)], 1, BLUE, 0.8)
    for i, words in enumerate(("evidence", "its mean", "posterior", "true x*", "+1 side of boundary")):
        pen.text(x + 18, top + 21 * i, words, GREY)
    cells: tuple[tuple[int, bool | None, str], ...]
    cells = ((1, None, "+1"), (-1, None, "-1"), (1, True, "right"), (1, False, "wrong"))
    for i, (answer, right, words) in enumerate(cells):
        across, down = 76 * (i % 2), top + 107 + 22 * (i // 2)
        _cell(pen, PANEL + across, down - 9, 20, answer, right)
        pen.text(x + across + 20, down, words, GREY)
