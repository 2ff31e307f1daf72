"""The command `mtrnn`: reads what is to be done, has it done, and says what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym

from mtrnn_envs import IDS, EvidenceTask, Recording, plugins
from mtrnn_envs import record as recorded
from mtrnn_envs.experiments.monitoring import decoding, digest, ideals
from mtrnn_envs.experiments.probe_output import table, write
from mtrnn_envs.probing import probe_all
from mtrnn_envs.utils.validation import check_choice, check_int

MOST_SAID = 10  # lines about what an agent could not do


class Failed(Exception):
    """Something that was run to its end did not come out."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command that `args`, or else those of the process, name; the exit code.

    It is 0, or 1 if training diverged or cells of a study failed, 2 if what was asked for cannot be done, 130 if it was
    interrupted.
    """
    if "" not in sys.path:
        sys.path.append("")  # one's own modules in this folder can be named, as with `python -m`
    name, *rest = (sys.argv[1:] if args is None else list(args)) or ["--help"]
    try:
        if name in ("-h", "--help"):
            commands = [f"  {command}  {function.__doc__}" for command, function in COMMANDS.items()]
            print("\n".join(["usage: mtrnn COMMAND [OPTIONS]", "", *commands, "", "mtrnn COMMAND --help says more."]))
        else:
            COMMANDS[check_choice(name, COMMANDS, "command", "mtrnn")](rest)
    except KeyboardInterrupt as stop:
        _say(str(stop) or "stopped")
        return 130
    except (FloatingPointError, Failed) as error:
        _say(str(error))
        return 1
    except (ValueError, ImportError, OSError) as error:
        _say(str(error))
        return 2
    return 0


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def train(args: Sequence[str]) -> None:
    """trains an agent on a task; what was interrupted goes on"""
    options, arguments = _module("cli.dataclass_options"), _module("cli.commands")
    if "--" in args:
        raise ValueError(
            "'--' by itself ends the options, and is no orthant: write --task.excluded-orthants=-- for that one; "
            "several orthants of which it is one can only be given in Python"
        )
    choice = options.chosen(arguments.Choice(), args)
    agent = plugins.agent(choice.agent)
    preset = choice.preset or next(iter(agent.PRESETS))
    start = arguments.Train(
        agent=choice.agent,
        env_id=choice.env_id,
        preset=preset,
        task=EvidenceTask(**IDS[check_choice(choice.env_id, IDS, "environment", "mtrnn_envs")][0]),
        training=agent.PRESETS[check_choice(preset, agent.PRESETS, "preset", f"agent {choice.agent!r}")],
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


def _report(do: Any, trained: Any, folder: Path, agent: Any) -> list[str]:
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


def record(args: Sequence[str]) -> None:
    """lets a trained agent do trials, and keeps what it did and the states it was in"""
    about = "Records whole trials of a trained agent: what it did, and the states it was in."
    do = _module("cli.dataclass_options").parsed(_module("cli.commands").Record(), args, "mtrnn record", about)
    agent = plugins.agent(do.plugin).load(do.agent)
    n_envs = min(64, check_int("n_trials", do.n_trials, 1))
    env = gym.make_vec("MultiTaskEvidence-v0", n_envs, split=do.split, **asdict(agent.task))
    recording = recorded(agent, env, do.n_trials, do.seed)
    path = do.to or (do.agent / "recording.npz" if do.agent.is_dir() else do.agent.with_suffix(".npz"))
    recording.save(path)
    print(f"{do.n_trials} {do.split} trials, of whose answers {recording.correct.mean():.4f} are right, are in {path}")
    print(f"what it came to know:\n  mtrnn probe {path} --all --agent {do.agent}")


def probe(args: Sequence[str]) -> None:
    """asks what there is in the states of a recording, and says what it would be by chance"""
    from tqdm import tqdm

    about = f"Runs probes on a recording.\n\nprobes: {', '.join(plugins.names('probe'))}"
    do = _module("cli.dataclass_options").parsed(_module("cli.commands").Probe(), args, "mtrnn probe", about)
    if do.all == bool(do.names):
        raise ValueError(f"names={do.names!r}, all={do.all}: give names of probes, or --all")
    check_int("seed", do.seed, 0)
    for name in do.names:
        plugins.probe(name)  # what there is not is said before the first one runs
    recording = Recording.load(do.recording)
    agent = None if do.agent is None else plugins.agent(do.plugin).load(do.agent)
    folder = do.folder or do.recording.with_name(f"{do.recording.stem}-probes")
    folder.mkdir(parents=True, exist_ok=True)  # where it cannot be made, nothing is lost yet
    found: dict[str, Any] = {}
    with tqdm(plugins.names("probe") if do.all else dict.fromkeys(do.names), "probes") as bar:
        try:
            for name in bar:
                found |= probe_all(
                    recording, [name], do.seed, agent=agent, say=lambda text: bar.write(text, sys.stderr)
                )
        finally:  # what was found before an interrupt is kept
            if found:
                write(found, recording, folder, _say)
    if not found:
        raise ValueError("no probe went with the recording")
    print(table(found))
    print(f"the numbers (probes.csv, probes.json) and figures are in {folder}")


def study(args: Sequence[str]) -> None:
    """runs a study, a grid of tasks, agents and seeds, or says how far it is"""
    what = {"run": _run_study, "status": _status}
    name, *rest = list(args) or ["--help"]
    if name in ("-h", "--help"):
        print("usage: mtrnn study run STUDY [OPTIONS]\n       mtrnn study status [NAMES] [OPTIONS]")
    else:
        what[check_choice(name, what, "command", "mtrnn study")](rest)


def _run_study(args: Sequence[str]) -> None:
    about = "Runs what is not yet there of a study. The same command again goes on where it was stopped."
    do = _module("cli.dataclass_options").parsed(_module("cli.commands").RunStudy(), args, "mtrnn study run", about)
    _run([_module("studies.find").load_study(do.study)], do)


def _status(args: Sequence[str]) -> None:
    about = "Says how far studies are: cells done, failed and left."
    do = _module("cli.dataclass_options").parsed(
        _module("cli.commands").StudyStatus(), args, "mtrnn study status", about
    )
    there = sorted(path.parent.name for path in (do.out / "studies").glob("*/study.json"))
    if not there:
        raise ValueError(f"out={str(do.out)!r} holds no studies; give the folder that they were run in")
    for name in do.names or there:
        print(_module("studies.runner").status(do.out, check_choice(name, there, "study", str(do.out))))


def reproduce(args: Sequence[str]) -> None:
    """runs the studies of the paper's figures, and of what was asked beyond, and writes the report"""
    studies = _module("studies.paper").STUDIES
    lines = ["Reproduces figures. The same command again goes on where it was stopped.", "studies, or 'all':"]
    lines += [f"{name}: {each.title}" for name, each in studies.items()]
    do = _module("cli.dataclass_options").parsed(
        _module("cli.commands").Reproduce(), args, "mtrnn reproduce", "\n\n".join(lines)
    )
    if not do.names:
        raise ValueError(f"names: give 'all', or some of {', '.join(studies)}")
    names = studies if "all" in do.names else dict.fromkeys(do.names)
    _run([studies[check_choice(name, studies, "study", "mtrnn reproduce")] for name in names], do)


