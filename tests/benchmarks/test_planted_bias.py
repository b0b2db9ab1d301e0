"""The table of planted bias is what was measured, and what was measured keeps its limits."""

from __future__ import annotations

from benchmarks.planted_bias import PAGE, stored, table
from benchmarks.written_blocks import read_block


def test_the_document_is_what_was_measured() -> None:
    assert read_block(PAGE, "planted-bias") == table(stored())


def test_the_bias_is_found_and_two_audits_of_twenty_at_most_are_false_alarms() -> None:
    biased, fair = ([line for line in stored() if line["biased"] == kind] for kind in (True, False))
    assert len(biased) == len(fair) == 20
    assert all(line["flagged_more"] == ["south"] and line["interval"][0] > 0 for line in biased)
    assert sum(bool(line["worse"]) for line in fair) <= 2
    assert not any(line["failed"] for line in fair)
