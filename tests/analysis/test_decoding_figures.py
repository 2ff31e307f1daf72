"""Figures of decoding are drawn from findings alone, of whatever the findings have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.codes import conjunctive, latents_of, linear
from matplotlib.figure import Figure

from mtrnn_agents import untrained
from mtrnn_analysis.decoding import decode, decoding_course, evidence_course, transfer
from mtrnn_analysis.figures.decoding import (
    decoding_course_figure,
    decoding_figure,
    evidence_course_figure,
    transfer_figure,
)
from mtrnn_analysis.figures.style import save
from mtrnn_envs import EvidenceTask, Stream


def legend_of(figure: Figure, panel: int) -> list[str]:
    legend = figure.axes[panel].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("n_dims", [1, 2, 3])
@pytest.mark.parametrize("with_trials", [False, True])
def test_decoding(n_dims: int, with_trials: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trials = Stream(EvidenceTask(n_tasks=2, n_dims=n_dims), "test", 0).take(300)
    states = (linear if n_dims > 1 else conjunctive)(rng, trials.latents, 10)
    found = decode(states, trials.latents, rng, None, trials if with_trials else None, n_null=3)
    figure = decoding_figure(found)
    assert len(figure.axes) == (3 if n_dims == 2 else 2)
    rows = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert rows == ["this agent", *found.controls]
    assert f"{found.value:.3f}" in " ".join(text.get_text() for text in figure.axes[0].texts)
    assert all(path.stat().st_size > 0 for path in save(figure, tmp_path / "decoding"))


def test_the_map_of_a_linear_code_is_the_grid_itself() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 4000)
    axes = decoding_figure(decode(linear(rng, latents, 10, noise=0.0), latents, rng, n_null=0)).axes[2]
    lines = [np.asarray(line.get_xydata()) for line in axes.get_lines()]
    even, decoded = np.stack(lines[: len(lines) // 2]), np.stack(lines[len(lines) // 2 :])
    # Up to the mean of x* in a cell, which is not its centre: standard error 0.1 / sqrt(12 · 40).
    assert np.abs(even - decoded).max() < 0.025


def test_course(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trials = Stream(EvidenceTask(n_tasks=2, stimulus=4), "test", 0).take(400)
    hidden = np.repeat(linear(rng, trials.latents, 5)[:, None], 6, axis=1)
    valid = np.ones((400, 6), bool)
    valid[:390, 5] = False
    for given in (None, trials):
        figure = decoding_course_figure(decoding_course(hidden, valid, trials.latents, rng, given))
        labels = legend_of(figure, 0)
        assert ("ideal observer, same trials" in labels) == (given is not None)
        assert "share of trials not ended" in labels
        save(figure, tmp_path / "course")


def test_evidence_course(tmp_path: Path) -> None:
    task = EvidenceTask(n_tasks=2, stimulus=4)
    trials = Stream(task, "test", 0).take(200)
    found = evidence_course(trials, untrained(task, 0), np.random.default_rng(0))
    figure = evidence_course_figure(found)
    lines = {str(line.get_label()): np.asarray(line.get_xydata()) for line in figure.axes[0].get_lines()}
    np.testing.assert_array_equal(lines["held-out orthant"], np.stack([[1, 2, 3, 4], found.ood], axis=1))
    np.testing.assert_allclose(lines["mean of samples, $1 - 12\\,\\sigma^2/t$"][:, 1], 1 - 0.48 / np.arange(1, 5))
    save(figure, tmp_path / "evidence")


@pytest.mark.parametrize("n_dims", [2, 3])
def test_transfer(n_dims: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trials = Stream(EvidenceTask(n_tasks=2, n_dims=n_dims), "test", 0).take(300)
    states = linear(rng, trials.latents, 5)
    for given, n_null in ((None, 0), (trials, 5)):
        figure = transfer_figure(transfer(states, trials.latents, rng, given, n_null=n_null, n_questions=4))
        labels = legend_of(figure, 1)
        assert any("ideal observer" in label for label in labels) == (given is not None)
        assert any("null" in label for label in labels) == (n_null > 0)
        save(figure, tmp_path / "transfer")
