"""A round over loopback beside the same one in memory, and what the gateway holds of it.

.venv/bin/python -m pytest benchmarks/test_network.py -s
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from benchmarks.network import HUGE, LARGE, SMALL, measure, over_network, rounds_of, settings_of


def test_ten_banks_with_a_million_parameters_take_at_most_twice_the_round_in_memory() -> None:
    row = measure(settings_of("masked", 10, LARGE))
    print(row)
    assert row.ratio <= 2
    assert row.sum_seconds <= 2 * row.memory_sum_seconds


def test_two_hundred_banks_finish_a_round_within_a_minute() -> None:
    row = measure(settings_of("masked", 200, SMALL))
    print(row)
    assert row.round_seconds <= 60


def test_the_gateway_s_memory_grows_with_parameters_and_hardly_with_banks() -> None:
    """One upload more of each bank would be 6 MB, one model 12 MB. Five banks fill the room for answers."""
    few, many = (measure(settings_of("masked", banks, HUGE)) for banks in (5, 30))
    print(few, many)
    assert many.gateway_bytes < 1.5 * few.gateway_bytes
    assert many.gateway_bytes - few.gateway_bytes < 25 * 2.5e6
    small = measure(settings_of("masked", 5, SMALL))
    assert few.gateway_bytes > 4 * small.gateway_bytes


def test_a_stage_waits_for_nobody_s_acknowledgement() -> None:
    """Five stages: a response in two pieces, the second held back for the first, would take 40 ms in each."""
    assert measure(settings_of("masked", 3, "none")).sum_seconds < 0.15


@pytest.mark.parametrize("kind", ["requests", "bodies", "connections"])
def test_a_flood_by_one_who_is_listed_hardly_slows_the_others(tmp_path: Path, kind: str) -> None:
    """The flooding process itself takes a core; without limits endless bodies made rounds thirty times as long."""
    settings = settings_of("masked", 4, LARGE).model_copy(update={"rounds": 12})
    quiet, flooded = (
        median(rounds_of(over_network(settings, tmp_path / (flood or "quiet"), flood)[0])[2:]) for flood in ("", kind)
    )
    print(kind, quiet, flooded)
    assert flooded <= 3 * quiet
