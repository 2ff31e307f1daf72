"""Studies come to the same on every backend; what fails is kept and tried again; what cannot be is said first."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.needed import needed

from mtrnn_envs import EvidenceTask, plugins
from mtrnn_envs.experiments.studies import Backend, Study, backends, folder, results, run_studies, run_study, status
from mtrnn_envs.experiments.studies import runner as running
from mtrnn_envs.experiments.studies.cell import Cell, read, run_cell
from mtrnn_envs.experiments.studies.folder import NotShared
from mtrnn_envs.experiments.studies.runner import run_cells

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray")
HERE, TWO = Backend(), Backend(n_jobs=2)
QUICK = {"training.n_updates": 20, "training.batch_size": 4, "training.evaluate_every": 10, "n_trials": 64}
QUICK |= {"task.encoder": None, "training.network.n_units": 8}
PLUGIN = '''
import os
from dataclasses import dataclass, field

@dataclass(frozen=True)
class Found:
    value: float = 1.0
    null: tuple = ()
    p: float = 1.0
    n: int = 1
    settings: dict = field(default_factory=dict)

def _seen(folder, seed):
    """How often this was called before, for this seed."""
    path = os.path.join(folder, f"{seed}.seen")
    with open(path, "a+") as file:
        file.seek(0)
        before = len(file.read())
        file.write("x")
    return before

def flaky(recording, task, *, folder="", times=1, errno=0):
    if task.boundary_seed == 1 and _seen(folder, 1) < times:
        raise OSError(errno, "it does not work") if errno else RuntimeError("it does not work")
    return Found()
'''


@pytest.fixture(autouse=True)
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are made in this process, except in tests of workers (slow): workers take seconds to begin."""
    if request.node.get_closest_marker("slow"):
        return

    def submit(call: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call())
        return future

    monkeypatch.setattr(backends.Backend, "pool", lambda backend: nullcontext(backends.Pool(1, submit)))


@pytest.fixture
def flaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A probe that fails for the network of seed 1, as often as it is told."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "a_plugin_of_tests.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(folder)
    return "a_plugin_of_tests:flaky"


def study(name: str = "few", seeds: int = 2, **fields: Any) -> Study:
    axes = {"trained": {"no": {"trained": False}, "yes": {"trained": True}}}
    settings = {**QUICK, "task.n_tasks": 2, **fields.pop("settings", {})}
    return Study(name=name, seeds=seeds, settings=settings, **{"axes": axes, "probes": ["dimensionality"], **fields})


def contents(out: Path) -> dict[str, Any]:
    """What the cells hold, but for what they cost."""
    cells = {path.name: json.loads(path.read_text()) for path in (out / "cells").glob("*.json")}
    return {name: {key: value for key, value in cell.items() if key != "cost"} for name, cell in cells.items()}


