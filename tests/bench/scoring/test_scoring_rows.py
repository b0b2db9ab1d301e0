"""Figures of a row, from batches made by hand, and when scores are called right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from secure_fl.bench.scoring.measured import MeasuredBatch
from secure_fl.bench.scoring.rows import ROWS_FOR_AUPRC, TOLERANCE, Truth, is_correct, measured_figures


@dataclass
class Handmade:
    """A subject of which only the numbers matter."""

    rows_per_batch: int
    key_bytes: int = 77
    degree: int = 4096
    coeff_mod_bit_sizes: tuple[int, ...] = (54, 55)

    def score(self, rows: object) -> MeasuredBatch:
        raise NotImplementedError


def batch(rows: int, encrypt: float, score: float, opened: float, error: float = 0.0) -> MeasuredBatch:
    return MeasuredBatch(np.full(rows, 2.0) + error, encrypt, score, opened, 100, 10)


def truth(rows: int) -> Truth:
    return Truth(np.full(rows, 2.0), np.full(rows, 2.0), None)


def test_a_batch_shares_its_seconds_among_its_rows() -> None:
    batches = [batch(4, 1, 2, 3), batch(4, 1, 1, 1, error=-0.002), batch(2, 0.5, 0.5, 0.5)]
    found = measured_figures("batched", Handmade(4), batches, truth(10), 9.0)
    assert found["rows"] == 10
    assert found["seconds_per_row"] == pytest.approx(1.05)
    assert found["least_seconds_per_row"] == pytest.approx(3 / 4), "the fastest full batch; the last one is short"
    steps = [found[f"{step}_seconds_per_row"] for step in ("encrypt", "score", "open")]
    assert steps == pytest.approx([0.25, 0.35, 0.45])
    assert (found["upload_bytes_per_row"], found["download_bytes_per_row"]) == (30, 3)
    assert (found["key_bytes"], found["setup_seconds"]) == (77, 9.0)
    assert found["max_abs_error"] == pytest.approx(0.002)
    assert found["correct"] is True


def test_of_single_rows_the_median_counts() -> None:
    batches = [batch(1, 1, 10, 100), batch(1, 3, 20, 100), batch(1, 2, 90, 900)]
    found = measured_figures("single", Handmade(1), batches, truth(3), 0.0)
    assert found["seconds_per_row"] == 2 + 20 + 100
    assert found["least_seconds_per_row"] == 1 + 10 + 100
    assert found["upload_bytes_per_row"] == 100


def test_a_batch_that_is_not_full_is_measured_by_the_rows_it_has() -> None:
    found = measured_figures("batched", Handmade(4096), [batch(8, 4, 3, 1)], truth(8), 0.0)
    assert found["seconds_per_row"] == found["least_seconds_per_row"] == 1.0


def test_right_means_that_two_decimals_of_every_probability_stand() -> None:
    for error, right in ((0.9, True), (1.1, False)):
        # where the logistic function is steepest: a logit of 0, at which its slope is 1/4
        logits = np.array([4 * error * TOLERANCE, -20.0, 30.0])
        plain = Truth(np.array([0.0, -19.0, 40.0]), np.zeros(3), None)
        found = measured_figures("batched", Handmade(3), [MeasuredBatch(logits, 1, 1, 1, 1, 1)], plain, 0.0)
        assert found["max_probability_error"] == pytest.approx(error * TOLERANCE, rel=1e-3)
        assert found["max_abs_error"] == 10
        assert found["correct"] is right


def test_right_means_the_same_order_too() -> None:
    assert is_correct(0.0, None, None)
    assert is_correct(0.0, 0.8, 0.8004)
    assert not is_correct(0.0, 0.8, 0.8006)
    assert not is_correct(0.0, 0.8006, 0.8)
    assert not is_correct(float("nan"), None, None)


def test_precision_and_recall_are_compared_on_many_rows_only() -> None:
    for rows, known in ((ROWS_FOR_AUPRC, True), (ROWS_FOR_AUPRC - 1, False)):
        logits, fraud = np.linspace(0, 1, rows), np.arange(rows) % 10 == 9
        model = -logits
        found = measured_figures(
            "batched",
            Handmade(rows),
            [MeasuredBatch(logits, 1, 1, 1, 1, 1)],
            Truth(logits, model, fraud),
            0.0,
        )
        assert (found["auprc_encrypted"] is not None) is known
        if known:
            assert found["auprc_encrypted"] == found["auprc_plain"] > found["auprc_model"]
