"""Behaviour features against a slow loop that follows the Handbook's words."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.data.behaviour import DAY, DELAY_DAYS, WINDOWS_DAYS, behaviour

ROW = st.tuples(
    st.integers(0, 3),
    st.integers(0, 45 * 4).map(lambda quarter: quarter * DAY / 4),
    st.integers(-5_000, 50_000).map(lambda cents: cents / 100),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=40))
def test_equals_a_slow_loop(rows: list[tuple[int, float, float, bool]]) -> None:
    codes = np.array([row[0] for row in rows], dtype=np.int64)
    when, amount = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    fraud = np.array([row[3] for row in rows])
    result = behaviour(codes, when, amount, fraud)
    for i, (code, now, _, _) in enumerate(rows):
        past = [r for j, r in enumerate(rows) if r[0] == code and (r[1] < now or (r[1] == now and j <= i))]
        for column, days in enumerate(WINDOWS_DAYS):
            window = [r[2] for r in past if r[1] > now - days * DAY]
            known = [r[3] for r in past if now - (DELAY_DAYS + days) * DAY < r[1] <= now - DELAY_DAYS * DAY]
            assert result.count[i, column] == len(window)
            np.testing.assert_allclose(result.mean_amount[i, column], np.mean(window), atol=1e-8)
            np.testing.assert_allclose(result.risk[i, column], np.mean(known) if known else 0.0, atol=1e-12)


def test_windows_are_of_a_day_a_week_and_thirty_days() -> None:
    """Payments so many days before the last one; a window does not hold its older end."""
    ago = np.array([30.0, 29.9, 7.0, 6.9, 1.0, 0.9, 0.0])
    zeros = np.zeros(len(ago))
    result = behaviour(zeros.astype(np.int64), (100 - ago) * DAY, zeros, zeros.astype(bool))
    assert result.count[-1].tolist() == [2.0, 4.0, 6.0]


@given(st.lists(ROW, min_size=2, max_size=30), st.integers(1, 29))
def test_no_row_depends_on_a_later_one(rows: list[tuple[int, float, float, bool]], keep: int) -> None:
    rows = sorted(rows, key=lambda row: row[1])
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    whole = behaviour(columns[0], columns[1], columns[2], columns[3])
    part = behaviour(*(column[:keep] for column in columns))
    np.testing.assert_array_equal(whole.count[:keep], part.count)
    np.testing.assert_allclose(whole.mean_amount[:keep], part.mean_amount, atol=1e-8)
    np.testing.assert_array_equal(whole.risk[:keep], part.risk)


def test_a_fraud_is_known_only_after_the_delay() -> None:
    when = np.array([0.0, 6.9, 7.0, 7.9, 8.0, 37.0]) * DAY
    fraud = np.array([True, False, False, False, False, False])
    risk = behaviour(np.zeros(6, dtype=np.int64), when, np.ones(6), fraud).risk
    assert risk[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    assert risk[4, 2] == 1.0


def test_epoch_microseconds_do_not_blur_the_windows() -> None:
    start = 1.7e9
    when = np.array([start, start + DAY - 1e-5, start + DAY])
    counts = behaviour(np.full(3, 900_000), when, np.ones(3), np.zeros(3, dtype=bool)).count
    assert counts[:, 0].tolist() == [1.0, 2.0, 2.0]


def test_an_empty_table_has_no_behaviour() -> None:
    nothing = np.empty(0)
    result = behaviour(nothing.astype(np.int64), nothing, nothing, nothing.astype(bool))
    assert result.count.shape == (0, 3)
