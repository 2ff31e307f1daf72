"""When the periods of a trial begin: fixation, stimulus, delay and decision, in steps."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

Steps: TypeAlias = Any  # an int, or an array [N] of numpy or torch


class Periods(NamedTuple):
    """Lengths of the four periods in steps; arrays where they are drawn per trial."""

    fixation: Steps
    stimulus: Steps
    delay: Steps
    decision: Steps


class Timing(NamedTuple):
    """Steps at which things happen, counted from 0; arrays where periods are drawn per trial.

    Attributes:
        stimulus_on: the first step with evidence.
        stimulus_off: the first step after the evidence.
        go: the first step with the cue at 0, from which answers count.
        end: the number of steps of the trial.
    """

    stimulus_on: Steps
    stimulus_off: Steps
    go: Steps
    end: Steps


def timing(periods: Periods, reaction_time: bool) -> Timing:
    """When periods of the given lengths begin. In reaction-time tasks answers count from the first evidence on."""
    on = periods.fixation
    off = on + periods.stimulus
    if reaction_time:
        return Timing(on, off, go=on, end=off)
    go = off + periods.delay
    return Timing(on, off, go, go + periods.decision)
