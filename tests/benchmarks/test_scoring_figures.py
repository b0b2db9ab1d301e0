"""The benchmark of encrypted scoring measures what it says, on a small model."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from benchmarks import scoring
from benchmarks.scoring_page import PAGE, stored, table
from benchmarks.written_blocks import read_block
from secure_fl.scoring import Linear, compile_model


def test_a_small_model_is_measured_here_and_keeps_its_bound() -> None:
    rng = np.random.default_rng(0)
    rows = np.clip(rng.normal(size=(3000, 4)), -3, 3)
    layers = (Linear(np.array([[1.0, -2.0, 0.5, 0.0]]), np.array([-1.0])),)
    fraud = rows @ layers[0].weights[0] > 1
    row = asdict(scoring.measure("batched", scoring.LOGISTIC, compile_model(layers, rows, 3.0), rows, fraud, layers))
    assert row["auprc_encrypted"] == row["auprc_plain"] == row["auprc_model"] == 1.0
    assert 0 < row["max_abs_error"] < row["error_bound"]
    parts = [row[f"{part}_seconds_per_row"] for part in ("encrypt", "score", "open")]
    assert np.isclose(sum(parts), row["seconds_per_row"])
    assert row["least_seconds_per_row"] > 0
    assert scoring.shown(row | {"seconds_per_row": 1e-5}).endswith("; kept")
    assert scoring.shown(row | {"max_abs_error": 1.0}).endswith("NOT KEPT")
    assert scoring.shown(row | {"auprc_encrypted": 0.9}).endswith("NOT KEPT")


def test_the_page_is_what_was_measured_and_every_limit_was_kept() -> None:
    rows = stored()
    assert read_block(PAGE, "scoring") == table(rows)
    assert all(scoring.kept(row) for row in rows)
    assert {(row["design"], row["model"]) for row in rows} >= set(scoring.LIMITS)
