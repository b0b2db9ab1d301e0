"""The article's two headline claims, measured: 38 % fewer false positives and 45 % faster detection.

claims_positives counts false positives, claims_stream measures delays, claims_alarms watches for drift; here they are
run for a seed, and several seeds are set beside each other with intervals. claims_run keeps what each seed gave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from secure_fl.bench.claims.alarms import Noticed, notice
from secure_fl.bench.claims.intervals import ERROR, Reduction, reduction
from secure_fl.bench.claims.positives import Case, Positives, count_positives
from secure_fl.bench.claims.scene import StreamSettings
from secure_fl.bench.claims.stream import LEARNING, Detection, Way, watch_stream

CLAIMED_POSITIVES, CLAIMED_DETECTION = 0.38, 0.45
"""The article's: 38 % fewer false positives, 45 % faster detection. It gives no source."""
SEEDS = 20
_SIMULATED = (("transactions", 100_000),)
_ULB = (("rounds", 5),)
CASES = (
    Case("simulated", "even", _SIMULATED),
    Case("simulated", "pattern", _SIMULATED),
    Case("ulb", "even", _ULB),
    Case("ulb", "pattern", _ULB),
)
_SMALL = (("transactions", 4_000), ("fraud_share", 0.05), ("rounds", 1))
QUICK_CASES = (Case("simulated", "even", _SMALL), Case("simulated", "pattern", _SMALL))
"""Without ULB, which must be downloaded."""
QUICK_STREAM = StreamSettings(
    transactions=12_000,
    fraud_share=0.02,
    patterns=2,
    window_days=14,
    apart_days=7,
    lag_days=7,
    weeks=2,
    fading_weeks=1,
    first_epochs=1,
    epochs=1,
    honest_share=1.0,
    synthetic_rows=3,
)
_ALONE: Way = ("local", "none")
COMPARISONS: tuple[tuple[Way, Way], ...] = (
    (("federated", "none"), _ALONE),
    (("local", "unrelated"), _ALONE),
    (("federated", "unrelated"), _ALONE),
    (("federated", "unrelated"), ("local", "unrelated")),
    (("federated", "unrelated"), ("federated", "none")),
    (("federated", "similar"), _ALONE),
    (("federated", "similar"), ("local", "similar")),
)
"""Which way to learn is set beside which."""
_BANKS = (None, True, False)
"""All banks, the one that a pattern hits first, the others."""


@dataclass(frozen=True)
class DelayReduction:
    """How much shorter one way to learn makes the delays of another, sums over a seed's patterns and banks."""

    way: Way
    other: Way
    all_banks: Reduction
    """Days from the pattern's first appearance at any bank."""
    first_bank: Reduction
    """The same, only at the bank where each pattern appears first."""
    other_banks: Reduction
    """Days from its first fraud at this bank, at the banks that it reaches later."""


@dataclass(frozen=True)
class SeedRun:
    """Everything that was measured with one seed."""

    seed: int
    fraud_share: float
    """Of its stream."""
    positives: tuple[Positives, ...]
    detections: tuple[Detection, ...]
    noticed: tuple[Noticed, ...]


