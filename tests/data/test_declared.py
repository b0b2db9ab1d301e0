"""What practitioners' files look like: read as declared, or refused with the line that says how to get there."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from secure_fl.data import (
    Declaration,
    FeatureSchema,
    FederationKey,
    ReadTable,
    Schema,
    Standardization,
    encode,
    extract,
    load_table_as,
    magnitudes,
    moments,
    read_table,
    standardize,
)
from secure_fl.data.plausibility import warnings_about
from secure_fl.errors import ConfigurationError, DataError

Write = Callable[..., Path]
Check = Callable[[BaseException], None]


def read(path: Path, **declared: Any) -> ReadTable:
    return read_table(path, Declaration(**{"label": "y", **declared}))


def column(name: str, *values: object) -> str:
    """CSV with one column beside the label, whose rows alternate."""
    return f"{name};y\n" + "".join(f"{value};{row % 2}\n" for row, value in enumerate(values))


# Time


UNITS = [("seconds", 1), ("minutes", 60), ("hours", 3_600), ("days", 86_400), ("months", 2_592_000)]


@pytest.mark.parametrize(("unit", "seconds"), UNITS)
def test_a_time_is_in_the_unit_that_is_declared(write: Write, unit: str, seconds: int) -> None:
    table = read(write(column("step", 1, 2, 743)), time="step", time_unit=unit).transactions
    assert table.when.tolist() == [seconds, 2 * seconds, 743 * seconds]
    assert table.numeric["step"].tolist() == table.when.tolist()
    again = load_table_as(write(column("step", 3), "more.csv"), Schema.from_dict(table.schema.to_dict()))
    assert again.when.tolist() == [3 * seconds]


def test_a_timestamp_has_no_unit(write: Write) -> None:
    with pytest.raises(ConfigurationError, match="leave out time_unit"):
        read(write(column("t", "2024-12-31")), time="t", time_unit="hours")


@pytest.mark.parametrize(
    ("value", "form"), [("20241231", "%Y%m%d"), ("19000101", "%Y%m%d"), ("20241231235959", "%Y%m%d%H%M%S")]
)
def test_dates_written_as_numbers_are_no_seconds(write: Write, assert_discreet: Check, value: str, form: str) -> None:
    path = write(column("t", value, value))
    with pytest.raises(DataError, match=f'column "t" .* dates written as numbers; add --time-format {form}$') as caught:
        read(path, time="t")
    assert_discreet(caught.value)
    expected = dt.datetime.strptime(value, form).replace(tzinfo=dt.UTC).timestamp()
    assert read(path, time="t", time_format=form).transactions.when.tolist() == [expected] * 2


def test_numbers_that_are_no_dates_stay_seconds(write: Write) -> None:
    assert read(write(column("t", 20241231, 20241232)), time="t").transactions.when[1] == 20241232


def test_dates_in_parquet_may_be_numbers_too(tmp_path: Path) -> None:
    pq.write_table(pa.table({"t": [19700102, 19700103], "y": [0, 1]}), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet", time="t", time_format="%Y%m%d").transactions
    assert table.when.tolist() == [86_400, 2 * 86_400]
    assert table.schema.calendar


def test_a_day_first_date_is_refused_with_the_way_to_declare_it(write: Write, assert_discreet: Check) -> None:
    path = write(column("t", "02/01/1970 00:01", "8675309/01/1970", "03/01/1970 00:00"))
    with pytest.raises(DataError, match=r'column "t" .* in line 2 of .*--time-format .%d/%m/%Y') as caught:
        read(path, time="t")
    assert_discreet(caught.value)
    with pytest.raises(DataError, match=r'"t" is not written as the time format says in line 3 of') as caught:
        read(path, time="t", time_format="%d/%m/%Y %H:%M")
    assert_discreet(caught.value)
    path = write(column("t", "02/01/1970 00:01", "03/01/1970 00:00"))
    table = read(path, time="t", time_format="%d/%m/%Y %H:%M").transactions
    assert table.when.tolist() == [86_460, 2 * 86_400]


@pytest.mark.parametrize("zone", ["", "Z"])
def test_nanoseconds_are_cut_to_microseconds(write: Write, zone: str) -> None:
    stamps = (f"1970-01-01 00:00:01{zone}", f"1970-01-01 00:00:02.123456789{zone}", f"1970-01-01 00:00:03.5{zone}")
    assert read(write(column("t", *stamps)), time="t").transactions.when.tolist() == [1.0, 2.123456, 3.5]
    assert read(write(column("t", *stamps[1:])), time="t").transactions.when.tolist() == [2.123456, 3.5]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_any_resolution_are_read_from_parquet(tmp_path: Path, unit: str) -> None:
    stamps = pa.array(
        [1_700_000_000_123_456_789 // 10 ** {"s": 9, "ms": 6, "us": 3, "ns": 0}[unit]], pa.timestamp(unit)
    )
    pq.write_table(pa.table({"t": stamps, "y": [1]}), tmp_path / "t.parquet", version="2.6")
    when = read(tmp_path / "t.parquet", time="t").transactions.when[0]
    assert when == pytest.approx(1_700_000_000.123456, abs={"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-6}[unit])


# Numbers


@pytest.mark.parametrize("value", ["$134.09", "$-5.00", "-$5.00", "€ 7", "+£1e3"])
def test_a_sign_of_currency_is_no_obstacle(write: Write, value: str) -> None:
    expected = float(value.replace("$", "").replace("€", "").replace("£", ""))
    path = write(column("sum", value, "1"))
    assert read(path, amount="sum").transactions.numeric["sum"].tolist() == [expected, 1.0]
    assert read(path).transactions.schema.numeric == ("sum",)


@pytest.mark.parametrize("value", ["12,5", "1.234,50", "1,234.50", "45 %", "1 234", "$1,000", "3€"])
def test_numbers_that_cannot_be_read_are_no_category(write: Write, assert_discreet: Check, value: str) -> None:
    path = write(column("sum", value, value))
    with pytest.raises(
        DataError, match=r'"sum" holds numbers that cannot be read, .* in line 2 of .*like 1234\.5'
    ) as caught:
        read(path)
    assert_discreet(caught.value)
    with pytest.raises(DataError, match=r'"sum" is not a number in line 2 of .*like 1234\.5') as caught:
        read(path, amount="sum")
    assert_discreet(caught.value)
    assert read(path, categorical=["sum"]).transactions.text["sum"].tolist() == [value, value]


@pytest.mark.parametrize("text", ["10.0.0.1", "2024-01-01", "A12", "12-b", "1/2"])
def test_texts_with_digits_stay_categories(write: Write, text: str) -> None:
    assert read(write(column("kind", text, text))).transactions.schema.categorical == ("kind",)


def test_a_text_before_many_numbers_is_no_reason_for_a_category(write: Write, assert_discreet: Check) -> None:
    path = write(column("sum", "CANARY 8675309", *range(20)))
    with pytest.raises(DataError, match='column "sum" holds numbers, but a text in line 2 of') as caught:
        read(path)
    assert_discreet(caught.value)
    assert read(write(column("code", "A", "1", "B", *("2", "C") * 5))).transactions.schema.categorical == ("code",)


def test_whole_numbers_of_parquet_may_be_large(tmp_path: Path) -> None:
    pq.write_table(pa.table({"card": [4_929_123_412_341_234_567], "y": [1]}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").transactions.numeric["card"].tolist() == [4.929123412341235e18]


# Gaps


def test_a_gap_is_refused_with_the_way_to_fill_it(write: Write) -> None:
    for gap in ("", "NA", "nan"):
        with pytest.raises(DataError, match=r'column "x" is not a .*number in line 3 of .*--impute'):
            read(write(column("x", 1, gap, 3)))


@pytest.mark.parametrize("first", ["", "NA", "7"])
def test_gaps_are_allowed_where_that_is_said(write: Write, first: str) -> None:
    table = read(write(column("x", first, "n/a", "null", 4, "NaN")), impute=True).transactions
    np.testing.assert_array_equal(
        table.numeric["x"], [float(first) if first == "7" else np.nan, np.nan, np.nan, 4, np.nan]
    )
    assert Schema.from_dict(table.schema.to_dict()).impute
    with pytest.raises(DataError, match=r'column "x" is not a .*number in line . of'):
        read(write(column("x", first, "n/a", 4)), amount="x", impute=True)
    with pytest.raises(DataError, match='column "x" is not a finite number in line 3'):
        read(write(column("x", 1, "inf")), impute=True)
    with pytest.raises(DataError, match='column "x" is not a number in line 3'):
        read(write(column("x", 1, "some")), impute=True)


def test_gaps_of_parquet_are_read_too(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [None, 2], "z": [1.5, float("nan")], "y": [0, 1]}), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet", impute=True).transactions
    np.testing.assert_array_equal(table.numeric["x"], [np.nan, 2])
    np.testing.assert_array_equal(table.numeric["z"], [1.5, np.nan])


def test_a_gap_is_the_mean_of_the_training_rows_and_changes_no_scale(write: Write) -> None:
    """Mean and deviation are those of the values that there are; test rows have no say."""
    rng = np.random.default_rng(5)
    values = rng.normal(100, 7, size=2_000)
    gaps = rng.random(2_000) < 0.4
    path = write(column("x", *("" if gap else repr(value) for value, gap in zip(values.tolist(), gaps, strict=True))))
    table, key = read(path, impute=True).transactions, FederationKey.generate()
    raw = extract(table, key)
    total = moments(raw.before(1_000).numeric)
    scale = Standardization.from_moments(total)
    known = values[:1_000][~gaps[:1_000]]
    assert scale.mean[0] == pytest.approx(known.mean())
    assert scale.std[0] == pytest.approx(known.std())
    features = encode(raw, FeatureSchema.create(table.schema, scale, key)).features[:, 0]
    assert (features[gaps] == 0).all()
    np.testing.assert_allclose(features[~gaps], (values[~gaps] - known.mean()) / known.std(), rtol=1e-5, atol=1e-5)
    assert FeatureSchema.from_dict(FeatureSchema.create(table.schema, scale, key).to_dict()).source.impute


def test_without_gaps_imputing_changes_nothing(write: Write) -> None:
    path = write(column("x", 1, 2, 3))
    plain, filled = (extract(read(path, impute=on).transactions, FederationKey(b"k" * 32)) for on in (False, True))
    np.testing.assert_array_equal(plain.numeric, filled.numeric)
    assert moments(plain.numeric).as_vector().tolist() == moments(filled.numeric).as_vector().tolist()


def test_a_gap_is_in_no_bin_of_a_private_histogram() -> None:
    counts = magnitudes(np.array([[1.5, np.nan], [np.nan, np.nan], [-3.0, 0.0]]))
    assert counts.sum(axis=1).tolist() == [2, 1]
    np.testing.assert_array_equal(counts[0], magnitudes(np.array([[1.5], [-3.0]]))[0])


def test_a_gap_is_the_mean_even_of_a_column_that_does_not_vary() -> None:
    raw = np.array([[np.nan], [5.0]])
    assert standardize(raw, Standardization((5.0,), (0.0,))).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("large", [1e300, 1e160, 1e14])
def test_a_column_whose_sums_overflow_is_named(large: float) -> None:
    raw = np.array([[1.0, large, 2.0]] * 3)
    with pytest.raises(DataError, match='column "b" holds numbers too large to add up; rescale it'):
        moments(raw, ("a", "b", "c"), largest=2.0**89)
    if large > 1e154:
        with pytest.raises(DataError, match="a numeric column holds numbers too large"):
            moments(raw)


# Labels


def test_labels_in_words_need_the_word_for_fraud(write: Write, assert_discreet: Check) -> None:
    path = write("x,Is Fraud?\n1,No\n2, Yes\n3,No\n")
    with pytest.raises(DataError, match=r'"Is Fraud." is not 0 or 1 in line 2 of .*--positive-label') as caught:
        read(path, label="Is Fraud?")
    assert_discreet(caught.value)
    table = read(path, label="Is Fraud?", positive_label="Yes").transactions
    assert table.fraud.tolist() == [False, True, False]
    again = load_table_as(path, Schema.from_dict(table.schema.to_dict()))
    assert again.fraud.tolist() == [False, True, False]


@pytest.mark.parametrize(("odd", "line"), [("Maybe", 4), ("", 4), ("yes", 4)])
def test_a_third_label_is_refused(write: Write, odd: str, line: int) -> None:
    path = write(f"x,y\n1,No\n2,Yes\n3,{odd}\n4,No\n")
    with pytest.raises(DataError, match=f"neither the positive label nor like the other labels in line {line} of"):
        read(path, positive_label="Yes")


def test_a_label_of_parquet_may_be_any_number(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1, 2], "y": [1, 2]}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", positive_label="2").transactions.fraud.tolist() == [False, True]


# Forms of files


@pytest.mark.parametrize(("mark", "name"), [(";", "t.csv"), ("\t", "t.csv"), ("\t", "t.tsv"), (",", "T.CSV")])
@pytest.mark.parametrize("packed", [False, True])
def test_separators_and_packed_files_are_understood(write: Write, mark: str, name: str, packed: bool) -> None:
    content = f'"a; b, c"{mark}x{mark}y\n"1,5;2"{mark}2{mark}0\nk{mark}3{mark}1\n'.encode()
    path = write(gzip.compress(content) if packed else content, f"{name}.gz" if packed else name)
    table = read(path).transactions
    assert table.text["a; b, c"].tolist() == ["1,5;2", "k"]
    assert table.numeric["x"].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_counted_in_every_form(write: Write, mark: str, packed: bool) -> None:
    for content, line in ((f"x{mark}y\n1{mark}0\n\nz{mark}1\n", 4), (f"x{mark}y\n1{mark}0\n1{mark}0{mark}0\n", 3)):
        path = write(gzip.compress(content.encode()) if packed else content, "t.csv.gz" if packed else "t.csv")
        with pytest.raises(DataError, match=f"line {line} of"):
            read(path)


def test_a_broken_gzip_is_refused(write: Write, assert_discreet: Check) -> None:
    whole = gzip.compress(("x,y\n" + "".join(f"{n * 7919 % 8675309},{n % 2}\n" for n in range(20_000))).encode())
    for content in (whole[: len(whole) // 2], b"8675309", whole[:100] + b"\0" * 200 + whole[300:]):
        with pytest.raises(DataError, match="cannot be read") as caught:
            read(write(content, "t.csv.gz"))
        assert_discreet(caught.value)


def parts(folder: Path, **columns: list[Any]) -> Path:
    folder.mkdir(exist_ok=True)
    number = len(list(folder.glob("*.parquet")))
    pq.write_table(pa.table(columns), folder / f"part-{number:03}.parquet")
    return folder


def test_a_folder_of_parts_is_one_table(tmp_path: Path) -> None:
    folder = parts(tmp_path / "rows", x=[1, 2], y=[0, 1])
    parts(folder, y=[1], x=[3])
    (folder / "_SUCCESS").touch()
    (folder / ".part-000.parquet.crc").touch()
    assert read(folder).transactions.numeric["x"].tolist() == [1, 2, 3]
    parts(folder, x=[4.5, None], y=[0, 0])
    with pytest.raises(DataError, match=r"not a finite number in row 2 of part-002\.parquet of"):
        read(folder)


def test_parts_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    with pytest.raises(DataError, match=r"without \.parquet files"):
        read(tmp_path / "rows")
    folder = parts(tmp_path / "rows", x=[1], y=[0])
    with pytest.raises(DataError, match=r"part-001\.parquet has other columns than part-000\.parquet"):
        read(parts(folder, z=[1], y=[0]))
    (folder / "part-001.parquet").unlink()
    with pytest.raises(DataError, match="columns of different types"):
        read(parts(folder, x=["a"], y=[0]))


# Which columns were used, and how


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_an_index_is_no_feature(write: Write, name: str) -> None:
    got = read(write(f"{name},x,y\n0,5,0\n1,6,1\n7,6,1\n"))
    assert got.transactions.schema.numeric == ("x",)
    assert got.ignored == (name or "(no name)",)


def test_a_column_called_unnamed_that_repeats_is_a_feature(write: Write) -> None:
    assert read(write("Unnamed: 0,y\n5,0\n5,1\n")).transactions.schema.numeric == ("Unnamed: 0",)


def test_each_column_says_what_it_is_used_as(write: Write) -> None:
    path = write("i,t,sum,kind,card,x,odd,fraud_pattern,y\n0,1,2,a,c,1,,0,0\n1,2,2,a,c,2,,3,1\n")
    got = read(path, time="t", amount="sum", identifiers=["card"], time_unit="hours")
    assert got.used == {
        "y": "label",
        "t": "time in hours",
        "sum": "amount",
        "i": "number",
        "x": "number",
        "kind": "category",
        "card": "identifier, pseudonymized",
        "fraud_pattern": "kind of fraud, no feature",
    }
    assert got.ignored == ("odd",)
    declared = read(path, numeric=["x"], impute=True)
    assert declared.used == {
        "y": "label",
        "x": "number, gaps filled with the mean",
        "fraud_pattern": "kind of fraud, no feature",
    }
    assert declared.ignored == ("i", "t", "sum", "kind", "card", "odd")


def rows(times: np.ndarray[Any, Any], **columns: Any) -> str:
    names = ["t", *columns, "y"]
    cells = zip(times.tolist(), *columns.values(), (np.arange(len(times)) % 2).tolist(), strict=True)
    return ",".join(names) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in cells)


def test_an_implausible_span_is_warned_of(write: Write) -> None:
    hours = write(rows(np.arange(743.0)))
    (warning,) = read(hours, time="t").warnings
    assert warning.startswith('all 743 transactions lie within 742 seconds; check column "t", and --time-unit')
    assert read(hours, time="t", time_unit="hours").warnings == ()
    (warning,) = read(write(rows(np.arange(743.0) * 1e10)), time="t").warnings
    assert "years" in warning
    assert warnings_about(read(write(rows(np.arange(99.0))), time="t").transactions) == ()


def test_implausible_types_are_warned_of(write: Write) -> None:
    n = 300
    path = write(
        rows(
            np.arange(n) * 1e4,
            cc_num=[4_000_000_000_000_000 + i % 7 for i in range(n)],
            trans_num=[f"{i:x}a" for i in range(n)],
            dob=[f"19{50 + i % 40}-01-01" for i in range(n)],
            city=[f"c{i % 9}" for i in range(n)],
        )
    )
    warnings = read(path, time="t").warnings
    assert [warning.split('"')[1] for warning in warnings] == ["cc_num", "trans_num"]
    assert all("--identifiers" in warning for warning in warnings)
    assert read(path, time="t", categorical=["city"], identifiers=["cc_num"]).warnings == ()
