"""Opening a CSV or Parquet file, or a folder of Parquet parts: columns by name, and where in the file a row stands.

Rules: CSV columns are read as text, so that every doubt about a value is ours to report; Arrow's errors quote the
offending line and are therefore never passed on. The slow, exact search for a line number runs only when there is
something to report. Arrow is given names of files and no Python objects (callbacks, open files): its threads let go of
them after the reader has returned, and where Python is about to end by then, the process aborts.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from secure_fl.data.transactions import quoted
from secure_fl.errors import DataError


@dataclass(frozen=True, repr=False, eq=False)
class Source:
    """An opened table. `repr` and errors show counts and places only."""

    path: Path | str
    """Its file; or what it is called, where it is in memory."""
    table: pa.Table
    parts: tuple[tuple[str, int], ...] = ()
    """Name and number of rows of each part, where it is a folder of them."""
    before: int = 0
    """Rows of the file before these, where it is read in pieces."""
    first: pa.Table | None = None
    """The first row of the file, where these are later ones."""
    chosen: NDArray[np.int64] | None = None
    """Places of these rows among all, where the others were left out."""

    def __repr__(self) -> str:
        return f"Source({self.rows} rows, {len(self.names)} columns)"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    @property
    def names(self) -> list[str]:
        """Names of the columns, in the order of the file, without one that has none."""
        return [name for name in self.table.column_names if name]

    def column(self, name: str) -> pa.ChunkedArray:
        """One column; dictionary-encoded and large strings, and views of strings, as plain strings.

        Raises DataError where it is of a type that has no such form.
        """
        column = self.table.column(name)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        kind = pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind
        if not isinstance(kind, pa.BaseExtensionType):
            return pa.chunked_array([_plainly(chunk, kind) for chunk in column.chunks], kind)
        raise DataError(f"column {quoted([name])} of {self.path} cannot be read; store it as numbers or texts")

    def leading(self, name: str) -> pa.ChunkedArray:
        """One column from the beginning of the file on: how its first value is written is how all are."""
        return self.column(name) if self.first is None else replace(self, table=self.first, first=None).column(name)

    def only(self, rows: NDArray[np.int64]) -> Source:
        """These rows (from 0) of a source that is whole, as if there were no others."""
        return replace(self, table=self.table.take(pa.array(rows)), chosen=rows)

    def place(self, row: int) -> str:
        """Where a row (from 0) stands: "line N" of a CSV file, "row N" of a Parquet file, counted from 1."""
        row = int(self.chosen[row]) if self.chosen is not None else row + self.before
        for part, rows in self.parts:
            if row < rows:
                return f"row {row + 1} of {part}"
            row -= rows
        if isinstance(self.path, str) or not _is_csv(self.path):
            return f"row {row + 1}"
        for number, (line, _) in enumerate(_records(self.path)):
            if number == row + 1:
                return f"line {line}"
        return f"row {row + 1}"


def _plainly(chunk: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(chunk.type):
        return chunk.dictionary.cast(kind).take(chunk.indices)
    return chunk if chunk.type == kind else chunk.cast(kind)


def read_source(path: Path) -> Source:
    """Read a .csv, .tsv (also .gz) or .parquet file, or a folder of .parquet files in the order of their names.

    Raises DataError if it cannot be read, is empty or has ambiguous columns.
    """
    (source,) = _sound(Path(path), lambda known: iter([_open(known)]))
    return source


def stream_source(path: Path, rows: int) -> Iterator[Source]:
    """The same in pieces of so many rows, the last of fewer, one in memory at a time. Raises as `read_source` does.

    What is wrong with a later piece is found when it is its turn.
    """
    return _sound(Path(path), lambda known: _pieces(known, rows))


def _sound(path: Path, read: Callable[[Path], Iterator[Source]]) -> Iterator[Source]:
    if not path.is_dir() and not _is_csv(path) and path.suffix.lower() != ".parquet":
        raise DataError(f"{path} is neither .csv nor .parquet; convert it to one of them")
    failure = ""
    try:
        for source in read(path):
            yield _checked(path, source)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        failure = "broken gzip"
    except OSError as error:
        failure = error.strerror or "input/output error"
    if failure:
        raise DataError(f"{path} cannot be read ({failure}); check that it is whole, and its permissions")


def _checked(path: Path, source: Source) -> Source:
    twice = sorted({name for name in source.names if source.names.count(name) > 1})
    if twice:
        raise DataError(f"{path} has two columns called {quoted(twice)}; give every column a name of its own")
    if source.rows == 0:
        raise DataError(f"{path} holds no transactions; provide a file with at least one row below its header")
    return source


def _open(path: Path) -> Source:
    if path.is_dir():
        return _read_parts(path)
    if not path.is_file():
        raise DataError(f"there is no file {path}; check the name")
    return Source(path, _read_csv(path) if _is_csv(path) else _read_parquet(path))


def _pieces(path: Path, rows: int) -> Iterator[Source]:
    """A folder of parts, and a file that is empty or no table, are read as a whole, and cut."""
    if path.is_dir() or not path.is_file() or path.stat().st_size == 0:
        whole = _open(path)
        tables: Iterator[pa.Table] = (whole.table.slice(start, rows) for start in range(0, whole.rows, rows))
    else:
        whole = Source(path, pa.table({}))
        tables = _regrouped(_csv_batches(path) if _is_csv(path) else _parquet_batches(path, rows), rows)
    before, first = 0, None
    for table in tables:
        yield Source(whole.path, table, whole.parts, before, first)
        before += table.num_rows
        if first is None and before:
            first = table.take([0])  # a copy, so that no piece stays in memory


def _regrouped(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Tables of so many rows each, the last of fewer."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(pa.Table.from_batches([batch]))
        count += batch.num_rows
        while count > rows:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, rows).combine_chunks()
            waiting, count = [whole.slice(rows)], count - rows
    yield pa.concat_tables(waiting).combine_chunks()


def _is_csv(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def _read_parts(folder: Path) -> Source:
    """All .parquet files of a folder, as Spark and others write them."""
    parts = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".parquet" and p.name[0] not in "._")
    if not parts:
        raise DataError(f"there is no file {folder}, only a folder without .parquet files; check the name")
    tables = [_read_parquet(part) for part in parts]
    names = tables[0].column_names
    for part, table in zip(parts, tables, strict=True):
        if sorted(table.column_names) != sorted(names):
            raise DataError(f"{part} has other columns than {parts[0].name}; write all parts with the same ones")
    whole = None
    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        whole = pa.concat_tables([table.select(names) for table in tables], promote_options="permissive")
    if whole is None:
        raise DataError(f"the parts of {folder} have columns of different types; write all parts with the same ones")
    return Source(folder, whole, tuple((part.name, table.num_rows) for part, table in zip(parts, tables, strict=True)))


def _read_csv(path: Path) -> pa.Table:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; provide a file with a header and rows")
    names = _header(path)
    table = None
    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowKeyError):
        table = pacsv.read_csv(path, **_csv_options(path, names))
    if table is None:
        raise _malformed(path, len(names))
    if "" in table.column_names and not _distinct(_whole_numbers(path, table.column(""))):
        raise _nameless(path, 1)
    return table


def _csv_batches(path: Path) -> Iterator[pa.RecordBatch]:
    names = _header(path)
    nameless: list[pa.Array] = []  # 8 bytes a row: only all of them say whether that column numbers rows
    try:
        with pacsv.open_csv(path, **_csv_options(path, names)) as reader:
            yield pa.RecordBatch.from_pylist([], reader.schema)
            for batch in reader:
                nameless += [_whole_numbers(path, batch.column(""))] if "" in names else []
                yield batch
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        pass
    else:
        if nameless and not _distinct(pa.chunked_array(nameless)):
            raise _nameless(path, 1)
        return
    raise _malformed(path, len(names))


def _whole_numbers(path: Path, column: pa.Array) -> pa.Array:
    whole = None
    with contextlib.suppress(pa.ArrowInvalid):
        whole = column.cast(pa.int64())
    if whole is None:
        raise _nameless(path, 1)
    return whole


def _csv_options(path: Path, names: list[str]) -> dict[str, Any]:
    return {
        "parse_options": pacsv.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
        "convert_options": pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    }


def _distinct(numbers: pa.ChunkedArray) -> bool:
    """Whether whole numbers are an index that pandas wrote, for a column without a name."""
    return len(numbers.unique()) == len(numbers)


def _nameless(path: Path, line: int) -> DataError:
    return DataError(f"line {line} of {path} leaves a column without a name; give every column a name")


def _delimiter(path: Path) -> str:
    """Comma, semicolon or tab: whichever the first line has most of."""
    with _lines(path) as lines, contextlib.suppress(UnicodeDecodeError, csv.Error):
        first = next((line for line in lines if line.strip("\r\n")), "")
        return max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    return ","


def _lines(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _header(path: Path) -> list[str]:
    """Names of the columns of a CSV file. A first line with values instead of names is refused: errors show names."""
    for line, record in _records(path):
        if not all(name.strip() for name in record[1:]) or (record[0] and not record[0].strip()):
            raise _nameless(path, line)
        if any(reads_as_value(name) for name in record):
            raise DataError(f"line {line} of {path} holds values, not names; put a header with the names first")
        return record
    raise DataError(f"{path} is empty; provide a file with a header and rows")


def reads_as_value(name: str) -> bool:
    """Whether a supposed name is a number or a date."""
    for parse in (float, datetime.fromisoformat):
        with contextlib.suppress(ValueError):
            parse(name.strip())
            return True
    return False


def _malformed(path: Path, fields: int) -> DataError:
    """The error for the first line that does not have as many fields as the header."""
    for line, record in _records(path):
        if len(record) != fields:
            return DataError(
                f"line {line} of {path} has {len(record)} fields, the header has {fields}; correct or remove that line"
            )
    return DataError(f"{path} is not well-formed CSV; save it again as UTF-8, quoted as in RFC 4180")


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(number of the line on which it starts, fields) of each record, the header included; blank lines are skipped."""
    mark = _delimiter(path)
    with _lines(path) as file:
        reader = csv.reader(file, delimiter=mark)
        while True:
            line, failure = reader.line_num + 1, ""
            try:
                record = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError:
                failure = f"{path} is not UTF-8 text near line {_undecodable_line(path)}; save it as UTF-8"
            except csv.Error:
                failure = f"line {line} of {path} is not well-formed CSV; correct or remove that line"
            if failure:
                raise DataError(failure)
            if record:
                yield line, record


def _undecodable_line(path: Path) -> int:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _parquet_batches(path: Path, rows: int) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.names:
                raise pa.ArrowInvalid("no columns")
            yield pa.RecordBatch.from_pylist([], file.schema_arrow)
            for batch in file.iter_batches(rows):
                batch.validate(full=True)
                yield batch
    except (pa.ArrowException, UnicodeDecodeError):
        pass
    else:
        return
    raise DataError(f"{path} is not a readable Parquet file; write it again")


def _read_parquet(path: Path) -> pa.Table:
    with path.open("rb") as file:
        file.read(1)
    try:
        table = pq.read_table(path, partitioning=None)
        table.validate(full=True)
        readable = bool(table.column_names)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        readable = False
    if not readable:
        raise DataError(f"{path} is not a readable Parquet file; write it again")
    return table
