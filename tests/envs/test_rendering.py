import subprocess
import sys

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from scipy.stats import truncnorm

from mtrnn_envs.environments import drawing as raster
from mtrnn_envs.environments import rendering
from mtrnn_envs.environments.rendering import Frame, Window, draw, pixel
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.trials import Periods, sample

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


def frame(task: EvidenceTask, n: int = 5, seed: int = 0, right: bool | None = None, **changes) -> Frame:
    """A moment of a trial after `n` samples; with `right`, all answers are given, all right or all wrong."""
    trials = sample(task, 1, np.random.default_rng(seed))
    fields = {
        "task": task,
        "latents": trials.latents[0],
        "labels": trials.labels[0],
        "evidence": trials.evidence[0, :n],
        "cue": 1.0,
        "step": n,
        "n_steps": task.n_steps,
        "answers": None if right is None else trials.asked[0] * np.int8(1 if right else -1),
        "context": None if trials.context is None else int(trials.context[0]),
    }
    return Frame(**{**fields, **changes})


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=-1).sum())


def around(mask: np.ndarray) -> np.ndarray:
    """Pixels of `mask` and their neighbours."""
    wide, (height, width) = np.pad(mask, 1), mask.shape
    return np.any([wide[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)


def square(picture: np.ndarray) -> np.ndarray:
    inside = slice(rendering.SQUARE, rendering.SQUARE + rendering.SIDE)
    return picture[inside, inside].astype(int)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_every_task_gives_a_picture_of_one_size_that_is_a_function_of_the_frame(task, n):
    shown = frame(task, n, right=n == 5 or None)
    before = shown.evidence.copy()
    picture = draw(shown)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8
    again = draw(shown)
    assert not np.shares_memory(picture, again)
    np.testing.assert_array_equal(picture, again)
    np.testing.assert_array_equal(before, shown.evidence)


def test_a_caller_may_write_on_a_picture_without_changing_the_next():
    first = draw(frame(TASKS["default"]))
    kept = first.copy()
    first[...] = 0
    np.testing.assert_array_equal(draw(frame(TASKS["default"])), kept)


@pytest.mark.parametrize("name", ["default", "three latents", "product", "cued"])
@pytest.mark.parametrize("seed", range(5))
def test_the_mark_of_the_truth_stands_at_x_star(name, seed):
    shown = frame(TASKS[name], 0, seed)
    column, row = pixel(*map(float, shown.latents[:2]))
    assert tuple(draw(shown)[int(row), int(column)]) == rendering.TRUTH


def test_pixel_puts_the_corners_of_the_latents_at_the_corners_of_the_square():
    first, last = rendering.SQUARE, rendering.SQUARE + rendering.SIDE
    assert pixel(-0.5, 0.5) == (first, first)
    assert pixel(0.5, -0.5) == (last, last)


@pytest.mark.parametrize("boundaries", ["linear", "affine", "product", "quadric"])
@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_boundaries_are_drawn_where_margins_change_sign_and_nowhere_else(boundaries, n_dims):
    task = EvidenceTask(n_tasks=8, n_dims=n_dims, boundaries=boundaries)
    others = tuple([0.31] * max(0, n_dims - 2))
    keep, _ = rendering._boundaries(task, others, None)
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
    spread = []
    for n in (0, 1, 4, 20):
        shown = frame(task, n, seed)
        heat = rendering._belief(shown).astype(float)
        weight = heat / heat.sum()
        x = (np.arange(rendering.SIDE) + 0.5) / rendering.SIDE - 0.5
        mean = np.array([weight.sum(axis=0) @ x, weight.sum(axis=1) @ -x])
        sd = np.sqrt([weight.sum(axis=0) @ (x - mean[0]) ** 2, weight.sum(axis=1) @ (-x - mean[1]) ** 2])
        spread.append(sd)
        if n:
            m, s = shown.evidence.mean(axis=0, dtype=float), np.array(task.sigmas) / np.sqrt(n)
            exact = truncnorm((-0.5 - m) / s, (0.5 - m) / s, m, s)
            np.testing.assert_allclose(mean, exact.mean(), atol=1e-3)
            np.testing.assert_allclose(sd, exact.std(), atol=1e-3)
    assert (np.diff([s.prod() for s in spread]) < 0).all()
    np.testing.assert_allclose(spread[0], np.sqrt(1 / 12), rtol=1e-4)


def test_more_evidence_leaves_less_of_the_square_blue():
    task = EvidenceTask(n_tasks=1)
    blue = [np.mean(square(draw(frame(task, n)))[..., 0] < 250) for n in (0, 1, 20)]
    assert blue[0] > blue[1] > blue[2] > 0


@pytest.mark.parametrize("name", ["default", "cued", "more tasks than fit"])
def test_right_and_wrong_answers_differ_in_the_colour_of_their_frames(name):
    none, right, wrong = (draw(frame(TASKS[name], right=v)) for v in (None, True, False))
    assert count(right, rendering.RIGHT) > count(none, rendering.RIGHT)
    assert count(right, rendering.WRONG) == count(none, rendering.WRONG)
    assert count(wrong, rendering.WRONG) > count(none, rendering.WRONG)
    assert count(wrong, rendering.RIGHT) == count(none, rendering.RIGHT)


def test_one_answer_changes_one_cell():
    answers = np.zeros(24, np.int8)
    empty = draw(frame(TASKS["default"], answers=answers))
    answers[7] = 1
    rows, columns = np.nonzero((draw(frame(TASKS["default"], answers=answers)) != empty).any(axis=-1))
    cells = rows < 300
    assert np.ptp(rows[cells]) < 32
    assert np.ptp(columns[cells]) < 32


def test_the_cued_boundary_alone_is_bold():
    task = TASKS["cued"]
    pictures = [square(draw(frame(task, 0, context=k))) for k in range(task.n_tasks)]
    assert len({picture.tobytes() for picture in pictures}) == task.n_tasks
    x = (np.arange(rendering.SIDE) + 0.5) / rendering.SIDE - 0.5
    grid = np.stack(np.meshgrid(x, -x), axis=-1).reshape(-1, 2)
    on_line = (np.abs(task.boundary.margins(grid)) < 0.3 / rendering.SIDE).reshape(rendering.SIDE, rendering.SIDE, -1)
    for k, picture in enumerate(pictures):
        dark = [np.median(picture.sum(axis=-1)[on_line[..., j]]) for j in range(task.n_tasks)]
        assert np.argmin(dark) == k


def test_the_lamp_follows_the_cue_and_the_bar_the_step():
    task = TASKS["default"]
    assert count(draw(frame(task, cue=1)), rendering.LAMP) > 100
    assert count(draw(frame(task, cue=0)), rendering.LAMP) == 0
    elapsed = [count(draw(frame(task, 1, step=t))[440:], rendering.ORANGE) for t in range(23)]
    assert elapsed[0] == 0
    assert (np.diff(elapsed[:21]) > 0).all()
    assert elapsed[20] == elapsed[21] == elapsed[22]


def test_periods_of_a_trial_are_shown_where_they_are_given():
    task = TASKS["drawn periods"]
    plain, told = (draw(frame(task, n_steps=12, periods=p)) for p in (None, Periods(1, 10, 0, 1)))
    assert count(plain[440:], rendering.ORANGE) == 0
    assert count(told[440:], rendering.ORANGE) > 0


def test_evidence_out_of_view_is_put_on_the_rim():
    far = np.array([[40.0, -40.0]], np.float32)
    picture = draw(frame(TASKS["default"], evidence=far))
    end = rendering.SQUARE + rendering.SIDE
    assert count(picture[end:440, end:440], rendering.BELIEF) > 0


def test_words_use_only_letters_there_are():
    words = ["STEP 0123456789/", "CUE OFF: ANSWER", "SLICE THROUGH X* IN D=3", "-0.5", "+1", *Periods._fields]
    assert set("".join(words).upper()) - set(raster.STROKES) == {" "}


def test_the_window_opens_shows_and_closes_again_and_again(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    window, picture = Window(), draw(frame(TASKS["default"]))
    for _ in range(2):
        window.show(picture, 1_000)
        shown = pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2)
        np.testing.assert_array_equal(shown, picture)
        window.show(picture, 1_000)
        window.close()
        window.close()
        assert not pygame.display.get_init()


def test_without_pygame_the_window_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r'pip install "mtrnn-envs\[human\]"'):
        Window().show(draw(frame(TASKS["default"])), 10)


def test_pictures_need_no_drawing_library():
    code = (
        "import sys, mtrnn_envs.environments.rendering\n"
        "print(*{'matplotlib', 'PIL', 'pygame', 'cv2', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
