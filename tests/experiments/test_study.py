"""Studies as data: what a grid is, what its cells are called, and the table that comes of them."""

from __future__ import annotations

import csv
import importlib
import json
import runpy
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from helpers.studied import results_of, study_of
from hypothesis import given
from hypothesis import strategies as st

from mtrnn_agents.networks import GRU
from mtrnn_analysis.studies.networks import axes_of
from mtrnn_envs import EvidenceTask
from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.experiments.studies import STUDIES, Backend, Study, load_study, results, run_study
from mtrnn_envs.experiments.studies.cell import Cell, read, run_cell
from mtrnn_envs.experiments.studies.study import flat

EXAMPLES = Path(__file__).parents[2] / "examples"
SHORT = {"task.encoder": None, "training.n_updates": 4, "training.evaluate_every": 2, "n_trials": 64}
TOML = """
seeds = 2
probes = ["dimensionality"]
[settings]
task.encoder = "square"
training.n_updates = 4
n_trials = 64
[axes]
N = { path = "task.n_tasks", values = [2, 3] }
network = { plain = {}, GRU = { training.network.kind = "gru", training.network.n_units = 8 } }
[[also]]
labels = { N = "untrained" }
trained = false
[profiles.quick]
seeds = 1
settings.training.n_updates = 2
axes.N = { path = "task.n_tasks", values = [2] }
"""


@pytest.fixture
def declared(tmp_path: Path) -> Study:
    (tmp_path / "mine.toml").write_text(TOML)
    return load_study(str(tmp_path / "mine.toml"))


def test_a_grid_is_the_product_of_its_axes_times_the_seeds(declared: Study) -> None:
    cells = declared.cells()
    assert declared.name == "mine"
    assert len(cells) == 2 * 2 * 2 + 2
    assert len({entry.cell.id for entry in cells}) == len(cells)
    last = cells[7]
    assert last.labels == {"N": 3, "network": "GRU", "seed": 1}
    assert last.cell.training.network == GRU(n_units=8)
    assert (last.cell.task.n_tasks, last.cell.task.encoder, last.cell.task.encoder_seed) == (3, "square", 1)
    assert not cells[8].cell.trained
    assert cells[8].labels == {"N": "untrained", "seed": 0}


def test_a_profile_changes_what_it_names_and_nothing_else(declared: Study) -> None:
    quick = declared.cells("quick")
    assert [entry.labels for entry in quick] == [
        {"N": 2, "network": "plain", "seed": 0},
        {"N": 2, "network": "GRU", "seed": 0},
        {"N": "untrained", "seed": 0},
    ]
    assert quick[0].cell.training.n_updates == 2
    assert quick[0].cell.task == declared.cells()[0].cell.task


def test_a_study_survives_json_with_levels_that_are_numbers(declared: Study) -> None:
    again = Study.from_fields(json.loads(json.dumps(declared.to_fields())))
    for profile in ("paper", "quick"):
        theirs, ours = ([(e.labels, e.cell.id) for e in each.cells(profile)] for each in (again, declared))
        assert theirs == ours
    assert axes_of(again) == axes_of(declared)


