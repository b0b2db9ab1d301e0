"""One column of a file -> numbers, seconds, labels or texts, as its schema says.

Rules: what does not fit is reported by line and column, never by its value, and nothing is guessed: a number with a
comma may be 12.5 or 1,250, a date with slashes may begin with the day or the month. The error says how to declare it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from secure_fl.data.sources import Source
from secure_fl.data.transactions import MAX_PATTERN, UNITS, Schema, quoted
from secure_fl.errors import ConfigurationError, DataError

_TRUTH = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}
_GAPS = pa.array(["", "na", "n/a", "nan", "null", "none"])
"""Texts that stand for a missing number, in small letters."""
_CURRENCY = r"^([-+]?)\s*[$€£¥]\s*"
_FINE = r"(\.[0-9]{6})[0-9]+"
"""A fraction of a second beyond microseconds."""
_NUMBER_LIKE = r"^[-+]?\s*[$€£¥]?\s*[0-9][0-9.,' ]*\s*[%$€£¥]?$"
_ADDRESS = r"^[0-9]+(\.[0-9]+){2,}$"
"""Numbers with dots between them, such as network addresses and versions, are names."""
_CORRECT = "correct or remove that line, or declare the column differently"


def numbers(source: Source, name: str, *, impute: bool = False) -> NDArray[np.float64]:
    """float64 [n]; with `impute`, NaN where a value is missing. Raises DataError at the first that is no number."""
    column = _plain(source.column(name))
    if pa.types.is_string(column.type) and impute:
        column = pc.if_else(_is_gap(column), pa.scalar(None, pa.string()), column)
    values = _cast(column, pa.float64())
    if values is None:
        row = _first_unfit(column, pa.float64())
        raise unfit(source, name, row, "is not a number", _advice(column, row))
    missing = np.asarray(pc.is_null(column)) if impute else np.zeros(len(values), dtype=np.bool_)
    if impute and not pa.types.is_string(column.type):
        missing |= np.isnan(values)
    bad = np.flatnonzero(~np.isfinite(values) & ~missing)
    if bad.size:
        raise unfit(source, name, int(bad[0]), "is not a finite number", _advice(column, int(bad[0])))
    return values


def unfit(source: Source, name: str, row: int, what: str, advice: str = _CORRECT) -> DataError:
    """The error for a value, by its place."""
    return DataError(f"column {quoted([name])} {what} in {source.place(row)} of {source.path}; {advice}")


def _advice(column: pa.ChunkedArray, row: int) -> str:
    """What to do about a value that is no number."""
    value = column.slice(row, 1)
    if pc.is_null(value)[0].as_py() or (pa.types.is_string(column.type) and _is_gap(value)[0].as_py()):
        return f"fill it, or run with --impute if other numbers than time and amount are missing ({_CORRECT})"
    if pa.types.is_string(column.type) and pc.match_substring_regex(value, _NUMBER_LIKE)[0].as_py():
        return "write numbers like 1234.5, with a decimal point and nothing between thousands or behind them"
    return _CORRECT


def seconds(source: Source, name: str, schema: Schema) -> NDArray[np.float64]:
    """float64 [n], seconds: numbers in the schema's unit, timestamps since 1970-01-01 UTC."""
    column, leading = source.column(name), source.leading(name)
    if schema.time_format is not None:
        return _formatted(source, name, column, schema.time_format)
    kind = timestamp_type(leading)
    if kind is not None:
        if schema.time_unit != "seconds":
            raise ConfigurationError(
                f"column {quoted([name])} holds timestamps, which need no unit; leave out time_unit"
            )
        return _stamps(source, name, column, kind)
    if pa.types.is_string(column.type) and not reads_as_number(leading):
        raise unfit(source, name, 0, "is neither a number nor an ISO 8601 timestamp (2024-12-31 23:59:59)", _FORMAT)
    values = numbers(source, name)
    form = _date_form(values) if source.first is None else None  # a few seconds of a later piece may look like dates
    if form is not None:
        raise DataError(
            f"column {quoted([name])} of {source.path} holds dates written as numbers; add --time-format {form}"
        )
    return values * UNITS[schema.time_unit]


