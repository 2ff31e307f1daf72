"""The settings of the benchmark: what agents are trained on and tested on, as data, under the name of their version.

Whatever changes a number that an agent gets is a new version. Encoder, test trials, and boundaries where they are
drawn, follow from the seed; in the last setting all does.
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


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of the suite.

    Attributes:
        name: of it.
        text: what it asks, in one sentence.
        fields: of the task that agents are trained on, where it differs from the default.
        long: fields of another test, the same task stretched in time; empty for none.
        held_out: an orthant of the latents that no training trial is in, where generalisation is tested; None for none.
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
            name=f"d5-n{n}",
            text=f"{n} random hyperplanes through five latents.",
            fields={"n_tasks": n, "n_dims": 5},
        )
        for n in (3, 5, 15)
    ),
    Setting(name="noise", text="Evidence with three times the noise.", fields={"sigma": 0.6}),
    Setting(
        name="reaction-time",
        text="Answers when the agent likes, with confidence; every step costs.",
        fields=IDS["MultiTaskEvidenceRT-v0"][0],
    ),
    Setting(
        name="nonlinear",
        text="Boundaries are conic sections: ellipses and hyperbolas, with both labels equally often.",
        fields={"boundaries": "quadric"},
    ),
    Setting(
        name="delay",
        text="The answer is asked for 20 steps after the evidence has ended; and, in another test, 100 steps after.",
        fields={"n_tasks": 6, "delay": 20},
        long={"delay": 100},
    ),
    Setting(
        name="cued",
        text="A cue names one of six tasks, and one answer is given.",
        fields={"cueing": "one", "n_tasks": 6},
    ),
    Setting(
        name="new-quadrant",
        text="No training trial is in one quadrant of the latents: generalisation is tested there, all else elsewhere.",
        fields={"excluded_orthants": ("+-",)},
        held_out="+-",
    ),
    Setting(
        name="unannounced",
        text="Drawn when agents are tested: latents, tasks, noise and times.",
        fields={},
    ),
)
NAMES = tuple(setting.name for setting in SETTINGS)


def task_of(setting: Setting, seed: int, secret: int = 0) -> EvidenceTask:
    """The task of a setting that agents are trained on under a seed.

    Arguments:
        setting: one of `SETTINGS`.
        seed: of boundaries and encoder, and of all that is unannounced.
        secret: of what is unannounced, too: whoever ranks agents gives a number that their makers did not know.
    """
    check_int("seed", seed, 0)
    fields = {**_drawn(seed, secret), **setting.fields} if setting.name == "unannounced" else setting.fields
    return EvidenceTask.from_fields({"boundary_seed": seed, "encoder_seed": seed, **fields})


def bare(task: EvidenceTask) -> EvidenceTask:
    """The task with the evidence itself shown, without an encoder."""
    return replace(task, encoder=None, encoder_seed=0, encoder_noise=0.0)


def seed_of_tests(setting: Setting, seed: int, secret: int = 0, *, long: bool = False) -> int:
    """The seed of the environments that agents are tested in, or of the long test; no two tests share a trial."""
    which = 1 + NAMES.index(setting.name) + long * len(NAMES)
    sequence = seed_sequence(check_int("secret", secret, 0), "suite", check_int("seed", seed, 0), which)
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(2))


def changed(task: EvidenceTask, fields: Mapping[str, Any]) -> EvidenceTask:
    """A task in which some fields are others."""
    return EvidenceTask.from_fields({**asdict(task), **fields})


def _drawn(seed: int, secret: int) -> dict[str, Any]:
    """What nobody knows before: 2 to 4 latents, as many tasks up to four times that, noise of 0.1 to 0.4, times."""
    rng = generator(check_int("secret", secret, 0), "suite", seed, 0)
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
