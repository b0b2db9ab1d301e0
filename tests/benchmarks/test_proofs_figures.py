"""The figures of proven sums: the command that measures them runs, and compares like with like."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from benchmarks import proofs


@pytest.mark.parametrize("bits", [8, 16])
def test_a_small_size_is_measured_here(bits: int) -> None:
    rows = proofs.with_ratios(
        [asdict(proofs.measure_here(case, 4, 300, bits, 1)) for case, b in proofs.CASES if b == bits]
    )
    plain, in_range, norm = rows
    assert plain["forgery_bits"] is None
    assert plain["upload_times"] == 1
    assert min(in_range["forgery_bits"], norm["forgery_bits"]) > 128
    assert plain["upload_bytes"] * 20 < in_range["upload_bytes"] < norm["upload_bytes"]
    assert all(row["client_seconds"] > 0 for row in rows)
    assert proofs.shown(norm).endswith("kept")
    assert proofs.shown(norm | {"holder_seconds": 6.0}).endswith("NOT KEPT")


def test_the_bound_is_twice_as_long_as_the_updates_are() -> None:
    updates = proofs.make_updates(10, 1000, 8)
    lengths = ((updates - 128.0) ** 2).sum(axis=1) ** 0.5
    bound = proofs.chosen_scheme(proofs.NORM, 1000, 8).plan(10, 1000, 8, 6).derived()["norm_bound"]
    assert lengths.max() < bound < 2.2 * lengths.min()
