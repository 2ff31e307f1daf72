"""Collects ratios and prints them, beside what is aimed at, when the benchmarks are done."""

import pytest

ROWS: list[tuple[str, float, object]] = []


@pytest.fixture
def ratios():
    """`ratios(what, value, aim)` adds a row to the table."""
    return lambda what, value, aim: ROWS.append((what, value, aim))


def pytest_terminal_summary(terminalreporter):
    if ROWS:
        terminalreporter.section("ratios (CPU time, this run)")
        for what, value, aim in ROWS:
            terminalreporter.write_line(f"{what:<70} {value:6.3f}   aim: {aim}")
