"""The score from which a row counts as flagged: given, or found so that 5 % of all banks' honest rows are flagged.

The second is how the Bank Account Fraud suite compares models (Jesus et al., "Turning the Tables: Biased, Imbalanced,
Dynamic Tabular Datasets for ML Evaluation", NeurIPS 2022). No bank knows the others' scores, so banks add up counts of
scores in bins of log-odds, and the threshold is the lowest edge of a bin that keeps false positives at 5 % or below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.sums import SecureSums
from secure_fl.errors import ConfigurationError, DataError

FALSE_POSITIVES = 0.05
EDGES: NDArray[np.float64] = np.linspace(-20.0, 20.0, 1601)
"""Of bins, in log-odds; what lies beyond is in the outermost two."""


@dataclass(frozen=True)
class Threshold:
    """From which score on a row is flagged."""

    log_odds: float
    chosen: str

    @classmethod
    def given(cls, probability: float) -> Threshold:
        """Raises `ConfigurationError`."""
        if not 0 < probability < 1:
            raise ConfigurationError(f"a threshold of {probability:g} flags all rows or none; use one between 0 and 1")
        return cls(float(np.log(probability / (1 - probability))), "as given")

    @classmethod
    def at_false_positives(
        cls, scores: Sequence[NDArray[np.float64]], fraud: Sequence[NDArray[np.bool_]], sums: SecureSums
    ) -> Threshold:
        """Of each bank the log-odds and the labels of its rows, [n]. Raises `DataError` without honest rows."""
        histograms = [histogram(score[~label]) for score, label in zip(scores, fraud, strict=True)]
        counts = sums.add("honest scores", histograms)
        honest = int(counts.sum())
        if honest == 0:
            raise DataError("no bank has an honest test row to choose a threshold by; give one with --threshold")
        flagged = np.cumsum(counts[::-1])[::-1]  # at bin b: rows that score at least its lower edge
        few = np.flatnonzero(flagged <= FALSE_POSITIVES * honest)
        if len(few) == 0 or few[0] == 0:
            raise DataError(
                f"more than {FALSE_POSITIVES:.0%} of honest rows score above every edge; give a --threshold"
            )
        return cls(float(EDGES[few[0] - 1]), f"at most {FALSE_POSITIVES:.0%} of all honest rows are flagged")

    @property
    def probability(self) -> float:
        return float(np.exp(-np.logaddexp(0.0, -self.log_odds)))  # also of the smallest

    def document(self) -> dict[str, Any]:
        return {"probability": self.probability, "log_odds": self.log_odds, "chosen": self.chosen}


def histogram(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts of [below the first edge, from each edge on up to the next], int64 [edges + 1]."""
    return np.bincount(np.searchsorted(EDGES, scores, side="right"), minlength=len(EDGES) + 1).astype(np.int64)
