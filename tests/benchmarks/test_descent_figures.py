"""The benchmark of encrypted training measures what it says, on few rows."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from benchmarks import descent
from secure_fl.bench.peers.tenseal_training import TUTORIAL
from secure_fl.scoring.descent import plan_descent


def test_a_small_training_is_measured_and_keeps_its_bound() -> None:
    plan = plan_descent(2, 100, clip=descent.CLIP, rate=1.0, epochs=2, mean_square=1.5)
    row = asdict(descent.measure_ours(plan, *descent.random_examples(100, 2)))
    assert 0 < row["max_abs_error"] <= row["error_bound"]
    assert min(row[f"{part}_seconds"] for part in ("trainer", "owner", "encrypt", "plain")) > 0
    assert row["key_bytes"] > 1e5 < row["weights_bytes"]
    assert "1.0 x ours" in descent.shown(row, row)
    slower = row | {"trainer_seconds": row["trainer_seconds"] * 3, "owner_seconds": row["owner_seconds"] * 3}
    assert "3.0 x ours" in descent.shown(slower, row)


@pytest.mark.slow
def test_the_peer_is_measured_beside_it() -> None:
    row = asdict(descent.measure_peer(TUTORIAL, *descent.random_examples(2, 4), epochs=1))
    assert (row["rows"], row["features"], row["epochs"]) == (2, 4, 1)
    assert row["coeff_mod_bit_sizes"] == (40, 21, 21, 21, 21, 21, 21, 40)
    assert np.isfinite(row["max_abs_error"])
    assert row["error_bound"] is None
    assert "x ours" in descent.shown(row, row)
