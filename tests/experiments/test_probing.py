"""Probes by name on recordings: what they are given, what becomes of what they find, and what is asked of them."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrnn_agents import PRESETS, train
from mtrnn_analysis.nulls import p_value, permutations_within
from mtrnn_analysis.result import ProbeResult
from mtrnn_envs import EvidenceTask, Recording, plugins
from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.experiments.probe_output import table, write
from mtrnn_envs.probing import INPUTS, Missing, Source, numbers, probe, probe_all
from mtrnn_envs.testing import check_probe
from mtrnn_envs.testing.probes import recording_of

HERE = "test_probing"


@dataclass(frozen=True, eq=False, kw_only=True)
class Spread(ProbeResult):
    by_unit: np.ndarray
    inner: Any
    shares: dict[str, float]


def _refuse_nan(states: np.ndarray) -> None:
    if np.isnan(states).any():
        raise ValueError("states has NaN")


def spread(states, latents, rng, trials=None, confidence=None, *, n_null=9) -> Spread:
    """A probe as anybody would write it."""
    _refuse_nan(states)
    null = np.array([np.std(rng.permuted(states, axis=0)[:10]) for _ in range(n_null)])
    value = float(np.std(states[:10]))
    inner = ProbeResult(value=0.5, n=3, settings={"hidden": 7.0})
    return Spread(
        value=value,
        null=null,
        p=p_value(value, null),
        n=len(states),
        settings={"n_null": n_null, "has": [trials is not None, confidence is not None]},
        by_unit=states.std(axis=0),
        inner=inner,
        shares={"of all": np.float32(0.25)},  # pyright: ignore[reportArgumentType]
    )


class Predicts:
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> Any:
        return np.zeros(len(observation)), None


def of_dynamics(dynamics, untrained, task, rng) -> ProbeResult:
    return ProbeResult(value=float(dynamics.start(2).sum()), n=task.n_dims, settings={"untrained": str(untrained)})


def result(value: float = 0.0, **more: Any) -> ProbeResult:
    return ProbeResult(**{"value": value, "n": 1, "settings": {}, **more})


def prints(latents, rng) -> ProbeResult:
    print("here I am")
    return result()


def changes(latents, rng) -> ProbeResult:
    latents[0] = 9
    return result()


# fmt: off
def draws_anew(latents, rng): return result(float(np.random.default_rng().random()))
def draws_globally(latents, rng): return result(float(np.random.random()))  # noqa: NPY002
def takes_nan(states, rng): return result()
def wants_more(latents, moon, rng): return result()
def has_no_default(latents, rng, *, n_null): return result(settings={"n_null": n_null})
def has_p_without_null(latents, rng): return result(p=0.5)
def gives_a_number(latents, rng): return 0.0
def fails(latents, rng): return result(1 / 0)
# fmt: on


class Less:
    value, null, p, n, settings = 0.0, np.empty(0), float("nan"), 1, {}


def gives_less(latents, rng) -> Less:
    return Less()


@dataclass
class Loose:
    value: float = 0.0
    null: Any = ()
    p: float = float("nan")
    n: int = 1
    settings: Any = ()


def is_not_frozen(latents, rng) -> Loose:
    return Loose(null=np.empty(0), settings={})


@pytest.mark.parametrize("name", plugins.names("probe"))
def test_every_installed_probe_keeps_the_contract(name: str) -> None:
    check_probe(name)


def test_a_probe_of_ones_own_passes() -> None:
    found = check_probe(f"{HERE}:spread", n_null=5)
    assert found.settings == {"n_null": 5, "has": [True, False]}


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("prints", "prints 'here I am"),
        ("changes", "changes latents"),
        ("draws_anew", "the same rng gives other numbers"),
        ("draws_globally", "global generators"),
        ("takes_nan", "states with NaN are not refused"),
        ("wants_more", "'moon' is not one of the inputs recording, task"),
        ("has_no_default", "the setting 'n_null' has no default"),
        ("has_p_without_null", "p=0.5 with a null of 0 draws"),
        ("gives_less", "gives a Less, not a dataclass"),
        ("is_not_frozen", "can be changed"),
    ],
)
def test_what_a_probe_must_not_do_is_found(name: str, match: str) -> None:
    with pytest.raises(AssertionError, match=match):
        check_probe(f"{HERE}:{name}")


def test_what_is_missing_is_said() -> None:
    recording, agent = recording_of(n_tasks=2)
    name = f"{HERE}:of_dynamics"
    with pytest.raises(Missing, match="of_dynamics' requires agent: none was given with the recording"):
        probe(recording, name)
    with pytest.raises(Missing, match=r"requires dynamics: the agent Predicts has no method dynamics\(\)"):
        probe(recording, name, agent=Predicts())
    assert probe(recording, name, agent=agent).n == 2
    with pytest.raises(Missing, match=r"requires states: the agent .*Average has no hidden state"):
        probe(replace(recording, hidden=None), f"{HERE}:spread")
    with pytest.raises(ValueError, match=r"'n_nul' is not a setting of probe .*did you mean 'n_null'"):
        probe(recording, f"{HERE}:spread", n_nul=3)
    with pytest.raises(ValueError, match=r"'moon' is not an input of probes"):
        probe(recording, f"{HERE}:wants_more")
    with pytest.raises(ValueError, match=r"returns a float without 'value'; see check_probe"):
        probe(recording, f"{HERE}:gives_a_number")
    with pytest.raises(ValueError, match=r"'math:sqrt' cannot be given its parameter 'x' by name"):
        probe(recording, "math:sqrt")
    with pytest.raises(ValueError, match="rng=-1 is not a whole number, 0 or more"):
        probe(recording, f"{HERE}:spread", -1)
    told: list[str] = []
    assert list(probe_all(recording, [f"{HERE}:spread", name], say=told.append)) == [f"{HERE}:spread"]
    assert told == [f"{name}: skipped: probe '{name}' requires agent: none was given with the recording"]


def test_a_probe_finds_the_same_whichever_others_run() -> None:
    recording, _ = recording_of(n_tasks=2)
    names = [f"{HERE}:spread", f"{HERE}:has_no_default"]
    alone = probe(recording, names[0], 3)
    among = probe_all(recording, [f"{HERE}:gives_a_number", names[0]], 3)[names[0]]
    assert np.array_equal(alone.null, among.null)
    assert not np.array_equal(alone.null, probe(recording, names[0], 4).null)
    given = probe(recording, names[0], np.random.default_rng(5))
    assert np.array_equal(given.null, spread(recording.last_hidden(), None, np.random.default_rng(5)).null)


def test_inputs_are_what_they_are_called() -> None:
    recording, agent = recording_of(payoff="quadratic", decision=0, n_tasks=3)
    for name, take in INPUTS.items():
        if name != "context":
            assert take(Source(recording, agent)) is not None
    assert probe(recording, f"{HERE}:spread").settings["has"] == [True, True]


def test_numbers_are_headline_fields_and_what_lies_in_them() -> None:
    recording, _ = recording_of(n_tasks=2)
    found = probe(recording, f"{HERE}:spread")
    row = numbers(found)
    assert list(row)[:5] == ["value", "null_mean", "null_sd", "p", "n"]
    assert row["null_mean"] == pytest.approx(found.null.mean())
    assert row["inner.value"] == 0.5
    assert row["shares.of all"] == 0.25
    assert not any("hidden" in name or "by_unit" in name for name in row)


def test_files_hold_all_numbers_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    class Page:
        def write_html(self, path: Path) -> None:
            path.write_text("<html>")

    def drawn(finding: Any) -> Any:
        return {"": Figure(), "3d": Page()}

    def not_drawn(finding: Any) -> Any:
        raise ValueError("two latents are needed")

    recording, _ = recording_of(n_tasks=2)
    found = {name: probe(recording, f"{HERE}:spread") for name in ("one", "two", "three")}
    monkeypatch.setattr(plugins, "names", lambda kind: ["one", "two"])
    monkeypatch.setattr(plugins, "figure", {"one": drawn, "two": not_drawn}.get)
    told: list[str] = []
    write(found, recording, tmp_path / "new", told.append)
    assert {p.name for p in (tmp_path / "new").iterdir()} == {
        "probes.csv", "probes.json", "one.png", "one.pdf", "one-3d.html",
    }  # fmt: skip
    assert told == ["two: no figure: ValueError: two latents are needed"]
    with open(tmp_path / "new" / "probes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["name"]: float(r["number"]) for r in rows if r["probe"] == "one"} == pytest.approx(
        numbers(found["one"]), nan_ok=True
    )
    whole = json.loads((tmp_path / "new" / "probes.json").read_text())
    assert whole["recording"] == recording.metadata
    assert whole["probes"]["three"]["null"] == found["three"].null.tolist()
    assert whole["probes"]["three"]["numbers"]["inner.p"] is None  # NaN
    shown = table(found).splitlines()
    assert len(shown) == 4
    assert len({len(line) for line in shown}) == 1


def test_p_counts_the_value_as_a_draw() -> None:
    null = np.arange(9.0)
    assert p_value(8.5, null) == 0.1
    assert p_value(-1, null) == 1
    assert p_value(8.0, null) == 0.2
    assert p_value(-1, null, "less") == 0.1
    assert p_value(-1, null, "both") == 0.2
    assert p_value(4, null, "both") == 1
    assert p_value(1 + 1e-12, np.ones(9)) == 1  # rounding alone makes nothing extreme
    assert p_value(-np.inf, np.full(9, -np.inf)) == 1
    assert np.isnan(p_value(1, np.empty(0)))
    with pytest.raises(ValueError, match="side='up' is not"):
        p_value(1, null, "up")
    with pytest.raises(ValueError, match="is NaN"):
        p_value(np.nan, null)


def test_permutations_within_groups_stay_within_and_are_even() -> None:
    groups = np.array([2, 0, 0, 1, 2, 0])
    orders = permutations_within(groups, 6000, np.random.default_rng(0))
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(6), (6000, 1)))
    assert (groups[orders] == groups).all()
    ways, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(ways) == 12  # 3! orders of group 0 and 2! of group 2
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500)


@pytest.mark.slow
def test_a_trained_agent_is_recorded_and_probed_from_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    task = EvidenceTask(n_tasks=3, stimulus=6)
    agent = train(task, 0, replace(PRESETS["dense"], n_updates=300), folder=tmp_path, progress=False)
    assert main(["record", str(tmp_path), "--n-trials", "300"]) == 0
    recording = Recording.load(tmp_path / "recording.npz")
    assert len(recording) == 300
    assert f"{recording.correct.mean():.4f}" in capsys.readouterr().out
    asked = ["probe", str(tmp_path / "recording.npz")]
    assert main([*asked, "decoding", "fixed_points", "--agent", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    value = probe(recording, "decoding", 0, agent=agent).value
    assert f"{value:.4f}" in shown
    made = {path.name for path in (tmp_path / "recording-probes").iterdir()}
    assert {"probes.csv", "probes.json", "decoding.png", "decoding.pdf", "fixed_points-3d.html"} <= made
    for wrong, match in [
        ([], "give names of probes, or --all"),
        (["decoding", "--all"], "give names of probes, or --all"),
        (["decodin"], "did you mean 'decoding'"),
        (["fixed_points"], "none of the probes applies to the recording"),
    ]:
        assert main([*asked, *wrong]) == 2
        assert match in capsys.readouterr().err
    assert main(["record", str(tmp_path), "--n-trials", "0"]) == 2
    assert "n_trials=0 is not a whole number, 1 or more" in capsys.readouterr().err


KINDS = {
    "one latent": {"n_dims": 1, "n_tasks": 1},
    "three latents": {"n_dims": 3},
    "fewer tasks than latents": {"n_dims": 3, "n_tasks": 2},
    "drawn periods": {"stimulus": (3, 9), "delay": (0, 4), "fixation": (0, 2)},
    "a drawn delay": {"delay": (0, 4)},
    "cued": {"cueing": "one"},
    "answers withheld": {"withhold": True, "decision": 2},
    "products": {"boundaries": "product", "n_tasks": 8},
    "affine": {"boundaries": "affine"},
    "two noises": {"sigma": (0.1, 0.3)},
    "noise with memory": {"autocorrelation": 0.7},
    "Gumbel noise": {"noise": "gumbel"},
    "correlated latents": {"latent_correlation": 0.5},
    "an orthant excluded": {"excluded_orthants": ("++",)},
    "noise behind the encoder": {"encoder": "relu", "encoder_noise": 0.1},
    "reaction time": {"payoff": "quadratic", "decision": 0, "stimulus": 8},
    "reaction time, common stop": {"payoff": "accuracy", "decision": 0, "stimulus": 8, "commit": "common"},
    "reaction time, cued": {"payoff": "log", "decision": 0, "stimulus": (4, 8), "cueing": "one"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_probes_of_every_kind_of_task_find_something_or_say_why_not(kind: str) -> None:
    recording, agent = recording_of(**KINDS[kind])
    told: list[str] = []
    found = probe_all(recording, agent=agent, say=told.append)
    assert set(found) | {sentence.partition(":")[0] for sentence in told} == set(plugins.names("probe"))
    assert not [sentence for sentence in told if ": failed: " in sentence]
    assert len(found) >= 12
    for name, finding in found.items():
        assert not np.isnan(finding.value), name
        assert plugins.figure(name)(finding)


def test_a_probe_that_fails_takes_no_other_with_it() -> None:
    recording, _ = recording_of(n_tasks=2)
    told: list[str] = []
    assert list(probe_all(recording, [f"{HERE}:fails", f"{HERE}:spread"], say=told.append)) == [f"{HERE}:spread"]
    assert told == [f"{HERE}:fails: failed: ZeroDivisionError: division by zero"]


def test_an_agent_that_was_not_recorded_is_refused() -> None:
    recording, agent = recording_of(n_tasks=2)
    name = f"{HERE}:of_dynamics"
    assert probe(recording, name, agent=agent).n == 2
    with pytest.raises(ValueError, match="is not the one that was recorded: on the same trials its states differ by"):
        probe(recording, name, agent=agent.untrained())
    _, wider = recording_of(n_tasks=2, n_dims=3)
    with pytest.raises(ValueError, match="is not the one that was recorded"):
        probe(recording, name, agent=wider)


def test_what_was_found_before_in_the_same_recording_stays(tmp_path: Path) -> None:
    recording, _ = recording_of(n_tasks=2)
    other = replace(recording, metadata={**recording.metadata, "seed": 5})
    first, second = (probe(recording, f"{HERE}:spread", seed) for seed in (0, 1))

    def there() -> dict[str, float]:
        whole = json.loads((tmp_path / "probes.json").read_text())["probes"]
        return {name: part["numbers"]["null_mean"] for name, part in whole.items()}

    write({"one": first, "two": first}, recording, tmp_path, print)
    write({"two": second}, recording, tmp_path, print)
    assert there() == {"one": numbers(first)["null_mean"], "two": numbers(second)["null_mean"]}
    write({"three": first}, other, tmp_path, print)
    assert list(there()) == ["three"]


def test_words_and_infinities_are_kept(tmp_path: Path) -> None:
    recording, _ = recording_of(n_tasks=2)

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Told(ProbeResult):
        verdict: str
        lasts: float

    found = Told(value=-np.inf, null=np.full(3, -np.inf), p=1.0, n=1, settings={}, verdict="no memory", lasts=np.inf)
    write({"one": found}, recording, tmp_path, print)
    whole = json.loads((tmp_path / "probes.json").read_text())["probes"]["one"]
    assert whole["words"] == {"verdict": "no memory"}
    assert whole["numbers"]["lasts"] == "inf"
    assert table({"one": found}).splitlines()[-1] == "one: no memory"
