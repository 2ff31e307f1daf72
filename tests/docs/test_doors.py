"""README, documentation and examples import from the public packages alone, and only names in their `__all__`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module

import pytest
from helpers.pages import ROOT, SNIPPETS

DOORS = {
    "mtrnn_envs",
    *(
        f"mtrnn_envs.{name}"
        for name in (
            "components",
            "ideal_observer",
            "testing",
            "experiments",
            "experiments.studies",
            "experiments.studies.backends",
        )
    ),
    "mtrnn_agents",
    *(f"mtrnn_agents.{name}" for name in ("supervised", "trial_ppo", "stable_baselines", "networks")),
    "mtrnn_analysis",
    *(
        f"mtrnn_analysis.{name}"
        for name in (
            *("decoding", "geometry", "dynamics", "behavior", "confidence", "theory", "selectivity", "similarity"),
            *("figures", "studies", "report"),
        )
    ),
}
EXAMPLES = {path.relative_to(ROOT).as_posix(): [path.read_text()] for path in sorted(ROOT.glob("examples/*.py"))}


def imports(code: str) -> Iterator[tuple[str, str | None]]:
    """The modules of ours that `code` imports, each with a name taken from it, or None."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [(node.module, alias.name) for alias in node.names]
        else:
            continue
        yield from (each for each in found if each[0].startswith("mtrnn_"))


def is_public(module: str, name: str | None) -> bool:
    if name is None or f"{module}.{name}" in DOORS:
        return module in DOORS
    return module in DOORS and name in import_module(module).__all__


@pytest.mark.parametrize("page", [*SNIPPETS, *EXAMPLES])
def test_imports_are_public(page: str) -> None:
    snippets = (SNIPPETS | EXAMPLES)[page]
    wrong = [f"{m}:{n}" for code in snippets for m, n in imports(code) if not is_public(m, n)]
    assert not wrong, f"{page} imports {', '.join(wrong)}; export it from one of {sorted(DOORS)}"


@pytest.mark.parametrize("door", sorted(DOORS))
def test_each_public_package_has_the_names_it_lists(door: str) -> None:
    package = import_module(door)
    assert package.__all__
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