def _run(studies: Sequence[Any], do: Any) -> None:
    """Runs studies, says what came of each, and writes the report."""
    running = _module("studies.runner")
    writer = plugins.report("html") if do.report else None  # what it lacks is said before anything is run
    parameters: dict[str, Any] = dict(part.split("=", 1) for part in do.parameters if "=" in part)
    parameters = {name: int(value) if value.isdecimal() else value for name, value in parameters.items()}
    if len(parameters) < len(do.parameters):
        raise ValueError(f"parameters={do.parameters!r} must each be name=value, and differ")
    backend = running.Backend(name=do.backend, n_jobs=do.n_jobs, address=do.address, parameters=parameters)
    _say(f"all goes to {do.out}")
    results = running.run_studies(
        studies, do.out, profile=do.profile, backend=backend, retries=do.retries, device=do.device
    )
    print(*results, sep="\n")
    found = [running.status(do.out, each.name) for each in studies]
    print(*found, sep="\n")
    print(f"the tables (table.csv, table.parquet) are in {do.out / 'studies'}, in a folder for each study")
    if writer is not None:
        print(f"the report is {writer(do.out, [each.name for each in studies])}: open it in a browser")
    if failed := sum(len(each.failed) for each in found):
        raise Failed(f"{failed} cells failed; their tracebacks are in {do.out / 'failures'}")
    if left := sum(each.left for each in found):
        raise Failed(f"{left} cells are not there")


