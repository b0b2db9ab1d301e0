"""The phases of every scheme under pytest-benchmark: the code that `secure-fl bench` measures.

    .venv/bin/python -m pytest benchmarks/test_schemes.py

A phase is spread over a round (a masked client answers five times), so a clock of our own advances by what the round
says that the phase took, and pytest-benchmark reads that clock.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from secure_fl.bench.measured import Subject
from secure_fl.bench.schemes.cases import Case
from secure_fl.secagg import SCHEMES

BANKS, PARAMETERS, BITS = 10, 100_000, 8
ROUNDS = count(1)


class PhaseClock:
    """Seconds that only measured phases advance; a nanosecond a reading keeps pytest-benchmark's calibration going."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1e-9
        return self.seconds


CLOCK = PhaseClock()


@pytest.mark.benchmark(group=f"{BANKS} banks x {PARAMETERS:,} parameters, {BITS} bits", timer=CLOCK)
@pytest.mark.parametrize("phase", ["client", "server", "decode"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_phase(benchmark: BenchmarkFixture, subject_of: Callable[[Case], Subject], scheme: str, phase: str) -> None:
    subject = subject_of(Case(scheme, False, BANKS, PARAMETERS, BITS))

    def one_round() -> int:
        measured = subject.measure_round(next(ROUNDS))
        CLOCK.seconds += getattr(measured, f"{phase}_seconds")
        return measured.upload_bytes

    upload: int = benchmark.pedantic(one_round, rounds=5, warmup_rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info["bytes_per_parameter"] = round(upload / PARAMETERS, 2)
