"""The settings of the benchmark: the tasks on which agents are trained and tested, as data, with a version.

Any change that moves a score is a new version. Encoder, test trials, and random boundaries follow from the seed; so
does the whole task of the randomised setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mtrnn_envs import IDS
from mtrnn_envs.rng.seeding import generator, seed_sequence
from mtrnn_envs.task import EvidenceTask
from mtrnn_envs.utils.validation import check_int

VERSION = "MTE-v1"
N_SEEDS = 5
# Trials of training: the last is the budget of all scores, the others are those of the learning curve.
BUDGETS = (2**9, 2**11, 2**13, 2**15)
N_TRIALS = 2000  # test trials of a setting and seed
RANDOMISED = "unannounced"  # the name of the randomised setting, in files of results


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of the suite.

    Attributes:
        name: of the setting.
        text: its description, in one sentence.
        fields: of the task that agents are trained on, where it differs from the default.
        long: fields of a second test, the same task stretched in time; empty for none.
        held_out: an orthant of the latents without training trials, where generalisation is tested; None for none.
    """

    name: str
    text: str
    fields: Mapping[str, Any]
    long: Mapping[str, Any] = field(default_factory=dict)
    held_out: str | None = None


SETTINGS = (
    *(Setting(name=f"n{n}", text=f"{n} lines through two latents.", fields={"n_tasks": n}) for n in (2, 6, 24)),
    *(
        Setting(
            name=f"d5-n{n}", text=f"{n} random hyperplanes through five latents.", fields={"n_tasks": n, "n_dims": 5}
        )
        for n in (3, 5, 15)
    ),
    Setting(name="noise", text="Evidence with three times the noise.", fields={"sigma": 0.6}),
    Setting(
        name="reaction-time",
        text="The agent answers when it likes, with confidence; every step has a cost.",
        fields=IDS["MultiTaskEvidenceRT-v0"][0],
    ),
    Setting(
        name="nonlinear",
        text="Boundaries are conic sections: ellipses and hyperbolas, with both labels equally often.",
        fields={"boundaries": "quadric"},
    ),
    Setting(
        name="delay",
        text="The answer is due 20 steps after the end of the evidence; in a second test, 100 steps after.",
        fields={"n_tasks": 6, "delay": 20},
        long={"delay": 100},
    ),
    Setting(
        name="cued",
        text="A cue selects one of six tasks, and the agent gives one answer.",
        fields={"cueing": "one", "n_tasks": 6},
    ),
    Setting(
        name="new-quadrant",
        text="No training trial is in one quadrant of the latents; generalisation is tested there, all else elsewhere.",
        fields={"excluded_orthants": ("+-",)},
        held_out="+-",
    ),
    Setting(name=RANDOMISED, text="Latents, tasks, noise and times are drawn from the hidden seed.", fields={}),
)
NAMES = tuple(setting.name for setting in SETTINGS)


def task_of(setting: Setting, seed: int, hidden_seed: int = 0) -> EvidenceTask:
    """The task of a setting that agents are trained on under a seed.

    Arguments:
        seed: of boundaries and encoder, and of the randomised setting.
        hidden_seed: of the randomised setting, too: a number that the makers of the ranked agents did not know.
    """
    check_int("seed", seed, 0)
    fields = {**_drawn(seed, hidden_seed), **setting.fields} if setting.name == RANDOMISED else setting.fields
    return EvidenceTask.from_fields({"boundary_seed": seed, "encoder_seed": seed, **fields})


def with_raw_evidence(task: EvidenceTask) -> EvidenceTask:
    """The task that shows raw evidence (no encoder)."""
    return replace(task, encoder=None, encoder_seed=0, encoder_noise=0.0)


def seed_of_tests(setting: Setting, seed: int, hidden_seed: int = 0, *, long: bool = False) -> int:
    """The seed of the environments of a test, or of the long test; no two tests share a trial."""
    which = 1 + NAMES.index(setting.name) + long * len(NAMES)
    sequence = seed_sequence(check_int("hidden_seed", hidden_seed, 0), "suite", check_int("seed", seed, 0), which)
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(2))


def changed(task: EvidenceTask, fields: Mapping[str, Any]) -> EvidenceTask:
    """The task with other values of some fields."""
    return EvidenceTask.from_fields({**asdict(task), **fields})


def _drawn(seed: int, hidden_seed: int) -> dict[str, Any]:
    """The randomised setting: 2 to 4 latents, from as many tasks to four times that, noise of 0.1 to 0.4, and times."""
    rng = generator(check_int("hidden_seed", hidden_seed, 0), "suite", seed, 0)
    n_dims = int(rng.integers(2, 5))
    first = int(rng.integers(10, 21))
    return {
        "n_dims": n_dims,
        "n_tasks": int(rng.integers(n_dims, 4 * n_dims + 1)),
        "boundaries": "random",
        "sigma": round(float(rng.uniform(0.1, 0.4)), 3),
        "stimulus": (first, first + int(rng.integers(0, 11))),
        "delay": (0, int(rng.integers(0, 11))),
    }
