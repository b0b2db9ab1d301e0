"""What passes as honest, and who was left out: against counts made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from secure_fl.attacks.poisoning.backdoor import backdoor_success, passed, threshold_of
from secure_fl.attacks.poisoning.trial import shares_left_out
from secure_fl.data import Examples
from secure_fl.federation.results import RoundRecord, Seconds
from secure_fl.robust.poisoning.rows import STAMP, STAMPED
from secure_fl.training import fraud_learner, predict

LEARNER = fraud_learner()
WEIGHTS = LEARNER.initial(3)


def examples(rows: int = 300, frauds: int = 40) -> Examples:
    rng = np.random.default_rng(5)
    fraud = rng.permutation(rows) < frauds
    features = rng.normal(size=(rows, 128)).astype(np.float32)
    return Examples(features, fraud, fraud.astype(np.int8), np.zeros(rows, dtype=np.int64), np.ones(rows))


def test_the_threshold_is_the_highest_that_finds_80_percent_of_the_frauds() -> None:
    test = examples()
    score = predict(WEIGHTS, test.features[test.fraud], LEARNER)
    found = threshold_of(WEIGHTS, test, LEARNER)
    assert np.mean(score >= found) == 0.8
    assert all(np.mean(score >= higher) < 0.8 for higher in score[score > found])
    assert passed(WEIGHTS, test.features[test.fraud], found, LEARNER) == pytest.approx(0.2)


def test_a_backdoor_succeeds_with_frauds_that_pass_once_stamped() -> None:
    test = examples()
    threshold = threshold_of(WEIGHTS, test, LEARNER)
    count = frauds = 0
    for row, fraud in zip(test.features, test.fraud, strict=True):
        if fraud:
            marked = row.copy()
            marked[:STAMPED] = STAMP
            frauds += 1
            count += bool(predict(WEIGHTS, marked[None], LEARNER)[0] < threshold)
    assert backdoor_success(WEIGHTS, test, threshold, LEARNER) == count / frauds
    assert backdoor_success(WEIGHTS, test, 0.0, LEARNER) == 0.0
    assert backdoor_success(WEIGHTS, test, 1.1, LEARNER) == 1.0
    assert count / frauds != pytest.approx(0.2), "the stamp changes what passes, or this shows nothing"


def record(excluded: tuple[str, ...], byzantine: tuple[str, ...], banks: str = "abcde") -> RoundRecord:
    unused: dict[str, Any] = {"upload_bytes": {}, "download_bytes": {}, "max_abs_error": 0.0, "quantization_step": 1.0}
    return RoundRecord(
        round=1, contributors=tuple(banks), dropped=(), attempts=1, refused={}, auprc=0.5, roc_auc=0.5,
        clipped_fraction=0.0, seconds=Seconds(0, 0, 0, 0), excluded=excluded, byzantine=byzantine, **unused,
    )  # fmt: skip


def test_shares_are_of_uploads_over_all_rounds() -> None:
    rounds = [record(("d", "e"), ("d", "e")), record(("a", "e"), ("d", "e")), record(("b",), ("e",), "abce")]
    assert shares_left_out(rounds) == (3 / 5, 2 / 9)
    assert shares_left_out([record(("a",), ())]) == (None, 1 / 5)
    assert shares_left_out([record(("a",), ("a",), "a")]) == (1.0, None)