@dataclass(frozen=True)
class Claims:
    """Everything that was measured, and how."""

    command: str
    cases: tuple[Case, ...]
    stream: StreamSettings
    runs: tuple[SeedRun, ...]
    """One for each seed."""
    environment: dict[str, str]
    """Processor and versions."""
    code: str
    """Digest of the code and libraries that the figures depend on."""

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)

    @property
    def positives(self) -> tuple[Positives, ...]:
        return tuple(row for run in self.runs for row in run.positives)

    @property
    def detections(self) -> tuple[Detection, ...]:
        return tuple(record for run in self.runs for record in run.detections)

    @property
    def noticed(self) -> tuple[Noticed, ...]:
        return tuple(record for run in self.runs for record in run.noticed)

    @property
    def fraud_shares(self) -> tuple[float, ...]:
        return tuple(run.fraud_share for run in self.runs)

    @property
    def comparisons(self) -> int:
        """How many intervals are given side by side: two for each case, three for each pair of ways to learn."""
        return 2 * len(self.cases) + 3 * len(COMPARISONS)

    def fewer_positives(self, case: Case) -> tuple[Reduction, Reduction]:
        """By how much the federated model's false positives are below the banks' own models', and the pooled one's."""
        rows = [row for row in self.positives if (row.dataset, row.split) == (case.dataset, case.split)]
        federated = [row.federated for row in rows]
        others = [row.local_mean for row in rows], [row.pooled for row in rows]
        local, pooled = (reduction(federated, other, self.comparisons) for other in others)
        return local, pooled

    def faster(self, way: Way, other: Way) -> DelayReduction:
        """By how much one way to learn shortens the delays of another."""
        return DelayReduction(
            way, other, *(reduction(self._days(way, f), self._days(other, f), self.comparisons) for f in _BANKS)
        )

    def of(self, way: Way) -> list[Detection]:
        """All records of one way to learn."""
        return [record for record in self.detections if (record.learning, record.synthetic) == way]

    def _days(self, way: Way, first: bool | None) -> list[int]:
        """For each seed, days summed over patterns and banks: all banks (None), the first one, or the later ones."""
        records = [r for r in self.of(way) if first is None or (r.lag_days == 0) == first]
        return [
            sum(r.days_here if first is False else r.days for r in records if r.seed == seed) for seed in self.seeds
        ]

    def summary(self) -> dict[str, Any]:
        """Every comparison with its interval and verdict."""
        return {
            "article": {"fewer_false_positives": CLAIMED_POSITIVES, "faster_detection": CLAIMED_DETECTION},
            "comparisons": self.comparisons,
            "error_of_all_comparisons": ERROR,
            "false_positives": [self._positives_summary(case) for case in self.cases],
            "detection": [_delay_summary(self.faster(*pair)) for pair in COMPARISONS],
        }

    def _positives_summary(self, case: Case) -> dict[str, Any]:
        local, pooled = self.fewer_positives(case)
        return {
            "dataset": case.dataset,
            "split": case.split,
            "settings": dict(case.settings),
            "against_local": _figures(local, CLAIMED_POSITIVES),
            "against_pooled": _figures(pooled, CLAIMED_POSITIVES),
        }


def measure_seed(
    seed: int, cases: Sequence[Case], stream: StreamSettings, advance: Callable[[], None] = lambda: None
) -> SeedRun:
    """Every case and the stream with one seed; `advance` is called `steps_of` times."""
    positives = count_positives(cases, [seed], advance)
    watched = watch_stream(stream, seed, advance)
    noticed = [notice(seed, learning, watched.scored[learning, "none"]) for learning in LEARNING]
    return SeedRun(
        seed, watched.fraud_share, positives, watched.detections, tuple(record for each in noticed for record in each)
    )


def steps_of(cases: Sequence[Case], stream: StreamSettings) -> int:
    """How often one seed reports that it has got on."""
    return len(cases) + stream.weeks_scored


def _delay_summary(delays: DelayReduction) -> dict[str, Any]:
    return {
        "way": list(delays.way),
        "other": list(delays.other),
        "all_banks": _figures(delays.all_banks, CLAIMED_DETECTION),
        "first_bank": _figures(delays.first_bank, CLAIMED_DETECTION),
        "other_banks": _figures(delays.other_banks, CLAIMED_DETECTION),
    }


def _figures(found: Reduction, claimed: float) -> dict[str, Any]:
    return {
        "reduction": found.share if found.defined else None,
        "interval": [end if math.isfinite(end) else None for end in (found.low, found.high)],
        "verdict": found.verdict,
        "beside_the_article": found.beside(claimed),
    }
