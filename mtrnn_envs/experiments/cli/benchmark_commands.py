"""The commands that rank and check benchmark agents, each with its options."""

# ruff: noqa: RUF009 (`option` and `argument` are fields)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtrnn_envs import IDS, EvidenceTask, plugins
from mtrnn_envs.experiments.benchmark import agents, runner, suite
from mtrnn_envs.experiments.cli.options import Failed, argument, option, parse, say
from mtrnn_envs.experiments.studies.backends import Backend
from mtrnn_envs.testing.diagnose import problems, raised, unlike
from mtrnn_envs.utils.validation import check_choice, check_int

MOST_LINES = 10  # about failures of a benchmark agent
BENCHMARK_AGENT = "an installed benchmark agent, or package.module:Class"


@dataclass(frozen=True, kw_only=True)
class _Benchmark:
    agent: str = option("", BENCHMARK_AGENT)
    out: Path = option(Path("results", "benchmark"), "output folder")
    settings: tuple[str, ...] = option((), "settings of the suite, by name; none: all")
    seeds: int = option(suite.N_SEEDS, "the number of seeds: 0, 1, ...")
    secret: int = option(0, "hidden seed: a number unknown to the agent's makers, which draws the test trials")
    bare: bool = option(False, "show raw evidence (no encoder), to agents that compute with it; results are marked")
    n_jobs: int | None = option(None, "simultaneous runs; None: one per core")
    verify: Path | None = option(None, "repeat some runs of this file of results and compare them, and do nothing else")
    runs: int = option(3, "with --verify: the number of runs, drawn at random, to repeat")


def benchmark(args: Sequence[str]) -> None:
    """Run an agent through the benchmark, and rank it"""
    about = [f"settings of {suite.VERSION}:", *(f"{setting.name}: {setting.text}" for setting in suite.SETTINGS)]
    about += [f"installed agents: {', '.join(plugins.names('benchmark agent'))}"]
    do = parse(_Benchmark, args, "benchmark", benchmark.__doc__, *about)
    if (do.verify is None) == (not do.agent):
        raise ValueError(f"agent={do.agent!r}, verify={do.verify}: give one of them")
    if do.verify is not None:
        if differs := runner.verify(do.verify, do.runs):
            raise Failed("\n".join(differs))
        n = min(do.runs, len(runner.load_results(do.verify)["cells"]))
        print(f"{n} runs of {do.verify}, drawn at random, were repeated and are bit-identical")
        return
    for other in sorted(do.out.glob("[!.]*.json")):  # the leaderboard reads them all: fails before anything is run
        runner.load_results(other)
    try:
        path = runner.run_benchmark(
            do.agent,
            do.out,
            settings=do.settings or suite.NAMES,
            seeds=do.seeds,
            hidden_seed=do.secret,
            raw_evidence=do.bare,
            backend=Backend(n_jobs=do.n_jobs),
        )
    except RuntimeError as error:  # of a failed run, with its traceback
        raise Failed(str(error)) from error
    print(f"the results are in {path}")
    _rank(do.out)
    cells = runner.load_results(path)["cells"]
    refused = [f"{c['setting']}, seed {c['seed']}: {name}: {why}" for c in cells for name, why in c["refused"].items()]
    for line in refused[:MOST_LINES]:
        say(line)
    if len(refused) > MOST_LINES:
        say(f"and {len(refused) - MOST_LINES} more, which are in the results")
    if all("performance" in cell["refused"] for cell in cells):
        raise Failed(f"{do.agent} failed in every run")


@dataclass(frozen=True, kw_only=True)
class _Leaderboard:
    out: Path = argument("the folder of the files of results, and of the page", Path("results", "benchmark"))


def leaderboard(args: Sequence[str]) -> None:
    """Merge files of benchmark results into a table, and a page with a radar chart for each agent"""
    _rank(parse(_Leaderboard, args, "leaderboard", leaderboard.__doc__).out)


def _rank(out: Path) -> None:
    print(plugins.report("leaderboard_text")(out))
    print(f"the leaderboard is {plugins.report('leaderboard')(out)}: open it in a browser")


@dataclass(frozen=True, kw_only=True)
class _CheckAgent:
    agent: str = argument(BENCHMARK_AGENT)
    settings: tuple[str, ...] = option((), "settings of the benchmark to check it in, by name; none: all")
    env_id: str | None = option(None, "an environment to check it in, instead of settings")
    bare: bool = option(False, "show raw evidence (no encoder)")
    budget: int = option(512, "trials of training, if it learns")


def check_agent(args: Sequence[str]) -> None:
    """Check an agent against the contract, and explain what is wrong"""
    do = parse(_CheckAgent, args, "check-agent", check_agent.__doc__)
    budget, make = check_int("budget", do.budget, 1), agents.find_agent(do.agent)
    if do.env_id is not None:
        tasks = {do.env_id: EvidenceTask.from_fields(IDS[check_choice(do.env_id, IDS, "environment", "mtrnn_envs")][0])}
    else:
        by_name = {setting.name: setting for setting in suite.SETTINGS}
        names = do.settings or suite.NAMES
        tasks = {n: suite.task_of(by_name[check_choice(n, by_name, "setting", suite.VERSION)], 0) for n in names}
    wrong: list[str] = []
    for name, task in tasks.items():
        sentences = _check(make, suite.with_raw_evidence(task) if do.bare else task, budget)
        wrong += [f"{name}: {sentence}" for sentence in sentences]
        if not sentences:
            print(f"nothing is wrong with {do.agent} in {name}")
    if wrong:
        raise Failed("\n".join(wrong))


def _check(make: agents.Make, task: EvidenceTask, budget: int) -> list[str]:
    """Makes an agent for `task` twice, trains each on `budget` trials if it learns, and lists what is wrong."""
    step = "to make it"
    try:
        agent = again = agents.make_agent(make, task, task, 0)
        if callable(getattr(agent, "fit", None)):
            again, step = agents.make_agent(make, task, task, 0), "fit(task, seed, budget)"
            agent, again = (agents.train_agent(each, task, 0, budget) for each in (agent, again))
    except Exception as error:
        return [raised(step, error)]
    return problems(agent, task) or unlike(agent, again, task)
