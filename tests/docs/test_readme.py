"""What the README shows runs, and what it claims to print is printed."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtrnn_agents import untrained
from mtrnn_analysis import ProbeResult
from mtrnn_analysis.report import read_leaderboard
from mtrnn_analysis.report.summaries import number
from mtrnn_envs import EvidenceTask, plugins
from mtrnn_envs.experiments.benchmark import runner as benchmark
from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.experiments.studies import runner as running

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


# Third-party code: sb3-contrib's own rollout of few steps.
@pytest.mark.slow
def test_every_snippet_runs_in_order(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(SNIPPETS) == README.count("```python") >= 7
    scope: dict[str, object] = {}
    for snippet in SNIPPETS:
        exec(compile(snippet, "README.md", "exec"), scope)
        printed = capsys.readouterr().out
        for claimed in re.findall(r'print\(f".*?# (.*)', snippet):
            assert claimed.strip() in printed, f"{claimed!r} is not in {printed!r}"


def test_every_picture_and_file_that_is_shown_is_read_leaderboard():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).stat().st_size > 10_000


COMMANDS = re.findall(r"^mtrnn ([^#\n]*)", README, flags=re.MULTILINE)


def test_what_the_shell_is_told_to_train_is_understood(monkeypatch):
    """Every `mtrnn train`, up to training itself."""
    asked = []
    for name in plugins.names("agent"):
        monkeypatch.setattr(plugins.agent(name), "train", lambda *args, **kwargs: asked.append(args))
    commands = [command.split() for command in COMMANDS if command.startswith("train")]
    for command in commands:
        assert main(command) == 0
    assert len(asked) == len(commands) >= 4


def test_what_the_shell_is_told_of_studies_is_understood(monkeypatch):
    """Every study and reproduction, up to running it."""
    asked = []
    monkeypatch.setattr(running, "run_studies", lambda studies, out, **how: asked.append(how["backend"].name))
    monkeypatch.setattr(running, "status", lambda out, name: SimpleNamespace(failed=(), left=0))
    commands = [words for command in COMMANDS if (words := command.split())[0] in ("study", "reproduce")]
    for command in commands:
        if command[1] != "status":
            assert main([*command, "--no-report"]) == 0
    assert {"local", "dask", "ray", "submitit"} == set(asked)
    assert len(asked) == len(commands) - 1 >= 7


def test_what_the_shell_is_told_of_the_benchmark_is_understood(monkeypatch, tmp_path):
    """Every option and setting, up to running it."""
    asked = []
    monkeypatch.setattr(benchmark, "run", lambda agent, out, **how: asked.append(how["settings"]))
    monkeypatch.setattr(benchmark, "load", lambda path: {"cells": [{"refused": {}}]})
    monkeypatch.setattr(benchmark, "verify", lambda path, n: asked.append(path) or [])
    monkeypatch.setattr(plugins, "report", lambda name: lambda out: "")
    commands = [words for command in COMMANDS if (words := command.split())[0] == "benchmark"]
    for command in commands:
        assert main(command) == 0
    assert len(asked) == len(commands) == 4
    assert asked[1] == ("n6", "delay")


@pytest.mark.slow
def test_what_the_shell_is_told_of_recordings_and_probes_does_what_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    untrained(EvidenceTask(n_tasks=4, stimulus=5), 0).save("results/mine/agent.safetensors")
    commands = [words for command in COMMANDS if (words := command.split())[0] in ("record", "probe")]
    assert [command[0] for command in commands] == ["record", "probe", "probe"]
    monkeypatch.setitem(sys.modules, "my_module", SimpleNamespace(spread=spread))
    for command in commands:
        assert main(command) == 0
    printed = capsys.readouterr().out
    rows = README.partition("| probe | asks |")[2].partition("\n\n")[0]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|( `.*?)\|", rows, flags=re.MULTILINE)))
    assert set(listed) == set(plugins.names("probe"))
    for name in {*listed, "my_module:spread"} - {"chronometric", "speed_accuracy", "drift_diffusion"}:  # reaction time
        assert re.search(rf"^{name} +-?[\d.e+]+", printed, flags=re.MULTILINE), name


def spread(states, rng):
    return ProbeResult(value=float(states.std()), n=len(states), settings={})


def test_no_number_is_missing():
    assert not re.search(r"\b(TABLE|SPEED\d?|TODO)\b", README)


def test_the_two_commands_are_targets_of_make():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_the_leaderboard_is_that_of_the_files_that_are_kept():
    rows = [line.split(" | ") for line in README.splitlines() if line.startswith("| `")]
    shown = {row[0].strip("|` "): [cell.strip(" |") for cell in row[1:]] for row in rows}
    agents = read_leaderboard(ROOT / "examples" / "benchmark")
    for agent in agents:
        scores = ["" if each is None else number(each.value) for each in agent.scores.values()]
        assert shown[agent.name][: len(scores)] == scores, agent.name
    assert [name for name in shown if name in {agent.name for agent in agents}] == [agent.name for agent in agents]
