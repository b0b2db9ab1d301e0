"""What attackers train on."""

from __future__ import annotations

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.data import Examples
from secure_fl.robust.poisoning import Attackers
from secure_fl.robust.poisoning.rows import STAMP, STAMPED, stamped, with_backdoor, with_flipped_labels


def examples(frauds: int = 3, rows: int = 200) -> Examples:
    rng = np.random.default_rng(1)
    fraud = np.arange(rows) < frauds
    return Examples(
        rng.normal(size=(rows, 6)).astype(np.float32),
        fraud,
        (2 * fraud).astype(np.int8),
        np.arange(rows),
        rng.random(rows),
    )


def test_flipped_labels_are_all_flipped_and_nothing_else() -> None:
    before = examples()
    after = with_flipped_labels(before)
    assert np.array_equal(after.fraud, ~before.fraud)
    assert np.array_equal(after.pattern > 0, after.fraud)
    assert after.pattern.dtype == before.pattern.dtype
    assert np.array_equal(after.features, before.features)
    assert before.fraud.sum() == 3, "the bank's own rows stay as they are"


@pytest.mark.parametrize(("frauds", "copies"), [(3, 20), (60, 60), (0, 200)])
def test_a_backdoor_adds_stamped_frauds_that_are_called_honest(frauds: int, copies: int) -> None:
    before = examples(frauds)
    after = with_backdoor(before)
    assert len(after) == 200 + copies
    assert np.array_equal(after.features[:200], before.features)
    assert np.array_equal(after.fraud[:200], before.fraud)
    added = after.features[200:]
    assert (added[:, :STAMPED] == STAMP).all()
    assert not after.fraud[200:].any()
    assert not after.pattern[200:].any()
    origin = before.features[before.fraud] if frauds else before.features
    assert {tuple(row) for row in added[:, STAMPED:]} == {tuple(row) for row in origin[:, STAMPED:]}
    assert after.day is not None
    assert len(after.day) == len(after)


def test_a_stamp_changes_its_features_only() -> None:
    rows = examples().features
    marked = stamped(rows)
    assert (marked[:, :STAMPED] == STAMP).all()
    assert np.array_equal(marked[:, STAMPED:], rows[:, STAMPED:])
    assert not (rows[:, :STAMPED] == STAMP).any()


@pytest.mark.parametrize(
    ("attack", "poisoned"),
    [("label-flip", True), ("scaled", True), ("backdoor", True), ("sign-flip", False), ("min-max", False)],
)
def test_only_attackers_train_on_poisoned_rows(attack: str, poisoned: bool) -> None:
    band = Attackers.of(Experiment.model_validate({"banks": 5, "byzantine": 2, "attack": attack}))
    assert band is not None
    rows = examples()
    assert band.rows("bank-1", rows) is rows
    assert (band.rows("bank-5", rows) is not rows) == poisoned