def tables(out: Path, name: str = "few") -> list[bytes]:
    return [(out / "studies" / name / f"table.{kind}").read_bytes() for kind in ("csv", "parquet")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What comes of the study, cell after cell, in this process."""
    out = tmp_path_factory.mktemp("alone")
    for entry in study().cells():
        run_cell(entry.cell, out)
    results.write_tables(results.collect(study(), out), out)
    return out


@pytest.fixture(params=["local", "dask", "ray", "submitit"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "local":
        yield TWO
    elif request.param == "dask":
        distributed = needed("distributed")
        settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with distributed.LocalCluster(**settings, silence_logs=50) as cluster:
            yield Backend(name="dask", address=cluster.scheduler_address)
    elif request.param == "ray":
        needed("ray", sys.version_info < (3, 14))
        yield Backend(name="ray", n_jobs=2)
    else:
        needed("submitit")
        yield Backend(name="submitit", n_jobs=2, parameters={"cluster": "local"})


@pytest.mark.slow
def test_every_backend_comes_to_the_same(tmp_path: Path, alone: Path, backend: Backend) -> None:
    results = run_study(study(), tmp_path, backend=backend, progress=False)
    assert results.n_cells == len(results.rows()) == 4
    assert results.column("status") == ["done"] * 4
    assert contents(tmp_path) == contents(alone)
    assert tables(tmp_path) == tables(alone)
    assert not list(tmp_path.glob(".run-*"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    run_study(study(), tmp_path, backend=backend, progress=False)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()} == before


def test_agents_trained_together_first(tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU each is trained as it is by itself, so that all must be equal."""
    plugin: Any = plugins.agent("supervised")
    given = []
    ensemble = plugin.ensemble

    def counted(runs: Any, *args: Any, **how: Any) -> Any:
        given.append(len(runs))
        return ensemble(runs, *args, n_jobs=1, **how)

    monkeypatch.setattr(plugin, "ensemble", counted)
    run_study(study(), tmp_path, backend=HERE, progress=False, device="cpu")
    assert given == [2]
    assert contents(tmp_path) == contents(alone)
    assert tables(tmp_path) == tables(alone)
    costs = [json.loads(path.read_text())["cost"] for path in (tmp_path / "cells").iterdir()]
    assert len({cost["training_wall_s"] for cost in costs if "training_wall_s" in cost}) == 1  # shared out evenly


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "dask"])
def test_workers_train_the_agents_that_are_trained_together(tmp_path: Path, alone: Path, name: str) -> None:
    needed("distributed")
    run_study(study(), tmp_path, backend=Backend(name=name, n_jobs=1), progress=False, device="cpu")
    assert contents(tmp_path) == contents(alone)
    costs = [json.loads(path.read_text()) for path in (tmp_path / "agents").glob("*/cost.json")]
    assert [cost["device"] for cost in costs] == ["cpu", "cpu"]
    rows = (tmp_path / "studies" / "few" / "costs.csv").read_text().splitlines()
    assert rows[0].split(",")[-1] == "training_device"
    assert sorted(row.split(",")[-1] for row in rows[1:]) == ["", "", "cpu", "cpu"]


def test_a_device_that_is_not_there_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="device='nowhere' cannot be used here"):
        run_study(study(seeds=1), tmp_path, backend=HERE, progress=False, device="nowhere")
    assert not list(tmp_path.iterdir())
    # A device that is there, but is none that networks are trained on together.
    run_study(study(seeds=1), tmp_path, backend=HERE, progress=False, device="meta")
    assert "1 agents are trained one by one, not together on meta: ValueError: device='meta'" in capfd.readouterr().err
    assert len(contents(tmp_path)) == 2


def test_what_could_not_be_drawn_or_judged_is_said_before_anything_is_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"claims\[0\] has no measure"):
        run_study(study(claims=[{"text": "x"}]), tmp_path, backend=HERE, progress=False)
    with pytest.raises(ValueError, match=r"figures\[0\] has no x"):
        run_study(study(figures=[{"kind": "curve"}]), tmp_path, backend=HERE, progress=False)
    assert not list(tmp_path.iterdir())


def test_studies_share_cells_and_end_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = study("first", seeds=1), study("second", seeds=2)
    ended, write = [], running.results.write_tables

    def noted(results: Any, out: Path) -> None:
        ended.append((results.study.name, len(results.rows()), len(contents(out))))
        write(results, out)

    monkeypatch.setattr(running.results, "write_tables", noted)
    both = run_studies([first, second], tmp_path, backend=HERE, progress=False)
    assert [len(each.rows()) for each in both] == [2, 4]
    assert [name for name, _, _ in ended] == ["first", "second"]
    assert ended[0][1] == 2
    assert len(contents(tmp_path)) == 4
    with pytest.raises(ValueError, match=r"names=\['first', 'first'\] of studies must differ"):
        run_studies([first, first], tmp_path)


