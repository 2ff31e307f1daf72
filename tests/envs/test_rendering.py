"""Pictures of trials: marks stand where they should, and each part follows what it shows."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from scipy.stats import truncnorm

from mtrnn_envs.environments import rendering
from mtrnn_envs.environments.rendering import Window, draw, pixel
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Trials, sample

TASKS = {
    "default": EvidenceTask(),
    "two tasks": EvidenceTask(n_tasks=2),
    "one latent": EvidenceTask(n_dims=1, n_tasks=3, boundaries="affine"),
    "three latents": EvidenceTask(n_dims=3),
    "product": EvidenceTask(boundaries="product"),
    "quadric": EvidenceTask(boundaries="quadric", n_tasks=6),
    "cued": EvidenceTask(cueing="one", n_tasks=6),
    "reaction time": EvidenceTask(payoff="quadratic", delay=0, decision=0),
    "drawn periods": EvidenceTask(stimulus=(5, 20), sigma=(0.1, 0.3)),
    "more tasks than fit": EvidenceTask(n_tasks=1_500, boundaries="random"),
}


def trial(task: EvidenceTask, seed: int = 0) -> Trials:
    return sample(task, 1, np.random.default_rng(seed))


def picture(task: EvidenceTask, n: int = 5, seed: int = 0, right: bool | None = None) -> np.ndarray:
    """A moment of a trial after `n` samples; with `right`, all answers are given, all right or all wrong."""
    one = trial(task, seed)
    return draw(one, n, None if right is None else one.asked[0] * np.int8(1 if right else -1))


def count(picture: np.ndarray, colour: tuple[int, ...]) -> int:
    return int((picture == colour).all(axis=-1).sum())


def around(mask: np.ndarray) -> np.ndarray:
    """Pixels of `mask` and their neighbours."""
    wide, (height, width) = np.pad(mask, 1), mask.shape
    return np.any([wide[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)


def square(picture: np.ndarray) -> np.ndarray:
    inside = slice(rendering.SQUARE, rendering.SQUARE + rendering.SIDE)
    return picture[inside, inside].astype(int)


def margins(task: EvidenceTask) -> np.ndarray:
    """Those at the centres of the pixels of the square, for two latents."""
    x = (np.arange(rendering.SIDE) + 0.5) / rendering.SIDE - 0.5
    return task.boundary.margins(np.stack(np.meshgrid(x, -x), axis=-1).reshape(-1, 2)).reshape(len(x), len(x), -1)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_every_task_gives_a_picture_of_one_size_that_is_a_function_of_the_trial(task, n):
    one, answers = trial(task), None
    if n == 5:
        answers = one.asked[0]
    kept = one.evidence.copy()
    first = draw(one, n, answers)
    assert first.shape == (480, 640, 3)
    assert first.dtype == np.uint8
    copy = first.copy()
    first[...] = 0  # a caller may write on a picture without changing the next
    np.testing.assert_array_equal(draw(one, n, answers), copy)
    np.testing.assert_array_equal(one.evidence, kept)


@pytest.mark.parametrize("name", ["default", "three latents", "product", "cued"])
@pytest.mark.parametrize("seed", range(5))
def test_the_mark_of_the_truth_stands_at_x_star(name, seed):
    column, row = pixel(*trial(TASKS[name], seed).latents[0, :2].tolist())
    assert tuple(picture(TASKS[name], 0, seed)[int(row), int(column)]) == rendering.TRUTH


def test_pixel_puts_the_corners_of_the_latents_at_the_corners_of_the_square():
    first, last = rendering.SQUARE, rendering.SQUARE + rendering.SIDE
    assert pixel(-0.5, 0.5) == (first, first)
    assert pixel(0.5, -0.5) == (last, last)


@pytest.mark.parametrize("boundaries", ["linear", "affine", "product", "quadric"])
@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_boundaries_are_drawn_where_margins_change_sign_and_nowhere_else(boundaries, n_dims):
    task = EvidenceTask(n_tasks=8, n_dims=n_dims, boundaries=boundaries)
    others = tuple([0.31] * max(0, n_dims - 2))
    keep, _ = rendering._boundaries(task, others, None, shade=0.0)
    drawn = keep[..., 0] < 1
    # Margins at the corners of the pixels, from the latents themselves: an independent statement of where zeros lie.
    edges = np.arange(rendering.SIDE + 1) / rendering.SIDE - 0.5
    x1, x2 = np.meshgrid(edges, -edges)
    corners = np.stack([x1, x2, *(np.full_like(x1, v) for v in others)], axis=-1)[..., :n_dims]
    positive = task.boundary.margins(corners.reshape(-1, n_dims)).reshape(*x1.shape, -1) > 0
    four = np.stack([positive[:-1, :-1], positive[1:, :-1], positive[:-1, 1:], positive[1:, 1:]])
    crossed = np.any(four.any(axis=0) & ~four.all(axis=0), axis=-1)
    assert drawn.any()
    assert (around(np.asarray(crossed)) | ~drawn).mean() > 0.9999
    # A pixel of which a boundary cuts only a corner may stay blank; a pixel whose neighbours too are blank may not.
    assert around(drawn)[crossed].mean() > 0.995


@pytest.mark.parametrize("boundaries", ["linear", "product", "quadric"])
def test_the_side_of_plus_one_is_shaded(boundaries):
    for k in range(3):
        task = EvidenceTask(n_tasks=4, boundaries=boundaries, cueing="one")
        plain, shaded = (rendering._boundaries(task, (), k, shade=shade)[0][..., 0] for shade in (0.0, 0.3))
        more, positive = plain - shaded > 0.2, margins(task)[..., k] > 0  # those of other tasks are fainter
        assert more.sum() > 300
        assert positive[more].all()


def step_function(latents):
    return np.where(latents[:, :1] > 0.1, 1.0, -1.0)


def test_a_margin_that_jumps_is_drawn_too():
    task = EvidenceTask(n_tasks=1, boundaries=f"{__name__}:step_function")
    keep, _ = rendering._boundaries(task, (), None)
    columns = np.flatnonzero((keep[..., 0] < 1).all(axis=0))
    assert set(columns) == {179, 180}


@pytest.mark.parametrize("seed", range(4))
def test_the_heat_map_is_the_truncated_normal_and_sharpens_with_evidence(seed):
    task = EvidenceTask(sigma=(0.1, 0.2))
    spread, all_evidence = [], trial(task, seed).evidence[0]
    for n in (0, 1, 4, 20):
        heat = rendering._belief(task, all_evidence[:n])
        weight = heat / heat.sum()
        x = (np.arange(rendering.SIDE) + 0.5) / rendering.SIDE - 0.5
        mean = np.array([weight.sum(axis=0) @ x, weight.sum(axis=1) @ -x])
        sd = np.sqrt([weight.sum(axis=0) @ (x - mean[0]) ** 2, weight.sum(axis=1) @ (-x - mean[1]) ** 2])
        spread.append(sd)
        if n:
            m, s = all_evidence[:n].mean(axis=0, dtype=float), np.array(task.sigmas) / np.sqrt(n)
            exact = truncnorm((-0.5 - m) / s, (0.5 - m) / s, m, s)
            np.testing.assert_allclose(mean, exact.mean(), atol=1e-3)
            np.testing.assert_allclose(sd, exact.std(), atol=1e-3)
    assert (np.diff([s.prod() for s in spread]) < 0).all()
    np.testing.assert_allclose(spread[0], np.sqrt(1 / 12), rtol=1e-4)


def test_more_evidence_leaves_less_of_the_square_blue():
    blue = [np.mean(square(picture(EvidenceTask(n_tasks=1), n))[..., 0] < 250) for n in (0, 1, 20)]
    assert blue[0] > blue[1] > blue[2] > 0


@pytest.mark.parametrize("name", ["default", "cued", "more tasks than fit"])
def test_right_and_wrong_answers_differ_in_the_colour_of_their_frames(name):
    none, right, wrong = (picture(TASKS[name], right=v) for v in (None, True, False))
    assert count(right, rendering.RIGHT) > count(none, rendering.RIGHT)
    assert count(right, rendering.WRONG) == count(none, rendering.WRONG)
    assert count(wrong, rendering.WRONG) > count(none, rendering.WRONG)
    assert count(wrong, rendering.RIGHT) == count(none, rendering.RIGHT)


def test_one_answer_changes_one_cell():
    one, answers = trial(TASKS["default"]), np.zeros(24, np.int8)
    empty = draw(one, 5, answers)
    answers[7] = 1
    rows, columns = np.nonzero((draw(one, 5, answers) != empty).any(axis=-1))
    cells = rows < 284  # below is the number of right answers
    assert np.ptp(rows[cells]) < 32
    assert np.ptp(columns[cells]) < 32


def test_the_colour_of_a_boundary_stays_in_sight_when_its_task_is_answered():
    none, right = picture(TASKS["two tasks"]), picture(TASKS["two tasks"], right=True)
    for tint in rendering._tints(2):
        assert count(none[100:300, rendering.PANEL :], tint) == count(right[100:300, rendering.PANEL :], tint) > 100


def test_the_cued_boundary_alone_is_bold():
    task = TASKS["cued"]
    one = trial(task)
    pictures = [square(draw(replace(one, context=np.array([k])), 0)) for k in range(task.n_tasks)]
    assert len({picture.tobytes() for picture in pictures}) == task.n_tasks
    on_line = np.abs(margins(task)) < 0.3 / rendering.SIDE
    for k, shown in enumerate(pictures):
        dark = [np.median(shown.sum(axis=-1)[on_line[..., j]]) for j in range(task.n_tasks)]
        assert np.argmin(dark) == k


def test_the_lamp_follows_the_cue_and_the_bar_the_step():
    task = TASKS["default"]
    lit = [count(picture(task, step), rendering.LAMP) for step in range(22)]
    assert min(lit[:21]) > 100
    assert lit[21] == 0
    elapsed = [count(picture(task, step)[440:], rendering.ORANGE) for step in range(23)]
    assert elapsed[0] == 0
    assert (np.diff(elapsed[:21]) > 0).all()
    assert elapsed[20] == elapsed[21] == elapsed[22]


def test_the_periods_that_were_drawn_for_a_trial_are_shown():
    one = trial(TASKS["drawn periods"])
    widths = []
    for stimulus in (5, 20):
        shown = draw(replace(one, lengths=np.array([[1, stimulus, 0, 1]])), 100)[440:, : rendering.PANEL]
        widths.append(count(shown, rendering.ORANGE) / count(shown, rendering.GREEN))
    assert widths[0] == pytest.approx(5, rel=0.2)
    assert widths[1] == pytest.approx(20, rel=0.2)


def test_evidence_out_of_view_is_put_on_the_rim():
    one = trial(TASKS["default"])
    far = replace(one, noise=np.full_like(one.noise, 200) * np.array([1, -1], np.float32))
    end = rendering.SQUARE + rendering.SIDE
    assert count(draw(far, 5)[end:440, end:440], rendering.BELIEF) > 0


def test_the_window_opens_shows_and_closes_again_and_again(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    window, shown = Window(), picture(TASKS["default"])
    for _ in range(2):
        window.show(shown, 1_000)
        seen = pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2)
        np.testing.assert_array_equal(seen, shown)
        window.show(shown, 1_000)
        window.close()
        window.close()
        assert not pygame.display.get_init()


def test_without_pygame_or_pillow_a_sentence_says_what_to_install(monkeypatch):
    shown = picture(TASKS["default"])
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r'"human" needs pygame: `pip install "mtrnn-envs\[human\]"`'):
        Window().show(shown, 10)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DependencyNotInstalled, match=r'needs Pillow: `pip install "mtrnn-envs\[human\]"`'):
        picture(TASKS["default"])
