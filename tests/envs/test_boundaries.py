"""The boundaries: known labels, and what each kind promises."""

import numpy as np
import pytest

from mtrnn_envs import EvidenceTask
from mtrnn_envs.components.boundaries import KINDS, Linear, Product, build, labels
from mtrnn_envs.rng.seeding import torch_generator
from mtrnn_envs.trials import sample

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n_tasks", [2, 3, 6, 12, 24])
def test_even_lines_label_as_the_public_code_does(n_tasks):
    """+1 where x_2 > tan(pi/N (k + 1/2)) x_1."""
    x = RNG.uniform(-0.5, 0.5, (2000, 2))
    slopes = np.tan(np.pi / n_tasks * (np.arange(n_tasks) + 0.5))
    expected = np.where(x[:, 1:] > slopes * x[:, :1], 1, -1)
    assert np.array_equal(labels(build("linear", n_tasks, 2, 0), x), expected)


@pytest.mark.parametrize("kind", ["even", "random", "spread", "affine"])
def test_margins_of_hyperplanes_are_signed_distances(kind):
    lines = build(kind, 7, 2, 3)
    assert isinstance(lines, Linear)
    np.testing.assert_allclose(np.linalg.norm(lines.normals, axis=1), 1)
    x = RNG.uniform(-0.5, 0.5, (50, 2))
    np.testing.assert_allclose(lines.margins(x), x @ lines.normals.T - lines.offsets)


@pytest.mark.parametrize("n_dims", [2, 3, 5])
def test_spread_hyperplanes_are_farther_apart_than_random_ones(n_dims):
    def closest(kind: str, seed: int) -> float:
        lines = build(kind, 8, n_dims, seed)
        assert isinstance(lines, Linear)
        cosines = np.abs(lines.normals @ lines.normals.T) - np.eye(8)
        return float(np.degrees(np.arccos(cosines.max())))

    spread = [closest("spread", seed) for seed in range(5)]
    assert min(spread) > 2 * np.mean([closest("random", seed) for seed in range(5)])
    # The best packings of 8 lines: 180° / 8 in the plane, 49.64° in space (Conway, Hardin & Sloane 1996).
    if n_dims in (best := {2: 22.5, 3: 49.64}):
        np.testing.assert_allclose(spread, best[n_dims], atol=0.3)


def test_affine_lines_cross_the_square_and_most_miss_the_origin():
    lines = build("affine", 200, 2, 0)
    assert isinstance(lines, Linear)
    assert np.mean(np.abs(lines.offsets) > 0.01) > 0.9
    corners = np.array([[a, b] for a in (-0.5, 0.5) for b in (-0.5, 0.5)])
    margins = lines.margins(corners)
    assert np.all((margins.min(0) < 0) & (margins.max(0) > 0))


def test_product_tasks_are_the_papers():
    """label = [x in quadrant q and |x_1 x_2| > theta], theta = 0.2 linspace(1/(2N), 1, N/4); 2-25 % positive."""
    tasks = build("product", 24, 2, 0)
    assert isinstance(tasks, Product)
    x = RNG.uniform(-0.5, 0.5, (5000, 2))
    thresholds = 0.2 * np.linspace(1 / 48, 1, 6)
    quadrant = np.all(np.sign(x)[:, None] == tasks.signs, axis=2)
    expected = quadrant & (np.abs(x[:, :1] * x[:, 1:]) > np.tile(thresholds, 4))
    assert np.array_equal(labels(tasks, x) == 1, expected)
    assert len(np.unique(tasks.signs, axis=0)) == 4
    share = expected.mean(0)
    assert 0.001 < share.min() < 0.03
    assert 0.2 < share.max() < 0.26


