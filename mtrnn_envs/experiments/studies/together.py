"""Agents of the same kind and settings trained on a device, many as one problem, before their runs are recorded."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mtrnn_envs import plugins
from mtrnn_envs.experiments.monitoring import decoding
from mtrnn_envs.experiments.studies import folder
from mtrnn_envs.experiments.studies.backends import Backend, Failure, outcomes
from mtrnn_envs.experiments.studies.cell import AGENTS, COST, LOCK, Cell, add_cost, since, started

TOGETHER = 64  # networks trained as one problem on a GPU


def check_device(device: str) -> None:
    """Raises `ValueError` if there is no such device."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device={device!r} cannot be used here: {str(error).splitlines()[0]}") from error


def train_together(
    cells: Iterable[Cell],
    out: Path,
    token: str,
    backend: Backend,
    device: str,
    progress: bool,
    say: Callable[[str], None],
) -> None:
    """Trains the agents of `cells` whose plug-in has `ensemble`; runs then find them trained."""
    from tqdm import tqdm

    kinds: dict[str, dict[str, Cell]] = defaultdict(dict)
    for cell in cells:
        if cell.trained and callable(getattr(plugins.agent(cell.agent), "ensemble", None)):
            kinds[json.dumps([cell.agent, cell.identity["training"]], sort_keys=True)][cell.run] = cell
    groups: list[list[Cell]] = []
    for kind in kinds.values():
        runs = sorted(kind)  # processes that take several locks all take them in this order
        groups += [[kind[run] for run in runs[i : i + TOGETHER]] for i in range(0, len(runs), TOGETHER)]
    where = replace(backend, n_jobs=1) if backend.name == "local" else backend
    bar = tqdm(total=sum(map(len, groups)), desc=f"agents on {device}", unit="agent", disable=not progress)
    with bar, closing(outcomes(partial(_group, out, token, device), groups, where, say)) as ended:
        for i, outcome in ended:
            bar.update(len(groups[i]))
            if isinstance(outcome, Failure):
                folder.stop_if_hopeless(outcome, out)
                for cell in groups[i]:
                    folder.keep_failure(out, cell.id, outcome)
                why = f"{outcome.kind}: {outcome.message}"
                say(f"{len(groups[i])} agents are trained one by one, not together on {device}: {why}")


def _group(out: Path, token: str, device: str, cells: Sequence[Cell]) -> None:
    """Trains the agents of cells as one problem, in a worker."""
    from filelock import FileLock

    folder.check_token(out, token)
    folders = [out / AGENTS / cell.run for cell in cells]
    with ExitStack() as locks:
        for each in folders:
            each.mkdir(parents=True, exist_ok=True)
            locks.enter_context(FileLock(each / LOCK))
        begun = started()
        plugin: Any = plugins.agent(cells[0].agent)
        plugin.ensemble(
            [(cell.task, cell.seed) for cell in cells],
            cells[0].training,
            folder=out / AGENTS,
            device=device,
            progress=False,
            metrics=decoding(lambda sentence: None),
        )
        share = {name: v / len(cells) if isinstance(v, float) else v for name, v in since(begun).items()}
        for each in folders:
            add_cost(each / COST, {**share, "device": str(device), "whole": True})
