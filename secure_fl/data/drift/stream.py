"""Streams of transactions in which fraud patterns appear at one bank, move to others and fade.

The honest payments and the usual fraud are the simulator's, dealt to the banks by customer. A `Course` says when one
pattern is active at which bank. The pattern is either one of the simulator's (1 to 3), which the course confines, or
one that a `FraudSource` draws, such as `functools.partial(secure_fl.data.synthetic.sampler.sample, pattern)`.

Rules:
- Outside its course a pattern has no row at a bank. Simulated patterns without a course stay as they are, everywhere.
- At a bank a course keeps its full strength until its fading weeks, in which its strength falls week by week.
- Frauds of a source are drawn week by week, for the customers and terminals that the bank sees in that week.
- The same settings and generator state give the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.simulator import DAY, PATTERNS, Simulation, simulate
from secure_fl.data.split import split_among_banks
from secure_fl.data.transactions import MAX_PATTERN, Transactions, concatenate
from secure_fl.errors import ConfigurationError

WEEK_DAYS = 7


class FraudSource(Protocol):
    """Draws fraudulent rows of one pattern."""

    def __call__(self, count: int, host: Transactions, rng: np.random.Generator, number: int, /) -> Transactions:
        """`count` rows with pattern `number`, within the period, the customers and the terminals of `host`."""


@dataclass(frozen=True)
class Course:
    """Where and when one pattern is active. Raises ConfigurationError if that cannot be."""

    number: int
    """The pattern's number in the rows: 1 to 3 for the simulator's own, 4 to 127 for those of a source."""
    arrivals: tuple[int | None, ...]
    """For each bank the day on which the pattern arrives there; None: never."""
    weeks: int
    """How long it stays at a bank."""
    fading_weeks: int = 0
    """The last of these weeks, in which it grows weaker."""
    frauds: int = 0
    """With a source: its rows at each bank that it reaches."""
    source: FraudSource | None = None
    """None: the rows that the simulator made with this number."""

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MAX_PATTERN or (self.source is None) != (self.number <= len(PATTERNS)):
            raise ConfigurationError(
                f"pattern number {self.number} does not fit its source; use 1 to {len(PATTERNS)} for the simulator's "
                f"own patterns, {len(PATTERNS) + 1} to {MAX_PATTERN} for others"
            )
        if not 0 <= self.fading_weeks < self.weeks:
            raise ConfigurationError(
                f"a pattern cannot stay {self.weeks} weeks and fade for {self.fading_weeks} of them; let it stay longer"
            )
        if (self.frauds > 0) != (self.source is not None):
            raise ConfigurationError("a course needs a number of frauds if it has a source, and none without; set both")
        if any(day is not None and day < 0 for day in self.arrivals) or not any(d is not None for d in self.arrivals):
            raise ConfigurationError("a pattern arrives nowhere or before the stream; give days from 0 on")

    @property
    def weekly_strength(self) -> NDArray[np.float64]:
        """float64 [weeks]: 1 at first, then falling evenly to 1 / (fading_weeks + 1)."""
        left = np.arange(self.weeks, 0, -1)
        return np.minimum(left / (self.fading_weeks + 1), 1.0)

    def strength(self, day: NDArray[np.float64], bank: int) -> NDArray[np.float64]:
        """float64 [n] in [0, 1]: the strength at a bank, for days since the begin of the stream, [n]."""
        arrival = self.arrivals[bank]
        if arrival is None:
            return np.zeros(day.shape)
        week = np.floor((day - arrival) / WEEK_DAYS).astype(np.int64)
        active = (week >= 0) & (week < self.weeks)
        return np.where(active, self.weekly_strength[np.clip(week, 0, self.weeks - 1)], 0.0)

    def end(self, bank: int) -> int | None:
        """The day after the pattern's last one at a bank; None where it never arrives."""
        arrival = self.arrivals[bank]
        return None if arrival is None else arrival + self.weeks * WEEK_DAYS


@dataclass(frozen=True, repr=False, eq=False)
class Stream:
    """The banks' transactions over the whole period, each bank's in order of time."""

    banks: tuple[Transactions, ...]
    courses: tuple[Course, ...]
    days: int

    def __repr__(self) -> str:
        return f"Stream({len(self.banks)} banks, {self.days} days, {len(self.courses)} courses)"

    @property
    def fraud_share(self) -> float:
        """Share of fraud among all banks' rows."""
        return sum(int(bank.fraud.sum()) for bank in self.banks) / sum(len(bank) for bank in self.banks)


def make_stream(simulation: Simulation, banks: int, courses: Sequence[Course], rng: np.random.Generator) -> Stream:
    """Simulate, deal to the banks by customer, and let the patterns of the courses come and go.

    Raises ConfigurationError if a course does not fit the banks or the period, or a source finds no room.
    """
    for course in courses:
        _require_fit(course, simulation.days, banks)
    if len({course.number for course in courses}) < len(courses):
        raise ConfigurationError("two courses have the same pattern number; give each pattern one course")
    parts = split_among_banks(simulate(simulation), banks, "even", seed=simulation.seed)
    rows = []
    for bank, part in enumerate(parts):
        kept = _confine(part, courses, bank, rng)
        drawn = [rows for course in courses for rows in _draw(course, part, bank, rng)]
        rows.append(concatenate([kept, *drawn]).sorted_by_time())
    return Stream(tuple(rows), tuple(courses), simulation.days)


def _require_fit(course: Course, days: int, banks: int) -> None:
    if len(course.arrivals) != banks:
        raise ConfigurationError(
            f"a course names arrivals at {len(course.arrivals)} banks and there are {banks}; name one for each bank"
        )
    ends = [course.end(bank) for bank in range(banks)]
    if any(end is not None and end > days for end in ends):
        raise ConfigurationError(f"a pattern outlasts the {days} days of the stream; let it arrive earlier")


def _confine(part: Transactions, courses: Sequence[Course], bank: int, rng: np.random.Generator) -> Transactions:
    """The rows without simulated fraud that is outside of its course, thinned where the course fades."""
    keep = np.ones(len(part), dtype=np.bool_)
    for course in courses:
        if course.source is None:
            rows = np.flatnonzero(part.pattern == course.number)
            keep[rows] = rng.random(rows.size) < course.strength(part.when[rows] / DAY, bank)
    return part.take(keep)


def _draw(course: Course, part: Transactions, bank: int, rng: np.random.Generator) -> list[Transactions]:
    """The fraud of a source at one bank, a table for each week that has some."""
    arrival = course.arrivals[bank]
    if course.source is None or arrival is None:
        return []
    strength = course.weekly_strength
    until = np.round(course.frauds * np.cumsum(strength) / strength.sum()).astype(np.int64)
    tables = []
    for week, count in enumerate(np.diff(until, prepend=0).tolist()):
        first = (arrival + week * WEEK_DAYS) * DAY
        host = part.take((part.when >= first) & (part.when < first + WEEK_DAYS * DAY))
        if count:
            tables.append(course.source(count, host, rng, course.number))
    return tables
