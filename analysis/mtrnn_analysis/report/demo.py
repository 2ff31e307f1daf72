"""The report of the demo: a table and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtrnn_analysis.decoding.controls import control_states
from mtrnn_analysis.decoding.decoding import decode
from mtrnn_analysis.figures import Reference, Result, r2_figure, save, tasks_figure, trajectories_figure
from mtrnn_analysis.report.tables import table
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.recording import Recording
from mtrnn_envs.utils.atomic_write import atomic_write

# Trials from which controls are decoded; the standard error of their r2 is then below 0.001.
N_CONTROL = 20_000


def multitask_report(
    results: Sequence[Result], untrained: Sequence[Result], recordings: Sequence[Recording], folder: Path
) -> str:
    """Writes what the number of tasks does to the code of x*, as a table and figures; gives the table.

    Values are means over networks. Accuracy stands beside that of the ideal observer. `r2_prior` stands beside what
    no training is needed for, decoded in the same way: the state of untrained networks, the encoder's output of the
    last sample and its mean over all samples, the mean of the evidence itself (the best there is among affine
    decoders of the evidence); and beside the ideal observer's, which nothing can pass. The files are table.md, and
    tasks, trajectories and r2 as PNG and PDF.

    Arguments:
        results: trained networks, for one number of tasks or more.
        untrained: networks before training.
        recordings: of one network for each number of tasks whose trajectories are to be shown.
        folder: where to write; made if need be.
    """
    tasks = [recording.task for recording in recordings]
    ceiling, *encoded = _controls(tasks[-1])
    rows = [_row(n, [r for r in results if r.n_tasks == n], tasks[0]) for n in sorted({r.n_tasks for r in results})]
    rows += [_row("untrained", untrained, None)]
    rows += [[found.name, "", "", "", found.r2_id, found.r2_ood, ""] for found in (*encoded, ceiling)]
    rows += [["ideal observer", "", "", "", ideal_performance(tasks[-1]).r2_prior, "", ""]]
    header = ["tasks", "networks", "accuracy", "ideal", "r2_prior ID", "r2_prior OOD", "OOD, range"]
    shares = [recording.correct.mean(axis=1) for recording in recordings]
    error = max(share.std() / np.sqrt(len(share)) for share in shares)
    note = f"Accuracy: {len(shares[0])} test trials, the same for all; standard error up to {error:.4f}."
    text = f"{table(header, rows)}\n\n{note}"
    with atomic_write(folder / "table.md") as temporary:
        temporary.write_text(text + "\n")
    save(tasks_figure(tasks), folder / "tasks")
    save(trajectories_figure(recordings), folder / "trajectories")
    mean = np.mean([[r.r2_id, r.r2_ood] for r in untrained], axis=0)
    save(r2_figure(results, [ceiling, Reference("untrained", *mean.tolist())]), folder / "r2")
    return text


def _row(name: object, results: Sequence[Result], like: EvidenceTask | None) -> list[object]:
    """The means over networks of one kind."""
    ideal = "" if like is None else ideal_performance(replace(like, n_tasks=name)).accuracy
    ood = [r.r2_ood for r in results]
    means = [float(np.mean(v)) for v in ([r.accuracy for r in results], [r.r2_id for r in results], ood)]
    return [str(name), str(len(results)), means[0], ideal, *means[1:], f"{min(ood):.3f} to {max(ood):.3f}"]


def _controls(task: EvidenceTask) -> list[Reference]:
    """What can be decoded without a network: from the evidence, and from what the encoder makes of it."""
    trials = Stream(task, "test", 0).take(N_CONTROL)
    states, names = control_states(trials), {"mean evidence": "mean evidence"}
    if task.encoder is None:
        names = {"mean input": "mean evidence"}
    else:
        names |= {"last input": "encoder, last sample", "mean input": "encoder, mean of samples"}
    found = {
        name: decode(states[key], trials.latents, np.random.default_rng(0), n_null=0) for key, name in names.items()
    }
    return [Reference(name, f.in_distribution.r2_prior, f.out_of_distribution.r2_prior) for name, f in found.items()]
