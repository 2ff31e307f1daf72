"""A study: a grid of tasks, agents and seeds, declared as data in TOML or in Python.

    study = Study.from_toml("my_study.toml")

Settings are named by paths: "task.n_tasks" (a field of `EvidenceTask`), "training.n_updates" (a field of the agent
plug-in's settings; "training.network.kind" selects another kind of network), "test.sigma" (a field in which the test
trials differ from the training trials), and "env_id", "agent", "preset", "trained", "n_trials". An axis is a table of
levels; each level is a table of settings. The runs ("cells" in the code) are the product of the axes, times the seeds:

    name = "few"
    seeds = 5
    probes = ["decoding"]

    [settings]
    task.sigma = 0.3

    [axes]
    N = { path = "task.n_tasks", values = [2, 3, 6] }                  # one setting; its values are the levels' names
    network = { "GRU" = { training.network.kind = "gru" }, "LSTM" = { training.network.kind = "lstm" } }

    [profiles.quick]                                                   # changes of a profile, such as a short version
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
from mtrnn_envs.experiments.studies.cell import Cell, Settings
from mtrnn_envs.protocols import AgentPlugin
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.utils.validation import check_choice, check_int

PAPER = "paper"  # the profile of a study as it is declared
SINGLE = {"env_id", "agent", "preset", "trained", "n_trials"}
GROUPS = ("task", "training", "test")
TABLES, LISTS = ("settings", "axes", "profiles", "measures"), ("also", "figures", "claims", "seeded")
KINDS_OF_FIELDS = (
    (("title", "text"), str, "text"),
    (TABLES, Mapping, "a table of values by name"),
    (LISTS, Sequence, "a list"),
    (("probes",), Mapping | Sequence, "a list of names, or a table of settings by name"),
)


class Entry(NamedTuple):
    """One run of a study, with its level of each axis and its seed."""

    labels: dict[str, Any]
    cell: Cell


@no_type_check  # by the test suite: `__post_init__` checks the fields, and says more
@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """A grid of tasks × agents × seeds, with its measures, figures and claims.

    Attributes:
        name: letters, digits, "_" and "-": the name of its folder.
        title: one line.
        text: the question and the protocol, in paragraphs.
        seeds: the number of networks of each setting: seeds 0, 1, ...
        seeded: fields of the task that take the seed: each network has its own encoder and its own hyperplanes.
        probes: names, or settings by name.
        settings: settings of all runs, by path.
        axes: levels by axis, settings by level.
        also: settings outside the grid, each with all seeds; "labels" holds the level of each axis.
        profiles: changes by profile: seeds, settings (added), axes (replaced by name), also, probes.
        measures: columns of the table that the report shows, by title.
        figures: figures of the report; see `mtrnn_analysis.studies.figures`. The kind of a figure may be the name of a
            probe, such as "trajectories": the probe then runs on the network of seed 0 of each entry of `level`, and
            its arrays are kept beside the run. They are not part of the run's identity.
        claims: claims and their tests; see `mtrnn_analysis.studies.claims`.

    Raises:
        ValueError: if a field, a path or a value is not allowed.
    """

    name: str
    title: str = ""
    text: str = ""
    seeds: int = 5
    seeded: Sequence[str] = ("encoder_seed", "boundary_seed")
    probes: Mapping[str, Settings] | Sequence[str] = ()
    settings: Settings = field(default_factory=dict)
    axes: Settings = field(default_factory=dict)
    also: Sequence[Settings] = ()
    profiles: Mapping[str, Settings] = field(default_factory=dict)
    measures: Mapping[str, str] = field(default_factory=dict)
    figures: Sequence[Settings] = ()
    claims: Sequence[Settings] = ()

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
        also = [{"labels": dict(row.get("labels", {})), **flat(_without(row, "labels"))} for row in self.also]
        object.__setattr__(self, "also", tuple(also))
        profiles = {}
        for name, changes in self.profiles.items():
            for key in changes:
                check_choice(key, ("seeds", "settings", "axes", "also", "probes"), "part", f"profiles.{name}")
            shorter = {axis: _levels(axis, levels) for axis, levels in changes.get("axes", {}).items()}
            profiles[name] = {**changes, "axes": shorter}
        object.__setattr__(self, "profiles", profiles)
        if PAPER in self.profiles:
            raise ValueError(f"profiles.{PAPER} is the study as it is declared; choose another name for the profile")

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """The study declared in a TOML file; its name, if it has none, is that of the file.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is not TOML, or a field is unknown.
        """
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        try:
            values = tomllib.loads(Path(path).read_text())
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is not TOML: {error}") from error
        return cls.from_fields({"name": Path(path).stem, **values})

    @classmethod
    def from_fields(cls, values: Settings) -> Study:
        """A study from names and values."""
        if "budgets" in values:
            raise ValueError(
                "unknown field budgets; did you mean profiles? Results of older versions cannot be read: run the study "
                "again, in another folder"
            )
        names = [f.name for f in fields(cls)]
        return cls(**{check_choice(name, names, "field", "Study"): value for name, value in values.items()})

    def to_fields(self) -> dict[str, Any]:
        """The study as plain JSON; `from_fields` gives it back."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        # JSON has only text as keys: levels that are numbers stay so as pairs.
        values["axes"] = _pairs(self.axes)
        values["profiles"] = {name: {**each, "axes": _pairs(each["axes"])} for name, each in self.profiles.items()}
        return json.loads(json.dumps(values))

    def at(self, profile: str) -> Study:
        """The study with the changes of `profile`.

        Raises:
            ValueError: if there is no such profile.
        """
        if profile == PAPER:
            return self
        check_choice(profile, (PAPER, *self.profiles), "profile", f"study {self.name!r}")
        changes = dict(self.profiles[profile])
        changes["settings"] = {**self.settings, **flat(changes.get("settings", {}))}
        changes["axes"] = {**self.axes, **changes.get("axes", {})}
        return replace(self, **changes, profiles={})

    def cells(self, profile: str = PAPER) -> list[Entry]:
        """The runs, axis by axis in the order given, seeds last.

        Raises:
            ValueError: if a setting is not allowed.
            ImportError: if an agent needs a package that is not installed.
        """
        study = self.at(profile)
        grid = itertools.product(*(levels.items() for levels in study.axes.values())) if study.axes else [()]
        rows = [
            (dict(zip(study.axes, (name for name, _ in levels), strict=True)), [settings for _, settings in levels])
            for levels in grid
        ]
        rows += [(dict(row.get("labels", {})), [_without(row, "labels")]) for row in study.also]
        plugin = lru_cache(plugins.agent)  # the look-up of installed agents takes longer than a cell
        singles = [figure for figure in study.figures if figure.get("kind") in plugins.names("probe")]
        return [
            Entry(
                {**labels, "seed": seed},
                _cell(
                    study, seed, {**study.settings, **_merged(each)}, plugin, _kept(singles, {**labels, "seed": seed})
                ),
            )
            for labels, each in rows
            for seed in range(study.seeds)
        ]


