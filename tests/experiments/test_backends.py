"""Every backend ends each job exactly once, whichever workers die; a third party's backend is one function."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.experiments.studies.backends import DEATHS, Backend, Failure, Unreachable, outcomes

# submitit's jobs are processes that are not waited for; a file of theirs that is not closed is its own.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray")
LOCAL = Backend(n_jobs=2)
HERE = "test_backends"


def square(n: int) -> tuple[int, int, str | None]:
    return n * n, os.getpid(), os.environ.get("OMP_NUM_THREADS")


def odd_ones_fail(n: int) -> int:
    if n == 1:
        raise Unpicklable(lambda: n)
    if n == 3:
        sys.exit("no more")
    return n


class Unpicklable(Exception):
    pass


def dies(job: tuple[int, Path, int]) -> int:
    """Job 2 kills its process so many times; deaths are counted in a file."""
    n, path, times = job
    if n == 2 and (deaths := path.read_text().count("x") if path.exists() else 0) < times:
        path.write_text("x" * (deaths + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def slow(n: int) -> int:
    time.sleep(600)
    return n


def pid_and_sleep(path: Path) -> None:
    (path / str(os.getpid())).touch()
    time.sleep(600)


@pytest.fixture(scope="module", params=["local-1", "local-2", "dask", "ray", "submitit"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Each backend; dask's scheduler and two workers are processes that we know by an address alone."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        if request.param.startswith("local"):
            yield Backend(n_jobs=int(request.param[-1]))
        elif request.param == "dask":
            distributed = pytest.importorskip("distributed")
            settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
            with distributed.LocalCluster(**settings, silence_logs=50) as cluster:
                assert cluster.scheduler_address.startswith("tcp://")
                yield Backend(name="dask", address=cluster.scheduler_address)
        elif request.param == "ray":
            ray = pytest.importorskip("ray")
            before = signal.getsignal(signal.SIGTERM)  # which Ray takes for itself
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            yield Backend(name="ray")
            ray.shutdown()
            signal.signal(signal.SIGTERM, before)
        else:
            submitit = pytest.importorskip("submitit")
            patch.setattr(submitit.Job, "_results_timeout_s", 1)  # it is given 15 s for a file to be seen elsewhere
            folder = tmp_path_factory.mktemp("submitit")
            yield Backend(name="submitit", n_jobs=2, folder=folder, parameters={"cluster": "local"})


def ended(work: Callable[[Any], Any], jobs: Any, backend: Backend, said: list[str] | None = None) -> dict[int, Any]:
    """What came of each job; each must have ended once."""
    pairs = list(outcomes(work, jobs, backend, [].append if said is None else said.append))
    assert Counter(i for i, _ in pairs).most_common(1)[0][1] == 1
    return dict(pairs)


def test_every_job_ends_once_in_other_processes_with_one_thread(backend: Backend) -> None:
    found = ended(square, range(7), backend)
    assert {i: value for i, (value, _, _) in found.items()} == {i: i * i for i in range(7)}
    assert os.getpid() not in {pid for _, pid, _ in found.values()}
    assert {threads for _, _, threads in found.values()} == {"1"}


def test_what_a_job_raises_is_its_outcome(backend: Backend) -> None:
    found = ended(odd_ones_fail, range(5), backend)
    assert [found[i] for i in (0, 2, 4)] == [0, 2, 4]
    assert (found[1].kind, found[3].kind, found[3].message) == ("Unpicklable", "SystemExit", "no more")
    assert "raise Unpicklable(lambda: n)" in found[1].text
    assert found[1].host
    assert not found[1].unwritable


def test_a_job_whose_worker_dies_is_begun_again(tmp_path: Path, backend: Backend) -> None:
    said: list[str] = []
    found = ended(dies, [(n, tmp_path / "deaths", 1) for n in range(5)], backend, said)
    assert found == {n: n for n in range(5)}
    assert (tmp_path / "deaths").read_text() == "x"
    if backend.name == "local":  # which alone knows for certain whose job it was
        assert [sentence.partition(" or ")[0] for sentence in said] == ["a worker died"]


def test_a_job_that_kills_its_worker_every_time_has_failed_and_no_other(tmp_path: Path) -> None:
    said: list[str] = []
    found = ended(dies, [(n, tmp_path / "deaths", 100) for n in range(8)], LOCAL, said)
    failure = found.pop(2)
    assert found == {n: n for n in range(8) if n != 2}
    assert failure.kind == "death"
    assert "each worker that ran it died; out of memory?" in failure.message
    assert (tmp_path / "deaths").read_text() == "x" * DEATHS
    assert len(said) == DEATHS - 1


def test_jobs_are_taken_when_there_is_room() -> None:
    taken = []

    def jobs() -> Iterator[int]:
        for n in range(50):
            taken.append(n)
            yield n

    with closing(outcomes(square, jobs(), LOCAL, print)) as found:
        for k, _ in enumerate(found):
            assert len(taken) <= k + 2
            if k == 10:
                break


def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    work = outcomes(_first_at_once, [tmp_path, *[tmp_path] * 5], LOCAL, print)
    assert next(work)[1] is None
    while not (pids := list(tmp_path.glob("[0-9]*"))):
        time.sleep(0.02)
    processes = [psutil.Process(int(path.name)) for path in pids]
    begun = time.time()
    work.close()
    assert time.time() - begun < 10
    assert not psutil.wait_procs(processes, timeout=5)[1]


def _first_at_once(path: Path) -> None:
    try:
        (path / "first").touch(exist_ok=False)
    except FileExistsError:
        pid_and_sleep(path)


def test_a_job_whose_worker_is_told_to_stop_is_begun_again(tmp_path: Path) -> None:
    said: list[str] = []
    work = partial(_interrupted_once, tmp_path)
    assert sorted(outcomes(work, range(3), Backend(n_jobs=2), said.append)) == [(0, 0), (1, 1), (2, 2)]
    assert said == ["a worker was told to stop; its job is restarted"]


def _interrupted_once(path: Path, n: int) -> int:
    try:
        (path / "first").touch(exist_ok=False)
    except FileExistsError:
        return n
    raise KeyboardInterrupt("saved")


def test_an_interrupt_in_every_worker_interrupts(backend: Backend) -> None:
    with pytest.raises(KeyboardInterrupt, match="saved"):
        list(outcomes(_interrupted, range(3), backend, print))


def _interrupted(n: int) -> int:
    raise KeyboardInterrupt("saved")


@pytest.mark.parametrize(
    ("error", "unwritable"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError(30, "Read-only file system"), True),
        (PermissionError(13, "Permission denied"), False),
        (OSError("a.safetensors cannot be written: I/O error: No space left on device (os error 28)"), True),
        (OSError('IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })'), True),
        (ValueError("code: 2, 28 trials"), False),
    ],
)
def test_what_cannot_be_written_is_known_through_what_it_caused(error: Exception, unwritable: bool) -> None:
    assert Failure.of(error).unwritable == unwritable
    outer = RuntimeError("training failed")
    outer.__cause__ = error
    assert Failure.of(outer).unwritable == unwritable
    other = RuntimeError("while handling")
    other.__context__ = outer
    assert Failure.of(other).unwritable == unwritable


def test_a_full_disk() -> None:
    """/dev/full takes nothing."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with pytest.raises(OSError, match="No space left") as raised, open("/dev/full", "w") as full:
        full.write("x")
    assert Failure.of(raised.value).unwritable