@given(st.recursive(st.integers(), lambda inner: st.dictionaries(st.text("abc", min_size=1), inner, min_size=1)))
def test_paths_are_the_leaves_of_tables(tree: object) -> None:
    def leaves(node: object) -> list[object]:
        return [leaf for part in node.values() for leaf in leaves(part)] if isinstance(node, dict) else [node]

    if isinstance(tree, dict):
        assert sorted(map(str, flat(tree).values())) == sorted(map(str, leaves(tree)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"tsk.n_tasks": 2}}, r"'tsk' is not a group of settings of study 'a'; did you mean 'task'"),
        ({"settings": {"task.n_taks": 2}}, r"n_taks.*did you mean 'n_tasks'"),
        ({"settings": {"task.n_tasks": 0}}, r"n_tasks=0"),
        ({"settings": {"training.n_update": 2}}, r"'n_update'.*did you mean 'n_updates'"),
        ({"settings": {"training.network.kind": "grru"}}, r"'grru'.*did you mean 'gru'"),
        ({"settings": {"training.network.unit": 2}}, r"'unit' is not a field of training.network"),
        ({"settings": {"test.sigm": 1}}, r"sigm.*did you mean 'sigma'"),
        ({"settings": {"agent": "supervisd"}}, r"did you mean 'supervised'"),
        ({"settings": {"preset": "dence"}}, r"did you mean 'dense'"),
        ({"settings": {"env_id": "MultiTaskEvidence-v1"}}, r"did you mean 'MultiTaskEvidence"),
        ({"axes": {"N": {}}}, r"axes.N=\{\} must be a table of levels"),
        ({"axes": {"N": {"two": 2}}}, r"axes.N.two=2 must be a table of settings"),
        ({"name": "../x"}, r"name='../x' must be letters"),
        ({"seeds": 0}, r"seeds=0"),
        ({"budgets": {"quick": {"seeds": 1}}}, r"unknown field budgets; did you mean profiles\? Results of older"),
        ({"profiles": {"quick": {"sedes": 1}}}, r"'sedes'.*did you mean 'seeds'"),
        ({"profiles": {"paper": {}}}, r"profiles.paper is the study as it is declared; choose another"),
        ({"text": 3}, r"text=3 of study 'a' must be text"),
        ({"settings": None}, r"settings=None of study 'a' must be a table of values by name"),
        ({"probes": "decoding"}, r"probes='decoding' of study 'a' must be a list of names, or a table"),
        ({"figures": "curve"}, r"figures='curve' of study 'a' must be a list"),
        ({"claims": ["x"]}, r"claims\[0\]='x' of study 'a' must be a table"),
        ({"axes": {"N": {"path": "task.n_tasks", "values": 2}}}, r"axes.N.values=2 must be a list"),
        ({"axes": {"N": {"path": "task.n_tasks", "values": [2, 2]}}}, r"axes.N.values=\[2, 2\] must differ"),
        ({"claimz": ()}, r"'claimz' is not a field of Study; did you mean 'claims'"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Study.from_fields({"name": "a", **changes}).cells()


def test_a_study_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(ValueError, match=r"bad.toml is not TOML"):
        load_study(str(tmp_path / "bad.toml"))
    with pytest.raises(ValueError, match=r"did you mean 'fig1f'"):
        load_study("fig1ff")
    with pytest.raises(ValueError, match=r"cannot be imported"):
        load_study("no_such_module:study")
    with pytest.raises(ValueError, match=r"is a dict, not a Study"):
        load_study("mtrnn_envs.experiments.studies.paper:STUDIES")
    with pytest.raises(FileNotFoundError):
        load_study(str(tmp_path / "none.toml"))
    with pytest.raises(ValueError, match=r"'fast' is not a profile of study 'noise'"):
        STUDIES["noise"].cells("fast")


def test_the_name_of_a_cell_changes_with_all_that_determines_it_and_only_then() -> None:
    cell = load_study("fig1f").cells()[0].cell
    same = Cell(**{**vars(cell), "test": {}})
    others = [
        Cell(**{**vars(cell), **change})
        for change in (
            {"seed": 7},
            {"trained": False},
            {"n_trials": 3},
            {"test": {"sigma": 0.3}},
            {"probes": {}},
            {"task": EvidenceTask(n_tasks=5)},
        )
    ]
    assert same.id == cell.id
    assert len({cell.id, *(each.id for each in others)}) == 1 + len(others)
    assert {each.run for each in others} == {cell.run, others[0].run, others[5].run}


def test_a_cell_is_recorded_in_the_task_that_differs_from_the_one_trained() -> None:
    task = EvidenceTask(n_tasks=2, encoder=None, latent_correlation=0.5)
    cell = Cell(agent="supervised", task=task, training=None, seed=0, test={"latent_correlation": 0.0})
    assert asdict(cell.tested) == {**asdict(task), "latent_correlation": 0.0}
    with pytest.raises(ValueError, match="did you mean 'sigma'"):
        Cell(agent="supervised", task=task, training=None, seed=0, test={"sigmas": 0.1})


def test_cells_give_the_same_numbers_again_and_a_table_of_all_settings(tmp_path: Path) -> None:
    study = Study(name="a", seeds=2, probes=["dimensionality"], settings=SHORT | {"task.n_tasks": 2})
    for entry in study.cells():
        once = run_cell(entry.cell, tmp_path / "one")
        assert once == read(tmp_path / "one", entry.cell.id) == run_cell(entry.cell, tmp_path / "one")
        other = run_cell(entry.cell, tmp_path / "two")
        assert {**once, "cost": None} == {**other, "cost": None}
    there = results.collect(study, tmp_path / "one")
    results.write_study(study, tmp_path / "one", "paper")
    results.write_tables(there, tmp_path / "one")
    folder = tmp_path / "one" / "studies" / "a"
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [row["seed"] for row in rows] == ["0", "1"]
    assert rows[0]["task.n_tasks"] == "2"
    assert rows[0]["training.network.n_units"] == "64"
    assert rows[0]["versions.numpy"] == np.__version__
    for row, entry in zip(rows, study.cells(), strict=True):
        kept = read(tmp_path / "one", entry.cell.id)
        assert kept is not None
        assert float(row["dimensionality.value"]) == kept["numbers"]["dimensionality.value"]
    parquet = pyarrow.parquet.read_table(folder / "table.parquet")
    assert parquet.column_names == list(rows[0])
    assert parquet["dimensionality.value"].to_pylist() == [float(row["dimensionality.value"]) for row in rows]
    results.write_study(study, tmp_path / "one", "paper")
    assert (folder / "table.csv").exists()
    results.write_study(Study(name="a", seeds=1), tmp_path / "one", "paper")
    assert not (folder / "table.csv").exists(), "the table of another study"
    results.write_study(study, tmp_path / "one", "paper")
    again = results.load(tmp_path / "one", "a")
    assert again.rows() == there.rows()
    path = tmp_path / "one" / "studies" / "a" / "study.json"
    path.write_text(path.read_text().replace('"profiles"', '"budgets"'))
    with pytest.raises(ValueError, match="unknown field budgets; did you mean profiles"):
        results.load(tmp_path / "one", "a")


def test_columns_of_the_table_keep_their_type_in_parquet(tmp_path: Path) -> None:
    levels = {"n": {1: {}, 2.5: {"task.latent_correlation": 0.5}}, "kind": {"a": {}, 3: {"training.n_updates": 3}}}
    study = Study(name="a", seeds=1, settings=SHORT | {"task.n_tasks": 2}, axes=levels)
    for entry in study.cells():
        run_cell(entry.cell, tmp_path)
    results.write_tables(results.collect(study, tmp_path), tmp_path)
    table = pyarrow.parquet.read_table(tmp_path / "studies" / "a" / "table.parquet")
    kinds = {name: str(table.schema.field(name).type) for name in ("n", "kind", "seed", "task.n_tasks", "trained")}
    assert kinds == {"n": "double", "kind": "string", "seed": "int64", "task.n_tasks": "int64", "trained": "bool"}
    assert table["n"].to_pylist() == [1.0, 1.0, 2.5, 2.5]


def test_divergence_is_what_was_found(tmp_path: Path) -> None:
    wild = SHORT | {"training.learning_rate": 1e29, "training.clip_norm": None, "training.n_updates": 50}
    (entry,) = Study(name="a", seeds=1, settings=wild, probes=["decoding"]).cells()
    cell = run_cell(entry.cell, tmp_path)
    assert cell["status"] == "diverged"
    assert not cell["numbers"]


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("profile", ["paper", "quick"])
def test_every_study_that_ships_can_be_run_and_drawn(name: str, profile: str) -> None:
    from mtrnn_analysis.studies.figures import check

    study = STUDIES[name]
    cells = study.cells(profile)
    assert len({entry.cell.id for entry in cells}) == len(cells)
    assert study.seeds == 5
    check(study)


def test_the_commands_run_a_study_say_how_far_it_is_and_report(declared: Study, tmp_path: Path, capsys) -> None:
    command = ["study", "run", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out"), "--profile", "quick"]
    assert main([*command, "--n-jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "3 done, 0 diverged, 0 failed, 0 left" in said
    assert (tmp_path / "out" / "report.html").exists()
    assert main(["study", "status", "--out", str(tmp_path / "out")]) == 0
    assert "mine (quick): 3 runs: 3 done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["study", "rn"], "did you mean 'run'"),
        (["study", "status", "--out", "/nowhere"], "holds no studies"),
        (["reproduce"], "give 'all', or some of fig1f"),
        (["reproduce", "fig1"], "'fig1' is not a study of mtrnn reproduce"),
        (["reproduce", "fig1f", "--backend", "dusk"], "did you mean 'dask'"),
        (["reproduce", "fig1f", "--parameters", "x"], "must each be name=value"),
    ],
)
def test_what_cannot_be_done_is_said(command: list[str], message: str, capsys, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_studies_of_the_examples_run_and_are_drawn(path: Path, tmp_path: Path, capsys) -> None:
    command = ["study", "run", str(path), "--out", str(tmp_path), "--profile", "quick", "--n-jobs", "1"]
    assert main(command) == 0
    study = load_study(str(path))
    assert (
        f"{study.name}: {(n := len(study.cells('quick')))} of {n} runs; means over networks" in capsys.readouterr().out
    )
    assert "nothing to draw" not in (report := (tmp_path / "report.html").read_text())
    assert "No network has" not in report
    drawn = {each.stem for each in (tmp_path / "studies" / study.name).glob("*.png")}
    assert drawn == {f"{figure['kind']}-{i}" for i, figure in enumerate(study.figures, 1)}


@pytest.mark.slow
def test_results_of_a_study_are_kept_small(tmp_path: Path, monkeypatch) -> None:
    run_study(load_study(str(EXAMPLES / "10_study.toml")), tmp_path / "out", profile="quick", backend=Backend(n_jobs=1))
    monkeypatch.setattr(sys, "argv", ["keep", str(tmp_path / "out"), "--to", str(tmp_path / "kept")])
    runpy.run_path(str(EXAMPLES / "11_keep_results.py"), run_name="__main__")
    kept = {path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert kept == {"claims.md", "few_tasks/table.csv", "few_tasks/curve-1.png"}
    rows = list(csv.DictReader((tmp_path / "kept" / "few_tasks" / "table.csv").read_text().splitlines()))
    assert [row["network"] for row in rows] == ["leaky RNN", "untrained"]


def test_results_are_shown_in_eight_lines() -> None:
    axes = {"N": {n: {"task.n_tasks": n} for n in range(1, 10)}}
    found = results_of(study_of(axes=axes, seeds=2), lambda labels: {"decoding.value": labels["N"] + labels["seed"]})
    lines = repr(found).splitlines()
    assert lines[0] == "mine: 18 of 18 runs; means over networks"
    assert lines[1].split() == ["N", "networks", "OOD", "r²"]
    assert lines[3].split() == ["2", "2", "2.500"]
    assert (len(lines), lines[-1]) == (8, "... 4 more settings")
    assert "<table" in found._repr_html_()
    nothing = results_of(study_of(seeds=1), lambda labels: {}, diverged=lambda labels: True)
    assert repr(nothing) == "mine: 3 of 3 runs; means over networks"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "settings"),
    [
        ("trial_ppo", {"training.n_iterations": 2, "training.n_trials": 8, "training.evaluate_every": 1}),
        ("recurrent_ppo", {"training.total_steps": 400, "training.n_envs": 8}),
        ("ppo_history", {"training.total_steps": 400, "training.n_envs": 8}),
    ],
)
def test_agents_that_learn_by_reward_are_cells_too(agent: str, settings: dict[str, Any], tmp_path: Path) -> None:
    settings = {"agent": agent, "task.n_tasks": 2, "n_trials": 256, **settings}
    study = Study(name="reward", seeds=1, probes=["decoding"], settings=settings)
    (entry,) = study.cells()
    found = run_cell(entry.cell, tmp_path)
    assert found["status"] == "done"
    assert set(found["curves"]) >= {"history.steps", "history.accuracy", "history.r2_ood"}
    assert np.isfinite(found["numbers"]["decoding.value"])


def test_what_has_changed_under_its_name_is_another_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One's own boundaries are told apart by what they hold, probes and agents by their source."""
    (module := tmp_path / "changing_in_a_test.py").write_text("def probe(hidden): ...")
    monkeypatch.syspath_prepend(tmp_path)
    own: Any = importlib.import_module("changing_in_a_test")
    own.sides = lambda latents: latents[:, :1]
    task = EvidenceTask(n_tasks=1, boundaries="changing_in_a_test:sides")
    cell = Cell(agent="supervised", task=task, training=None, seed=0, probes={"changing_in_a_test:probe": {}})
    first, run = cell.id, cell.run
    assert (cell.id, cell.run) == (first, run)
    own.sides = lambda latents: latents[:, 1:2] - 0.4
    changed = replace(cell, task=EvidenceTask(n_tasks=1, boundaries="changing_in_a_test:sides"))
    assert changed.id != first
    assert changed.run != run
    second = changed.id
    module.write_text("def probe(hidden): return 1")
    assert changed.id != second
    ours = Cell(agent="supervised", task=EvidenceTask(), training=None, seed=0, probes={"ccgp": {}})
    assert "contents" not in ours.identity
