"""Studies that are killed, or told to stop, and begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers import kills

N_KILLS, SEEDS = 6, 4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert kills.started(out, SEEDS).wait(kills.ENOUGH) == 0
    return out


@pytest.mark.slow
def test_killed_at_any_moment_it_comes_to_the_same(tmp_path: Path, undisturbed: Path) -> None:
    made = kills.main(tmp_path, N_KILLS, seed=1, seeds=SEEDS, undisturbed=undisturbed)
    assert sum(made[victim] for victim in ("study", "worker", "worker at its start")) == N_KILLS


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_told_to_stop_it_says_how_to_go_on_and_leaves_no_worker(tmp_path: Path, undisturbed: Path, how: str) -> None:
    """Ctrl-C reaches the study and its workers at once, SIGTERM the study alone."""
    out = tmp_path / "out"
    process = kills.started(out, SEEDS)
    while not list((out / "cells").glob("[!.]*.json")):
        time.sleep(0.05)
    there = kills.workers(process)
    assert there
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    assert process.wait(30) != 0
    log = (tmp_path / "out.log").read_text()
    assert f"of 16 runs are done, in {out}; the same command continues with the rest" in log
    _, alive = psutil.wait_procs(there, timeout=5)
    assert not alive
    assert 0 < len(kills.contents(out)) < 16
    before = kills.times(out)
    assert kills.started(out, SEEDS).wait(kills.ENOUGH) == 0
    assert before.items() <= kills.times(out).items()
    kills.compared(out, undisturbed)


@pytest.mark.slow
def test_two_processes_may_not_run_studies_in_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = kills.started(out, 25 * SEEDS)  # so many that it is still there when the second one begins
    try:
        while not list((out / "cells").glob("[!.]*.json")):
            time.sleep(0.05)
        command = [sys.executable, kills.__file__, "run", str(out), str(SEEDS)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode != 0
        assert f"OSError: out={str(out)!r}: process {process.pid} on " in second.stderr
    finally:
        process.kill()
        process.wait()
