"""The folder of the results: one writer at a time, remains of killed processes removed, failures kept.

.lock, .writer.json    held by the one process that may run studies in the folder; that process
.run-*                 there while studies run: workers that do not see it do not see the folder
failures/<cell>.json   every failed attempt at a run: traceback, time, host
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mtrnn_envs.experiments.studies.backends import Failure
from mtrnn_envs.experiments.studies.cell import AGENTS, ARRAYS, CELLS, LOCK
from mtrnn_envs.experiments.studies.results import STUDIES
from mtrnn_envs.utils.atomic_write import atomic_write

FAILURES = "failures"
WRITER, TOKEN = ".writer.json", ".run-"
# Free bytes required before anything runs: at least, and for each run (weights, state, numbers).
LEAST, EACH = 100e6, 1e6


class NotShared(Exception):
    """A worker does not see the folder of the results."""


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """The folder, made if need be and locked against other processes. The lock dies with its process.

    Raises:
        OSError: if another process holds the lock, or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(out / LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        with atomic_write(out / WRITER) as temporary:
            temporary.write_text(json.dumps({"pid": os.getpid(), "host": platform.node(), "since": _now()}))
    except Timeout:
        raise OSError(
            f"out={str(out)!r}: {_writer(out)} is running there; wait for it, or give another folder"
        ) from None
    except OSError as error:
        lock.release()
        raise OSError(
            f"out={str(out)!r} cannot be written to: {error.strerror or error}; give another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _writer(out: Path) -> str:
    """The process that holds the folder, as far as it is known."""
    try:
        who = json.loads((out / WRITER).read_text())
        return f"process {who['pid']} on {who['host']} (since {who['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"


@contextmanager
def token(out: Path) -> Iterator[str]:
    """The name of a file in the folder, by which workers check that they see the same folder."""
    name = f"{TOKEN}{uuid.uuid4().hex}"
    (out / name).touch()
    try:
        yield name
    finally:
        (out / name).unlink(missing_ok=True)


def check_token(out: Path, name: str) -> None:
    """Raises `NotShared` if this worker does not see the folder."""
    if not (out / name).exists():
        raise NotShared(
            f"{platform.node()} does not see {out} as the process that runs the studies does: give a folder that all "
            "machines share"
        )


def clean(out: Path) -> None:
    """Removes half-written files of killed processes."""
    from filelock import FileLock, Timeout

    for part in (CELLS, ARRAYS, FAILURES, STUDIES):
        for path in (out / part).rglob(".tmp-*"):
            path.unlink(missing_ok=True)
    for pattern in (".tmp-*", f"{TOKEN}*"):
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)
    for path in (out / AGENTS).glob("*/.tmp-*"):
        with suppress(Timeout), FileLock(path.parent / LOCK, timeout=0):  # no process is training it
            path.unlink(missing_ok=True)


def check_space(out: Path, n_cells: int) -> None:
    """Raises `ValueError` if the disk has too little room for so many runs."""
    free, needed = shutil.disk_usage(out).free, max(LEAST, n_cells * EACH) if n_cells else 0
    if free < needed:
        raise ValueError(
            f"out={str(out)!r} has {free / 1e6:.0f} MB free; {n_cells} runs need {needed / 1e6:.0f} MB: make room, or "
            "give another folder"
        )


def stop_if_hopeless(failure: Failure, out: Path) -> None:
    """Raises `OSError` if all other runs would fail as this one did."""
    if failure.unwritable:
        raise OSError(
            f"nothing more can be written to {out} on {failure.host}: {failure.message}; finished runs are kept; make "
            "room, and the same command continues"
        )
    if failure.kind == NotShared.__name__:
        raise OSError(failure.message)


def keep_failure(out: Path, cell: str, failure: Failure) -> None:
    """Adds an attempt to the failed attempts at a run."""
    attempt = {"when": _now(), "host": failure.host, "kind": failure.kind, "traceback": failure.text}
    with atomic_write(out / FAILURES / f"{cell}.json") as temporary:
        temporary.write_text(json.dumps([*attempts(out, cell), attempt], indent=1))


def attempts(out: Path, cell: str) -> list[dict[str, Any]]:
    """The failed attempts at a run."""
    try:
        return json.loads((out / FAILURES / f"{cell}.json").read_text())
    except FileNotFoundError:
        return []


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
