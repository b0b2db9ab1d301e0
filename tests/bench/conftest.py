"""One small benchmark, and rows made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from secure_fl.bench.measured import Measured
from secure_fl.bench.schemes.benchmark import Benchmark
from secure_fl.bench.schemes.cases import Case
from secure_fl.bench.schemes.dropouts import Dropout
from secure_fl.bench.schemes.rows import Row, measured_row

MACHINE = {"processor": "a test", "cores": "2", "python": "CPython 3.11"}


@pytest.fixture
def make_row() -> Callable[..., Row]:
    """`make_row(banks=10, upload_bytes=..., ...)`: a measured row whose figures can be chosen."""

    def make(
        scheme: str = "masked", *, peer: bool = False, banks: int = 3, parameters: int = 1_000, **figures: Any
    ) -> Row:
        case = Case(scheme, peer, banks, parameters, bits=8)
        figures = {"upload_bytes": 2_000, "download_bytes": 100, "stage_bytes": (2_100,)} | figures
        figures = {
            "client_seconds": 0.01,
            "server_seconds": 0.002,
            "decode_seconds": 0.001,
            "max_abs_error": 1e-4,
        } | figures
        return measured_row(case, Measured(**figures), peak_rss_bytes=50_000_000)

    return make


@pytest.fixture
def benchmark_of_rows(make_row: Callable[..., Row]) -> Benchmark:
    """Two sizes, a peer, a refused row, a missing peer and a dropout."""
    rows = [
        *(make_row(banks=banks, server_seconds=0.001 * banks) for banks in (3, 30)),
        *(make_row("plaintext", banks=banks) for banks in (3, 30)),
        make_row("nvflare-he", peer=True, client_seconds=0.5, upload_bytes=600_000),
        Row.of(Case("ckks", False, 3, 1_000, 24), "refused", note="a <sum> does not fit; use fewer bits"),
        Row.of(Case("flower-secaggplus", True, 3, 1_000, 22), "not installed", note="not installed: pip install it"),
    ]
    dropout = Dropout("masked", 3, 1_000, 8, "masked_input", 2, succeeded=False, server_seconds=None, note="too few")
    return Benchmark(tuple(rows), (dropout,), "secure-fl bench --banks 3,30", MACHINE)
