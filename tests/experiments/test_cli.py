"""The command `mtrnn`, and the plug-ins that it finds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrnn_agents import PRESETS, Training, supervised
from mtrnn_agents.networks import GRU, LSTM
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_envs import IDS, EvidenceTask, plugins
from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.experiments.fingerprints import digest
from mtrnn_envs.experiments.monitoring import decoding
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance

SMALL = ["--task.n-tasks", "3", "--training.n-updates", "40", "--training.network.n-units", "8"]
SMALL_TASK = EvidenceTask(n_tasks=3)
AGENT, CHECKPOINT = "agent.safetensors", "checkpoint.safetensors"


def code_of(*args: object) -> int | str | None:
    """The exit code of `mtrnn train` with `args`."""
    try:
        return main(["train", *map(str, args)])
    except SystemExit as stop:  # how tyro ends after --help, and where an option is not allowed
        return stop.code


def finished(*command: object) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments with which the supervised agent is asked to train: nothing is trained."""
    calls: list[dict[str, Any]] = []

    def train(task: EvidenceTask, seed: int, training: Training, **others: Any) -> None:
        calls.append({"task": task, "seed": seed, "training": training, **others})

    monkeypatch.setattr(supervised, "train", train)
    return calls


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 characters; in wider ones, tyro puts columns beside each other."""
    monkeypatch.setenv("COLUMNS", "80")


def plain(text: str) -> str:
    """Text without the frames and line ends that tyro puts in."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", text)


@pytest.mark.slow
def test_what_the_console_script_trains_is_loaded_by_the_line_that_it_prints(tmp_path: Path) -> None:
    script, folder = Path(sysconfig.get_path("scripts"), "mtrnn"), tmp_path / "a"
    shown = finished(script, "train", *SMALL, "--folder", folder)
    ideal = ideal_performance(SMALL_TASK)
    for line in (
        "after 40 updates",
        rf"accuracy +0\.\d{{4}}, ideal {ideal.accuracy:.4f}",
        rf"cross_entropy +\d\.\d{{4}}, ideal {ideal.cross_entropy:.4f}",
        r"r2_id +-?\d\.\d{4}",
        r"r2_ood +-?\d\.\d{4}",
    ):
        assert re.search(line, shown)
    assert {path.name for path in folder.iterdir()} == {AGENT, CHECKPOINT, "tensorboard"}
    look = (
        f"{shown.splitlines()[-1].strip()}; import numpy; s = agent.predict(numpy.load({str(tmp_path / 'o.npy')!r}))[1]"
    )
    observation = np.random.default_rng(0).standard_normal((5, SMALL_TASK.n_features)).astype(np.float32)
    np.save(tmp_path / "o.npy", observation)
    finished(sys.executable, "-c", f"{look}; numpy.save({str(tmp_path / 'p.npy')!r}, agent.probabilities(s))")
    assert code_of(*SMALL, "--folder", tmp_path / "b") == 0
    agent = supervised.load(tmp_path / "b")
    found = agent.probabilities(agent.predict(observation)[1])
    np.testing.assert_array_equal(found, np.load(tmp_path / "p.npy"))
    assert found.std() > 0


def test_help_shows_every_field_with_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("--help") == 0
    shown = plain(capsys.readouterr().out)
    names = [field.name for field in fields(EvidenceTask)]
    described = plain((EvidenceTask.__doc__ or "").partition("Attributes:")[2])
    for name, following in zip(names, [*names[1:], ""], strict=True):
        said = described.split(f" {name}: ", 1)[1].split(f" {following}: ")[0].strip()
        assert re.search(rf"--task\.{name.replace('_', '-')}[ ,].*? {re.escape(said)} \(default: ", shown)
    for field in fields(Training):
        if field.name != "network":
            assert f"--training.{field.name.replace('_', '-')} " in shown
        assert plain(field.metadata["help"]) in shown
    for name in [*IDS, *PRESETS, "supervised", "--agent", "--env-id", "--preset", "--seed", "--folder"]:
        assert name in shown
    choices = list(dict.fromkeys(re.findall(r"• (training\.network:\S+)", shown)))
    assert len(choices) == len(NETWORKS)
    for choice, network in zip(choices, NETWORKS.values(), strict=True):
        assert code_of(choice, "--help") == 0
        shown = plain(capsys.readouterr().out)
        for field in fields(network):
            assert f"--training.network.{field.name.replace('_', '-')}" in shown
            assert plain(field.metadata["help"]) in shown


def test_an_id_sets_the_defaults_of_the_task(asked: list[dict[str, Any]]) -> None:
    for env_id, (kwargs, _) in IDS.items():
        assert code_of("--env-id", env_id) == 0
        assert code_of("--task.n-tasks", 8, "--env-id", env_id, "--task.sigma", 0.3, "--seed", 7) == 0
        tasks = [EvidenceTask(**kwargs), EvidenceTask(**{**kwargs, "n_tasks": 8, "sigma": 0.3})]
        assert [call["task"] for call in asked[-2:]] == tasks
        assert [call["seed"] for call in asked[-2:]] == [0, 7]


