"""A study: a grid of tasks, agents and seeds, declared as data.

    study = Study.from_toml("my_study.toml")

or the same in Python. Settings are named by paths: "task.n_tasks" (a field of `EvidenceTask`), "training.n_updates" (of
the agent plug-in's settings; "training.network.kind" is another kind of one of them), "test.sigma" (a field in which
the task recorded differs from the task trained), and "env_id", "agent", "preset", "trained", "n_trials". An axis is a
table of levels, each of which is such settings; the cells are the product of the axes, times the seeds. In TOML:

    name = "few"
    seeds = 5
    probes = ["decoding"]

    [settings]
    task.sigma = 0.3

    [axes]
    N = { path = "task.n_tasks", values = [2, 3, 6] }                  # one setting; its values are the levels' names
    network = { "GRU" = { training.network.kind = "gru" }, "LSTM" = { training.network.kind = "lstm" } }

    [budgets.quick]                                                    # what another budget changes
    seeds = 2
    settings.training.n_updates = 20_000
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, no_type_check

from mtrnn_envs import IDS, plugins
from mtrnn_envs.experiments.studies.cell import Cell
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.utils.validation import attribute_named, check_choice, check_int

PAPER = "paper"  # the budget of a study as it is declared
SINGLE = {"env_id", "agent", "preset", "trained", "n_trials"}
GROUPS = ("task", "training", "test")
Settings = Mapping[str, Any]
TABLES, LISTS = ("settings", "axes", "budgets", "measures"), ("also", "figures", "claims", "seeded")
KINDS_OF_FIELDS = (
    (("title", "text"), str, "text"),
    (TABLES, Mapping, "a table of values by name"),
    (LISTS, Sequence, "a list"),
    (("probes",), Mapping | Sequence, "a list of names, or a table of settings by name"),
)


class Entry(NamedTuple):
    """A cell of a study, and the level of each axis that it has (and "seed")."""

    labels: dict[str, Any]
    cell: Cell


@no_type_check  # by the test suite: `__post_init__` checks the fields, and says more
@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """A grid of tasks × agents × seeds, and how what comes of it is to be read.

    Attributes:
        name: letters, digits, "_" and "-": the name of its folder.
        title: one line.
        text: what is asked, and how to read the answer: paragraphs.
        seeds: how many networks a setting has: seeds 0, 1, ...
        seeded: fields of the task that are the seed: each network has an encoder of its own, and random hyperplanes.
        probes: names, or settings by name.
        settings: of all cells, by path.
        axes: by name, settings by level.
        also: further settings outside the grid, each with the seeds: labels by axis under "labels", the rest paths.
        budgets: by name, what is changed in the study: seeds, settings (added to those there are), axes (in the place
            of those of that name), also, probes.
        measures: columns of the table that the report shows, by a short name.
        figures: how the report draws it; see `mtrnn_analysis.studies.figures`.
        claims: what is claimed, and how it is tested; see `mtrnn_analysis.studies.claims`.

    Raises:
        ValueError: if a field, a path or a value is not allowed, saying which and what is.
    """

    name: str
    title: str = ""
    text: str = ""
    seeds: int = 5
    seeded: Sequence[str] = ("encoder_seed", "boundary_seed")
    probes: Mapping[str, Settings] | Sequence[str] = ()
    settings: Settings = field(default_factory=dict)
    axes: Mapping[str, Any] = field(default_factory=dict)
    also: Sequence[Settings] = ()
    budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measures: Mapping[str, str] = field(default_factory=dict)
    figures: Sequence[Mapping[str, Any]] = ()
    claims: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        if not self.name or not all(c.isalnum() or c in "_-" for c in self.name):
            raise ValueError(f"name={self.name!r} must be letters, digits, '_' and '-': it names a folder")
        for names, kind, what in KINDS_OF_FIELDS:
            for name in names:
                if not isinstance(value := getattr(self, name), kind) or (kind is not str and isinstance(value, str)):
                    raise ValueError(f"{name}={value!r} of study {self.name!r} must be {what}")
        check_int("seeds", self.seeds, 1)
        for name in self.seeded:
            check_choice(name, ("encoder_seed", "boundary_seed"), "field", "seeded")
        probes = self.probes if isinstance(self.probes, Mapping) else {name: {} for name in self.probes}
        axes = {name: _levels(name, levels) for name, levels in self.axes.items()}
        for name in ("also", "figures", "claims"):
            for i, row in enumerate(getattr(self, name)):
                if not isinstance(row, Mapping):
                    raise ValueError(f"{name}[{i}]={row!r} of study {self.name!r} must be a table")
        object.__setattr__(self, "probes", {name: dict(settings) for name, settings in probes.items()})
        object.__setattr__(self, "settings", flat(self.settings))
        object.__setattr__(self, "axes", axes)
        object.__setattr__(
            self,
            "also",
            tuple({"labels": dict(row.get("labels", {})), **flat(_without(row, "labels"))} for row in self.also),
        )
        budgets = {}
        for name, changes in self.budgets.items():
            for key in changes:
                check_choice(key, ("seeds", "settings", "axes", "also", "probes"), "part", f"budgets.{name}")
            budgets[name] = dict(changes)
            if "axes" in changes:
                budgets[name]["axes"] = {axis: _levels(axis, levels) for axis, levels in changes["axes"].items()}
        object.__setattr__(self, "budgets", budgets)
        if PAPER in self.budgets:
            raise ValueError(f"budgets.{PAPER} is the study as it is; name another budget")

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """The study declared in a TOML file; its name, if it has none, is that of the file.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no TOML, or a field is not known, saying which was probably meant.
        """
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        try:
            values = tomllib.loads(Path(path).read_text())
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is no TOML: {error}") from error
        return cls.from_fields({"name": Path(path).stem, **values})

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Study:
        """A study from names and values."""
        names = [f.name for f in fields(cls)]
        return cls(**{check_choice(name, names, "field", "Study"): value for name, value in values.items()})

    def to_fields(self) -> dict[str, Any]:
        """The study as plain JSON; `from_fields` gives it back."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        # JSON has no keys but text: levels that are numbers stay so as pairs.
        values["axes"] = _pairs(self.axes)
        values["budgets"] = {
            name: {**changes, "axes": _pairs(changes["axes"])} if "axes" in changes else changes
            for name, changes in self.budgets.items()
        }
        return json.loads(json.dumps(values))

    def at(self, budget: str) -> Study:
        """The study as `budget` has it.

        Raises:
            ValueError: if there is no such budget.
        """
        if budget == PAPER:
            return self
        changes = dict(self.budgets[check_choice(budget, (PAPER, *self.budgets), "budget", f"study {self.name!r}")])
        changes["settings"] = {**self.settings, **flat(changes.get("settings", {}))}
        changes["axes"] = {**self.axes, **changes.get("axes", {})}
        return replace(self, **changes, budgets={})

    def cells(self, budget: str = PAPER) -> list[Entry]:
        """The cells, axis by axis in the order given, seeds last.

        Raises:
            ValueError: if a setting is not allowed.
            ImportError: if an agent needs what is not installed.
        """
        study = self.at(budget)
        grid = itertools.product(*(levels.items() for levels in study.axes.values())) if study.axes else [()]
        rows = [
            (dict(zip(study.axes, (name for name, _ in levels), strict=True)), [settings for _, settings in levels])
            for levels in grid
        ]
        rows += [(dict(row.get("labels", {})), [_without(row, "labels")]) for row in study.also]
        plugin = lru_cache(plugins.agent)  # to look for what is installed takes longer than to make a cell
        return [
            Entry({**labels, "seed": seed}, _cell(study, seed, {**study.settings, **_merged(each)}, plugin))
            for labels, each in rows
            for seed in range(study.seeds)
        ]


