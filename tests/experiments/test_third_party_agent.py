"""A benchmark agent in a package of its own, installed beside our wheel, is found, checked, and ranked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "their-agents"
version = "1.2"
[project.entry-points."mtrnn.entrants"]
theirs = "their_agents:Mean"
"""
AGENT = '''
import numpy as np

class Mean:
    """The side of each line on which the sum of the evidence lies."""
    def __init__(self, task):
        self.task = task
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        total = np.zeros((len(observation), self.task.n_dims)) if state is None else state
        total = np.where(episode_start[:, None], 0, total) + observation[:, 1:]
        return (self.task.boundary.margins(total) > 0).astype(int), total
'''


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two wheels in it, and nothing of this checkout."""
    folder, theirs = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("theirs")
    (theirs / "their_agents").mkdir()
    (theirs / "pyproject.toml").write_text(PYPROJECT)
    (theirs / "their_agents" / "__init__.py").write_text(AGENT)
    for source in (ROOT, theirs):
        options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(folder), str(source)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True)
    return folder


def mtrnn(installed: Path, *args: str, cwd: Path) -> str:
    code = "import sys, mtrnn_envs.experiments.cli.main as cli; print(cli.__file__); sys.exit(cli.main())"
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    where, _, said = done.stdout.partition("\n")
    assert Path(where).is_relative_to(installed)
    return said


@pytest.mark.slow
def test_an_agent_of_a_third_party_is_found_checked_and_ranked(installed: Path, tmp_path: Path) -> None:
    check = "check-agent theirs --bare --settings n6 d5-n3"
    assert "nothing is wrong with theirs" in mtrnn(installed, *check.split(), cwd=tmp_path)
    command = "benchmark --agent theirs --bare --settings n6 --seeds 2 --n-jobs 1"
    said = mtrnn(installed, *command.split(), cwd=tmp_path)
    folder = tmp_path / "results" / "benchmark"
    results = json.loads((folder / "theirs-bare-part.json").read_text())
    assert results["agent"] == "theirs"
    for cell in results["cells"]:
        assert cell["scores"]["performance"] == pytest.approx(1, abs=0.02)
        assert cell["scores"]["abstraction"] == pytest.approx(1, abs=0.02)
    assert "| theirs " in said
    assert "theirs" in (folder / "leaderboard.html").read_text()
    verify = ("--verify", str(folder / "theirs-bare-part.json"), "--runs", "2")
    assert "bit-identical" in mtrnn(installed, "benchmark", *verify, cwd=tmp_path)
