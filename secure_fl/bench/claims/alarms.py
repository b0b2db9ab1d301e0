"""Whether a change detector notices that fraud has changed, from the misses of a bank's own model.

A bank feeds one value for each of its frauds, in order of time: 1 if its model missed it, else 0. The label comes
`DELAY_DAYS` late, and so does the alarm. The control is the same sequence without the new patterns: alarms there are
false ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.bench.claims.stream import Learning, Scored
from secure_fl.data import DELAY_DAYS
from secure_fl.data.drift import watch
from secure_fl.data.simulator import DAY, PATTERNS


@dataclass(frozen=True)
class Noticed:
    """What the detector said at one bank."""

    seed: int
    bank: int
    """From 1."""
    learning: Learning
    days_to_alarm: int | None
    """From the first fraud of any new pattern at this bank to the first alarm after it; None: no alarm."""
    false_alarms: int
    """In the control."""


def notice(seed: int, learning: Learning, banks: Sequence[Scored]) -> tuple[Noticed, ...]:
    """Run ADWIN over each bank's misses."""
    return tuple(_notice(seed, learning, number, bank) for number, bank in enumerate(banks, start=1))


def _notice(seed: int, learning: Learning, number: int, bank: Scored) -> Noticed:
    new = bank.pattern > len(PATTERNS)
    arrived = int(bank.when[new].min() // DAY)
    after = [day - arrived for day in _alarm_days(bank, np.ones_like(new)) if day >= arrived]
    return Noticed(seed, number, learning, min(after, default=None), len(_alarm_days(bank, ~new)))


def _alarm_days(bank: Scored, rows: NDArray[np.bool_]) -> list[int]:
    """Days on which an alarm is raised over the misses among some of the frauds."""
    order = np.argsort(bank.when[rows], kind="stable")
    when, missed = bank.when[rows][order], ~bank.flagged[rows][order]
    places = watch(missed.astype(np.float64).tolist()).places
    return [int(when[place] // DAY) + DELAY_DAYS for place in places]
