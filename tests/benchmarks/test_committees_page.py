"""The page of committees is what was measured and planned, and what was measured keeps its limits."""

from __future__ import annotations

from benchmarks.committees import PAGE, costs, stored, trust
from benchmarks.written_blocks import read_block


def test_the_page_is_what_was_measured_and_planned() -> None:
    assert read_block(PAGE, "costs") == costs(stored())
    assert read_block(PAGE, "trust") == trust()


def test_a_million_parameters_cost_what_the_design_promised() -> None:
    rows = {(row.scheme, row.holders): row for row in stored() if (row.banks, row.parameters) == (10, 1_000_000)}
    shares, key = rows["additive", 3], rows["bfv", 3]
    assert (shares.quorum, key.quorum) == (2, 2)
    assert shares.upload_bytes <= 2.05e6
    assert shares.client <= 15
    assert key.upload_bytes <= 5.3e6
    assert key.client <= 200
    assert key.holder <= 150
    assert key.opening <= 200
