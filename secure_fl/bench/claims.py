"""The article's two headline claims, measured: 38 % fewer false positives and 45 % faster detection.

claims_positives counts false positives, claims_stream measures delays, claims_alarms watches for drift; here they are
run for several seeds, set beside each other with intervals, and written down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from secure_fl.bench.claims_alarms import Noticed, notice
from secure_fl.bench.claims_intervals import Reduction, reduction
from secure_fl.bench.claims_positives import Case, Positives, count_positives
from secure_fl.bench.claims_scene import StreamSettings
from secure_fl.bench.claims_stream import LEARNING, Detection, Way, watch_stream
from secure_fl.bench.machine import describe_machine
from secure_fl.errors import ConfigurationError
from secure_fl.files import staged_file

SCHEMA = 1
CLAIMED_POSITIVES, CLAIMED_DETECTION = 0.38, 0.45
"""The article's: 38 % fewer false positives, 45 % faster detection. It gives no source."""
SEEDS = 5
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
Progress = Callable[[str, int, int], None]


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
class Claims:
    """Everything that was measured, and how."""

    command: str
    seeds: tuple[int, ...]
    cases: tuple[Case, ...]
    stream: StreamSettings
    positives: tuple[Positives, ...]
    detections: tuple[Detection, ...]
    noticed: tuple[Noticed, ...]
    fraud_shares: tuple[float, ...]
    """Of each seed's stream."""
    machine: dict[str, str]

    def fewer_positives(self, case: Case) -> tuple[Reduction, Reduction]:
        """By how much the federated model's false positives are below the banks' own models', and the pooled one's."""
        rows = [row for row in self.positives if (row.dataset, row.split) == (case.dataset, case.split)]
        federated = [row.federated for row in rows]
        return reduction(federated, [r.local_mean for r in rows]), reduction(federated, [r.pooled for r in rows])

    def faster(self, way: Way, other: Way) -> DelayReduction:
        """By how much one way to learn shortens the delays of another."""
        return DelayReduction(
            way,
            other,
            reduction(self._days(way, None), self._days(other, None)),
            reduction(self._days(way, True), self._days(other, True)),
            reduction(self._days(way, False), self._days(other, False)),
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

    def to_dict(self) -> dict[str, Any]:
        """The content of the JSON file."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "seeds": list(self.seeds),
            "machine": self.machine,
            "article": {"fewer_false_positives": CLAIMED_POSITIVES, "faster_detection": CLAIMED_DETECTION},
            "false_positives": {
                "runs": [asdict(row) for row in self.positives],
                "summary": [self._positives_summary(case) for case in self.cases],
            },
            "detection": {
                "settings": self.stream.to_dict(),
                "fraud_shares": list(self.fraud_shares),
                "records": [asdict(record) for record in self.detections],
                "summary": [_delay_summary(self.faster(*pair)) for pair in COMPARISONS],
            },
            "drift_alarms": [asdict(record) for record in self.noticed],
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


def run_claims(
    seeds: int = SEEDS,
    *,
    quick: bool = False,
    json_file: Path | None = None,
    markdown_file: Path | None = None,
    svg_file: Path | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Claims:
    """Measure both claims with seeds 1 to `seeds`, and write what is asked for. Files are opened first.

    quick: tiny sizes and no ULB, to try the machinery; its figures mean nothing. Raises ConfigurationError for fewer
    than two seeds or files that cannot be written.
    """
    if seeds < 2:
        raise ConfigurationError(f"{seeds} seeds give no interval; use at least 2, better {SEEDS} or more")
    with ExitStack() as files:
        targets = [
            files.enter_context(staged_file(path)) if path else None for path in (json_file, markdown_file, svg_file)
        ]
        command = "secure-fl bench claims" + f" --seeds {seeds}" * (seeds != SEEDS) + " --quick" * quick
        cases, stream = (QUICK_CASES, QUICK_STREAM) if quick else (CASES, StreamSettings())
        claims = measure_claims(command, range(1, seeds + 1), cases, stream, progress)
        if targets[0]:
            targets[0].write_text(json.dumps(claims.to_dict(), indent=1) + "\n", encoding="utf-8")
        if targets[1] or targets[2]:
            _write_page(claims, targets[1], targets[2], svg_file.name if svg_file else None)
    return claims


def measure_claims(
    command: str, seeds: Sequence[int], cases: Sequence[Case], stream: StreamSettings, progress: Progress
) -> Claims:
    """Every case and the stream, for each of the seeds."""
    positives = count_positives(cases, seeds, _counter(progress, "false positives", len(cases) * len(seeds)))
    advance = _counter(progress, "streams", len(seeds) * stream.weeks_scored)
    watched = {seed: watch_stream(stream, seed, advance) for seed in seeds}
    return Claims(
        command=command,
        seeds=tuple(seeds),
        cases=tuple(cases),
        stream=stream,
        positives=positives,
        detections=tuple(record for each in watched.values() for record in each.detections),
        noticed=tuple(
            record
            for seed, each in watched.items()
            for learning in LEARNING
            for record in notice(seed, learning, each.scored[learning, "none"])
        ),
        fraud_shares=tuple(each.fraud_share for each in watched.values()),
        machine=describe_machine(),
    )


def _counter(progress: Progress, what: str, total: int) -> Callable[[], None]:
    """A function that reports one step more at every call."""
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        progress(what, done, total)

    return advance


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
        "interval": [found.low, found.high] if found.defined else None,
        "verdict": found.verdict,
        "beside_the_article": found.beside(claimed),
    }


def _write_page(claims: Claims, markdown: Path | None, svg: Path | None, picture: str | None) -> None:
    from secure_fl.bench.claims_page import draw, render  # matplotlib is slow to import, so only when needed

    if markdown:
        markdown.write_text(render(claims, picture), encoding="utf-8")
    if svg:
        svg.write_text(draw(claims), encoding="utf-8")
