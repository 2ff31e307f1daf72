"""Pictures of one moment of a trial, drawn with numpy alone; a window for them needs pygame.

The picture is a pure function of a `Frame`: it draws no random number and keeps nothing but a cache of what does not
change within a trial.

Axis letters: H, W rows and columns of a picture; K tasks, A answers, D latents, n samples of evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from gymnasium.error import DependencyNotInstalled
from jaxtyping import Float, Float32, Int, UInt8

from mtrnn_envs.environments.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PAPER,
    PURPLE,
    RULE,
    VERMILLION,
    WHITE,
    YELLOW,
    Colour,
    Point,
    blend,
    stroke,
    text,
)
from mtrnn_envs.ideal_observer.latent_posterior import marginal, running_statistic
from mtrnn_envs.ideal_observer.observer import flat_prior, prior_ratio
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Periods

HEIGHT, WIDTH = 480, 640
SIDE = 300  # pixels of the square [-0.5, 0.5]^2 of latents
PLANE, APRON = 16, 62  # corner of the plane, and the width of what it shows around the square: evidence falls there too
SQUARE = PLANE + APRON
PANEL = 462  # first column of what stands to the right of the plane
LONGEST_TRAIL = 200  # samples shown
MOST_LINES = 250  # tasks beyond which boundaries would be a grey blur, and are left out

TRUTH, EVIDENCE, BELIEF, RIGHT, WRONG, LAMP = INK, ORANGE, BLUE, GREEN, VERMILLION, (255, 190, 30)
ANSWERS: dict[int, Colour] = {1: YELLOW, -1: PURPLE, 0: (226, 228, 231)}
PERIOD_COLOURS = Periods(GREY, ORANGE, GREY, GREEN)


@dataclass(frozen=True, eq=False)
class Frame:
    """What a picture of one moment of a trial needs.

    Attributes:
        task: the task.
        latents: x*, `[D]`.
        labels: the right answers to all tasks, `[K]`, +1 or -1.
        evidence: the samples shown so far, before the encoder, `[n, D]`; n may be 0.
        cue: the fixation cue, 1 or 0.
        step: the step whose observation is shown, counted from 0; `n_steps` or more once the trial is over.
        n_steps: the number of steps of the trial.
        answers: the answers so far, `[A]`, +1 or -1, 0 where there is none; None for no answers at all.
        context: the task that is asked, with `cueing="one"`, else None.
        periods: the periods of this trial in steps, where the task draws them; else they are the task's.
    """

    task: EvidenceTask
    latents: Float[np.ndarray, " D"]
    labels: Int[np.ndarray, " K"]
    evidence: Float[np.ndarray, "n D"]
    cue: SupportsFloat
    step: SupportsIndex
    n_steps: SupportsIndex
    answers: Int[np.ndarray, " A"] | None = None
    context: SupportsIndex | None = None
    periods: Periods | None = None


def draw(frame: Frame) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of a frame, 480 × 640, rows from the top.

    On the plane of the first two latents stand the boundaries, the evidence (older is fainter; what falls outside the
    view is put on its rim), the path of its mean, and x*. Boundaries of more than `MOST_LINES` tasks are left out; with
    D > 2 they are those of the slice through the other latents of x*. With D = 1 the second axis is time, downwards.

    The heat map is the density of the ideal observer's posterior, over its peak (see `mtrnn_envs.ideal_observer`). With
    noise behind the encoder, where that is not computed, there is none; with D > 2 and correlated latents or excluded
    orthants it is that of a flat prior.
    """
    picture = _canvas(frame.task).copy()
    square = picture[SQUARE : SQUARE + SIDE, SQUARE : SQUARE + SIDE]
    square[...] = _with_boundaries(frame, blend(np.asarray(WHITE, np.float32), _belief(frame), BELIEF)) + 0.5
    _draw_evidence(picture, frame)
    _draw_time(picture, frame)
    _draw_answers(picture, frame)
    return picture


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


def _cross(picture: np.ndarray, at: Point) -> None:
    """The mark of x*."""
    x, y = at
    for radius, colour in ((2.6, WHITE), (1.4, TRUTH)):
        stroke(picture, (x - 8, y), (x + 8, y), radius, colour)
        stroke(picture, (x, y - 8), (x, y + 8), radius, colour)


