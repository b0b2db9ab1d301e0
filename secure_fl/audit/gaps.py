"""Gaps between a group and all other rows, and whether chance explains them.

The bootstrap is parametric, from the opened counts alone: a count k of n is drawn again as binomial with the share
(k + 1/2) / (n + 1), for the group and for the rest, so that no further sum leaves a bank and a count of 0 is not taken
for certainty. It treats rows as independent; where one customer has many rows, intervals are too narrow.

All judged gaps of an audit are looked at together: each interval is wide enough that, with no gap anywhere, all of them
hold zero with a probability of about 95 % (Bonferroni). An interval is about one model. Training leaves small gaps of
its own, as real as they are accidental, so a group counts as worse off only from a percentage point on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.counts import RATES, Counts

LEVEL = 0.95
LEAST_GAP = 0.01
"""What an interval must lie beyond for a group to count as worse off."""
DRAWS = 20_000
JUDGED: Mapping[str, int] = {"false_positive_rate": 1, "recall": -1}
"""Rates by which a group is judged to be worse off, and the sign of a gap that is to its disadvantage: its honest rows
are flagged more often (predictive equality), its frauds found less often (equal opportunity)."""


@dataclass(frozen=True)
class Gap:
    """A rate of one group less that of all other rows."""

    column: str
    group: str
    rate: str
    gap: float
    interval: tuple[float, float]

    @property
    def excludes_zero(self) -> bool:
        return self.interval[0] > 0 or self.interval[1] < 0

    @property
    def certain(self) -> float:
        """How much worse off the group is at the near end of the interval; 0 where it may not be, or is not judged."""
        near = {1: self.interval[0], -1: -self.interval[1], 0: 0.0}
        return max(0.0, near[JUDGED.get(self.rate, 0)])

    @property
    def worse(self) -> bool:
        """Whether the group is worse off, by more than chance and accidents of training explain."""
        return self.certain > LEAST_GAP

    @property
    def text(self) -> str:
        """For people: the group, the gap and its interval."""
        low, high = self.interval
        what = self.rate.replace("_", " ")
        return f"{what} of {self.column} {self.group}: {self.gap:+.3f} against all others [{low:+.3f}, {high:+.3f}]"

    def document(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "group": self.group,
            "rate": self.rate,
            "gap": self.gap,
            "interval": list(self.interval),
            "excludes_zero": self.excludes_zero,
            "worse": self.worse,
        }


def find_gaps(
    everything: Counts, columns: Mapping[str, Mapping[str, Counts]], rng: np.random.Generator
) -> tuple[Gap, ...]:
    """Of every group and rate with rows enough on both sides."""
    asked = [
        (column, name, rate, counts, everything - counts)
        for column, groups in columns.items()
        for name, counts in groups.items()
        for rate in RATES
        if counts.tells(rate) and (everything - counts).tells(rate)
    ]
    judged = sum(rate in JUDGED for _, _, rate, _, _ in asked)
    tail = (1 - LEVEL) / 2 / max(judged, 1)
    return tuple(
        Gap(column, name, rate, *_gap(own.ratio(rate), rest.ratio(rate), tail, rng))
        for column, name, rate, own, rest in asked
    )


def _gap(
    own: tuple[int, int], rest: tuple[int, int], tail: float, rng: np.random.Generator
) -> tuple[float, tuple[float, float]]:
    low, high = np.quantile(_redrawn(*own, rng) - _redrawn(*rest, rng), (tail, 1 - tail))
    return own[0] / own[1] - rest[0] / rest[1], (float(low), float(high))


def _redrawn(part: int, whole: int, rng: np.random.Generator) -> NDArray[np.float64]:
    share: NDArray[np.float64] = rng.binomial(whole, (part + 0.5) / (whole + 1), size=DRAWS) / whole
    return share
