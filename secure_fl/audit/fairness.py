"""How groups of rows fare: rates, calibration and gaps, from two secure sums over all banks' test rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.counts import LENGTH, Counts, count_rows
from secure_fl.audit.floors import LEAST_FRAUDS, LEAST_ROWS
from secure_fl.audit.gaps import LEAST_GAP, LEVEL, Gap, find_gaps
from secure_fl.audit.groups import Grouping
from secure_fl.audit.opening import Subject
from secure_fl.audit.sums import SecureSums
from secure_fl.audit.threshold import Threshold
from secure_fl.training import predict

_CLOSEST = 1e-12
"""To certainty, so that log-odds are finite."""


@dataclass(frozen=True, eq=False)
class Fairness:
    """What is known of groups, outside of the banks."""

    threshold: Threshold
    everything: Counts
    columns: dict[str, dict[str, Counts]]
    gaps: tuple[Gap, ...] = field(repr=False)
    max_gap: float | None = None

    @property
    def worse(self) -> tuple[Gap, ...]:
        """Where groups are worse off, the largest gap first."""
        return self._sorted(gap for gap in self.gaps if gap.worse)

    @property
    def failed(self) -> tuple[Gap, ...]:
        """Gaps to a group's disadvantage that are larger than what is allowed, and not by chance."""
        allowed = math.inf if self.max_gap is None else self.max_gap
        return self._sorted(gap for gap in self.gaps if gap.certain > 0 and abs(gap.gap) > allowed)

    @staticmethod
    def _sorted(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
        return tuple(sorted(gaps, key=lambda gap: -abs(gap.gap)))

    def document(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        columns = {
            column: {name: counts.document() for name, counts in groups.items()}
            for column, groups in self.columns.items()
        }
        return {
            "threshold": self.threshold.document(),
            "floor": {"rows": LEAST_ROWS, "frauds": LEAST_FRAUDS},
            "all": self.everything.document(),
            "columns": columns,
            "gaps": [gap.document() for gap in self.gaps],
            "intervals": {"level": LEVEL, "together": True, "bootstrap": "parametric, from the summed counts"},
            "worse": [gap.document() for gap in self.worse],
            "least_gap": LEAST_GAP,
            "max_gap": self.max_gap,
            "failed": [gap.document() for gap in self.failed],
        }


def log_odds(subject: Subject) -> list[NDArray[np.float64]]:
    """Each bank's own scores of its test rows, [n]; of several classes, of any but the first. They stay there."""
    found = []
    for bank in subject.banks:
        answers = predict(subject.weights, bank.examples.features, subject.learner)
        found.append(to_log_odds(answers if answers.ndim == 1 else 1 - answers[:, 0]))
    return found


def to_log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finite also where a model is certain."""
    fraud = np.clip(probabilities, _CLOSEST, 1 - _CLOSEST)
    odds: NDArray[np.float64] = np.log(fraud) - np.log1p(-fraud)
    return odds


def compare_groups(
    subject: Subject,
    groupings: Sequence[Grouping],
    sums: SecureSums,
    *,
    threshold: float | None = None,
    max_gap: float | None = None,
) -> Fairness:
    """`threshold`: a probability; None: at 5 % false positives. Raises `ConfigurationError` or `DataError`."""
    scores, fraud = log_odds(subject), [bank.examples.fraud for bank in subject.banks]
    chosen = Threshold.at_false_positives(scores, fraud, sums) if threshold is None else Threshold.given(threshold)
    vectors = []
    for number, (score, label) in enumerate(zip(scores, fraud, strict=True)):
        everything = np.ones(len(label), dtype=np.bool_)
        masks = [g.members[number] == group for g in groupings for group in range(len(g.names))]
        vectors.append(np.stack([count_rows(label[m], score[m], chosen.log_odds) for m in (everything, *masks)]))
    total = iter(sums.add("counts of groups", vectors).reshape(-1, LENGTH))
    overall = Counts.of_vector(next(total))
    columns = {g.column: {name: Counts.of_vector(next(total)) for name in g.names} for g in groupings}
    gaps = find_gaps(overall, columns, np.random.default_rng([subject.experiment.seed, *b"gaps"]))
    return Fairness(chosen, overall, columns, gaps, max_gap)
