"""Figures of studies: what is drawn is known beforehand, since the numbers are given; refusals before anything runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.studied import networks_of, study_of
from scipy.stats import trim_mean

from mtrnn_analysis.studies import Networks, networks
from mtrnn_analysis.studies.figures import KINDS, Drawn, check, figures
from mtrnn_envs.experiments.studies import Study, results
from mtrnn_envs.experiments.studies.cell import arrays_of, run_cell

SPREAD = [-0.02, -0.01, 0.0, 0.01, 0.06]
LEVELS: dict[Any, float] = {2: 0.6, 6: 0.8, 24: 0.9, "untrained": 0.3}
TRAINED = [2, 6, 24]
IQM = {n: trim_mean([LEVELS[n] + s for s in SPREAD], 0.25) for n in TRAINED}


def numbers(labels: Any) -> dict[str, float | None]:
    value = LEVELS[labels.get("N", 6)] + SPREAD[labels["seed"]] - 0.1 * (labels.get("D", 2) - 2)
    more = {"decoding.in_distribution.r2_prior": 0.95, "decoding.controls.ideal.ood": 0.976, "accuracy": value / 2}
    return {"decoding.value": value, **more}


def draw(table: dict[str, Any], numbers: Any = numbers, found: Networks | None = None, **given: Any) -> Drawn:
    """The one figure of one table."""
    (drawn,) = figures(found or networks_of(study_of(figures=[table], **given), numbers), Path("nowhere"))
    return drawn


def marks(axes: Any, gid: str) -> list[np.ndarray]:
    """The points [P, 2] of what is drawn as `gid`."""
    return [np.asarray(line.get_xydata()) for line in axes.get_lines() if line.get_gid() == gid]


def legend(figure: Any) -> list[str]:
    return [text.get_text() for each in figure.legends for text in each.get_texts()]


# Curves.


def test_a_curve_stands_at_interquartile_means_among_its_networks() -> None:
    drawn = draw({"kind": "curve", "x": "N", "y": "accuracy"})
    (axes,) = drawn.figure.axes
    assert legend(drawn.figure) == []  # the axis says it
    points = np.concatenate(marks(axes, "iqm"))
    np.testing.assert_allclose(points[:, 0], TRAINED)
    np.testing.assert_allclose(points[:, 1], [IQM[n] / 2 for n in TRAINED])
    for n, dots, interval in zip(TRAINED, marks(axes, "networks"), marks(axes, "interval"), strict=True):
        np.testing.assert_allclose(dots[:, 1], [(LEVELS[n] + s) / 2 for s in SPREAD])
        low, high = interval[:, 1]
        assert dots[:, 1].min() <= low < IQM[n] / 2 < high <= dots[:, 1].max()
    assert axes.get_xlabel() == "number of tasks N"
    assert axes.get_ylabel() == "accuracy"
    assert "5 networks each." in drawn.caption


def test_measures_of_r2_share_an_axis_and_a_legend() -> None:
    drawn = draw({"kind": "curve", "x": "N", "y": ["OOD r²", "ID r²"], "log_x": True})
    (axes,) = drawn.figure.axes
    np.testing.assert_allclose([p[0, 1] for p in marks(axes, "iqm")], [*IQM.values(), 0.95, 0.95, 0.95])
    assert axes.get_xscale() == "log"
    assert "12\\,\\mathrm{MSE}" in axes.get_ylabel()
    assert legend(drawn.figure) == ["OOD r²", "ID r²"]


def test_levels_that_are_no_numbers_are_lines_across() -> None:
    also = [{"labels": {"N": "untrained"}, "trained": False}]
    drawn = draw({"kind": "curve", "x": "N", "y": "accuracy"}, also=also)
    (axes,) = drawn.figure.axes
    across = [line.get_ydata()[0] for line in axes.get_lines() if np.ptp(line.get_xdata()) == 1]
    np.testing.assert_allclose(across, [0.15])
    assert legend(drawn.figure) == ["accuracy", "untrained"]


def test_references_are_means_or_follow_the_axis() -> None:
    table = {"kind": "curve", "x": "N", "y": "accuracy", "references": {"ideal": "decoding.controls.ideal.ood"}}
    (axes,) = draw(table).figure.axes
    assert [line.get_ydata()[0] for line in axes.get_lines() if np.ptp(line.get_xdata()) == 1] == [pytest.approx(0.976)]
    table["references"] = {"half": "accuracy"}
    (axes,) = draw(table).figure.axes
    means = [(LEVELS[n] + np.mean(SPREAD)) / 2 for n in TRAINED]
    assert any(len(y := line.get_ydata()) == 3 and np.allclose(y, means) for line in axes.get_lines())


def test_a_hue_has_a_line_a_level_and_where_chooses() -> None:
    axes: Any = {"N": {n: {"task.n_tasks": n} for n in TRAINED}, "D": {d: {"task.n_dims": d} for d in (2, 4)}}
    table = {"kind": "curve", "x": "N", "y": "accuracy", "hue": "D"}
    drawn = draw(table, axes=axes)
    assert legend(drawn.figure) == ["D = 2", "D = 4"]
    heights = [p[0, 1] for p in marks(drawn.figure.axes[0], "iqm")]
    np.testing.assert_allclose(heights, [*(IQM[n] / 2 for n in TRAINED), *(IQM[n] / 2 - 0.1 for n in TRAINED)])
    del table["hue"]
    drawn = draw(table | {"where": {"D": 4}}, axes=axes)
    np.testing.assert_allclose(
        [p[0, 1] for p in marks(drawn.figure.axes[0], "iqm")], [IQM[n] / 2 - 0.1 for n in TRAINED]
    )
    assert "Only D = 4. 5 networks each." in drawn.caption
    assert "10 networks each. Networks of all levels of D are taken together." in draw(table, axes=axes).caption


def test_one_network_has_no_interval_and_the_caption_says_where() -> None:
    drawn = draw({"kind": "curve", "x": "N", "y": "accuracy"}, seeds=1)
    assert not np.isfinite(np.concatenate(marks(drawn.figure.axes[0], "interval"))[:, 1]).any()
    assert "One network only: no interval." in drawn.caption
    found = networks_of(
        study_of(figures=[{"kind": "curve", "x": "N", "y": "accuracy"}]),
        numbers,
        diverged=lambda labels: labels["N"] == 6 and labels["seed"] > 0,
    )
    drawn = draw({}, found=found)
    bounds = [each[:, 1] for each in marks(drawn.figure.axes[0], "interval")]
    assert [bool(np.isfinite(each).all()) for each in bounds] == [True, False, True]
    assert "1 to 5 networks each. One network only at N = 6: no interval." in drawn.caption
    assert "4 networks of the study that diverged" in drawn.caption


def test_values_outside_limits_and_cells_to_come_are_told() -> None:
    table = {"kind": "curve", "x": "N", "y": "accuracy", "ylim": [0.35, 1]}
    drawn = draw(table)
    assert drawn.figure.axes[0].get_ylim() == (0.35, 1)
    assert "5 values lie outside the limits." in drawn.caption  # all with two tasks: 0.29 to 0.33
    whole = networks_of(study_of(figures=[table]), numbers)
    part = replace(whole, entries=whole.entries[:5], rows=whole.rows[:5], curves=whole.curves[:5], n_there=5)
    assert "So far 5 of 15 networks are done." in draw({}, found=part).caption


# Other kinds.


def test_dots_are_the_networks_of_each_level() -> None:
    axes: Any = {"network": {"GRU": {"training.network.kind": "gru"}, "leaky": {"training.n_updates": 100}}}
    measured = lambda labels: {"accuracy": SPREAD[labels["seed"]] + (labels["network"] == "GRU")}  # noqa: E731
    drawn = draw({"kind": "dots", "x": "network", "y": ["accuracy"]}, measured, axes=axes)
    (panel,) = drawn.figure.axes
    np.testing.assert_allclose([p[0, 1] for p in marks(panel, "iqm")], [1, 0], atol=1e-12)
    assert [len(p) for p in marks(panel, "networks")] == [5, 5]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["GRU", "leaky"]
    assert panel.get_xlabel() == "network"


def test_a_heatmap_has_interquartile_means_and_the_line_of_as_many_tasks_as_latents() -> None:
    axes: Any = {"N": {n: {"task.n_tasks": n} for n in (2, 6)}, "D": {d: {"task.n_dims": d} for d in (2, 4)}}
    drawn = draw({"kind": "heatmap", "x": "N", "y": "D", "value": "OOD r²"}, axes=axes)
    left, _ = drawn.figure.axes
    expected = np.array([[IQM[2], IQM[6]], [IQM[2] - 0.2, IQM[6] - 0.2]])
    np.testing.assert_allclose(left.images[0].get_array(), expected)
    assert left.images[0].get_clim() == pytest.approx((expected.min(), expected.max()))
    assert [text.get_text() for text in left.texts] == [f"{v:.2f}" for v in expected.ravel()]
    # Only N = 2, D = 4 has fewer tasks than latents: column 0, row 1. Its borders are drawn, each in two strokes.
    borders = {tuple(map(tuple, np.asarray(line.get_xydata()))) for line in left.get_lines()}
    assert borders == {((0.5, 0.5), (0.5, 1.5)), ((-0.5, 0.5), (0.5, 0.5))}


def test_scatter_has_one_mark_a_network_by_level() -> None:
    drawn = draw({"kind": "scatter", "x": "accuracy", "y": "OOD r²", "hue": "N"})
    (axes,) = drawn.figure.axes
    for n, points in zip(TRAINED, marks(axes, "networks"), strict=True):
        np.testing.assert_allclose(points, [[(LEVELS[n] + s) / 2, LEVELS[n] + s] for s in SPREAD])
    assert legend(drawn.figure) == ["N = 2", "N = 6", "N = 24"]


def curves(labels: Any) -> dict[str, list[Any]]:
    t = np.arange(1, 6.0)
    own = LEVELS[labels["N"]] + SPREAD[labels["seed"]] - 0.3 / t
    seen = 3 if labels["seed"] == 4 else 5  # one network was stopped early
    return {
        "sample_curve.n_samples": list(t),
        "sample_curve.decoded": [None, *own[1:]],
        "sample_curve.mean_theory": list(1 - 0.48 / t),
        "history.updates": list(100 * t[:seen]),
        "history.r2_ood": list(own[:seen]),
    }


def test_curves_are_averaged_over_networks_where_they_are_known() -> None:
    table = {
        "kind": "time_course",
        "x": "sample_curve.n_samples",
        "y": {"decoded": "sample_curve.decoded"},
        "theory": {"1 - 0.48/t": "sample_curve.mean_theory"},
        "hue": "N",
    }
    drawn = draw({}, found=networks_of(study_of(figures=[table]), numbers, curves))
    (axes,) = drawn.figure.axes
    t = np.arange(2, 6)
    for n, points in zip(TRAINED, marks(axes, "iqm"), strict=True):
        np.testing.assert_allclose(points, np.stack([t, IQM[n] - 0.3 / t], axis=1))
    theory = [line for line in axes.get_lines() if line.get_gid() != "iqm"]
    np.testing.assert_allclose(theory[0].get_ydata(), 1 - 0.48 / np.arange(1, 6))
    assert len(theory) == 1  # the same for all levels
    assert legend(drawn.figure) == ["N = 2", "N = 6", "N = 24", "1 - 0.48/t"]


def test_training_histories_are_drawn_against_trials_as_far_as_all_were_trained() -> None:
    table = {"kind": "training_history", "x": "trials", "y": {"OOD": "history.r2_ood"}, "hue": "N"}
    study = study_of(figures=[table], settings={"training.batch_size": 16})
    (axes,) = draw({}, found=networks_of(study, numbers, curves)).figure.axes
    np.testing.assert_allclose(marks(axes, "iqm")[0][:, 0], [1600, 3200, 4800])
    np.testing.assert_allclose(marks(axes, "iqm")[0][:, 1], IQM[2] - 0.3 / np.arange(1, 4))
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "trials seen in training"
    steps = study_of(figures=[table | {"x": "steps"}], settings={"training.batch_size": 16, "task.encoder": None})
    (axes,) = draw({}, found=networks_of(steps, numbers, curves)).figure.axes
    n_steps = steps.cells()[0].cell.task.n_steps
    np.testing.assert_allclose(marks(axes, "iqm")[0][:, 0], np.multiply([1600, 3200, 4800], n_steps))


def test_references_of_histories_are_lines_across() -> None:
    table = {
        "kind": "training_history",
        "x": "trials",
        "y": {"OOD": "history.r2_ood"},
        "references": {"half": "accuracy"},
    }
    drawn = draw({}, found=networks_of(study_of(figures=[table]), numbers, curves))
    across = [line.get_ydata()[0] for line in drawn.figure.axes[0].get_lines() if line.get_gid() != "iqm"]
    assert across == [pytest.approx(np.mean([(LEVELS[n] + s) / 2 for n in TRAINED for s in SPREAD]))]
    assert legend(drawn.figure)[-1] == "half"


ONE_EACH: list[dict[str, Any]] = [
    {"kind": "curve", "x": "N", "y": "accuracy"},
    {"kind": "dots", "x": "N", "y": ["accuracy"]},
    {"kind": "heatmap", "x": "N", "y": "N", "value": "accuracy"},
    {"kind": "scatter", "x": "accuracy", "y": "OOD r²"},
    {"kind": "time_course", "x": "sample_curve.n_samples", "y": {"decoded": "sample_curve.decoded"}},
    {"kind": "training_history", "x": "trials", "y": {"OOD": "history.r2_ood"}},
    {"kind": "trajectories", "level": [{"N": 2}]},
    {"kind": "tasks", "of": [{"N": 3}]},
]


@pytest.mark.parametrize("table", ONE_EACH, ids=lambda table: table["kind"])
@pytest.mark.parametrize("done", [0, 1])
def test_what_no_network_has_is_said(table: dict[str, Any], done: int) -> None:
    axes: Any = {"N": {2: {"task.n_tasks": 2}, 3: {"task.n_tasks": 3, "task.n_dims": 3}}}
    whole = networks_of(study_of(figures=[table], axes=axes), lambda labels: {})
    part = {name: getattr(whole, name)[:done] for name in ("entries", "rows", "curves")}
    assert re.search(
        "o network|not in the folder of the results|No run", draw({}, found=replace(whole, **part)).caption
    )


def test_all_kinds_are_tried_without_numbers() -> None:
    assert [table["kind"] for table in ONE_EACH] == list(KINDS)


# A real network.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Networks, Path]:
    out = tmp_path_factory.mktemp("out")
    study = study_of(
        seeds=1,
        probes=(),
        measures={},
        axes={"N": {2: {"task.n_tasks": 2}}},
        also=[{"labels": {"N": "untrained"}, "trained": False}],
        settings={"training.n_updates": 60, "training.evaluate_every": 60, "n_trials": 300},
        figures=[
            {"kind": "trajectories", "level": [{"N": 2}, {"N": "untrained"}]},
            {"kind": "tasks", "of": [{"N": 2}]},
        ],
    )
    for _, cell in study.cells():
        assert cell.kept == ("trajectories",)
        assert cell.id == replace(cell, kept=()).id
        run_cell(replace(cell, kept=()), out)  # as before arrays were kept
        assert not arrays_of(out, cell.id, "trajectories").exists()
        run_cell(cell, out)
    return networks(results.collect(study, out)), out


def test_trajectories_can_be_turned_and_are_small(trained: tuple[Any, Path]) -> None:
    printed, turned, untrained, tasks = figures(*trained)
    assert len(tasks.figure.axes) == 2
    assert [axes.get_title("left") for axes in printed.figure.axes][::2] == ["a   N = 2", "b   untrained"]
    assert (turned.name, untrained.name) == ("trajectories-1-a", "trajectories-1-b")
    text = turned.figure.to_json()
    assert len(text) < 300_000
    layout = json.loads(text)["layout"]
    assert "width" not in layout
    assert layout["legend"]["orientation"] == "h"
    assert layout["scene"]["aspectmode"] == "data"
    lines = [trace for trace in turned.figure.data if trace.mode == "lines"]
    assert len(lines) == 4
    for line in lines:
        gaps = np.isnan(line.x)
        assert gaps.sum() == 15  # trials
        assert np.diff(np.flatnonzero(gaps)).max() <= 26  # steps, and the gap
    assert "states of 60 trials" in turned.caption
    assert "Of 64 points" in turned.caption


def test_trajectories_that_were_not_kept_are_left_out(trained: tuple[Networks, Path], tmp_path: Path) -> None:
    study = replace(trained[0].study, figures=[{"kind": "trajectories", "level": [{"N": 2}]}])
    drawn = draw({}, found=replace(trained[0], study=study))
    assert drawn.name == "trajectories-1"
    assert "N = 2: left out: its trajectories are not in the folder of the results; run the study" in drawn.caption


def test_networks_in_which_a_probe_is_not_applicable_say_why(tmp_path: Path) -> None:
    study = study_of(
        seeds=1,
        probes=(),
        measures={},
        axes={"N": {2: {"task.n_tasks": 2}}},
        settings={"trained": False, "training.network.n_units": 2, "n_trials": 64},
        figures=[{"kind": "trajectories", "level": [{"N": 2}]}],
    )
    run_cell(study.cells()[0].cell, tmp_path)
    (drawn,) = figures(networks(results.collect(study, tmp_path)), tmp_path)
    assert "N = 2: left out: 2 latents, 2 units: trajectories need at least 2 latents and 3 units." in drawn.caption


# Refusals.

CURVE = {"kind": "curve", "x": "N", "y": "OOD r²"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"x": "N"}, r"figures\[0\] has no kind; the kinds are curve, dots"),
        ({"kind": "curv"}, r"'curv' is not a kind of figures\[0\]; did you mean 'curve'"),
        ({"kind": "curve", "x": "N"}, r"figures\[0\] has no y; a curve needs x and y"),
        (CURVE | {"hues": "N"}, r"'hues' is not a key of figures\[0\], a curve; did you mean 'hue'"),
        (CURVE | {"x": "M"}, r"'M' is not an axis of study 'mine'"),
        (CURVE | {"hue": "net"}, r"'net' is not an axis of study 'mine'"),
        (
            CURVE | {"x": "network"},
            r"figures\[0\].x='network' has the levels \['a', 'b'\], none of which is a number; draw dots",
        ),
        (CURVE | {"y": ["OOD"]}, r"'OOD' is not a measure of study 'mine'; did you mean 'OOD r²'"),
        (CURVE | {"y": []}, r"figures\[0\].y=\[\] must be one or more measures"),
        (CURVE | {"y": "decoding.valu"}, r"'valu' is not a part of the result of probe 'decoding'"),
        (CURVE | {"references": "accuracy"}, r"references='accuracy' must be a table of columns by title"),
        (
            CURVE | {"references": {"a": "acuracy"}},
            r"'acuracy' is not a measure of study 'mine'; did you mean 'accuracy'",
        ),
        (CURVE | {"ylim": [1, 0]}, r"figures\[0\].ylim=\[1, 0\] must be two numbers, the lower first"),
        (CURVE | {"log_x": "yes"}, r"figures\[0\].log_x='yes' must be true or false"),
        (CURVE | {"title": 3}, r"figures\[0\].title=3 must be text"),
        (CURVE | {"where": {"N": 7}}, r"'7' is not a level of axis 'N'"),
        ({"kind": "training_history", "x": "trial", "y": {"OOD": "history.r2_ood"}}, r"'trial' is not a measure"),
        ({"kind": "trajectories", "level": {"N": 2}}, r"level=\{'N': 2\} must be a list of levels"),
        ({"kind": "trajectories", "level": [{"N": 3}]}, r"'3' is not a level of axis 'N'"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_trained(table: dict[str, Any], message: str) -> None:
    axes: Any = {"N": {n: {"task.n_tasks": n} for n in TRAINED}, "network": {"a": {}, "b": {}}}
    study = study_of(figures=[table], axes=axes, seeds=1)
    with pytest.raises(ValueError, match=message):
        check(study)
    with pytest.raises(ValueError, match=message):
        figures(networks_of(study, numbers), Path("nowhere"))


def test_a_profile_may_lack_levels_and_probes() -> None:
    profiles: Any = {"quick": {"axes": {"N": {2: {"task.n_tasks": 2}}}, "probes": ["ccgp"], "seeds": 2}}
    study = study_of(figures=[CURVE | {"where": {"N": 24}}, CURVE], profiles=profiles)
    check(study)
    absent, drawn = figures(networks_of(study, numbers, profile="quick"), Path("nowhere"))
    assert "No network has OOD r²." in absent.caption
    assert "2 networks each." in drawn.caption


def test_check_looks_at_claims_too() -> None:
    with pytest.raises(ValueError, match=r"'OOD' is not a measure"):
        check(study_of(claims=[{"text": "", "measure": "OOD", "expect": "> 0"}]))


def test_a_study_from_a_file_is_checked(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[[figures]]\nkind = "curve"\nx = "N"\ny = ["accuracy"]\n')
    with pytest.raises(ValueError, match="'N' is not an axis of study 'mine'"):
        check(Study.from_toml(tmp_path / "mine.toml"))
