"""The command `mtrnn`: reads what is to be done, has it done, and says what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from mtrnn_envs import IDS, EvidenceTask
from mtrnn_envs.checks import known
from mtrnn_envs.experiments import plugins
from mtrnn_envs.experiments.run import decoding, digest, ideals


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command that `args`, or else those of the process, name; the exit code.

    It is 0, or 1 if training diverged, 2 if what was asked for cannot be done, 130 if it was interrupted.
    """
    if "" not in sys.path:
        sys.path.append("")  # one's own modules in this folder can be named, as with `python -m`
    name, *rest = (sys.argv[1:] if args is None else list(args)) or ["--help"]
    try:
        if name in ("-h", "--help"):
            commands = [f"  {command}  {function.__doc__}" for command, function in COMMANDS.items()]
            print("\n".join(["usage: mtrnn COMMAND [OPTIONS]", "", *commands, "", "mtrnn COMMAND --help says more."]))
        else:
            COMMANDS[known(name, COMMANDS, "command", "mtrnn")](rest)
    except KeyboardInterrupt as stop:
        _say(str(stop) or "stopped")
        return 130
    except FloatingPointError as error:
        _say(str(error))
        return 1
    except (ValueError, ImportError, OSError) as error:
        _say(str(error))
        return 2
    return 0


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the other options and their defaults follow from."""

    agent: str = field(default="supervised", metadata=_help("what is trained: a name, or package.module of your own"))
    env_id: str = field(
        default="MultiTaskEvidence-v0", metadata=_help("the environment, from which the defaults of the task come")
    )
    preset: str = field(
        default="", metadata=_help("the settings of the agent, from which the defaults of training come")
    )


@dataclass(frozen=True, kw_only=True)
class Train(Choice):
    """The options of `mtrnn train`."""

    seed: int = field(default=0, metadata=_help("of the first weights and of the trials: a whole number, 0 or more"))
    folder: Path | None = field(
        default=None, metadata=_help("where all goes; None: results/train/ and a hash of what determines the run")
    )
    task: EvidenceTask = field(default=EvidenceTask(), metadata=_help("What the agent learns."))
    training: Any = field(default=None, metadata=_help("How it learns."))


def train(args: Sequence[str]) -> None:
    """trains an agent on a task; what was interrupted goes on"""
    try:
        from mtrnn_envs.experiments import options
    except ImportError as error:
        raise ImportError(f'mtrnn needs {error.name}: pip install "mtrnn-envs[agents]"') from error

    if "--" in args:
        raise ValueError(
            "'--' by itself ends the options, and is no orthant: write --task.excluded-orthants=-- for that one; "
            "several orthants of which it is one can only be given in Python"
        )
    choice = options.chosen(Choice(), args)
    agent = plugins.agent(choice.agent)
    preset = choice.preset or next(iter(agent.PRESETS))
    start = Train(
        agent=choice.agent,
        env_id=choice.env_id,
        preset=preset,
        task=EvidenceTask(**IDS[known(choice.env_id, IDS, "environment", "mtrnn_envs")][0]),
        training=agent.PRESETS[known(preset, agent.PRESETS, "preset", f"agent {choice.agent!r}")],
    )
    lists = {"agents": plugins.names("agent"), "environments": IDS, "presets": agent.PRESETS}
    lines = ["Trains an agent on a task. The same command again goes on where it was interrupted."]
    lines += [f"{name}: {', '.join(values)}" for name, values in lists.items()]
    do = options.parsed(start, args, "mtrnn train", "\n\n".join(lines))
    if do.folder == Path() and "" in args:
        raise ValueError("--folder '' names no folder; leave it out, or write --folder . for the current one")
    folder = do.folder or Path("results", "train", digest(do.agent, do.task, do.seed, do.training))
    _say(f"all goes to {folder}")
    trained = agent.train(do.task, do.seed, do.training, folder=folder, progress=True, metrics=decoding(_say))
    print("\n".join(_report(do, trained, folder, agent)))


def _report(do: Train, trained: Any, folder: Path, agent: Any) -> list[str]:
    """What came of a run, and how to go on."""
    found, lines = dict(getattr(trained, "evaluation", {})), []
    if found:
        unit = next((name for name in ("updates", "steps") if name in found), None)
        after = f", after {found.pop(unit):.0f} {unit}" if unit else ""
        lines += [f"on validation trials{after}:"]
        best = {name: f", ideal {value:.4f}" for name, value in ideals(do.task, found).items()}
        lines += [f"  {name:14}  {value:.4f}{best.get(name, '')}" for name, value in found.items()]
    if isinstance(agent, ModuleType):
        load = f"from {agent.__name__} import load; agent = load({str(folder)!r})"
    else:
        load = f"from mtrnn_envs.experiments import plugins; agent = plugins.agent({do.agent!r}).load({str(folder)!r})"
    return [*lines, f"the agent is in {folder}; in Python:", f"  {load}"]


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"train": train}


if __name__ == "__main__":
    sys.exit(main())
