"""What the README shows runs, and what it claims to print is printed."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
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
        for claimed in re.findall(r"print\(f.*?# (.*)", snippet):
            assert claimed.strip() in printed, f"{claimed!r} is not in {printed!r}"


def test_every_picture_and_file_that_is_shown_is_there():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (Path(__file__).parents[1] / path).stat().st_size > 10_000


def test_what_the_shell_is_told_is_understood(monkeypatch):
    """Every `mtrnn` command, up to training itself."""
    from mtrnn_envs.experiments import plugins
    from mtrnn_envs.experiments.cli import main

    asked = []
    for name in plugins.names("agent"):
        monkeypatch.setattr(plugins.agent(name), "train", lambda *args, **kwargs: asked.append(args))
    commands = re.findall(r"^mtrnn (.*)", README, flags=re.MULTILINE)
    for command in commands:
        assert main(command.split()) == 0
    assert len(asked) == len(commands) >= 4


def test_no_number_is_missing():
    assert not re.search(r"\b(TABLE|SPEED\d?|TODO)\b", README)


def test_the_two_commands_are_targets_of_make():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
