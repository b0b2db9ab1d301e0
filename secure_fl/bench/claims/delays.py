"""How many days a fraud pattern runs before a bank detects it.

Days are counted from the day of the pattern's first fraud at any bank (day 0). A bank detects the pattern on the first
day t on which, of the pattern's frauds at this bank in the `WINDOW_DAYS` days to t, at least `LEAST` in number, at
least half were flagged. The window keeps one lucky hit from counting, and a pattern that the bank has not met is not
detected.

Censoring: a pattern that is not detected before its course at the bank ends has no delay. It is counted with all days
up to that end and marked `detected=False`. The end is a setting of the stream and the same for all models, so means of
these days are restricted means: lower bounds of the mean delay, comparable between models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW_DAYS = 7
LEAST = 5
SHARE = 0.5


@dataclass(frozen=True)
class Delay:
    """How long one pattern ran before one bank detected it."""

    days: int
    """From the pattern's first fraud at any bank; if not detected, until its course at this bank ended."""
    days_here: int
    """The same from its first fraud at this bank."""
    detected: bool


def detection_day(day: NDArray[np.int64], flagged: NDArray[np.bool_]) -> int | None:
    """The day on which one bank detects one pattern, or None.

    day: int64 [n], the day of each of its frauds at the bank, in any order; flagged: bool [n].
    """
    if not day.size:
        return None
    for today in range(int(day.min()), int(day.max()) + WINDOW_DAYS):
        recent = (day > today - WINDOW_DAYS) & (day <= today)
        if recent.sum() >= LEAST and flagged[recent].mean() >= SHARE:
            return today
    return None


def delay(day: NDArray[np.int64], flagged: NDArray[np.bool_], appeared: int, end: int) -> Delay:
    """The delay of one pattern at one bank.

    day, flagged: as in `detection_day`, at least one fraud; appeared: day of the first fraud at any bank; end: the day
    after the course's last day at this bank, from which on nothing is observed.
    """
    detected = detection_day(day, flagged)
    last = end if detected is None or detected >= end else detected
    return Delay(last - appeared, last - int(day.min()), detected=last < end)
