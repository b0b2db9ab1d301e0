"""By how much one figure is below another, with an interval over seeds, and what may be said of it.

The reduction is 1 - (sum of one over the seeds) / (sum of the other). The 95 % interval is the percentile bootstrap
(Efron, Annals of Statistics 1979) over seeds, whole seeds at a time: what belongs to one seed shares its data. With
few seeds such intervals are too narrow, so a bound near zero proves little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

RESAMPLES = 10_000
Verdict = Literal["less", "more", "no difference shown"]


@dataclass(frozen=True)
class Reduction:
    """How much smaller the first of two figures is, as a share of the second."""

    share: float
    """0.38: 38 % less; negative: more; NaN, as the interval: the second figure is 0 for every seed."""
    low: float
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

    def beside(self, claimed: float) -> str:
        """Where the interval lies beside a claimed reduction."""
        if not self.defined:
            return "not comparable"
        if self.low > claimed:
            return "above it"
        return "below it" if self.high < claimed else "compatible with it"


def reduction(figure: Sequence[float], other: Sequence[float], seed: int = 0) -> Reduction:
    """Of one figure per seed against another of the same seeds; none may be negative."""
    first, second = np.asarray(figure, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if not second.any():
        return Reduction(math.nan, math.nan, math.nan, len(first))
    draws = np.random.default_rng(seed).integers(len(first), size=(RESAMPLES, len(first)))
    below, above = first[draws].sum(axis=1), second[draws].sum(axis=1)
    shares = 1.0 - below[above > 0] / above[above > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    return Reduction(float(1.0 - first.sum() / second.sum()), float(low), float(high), len(first))