@pytest.mark.parametrize("n_dims", [1, 2, 4])
def test_quadrics_are_balanced_and_curved(n_dims):
    x = RNG.uniform(-0.5, 0.5, (20_000, n_dims))
    quadrics = build("quadric", 40, n_dims, 1)
    assert np.all(np.abs(np.mean(labels(quadrics, x) > 0, axis=0) - 0.5) < 0.03)
    # Curved: the margin at the middle of two points is not the mean of theirs.
    a, b = x[:100], x[100:200]
    bend = quadrics.margins((a + b) / 2) - (quadrics.margins(a) + quadrics.margins(b)) / 2
    assert np.all(np.abs(bend).max(0) > 0.05)


def saddle(latents):
    """x_1 x_2 > 0, the XOR of the signs, and its opposite."""
    xor = latents[..., :1] * latents[..., 1:2]
    return xor * np.array([1.0, -1.0])


def test_a_users_own_function_is_named_by_its_place():
    task = EvidenceTask(n_tasks=2, boundaries=f"{__name__}:saddle")
    trials = sample(task, 500, RNG)
    xor = np.sign(trials.latents[:, 0] * trials.latents[:, 1])
    assert np.array_equal(trials.labels, np.stack([xor, -xor], axis=1))


def in_a_list(latents):
    return [[1.0, 2.0]] * len(latents)


def nowhere(latents):
    return latents * np.nan


def fixed(latents):
    return np.zeros((1, 2))


def only_numpy(latents):
    return np.asarray(latents) - 0.1


def meddler(latents):
    latents[...] = 0.4
    return latents


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("in_a_list", "gives a list of shape"),
        ("nowhere", "gives margins that are not finite real numbers"),
        ("fixed", r"gives a ndarray of shape \(1, 2\) for a ndarray of shape \(5, 2\)"),
        ("missing", "cannot be imported"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused_at_once(name, message):
    with pytest.raises(ValueError, match=f"boundaries='{__name__}:{name}' {message}"):
        EvidenceTask(n_tasks=2, boundaries=f"{__name__}:{name}")


def test_a_function_for_numpy_alone_is_refused_where_tensors_are_drawn():
    task = EvidenceTask(n_tasks=2, boundaries=f"{__name__}:only_numpy")
    with pytest.raises(ValueError, match=r"gives a ndarray of shape .* for a Tensor"):
        _ = sample(task, 3, torch_generator(0, "train")).labels


def test_a_function_cannot_change_the_latents():
    trials = sample(EvidenceTask(n_tasks=2, boundaries=f"{__name__}:meddler"), 3, RNG)
    before = trials.latents.copy()
    assert trials.labels.shape == (3, 2)
    assert np.array_equal(trials.latents, before)


def test_a_function_defined_anew_is_the_new_one(monkeypatch):
    before = EvidenceTask(n_tasks=2, boundaries=f"{__name__}:saddle")
    x = np.array([[0.1, -0.3]])
    old = before.boundary.margins(x)
    monkeypatch.setitem(globals(), "saddle", lambda latents: -latents)
    after = EvidenceTask(n_tasks=2, boundaries=f"{__name__}:saddle")
    assert np.array_equal(after.boundary.margins(x), -x)
    assert not np.array_equal(old, -x)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_boundaries_and_another_seed_others(kind):
    x = RNG.uniform(-0.5, 0.5, (500, 2))
    a, b, c = (KINDS[kind](8, 2, seed).margins(x) for seed in (5, 5, 6))
    assert np.array_equal(a, b)
    assert np.array_equal(a, c) == (kind in ("linear", "even", "product"))


@pytest.mark.parametrize("kind", KINDS)
def test_labels_do_not_depend_on_the_batch(kind):
    x = RNG.uniform(-0.5, 0.5, (700, 2))
    boundaries = build(kind, 8, 2, 0)
    whole = labels(boundaries, x)
    assert whole.dtype == np.int8
    assert set(np.unique(whole)) <= {-1, 1}
    assert np.array_equal(whole, np.concatenate([labels(boundaries, x[i : i + 1]) for i in range(len(x))]))
