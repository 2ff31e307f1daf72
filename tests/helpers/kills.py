"""A study that is killed at random moments, again and again, comes to what it comes to undisturbed.

python tests/helpers/kills.py 50          # so many kills, of the process that runs it or of one of its workers
python tests/helpers/kills.py run FOLDER SEEDS
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from mtrnn_envs.experiments.studies.backends import Backend
from mtrnn_envs.experiments.studies.runner import run_study
from mtrnn_envs.experiments.studies.study import Study

ENOUGH = 300  # seconds after which what has not ended hangs


def study(seeds: int) -> Study:
    """Cells of some tenths of a second: what is killed between two saves begins anew."""
    training = {"n_updates": 200, "batch_size": 8, "evaluate_every": 100, "network.n_units": 16}
    return Study(
        name="killed",
        seeds=seeds,
        probes=["dimensionality"],
        settings={"task.encoder": None, "n_trials": 64, **{f"training.{name}": v for name, v in training.items()}},
        axes={
            "N": {2: {"task.n_tasks": 2}, 3: {"task.n_tasks": 3}},
            "trained": {"yes": {"trained": True}, "no": {"trained": False}},
        },
    )


def started(out: Path, seeds: int) -> subprocess.Popen[bytes]:
    """The study, in a process of its own that has a group of its own, as a shell would begin it."""
    command = [sys.executable, __file__, "run", str(out), str(seeds)]
    with (out.parent / f"{out.name}.log").open("ab") as log:
        return subprocess.Popen(command, stderr=log, stdout=log, start_new_session=True)


def workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [child for child in children if "LokyProcess" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def contents(out: Path) -> dict[str, Any]:
    """What the cells hold, but for what they cost; every file must be whole."""
    cells = {path.name: json.loads(path.read_text()) for path in sorted((out / "cells").glob("[!.]*.json"))}
    for path in [*(out / "failures").glob("[!.]*.json"), *(out / "studies").glob("*/[!.]*.json")]:
        json.loads(path.read_text())
    return {name: {key: value for key, value in cell.items() if key != "cost"} for name, cell in cells.items()}


def times(out: Path) -> dict[str, int]:
    """When each cell was written."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "cells").glob("[!.]*.json")}


def killed(out: Path, seeds: int, kills: int, generator: random.Random) -> dict[str, int]:
    """Runs the study to its end, and kills it up to so many times; what was killed how often."""
    made = {"study": 0, "worker": 0, "worker at its start": 0}
    process, seen, written = started(out, seeds), set[psutil.Process](), dict[str, int]()
    while sum(made.values()) < kills and process.poll() is None:
        if generator.random() < 0.2:
            time.sleep(generator.uniform(0, 3))  # it may not have begun its workers, or not have imported anything
        else:
            while not (there := workers(process)) and process.poll() is None:
                time.sleep(0.02)
            seen |= set(there)
            time.sleep(generator.uniform(0, 4))
        there = workers(process)
        seen |= set(there)
        if generator.random() < 0.6 and there:
            victim = generator.choice(there)
            young = time.time() - victim.create_time() < 2
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
            made["worker at its start" if young else "worker"] += 1
        elif process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            made["study"] += 1
            contents(out)
            process = started(out, seeds)
        for name, when in times(out).items():
            assert written.setdefault(name, when) == when, f"{name} was written twice"
    assert process.wait(ENOUGH) == 0, (out.parent / f"{out.name}.log").read_text()[-3000:]
    later = times(out)
    assert {name: later[name] for name in written} == written, "cells that were done were written again"
    _, alive = psutil.wait_procs(list(seen), timeout=10)
    assert not alive, f"workers are left: {alive}"
    return made


def compared(out: Path, other: Path) -> None:
    """Raises if what there is in two folders differs, or a killed process left anything behind."""
    assert contents(out) == contents(other)
    for name in ("table.csv", "table.parquet"):
        mine, theirs = ((folder / "studies" / "killed" / name).read_bytes() for folder in (out, other))
        assert mine == theirs, name
    left = [path for part in ("cells", "failures", "studies") for path in (out / part).rglob(".tmp-*")]
    assert not left, left


def main(folder: Path, kills: int, seed: int, seeds: int, undisturbed: Path | None = None) -> dict[str, int]:
    """Makes so many kills, in as many runs of the study as that takes, and compares each; what was killed how often."""
    if undisturbed is None:
        undisturbed = folder / "undisturbed"
        assert started(undisturbed, seeds).wait(ENOUGH) == 0
    made: dict[str, int] = {}
    generator, i = random.Random(seed), 0
    while sum(made.values()) < kills:
        out = folder / f"killed-{i}"
        for victim, n in killed(out, seeds, kills - sum(made.values()), generator).items():
            made[victim] = made.get(victim, 0) + n
        compared(out, undisturbed)
        i += 1
    return made | {"runs": i, "cells": len(contents(undisturbed))}


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run_study(study(int(sys.argv[3])), sys.argv[2], backend=Backend(n_jobs=2), progress=False)
    else:
        n = int(sys.argv[1])
        with tempfile.TemporaryDirectory() as folder:
            begun = time.time()
            print(main(Path(folder), n, seed=0, seeds=max(4, n // 2)), f"{time.time() - begun:.0f} s")
