"""The README is one page, and what it and the documentation show runs, and prints what they claim."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.pages import COMMANDS, PAGES, README, ROOT, SNIPPETS

from mtrnn_agents import untrained
from mtrnn_analysis import ProbeResult
from mtrnn_envs import EvidenceTask, plugins
from mtrnn_envs.experiments.benchmark import runner as benchmark
from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.experiments.studies import runner as running


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120
    assert len(README.encode()) <= 8192


@pytest.mark.slow
@pytest.mark.parametrize("page", SNIPPETS)
def test_every_snippet_runs_in_order(page: str, capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "examples")])
    scope: dict[str, object] = {"__name__": "docs"}
    for snippet in SNIPPETS[page]:
        exec(compile(snippet, page, "exec", dont_inherit=True), scope)
        printed = capsys.readouterr().out
        for claimed in re.findall(r'print\(f".*?# (.*)', snippet):
            assert claimed.strip() in printed, f"{claimed!r} is not in {printed!r}"


def test_every_picture_and_file_that_is_named_is_there() -> None:
    for page, text in PAGES.items():
        for path in re.findall(r"!\[.*?\]\((?!https)(.*?)\)", text):
            assert (ROOT / page).parent.joinpath(path).resolve().stat().st_size > 10_000, (page, path)
        for path in re.findall(r"examples/[\w./-]+\w", text):
            assert (ROOT / path).exists(), (page, path)
        assert not re.search(r"\b(TABLE|SPEED\d?|TODO|\w+-CMD)\b", text), f"a number is missing in {page}"


def test_every_picture_is_shown() -> None:
    text = "".join(PAGES.values())
    assert [path.name for path in (ROOT / "docs" / "images").iterdir() if path.name not in text] == []


def commands(*names: str) -> list[list[str]]:
    return [words for words in COMMANDS if words[0] in names]


def test_commands_of_training_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `mtrnn train`, up to training itself."""
    asked = []
    for name in plugins.names("agent"):
        monkeypatch.setattr(plugins.agent(name), "train", lambda *args, **kwargs: asked.append(args))
    for command in commands("train"):
        assert main(command) == 0
    assert len(asked) == len(commands("train")) >= 4


def test_commands_of_studies_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every study and reproduction, up to running it."""
    asked = []
    monkeypatch.setattr(running, "run_studies", lambda studies, out, **how: asked.append(how["backend"].name) or [])
    monkeypatch.setattr(running, "status", lambda out, name: SimpleNamespace(failed=(), left=0))
    for command in commands("study", "reproduce"):
        if command[1] != "status":
            assert main([*command, "--no-report"]) == 0
    assert {"local", "dask", "ray", "submitit"} == set(asked)
    assert len(asked) >= 7


def test_commands_of_the_benchmark_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option and setting, up to running it."""
    asked = []
    monkeypatch.setattr(benchmark, "run_benchmark", lambda agent, out, **how: asked.append(how["settings"]))
    monkeypatch.setattr(benchmark, "load_results", lambda path: {"cells": [{"refused": {}}]})
    monkeypatch.setattr(benchmark, "verify", lambda path, n: asked.append(path) or [])
    monkeypatch.setattr(plugins, "report", lambda name: lambda out: "")
    for command in commands("benchmark"):
        assert main(command) == 0
    assert len(asked) == len(commands("benchmark")) >= 4
    assert ("n6", "delay") in asked


@pytest.mark.slow
def test_commands_of_recordings_and_probes_do_what_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    untrained(EvidenceTask(n_tasks=4, stimulus=5), 0).save("results/mine/agent.safetensors")
    monkeypatch.setitem(sys.modules, "my_module", SimpleNamespace(spread=spread))
    for words in (["record", "results/mine"], *commands("probe")):
        if any("results/mine" in word for word in words):
            assert main(words) == 0
    printed = capsys.readouterr().out
    rows = PAGES["docs/concepts/probes.md"].partition("| probe | answers |")[2].partition("\n\n")[0]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|( `.*?)\|", rows, flags=re.MULTILINE)))
    assert set(listed) == set(plugins.names("probe"))
    for name in {*listed, "my_module:spread"} - {"chronometric", "speed_accuracy", "drift_diffusion"}:  # reaction time
        assert re.search(rf"^{name} +-?[\d.e+]+", printed, flags=re.MULTILINE), name


def spread(states, rng):
    return ProbeResult(value=float(states.std()), n=len(states), settings={})


def test_the_commands_of_make_are_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
