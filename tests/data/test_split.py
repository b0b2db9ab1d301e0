"""Dealing a table to banks: a partition, whole customers, the shares that were asked for, and honest failures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.data import (
    Schema,
    Simulation,
    Split,
    Transactions,
    bank_name,
    require_fraud,
    require_trainable,
    simulate,
    split_among_banks,
    time_cut,
)
from secure_fl.errors import ConfigurationError, DataError

TABLE = simulate(Simulation(transactions=4_000, days=40, fraud_share=0.05, seed=7))


def anonymous(patterns: list[int]) -> Transactions:
    """A table without identifiers; column x is the number of the row."""
    kinds, rows = np.array(patterns, dtype=np.int8), np.arange(float(len(patterns)))
    return Transactions(Schema("y", numeric=("x",)), {"x": rows}, {}, kinds > 0, kinds, rows)


@settings(max_examples=40, deadline=None)
@given(how=st.sampled_from(["even", "size", "pattern"]), banks=st.integers(1, 8), seed=st.integers(0, 99))
def test_every_row_goes_to_exactly_one_bank_and_keeps_its_order(how: Split, banks: int, seed: int) -> None:
    table = anonymous([0] * 200 + [1] * 200 + [2] * 200)
    parts = split_among_banks(table, banks, how, alpha=5.0, seed=seed)
    assert len(parts) == banks
    assert sorted(np.concatenate([part.numeric["x"] for part in parts])) == table.numeric["x"].tolist()
    assert all(np.all(np.diff(part.when) > 0) for part in parts)


@pytest.mark.parametrize("how", ["even", "size"])
def test_a_customer_has_one_bank(how: Split) -> None:
    customers = [set(part.text["customer"]) for part in split_among_banks(TABLE, 4, how)]
    assert sum(map(len, customers)) == len(set.union(*customers)) == len(set(TABLE.text["customer"]))


def test_even_shares_are_even_and_sizes_follow_the_series() -> None:
    rows = anonymous([0, 1] * 550)
    assert [len(part) for part in split_among_banks(rows, 4, "even")] == [275] * 4
    assert [len(part) for part in split_among_banks(rows, 3, "size")] == [600, 300, 200]
    largest = max(np.unique(TABLE.text["customer"].astype(str), return_counts=True)[1])
    sizes = np.array([len(part) for part in split_among_banks(TABLE, 3, "size")])
    assert np.all(np.abs(sizes - len(TABLE) * np.array([6, 3, 2]) / 11) <= largest)


def test_small_alpha_separates_the_patterns_and_large_alpha_mixes_them() -> None:
    def unevenness(alpha: float) -> float:
        """How far the largest and the smallest share of pattern 1 are apart, on average over ten draws."""
        table = anonymous([0] * 300 + [1] * 3000 + [2] * 3000)
        draws = [split_among_banks(table, 3, "pattern", alpha=alpha, seed=seed) for seed in range(10)]
        return float(np.mean([np.ptp([(part.pattern == 1).mean() for part in parts]) for parts in draws]))

    assert unevenness(1000.0) < 0.1 < 0.4 < unevenness(0.5)


def test_honest_rows_are_even_whatever_the_patterns() -> None:
    parts = split_among_banks(anonymous([0] * 300 + [1] * 3000), 3, "pattern", alpha=0.5, seed=1)
    assert [int((part.pattern == 0).sum()) for part in parts] == [100, 100, 100]


def test_the_seed_decides() -> None:
    first, again, other = (split_among_banks(TABLE, 3, "even", seed=seed)[0].when for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_bank_may_be_dealt_no_fraud_and_is_not_drawn_again() -> None:
    parts = split_among_banks(anonymous([0] * 300 + [1] * 5), 6, "pattern", alpha=0.01)
    assert [len(part) >= 50 for part in parts] == [True] * 6
    assert sorted(int(part.fraud.sum()) for part in parts)[:4] == [0, 0, 0, 0]
    assert sum(int(part.fraud.sum()) for part in parts) == 5


def test_an_empty_bank_is_an_error() -> None:
    with pytest.raises(DataError, match=r"bank-\d got no transaction"):
        split_among_banks(anonymous([0, 1]), 3)


@pytest.mark.parametrize(
    ("banks", "how", "alpha"),
    [(0, "even", 1.0), (3, "random", 1.0), (3, "pattern", 0.0), (3, "pattern", float("nan")), (3, "pattern", -1.0)],
)
def test_settings_out_of_range_are_refused(banks: int, how: Split, alpha: float) -> None:
    with pytest.raises(ConfigurationError, match="; choose"):
        split_among_banks(TABLE, banks, how, alpha=alpha)


def test_a_bank_must_be_trainable() -> None:
    rows = anonymous([0, 1, 0, 0])
    require_trainable("bank-1", rows)
    cut = time_cut(rows, 0.5)
    require_trainable("bank-1", rows.before(cut))
    require_trainable("bank-2", rows.since(cut))  # honest rows alone
    with pytest.raises(DataError, match="bank-2 has no transaction"):
        require_trainable("bank-2", rows.before(-1.0))
    with pytest.raises(DataError, match="bank-2 has nothing but fraud"):
        require_trainable("bank-2", rows.take(np.array([1])))


def test_some_bank_must_have_fraud() -> None:
    none, some = np.zeros(3, dtype=np.bool_), np.array([False, True])
    require_fraud([none, some, none])
    with pytest.raises(DataError, match="no bank has fraud to train on; use more transactions"):
        require_fraud([none, none])


def test_banks_are_counted_from_1() -> None:
    assert bank_name(0) == "bank-1"


@pytest.mark.parametrize("seed", range(8))
def test_of_a_small_and_a_large_customer_each_bank_gets_one(seed: int) -> None:
    """A customer goes where the middle of its rows lies: two banks are apart whoever comes first."""
    kinds, rows = np.zeros(10, dtype=np.int8), np.arange(10.0)
    names = np.array(["small"] + ["large"] * 9, dtype=object)
    schema = Schema("y", numeric=("x",), identifiers=("who",))
    table = Transactions(schema, {"x": rows}, {"who": names}, kinds > 0, kinds, rows)
    assert sorted(map(len, split_among_banks(table, 2, "even", seed=seed))) == [1, 9]