def test_what_fails_once_is_tried_again(tmp_path: Path, flaky: str, capfd: pytest.CaptureFixture[str]) -> None:
    once = study(probes={flaky: {"folder": str(tmp_path), "times": 1}}, axes={})
    run_study(once, tmp_path / "out", backend=HERE, progress=False)
    ids = [entry.cell.id for entry in once.cells()]
    assert f"run {ids[1]} failed: RuntimeError: it does not work; it is tried again later" in capfd.readouterr().err
    (failure,) = (tmp_path / "out" / "failures").iterdir()
    (attempt,) = json.loads(failure.read_text())
    assert failure.stem == ids[1]
    assert attempt["kind"] == "RuntimeError"
    assert 'raise OSError(errno, "it does not work") if errno else RuntimeError' in attempt["traceback"]
    assert attempt["host"]
    found = status(tmp_path / "out", "few")
    assert (found.done, found.diverged, found.failed, found.left) == (2, 0, {}, 0)


def test_what_always_fails_leaves_the_rest_alone(tmp_path: Path, flaky: str) -> None:
    """And is tried again when the study is run again."""
    never = study(probes={flaky: {"folder": str(tmp_path), "times": 3}}, axes={}, seeds=3)
    out = tmp_path / "out"
    results = run_study(never, out, backend=HERE, progress=False)
    assert (results.column("seed"), results.n_cells) == ([0, 2], 3)
    found = status(out, "few")
    failed = never.cells()[1].cell.id
    assert (found.n_cells, found.done, found.left) == (3, 2, 0)
    assert found.failed == {failed: "RuntimeError: it does not work"}
    assert found.cpu_s > 0
    assert str(found).splitlines()[0] == "few: 3 runs: 2 done, 0 diverged, 1 failed, 0 left"
    assert str(found).splitlines()[-1] == f"  {failed}: RuntimeError: it does not work"
    assert len(tables(out)[0].splitlines()) == 3
    results = run_study(never, out, backend=HERE, progress=False)  # the third time it fails, the fourth it does not
    assert results.column("seed") == [0, 1, 2]
    assert len(json.loads((out / "failures" / f"{failed}.json").read_text())) == 3
    assert status(out, "few").failed == {}


def test_a_full_disk_stops_the_study(tmp_path: Path, flaky: str) -> None:
    """It says so, and the same call goes on once there is room."""
    full = study(probes={flaky: {"folder": str(tmp_path), "times": 1, "errno": 28}}, axes={}, seeds=4)
    out = tmp_path / "out"
    with pytest.raises(
        OSError, match=r"nothing more can be written to .*: \[Errno 28\] it does not work; finished runs are kept"
    ):
        run_study(full, out, backend=HERE, progress=False)
    assert len(contents(out)) < 4
    assert not (out / "failures").exists()
    assert status(out, "few").left > 0
    assert len(run_study(full, out, backend=HERE, progress=False).rows()) == 4


def test_a_disk_that_is_full_for_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running.results, "write_tables", full)
    with pytest.raises(OSError, match="nothing more can be written to"):
        run_study(study(seeds=1), tmp_path, backend=HERE, progress=False)
    monkeypatch.undo()
    assert len(run_study(study(seeds=1), tmp_path, backend=HERE, progress=False).rows()) == 2


def test_divergence_is_found_and_not_tried_again(tmp_path: Path) -> None:
    wild = {"training.learning_rate": 1e30, "training.clip_norm": None, "training.n_updates": 100}
    results = run_study(study(settings=wild, axes={}, seeds=1), tmp_path, backend=HERE, progress=False)
    assert results.column("status") == ["diverged"]
    assert not (tmp_path / "failures").exists()
    found = status(tmp_path, "few")
    assert (found.done, found.diverged, found.left) == (0, 1, 0)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = [tmp_path / "file" / "out", Path("/proc/nothing")]
    if os.geteuid() != 0:  # who is root may write in spite of the mode
        places.append(tmp_path / "read-only")
        places[-1].mkdir(mode=0o500)
    for place in places:
        with pytest.raises(OSError, match=rf"out='{place}' cannot be written to: .*; give another folder"):
            run_study(study(), place, backend=HERE, progress=False)


