"""The whole benchmark: models in, rows and ratios out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.bench.machine import describe_machine
from secure_fl.bench.measured import Clock
from secure_fl.bench.peers.scoring import INSTALL, SCORING_PEERS
from secure_fl.bench.scoring.measured import Subject
from secure_fl.bench.scoring.models import RANDOM, ScoredModel, quick_models, real_models
from secure_fl.bench.scoring.ours import OurSubject
from secure_fl.bench.scoring.ratios import Ratio, all_ratios
from secure_fl.bench.scoring.rows import Row, Truth, measured_figures
from secure_fl.errors import PlanError, ScoringError
from secure_fl.progress import Progress, unseen
from secure_fl.scoring import plain_logits
from secure_fl.scoring.ways import PLANNERS

SCHEMA = 1
SINGLE_ROWS = 20


@dataclass(frozen=True)
class ScoringBenchmark:
    """Everything that was found."""

    rows: tuple[Row, ...]
    command: str
    machine: dict[str, str] = field(default_factory=describe_machine)

    @property
    def ratios(self) -> list[Ratio]:
        return all_ratios(self.rows)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "command": self.command,
            "machine": self.machine,
            "rows": [row.to_dict() for row in self.rows],
            "ratios": [ratio.to_dict() for ratio in self.ratios],
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


@dataclass(frozen=True)
class Case:
    """One row to measure."""

    model: ScoredModel
    design: str
    peer: bool
    layout: str
    most_rows: int

    def row(self, status: Any, note: str | None = None, **figures: Any) -> Row:
        return Row(
            design=self.design,
            peer=self.peer,
            layout=self.layout,
            model=self.model.name,
            status=status,
            note=note,
            **figures,
        )

    def subject(self, clock: Clock) -> Subject:
        if self.peer:
            return SCORING_PEERS[self.design].subject(self.model.compiled.network, clock)
        design = next(each for each in PLANNERS if each == self.design)
        return OurSubject(design, self.model.compiled, clock)


def run_benchmark(
    quick: bool, peers: bool, command: str, progress: Progress = unseen, clock: Clock = time.process_time
) -> ScoringBenchmark:
    """Measure every design and peer on every model. Raises `DataError` where real rows cannot be had."""
    rows: list[Row] = []
    for model in quick_models() if quick else real_models():
        cases = list(list_cases(model, peers))
        for done, case in enumerate(cases):
            progress(model.name, done, len(cases))
            rows.append(measure_case(case, clock))
        progress(model.name, len(cases), len(cases))
    return ScoringBenchmark(tuple(rows), command)


def list_cases(model: ScoredModel, peers: bool) -> Iterator[Case]:
    """All of our designs, batches of the random network excepted, then the peers that take the model."""
    for design in PLANNERS:
        single = design == "single"
        if single or model.name != RANDOM:
            layout = "single" if single else "batched"
            yield Case(model, design, False, layout, SINGLE_ROWS if single else len(model.rows))
    if peers:
        for name, peer in SCORING_PEERS.items():
            if peer.takes(model.compiled.network) and (peer.layout == "single" or model.name != RANDOM):
                yield Case(model, name, True, peer.layout, peer.rows)


def measure_case(case: Case, clock: Clock = time.process_time) -> Row:
    """The row of a case; what cannot be measured becomes a row that says why."""
    peer = SCORING_PEERS[case.design] if case.peer else None
    if peer is not None and not peer.installed:
        return case.row("not installed", INSTALL)
    try:
        figures = _figures(case, clock)
    except (PlanError, ScoringError) as error:
        return case.row("refused", str(error))
    except ImportError as error:
        return case.row("not installed", f"{INSTALL} ({error})")
    except Exception as error:  # a library's own: ValueError, RuntimeError and what its C++ throws
        if peer is None:
            raise
        return case.row("failed", f"{type(error).__name__}: {error}"[:200])
    if not np.isfinite(figures["max_abs_error"]):
        return case.row("failed", "its logits are not finite")
    return case.row("measured", peer.note if peer else None, **figures)


def _figures(case: Case, clock: Clock) -> dict[str, Any]:
    started = clock()
    subject = case.subject(clock)
    setup = clock() - started
    model, compiled = case.model, case.model.compiled
    places = model.chosen(case.most_rows)
    rows = model.rows[places]
    inputs = rows[:, list(compiled.positions)]
    given = inputs if case.peer else rows
    parts = _batches(given, subject.rows_per_batch)
    subject.score(parts[0])  # the first one warms up
    batches = [subject.score(part) for part in parts]
    fraud = None if model.fraud is None else model.fraud[places]
    truth = Truth(compiled.network.logits(inputs), plain_logits(model.layers, rows), fraud)
    return measured_figures(case.layout, subject, batches, truth, setup)


def _batches(rows: NDArray[np.float64], size: int) -> Sequence[NDArray[np.float64]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
