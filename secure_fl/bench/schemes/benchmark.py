"""The whole benchmark: cases in, rows, fits and dropouts out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from secure_fl.bench.machine import describe_machine
from secure_fl.bench.schemes.cases import list_cases, require_measurable
from secure_fl.bench.schemes.dropouts import Dropout, sweep, sweep_cases
from secure_fl.bench.schemes.links import LATENCY, LINKS
from secure_fl.bench.schemes.measuring import measure_case
from secure_fl.bench.schemes.rows import Row
from secure_fl.bench.schemes.scaling import Fit, fit_all, scale_sizes
from secure_fl.errors import PlanError, SecureFLError

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
SCHEMA = 1


@dataclass(frozen=True)
class Settings:
    """What a benchmark was asked to measure."""

    schemes: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    """(banks, parameters)."""
    bits: int | str
    repeat: int
    peers: bool
    drop_sweep: bool = False

    @classmethod
    def scale(cls, schemes: Sequence[str], bits: int | str) -> Settings:
        """Cost against banks and against parameters, once each. Peers stay out: theirs would take hours."""
        return cls(schemes, scale_sizes(), bits, repeat=1, peers=False)


@dataclass(frozen=True)
class Benchmark:
    """Everything that a benchmark found."""

    rows: tuple[Row, ...]
    dropouts: tuple[Dropout, ...]
    command: str
    machine: dict[str, str] = field(default_factory=describe_machine)

    @property
    def fits(self) -> tuple[Fit, ...]:
        return fit_all(self.rows)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "command": self.command,
            "machine": self.machine,
            "link": {"bits_per_second": LINKS, "latency_seconds_one_way": LATENCY},
            "rows": [row.to_dict() for row in self.rows],
            "fits": [fit.to_dict() for fit in self.fits],
            "dropouts": [dropout.to_dict() for dropout in self.dropouts],
        }


def run_benchmark(settings: Settings, command: str, progress: Progress = lambda what, done, total: None) -> Benchmark:
    """Measure every row in turn.

    Raises `ConfigurationError`, or `PlanError` where the planner refuses every row; single refused rows say so.
    """
    require_measurable(settings.sizes, settings.repeat)
    cases = list_cases(settings.schemes, settings.sizes, settings.bits, settings.repeat, settings.peers)
    rows: list[Row] = []
    for case in cases:
        progress("rows", len(rows), len(cases))
        rows.append(measure_case(case))
    progress("rows", len(rows), len(cases))
    _require_a_figure(rows)
    dropouts: list[Dropout] = []
    swept = sweep_cases(settings.schemes, settings.sizes, settings.bits) if settings.drop_sweep else []
    for done, case in enumerate(swept):
        progress("dropouts", done, len(swept))
        dropouts += sweep(case)
    if swept:
        progress("dropouts", len(swept), len(swept))
    return Benchmark(tuple(rows), tuple(dropouts), command)


def _require_a_figure(rows: Sequence[Row]) -> None:
    if any(row.measured for row in rows):
        return
    refused = next((row.note for row in rows if row.status == "refused"), None)
    if refused is not None:
        raise PlanError(str(refused))
    first = rows[0]
    raise SecureFLError(f"nothing could be measured: {first.scheme}: {first.note}; change what is measured")
