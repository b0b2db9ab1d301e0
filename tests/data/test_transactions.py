"""The table in memory: invariants, the cut in time, and that nothing shows rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.data import Schema, Transactions, concatenate, time_cut
from secure_fl.data.transactions import codes_of
from secure_fl.errors import ConfigurationError, DataError


def table(times: list[float], kinds: list[int] | None = None, **changes: Any) -> Transactions:
    n = len(times)
    labels = np.array(kinds if kinds is not None else [0] * n, dtype=np.int8)
    columns: dict[str, Any] = {
        "schema": Schema(label="y", time="t", identifiers=("card",)),
        "numeric": {"t": np.array(times, dtype=np.float64)},
        "text": {"card": np.array([f"card{i}" for i in range(n)], dtype=np.object_)},
        "fraud": labels > 0,
        "pattern": labels,
        "when": np.array(times, dtype=np.float64),
    }
    return Transactions(**{**columns, **changes})


@given(st.lists(st.integers(0, 50), min_size=2, max_size=60), st.floats(0.05, 0.95))
def test_the_cut_in_time_is_a_partition_that_never_mixes(times: list[int], fraction: float) -> None:
    whole = table([float(t) for t in times])
    try:
        cut = time_cut(whole, fraction)
    except DataError:
        position = min(max(round(len(times) * (1 - fraction)), 1), len(times) - 1)
        assert sorted(times)[position] == min(times)
        return
    train, test = whole.before(cut), whole.since(cut)
    assert len(train) > 0
    assert len(test) > 0
    assert train.when.max() < test.when.min()
    assert sorted([*train.text["card"], *test.text["card"]]) == sorted(whole.text["card"])


def test_one_cut_serves_all_banks() -> None:
    whole = table([float(t) for t in range(100)])
    cut = time_cut(whole, 0.3)
    assert cut == 70.0
    old_bank, new_bank = whole.take(slice(0, 80)), whole.take(slice(80, 100))
    assert (len(old_bank.before(cut)), len(old_bank.since(cut))) == (70, 10)
    assert (len(new_bank.before(cut)), len(new_bank.since(cut))) == (0, 20)


def test_without_a_time_column_the_order_of_rows_is_the_time_even_after_a_split() -> None:
    schema = Schema(label="y", numeric=("x",))
    whole = table([0.0] * 10, schema=schema, numeric={"x": np.arange(10.0)}, text={}, when=np.arange(10.0))
    bank = whole.take(np.array([1, 8, 9]))
    assert bank.since(time_cut(whole, 0.3)).numeric["x"].tolist() == [8.0, 9.0]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_a_fraction_outside_0_1_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigurationError, match="test fraction"):
        time_cut(table([1.0, 2.0]), fraction)


@pytest.mark.parametrize("times", [[5.0], [5.0, 5.0, 5.0]])
def test_a_table_that_cannot_be_cut_is_refused(times: list[float]) -> None:
    with pytest.raises(DataError):
        time_cut(table(times), 0.5)


def test_sorting_keeps_the_order_of_rows_of_the_same_second() -> None:
    ordered = table([2.0, 1.0, 2.0, 1.0]).sorted_by_time()
    assert ordered.text["card"].tolist() == ["card1", "card3", "card0", "card2"]
    assert ordered.sorted_by_time() is ordered
    many = table([float(i % 2) for i in range(1_000)]).sorted_by_time()
    assert many.text["card"].tolist() == [f"card{i}" for i in (*range(0, 1_000, 2), *range(1, 1_000, 2))]


def test_take_accepts_masks_indices_and_slices() -> None:
    whole = table([1.0, 2.0, 3.0], [0, 1, 0])
    for rows in (np.array([False, True, True]), np.array([1, 2]), slice(1, 3)):
        part = whole.take(rows)
        assert part.when.tolist() == [2.0, 3.0]
        assert part.fraud.tolist() == [True, False]
        assert part.text["card"].tolist() == ["card1", "card2"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_reported_by_column_and_row(bad: float) -> None:
    with pytest.raises(DataError, match='column "t" is not a finite number in row 2'):
        table([1.0, bad, 3.0])


@pytest.mark.parametrize(
    "changes",
    [
        {"numeric": {}},
        {"text": {}},
        {"when": np.zeros(5)},
        {"pattern": np.array([0, 1], dtype=np.int8)},
        {"pattern": np.array([0, -1], dtype=np.int8)},
        {"fraud": np.array([True, False])},
    ],
)
def test_columns_that_contradict_the_schema_or_each_other_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        table([1.0, 2.0], **changes)


def test_repr_shows_counts_only() -> None:
    shown = repr(table([8675309.0, 2.0], [0, 1], text={"card": np.array(["canary", "x"], dtype=np.object_)}))
    assert shown == "Transactions(2 rows, 1 fraud, 1 numeric and 1 text columns)"


def test_joining_keeps_every_row_and_refuses_other_columns() -> None:
    first, second = table([1.0], [1]), table([2.0, 3.0])
    both = concatenate((first, second))
    assert both.when.tolist() == [1.0, 2.0, 3.0]
    assert both.fraud.tolist() == [True, False, False]
    other = table([1.0], schema=Schema(label="other", time="t", identifiers=("card",)))
    with pytest.raises(DataError, match="cannot be joined"):
        concatenate((first, other))
    with pytest.raises(DataError, match="no table"):
        concatenate(())


@pytest.mark.parametrize(
    "columns",
    [{"label": ""}, {"label": "a", "time": "a"}, {"label": "a", "categorical": ("b",), "identifiers": ("b",)}],
)
def test_a_schema_names_each_column_once(columns: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Schema(**columns)


def test_a_schema_survives_json() -> None:
    schema = Schema("y", "t", "a", ("n",), ("c",), ("i", "j"), calendar=True)
    assert Schema.from_dict(schema.to_dict()) == schema


@pytest.mark.parametrize(
    "change", [{"label": 1}, {"time": 3}, {"numeric": "V1"}, {"identifiers": [1]}, {"calendar": 1}, {"more": 1}]
)
def test_a_malformed_schema_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="malformed"):
        Schema.from_dict({**Schema("y").to_dict(), **change})


@given(st.lists(st.sampled_from(["", "a", "b", "c"])))
def test_codes_give_back_the_values(values: list[str]) -> None:
    levels, codes = codes_of(np.array(values, dtype=np.object_))
    assert [levels[code] for code in codes] == values
    assert len(set(levels)) == len(levels)


def test_of_several_bad_numbers_the_first_is_reported() -> None:
    with pytest.raises(DataError, match='column "t" is not a finite number in row 1;'):
        table([np.nan, 2.0, np.inf])
    with pytest.raises(DataError, match='column "when" is not a finite number in row 2;'):
        table([1.0, 2.0, 3.0], when=np.array([1.0, np.inf, np.nan]))


def test_names_of_columns_are_shown_on_one_line() -> None:
    schema = Schema(label="y", numeric=("odd\nname\x1b",))
    with pytest.raises(DataError, match=r'column "odd\?name\?" is not') as caught:
        table([1.0], schema=schema, numeric={"odd\nname\x1b": np.array([np.nan])}, text={})
    assert str(caught.value).isprintable()


def test_every_column_must_have_as_many_rows() -> None:
    short: dict[str, Any] = {
        "numeric": {"t": np.zeros(1)},
        "text": {"card": np.array(["a"], dtype=np.object_)},
        "pattern": np.zeros(1, dtype=np.int8),
        "when": np.zeros(1),
        "fraud": np.zeros((2, 1), dtype=bool),
    }
    for name, column in short.items():
        with pytest.raises(DataError, match="differ in length"):
            table([1.0, 2.0], **{name: column})


def test_labels_are_shown_and_kept_where_there_are_some() -> None:
    bare = table([1.0, 2.0], labelled=False)
    assert repr(bare) == "Transactions(2 rows, no labels, 1 numeric and 1 text columns)"
    assert not bare.take(slice(0, 1)).labelled
    assert not concatenate((table([0.0]), bare)).labelled
    assert concatenate((table([0.0]), table([1.0]))).labelled


def test_the_columns_of_a_schema_are_in_order() -> None:
    schema = Schema("y", "t", "a", ("n", "m"), ("c",), ("i", "j"))
    assert schema.numbers == ("t", "a", "n", "m")
    assert schema.texts == ("c", "i", "j")
    assert Schema("y", amount="a").numbers == ("a",)


def test_a_schema_that_lacks_a_field_is_malformed() -> None:
    whole = Schema("y", "t", "a", ("n",), ("c",), ("i",)).to_dict()
    for name in whole:
        with pytest.raises(DataError, match="malformed"):
            Schema.from_dict({key: value for key, value in whole.items() if key != name})
    for name in ("numeric", "categorical", "identifiers"):
        with pytest.raises(DataError, match="malformed"):
            Schema.from_dict({**whole, name: ["fine", 7]})
        with pytest.raises(ConfigurationError, match="empty name"):
            Schema.from_dict({**whole, name: ["fine", ""]})


@pytest.mark.parametrize(
    ("rows", "fraction", "cut"), [(2, 0.01, 1.0), (2, 0.99, 1.0), (10, 0.3, 7.0), (10, 0.999, 1.0)]
)
def test_each_side_of_the_cut_has_a_row_at_least(rows: int, fraction: float, cut: float) -> None:
    assert time_cut(table([float(t) for t in range(rows)]), fraction) == cut


def test_the_cut_does_not_depend_on_the_order_of_rows() -> None:
    times = [float(t) for t in range(20)]
    assert time_cut(table(times[::-1]), 0.3) == time_cut(table(times), 0.3) == 14.0


def test_rows_of_the_second_of_the_cut_stay_together() -> None:
    whole = table([1.0, 2.0, 2.0, 2.0, 3.0])
    cut = time_cut(whole, 0.4)
    assert cut == 2.0
    assert (len(whole.before(cut)), len(whole.since(cut))) == (1, 4)


def test_joining_keeps_every_column() -> None:
    parts = [table([1.0, 2.0], [0, 3]), table([0.5], [2])]
    both = concatenate(parts)
    assert both.pattern.tolist() == [0, 3, 2]
    assert both.numeric["t"].tolist() == [1.0, 2.0, 0.5]
    assert both.text["card"].tolist() == ["card0", "card1", "card0"]
