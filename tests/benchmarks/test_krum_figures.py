"""The figures of Multi-Krum on ciphertexts: what is stored keeps its limits, and the command that stores it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import krum

STORED = json.loads((Path(krum.__file__).parents[1] / "docs" / "figures" / "krum.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", STORED["rows"], ids=lambda row: f"{row['parameters']:,} parameters")
def test_what_was_measured_keeps_the_limits(row: dict[str, float]) -> None:
    seconds, memory = krum.LIMITS[int(row["banks"]), int(row["parameters"])]
    assert row["distances_seconds"] <= seconds
    assert row["peak_rss_bytes"] <= memory
    assert row["same_choice"]
    assert krum.shown(row).endswith("kept")


def test_all_sizes_are_stored() -> None:
    assert {(row["banks"], row["parameters"]) for row in STORED["rows"]} == set(krum.SIZES) == krum.LIMITS.keys()


def test_a_small_size_is_measured_here() -> None:
    row = krum.measure_here(7, 500, repeat=1)
    assert row.same_choice
    assert 0 < row.choose_seconds < row.distances_seconds
    assert row.plaintext_seconds < row.distances_seconds


def test_flipped_updates_are_the_ones_that_are_not_chosen() -> None:
    assert krum.plaintext_choice(krum.make_updates(10, 2000)) == tuple(range(8))
