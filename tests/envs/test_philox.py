"""The counter-based generator: its cipher against published answers, its draws against their distributions, and numpy
against torch."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from mtrnn_envs import EvidenceTask, observe
from mtrnn_envs.rng import philox as counter
from mtrnn_envs.rng.fill import fill_exponential, fill_integers, fill_normal, fill_uniform
from mtrnn_envs.rng.philox import Counter, philox
from mtrnn_envs.rng.seeding import PURPOSES, generator, seed_sequence
from mtrnn_envs.testing.comparisons import global_generators_untouched
from mtrnn_envs.trials import sample
from mtrnn_envs.utils.arrays import empty

# Counter, key and output of Philox4x32-10 in the file kat_vectors of Random123, in hexadecimal.
KNOWN = [
    "00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    "ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd",
    "243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1",
]
FILLS = {
    "uniform": fill_uniform,
    "normal": fill_normal,
    "exponential": fill_exponential,
    "integers": lambda out, rng: fill_integers(out, -3, 11, rng),
}
TASKS = {
    "default": EvidenceTask(),
    "cued": EvidenceTask(cueing="one", n_tasks=3),
    "reaction time": EvidenceTask(payoff="quadratic", decision=0),
    "one stop": EvidenceTask(payoff="quadratic", decision=0, commit="common", n_confidence=5),
    "cued reaction time": EvidenceTask(payoff="log", decision=0, cueing="one", n_tasks=3),
    "withhold": EvidenceTask(withhold=True, n_tasks=2),
    "drawn periods in 3-D": EvidenceTask(stimulus=(3, 9), delay=(0, 2), fixation=(0, 2), n_dims=3),
    "Gumbel": EvidenceTask(noise="gumbel"),
    "AR(1)": EvidenceTask(autocorrelation=0.7, encoder=None),
    "anisotropic": EvidenceTask(sigma=(0.1, 0.4), encoder="square"),
    "correlated, orthants left out": EvidenceTask(latent_correlation=0.6, excluded_orthants=("+-", "--")),
    "noise behind the encoder": EvidenceTask(encoder_noise=0.1, sigma=0),
    "everything": EvidenceTask(
        n_dims=3, latent_correlation=0.3, excluded_orthants=("+++",), stimulus=(3, 9), cueing="one", encoder_noise=0.2
    ),
}


def draws(kind: str, rng: Counter, n: int, dtype: str = "float64") -> Any:
    """`n` draws, as numpy."""
    out = empty((n,), "int64" if kind == "integers" else dtype, rng)
    FILLS[kind](out, rng)
    return np.asarray(out)


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_the_cipher_gives_the_published_answers(make):
    for line in KNOWN:
        words = [int(word, 16) for word in line.split()]
        found = philox(make(np.array(words[:4], np.int64)[:, None]), (words[4], words[5]))
        assert [int(word[0]) for word in found] == words[6:]


def test_blocks_are_numbered_beyond_32_bits():
    """The counter of block 2^32 + 5 has the lower words 5 and 1; the key and upper words are the stream's."""
    rng = Counter(3, "test", 7)
    k0, k1, *upper = (int(v) for v in seed_sequence(3, "test", 7).generate_state(4, np.uint32))
    rng._next = 2**32 + 5
    a, b, c, d = (int(v[0]) for v in philox(np.array([[5], [1], [upper[0]], [upper[1]]]), (k0, k1)))
    expected = [(a << 21 | b >> 11) / 2**53, (c << 21 | d >> 11) / 2**53]
    np.testing.assert_array_equal(draws("uniform", rng, 2), expected)