def test_one_writer_a_folder(tmp_path: Path) -> None:
    with (
        folder.locked(tmp_path),
        pytest.raises(OSError, match=rf"process {os.getpid()} on .* is running there; wait"),
    ):
        run_study(study(), tmp_path, backend=HERE, progress=False)
    with folder.locked(tmp_path):
        pass


def test_room_is_made_before_anything_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda _: SimpleNamespace(free=50_000_000))
    with pytest.raises(ValueError, match=r"has 50 MB free; 4 runs need 100 MB: make room, or give another folder"):
        run_study(study(), tmp_path, backend=HERE, progress=False)
    assert not list(tmp_path.glob("cells/*"))


def test_workers_that_do_not_see_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has another folder of this name."""
    with pytest.raises(NotShared, match=r"does not see .* as the process that runs the studies does"):
        running._one(tmp_path, ".run-x", study().cells()[0].cell)
    monkeypatch.setattr(Path, "touch", lambda self: None)
    with pytest.raises(OSError, match="give a folder that all machines share"):
        run_study(study(), tmp_path, backend=HERE, progress=False)


def test_what_there_is_not_is_said_before_anything_is_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"probes": ["dimensionalit"]}, "did you mean 'dimensionality'"),
        (
            {"probes": {"dimensionality": {"n_nul": 3}}},
            "'n_nul' is not a setting of probe 'dimensionality'; did you mean",
        ),
    ]
    for fields, sentence in wrong:
        with pytest.raises(ValueError, match=sentence):
            run_study(study(**fields), out, progress=False)
    task, other = EvidenceTask(), plugins.agent("trial_ppo").Training()
    cells = {
        "training is a .*; agent 'supervised' is trained with a Training": Cell(
            agent="supervised", task=task, training={}, seed=0
        ),
        "did you mean 'supervised'": Cell(agent="supervise", task=task, training=other, seed=0),
    }
    for sentence, cell in cells.items():
        with pytest.raises(ValueError, match=sentence):
            run_cells({"a": [cell]}, out, progress=False)
    with pytest.raises(ValueError, match="retries=-1 is not a whole number, 0 or more"):
        run_study(study(), out, retries=-1)
    assert not out.exists()


def test_what_killed_processes_left_is_removed(tmp_path: Path, alone: Path) -> None:
    """But in the folder of an agent that another process trains now, as one on a cluster may."""
    from filelock import FileLock

    names = ["cells/.tmp-a.json", "failures/.tmp-b", "studies/few/.tmp-c.csv", ".run-old", "agents/x/.tmp-d"]
    held = tmp_path / "agents" / "y" / ".tmp-e"
    for path in [*(tmp_path / name for name in names), held]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    with FileLock(held.parent / ".lock"):
        run_study(study(seeds=1), tmp_path, backend=HERE, progress=False)
    assert [name for name in names if (tmp_path / name).exists()] == []
    assert held.exists()


def test_a_file_that_is_no_cell_is_named(tmp_path: Path) -> None:
    run_study(study(seeds=1), tmp_path, backend=HERE, progress=False)
    path = next((tmp_path / "cells").glob("*.json"))
    for text in ("{", path.read_text().replace('"done"', '"dnoe"')):
        path.write_text(text)
        with pytest.raises(
            ValueError, match=rf"{path.name} is not a whole cell: .*; remove it and run the study again"
        ):
            run_study(study(seeds=1), tmp_path, backend=HERE, progress=False)
    path.write_text('{"schema": 99}')
    with pytest.raises(ValueError, match=r"schema 99; this version reads schema 1"):
        read(tmp_path, path.stem)
    assert read(tmp_path, "another") is None


def test_a_bar_says_how_far_it_is(tmp_path: Path, alone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError):
        status(tmp_path, "few")
    run_study(study(), tmp_path, backend=HERE, progress=True)
    assert "4/4" in capfd.readouterr().err
