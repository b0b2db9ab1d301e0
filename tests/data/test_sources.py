"""Opening files: each way in which a file can be unusable, and the place that is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from secure_fl.data.sources import read_source
from secure_fl.errors import DataError

Write = Callable[..., Path]
Check = Callable[[BaseException], None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "holds no transactions"),
        ("CANARY,a\n1,2\n", "line 1 of .* holds values, not names"),
        ("C1,CANARY.50,0,0\nC2,20.5,1,0\n", "line 1 of .* holds values, not names"),
        ("C1,2024-01-01 10:00:00,card CANARY\n", "line 1 of .* holds values, not names"),
        (",a\nCANARY?,1\n", "line 1 of .* leaves a column without a name"),
        (",a\n7,CANARY\n7,1\n", "line 1 of .* leaves a column without a name"),
        ("a,\n0,CANARY\n", "line 1 of .* leaves a column without a name"),
        ("a,b,a\n1,2,CANARY\n", 'two columns called "a"'),
        ("a,b\n1,2\nCANARY,2,3\n", "line 3 of .* has 3 fields, the header has 2"),
        ("a,b\n1,2\n\n\nCANARY\n", "line 5 of .* has 1 fields"),
        ('a,b\n"x\ny",2\nCANARY\n', "line 4 of .* has 1 fields"),
        (b"a,b\n1,2\nCANARY,\xff\n", "not UTF-8 text near line 3"),
        ("a,b\nCANARY,2\n".encode("utf-16"), "not UTF-8"),
    ],
)
def test_a_malformed_csv_is_refused_with_its_line(
    write: Write, canary: str, assert_discreet: Check, content: str | bytes, message: str
) -> None:
    data = content.encode() if isinstance(content, str) else content
    path = write(data.replace(b"CANARY", canary.encode()))
    with pytest.raises(DataError, match=message) as caught:
        read_source(path)
    assert_discreet(caught.value)


def test_bytes_far_into_a_large_file_are_located(write: Write) -> None:
    path = write(b"a,b\n" + b"1,2\n" * 200_000 + b"\xff,2\n" + b"1,2\n" * 10)
    with pytest.raises(DataError, match="near line 200002"):
        read_source(path)


def test_a_wrong_line_far_into_a_large_file_is_located(write: Write) -> None:
    path = write(b"a,b\n" + b"1,2\n" * 400_000 + b"1,2,3\n" + b"1,2\n" * 10)
    with pytest.raises(DataError, match="line 400002 of"):
        read_source(path)


@pytest.mark.parametrize("name", ["table.txt", "table", "table.csv.zip"])
def test_another_suffix_is_refused(write: Write, name: str) -> None:
    with pytest.raises(DataError, match=r"neither \.csv nor \.parquet"):
        read_source(write("a,b\n1,2\n", name))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read_source(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="there is no file"):
        read_source(tmp_path / "folder.csv")


def test_a_file_that_cannot_be_opened_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch, assert_discreet: Check
) -> None:
    path = write("a,b\n1,2\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"cannot be read .Permission denied.") as caught:
        read_source(path)
    assert_discreet(caught.value)


def test_a_broken_parquet_file_is_refused(write: Write, canary: str, assert_discreet: Check) -> None:
    with pytest.raises(DataError, match="not a readable Parquet file") as caught:
        read_source(write(canary, "table.parquet"))
    assert_discreet(caught.value)


def test_the_byte_order_mark_is_no_part_of_the_first_name(write: Write) -> None:
    assert read_source(write(b"\xef\xbb\xbfa,b\n1,2\n")).names == ["a", "b"]


def test_places_count_lines_of_the_file(write: Write, tmp_path: Path) -> None:
    source = read_source(write('a,b\n1,2\n\n"x\ny",2\n3,4\n'))
    assert [source.place(row) for row in range(3)] == ["line 2", "line 4", "line 6"]
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "t.parquet")
    assert read_source(tmp_path / "t.parquet").place(1) == "row 2"


def test_repr_shows_counts_only(write: Write, canary: str) -> None:
    assert repr(read_source(write(f"a,b\n{canary},2\n"))) == "Source(1 rows, 2 columns)"


@pytest.mark.parametrize(
    ("header", "refused"),
    [("a, b", False), ("a, 2024-01-01", True), ("a, 7 ", True), ("a,b 7", False), ("a, ", True), ("a,nan", True)],
)
def test_values_in_the_header_are_told_from_names_whatever_blanks_are_around(
    write: Write, header: str, refused: bool
) -> None:
    path = write(f"{header}\n1,2\n")
    if refused:
        with pytest.raises(DataError, match="line 1 of"):
            read_source(path)
    else:
        assert len(read_source(path).names) == 2


def test_a_suffix_may_be_written_in_capitals(write: Write, tmp_path: Path) -> None:
    source = read_source(write("a,b\n1,2\n", "TABLE.CSV"))
    assert (source.rows, source.place(0)) == (1, "line 2")
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "T.PARQUET")
    assert read_source(tmp_path / "T.PARQUET").place(0) == "row 1"


def test_a_parquet_file_without_columns_or_rows_or_with_bad_text_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({}), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_source(tmp_path / "none.parquet")
    pq.write_table(pa.table({"a": pa.array([], pa.int8())}), tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="holds no transactions"):
        read_source(tmp_path / "empty.parquet")
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"], pa.binary()).buffers())
    pq.write_table(pa.table({"a": bad}), tmp_path / "bad.parquet")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_source(tmp_path / "bad.parquet")


def test_three_columns_of_one_name_are_named_once(write: Write) -> None:
    with pytest.raises(DataError, match='two columns called "a", "b";'):
        read_source(write("b,a,b,a,a,c\n1,2,3,4,5,6\n"))


def test_a_record_with_too_few_fields_is_located_like_one_with_too_many(write: Write) -> None:
    for content, message in (
        ("a,b\n1\n1,2,3\n", "line 2 of .* has 1 fields"),
        ("a,b\n1,2,3\n1\n", "line 2 of .* has 3"),
    ):
        with pytest.raises(DataError, match=message):
            read_source(write(content))


def test_arrow_is_given_no_python_object_to_let_go_of_later(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads release a callback or an open file at a time of their own: at the end of Python, that aborts."""
    seen = []
    read_csv = pacsv.read_csv

    def note(source: object, *, parse_options: pacsv.ParseOptions, **options: object) -> pa.Table:
        seen.append((source, parse_options.invalid_row_handler))
        return read_csv(source, parse_options=parse_options, **options)

    monkeypatch.setattr(pacsv, "read_csv", note)
    path = write("a,b\n1,2\n")
    read_source(path)
    assert seen == [(path, None)]
