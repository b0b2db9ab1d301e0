"""docs/network.md says of rounds what was measured, and that is what was asked for."""

from __future__ import annotations

from benchmarks.network import CASES
from benchmarks.network_page import PAGE, stored, table
from benchmarks.written_blocks import read_block


def test_the_page_is_what_was_measured() -> None:
    rows = stored()
    assert read_block(PAGE, "rounds") == table(rows)
    assert [(row.scheme, row.banks) for row in rows] == [case[:2] for case in CASES]


def test_what_was_measured_is_what_was_asked_for() -> None:
    rows = {(row.scheme, row.banks): row for row in stored()}
    ten, many = rows["masked", 10], rows["masked", 200]
    assert ten.parameters >= 1_000_000
    assert ten.ratio <= 2
    assert many.round_seconds <= 60
    assert rows["masked", 30].gateway_bytes < 1.5 * rows["masked", 5].gateway_bytes
