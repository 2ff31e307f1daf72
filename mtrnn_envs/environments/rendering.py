"""Pictures of one moment of a trial, drawn with Pillow, and a window that shows them, which needs pygame.

Colours are those of Okabe & Ito (2008), which colour-blind readers tell apart. Axis letters: H, W rows and columns of a
picture; K tasks, A answers, D latents, n samples of evidence.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from gymnasium.error import DependencyNotInstalled
from jaxtyping import Float, Int, UInt8

from mtrnn_envs.ideal_observer.one_latent import marginal, running_statistic
from mtrnn_envs.ideal_observer.posterior import flat_prior, prior_ratio
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Periods, Trials

Colour: TypeAlias = tuple[int, ...]
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
LONGEST_TRAIL = 200  # samples shown
MOST_LINES = 250  # tasks beyond which boundaries would be a grey blur, and are left out
SHADE, SHADED = 0.3, 7  # strength, and width in pixels, of the shading on the +1 side of each boundary


def checked_render_mode(mode: str | None, allowed: list[str]) -> str | None:
    """`mode`, if it is None or one of `allowed`; else `ValueError`."""
    if mode is not None and mode not in allowed:
        raise ValueError(f"render_mode={mode!r} is not one of {[None, *allowed]}")
    return mode


def draw(trial: Trials, step: int, answers: Int[np.ndarray, " A"] | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of a moment of a trial, 480 × 640, rows from the top.

    On the plane of the first two latents stand the boundaries, each shaded on its +1 side, the evidence (older is
    fainter; what falls outside the view is put on its rim), the path of its mean, and x*. Boundaries of more than
    `MOST_LINES` tasks are left out; with D > 2 they are those of the slice through the other latents of x*. With D = 1
    the second axis is time, downwards.

    The heat map is the density of the ideal observer's posterior, over its peak (see `mtrnn_envs.ideal_observer`). With
    noise behind the encoder, where that is not computed, there is none; with D > 2 and correlated latents or excluded
    orthants it is that of a flat prior.

    Arguments:
        step: the step whose observation is shown, counted from 0; the length of the trial or more once it is over.
        answers: the answers so far, +1 or -1, 0 where there is none; None for no answers at all.

    Raises:
        DependencyNotInstalled: if Pillow is missing.
    """
    pen, task, end = _Pen(), trial.task, SQUARE + SIDE
    seen = np.clip(step + 1 - np.ravel(trial.timing.stimulus_on)[0], 0, np.ravel(trial.n_samples)[0])
    evidence = trial.evidence[0, :seen]
    pen.box(PLANE, PLANE, SIDE + 2 * APRON, SIDE + 2 * APRON, PAPER)
    pen.box(SQUARE - 1, SQUARE - 1, SIDE + 2, SIDE + 2, RULE)
    cued = None if trial.context is None else int(trial.context[0])
    keep, add = _boundaries(task, tuple(trial.latents[0, 2:].tolist()), cued)
    pen.paste(SQUARE, SQUARE, _tinted(_belief(task, evidence)) * keep + add)
    for at, name in ((SQUARE, "-0.5"), (SQUARE + SIDE // 2, "0"), (SQUARE + 3 * SIDE // 4, "x1"), (end, "0.5")):
        pen.text(at, end + 5, name, GREY, anchor="ma")
        if task.n_dims > 1:
            pen.text(SQUARE - 6, SQUARE + end - at, name.replace("x1", "x2"), GREY, anchor="rm")
    if task.n_dims != 2:
        note = "second axis: time, downwards" if task.n_dims == 1 else f"slice through x* in D = {task.n_dims}"
        pen.text(PLANE + 8, end + 48, note, GREY)
    _draw_evidence(pen, trial, evidence)
    _draw_time(pen, trial, step)
    _draw_answers(pen, trial, answers)
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
            needed = 'render_mode="human" needs pygame: `pip install "mtrnn-envs[human]"`'
            raise DependencyNotInstalled(needed) from error
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
            from PIL import Image, ImageDraw, ImageFont
        except ImportError as error:
            needed = 'render_mode="rgb_array" needs Pillow: `pip install "mtrnn-envs[human]"`'
            raise DependencyNotInstalled(needed) from error
        self._image, self._on, self._words = Image, ImageDraw.Draw, []
        self._font = lru_cache(ImageFont.load_default)
        self._large = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), WHITE)
        self._shapes = self._on(self._large, "RGBA")

    def paste(self, x: int, y: int, part: Float[np.ndarray, "H W 3"]) -> None:
        """Puts a part, with its upper left corner at column `x` and row `y`."""
        large = np.repeat(np.repeat((part + 0.5).astype(np.uint8), FINE, axis=0), FINE, axis=1)
        self._large.paste(self._image.fromarray(large), (x * FINE, y * FINE))

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A rectangle."""
        left, top, right, bottom = (round(v * FINE) for v in (x, y, x + width, y + height))
        self._large.paste(colour, (left, top, max(left, right), max(top, bottom)))

    def line(self, points: list[Point], width: float, colour: Colour, alpha: float = 1.0) -> None:
        """A line through points."""
        path, fill = [(x * FINE, y * FINE) for x, y in points], (*colour, round(255 * alpha))
        self._shapes.line(path, fill=fill, width=round(width * FINE), joint="curve")

    def disc(self, at: Point, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """A disc with a white rim."""
        for r, fill in ((radius + 1.2, WHITE), (radius, colour)):
            box = [v * FINE for v in (at[0] - r, at[1] - r, at[0] + r, at[1] + r)]
            self._shapes.ellipse(box, fill=(*fill, round(255 * alpha)))

    def sign(self, at: Point, length: float, width: float, colour: Colour, positive: bool = True) -> None:
        """A plus or a minus sign."""
        self.box(at[0] - length / 2, at[1] - width / 2, length, width, colour)
        if positive:
            self.box(at[0] - width / 2, at[1] - length / 2, width, length, colour)

    def truth(self, at: Point) -> None:
        """The mark of x*."""
        self.sign(at, 20, 5, WHITE)
        self.sign(at, 17, 3, TRUTH)

    def text(self, x: float, y: float, words: str, colour: Colour = INK, size: int = 13, anchor: str = "lm") -> None:
        """Words on a line; `anchor` is Pillow's: "lm" puts the middle of their left edge at (x, y)."""
        self._words.append(((x, y), words, colour, size, anchor))

    def picture(self) -> UInt8[np.ndarray, "H W 3"]:
        """The shapes, with the words on top of them."""
        small = self._large.reduce(FINE)
        for at, words, colour, size, anchor in self._words:
            self._on(small).text(at, words, colour, self._font(size), anchor)
        return np.array(small)