def _stamps(source: Source, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> NDArray[np.float64]:
    if pa.types.is_string(column.type):
        column = pc.replace_substring_regex(column, _FINE, r"\1")
    stamps = _try_cast(column, kind)
    if stamps is None:
        raise unfit(source, name, _first_unfit(column, kind), "is not a timestamp like those before")
    missing = np.flatnonzero(np.asarray(pc.is_null(stamps)))
    if missing.size:
        raise unfit(source, name, int(missing[0]), "is empty")
    return _since_1970(stamps)


def _formatted(source: Source, name: str, column: pa.ChunkedArray, form: str) -> NDArray[np.float64]:
    texts = _try_cast(column, pa.string())
    stamps = None if texts is None else pc.strptime(pc.utf8_trim_whitespace(texts), form, "us", error_is_null=True)
    bad = np.zeros(1, dtype=np.int64) if stamps is None else np.flatnonzero(np.asarray(pc.is_null(stamps)))
    if bad.size:
        raise unfit(
            source, name, int(bad[0]), "is not written as the time format says", "correct the line or the format"
        )
    return _since_1970(stamps)


def _since_1970(stamps: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(stamps.cast(pa.int64()).to_numpy(), dtype=np.float64) / 1e6


_FORMAT = "say how it is written, for instance --time-format '%d/%m/%Y %H:%M:%S', or rewrite it"


def _date_form(values: NDArray[np.float64]) -> str | None:
    """The format of dates that somebody wrote as numbers, such as 20241231; None if these are other numbers."""
    for form, below in (("%Y%m%d", 1.0), ("%Y%m%d%H%M%S", 1e6)):
        days = np.floor(values / below)
        month, day = days // 100 % 100, days % 100
        dates = (days >= 19_000_101) & (days < 21_010_101) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        if bool(np.all(dates & (values == np.floor(values)))):
            return form
    return None


def timestamp_type(column: pa.ChunkedArray) -> pa.DataType | None:
    """The type of timestamp, with or without a zone, that the first value has; None if it is none."""
    if pa.types.is_timestamp(column.type):
        return pa.timestamp("us", column.type.tz)
    if pa.types.is_date(column.type):
        return pa.timestamp("us")
    if not pa.types.is_string(column.type) or reads_as_number(column):
        return None
    kinds = (pa.timestamp("us"), pa.timestamp("us", "UTC"))
    first = pc.replace_substring_regex(_first_value(column), _FINE, r"\1")
    return next((kind for kind in kinds if _try_cast(first, kind) is not None), None)


def labels(source: Source, schema: Schema, other: str | None = None) -> NDArray[np.bool_]:
    """Labels, bool [n]. Raises DataError at the first that is not 0, 1, true or false, or a third text.

    `other`: what earlier pieces of the file have beside the positive label.
    """
    name, column = schema.label, source.column(schema.label)
    if schema.positive_label is not None:
        return _named_labels(source, schema, other)
    values: NDArray[np.float64] | None
    if pa.types.is_string(column.type):
        truths = [_TRUTH.get(value.strip().lower(), np.nan) for value in column.to_pylist()]
        values = np.array(truths, dtype=np.float64)
    else:
        values = _cast(column, pa.float64())
    if values is None:
        raise unfit(source, name, 0, "is not 0 or 1", _POSITIVE)
    bad = np.flatnonzero((values != 0.0) & (values != 1.0))
    if bad.size:
        raise unfit(source, name, int(bad[0]), "is not 0 or 1", _POSITIVE)
    fraud: NDArray[np.bool_] = values == 1.0
    return fraud


_POSITIVE = "correct or remove that line, or say what stands for fraud with --positive-label"


def _named_labels(source: Source, schema: Schema, other: str | None) -> NDArray[np.bool_]:
    words = _label_words(source, schema)
    fraud: NDArray[np.bool_] = words == schema.positive_label
    other = other or other_label(source, schema)
    third = np.flatnonzero(~fraud & ((words == "") | (words != other)))
    if third.size:
        what = "is neither the positive label nor like the other labels"
        raise unfit(source, schema.label, int(third[0]), what)
    return fraud


def other_label(source: Source, schema: Schema) -> str | None:
    """The first text that labels have beside the positive one; None where there is none."""
    words = _label_words(source, schema)
    others = words[words != schema.positive_label]
    return str(others[0]) if others.size else None


def _label_words(source: Source, schema: Schema) -> NDArray[np.object_]:
    texts = _try_cast(source.column(schema.label), pa.string())
    if texts is None:
        raise unfit(source, schema.label, 0, "cannot be read as text")
    return np.array(pc.fill_null(pc.utf8_trim_whitespace(texts), "").to_pylist(), dtype=np.object_)


def patterns(source: Source, name: str, fraud: NDArray[np.bool_]) -> NDArray[np.int8]:
    """int8 [n]: 0 for honest rows, 1.. for fraud."""
    values = numbers(source, name)
    whole = (values == np.floor(values)) & (values >= 0.0) & (values <= MAX_PATTERN)
    bad = np.flatnonzero(~whole | ((values > 0.0) != fraud))
    if bad.size:
        raise unfit(source, name, int(bad[0]), f"is not 0 for honest and 1..{MAX_PATTERN} for fraud")
    return values.astype(np.int8)


def texts(source: Source, name: str) -> NDArray[np.object_]:
    """Texts, str objects [n], one object for all rows with the same text; a missing text is ""."""
    column = source.column(name)
    texts = column if pa.types.is_string(column.type) else _try_cast(column, pa.string())
    if texts is None:
        raise DataError(
            f"column {quoted([name])} of {source.path} cannot be read as text; store it as text, or leave it out"
        )
    found = pc.fill_null(texts, "").combine_chunks().dictionary_encode()
    words = np.empty(len(found.dictionary), dtype=np.object_)
    words[:] = found.dictionary.to_pylist()
    spread: NDArray[np.object_] = words[found.indices.to_numpy(zero_copy_only=False)]
    return spread


def infer_kind(source: Source, name: str) -> str:
    """How a column is used if nobody says: "number", "text", or "nothing" where it has no value.

    Raises DataError where the column looks like numbers that cannot be read: a category of them would mean nothing.
    """
    column = _plain(source.column(name))
    if pa.types.is_null(column.type) or not len(_first_value(column)):
        return "nothing"
    if reads_as_number(column):
        return "number"
    if not pa.types.is_string(column.type):
        return "text"
    _require_no_numbers(source, name, column)
    return "text"


def _require_no_numbers(source: Source, name: str, column: pa.ChunkedArray) -> None:
    given = pc.invert(_is_gap(column))
    like = pc.and_(
        pc.match_substring_regex(column, _NUMBER_LIKE), pc.invert(pc.match_substring_regex(column, _ADDRESS))
    )
    first = int(np.flatnonzero(np.asarray(given))[0])
    count, numeric = pc.sum(given).as_py(), pc.sum(pc.and_(given, like)).as_py()
    advice = "write numbers like 1234.5 in every line; if they name something, declare --categorical or --identifiers"
    if like[first].as_py():
        raise unfit(source, name, first, "holds numbers that cannot be read, the first", advice)
    if count >= _MANY and numeric >= _MOSTLY * count:
        raise unfit(source, name, first, "holds numbers, but a text", advice)


_MANY, _MOSTLY = 10, 0.9


def reads_as_number(column: pa.ChunkedArray) -> bool:
    """Whether the first value that there is reads as a number, or the type of the column is one."""
    kind = column.type
    if pa.types.is_string(kind):
        first = _plain(_first_value(column))
        return len(first) == 1 and _try_cast(first, pa.float64()) is not None
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def is_row_number(column: pa.ChunkedArray) -> bool:
    """Whether the values are distinct whole numbers, as those of an index are."""
    whole = _try_cast(_plain(column), pa.int64())
    return whole is not None and whole.null_count == 0 and pc.count_distinct(whole).as_py() == len(whole)


def _first_value(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The first value that is not missing, as a column of one row; of none if there is no such value."""
    if not pa.types.is_string(column.type):
        return column.drop_null().slice(0, 1)
    texts = pc.utf8_trim_whitespace(column)
    return pc.filter(texts, pc.invert(_is_gap(texts))).slice(0, 1)


def _is_gap(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether each text stands for a missing number."""
    return pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(texts, ""))), value_set=_GAPS)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without blanks around them and without a sign of currency in front of a number; others as they are."""
    if not pa.types.is_string(column.type):
        return column
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(column), _CURRENCY, r"\1")


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


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> NDArray[np.float64] | None:
    """float64 [n], NaN where a value is missing; None if a value does not fit the type."""
    cast = _try_cast(column, kind)
    return None if cast is None else np.asarray(cast.cast(pa.float64()).fill_null(float("nan")), dtype=np.float64)


def _try_cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """The cast column, or None. Arrow's own error is swallowed here, because it quotes the value.

    Nanoseconds are cut to microseconds, whole numbers beyond 2**53 rounded to float64.
    """
    rounds = pa.types.is_timestamp(column.type) or (pa.types.is_integer(column.type) and pa.types.is_floating(kind))
    try:
        text = pa.types.is_string(column.type)
        return pc.cast(pc.utf8_trim_whitespace(column) if text else column, kind, safe=not rounds)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
