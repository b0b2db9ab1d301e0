"""Rows that Python hands over: every kind of table is read as the same rows, and what cannot be is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy.sparse import csr_matrix

from secure_fl import Experiment
from secure_fl.data.datasets import Dataset, given_dataset, open_dataset
from secure_fl.data.features import dimension
from secure_fl.data.given import Given, read_given
from secure_fl.errors import ConfigurationError, DataError, SecureFLError

COLUMNS = {"a": [1.5, -2.0, 3.25, 0.0], "b": [1, 2, 3, 4]}
LABELS = [0, 1, 0, 1]
FRAMES: dict[str, Callable[[Any], Any]] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "mapping": dict,
    "mapping of tensors": lambda columns: {name: torch.tensor(values) for name, values in columns.items()},
}
ARRAYS: dict[str, Callable[[Any], Any]] = {
    "numpy": np.array,
    "torch": torch.tensor,
    "float32": lambda rows: np.array(rows, dtype=np.float32),
    "gradients": lambda rows: torch.tensor(rows).requires_grad_(),
    "lists": list,
    "bfloat16": lambda rows: torch.tensor(rows, dtype=torch.bfloat16),
    "sparse": lambda rows: torch.tensor(rows).to_sparse(),
    "other byte order": lambda rows: np.array(rows, dtype=">f8"),
    "long doubles": lambda rows: np.array(rows, dtype=np.longdouble),
    "half": lambda rows: np.array(rows, dtype=np.float16),
    "nothing masked": np.ma.array,
}
WAYS_TO_LABEL: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "bools": lambda y: np.array(y, dtype=bool),
    "floats": lambda y: np.array(y, dtype=np.float64),
    "column": lambda y: np.array(y).reshape(-1, 1),
    "tensor": torch.tensor,
    "pandas": pd.Series,
    "polars": pl.Series,
    "arrow": pa.array,
    "chunked": lambda y: pa.chunked_array([y]),
    "nullable": lambda y: pd.Series(y, dtype="Int64"),
    "category": lambda y: pd.Series(y, dtype="category"),
    "bfloat16": lambda y: torch.tensor(y, dtype=torch.bfloat16),
    "sparse": lambda y: torch.tensor(y).to_sparse(),
}


def settings(**columns: Any) -> Experiment:
    return Experiment(dataset="in-memory", **columns)


def three(rows: Any) -> dict[str, Any]:
    return dict.fromkeys(("north", "south", "west"), rows)


def numbers(given: Given, bank: str = "north") -> list[list[float]]:
    return [column.tolist() for column in given.banks[bank].numeric.values()]


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_every_kind_of_data_frame_holds_the_same_rows(frame: Callable[[Any], Any]) -> None:
    given = read_given(settings(), three((frame(COLUMNS), LABELS)), test=(frame(COLUMNS), LABELS))
    assert numbers(given) == [COLUMNS["a"], [1.0, 2.0, 3.0, 4.0]]
    assert given.banks["south"].fraud.tolist() == [False, True, False, True]
    assert (given.schema.numeric, given.schema.plain, given.inputs) == (("a", "b"), True, (2,))
    assert (given.used, given.ignored, given.classes) == ({"a": "number", "b": "number"}, (), 2)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_every_kind_of_array_holds_the_same_rows(array: Callable[[Any], Any]) -> None:
    rows = list(map(list, zip(*COLUMNS.values(), strict=True)))
    given = read_given(settings(), three((array(rows), LABELS)))
    assert numbers(given) == [COLUMNS["a"], [1.0, 2.0, 3.0, 4.0]]
    assert (given.schema.numeric, given.row_shape, given.inputs) == (("x0", "x1"), None, (2,))


@pytest.mark.parametrize("labels", WAYS_TO_LABEL.values(), ids=WAYS_TO_LABEL)
def test_every_kind_of_labels_is_read(labels: Callable[[Any], Any]) -> None:
    given = read_given(settings(), three((pd.DataFrame(COLUMNS), labels(LABELS))))
    assert given.banks["west"].fraud.tolist() == [False, True, False, True]


def test_rows_of_several_axes_keep_their_shape() -> None:
    images = np.arange(4 * 2 * 3, dtype=np.float64).reshape(4, 2, 3)
    given = read_given(settings(), three((images, [0, 1, 2, 1])))
    assert (given.inputs, dimension(given.schema), given.classes) == ((2, 3), 6, 3)
    assert np.array(numbers(given)).T.tolist() == images.reshape(4, 6).tolist()
    assert given.banks["north"].pattern.tolist() == [0, 1, 2, 1]


def test_labels_may_be_a_column_of_the_table() -> None:
    table = pd.DataFrame(COLUMNS | {"bad": ["n", "y", "n", "y"]})
    given = read_given(settings(label="bad", positive_label="y"), three(table))
    assert given.banks["north"].fraud.tolist() == [False, True, False, True]
    assert given.used == {"bad": "label", "a": "number", "b": "number"}


INDICES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "numbers": lambda table: table.set_index(pd.Index([7, 3, 9, 1])),
    "named": lambda table: table.set_index(pd.Index([7, 3, 9, 1], name="customer")),
    "levels": lambda table: table.set_index([[7, 3, 9, 1], [1, 2, 3, 5]]),
    "named levels": lambda table: table.assign(c=[7, 3, 9, 1], d=[1, 2, 3, 5]).set_index(["c", "d"]),
}


@pytest.mark.parametrize("indexed", INDICES.values(), ids=INDICES)
def test_an_index_of_pandas_is_no_column(indexed: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    given = read_given(settings(), three((indexed(pd.DataFrame(COLUMNS)), LABELS)))
    assert (given.schema.numeric, given.ignored) == (("a", "b"), ())
    levels = pa.table({"a": [1, 2], "__index_level_0__": [5, 6], "__index_level_1__": [7, 8]})
    assert read_given(settings(), three((levels, [0, 1]))).schema.numeric == ("a",)


KINDS_OF_TEXT: dict[str, Callable[[list[str]], Any]] = {
    "pandas": lambda texts: pd.DataFrame({"c": texts}),
    "pandas, arrow": lambda texts: pd.DataFrame({"c": pd.array(texts, dtype="string[pyarrow]")}),
    "pandas, category": lambda texts: pd.DataFrame({"c": pd.Categorical(texts)}),
    "polars": lambda texts: pl.DataFrame({"c": texts}),
    "polars, category": lambda texts: pl.DataFrame({"c": pl.Series(texts, dtype=pl.Categorical)}),
    "polars, enum": lambda texts: pl.DataFrame({"c": pl.Series(texts, dtype=pl.Enum([*dict.fromkeys(texts)]))}),
    "arrow, large": lambda texts: pa.table({"c": pa.array(texts, pa.large_string())}),
    "arrow, dictionary": lambda texts: pa.table({"c": pa.array(texts).dictionary_encode()}),
}


@pytest.mark.parametrize("frame", KINDS_OF_TEXT.values(), ids=KINDS_OF_TEXT)
def test_every_kind_of_text_is_read_alike(frame: Callable[[Any], Any]) -> None:
    given = read_given(settings(), three((frame(["x", "y", "x", "z"]), LABELS)))
    assert given.banks["north"].text["c"].tolist() == ["x", "y", "x", "z"]
    figures = read_given(settings(), three((frame(["1.5", " 2", "3", "1.5"]), LABELS)))
    assert numbers(figures) == [[1.5, 2.0, 3.0, 1.5]]
    dates = read_given(
        settings(time="c"), three((frame(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]), LABELS))
    )
    assert np.diff(dates.banks["north"].when).tolist() == [86_400.0] * 3


def test_the_kind_of_fraud_is_no_feature() -> None:
    table = pd.DataFrame(COLUMNS | {"fraud_pattern": [0, 1, 0, 2]})
    given = read_given(settings(), three((table, LABELS)))
    assert (given.schema.numeric, given.ignored) == (("a", "b"), ("fraud_pattern",))
    declared = read_given(settings(numeric=("a", "fraud_pattern")), three((table, LABELS)))
    assert declared.schema.numeric == ("a", "fraud_pattern")
    label = read_given(settings(label="fraud_pattern"), three(table.assign(fraud_pattern=LABELS)))
    assert label.schema.numeric == ("a", "b")


def test_names_of_banks_are_texts() -> None:
    rows = (COLUMNS, LABELS)
    given = read_given(settings(), {1: rows, 2: rows, 3: rows}, test={3: rows, 2: rows, 1: rows})  # type: ignore[dict-item]
    assert isinstance(given.test, dict)
    assert ([*given.banks], [*given.test]) == (["1", "2", "3"], ["1", "2", "3"])
    with pytest.raises(ConfigurationError, match="two banks are called '1' as a text; name each once"):
        read_given(settings(), {1: rows, "1": rows, 2: rows, 3: rows})  # type: ignore[dict-item]


def test_tables_with_texts_or_times_go_the_way_of_transactions() -> None:
    table = pd.DataFrame(COLUMNS | {"shop": ["x", "y", "x", "z"]})
    given = read_given(settings(), three((table, LABELS)))
    assert (given.schema.plain, given.schema.categorical, given.inputs) == (False, ("shop",), (128,))
    timed = read_given(settings(time="b", amount="a"), three((pd.DataFrame(COLUMNS), LABELS)))
    assert (timed.schema.plain, timed.inputs) == (False, (128,))


def test_columns_that_are_not_declared_are_told() -> None:
    given = read_given(settings(numeric=("b",)), three((pd.DataFrame(COLUMNS), LABELS)))
    assert (given.used, given.ignored) == ({"b": "number"}, ("a",))


def masked(values: Any, mask: Any) -> Any:
    return np.ma.array(np.array(values), mask=np.array(mask, dtype=bool))


REFUSED: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "no mapping": ({}, [(COLUMNS, LABELS)], None, "from names to rows"),
    "no bank": ({}, {}, None, "from names to rows"),
    "no labels": ({}, three(COLUMNS), None, "no labels; hand over"),
    "labels twice": ({"label": "b"}, three((COLUMNS, LABELS)), None, "came beside the rows, and column 'b'"),
    "labels ragged": ({}, three((COLUMNS, [[0], [1, 2], [0], [1]])), None, "holds a list that is no array"),
    "labels masked": ({}, three((COLUMNS, masked(LABELS, [1, 0, 0, 0]))), None, "labels that are no classes"),
    "labels one-hot": ({}, three((COLUMNS, np.eye(2)[LABELS])), None, r"labels of shape \(4, 2\)"),
    "masked": (
        {},
        three((masked(np.ones((4, 2)), [[0, 1]] * 4), LABELS)),
        None,
        'column "x1" is not a finite',
    ),
    "masked column": ({}, three(({"a": masked([1, 2], [0, 1])}, [0, 1])), None, "in row 2 of bank north"),
    "a generator": ({}, three(((row for row in [[1], [2]]), [0, 1])), None, "north is a generator; give a data frame"),
    "lazy": ({}, three((pl.LazyFrame(COLUMNS), LABELS)), None, "is a LazyFrame; .* collected"),
    "sparse of scipy": ({}, three((csr_matrix(np.eye(4)), LABELS)), None, "is a csr_matrix; .*dense"),
    "no data": ({}, three((torch.ones(4, 2, device="meta"), LABELS)), None, "holds a Tensor that is no array"),
    "huge": ({}, three(({"a": [2**70, 1]}, [0, 1])), None, "cannot be read as columns|no array"),
    "no columns": ({}, three((np.zeros((4, 0)), LABELS)), None, "hands over no columns"),
    "intervals": (
        {},
        three((pd.DataFrame({"a": pd.cut([1, 2, 3, 4], 2)}), LABELS)),
        None,
        'column "a" of bank north cannot be read',
    ),
    "labels too few": ({}, three((COLUMNS, [0, 1])), None, r"north has 4 rows and labels of shape \(2,\)"),
    "labels are texts": ({}, three((COLUMNS, list("abab"))), None, "labels that are no classes; give 0"),
    "labels are shares": ({}, three((COLUMNS, [0.5, 1, 0, 1])), None, "labels that are no classes"),
    "labels are missing": ({}, three((COLUMNS, [np.nan, 1, 0, 1])), None, "labels that are no classes"),
    "labels too high": ({}, three((COLUMNS, [0, 1, 2, 128])), None, "classes from 0 to 127"),
    "labels below zero": ({}, three((COLUMNS, [0, 1, -1, 1])), None, "labels that are no classes"),
    "one axis": ({}, three((np.zeros(4), LABELS)), None, "an array of 1 axes"),
    "objects": ({}, three((np.array([["a", {}]] * 4, dtype=object), LABELS)), None, "values of type object"),
    "uneven mapping": (
        {},
        three(({"a": [1], "b": [1, 2]}, LABELS)),
        None,
        "cannot be read as columns; give all columns one length",
    ),
    "mixed values": ({}, three((pd.DataFrame({"a": ["x", 1.5]}), [0, 1])), None, "cannot be read as columns"),
    "one name twice": (
        {},
        three((pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), [0, 1])),
        None,
        "cannot be read as columns|two columns of one name",
    ),
    "names are numbers": ({}, three(({0: [1, 2]}, [0, 1])), None, "a name that is a text"),
    "first row as header": (
        {},
        three((pd.DataFrame([[1.0, 2.0]], columns=["149.62", "1"]), [0])),
        None,
        "north has columns that are called like values, which errors and reports would show; name them",
    ),
    "no rows": ({}, three((np.zeros((0, 2)), [])), None, "hands over no rows"),
    "nothing but labels": ({"label": "a"}, three({"a": [0, 1]}), None, "no column to learn from"),
    "a gap": ({}, three(({"a": [1.0, np.nan]}, [0, 1])), None, r'"a" is not a finite number in row 2 of bank north'),
    "reserved": ({}, three(({"(label)": [1, 2]}, [0, 1])), None, "two columns of one name"),
    "other columns": (
        {},
        {"n": (COLUMNS, LABELS), "s": ({"a": [1], "c": [2]}, [0]), "w": (COLUMNS, LABELS)},
        None,
        r'bank s has other columns than bank n \("b", "c"',
    ),
    "another shape": (
        {},
        three((np.zeros((4, 2, 3)), LABELS)) | {"west": (np.zeros((4, 3, 2)), LABELS)},
        None,
        "another shape",
    ),
    "other test columns": ({}, three((COLUMNS, LABELS)), ({"a": [1]}, [0]), "test has other columns"),
    "test without labels": ({}, three((COLUMNS, LABELS)), COLUMNS, "test has other columns"),
    "test of some banks": ({}, three((COLUMNS, LABELS)), {"north": (COLUMNS, LABELS)}, "of some banks only"),
}


@pytest.mark.parametrize(("columns", "banks", "test", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_by_name(columns: Any, banks: Any, test: Any, message: str) -> None:
    with pytest.raises(SecureFLError, match=message) as caught:
        read_given(settings(**columns), banks, test)
    assert isinstance(caught.value, ConfigurationError | DataError)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value) or ", such as " in str(caught.value)


def test_no_value_is_shown_by_an_error_or_repr() -> None:
    with pytest.raises(DataError) as caught:
        read_given(settings(), three((pd.DataFrame({"a": ["1", "2", "secret"] * 10}), [0, 1, 0] * 10)))
    assert "secret" not in str(caught.value)
    given = read_given(settings(), three((COLUMNS, LABELS)))
    assert repr(given) == "Given(north: 4 rows, south: 4 rows, west: 4 rows)"


# Becoming banks


def opened(test: Any = None, tables: bool = False, rows: int = 10, **columns: Any) -> Dataset:
    table = {"t": np.arange(rows)[::-1] * 60.0, "a": np.arange(rows) * 1.0}
    labels = np.arange(rows) % 2
    given = read_given(settings(**columns), three((table, labels)), test)
    return given_dataset(settings(**columns).with_banks(tuple(given.banks)), given, tables)


def test_one_test_is_no_banks_own() -> None:
    dataset = opened(test=({"t": [1.0, 2.0], "a": [3.0, 4.0]}, [1, 0]), tables=True)
    assert [(bank.name, len(bank.train), len(bank.test)) for bank in dataset.banks] == [
        ("north", 10, 0),
        ("south", 10, 0),
        ("west", 10, 0),
    ]
    (common,) = dataset.tests
    assert (common.numeric.tolist(), common.fraud.tolist()) == ([[1.0, 3.0], [2.0, 4.0]], [True, False])
    assert dataset.test_rows == {}
    assert all(bank.table is not None and len(bank.table) == 10 for bank in dataset.banks)
    summary = dataset.summary()
    assert (summary["rows"], summary["frauds"]) == (32, 16)
    assert summary["source"] == "Rows that were handed over in Python."


def test_each_bank_may_have_a_test_of_its_own() -> None:
    tests = {name: ({"t": [1.0] * n, "a": [n * 1.0] * n}, [0] * (n - 1) + [1]) for n, name in enumerate(three(0), 2)}
    dataset = opened(test=tests)
    assert dataset.test_rows == {"north": 2, "south": 3, "west": 4}
    assert [part.numeric[:, 1].tolist() for part in dataset.tests] == [[2.0] * 2, [3.0] * 3, [4.0] * 4]
    assert all(len(bank.train) == 10 for bank in dataset.banks)


def test_without_a_test_the_last_rows_of_each_bank_are_cut_off() -> None:
    dataset = opened(tables=True)
    for bank in dataset.banks:
        assert bank.train.numeric[:, 1].tolist() == [0, 1, 2, 3, 4, 5, 6]
        assert bank.test.numeric[:, 1].tolist() == [7, 8, 9]
        assert bank.table is not None
        assert bank.table.numeric["a"].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_where_there_is_a_time_the_latest_rows_of_all_banks_are() -> None:
    dataset = opened(time="t")
    for bank in dataset.banks:
        assert bank.train.when.tolist() == [0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0]
        assert bank.test.when.tolist() == [420.0, 480.0, 540.0]


def test_test_rows_of_a_bank_see_their_past() -> None:
    """The count of a card's payments within 30 days, as features tell it, goes on from the training rows."""
    columns = {"time": "t", "identifiers": ("card",)}
    table = {"t": [0.0, 60.0, 120.0], "card": ["c", "c", "c"]}
    test = {name: ({"t": [180.0], "card": ["c"]}, [1]) for name in three(0)}
    given = read_given(settings(**columns), three((table, [0, 1, 0])), test)
    dataset = given_dataset(settings(**columns).with_banks(tuple(given.banks)), given)
    counts = [np.expm1(part.numeric[0, 4]) for part in dataset.tests]
    assert counts == pytest.approx([4.0, 4.0, 4.0])


def test_a_bank_that_is_too_small_to_cut_is_named() -> None:
    given = read_given(settings(), three((COLUMNS, LABELS)) | {"south": ({"a": [1.0], "b": [2.0]}, [1])})
    with pytest.raises(DataError, match="south: there are fewer than 2 transactions"):
        given_dataset(settings().with_banks(tuple(given.banks)), given)


def test_rows_that_only_python_has_are_asked_for() -> None:
    with pytest.raises(ConfigurationError, match=r"handed over in Python; hand them over again \(run_federation"):
        open_dataset(settings())