def _tinted(strength: Float[np.ndarray, "H W"], colour: Colour = BELIEF) -> Float[np.ndarray, "H W 3"]:
    """`colour` over white, at full strength where `strength` is 1."""
    return 255 + strength[..., None] * (np.array(colour) - 255.0)


def _belief(task: EvidenceTask, evidence: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "H W"]:
    """The strength of the heat map on the square: the density over its peak, fainter the flatter it is."""
    n, centres, profiles = len(evidence), (np.arange(SIDE) + 0.5) / SIDE - 0.5, np.ones((2, SIDE))
    if n and not task.encoder_noise:
        statistic = running_statistic(task, evidence[None])[0, -1]
        for d in range(min(2, task.n_dims)):
            log = marginal(task, d, statistic[d], n).log_density(centres)
            profiles[d] = np.exp(log - log.max())
    heat = np.outer(profiles[1, ::-1], profiles[0])
    if task.n_dims <= 2 and not flat_prior(task):
        plane = np.stack(np.broadcast_arrays(centres, centres[::-1, None]), axis=-1)
        heat *= prior_ratio(task, plane[..., : task.n_dims])
        heat /= max(heat.max(), 1e-300)
    return (0.75 - 0.65 * heat.mean()) * heat


def _tints(n_tasks: int) -> Int[np.ndarray, "K 3"]:
    """A soft colour for every task, in order from blue by green and orange to purple."""
    channels = zip(BLUE, GREEN, ORANGE, PURPLE, strict=True)
    tints = np.stack([np.interp(np.linspace(0, 3, n_tasks), range(4), c) for c in channels], axis=1)
    return (45 + 0.7 * tints).astype(int)


