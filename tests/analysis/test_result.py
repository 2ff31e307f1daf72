"""Results of probes print as a few lines, and show their figure in a notebook."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from helpers.codes import latents_of, linear

from mtrnn_analysis import ProbeResult
from mtrnn_analysis.geometry.ccgp import ccgp
from mtrnn_envs import plugins


def class_of(probe: str) -> type[ProbeResult]:
    function = inspect.unwrap(plugins.probe(probe))
    return vars(sys.modules[function.__module__])[function.__annotations__["return"]]


def result_of(kind: type[ProbeResult], n_null: int = 100) -> ProbeResult:
    """A result that has only what all results have."""
    result = object.__new__(kind)
    parts: dict[str, Any] = {"value": 0.5, "null": np.linspace(0, 1, n_null), "p": 0.25, "n": 200, "settings": {}}
    for name, part in parts.items():
        object.__setattr__(result, name, part)
    return result


@pytest.mark.parametrize("probe", plugins.names("probe"))
def test_every_result_is_named_after_its_probe_and_prints_in_eight_lines(probe: str) -> None:
    result = result_of(class_of(probe))
    lines = repr(result).splitlines()
    assert result.probe == probe
    assert lines[0].startswith(f"{probe}: ")
    assert len(lines) <= 8
    assert max(map(len, lines)) <= 100
    assert lines[-4:] == ["  value 0.5", "  null  0.5 [0.025, 0.975] (95% of 100 draws)", "  p     0.25", "  n     200"]


def test_a_result_without_a_null_has_neither_interval_nor_p() -> None:
    assert repr(result_of(class_of("rsa"), n_null=0)).splitlines()[-2:] == ["  value 0.5", "  n     200"]


def test_a_notebook_shows_the_figure() -> None:
    rng = np.random.default_rng(0)
    latents = latents_of(rng, 200)
    shown = ccgp(linear(rng, latents, 5), latents, rng, n_null=3)._repr_html_()
    assert "<b>ccgp</b>" in shown
    assert "<th>value</th>" in shown
    assert 'src="data:image/png;base64,' in shown


def test_a_notebook_shows_the_table_where_no_figure_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    result = result_of(class_of("ccgp"))
    monkeypatch.setitem(sys.modules, "mtrnn_analysis.figures.abstraction", None)  # as without matplotlib
    shown = result._repr_html_()
    assert "<th>value</th>" in shown
    assert "<p>no figure: ImportError: " in shown


def test_a_custom_result_has_no_figure_and_may_lack_a_docstring() -> None:
    @dataclass(frozen=True, eq=False, kw_only=True, repr=False)
    class MyProbe(ProbeResult):
        more: float

    result = MyProbe(value=1.0, n=3, settings={}, more=2.0)
    assert repr(result).splitlines()[0] == "my_probe:"
    assert "<img" not in result._repr_html_()


def test_parts_of_results_print_arrays_by_their_shapes() -> None:
    from mtrnn_analysis.decoding import ridge

    decoder = ridge(np.eye(40), np.eye(40), 1.0)
    assert repr(decoder) == "Ridge(weights=array[40, 40], intercept=array[40], penalty=1)"
    assert [part.name for part in fields(decoder)] == ["weights", "intercept", "penalty"]
