"""Declared columns of CSV and Parquet files: what is read, what is inferred, what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from secure_fl.data import Declaration, Schema, load_table_as, read_table
from secure_fl.errors import ConfigurationError, DataError
from tests.data.reading import load_table

Write = Callable[..., Path]
Check = Callable[[BaseException], None]

PLAIN = "card,when,sum,kind,score,y\nA,0,10.5,food,1,0\nB,60, 2e1 ,fuel,-2.5,1\nA,90,0,,0,0\n"


def test_leftover_columns_are_inferred(write: Write) -> None:
    table = load_table(write(PLAIN), label="y", time="when", amount="sum", identifiers=["card"])
    assert table.schema == Schema("y", "when", "sum", ("score",), ("kind",), ("card",))
    assert table.numeric["sum"].tolist() == [10.5, 20.0, 0.0]
    assert table.numeric["score"].tolist() == [1.0, -2.5, 0.0]
    assert table.text["kind"].tolist() == ["food", "fuel", ""]
    assert table.text["card"].tolist() == ["A", "B", "A"]
    assert table.fraud.tolist() == [False, True, False]
    assert table.pattern.tolist() == [0, 1, 0]
    assert table.when.tolist() == [0.0, 60.0, 90.0]
    assert table.labelled


def test_declared_columns_are_used_and_nothing_else(write: Write) -> None:
    table = load_table(write(PLAIN), label="y", numeric=("score",))
    assert table.schema == Schema("y", numeric=("score",))
    assert table.when.tolist() == [0.0, 1.0, 2.0]


def test_an_integer_identifier_stays_text(write: Write) -> None:
    table = load_table(write("card,y\n007,0\n7,1\n"), label="y", identifiers=["card"])
    assert table.text["card"].tolist() == ["007", "7"]
    assert table.schema.numeric == ()


def test_a_byte_order_mark_changes_nothing(write: Write) -> None:
    table = load_table(write(b"\xef\xbb\xbfcard,y\n007,0\n7,1\n"), label="y", identifiers=["card"])
    assert table.text["card"].tolist() == ["007", "7"]


def test_rows_to_score_need_no_label(write: Write) -> None:
    path = write("card,when,sum,kind,score\nA,0,10.5,food,1\n")
    table = load_table(path, label=None, time="when")
    assert not table.labelled
    assert table.fraud.tolist() == [False]
    schema = Schema("y", "when", "sum", ("score",), ("kind",), ("card",))
    assert load_table_as(path, schema, labelled=False).schema == schema
    with pytest.raises(DataError, match='no column "y"'):
        load_table_as(path, schema)


def test_scoring_ignores_labels_and_patterns_that_are_there(write: Write) -> None:
    path = write("x,fraud_pattern,y\n1,2,1\n2,,\n")
    table = load_table_as(path, Schema("y", numeric=("x",)), labelled=False)
    assert table.pattern.tolist() == [0, 0]


def test_the_pattern_column_is_no_feature(write: Write) -> None:
    table = load_table(write("x,fraud_pattern,y\n1,0,0\n2,3,1\n"), label="y")
    assert table.schema.numeric == ("x",)
    assert table.pattern.tolist() == [0, 3]
    named = load_table(write("x,kind,y\n1,0,0\n2,2,1\n"), label="y", pattern="kind")
    assert named.schema.numeric == ("x",)
    assert named.pattern.tolist() == [0, 2]


@pytest.mark.parametrize("labels", [("0", "1"), ("0.0", "1.0"), ("false", "true"), ("False", " TRUE")])
def test_labels_are_0_1_or_bool(write: Write, labels: tuple[str, str]) -> None:
    table = load_table(write(f"x,y\n1,{labels[0]}\n2,{labels[1]}\n"), label="y")
    assert table.fraud.tolist() == [False, True]


@pytest.mark.parametrize(
    ("row", "arguments", "message"),
    [
        ("CANARY?,1,food,0", {}, 'column "sum" is not a number in line 4 of'),
        (",1,food,0", {}, 'column "sum" is not a number in line 4 of'),
        ("nan,1,food,0", {}, 'column "sum" is not a finite number in line 4 of'),
        ("-inf,1,food,0", {}, 'column "sum" is not a finite number in line 4 of'),
        ("1e999,1,food,0", {}, 'column "sum" is not a(?: finite)? number in line 4 of'),
        ("1,CANARY?,food,0", {}, 'column "score" is not a number in line 4 of'),
        ("1,1,food,CANARY", {}, 'column "y" is not 0 or 1 in line 4 of'),
        ("1,1,food,", {}, 'column "y" is not 0 or 1 in line 4 of'),
        ("1,1,food,0.5", {}, 'column "y" is not 0 or 1 in line 4 of'),
        ("1,1,CANARY,0", {"pattern": "kind"}, 'column "kind" is not a number in line 2 of'),
        (
            "1,CANARY,food,0",
            {"pattern": "score"},
            'column "score" is not 0 for honest and 1..127 for fraud in line 4 of',
        ),
        ("1,2,food,0", {"pattern": "score"}, 'column "score" is not 0 for honest and 1..127 for fraud in line 4 of'),
        ("1,0,food,1", {"pattern": "score"}, 'column "score" is not 0 for honest and 1..127 for fraud in line 4 of'),
        ("CANARY,1,food,0,1", {}, "line 4 of .* has 5 fields"),
        ("CANARY,1,food,0", {"time": "when"}, 'no column "when"; declare columns that it has: "sum", "score"'),
    ],
)
def test_a_bad_row_is_reported_by_line_and_column_only(
    write: Write, canary: str, assert_discreet: Check, row: str, arguments: dict[str, Any], message: str
) -> None:
    path = write(f"sum,score,kind,y\n1,0,food,0\n2,1,fuel,1\n{row.replace('CANARY', canary)}\n3,0,food,0\n")
    with pytest.raises(DataError, match=message) as caught:
        load_table(path, **{"label": "y", "amount": "sum", **arguments})
    assert_discreet(caught.value)


def test_the_first_bad_row_of_many_is_reported(write: Write) -> None:
    lines = ["1,0"] * 5000
    lines[1234] = lines[4000] = "x,0"
    with pytest.raises(DataError, match="line 1236 of"):
        load_table(write("x,y\n" + "\n".join(lines)), label="y")


@pytest.mark.parametrize(
    "stamps",
    [
        ("1970-01-01 00:01:00", "1970-01-02 00:00:00.5"),
        ("1970-01-01T00:01:00Z", "1970-01-02T01:00:00.5+01:00"),
    ],
)
def test_timestamps_become_seconds(write: Write, stamps: tuple[str, str]) -> None:
    table = load_table(write(f"t,y\n{stamps[0]},0\n{stamps[1]},1\n"), label="y", time="t")
    assert table.when.tolist() == [60.0, 86400.5]
    assert table.numeric["t"].tolist() == [60.0, 86400.5]
    assert table.schema.calendar


@pytest.mark.parametrize("bad", ["CANARY?", "", "1970-13-01 00:00:00", "CANARY"])
def test_a_bad_timestamp_is_reported_by_line(write: Write, canary: str, assert_discreet: Check, bad: str) -> None:
    path = write(f"t,y\n1970-01-01 00:01:00,0\n{bad.replace('CANARY', canary)},1\n1970-01-01 00:01:00,0\n")
    with pytest.raises(DataError, match=r'column "t" .* in line 3 of') as caught:
        load_table(path, label="y", time="t")
    assert_discreet(caught.value)


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_types_are_understood(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "t.parquet",
        card=pa.array([7, 8]),
        kind=pa.array(["a", None]).dictionary_encode(),
        t=pa.array([dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 1, 0, 0, 1)]),
        n=pa.array([1, 2], pa.int32()),
        b=pa.array([True, False]),
        y=pa.array([False, True]),
    )
    table = load_table(path, label="y", time="t", identifiers=["card"])
    assert table.schema == Schema("y", "t", None, ("n", "b"), ("kind",), ("card",), calendar=True)
    assert table.text["card"].tolist() == ["7", "8"]
    assert table.text["kind"].tolist() == ["a", ""]
    assert table.numeric["n"].tolist() == [1.0, 2.0]
    assert table.when.tolist() == [0.0, 1.0]
    assert table.fraud.tolist() == [False, True]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1.0, None], "y": [0, 1]}, 'column "x" is not a finite number in row 2 of'),
        ({"x": [1.0, 2.0], "y": [0, 8675309]}, 'column "y" is not 0 or 1 in row 2 of'),
        ({"x": [1.0, 2.0], "y": [0, None]}, 'column "y" is not 0 or 1 in row 2 of'),
        ({"x": [[8675309], [1]], "y": [0, 1]}, 'column "x" of .* cannot be read as text'),
    ],
)
def test_a_bad_parquet_row_is_reported_by_row(
    tmp_path: Path, assert_discreet: Check, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_table(parquet(tmp_path / "t.parquet", **columns), label="y")
    assert_discreet(caught.value)


def test_contradicting_declarations_are_refused(write: Write) -> None:
    path = write(PLAIN)
    with pytest.raises(ConfigurationError, match="declared twice"):
        load_table(path, label="y", time="when", numeric=("when",))
    with pytest.raises(ConfigurationError, match="fraud patterns and nothing else"):
        load_table(path, label="y", numeric=("score",), pattern="score")


def test_large_files_keep_every_row(write: Write) -> None:
    n = 100_000
    table = load_table(write("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(n))), label="y")
    np.testing.assert_array_equal(table.numeric["x"], np.arange(n))


@pytest.mark.parametrize(
    ("bad", "arguments"),
    [
        (("x,1", "nan,1", "food,0"), {"numeric": ("x",)}),
        (("1,1", "nan,1", "inf,0"), {}),
        (("1,1", "1,2", "1,maybe"), {}),
        (("1,1", "1,0", "1,0"), {"pattern": "x"}),
        (("1,1", "0,1", "300,1"), {"pattern": "x"}),
        (("1,1", ",1", ",0"), {"time": "x"}),
    ],
)
def test_of_several_bad_rows_the_first_is_reported(
    write: Write, bad: tuple[str, str, str], arguments: dict[str, Any]
) -> None:
    first = next(place for place, row in enumerate(bad) if row != "1,1")
    if "time" in arguments:
        bad = tuple(row.replace("1,1", "1970-01-01 00:00:00,1") for row in bad)  # type: ignore[assignment]
    path = write("x,y\n" + "\n".join((*bad, *bad)))
    with pytest.raises(DataError, match=f"in line {first + 2} of"):
        load_table(path, label="y", **arguments)


def test_declared_categories_are_enough_and_nothing_is_inferred(write: Write) -> None:
    table = load_table(write(PLAIN), label="y", categorical=("kind",))
    assert table.schema == Schema("y", categorical=("kind",))


def test_what_a_column_holds_is_told_by_its_first_value_that_is_there(write: Write) -> None:
    read = read_table(write("word,empty,y\n,,0\n ,,1\nx,,0\n7,,0\n"), Declaration("y"))
    assert read.transactions.schema == Schema("y", categorical=("word",))
    assert read.ignored == ("empty",)
    with pytest.raises(DataError, match='column "gap" is not a number in line 2 of'):
        load_table(write("gap,y\n,0\n7,1\n"), label="y")


def test_texts_that_look_like_nothing_stay_texts(write: Write) -> None:
    texts = ["NA", "null", "NaN", "n/a", "#N/A", "None", "-"]
    table = load_table(write("who,y\n" + "".join(f"{text},0\n" for text in texts)), label="y", identifiers=("who",))
    assert table.text["who"].tolist() == texts


def test_a_pattern_column_may_be_declared_for_something_else(write: Write) -> None:
    path = write("fraud_pattern,y\n5,0\n7,1\n")
    table = load_table(path, label="y", numeric=("fraud_pattern",))
    assert table.numeric["fraud_pattern"].tolist() == [5.0, 7.0]
    assert table.pattern.tolist() == [0, 1]


def test_a_missing_column_is_named_and_those_there_are_not_missed(write: Write) -> None:
    with pytest.raises(DataError, match='no column "a", "b"; declare columns that it has: "card", "when", "sum"'):
        load_table(write(PLAIN), label="y", numeric=("a", "sum", "b"))


def test_all_sorts_of_parquet_columns_are_read(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "t.parquet",
        d=pa.array([dt.date(1970, 1, 1), dt.date(1970, 1, 3)]),
        big=pa.array(["u", "v"], pa.large_string()),
        dictionary=pa.array(["p", None], pa.large_string()).dictionary_encode(),
        exact=pa.array(["1.50", "2.25"]).cast(pa.decimal128(5, 2)),
        y=pa.array([0.0, 1.0]),
        fraud_pattern=pa.array([0, 127], pa.int8()),
    )
    table = load_table(path, label="y", time="d", identifiers=("big",))
    assert table.schema == Schema("y", "d", None, ("exact",), ("dictionary",), ("big",), calendar=True)
    assert table.when.tolist() == [0.0, 172_800.0]
    assert table.numeric["exact"].tolist() == [1.5, 2.25]
    assert table.text["dictionary"].tolist() == ["p", ""]
    assert table.text["big"].tolist() == ["u", "v"]
    assert table.pattern.tolist() == [0, 127]


def test_times_of_a_zone_are_seconds_of_utc(tmp_path: Path) -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    stamps = pa.array([dt.datetime(1970, 1, 1, 2, 0, 1, 500_000, zone)] * 2, pa.timestamp("ms", "+02:00"))
    table = load_table(parquet(tmp_path / "t.parquet", t=stamps, y=pa.array([0, 1])), label="y", time="t")
    assert table.when.tolist() == [1.5, 1.5]
    empty = pa.array([stamps[0].as_py(), None, None], pa.timestamp("ms", "UTC"))
    path = parquet(tmp_path / "u.parquet", t=empty, y=pa.array([0, 1, 0]))
    with pytest.raises(DataError, match='column "t" is empty in row 2 of'):
        load_table(path, label="y", time="t")


def test_numbers_of_time_are_no_calendar_and_a_text_of_numbers_no_timestamp(write: Write) -> None:
    table = load_table(write("t,y\n20249901,0\n20249902,1\n"), label="y", time="t")
    assert table.when.tolist() == [20249901.0, 20249902.0]
    assert not table.schema.calendar


def test_texts_of_either_size_are_read_alike(tmp_path: Path) -> None:
    for name, kind in (("small", pa.string()), ("large", pa.large_string())):
        path = parquet(
            tmp_path / f"{name}.parquet",
            word=pa.array([None, "x", "7"], kind),
            number=pa.array(["", "1.5", "2"], kind).slice(1).take([0, 1, 1]),
            flag=pa.array(["false", "TRUE", "0"], kind),
            stamp=pa.array(["1970-01-01 00:00:01", "1970-01-01 00:00:02", "1970-01-01 00:00:03"], kind),
        )
        table = load_table(path, label="flag", time="stamp")
        assert table.schema == Schema("flag", "stamp", None, ("number",), ("word",), calendar=True)
        assert table.text["word"].tolist() == ["", "x", "7"]
        assert table.numeric["number"].tolist() == [1.5, 2.0, 2.0]
        assert table.fraud.tolist() == [False, True, False]
        assert table.when.tolist() == [1.0, 2.0, 3.0]