def test_a_preset_sets_the_defaults_of_training(asked: list[dict[str, Any]]) -> None:
    assert code_of() == 0
    assert asked[0]["training"] == next(iter(PRESETS.values()))
    for preset, start in PRESETS.items():
        assert code_of("--preset", preset) == 0
        assert code_of("--training.clip-norm", 0.5, "--preset", preset, "--training.labels", "decision") == 0
        trainings = [start, replace(start, clip_norm=0.5, labels="decision")]
        assert [call["training"] for call in asked[-2:]] == trainings


def test_two_dashes_alone_are_refused(asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """They would end the options, and the orthant would be lost."""
    assert code_of("--task.excluded-orthants", "++", "--") == 2
    assert "write --task.excluded-orthants=--" in capsys.readouterr().err
    assert code_of("--task.excluded-orthants=--") == 0
    assert [call["task"].excluded_orthants for call in asked] == [("--",)]


def test_every_kind_of_value_can_be_given(asked: list[dict[str, Any]]) -> None:
    options = "--task.sigma 0.1 0.2 --task.stimulus 3 5 --task.encoder None --task.excluded-orthants +- -+ "
    options += "--task.withhold --task.autocorrelation -0.5 --training.clip-norm None --training.patience 3"
    assert code_of(*options.split()) == 0
    fields = {"excluded_orthants": ("+-", "-+"), "withhold": True, "autocorrelation": -0.5, "encoder": None}
    assert asked[0]["task"] == EvidenceTask(sigma=(0.1, 0.2), stimulus=(3, 5), **fields)
    assert asked[0]["training"] == replace(PRESETS["dense"], clip_norm=None, patience=3)


def test_every_registered_network_is_chosen_by_its_name(asked: list[dict[str, Any]]) -> None:
    for name, network in NETWORKS.items():
        assert code_of(f"training.network:{name}") == 0
        assert type(asked[-1]["training"].network) is network
    assert code_of("--seed", 1, "training.network:gru", "--training.network.n-units", 5, "--task.n-tasks", 2) == 0
    assert asked[-1]["training"] == replace(PRESETS["dense"], network=GRU(n_units=5))
    assert (asked[-1]["seed"], asked[-1]["task"].n_tasks) == (1, 2)


def test_a_gru_is_trained(tmp_path: Path) -> None:
    assert code_of("--folder", tmp_path / "a", "training.network:gru", *SMALL) == 0
    assert supervised.load(tmp_path / "a").network == GRU(n_units=8)


def test_the_folder_is_named_by_all_that_determines_the_run(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for options in ("", "--seed 0", "--seed 1", "--task.n-tasks 3", "--preset paper", "training.network:gru"):
        assert code_of(*options.split()) == 0
    folders = [str(call["folder"]) for call in asked]
    assert folders[0] == folders[1]
    assert len(set(folders)) == 5
    assert all(re.fullmatch(r"results.train.[0-9a-f]{16}", folder) for folder in folders)
    # Two networks with the same fields are two runs, and the name does not change from one process to another.
    both = [digest("supervised", SMALL_TASK, 0, Training(network=kind(n_units=9))) for kind in (GRU, LSTM)]
    assert both[0] != both[1]


def test_a_finished_run_is_not_trained_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(*SMALL, "--folder", tmp_path / "a") == 0
    shown, times = capsys.readouterr().out, [(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")]
    assert code_of(*SMALL, "--folder", tmp_path / "a") == 0
    assert capsys.readouterr().out == shown
    assert [(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")] == times


def test_a_folder_of_another_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(*SMALL, "--folder", tmp_path) == 0
    assert code_of(*SMALL, "--folder", tmp_path, "--task.sigma", 0.3) == 2
    said = capsys.readouterr().err
    assert "task.sigma is 0.2 there and 0.3 here; give another folder, or the settings of that run" in said
    (tmp_path / AGENT).unlink()
    assert code_of(*SMALL, "--folder", tmp_path, "--seed", 1) == 2
    assert "seed is 0 there and 1 here" in capsys.readouterr().err


@pytest.mark.parametrize("name", [AGENT, CHECKPOINT])
def test_a_broken_file_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(*SMALL, "--folder", tmp_path) == 0
    whole = (tmp_path / name).read_bytes()
    (tmp_path / AGENT).unlink()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert code_of(*SMALL, "--folder", tmp_path) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / name} is not a whole safetensors file" in said
    assert "Traceback" not in said


def test_what_cannot_be_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for options, sentence in (
        (["--seed", "-1"], "seed=-1 is not a whole number, 0 or more"),
        (["--task.n-tasks", "0"], "n_tasks=0 is not a whole number from 1 to 10000"),
        (["--training.labels", "late"], "labels='late' is not one of"),
        (["--training.network.alpha", "2"], "alpha=2.0 is not a number in (0, 1]"),
        (["--task.n-task", "3"], "--task.n-tasks"),  # which was meant
        (["--env-id", "MultiTaskEvidence-v1"], "did you mean 'MultiTaskEvidence-v0'?"),
        (["--preset", "papers"], "'papers' is not a preset of agent 'supervised'; did you mean 'paper'?"),
        (["--agent", "superviced"], "did you mean 'supervised'?"),
        ([*SMALL, "--folder", str(tmp_path / "file")], "file"),
    ):
        assert code_of(*options) == 2
        said = capsys.readouterr()
        assert sentence in plain(said.err)
        assert "Traceback" not in said.err
        assert not said.out
    assert main(["trian"]) == 2
    assert "'trian' is not a command of mtrnn; did you mean 'train'?" in capsys.readouterr().err
    assert main([]) == main(["--help"]) == 0
    assert re.search("train +Train an agent", capsys.readouterr().out)


def test_divergence_ends_with_1_and_the_state_before_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = "--training.learning-rate 1e20 --training.clip-norm 1e20 --training.n-updates 300 --task.n-tasks 3"
    for _ in range(2):  # the second time, from the state that was kept
        assert code_of(*wild.split(), "--folder", tmp_path) == 1
        said = capsys.readouterr()
        assert re.search(r"the loss or gradient of update \d+ is not finite", said.err)
        assert "Traceback" not in said.err
        assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT, "tensorboard"}


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    options = "--task.n-tasks 2 --task.encoder None --task.stimulus 4 --training.network.n-units 8 "
    options += "--training.n-updates 20000 --training.evaluate-every 1000"
    # Where the tests run in the background, their children are born deaf to SIGINT.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from mtrnn_envs.experiments.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "train", *options.split(), "--folder", str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stderr is not None
        try:
            shown = b""
            while b"loss=" not in shown:  # until the first evaluation: the worst moment, with TensorBoard at work
                part = os.read(process.stderr.fileno(), 1000)
                assert part, shown
                shown += part
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1].decode()
        finally:
            process.kill()
    assert process.returncode == 130
    (updates,) = re.findall(r"^stopped after (\d+) updates; the same call goes on from", said, re.MULTILINE)
    assert 0 < int(updates) < 20000
    assert "Traceback" not in said
    assert {path.name for path in (tmp_path / "a").iterdir()} == {CHECKPOINT, "tensorboard"}
    for folder in ("a", "b"):
        assert code_of(*options.split(), "--folder", tmp_path / folder) == 0
    went_on, straight = (supervised.load(tmp_path / folder).weights for folder in ("a", "b"))
    assert went_on.keys() == straight.keys()
    for name, values in straight.items():
        np.testing.assert_array_equal(went_on[name], values)


def test_training_goes_on_where_x_cannot_be_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--task.n-dims", 8, "--task.n-tasks", 8, "--task.encoder", None, "--task.boundaries", "random"]
    many = ["--training.n-updates", 256, "--training.evaluate-every", 128]
    assert code_of(*options, *many, "--folder", tmp_path) == 0
    said = capsys.readouterr()
    assert said.err.count("training continues without r2: ") == 1
    assert "accuracy" in said.out
    assert "r2" not in said.out


def test_training_goes_on_where_the_probe_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])
    said: list[str] = []
    assert decoding(said.append) is None
    (sentence,) = said
    assert sentence.startswith("training continues without r2: 'decoding' is not a name of ")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("tyro", 'mtrnn needs tyro: pip install "mtrnn-envs[all]"'),
        ("torch", "agent 'supervised' needs torch: pip install \"mtrnn-envs[agents]\""),
    ],
)
def test_a_missing_extra_is_one_sentence(missing: str, sentence: str) -> None:
    code = f"""
import sys
from mtrnn_envs.experiments.cli.main import main

class Missing:
    def find_spec(self, name, *others):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code, "train"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence + "\n")


def test_help_that_needs_no_agent_does_not_import_torch() -> None:
    commands = "'record', 'probe', 'reproduce', 'benchmark', 'leaderboard', 'check-agent'"
    code = f"""
