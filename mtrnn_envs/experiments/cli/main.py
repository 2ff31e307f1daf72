"""The command `mtrnn`: dispatches to a command, and turns errors into a sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from mtrnn_envs.experiments.cli import agent_commands, benchmark_commands, study_commands
from mtrnn_envs.experiments.cli.options import Failed, say
from mtrnn_envs.utils.validation import check_choice

COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": agent_commands.train,
    "record": agent_commands.record,
    "probe": agent_commands.probe,
    "study": study_commands.study,
    "reproduce": study_commands.reproduce,
    "benchmark": benchmark_commands.benchmark,
    "leaderboard": benchmark_commands.leaderboard,
    "check-agent": benchmark_commands.check_agent,
}


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command in `args` (None: those of the process), and returns the exit code.

    0: success; 1: training diverged, or runs of a study failed; 2: invalid input; 130: interrupted.
    """
    if "" not in sys.path:
        sys.path.append("")  # so that modules in this folder can be named, as with `python -m`
    name, *rest = (sys.argv[1:] if args is None else list(args)) or ["--help"]
    try:
        if name in ("-h", "--help"):
            lines = [f"  {command:12} {function.__doc__}" for command, function in COMMANDS.items()]
            print(
                "\n".join(["usage: mtrnn COMMAND [OPTIONS]", "", *lines, "", "mtrnn COMMAND --help shows its options."])
            )
        else:
            COMMANDS[check_choice(name, COMMANDS, "command", "mtrnn")](rest)
    except KeyboardInterrupt as stop:
        say(str(stop) or "stopped")
        return 130
    except (FloatingPointError, Failed) as error:
        say(str(error))
        return 1
    except (ValueError, ImportError, OSError) as error:
        say(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