def benchmark(args: Sequence[str]) -> None:
    """runs an agent through the benchmark, and says how it ranks"""
    suite, bench = _module("benchmark.suite"), _module("benchmark.runner")
    lines = [f"The benchmark {suite.VERSION}. The same command again goes on where it was stopped.", "settings:"]
    lines += [f"{setting.name}: {setting.text}" for setting in suite.SETTINGS]
    lines += [f"agents that are installed: {', '.join(plugins.names('entrant'))}"]
    do = _module("cli.dataclass_options").parsed(
        _module("cli.commands").Benchmark(), args, "mtrnn benchmark", "\n\n".join(lines)
    )
    if (do.verify is None) == (not do.agent):
        raise ValueError(f"agent={do.agent!r}, verify={do.verify}: give one of them")
    if do.verify is not None:
        if differs := bench.verify(do.verify, do.cells):
            raise Failed("\n".join(differs))
        n = min(do.cells, len(bench.load(do.verify)["cells"]))
        print(f"{n} cells of {do.verify}, drawn, were run again, and agree to the bit")
        return
    for other in sorted(
        do.out.glob("[!.]*.json")
    ):  # the leaderboard is of all files there: said before anything is run
        bench.load(other)
    backend = _module("studies.backends").Backend(n_jobs=do.n_jobs)
    how = {"seeds": do.seeds, "secret": do.secret, "bare": do.bare, "settings": do.settings or suite.NAMES}
    try:
        path = bench.run(do.agent, do.out, backend=backend, **how)
    except RuntimeError as error:  # a cell that failed, with its traceback
        raise Failed(str(error)) from error
    print(f"the results are in {path}")
    print(plugins.report("leaderboard_text")(do.out))
    print(f"the leaderboard is {plugins.report('leaderboard')(do.out)}: open it in a browser")
    cells = bench.load(path)["cells"]
    refused = [f"{c['setting']}, seed {c['seed']}: {name}: {why}" for c in cells for name, why in c["refused"].items()]
    for line in refused[:MOST_SAID]:
        _say(line)
    if len(refused) > MOST_SAID:
        _say(f"and {len(refused) - MOST_SAID} more, which are in the results")
    if all("performance" in cell["refused"] for cell in cells):
        raise Failed(f"{do.agent} could do nothing")


def leaderboard(args: Sequence[str]) -> None:
    """merges files of results of the benchmark into a table and a page"""
    about = "Merges all files of results in a folder into a table, and a page with a radar of each agent."
    do = _module("cli.dataclass_options").parsed(
        _module("cli.commands").Leaderboard(), args, "mtrnn leaderboard", about
    )
    print(plugins.report("leaderboard_text")(do.out))
    print(f"the leaderboard is {plugins.report('leaderboard')(do.out)}: open it in a browser")


def check_agent(args: Sequence[str]) -> None:
    """says in sentences what is wrong with an agent"""
    about = "Makes an agent, lets it learn a little if it learns, and says what is wrong with it."
    do = _module("cli.dataclass_options").parsed(_module("cli.commands").CheckAgent(), args, "mtrnn check-agent", about)
    entrants, suite, budget = _module("benchmark.agents"), _module("benchmark.suite"), check_int("budget", do.budget, 1)
    make, by_name = entrants.entrant(do.agent), {setting.name: setting for setting in suite.SETTINGS}
    if do.env_id is not None:
        tasks = {do.env_id: EvidenceTask.from_fields(IDS[check_choice(do.env_id, IDS, "environment", "mtrnn_envs")][0])}
    else:
        names = do.settings or suite.NAMES
        tasks = {n: suite.task_of(by_name[check_choice(n, by_name, "setting", suite.VERSION)], 0) for n in names}
    wrong: list[str] = []
    for name, task in tasks.items():
        said = _made_and_checked(make, suite.bare(task) if do.bare else task, budget)
        wrong += [f"{name}: {sentence}" for sentence in said]
        if not said:
            print(f"nothing is wrong with {do.agent} in {name}")
    if wrong:
        raise Failed("\n".join(wrong))


def _made_and_checked(make: Callable[..., Any], task: EvidenceTask, budget: int) -> list[str]:
    """What is wrong with what `make` makes for `task`, after it has learned from `budget` trials if it learns."""
    from mtrnn_envs.testing.diagnose import problems, raised, unlike

    entrants = _module("benchmark.agents")
    what = "to make it"
    try:
        agent = again = entrants.made(make, task, task, 0)
        if callable(getattr(agent, "fit", None)):
            again, what = entrants.made(make, task, task, 0), "fit(task, seed, budget)"
            agent, again = (entrants.trained(each, task, 0, budget) for each in (agent, again))
    except Exception as error:
        return [raised(what, error)]
    return problems(agent, task) or unlike(agent, again, task)


def _module(name: str) -> Any:
    """A module of the command line, which needs more than the package itself."""
    try:
        return import_module(f"mtrnn_envs.experiments.{name}")
    except ImportError as error:
        raise ImportError(f'mtrnn needs {error.name}: pip install "mtrnn-envs[all]"') from error


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "record": record,
    "probe": probe,
    "study": study,
    "reproduce": reproduce,
    "benchmark": benchmark,
    "leaderboard": leaderboard,
    "check-agent": check_agent,
}


if __name__ == "__main__":
    sys.exit(main())
