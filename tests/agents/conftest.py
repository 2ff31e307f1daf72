"""Fixtures of the tests of agents."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest

from mtrnn_agents import one_thread


@pytest.fixture
def single_thread() -> Iterator[None]:
    """The tensors are small, and threads that wait for each other make it many times slower."""
    with one_thread():
        yield


@pytest.fixture
def unannotated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations are not checked, as for users: the errors are those of the package."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