import sys
from mtrnn_envs.experiments.cli.main import main
for command in ({commands}):
    try:
        main([command, "--help"])
    except SystemExit as stop:
        assert stop.code == 0
print("torch" in sys.modules)
"""
    assert finished(sys.executable, "-c", code).endswith("False\n")


THIRD_PARTY = """
from dataclasses import dataclass, field
from pathlib import Path

@dataclass(frozen=True)
class Training:
    effort: float = field(default=1.0, metadata={"help": "how hard it tries"})

PRESETS = {"lazy": Training(0.1), "keen": Training(2.0)}

def train(task, seed, training, *, folder, progress, metrics):
    Path(folder).mkdir(parents=True)
    Path(folder, "agent.txt").write_text(repr((task.n_tasks, seed, training)))
    return load(folder)

def load(path):
    return Path(path, "agent.txt").read_text()

class Other:
    Training, PRESETS = Training, PRESETS
    train, load = staticmethod(train), staticmethod(load)

def broken():
    pass
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution of someone else, with agents, one of which needs what is not there, and a probe that is none."""
    site = tmp_path / "site"
    package, info = site / "someone", site / "someones_agent-1.0.dist-info"
    for folder in (package, info):
        folder.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "agent.py").write_text(THIRD_PARTY)
    (package / "needy.py").write_text("import surely_not_installed")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: someones-agent\nVersion: 1.0\n")
    entries = "[mtrnn.agents]\ntheirs = someone.agent\nobject = someone.agent:Other\nneedy = someone.needy\n"
    entries += "supervised = someone.agent\n"
    (info / "entry_points.txt").write_text(entries + "[mtrnn.probes]\npresets = someone.agent:PRESETS\n")
    monkeypatch.syspath_prepend(site)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "someone"]:
        del sys.modules[name]


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("name", ["theirs", "object", "someone.agent", "someone.agent:Other"])
def test_a_third_partys_agent_is_trained_as_ours(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert code_of("--agent", name, "--help") == 0
    shown = plain(capsys.readouterr().out)
    assert "--training.effort FLOAT how hard it tries (default: 0.1)" in shown
    assert "presets: lazy, keen" in shown
    assert code_of("--agent", name, "--preset", "keen", "--task.n-tasks", 4, "--seed", 3) == 0
    line = capsys.readouterr().out.splitlines()[-1].strip()
    scope: dict[str, Any] = {}
    exec(line, scope)
    assert scope["agent"] == "(4, 3, Training(effort=2.0))"


def test_an_agent_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nearby").mkdir()
    (tmp_path / "nearby" / "agent.py").write_text(THIRD_PARTY)
    monkeypatch.chdir(tmp_path)
    script = Path(sysconfig.get_path("scripts"), "mtrnn")
    finished(script, "train", "--agent", "nearby.agent", "--task.n-tasks", 4, "--folder", "a")
    assert (tmp_path / "a" / "agent.txt").read_text() == "(4, 0, Training(effort=0.1))"
    (tmp_path / "lonely.py").write_text(THIRD_PARTY)
    finished(script, "train", "--agent", "lonely", "--task.n-tasks", 4, "--folder", "b")
    assert (tmp_path / "b" / "agent.txt").exists()


def test_an_empty_folder_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a variable that is not set; it would mean the current folder."""
    monkeypatch.chdir(tmp_path)
    assert code_of("--folder", "") == 2
    assert "--folder '' names no folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("third_party")