def found(name: str) -> Study:
    """The study that `name` names: a TOML file, "package.module:attribute", or one of `mtrnn reproduce`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it names none.
    """
    if name.endswith(".toml"):
        if not Path(name).exists():
            raise FileNotFoundError(f"study={name!r}: there is no such file in {Path.cwd()}")
        return Study.from_toml(name)
    if ":" in name:
        try:
            there = attribute_named(name)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"study={name!r} cannot be imported: {error}") from error
        if not isinstance(there, Study):
            raise ValueError(f"study={name!r} is a {type(there).__name__}, no Study")
        return there
    from mtrnn_envs.experiments.studies.paper import STUDIES

    return STUDIES[check_choice(name, STUDIES, "study", "mtrnn reproduce")]


def flat(settings: Settings, prefix: str = "") -> dict[str, Any]:
    """Settings with dotted paths, however deep the tables are that they are given in."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{prefix}{name}"
        found |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return found


def _pairs(axes: Mapping[str, Mapping[Any, Settings]]) -> dict[str, list[Any]]:
    return {name: list(levels.items()) for name, levels in axes.items()}


def _merged(each: Sequence[Settings]) -> dict[str, Any]:
    return {path: value for settings in each for path, value in settings.items()}


def _without(settings: Settings, name: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != name}


def _levels(name: str, levels: Any) -> dict[Any, dict[str, Any]]:
    """The levels of an axis: settings by name (or pairs of these), or the values of one path."""
    if isinstance(levels, list | tuple):
        levels = dict(levels)
    if not isinstance(levels, Mapping) or not levels:
        raise ValueError(f"axes.{name}={levels!r} must be a table of levels, or have path and values")
    if set(levels) == {"path", "values"}:
        if not isinstance(levels["values"], list | tuple):
            raise ValueError(f"axes.{name}.values={levels['values']!r} must be a list")
        named = [(_label(value), {levels["path"]: value}) for value in levels["values"]]
        if len(dict(named)) < len(named):
            raise ValueError(f"axes.{name}.values={levels['values']!r} must differ")
        return dict(named)
    for level, settings in levels.items():
        if not isinstance(settings, Mapping):
            raise ValueError(f"axes.{name}.{level}={settings!r} must be a table of settings, such as task.n_tasks = 6")
    return {level: flat(settings) for level, settings in levels.items()}


def _label(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else json.dumps(value)


def _cell(study: Study, seed: int, settings: Settings, plugin: Callable[[str], Any]) -> Cell:
    """The cell that settings by path make."""
    parts: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    single: dict[str, Any] = {}
    for path, value in settings.items():
        group, _, name = path.partition(".")
        if name:
            parts[check_choice(group, GROUPS, "group", f"settings of study {study.name!r}")][name] = value
        else:
            single[check_choice(path, SINGLE, "setting", f"study {study.name!r}")] = value
    env_id = single.pop("env_id", "MultiTaskEvidence-v0")
    start = IDS[check_choice(env_id, IDS, "environment", "mtrnn_envs")][0]
    task = EvidenceTask.from_fields({**start, **dict.fromkeys(study.seeded, seed), **parts["task"]})
    agent, preset = single.pop("agent", "supervised"), single.pop("preset", None)
    training = configured(plugin(agent), agent, preset, parts["training"])
    return Cell(
        agent=agent,
        task=task,
        training=training,
        seed=seed,
        test=parts["test"],
        probes=study.probes if isinstance(study.probes, Mapping) else {},
        **single,
    )


def configured(plugin: Any, agent: str, preset: str | None, changes: Settings) -> Any:
    """The settings of an agent plug-in: those of a preset (None: the first), with `changes` by path.

    Of a nested dataclass another kind is named by "kind"; the plug-in's `from_fields` then makes it.
    """
    preset = preset or next(iter(plugin.PRESETS))
    start = plugin.PRESETS[check_choice(preset, plugin.PRESETS, "preset", f"agent {agent!r}")]
    nested: dict[str, Any] = {}
    for path, value in changes.items():
        name, _, rest = path.partition(".")
        check_choice(name, [f.name for f in fields(start)], "field", f"training of agent {agent!r}")
        if rest:
            nested.setdefault(name, {})[rest] = value
        else:
            nested[name] = value
    for name, value in nested.items():
        before = getattr(start, name)
        if isinstance(value, dict) and is_dataclass(before) and not isinstance(before, type):
            nested[name] = _changed(plugin, agent, name, before, value)
    return replace(start, **nested)


def _changed(plugin: Any, agent: str, name: str, before: Any, changes: dict[str, Any]) -> Any:
    if "kind" not in changes:
        for key in changes:
            check_choice(key, [f.name for f in fields(before)], "field", f"training.{name} of agent {agent!r}")
        return replace(before, **changes)
    make = getattr(plugin, "from_fields", None)
    if not callable(make):
        raise ValueError(
            f"training.{name}.kind={changes['kind']!r}: agent {agent!r} has no function from_fields(values)"
        )
    return getattr(make({name: changes}), name)
