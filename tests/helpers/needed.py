"""Optional engines of tests: without one a test is skipped, but where CI is set it fails."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def needed(module: str, supported: bool = True) -> Any:
    """The module, or the test (or test module) is skipped; it fails where CI is set and this Python is `supported`."""
    try:
        return importlib.import_module(module)
    except ImportError:
        missing(f"{module} is not installed", supported)


def missing(why: str, supported: bool = True) -> None:
    """Skips the test or test module; it fails where CI is set and this Python is `supported`."""
    if os.environ.get("CI") and supported:
        pytest.fail(why, pytrace=False)
    pytest.skip(why, allow_module_level=True)