@pytest.mark.parametrize("kind", FILLS)
def test_numpy_and_torch_draw_the_same(kind):
    for index, n in enumerate((1, 7, 50_001)):
        a, b = (draws(kind, Counter(0, "train", index, device), n, "float64") for device in (None, "cpu"))
        np.testing.assert_allclose(a, b, rtol=1e-15 if kind in ("uniform", "integers") else 0, atol=2e-15)
        if kind in ("uniform", "integers"):
            np.testing.assert_array_equal(a, b)
        else:
            a, b = (draws(kind, Counter(0, "train", index, device), n, "float32") for device in (None, "cpu"))
            assert a.dtype == np.float32
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", [0, 1, 2**70])
def test_draws_follow_their_distributions(seed):
    n = 200_001
    for kind, law in (("uniform", stats.uniform), ("normal", stats.norm), ("exponential", stats.expon)):
        values = draws(kind, Counter(seed, "train"), n)
        assert stats.kstest(values, law.cdf).pvalue > 1e-4
        # The two draws of a block, and neighbours in different blocks, are uncorrelated: 5 standard errors.
        for lag in (1, 2):
            assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 5 / np.sqrt(n)
    counts = np.bincount(draws("integers", Counter(seed, "train"), n) + 3, minlength=15)
    assert len(counts) == 15
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("kind", FILLS)
def test_a_stream_goes_on_whatever_the_calls_the_strides_and_the_chunks(kind, device, monkeypatch):
    whole = draws(kind, Counter(0, "train", device=device), 41)
    rng = Counter(0, "train", device=device)
    np.testing.assert_array_equal(np.concatenate([draws(kind, rng, 18), draws(kind, rng, 23)]), whole)
    # Each call begins with a new block of two.
    rng = Counter(0, "train", device=device)
    np.testing.assert_array_equal(np.concatenate([draws(kind, rng, 17), draws(kind, rng, 23)]), np.delete(whole, 17))
    # A column and a transposed array are filled in the order of their elements, and nothing beside them.
    for view in (lambda v: v[:, 1], lambda v: v.T, lambda v: v[1:, ::2]):
        rng = Counter(0, "train", device=device)
        out = empty((7, 3), "int64" if kind == "integers" else "float64", rng)
        out[...] = 77
        FILLS[kind](view(out), rng)
        filled = np.asarray(view(out))
        np.testing.assert_array_equal(filled.ravel(), whole[: filled.size])
        assert np.sum(np.asarray(out) == 77) == 21 - filled.size
    monkeypatch.setattr(counter, "CHUNK", 3)
    np.testing.assert_array_equal(draws(kind, Counter(0, "train", device=device), 41), whole)


def test_streams_share_no_draw():
    streams = [(seed, purpose, index) for seed in (0, 1, 2**32) for purpose in PURPOSES for index in (0, 1, 2, 2**32)]
    values = np.concatenate([draws("uniform", Counter(*stream), 1000) for stream in streams])
    assert len(np.unique(values)) == len(values)  # two of 10^5 draws of 53 bits are the same once in 10^6 times


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_trials_are_the_same_in_numpy_and_torch(task):
    mine, theirs = (sample(task, 257, Counter(5, "train", 2, device)) for device in (None, "cpu"))
    for name in (field.name for field in fields(mine) if field.name != "task"):
        a, b = getattr(mine, name), getattr(theirs, name)
        assert (a is None) == (b is None)
        if a is not None:
            assert isinstance(b, torch.Tensor)
            assert a.dtype == b.numpy().dtype
            # Gumbel noise takes a second logarithm, in float32.
            np.testing.assert_allclose(a, b.numpy(), rtol=0, atol=1e-5 if task.noise == "gumbel" else 1e-12)
    np.testing.assert_array_equal(mine.labels, theirs.labels.numpy())
    np.testing.assert_allclose(observe(mine), observe(theirs).numpy(), rtol=0, atol=1e-5)
    assert not np.array_equal(mine.latents, sample(task, 257, Counter(5, "train", 3)).latents)


def test_no_global_generator_is_touched():
    with global_generators_untouched():
        for device in (None, "cpu"):
            sample(TASKS["everything"], 9, Counter(0, "train", 0, device))


def test_other_streams_are_what_they_were():
    """A purpose without an index has the seed sequence of its position alone."""
    expected = np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(9, spawn_key=(2,)))).random(4)
    np.testing.assert_array_equal(generator(9, "test").random(4), expected)


def test_bad_arguments():
    with pytest.raises(ValueError, match="seed=-1 is not a whole number, 0 or more"):
        Counter(-1, "train")
    with pytest.raises(ValueError, match="index=-1 is not a whole number, 0 or more"):
        Counter(0, "train", -1)
    with pytest.raises(ValueError, match="purpose='late' is not one of"):
        Counter(0, "late")
    with pytest.raises(ValueError, match=r"rng=7 is neither .* nor a mtrnn_envs\.rng\.philox\.Counter"):
        sample(EvidenceTask(), 3, 7)
    assert repr(Counter(1, "test", 2, "cpu")) == "Counter(1, 'test', 2, 'cpu')"