def test_plugins_that_are_not_there() -> None:
    ours = {"ppo_history", "recurrent_ppo", "supervised", "trial_ppo"}
    assert plugins.names("agent") == sorted({"needy", "object", "theirs"} | ours)
    assert "decoding" in plugins.names("probe")
    for name, sentence in (
        ("supervised", "agent 'supervised' may be mtrnn_agents.supervised or someone.agent; give one of these"),
        ("their", "'their' is not a name of entry-point group mtrnn.agents; did you mean 'theirs'?"),
        ("xyz", "the names are "),
        ("someone.agents", "agent 'someone.agents': there is no module 'someone.agents' to import"),
        ("nobody.agent", "agent 'nobody.agent': there is no module 'nobody' to import"),
        ("someone.agent:Othr", "'Othr' is not a name of someone.agent; did you mean 'Other'?"),
        ("someone.agent:broken", "agent 'someone.agent:broken' has no 'train'; it needs train, Training, PRESETS"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            plugins.agent(name)
    for name, sentence in (
        ("decodin", "did you mean 'decoding'?"),
        ("presets", "probe 'presets' cannot be called; give a function, as package.module:function"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            plugins.probe(name)
    with pytest.raises(ImportError, match="agent 'needy' needs surely_not_installed: pip install \"someones-agent\""):
        plugins.agent("needy")
    with pytest.raises(ImportError, match="No module named 'surely_not_installed'"):
        plugins.agent("someone.needy")


def test_ours_are_found_by_name() -> None:
    from mtrnn_analysis.decoding import decode

    assert plugins.agent("supervised") is plugins.agent("mtrnn_agents.supervised") is supervised
    assert isinstance(supervised, plugins.AgentPlugin)
    assert plugins.probe("decoding") is decode