def _dot(picture: np.ndarray, at: Point, radius: float | int, colour: Colour, alpha: float = 1.0) -> None:
    """A disc with a white rim."""
    stroke(picture, at, at, radius + 1.2, WHITE, alpha)
    stroke(picture, at, at, radius, colour, alpha)


@lru_cache(maxsize=16)
def _canvas(task: EvidenceTask) -> UInt8[np.ndarray, "H W 3"]:
    """What is the same in all pictures of a task: the plane's ground, words and the legend."""
    picture = np.full((HEIGHT, WIDTH, 3), WHITE, np.uint8)
    end = SQUARE + SIDE
    picture[PLANE : end + APRON, PLANE : end + APRON] = PAPER
    picture[SQUARE - 1 : end + 1, SQUARE - 1 : end + 1] = RULE
    for at, name in ((SQUARE, "-0.5"), (SQUARE + SIDE // 2, "0"), (end, "0.5")):
        text(picture, at - 4 * len(name), end + 6, name, GREY, 2.0)
        if task.n_dims > 1:
            text(picture, SQUARE - 9 - 7 * len(name), 2 * SQUARE + SIDE - at - 5, name, GREY, 2.0)
    text(picture, end - 3, end + 24, "X1", GREY)
    text(picture, *((SQUARE - 21, SQUARE - 24, "X2") if task.n_dims > 1 else (PLANE + 8, SQUARE, "TIME")), GREY)
    if task.n_dims > 2:
        text(picture, PLANE + 8, end + 38, f"SLICE THROUGH X* IN D={task.n_dims}", GREY, 2.0)
    text(picture, PANEL, 88, "ANSWERS")
    x, top = PANEL + 8, 354
    for i, words in enumerate(("EVIDENCE", "ITS MEAN", "POSTERIOR", "TRUTH X*")):
        text(picture, x + 18, top + 21 * i - 7, words, GREY)
    _dot(picture, (x, top), 3.5, EVIDENCE)
    _dot(picture, (x, top + 21), 4.5, BELIEF)
    spot = np.exp(-0.5 * (np.arange(-9, 9) / 4) ** 2)
    part = picture[top + 33 : top + 51, x - 9 : x + 9]
    part[...] = blend(part, 0.7 * np.outer(spot, spot), BELIEF)
    _cross(picture, (x, top + 63))
    cells = ((1, None, "+1"), (-1, None, "-1"), (1, True, "RIGHT"), (1, False, "WRONG"))
    for i, (answer, right, words) in enumerate(cells):
        across, down = 80 * (i % 2), 84 + 22 * (i // 2)
        _cell(picture, PANEL + across, top + down - 8, 18, answer, right)
        text(picture, x + across + 18, top + down - 7, words, GREY)
    return picture


def _belief(frame: Frame) -> Float32[np.ndarray, "H W"]:
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
    return (np.float32(0.75 - 0.65 * heat.mean()) * heat).astype(np.float32)


def _tints(n_tasks: int) -> Float[np.ndarray, "K 3"]:
    """A soft colour for every task, in order from blue by green and orange to purple."""
    channels = zip(BLUE, GREEN, ORANGE, PURPLE, strict=True)
    return 45 + 0.7 * np.stack([np.interp(np.linspace(0, 3, n_tasks), range(4), c) for c in channels], axis=1)


@lru_cache(maxsize=32)
def _boundaries(task: EvidenceTask, others: tuple[float, ...], only: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The boundaries on the square as layers `keep` and `add`, `[H, W, 1]` and `[H, W, 3]`: below * keep + add.

    A pixel is as far from a boundary as its margin over the margin's steepest change to a neighbour; this holds for
    boundaries of any kind. With `only`, that task's boundary, bold, and both its sides in the colours of the answers.
    """
    keep, add = np.ones((SIDE, SIDE, 1), np.float32), np.zeros((SIDE, SIDE, 3), np.float32)
    n_rows = max(1, 2_000_000 // (SIDE * task.n_tasks))
    centres = (np.arange(-1, SIDE + 1, dtype=np.float32) + 0.5) / SIDE - 0.5
    tints, radius, strength, most = _tints(task.n_tasks), 0.45, 0.75, MOST_LINES
    if only is not None:
        tints, radius, strength, most = np.array([INK], float), 1.1, 1.0, 10 * MOST_LINES
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
        cover = strength * (radius + 0.5 - np.divide(np.abs(inner), slopes, out=far, where=slopes > 0)).clip(0, 1)
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
    keep, add = _boundaries(frame.task, others, int(frame.context))
    return below * keep + add


def _draw_evidence(picture: np.ndarray, frame: Frame) -> None:
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
        _dot(picture, at, 3.5, EVIDENCE, max(0.25, 0.9 ** (len(dots) - 1 - i)))
    for start, end in pairwise(path):
        stroke(picture, start, end, 0.8, BELIEF, 0.7)
    if n:
        _dot(picture, path[-1], 4.5, BELIEF)
    _cross(picture, places(frame.latents[None], max(0, n - 1))[0])


def _draw_time(picture: np.ndarray, frame: Frame) -> None:
    """The cue's lamp, the name of the period, and the bar of the trial with its periods."""
    lit, n_steps, step = float(frame.cue) > 0, int(frame.n_steps), int(frame.step)
    stroke(picture, (PANEL + 9, 30), (PANEL + 9, 30), 9, INK)
    stroke(picture, (PANEL + 9, 30), (PANEL + 9, 30), 7.5, LAMP if lit else GREY)
    text(picture, PANEL + 26, 23, "CUE ON: WAIT" if lit else "CUE OFF: ANSWER")
    periods = frame.periods or frame.task.periods
    ends = np.cumsum([n_steps] if periods is None else list(periods))
    names = ["STEP"] if periods is None else [name.upper() for name in Periods._fields]
    now = int(np.searchsorted(ends, step, side="right"))
    over = step >= n_steps or now >= len(names)
    text(picture, PANEL, 54, f"{'END' if over else names[now]} {min(step + 1, n_steps)}/{n_steps}")
    length = SIDE + 2 * APRON
    start, elapsed = 0, round(length * min(step + 1, n_steps) / n_steps)
    for end, colour in zip(ends, (GREY,) if periods is None else PERIOD_COLOURS, strict=True):
        end = round(length * min(int(end), n_steps) / n_steps)
        bar = picture[454:466, PLANE + start : PLANE + max(start, end - 2)]
        bar[...] = 191 + np.array(colour) // 4
        bar[:, : max(0, elapsed - start)] = colour
        start = end


def _draw_answers(picture: np.ndarray, frame: Frame) -> None:
    """One cell for every answer asked for, and the number of right ones."""
    labels = frame.labels if frame.context is None else frame.labels[int(frame.context) :][:1]
    answers = np.zeros(len(labels), int) if frame.answers is None else frame.answers
    width, height, top = WIDTH - 16 - PANEL, 196, 108
    size = next((s for s in range(48, 6, -1) if (width // s) * (height // s) >= len(labels)), 6)
    n_columns = width // size
    n_shown = min(len(labels), n_columns * (height // size))
    tints = _tints(frame.task.n_tasks) if frame.context is None and len(labels) <= MOST_LINES else None
    right = (answers == labels).tolist()
    for k, answer in enumerate(answers[:n_shown].tolist()):
        row, column = divmod(k, n_columns)
        x, y = PANEL + size * column, top + size * row
        _cell(picture, x, y, size, answer, right[k] if answer else None, None if tints is None else tints[k])
    if answers.any():
        text(picture, PANEL, 312, f"RIGHT {sum(right)}/{np.count_nonzero(answers)}")
    if n_shown < len(labels):
        text(picture, PANEL + 72, 88, f"FIRST {n_shown}")


def _cell(picture: np.ndarray, x: int, y: int, size: int, answer: int, right: bool | None, tint: Any = None) -> None:
    """An answer: its colour and sign, a frame that says whether it is right, a notch where it is wrong."""
    cell = picture[y : y + size - 2, x : x + size - 2]
    frame = 1 + size // 12
    cell[...] = RULE if right is None else RIGHT if right else WRONG
    cell[frame:-frame, frame:-frame] = ANSWERS[answer]
    if tint is not None and size >= 14:
        cell[-frame - 3 : -frame, frame:-frame] = tint
    if right is False:
        notch = size // 3
        cell[:notch, -notch:][np.tri(notch, dtype=bool).T] = WRONG
    if answer and size >= 16:
        unit = size / 10
        text(
            picture,
            int(x + size / 2 - 3 - unit),
            int(y + size / 2 - 3 - 2 * unit),
            "+" if answer > 0 else "-",
            INK,
            unit,
        )