def test_a_cluster_that_is_not_there_or_goes_away() -> None:
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s", "distributed.comm.retry.count": 0}),
        pytest.raises(Unreachable, match=r"address='tcp://127.0.0.1:9': no dask scheduler answers there"),
    ):
        list(outcomes(square, range(2), Backend(name="dask", address="tcp://127.0.0.1:9"), print))
    settings = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(**settings) as cluster:
        work = outcomes(square, range(9), Backend(name="dask", address=cluster.scheduler_address, n_jobs=1), print)
        next(work)
    with pytest.raises(Unreachable, match="is gone; restart it, and repeat the command"):
        list(work)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "slurm"},
            "'slurm' is not a name of entry-point group mtrnn.backends; the names are dask, local, ray",
        ),
        ({"name": f"{HERE}:square"}, r"square' requires 'n'; it can take n_jobs, address, folder, parameters"),
        ({"n_jobs": 0}, "n_jobs=0 is not a whole number, 1 or more"),
        ({"address": "tcp://a:1"}, "address='tcp://a:1': backend 'local' has no address; leave it out"),
        ({"name": "ray", "parameters": {"x": 1}}, "parameters={'x': 1}: backend 'ray' has no parameters; leave it out"),
        ({"name": "submitit"}, "folder=None: submitit needs a folder"),
        *(
            ({"name": "submitit", "folder": "here", "parameters": wrong}, "parameters={.*")
            for wrong in ({"cluster": "here"}, {"slurm_partitio": "x"}, {"timeout_min": "long"})
        ),
        (
            {"name": "submitit", "folder": "here", "parameters": {"slurm_partition": "cpu"}},
            r"slurm_partition.*: SLURM is not installed here; cluster=local runs all jobs on this machine",
        ),
    ],
)
def test_invalid_options_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # without srun, wherever this is run
    options = {name: Path(value) if name == "folder" else value for name, value in options.items()}
    with pytest.raises(ValueError, match=message):
        list(outcomes(square, [1], Backend(**options), print))


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("dask", "distributed", "cluster"), ("local", "joblib", "studies")]
)
def test_a_missing_package_is_named(name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'needs {module}: pip install "mtrnn-envs\[{extra}\]"'):
        list(outcomes(square, [1], Backend(name=name), print))


