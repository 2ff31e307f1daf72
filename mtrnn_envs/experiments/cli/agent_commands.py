"""The commands that train, record and probe one agent, each with its options."""

# ruff: noqa: RUF009 (`option` and `argument` are fields)

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym

from mtrnn_envs import IDS, EvidenceTask, Recording, plugins
from mtrnn_envs import record as record_agent
from mtrnn_envs.experiments.cli.options import argument, option, parse, parser, say
from mtrnn_envs.experiments.fingerprints import digest
from mtrnn_envs.experiments.monitoring import decoding, ideals
from mtrnn_envs.experiments.probe_output import table, write
from mtrnn_envs.probing import probe_all
from mtrnn_envs.protocols import AgentPlugin
from mtrnn_envs.utils.validation import check_choice, check_int


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """The options of `mtrnn train` on which its other options and their defaults depend."""

    agent: str = option("supervised", "the agent to train: a name, or package.module")
    env_id: str = option("MultiTaskEvidence-v0", "the environment, which sets the defaults of the task")
    preset: str = option("", "settings of the agent, which set the defaults of training")


@dataclass(frozen=True, kw_only=True)
class _Train(_Choice):
    seed: int = option(0, "seed of the initial weights and of the trials: a whole number, 0 or more")
    folder: Path | None = option(None, "output folder; None: results/train/ and a hash of all that determines the run")
    task: EvidenceTask = option(EvidenceTask(), "What the agent learns.")
    training: Any = option(None, "How it learns.")


def train(args: Sequence[str]) -> None:
    """Train an agent on a task; repeat the command to resume after an interruption"""
    if "--" in args:
        raise ValueError(
            "'--' by itself ends the options, and is not an orthant: write --task.excluded-orthants=-- for that one; "
            "several orthants of which it is one can only be given in Python"
        )
    choice = parser().parse_known(_Choice(), args)
    plugin = plugins.agent(choice.agent)
    preset = choice.preset or next(iter(plugin.PRESETS))
    defaults = _Train(
        agent=choice.agent,
        env_id=choice.env_id,
        preset=preset,
        task=EvidenceTask(**IDS[check_choice(choice.env_id, IDS, "environment", "mtrnn_envs")][0]),
        training=plugin.PRESETS[check_choice(preset, plugin.PRESETS, "preset", f"agent {choice.agent!r}")],
    )
    lists = {"agents": plugins.names("agent"), "environments": IDS, "presets": plugin.PRESETS}
    do = parse(defaults, args, "train", train.__doc__, *(f"{name}: {', '.join(of)}" for name, of in lists.items()))
    if do.folder == Path() and "" in args:
        raise ValueError("--folder '' names no folder; leave it out, or write --folder . for the current one")
    folder = do.folder or Path("results", "train", digest(do.agent, do.task, do.seed, do.training))
    say(f"the run is saved in {folder}")
    agent = plugin.train(do.task, do.seed, do.training, folder=folder, progress=True, metrics=decoding(say))
    print("\n".join(_summary(do, agent, folder, plugin)))


def _summary(do: _Train, agent: object, folder: Path, plugin: AgentPlugin) -> list[str]:
    """The results of a training, and how to load the agent."""
    evaluation, lines = dict(getattr(agent, "evaluation", {})), []
    if evaluation:
        unit = next((name for name in ("updates", "steps") if name in evaluation), None)
        after = f", after {evaluation.pop(unit):.0f} {unit}" if unit else ""
        lines += [f"on validation trials{after}:"]
        best = {name: f", ideal {value:.4f}" for name, value in ideals(do.task, evaluation).items()}
        lines += [f"  {name:14}  {value:.4f}{best.get(name, '')}" for name, value in evaluation.items()]
    if isinstance(plugin, ModuleType):
        load = f"from {plugin.__name__} import load; agent = load({str(folder)!r})"
    else:
        load = f"from mtrnn_envs import plugins; agent = plugins.agent({do.agent!r}).load({str(folder)!r})"
    return [*lines, f"the agent is in {folder}; load it in Python:", f"  {load}"]


PLUGIN = "the agent plug-in that loads the agent; those of this package load each other's"


@dataclass(frozen=True, kw_only=True)
class _Record:
    agent: Path = argument("the folder, or file, of a trained agent")
    to: Path | None = option(None, "the file to write; None: recording.npz in the agent's folder, or beside its file")
    n_trials: int = option(2000, "the number of whole trials, 1 or more")
    split: str = option("test", "the stream of trials: test, validation or train")
    seed: int = option(0, "seed of the trials: a whole number, 0 or more")
    plugin: str = option("supervised", PLUGIN)


def record(args: Sequence[str]) -> None:
    """Run a trained agent and save its trials, answers and hidden states"""
    do = parse(_Record, args, "record", record.__doc__)
    agent: Any = plugins.agent(do.plugin).load(do.agent)
    n_envs = min(64, check_int("n_trials", do.n_trials, 1))
    env = gym.make_vec("MultiTaskEvidence-v0", n_envs, split=do.split, **asdict(agent.task))
    recording = record_agent(agent, env, do.n_trials, do.seed)
    path = do.to or (do.agent / "recording.npz" if do.agent.is_dir() else do.agent.with_suffix(".npz"))
    recording.save(path)
    print(f"{do.n_trials} {do.split} trials with an accuracy of {recording.correct.mean():.4f} are in {path}")
    print(f"probe them with:\n  mtrnn probe {path} --all --agent {do.agent}")


@dataclass(frozen=True, kw_only=True)
class _Probe:
    recording: Path = argument("a file written by `mtrnn record` or `Recording.save`")
    names: tuple[str, ...] = argument("probes: names, or package.module:function", ())
    all: bool = option(False, "run all installed probes, and report those that do not apply to the recording")
    agent: Path | None = option(None, "the agent that was recorded; probes of dynamics need it")
    folder: Path | None = option(None, "output folder; None: beside the recording, <its name>-probes")
    seed: int = option(0, "seed of what probes draw: a whole number, 0 or more")
    plugin: str = option("supervised", PLUGIN)


def probe(args: Sequence[str]) -> None:
    """Run probes on a recording, and save numbers with their null distributions, and figures"""
    from tqdm import tqdm

    do = parse(_Probe, args, "probe", probe.__doc__, f"probes: {', '.join(plugins.names('probe'))}")
    if do.all == bool(do.names):
        raise ValueError(f"names={do.names!r}, all={do.all}: give names of probes, or --all")
    check_int("seed", do.seed, 0)
    for name in do.names:
        plugins.probe(name)  # an unknown name is reported before the first probe runs
    recording = Recording.load(do.recording)
    agent = None if do.agent is None else plugins.agent(do.plugin).load(do.agent)
    folder = do.folder or do.recording.with_name(f"{do.recording.stem}-probes")
    folder.mkdir(parents=True, exist_ok=True)  # fails before anything can be lost
    results: dict[str, Any] = {}
    with tqdm(plugins.names("probe") if do.all else dict.fromkeys(do.names), "probes") as bar:
        try:
            for name in bar:
                results |= probe_all(recording, [name], do.seed, agent=agent, say=lambda s: bar.write(s, sys.stderr))
        finally:  # results from before an interrupt are kept
            if results:
                write(results, recording, folder, say)
    if not results:
        raise ValueError("none of the probes applies to the recording; see the reasons above")
    print(table(results))
    print(f"the numbers (probes.csv, probes.json) and figures are in {folder}")