def alike(level: object, other: object) -> bool:
    """Whether two levels are the same: 24 and "24" are. A list of levels is like each of its levels."""
    if isinstance(level, list | tuple):
        return any(alike(each, other) for each in level)
    return str(level) == str(other) or number(level) == number(other)


def number(value: Any) -> float:
    """`value` as a number, also of text such as "24" (levels of an axis in TOML are keys, and keys are text)."""
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError):
        return float("nan")


def has_levels(labels: Settings, levels: Settings) -> bool:
    """Whether a run with `labels` has all of these levels."""
    return all(alike(level, labels.get(axis)) for axis, level in levels.items())


def _kept(figures: Sequence[Settings], labels: Settings) -> tuple[str, ...]:
    """The probes whose arrays are kept of the run with these labels: those of figures of single networks."""
    chosen = [
        figure["kind"]
        for figure in figures
        if any(isinstance(one, Mapping) and has_levels(labels, {"seed": 0, **one}) for one in figure.get("level", ()))
    ]
    return tuple(dict.fromkeys(chosen))


def flat(settings: Settings, prefix: str = "") -> dict[str, Any]:
    """Settings by dotted path, from nested tables."""
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


def _cell(
    study: Study, seed: int, settings: Settings, plugin: Callable[[str], AgentPlugin], kept: tuple[str, ...]
) -> Cell:
    """The run with these settings by path."""
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
        kept=kept,
        **single,
    )


def configured(plugin: AgentPlugin, agent: str, preset: str | None, changes: Settings) -> Any:
    """The settings of an agent plug-in: a preset (None: the first), with `changes` by path.

    "kind" selects another kind of a nested dataclass; the plug-in's `from_fields` makes it.
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


def _changed(plugin: AgentPlugin, agent: str, name: str, before: Any, changes: dict[str, Any]) -> Any:
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