THIRD_PARTY = """
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from mtrnn_envs.experiments.studies.backends import Pool

@contextmanager
def threads(n_jobs, parameters):
    with ThreadPoolExecutor(n_jobs) as executor:
        yield Pool(n_jobs, executor.submit)
    Path(parameters["log"]).write_text("closed")
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that registers the backend "threads"."""
    info = tmp_path / "site" / "their_backend-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mtrnn.backends]\nthreads = their_backend:threads\n")
    (tmp_path / "site" / "their_backend.py").write_text(THIRD_PARTY)
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("name", ["threads", "their_backend:threads"])
def test_a_third_partys_backend_runs_jobs(name: str, tmp_path: Path) -> None:
    backend = Backend(name=name, n_jobs=2, parameters={"log": str(tmp_path / "log")})
    found = ended(odd_ones_fail, range(5), backend)
    assert [found[i] for i in (0, 2, 4)] == [0, 2, 4]
    assert (found[1].kind, found[3].kind) == ("Unpicklable", "SystemExit")
    assert (tmp_path / "log").read_text() == "closed"
    with pytest.raises(ValueError, match=f"address='a': backend '{name}' has no address"):
        Backend(name=name, address="a")


@pytest.mark.usefixtures("third_party")
def test_a_third_partys_backend_runs_a_study_from_the_shell(tmp_path: Path) -> None:
    small = "n_trials = 64\ntrained = false"
    (tmp_path / "tiny.toml").write_text(f'name = "tiny"\nseeds = 2\nprobes = ["dimensionality"]\n[settings]\n{small}\n')
    command = ["study", "run", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "out"), "--no-report"]
    options = ["--backend", "threads", "--n-jobs", "1", "--parameters", f"log={tmp_path / 'log'}"]
    assert main([*command, *options]) == 0
    assert (tmp_path / "log").read_text() == "closed"
    assert len((tmp_path / "out" / "studies" / "tiny" / "table.csv").read_text().splitlines()) == 3