@lru_cache(maxsize=32)
def _boundaries(
    task: EvidenceTask, others: tuple[float, ...], cued: int | None, shade: float = SHADE
) -> tuple[np.ndarray, np.ndarray]:
    """The boundaries on the square as layers `keep` and `add`, `[H, W, 1]` and `[H, W, 3]`: below * keep + add.

    A pixel is as far from a boundary as its margin over the margin's steepest change to a neighbour; this holds for
    boundaries of any kind. With a `cued` task all are faint but its own, which is bold.
    """
    keep, add = np.ones((SIDE, SIDE, 1), np.float32), np.zeros((SIDE, SIDE, 3), np.float32)
    tints, radius, strength = _tints(task.n_tasks), np.full(task.n_tasks, 0.45), np.full(task.n_tasks, 0.75)
    if cued is not None:
        strength *= 0.3
        tints[cued], radius[cued], strength[cued] = INK, 1.1, 1
    centres = (np.arange(-1, SIDE + 1, dtype=np.float32) + 0.5) / SIDE - 0.5
    n_rows = max(1, 2_000_000 // (SIDE * task.n_tasks))
    for top in range(0, SIDE if task.n_tasks <= MOST_LINES else 0, n_rows):
        rows = -centres[top : top + n_rows + 2]
        grid = np.empty((len(rows), SIDE + 2, task.n_dims), np.float32)
        grid[..., 0] = centres
        grid[..., 1:2] = rows[:, None, None]
        grid[..., 2:] = others
        margins = np.asarray(task.boundary.margins(grid.reshape(-1, task.n_dims))).reshape(*grid.shape[:2], -1)
        down, across = np.abs(np.diff(margins[:, 1:-1], axis=0)), np.abs(np.diff(margins[1:-1], axis=1))
        slopes = np.hypot(np.maximum(down[1:], down[:-1]), np.maximum(across[:, 1:], across[:, :-1]))
        inner = margins[1:-1, 1:-1]
        distance = np.divide(np.abs(inner), slopes, out=np.full(inner.shape, np.inf), where=slopes > 0)
        side = shade / 0.75 * (inner > 0) * (1 - distance / SHADED).clip(0, 1)
        cover = strength * np.maximum((radius + 0.5 - distance).clip(0, 1), side)
        total = 1 - np.prod(1 - cover, axis=-1, keepdims=True)
        band = slice(top, top + n_rows)
        keep[band] = 1 - total
        add[band] = cover @ tints * (total / np.maximum(cover.sum(axis=-1, keepdims=True), 1e-6))
    return keep, add


def _draw_evidence(pen: _Pen, trial: Trials, evidence: Float[np.ndarray, "n D"]) -> None:
    """Samples, the path of their mean, and x*."""
    times = np.arange(len(evidence))[:, None]
    means = np.cumsum(evidence, axis=0, dtype=np.float64) / (times + 1)
    rim, truth = 0.5 + (APRON - 6) / SIDE, trial.latents
    if trial.task.n_dims == 1:
        down = 0.5 - (times + 0.5) / trial.task.longest.stimulus
        evidence, means = np.hstack([evidence, down]), np.hstack([means, down])
        truth = np.hstack([truth, down[-1:] if len(down) else [[0.5]]])
    dots, path, (mark,) = (
        [pixel(x1, x2) for x1, x2 in values[-LONGEST_TRAIL:, :2].clip(-rim, rim).tolist()]
        for values in (evidence, means, truth)
    )
    for i, at in enumerate(dots):
        pen.disc(at, 3.5, EVIDENCE, max(0.25, 0.9 ** (len(dots) - 1 - i)))
    if path:
        pen.line(path, 1.5, BELIEF, 0.7)
        pen.disc(path[-1], 4.5, BELIEF)
    pen.truth(mark)


def _draw_time(pen: _Pen, trial: Trials, step: int) -> None:
    """The cue's lamp, the name of the period, and the bar of the trial with its periods."""
    ends = np.cumsum(trial.task.longest if trial.lengths is None else trial.lengths[0]).tolist()
    n_steps, done, lit = ends[-1], min(step + 1, ends[-1]), step < np.ravel(trial.timing.go)[0]
    pen.disc((PANEL + 9, 26), 9, INK)
    pen.disc((PANEL + 9, 26), 6.5, LAMP if lit else GREY)
    pen.text(PANEL + 26, 26, "Cue on: wait" if lit else "Cue off: answer", size=15)
    name = "end" if step >= n_steps else Periods._fields[int(np.searchsorted(ends, step, side="right"))]
    pen.text(PANEL, 54, f"{name.capitalize()}, step {done} of {n_steps}", size=15)
    length, start = SIDE + 2 * APRON, 0.0
    for end, colour in zip((length * end / n_steps for end in ends), PERIOD_COLOURS, strict=True):
        pen.box(PLANE + start, 454, end - start - 2, 12, tuple(191 + c // 4 for c in colour))
        pen.box(PLANE + start, 454, min(length * done / n_steps, end - 2) - start, 12, colour)
        start = end


def _draw_answers(pen: _Pen, trial: Trials, answers: Int[np.ndarray, " A"] | None) -> None:
    """One cell for every answer asked for, and the number of right ones."""
    labels, width, height = trial.asked[0], WIDTH - 16 - PANEL, 180
    answers = np.zeros(len(labels), np.int8) if answers is None else answers
    size = next((s for s in range(48, 6, -1) if (width // s) * (height // s) >= len(labels)), 6)
    n_columns = width // size
    n_shown = min(len(labels), n_columns * (height // size))
    pen.text(PANEL, 86, "Answers" + (f", the first {n_shown}" if n_shown < len(labels) else ""), size=15)
    right, tints = (answers == labels).tolist(), _tints(len(labels)).tolist()
    for k, answer in enumerate(answers[:n_shown].tolist()):
        row, column = divmod(k, n_columns)
        tint = tuple(tints[k]) if 1 < len(labels) <= MOST_LINES else None
        _cell(pen, PANEL + size * column, 104 + size * row, size, answer, right[k] if answer else None, tint)
    if answers.any():
        pen.text(PANEL, 298, f"{sum(right)} of {np.count_nonzero(answers)} right", size=15)


def _cell(
    pen: _Pen, x: float, y: float, size: int, answer: int, right: bool | None, tint: Colour | None = None
) -> None:
    """An answer: its colour and sign, a frame (a notch if it is wrong), and above it the colour of its boundary."""
    bar, rim = (3 + size // 12 if tint and size >= 10 else 0), 1 + size // 12
    if tint and bar:
        pen.box(x, y, size - 2, bar - 1, tint)
    top, width, height, frame = y + bar, size - 2, size - 2 - bar, RULE if right is None else RIGHT if right else WRONG
    pen.box(x, top, width, height, frame)
    pen.box(x + rim, top + rim, width - 2 * rim, height - 2 * rim, ANSWERS[answer])
    if right is False:
        pen.box(x + width - size / 4, top, size / 4, size / 4, WRONG)
    if answer and size >= 12:
        pen.sign((x + width / 2, top + height / 2), size / 3.5, size / 14, INK, answer > 0)


def _draw_legend(pen: _Pen) -> None:
    """The meaning of marks and colours."""
    x, top = PANEL + 8, 324
    pen.disc((x, top), 3.5, EVIDENCE)
    pen.line([(x - 8, top + 21), (x, top + 21)], 1.5, BELIEF, 0.7)
    pen.disc((x, top + 21), 4.5, BELIEF)
    spot = np.exp(-0.5 * (np.arange(-9, 9) / 4) ** 2)
    pen.paste(x - 9, top + 33, _tinted(0.7 * np.outer(spot, spot)))
    pen.truth((x, top + 63))
    pen.paste(x - 9, top + 84, _tinted(np.tile([[0.75], *np.linspace(SHADE, 0, SHADED)[:, None]], 18)))
    for i, words in enumerate(("evidence", "its mean", "posterior", "true x*", "+1 side of boundary")):
        pen.text(x + 18, top + 21 * i, words, GREY)
    for i, (answer, right, words) in enumerate(
        ((1, None, "+1"), (-1, None, "-1"), (1, True, "right"), (1, False, "wrong"))
    ):
        across, down = PANEL + 76 * (i % 2), top + 107 + 22 * (i // 2)
        _cell(pen, across, down - 9, 20, answer, right)
        pen.text(across + 28, down, words, GREY)
