"""Any CSV or Parquet file with declared columns -> Transactions.

Rules:
- The file is read strictly: every value of a numeric column is a finite number, every label is 0 or 1. What does
  not fit is reported by line and column, never by its value, and nothing is dropped or repaired on the way.
- If neither numeric nor categorical columns are declared, they are inferred from the columns that are left: a
  column whose first value reads as a number is numeric, any other is categorical.
- A column called `fraud_pattern` holds the kind of fraud (0 = honest, 1.. = pattern) and is never a feature.
- CSV is comma-separated UTF-8, with or without a byte order mark, quoted as in RFC 4180. Time is in seconds, or in
  timestamps (ISO 8601 in CSV), which become seconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from secure_fl.data.sources import Source, read_source
from secure_fl.data.transactions import MAX_PATTERN, Schema, Transactions, plain_patterns, quoted
from secure_fl.errors import ConfigurationError, DataError

PATTERN_COLUMN = "fraud_pattern"
"""Reserved name of the column with the kind of fraud."""
NO_LABEL = "(no label)"
"""Stands for the label in the schema of a table that has none."""
_TRUTH = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}


@dataclass(frozen=True)
class _Declared:
    """The columns that the caller named."""

    label: str | None
    time: str | None
    amount: str | None
    identifiers: tuple[str, ...]
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    pattern: str | None


def load_table(
    path: Path,
    *,
    label: str | None,
    time: str | None = None,
    amount: str | None = None,
    identifiers: Sequence[str] = (),
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
    pattern: str | None = None,
) -> Transactions:
    """The rows of a .csv or .parquet file, in the order of the file.

    `label=None` reads rows to be scored: `fraud` is all False and `labelled` is False. `pattern` names a column
    with 0 for honest rows and the number of the fraud pattern otherwise (default: `fraud_pattern`, if present).
    Raises DataError if the file cannot be read or does not fit, ConfigurationError if the declaration
    contradicts itself.
    """
    source = read_source(path)
    named = {label, time, amount, *identifiers, *categorical, *numeric}
    if pattern is None and PATTERN_COLUMN in source.names and PATTERN_COLUMN not in named:
        pattern = PATTERN_COLUMN
    declared = _Declared(label, time, amount, tuple(identifiers), tuple(categorical), tuple(numeric), pattern)
    schema = _infer(source, declared)
    return _build(source, schema, labelled=label is not None, pattern=pattern)


def load_table_as(path: Path, schema: Schema, *, labelled: bool = True) -> Transactions:
    """The rows of a file with exactly the columns of `schema`, for instance a model's; other columns are ignored.

    `labelled=False` reads rows to be scored; the label column may then be missing. Raises as `load_table` does.
    """
    source = read_source(path)
    pattern = PATTERN_COLUMN if labelled and PATTERN_COLUMN in source.names else None
    _require(source, (*schema.numbers, *schema.texts, *((schema.label,) if labelled else ())))
    return _build(source, schema, labelled=labelled, pattern=pattern)


def _infer(source: Source, declared: _Declared) -> Schema:
    """The schema: what was declared, and the columns that are left if no feature columns were declared."""
    single = [name for name in (declared.label, declared.time, declared.amount) if name is not None]
    features = (*declared.identifiers, *declared.categorical, *declared.numeric)
    marks = (declared.pattern,) if declared.pattern is not None else ()
    _require(source, (*single, *features, *marks))
    if set(marks) & {*single, *features}:
        raise ConfigurationError(f"column {quoted(marks)} holds fraud patterns and nothing else; declare it once")
    schema = Schema(
        label=declared.label or NO_LABEL,
        time=declared.time,
        amount=declared.amount,
        numeric=declared.numeric,
        categorical=declared.categorical,
        identifiers=declared.identifiers,
        calendar=declared.time is not None and _timestamp_type(source.column(declared.time)) is not None,
    )
    if declared.numeric or declared.categorical:
        return schema
    rest = [name for name in source.names if name not in {*single, *features, *marks}]
    numeric = tuple(name for name in rest if _reads_as_number(source.column(name)))
    return replace(schema, numeric=numeric, categorical=tuple(name for name in rest if name not in numeric))


def _require(source: Source, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in source.names]
    if missing:
        raise DataError(
            f"{source.path} has no column {quoted(missing)}; declare columns that it has: {quoted(source.names)}"
        )


def _build(source: Source, schema: Schema, *, labelled: bool, pattern: str | None) -> Transactions:
    rows = source.rows
    numeric = {name: _numbers(source, name) for name in schema.numbers if name != schema.time}
    if schema.time is not None:
        numeric[schema.time] = _seconds(source, schema.time)
    fraud = _labels(source, schema.label) if labelled else np.zeros(rows, dtype=np.bool_)
    return Transactions(
        schema=schema,
        numeric=numeric,
        text={name: _texts(source, name) for name in schema.texts},
        fraud=fraud,
        pattern=_patterns(source, pattern, fraud) if labelled and pattern else plain_patterns(fraud),
        when=numeric[schema.time] if schema.time is not None else np.arange(rows, dtype=np.float64),
        labelled=labelled,
    )


def _numbers(source: Source, name: str) -> NDArray[np.float64]:
    """float64 [n]. Raises DataError at the first value that is not a finite number."""
    column = source.column(name)
    values = _cast(column, pa.float64())
    if values is None:
        raise _unfit(source, name, _first_unfit(column, pa.float64()), "is not a number")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise _unfit(source, name, int(bad[0]), "is not a finite number")
    return values


def _unfit(source: Source, name: str, row: int, what: str) -> DataError:
    return DataError(
        f"column {quoted([name])} {what} in {source.place(row)} of {source.path}; "
        "correct or remove that line, or declare the column differently"
    )


def _first_unfit(column: pa.ChunkedArray, kind: pa.DataType) -> int:
    """The first row that cannot be cast, in a column that has one; by bisection."""
    low, high = 0, len(column) - 1
    while low < high:
        middle = (low + high) // 2
        if _try_cast(column.slice(low, middle - low + 1), kind) is None:
            high = middle
        else:
            low = middle + 1
    return low


def _seconds(source: Source, name: str) -> NDArray[np.float64]:
    """float64 [n], seconds: numbers as they are, timestamps since 1970-01-01 UTC."""
    column = source.column(name)
    kind = _timestamp_type(column)
    if kind is None:
        return _numbers(source, name)
    stamps = _try_cast(column, kind)
    if stamps is None:
        raise _unfit(source, name, _first_unfit(column, kind), "is not a timestamp like those before")
    missing = np.flatnonzero(np.asarray(pc.is_null(stamps)))
    if missing.size:
        raise _unfit(source, name, int(missing[0]), "is empty")
    return np.asarray(stamps.cast(pa.int64()).to_numpy(), dtype=np.float64) / 1e6


def _timestamp_type(column: pa.ChunkedArray) -> pa.DataType | None:
    """The type of timestamp, with or without a zone, that the first value has; None if it is none."""
    if pa.types.is_timestamp(column.type):
        return pa.timestamp("us", column.type.tz)
    if pa.types.is_date(column.type):
        return pa.timestamp("us")
    if not pa.types.is_string(column.type) or _reads_as_number(column):
        return None
    kinds = (pa.timestamp("us"), pa.timestamp("us", "UTC"))
    return next((kind for kind in kinds if _try_cast(_first_value(column), kind) is not None), None)


def _labels(source: Source, name: str) -> NDArray[np.bool_]:
    """Labels, bool [n]. Raises DataError at the first label that is not 0, 1, true or false."""
    column = source.column(name)
    values: NDArray[np.float64] | None
    if pa.types.is_string(column.type):
        truths = [_TRUTH.get(value.strip().lower(), np.nan) for value in column.to_pylist()]
        values = np.array(truths, dtype=np.float64)
    else:
        values = _cast(column, pa.float64())
    if values is None:
        raise _unfit(source, name, 0, "is not 0 or 1")
    bad = np.flatnonzero((values != 0.0) & (values != 1.0))
    if bad.size:
        raise _unfit(source, name, int(bad[0]), "is not 0 or 1")
    fraud: NDArray[np.bool_] = values == 1.0
    return fraud


def _patterns(source: Source, name: str, fraud: NDArray[np.bool_]) -> NDArray[np.int8]:
    values = _numbers(source, name)
    whole = (values == np.floor(values)) & (values >= 0.0) & (values <= MAX_PATTERN)
    bad = np.flatnonzero(~whole | ((values > 0.0) != fraud))
    if bad.size:
        raise _unfit(source, name, int(bad[0]), f"is not 0 for honest and 1..{MAX_PATTERN} for fraud")
    return values.astype(np.int8)


def _texts(source: Source, name: str) -> NDArray[np.object_]:
    """Texts, str objects [n]; a missing text is ""."""
    column = source.column(name)
    texts = column if pa.types.is_string(column.type) else _try_cast(column, pa.string())
    if texts is None:
        raise DataError(
            f"column {quoted([name])} of {source.path} cannot be read as text; store it as text, or leave it out"
        )
    result = np.empty(source.rows, dtype=np.object_)
    result[:] = pc.fill_null(texts, "").to_pylist()
    return result


def _first_value(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The first text that is not empty, as a column of one row; of none if there is no such text."""
    texts = pc.utf8_trim_whitespace(column)
    return pc.filter(texts, pc.fill_null(pc.not_equal(texts, ""), False)).slice(0, 1)


def _reads_as_number(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if pa.types.is_string(kind):
        first = _first_value(column)
        return len(first) == 1 and _try_cast(first, pa.float64()) is not None
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> NDArray[np.float64] | None:
    """float64 [n], NaN where a value is missing; None if a value does not fit the type."""
    cast = _try_cast(column, kind)
    return None if cast is None else np.asarray(cast.cast(pa.float64()).fill_null(float("nan")), dtype=np.float64)


def _try_cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """The cast column, or None. Arrow's own error is swallowed here, because it quotes the value."""
    try:
        return pc.cast(pc.utf8_trim_whitespace(column) if pa.types.is_string(column.type) else column, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
