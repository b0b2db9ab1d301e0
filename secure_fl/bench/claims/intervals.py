"""By how much one figure is below another, with an interval over seeds, and what may be said of it.

The reduction is 1 - (sum of one over the seeds) / (sum of the other): 1 - r for the ratio r of the sums. Its interval
inverts the exact sign-flip test of "the differences first - r x second lie as often above zero as below it, by the
same amounts", which is what holds where nothing but chance tells the two apart. For sums over seeds that inversion
needs no search: the interval ends at quantiles of the ratios of all subsets of the seeds (Hartigan, "Using subsample
values as typical values", JASA 1969). Seeds are taken whole: what belongs to one seed shares its data.

Many comparisons are made side by side. Each gets `ERROR` divided by their number (Bonferroni), so that all intervals
hold at once with 1 - `ERROR`. So small a share of the subsets must hold at least one of them: with fewer than
`seeds_needed` seeds there is no interval, and nothing is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ERROR = 0.05
"""How often any of the comparisons made side by side may say "less" or "more" without a difference."""
ENUMERATED = 20
"""With more seeds than this, subsets are drawn at random instead, 2**ENUMERATED - 1 of them: as exact, less sharp."""
Verdict = Literal["less", "more", "no difference shown"]


@dataclass(frozen=True)
class Reduction:
    """How much smaller the first of two figures is, as a share of the second."""

    share: float
    """0.38: 38 % less; negative: more; NaN: the second figure is 0 for every seed."""
    low: float
    """-infinity: no lower end is shown, and so for `high`."""
    high: float
    seeds: int

    @property
    def verdict(self) -> Verdict:
        """What the interval allows to say."""
        if self.low > 0:
            return "less"
        return "more" if self.high < 0 else "no difference shown"

    @property
    def defined(self) -> bool:
        """Whether there was something that could be reduced."""
        return math.isfinite(self.share)

    @property
    def bounded(self) -> bool:
        """Whether the interval says anything: with too few seeds it has no end."""
        return math.isfinite(self.low) or math.isfinite(self.high)

    def beside(self, claimed: float) -> str:
        """Where the interval lies beside a claimed reduction."""
        if not self.defined or not self.bounded:
            return "not comparable"
        if self.low > claimed:
            return "above it"
        return "below it" if self.high < claimed else "compatible with it"


def seeds_needed(comparisons: int) -> int:
    """The fewest seeds that give an interval beside so many comparisons."""
    return math.ceil(math.log2(2 * comparisons / ERROR))


def reduction(figure: Sequence[float], other: Sequence[float], comparisons: int = 1) -> Reduction:
    """Of one figure per seed against another of the same seeds, none negative, as one of so many comparisons."""
    return _reduction(tuple(map(float, figure)), tuple(map(float, other)), comparisons)


@lru_cache(maxsize=256)
def _reduction(figure: tuple[float, ...], other: tuple[float, ...], comparisons: int) -> Reduction:
    if not any(other):
        return Reduction(math.nan, math.nan, math.nan, len(figure))
    low, high = _ratio_interval(figure, other, ERROR / comparisons)
    return Reduction(1.0 - sum(figure) / sum(other), 1.0 - high, 1.0 - low, len(figure))


def _ratio_interval(figure: Sequence[float], other: Sequence[float], error: float) -> tuple[float, float]:
    """Where the ratio of the sums lies, with 1 - `error`."""
    above, below = _subset_sums(figure, other)
    left_out = math.floor(error / 2 * (len(above) + 1))  # at each end; the empty subset counts as one
    if left_out == 0:
        return -math.inf, math.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = above / below
    nothing = np.isnan(ratios)  # 0 / 0 fits every ratio, so it may move neither end inwards
    low = np.partition(np.where(nothing, -math.inf, ratios), left_out - 1)[left_out - 1]
    high = np.partition(np.where(nothing, math.inf, ratios), -left_out)[-left_out]
    return float(low), float(high)


def _subset_sums(figure: Sequence[float], other: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sums over each subset of the seeds but the empty one, or over as many random subsets."""
    if len(figure) <= ENUMERATED:
        above, below = np.zeros(1), np.zeros(1)
        for one, two in zip(figure, other, strict=True):
            above, below = np.concatenate([above, above + one]), np.concatenate([below, below + two])
        return above[1:], below[1:]
    rng = np.random.default_rng(0)
    above, below = np.zeros((1 << ENUMERATED) - 1), np.zeros((1 << ENUMERATED) - 1)
    for one, two in zip(figure, other, strict=True):
        chosen = rng.integers(2, size=len(above))
        above += chosen * one
        below += chosen * two
    return above, below
