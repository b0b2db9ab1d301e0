"""Any CSV or Parquet file with declared columns -> Transactions.

Rules:
- The file is read strictly: every value of a numeric column is a finite number, every label is 0 or 1. What does
  not fit is reported by line and column, never by its value, and nothing is dropped or repaired on the way.
- If neither numeric nor categorical columns are declared, they are inferred from the columns that are left: a
  column whose first value reads as a number is numeric, any other is categorical. Numbers that cannot be read are
  refused, and left out are columns without a value and the numbers of rows that pandas writes.
- What was used, how, and what was not, comes with the table: nobody should have to guess.
- A column called `fraud_pattern` holds the kind of fraud (0 = honest, 1.. = pattern) and is never a feature.
- CSV is UTF-8 with commas, semicolons or tabs, with or without a byte order mark, quoted as in RFC 4180. Time is in
  seconds or another unit, or in timestamps (ISO 8601 in CSV, or a declared format), which become seconds since
  1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import columns
from secure_fl.data.plausibility import warnings_about
from secure_fl.data.sources import Source, read_source, stream_source
from secure_fl.data.transactions import Schema, TimeUnit, Transactions, plain_patterns, quoted
from secure_fl.errors import ConfigurationError, DataError

PATTERN_COLUMN = "fraud_pattern"
"""Reserved name of the column with the kind of fraud."""
NO_LABEL = "(no label)"
"""Stands for the label in the schema of a table that has none."""
NO_NAME = "(no name)"
"""Stands for a column without a name, which holds the numbers of rows."""
INDEX_NAMES = ("Unnamed: 0", "__index_level_0__")
"""What pandas calls an index that it wrote or read as a column."""


@dataclass(frozen=True)
class Declaration:
    """The columns that a person named, and how to read them."""

    label: str | None
    """None: rows to be scored."""
    time: str | None = None
    amount: str | None = None
    identifiers: Sequence[str] = ()
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    pattern: str | None = None
    """Column with 0 for honest rows and the number of the fraud pattern otherwise."""
    time_unit: TimeUnit = "seconds"
    """Of a time that is a number."""
    time_format: str | None = None
    """Of a time that is a text, as strptime has it; None: ISO 8601."""
    positive_label: str | None = None
    """What stands for fraud in the label column; None: 1 or true."""
    impute: bool = False
    """Whether further numeric columns may have gaps."""


@dataclass(frozen=True)
class ReadTable:
    """A table, and what became of each column of its file."""

    transactions: Transactions
    used: Mapping[str, str]
    """Column -> what it is used as."""
    ignored: tuple[str, ...]
    warnings: tuple[str, ...]
    """What a person should look at before believing a result."""


def read_table(path: Path, declared: Declaration, rows: NDArray[np.int64] | None = None) -> ReadTable:
    """The rows of a file, in its order, and how each column was read.

    `rows`: the places (from 0) of those that are read, as if there were no others; None: all.
    Raises DataError if the file cannot be read or does not fit, ConfigurationError if the declaration contradicts
    itself.
    """
    source = read_source(path)
    source = source if rows is None else source.only(rows)
    pattern = declared.pattern
    named = {declared.label, declared.time, declared.amount}
    named |= {*declared.identifiers, *declared.categorical, *declared.numeric}
    if pattern is None and PATTERN_COLUMN in source.names and PATTERN_COLUMN not in named:
        pattern = PATTERN_COLUMN
    schema = infer(source, replace(declared, pattern=pattern))
    transactions = build(source, schema, labelled=declared.label is not None, pattern=pattern)
    used = uses(schema, labelled=declared.label is not None) | (
        {pattern: "kind of fraud, no feature"} if pattern else {}
    )
    ignored = tuple(name or NO_NAME for name in source.table.column_names if name not in used)
    return ReadTable(transactions, used, ignored, warnings_about(transactions))


def uses(schema: Schema, *, labelled: bool = True) -> dict[str, str]:
    """Column -> what it is used as, for people to check."""
    time = "time, a timestamp" if schema.calendar else f"time in {schema.time_unit}"
    number = "number, gaps filled with the mean" if schema.impute else "number"
    found = {schema.label: "label"} if labelled else {}
    found |= {schema.time: time} if schema.time is not None else {}
    found |= {schema.amount: "amount"} if schema.amount is not None else {}
    found |= dict.fromkeys(schema.numeric, number) | dict.fromkeys(schema.categorical, "category")
    return found | dict.fromkeys(schema.identifiers, "identifier, pseudonymized")


def load_table_as(path: Path, schema: Schema, *, labelled: bool = True) -> Transactions:
    """The rows of a file with exactly the columns of `schema`, for instance a model's; other columns are ignored.

    `labelled=False` reads rows to be scored; the label column may then be missing. Raises as `read_table` does.
    """
    return _as(read_source(path), schema, labelled)


def stream_table_as(path: Path, schema: Schema, rows: int, *, labelled: bool = True) -> Iterator[Transactions]:
    """The same in pieces of so many rows, one in memory at a time."""
    other: str | None = None
    for source in stream_source(path, rows):
        yield _as(source, schema, labelled, other)
        if labelled and schema.positive_label is not None:
            other = other or columns.other_label(source, schema)


def _as(source: Source, schema: Schema, labelled: bool, other: str | None = None) -> Transactions:
    pattern = PATTERN_COLUMN if labelled and PATTERN_COLUMN in source.names else None
    _require(source, (*schema.numbers, *schema.texts, *((schema.label,) if labelled else ())))
    return build(source, schema, labelled=labelled, pattern=pattern, other=other)


def infer(source: Source, declared: Declaration) -> Schema:
    """The schema: what was declared, and the columns that are left if no feature columns were declared."""
    single = [name for name in (declared.label, declared.time, declared.amount) if name is not None]
    features = (*declared.identifiers, *declared.categorical, *declared.numeric)
    marks = (declared.pattern,) if declared.pattern is not None else ()
    _require(source, (*single, *features, *marks))
    if set(marks) & {*single, *features}:
        raise ConfigurationError(f"column {quoted(marks)} holds fraud patterns and nothing else; declare it once")
    dated = declared.time is not None and (
        declared.time_format is not None or columns.timestamp_type(source.column(declared.time)) is not None
    )
    schema = Schema(
        label=declared.label or NO_LABEL,
        time=declared.time,
        amount=declared.amount,
        numeric=tuple(declared.numeric),
        categorical=tuple(declared.categorical),
        identifiers=tuple(declared.identifiers),
        calendar=dated,
        time_unit=declared.time_unit,
        time_format=declared.time_format,
        positive_label=declared.positive_label,
        impute=declared.impute,
    )
    if declared.numeric or declared.categorical:
        return schema
    rest = [name for name in source.names if name not in {*single, *features, *marks}]
    index = {name for name in rest if name in INDEX_NAMES and columns.is_row_number(source.column(name))}
    kinds = {name: columns.infer_kind(source, name) for name in rest if name not in index}
    return replace(
        schema,
        numeric=tuple(name for name, kind in kinds.items() if kind == "number"),
        categorical=tuple(name for name, kind in kinds.items() if kind == "text"),
    )


def _require(source: Source, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in source.names]
    if missing:
        raise DataError(
            f"{source.path} has no column {quoted(missing)}; declare columns that it has: {quoted(source.names)}"
        )


def build(
    source: Source, schema: Schema, *, labelled: bool, pattern: str | None, other: str | None = None
) -> Transactions:
    """The rows of a source with the columns of `schema`. Raises DataError where one does not fit.

    `other`: what earlier pieces of the file have beside the positive label.
    """
    rows = source.rows
    numeric = {
        name: columns.numbers(source, name, impute=schema.impute and name in schema.numeric)
        for name in schema.numbers
        if name != schema.time
    }
    if schema.time is not None:
        numeric[schema.time] = columns.seconds(source, schema.time, schema)
    fraud = columns.labels(source, schema, other) if labelled else np.zeros(rows, dtype=np.bool_)
    return Transactions(
        schema=schema,
        numeric=numeric,
        text={name: columns.texts(source, name) for name in schema.texts},
        fraud=fraud,
        pattern=columns.patterns(source, pattern, fraud) if labelled and pattern else plain_patterns(fraud),
        when=numeric[schema.time] if schema.time is not None else np.arange(rows, dtype=np.float64),
        labelled=labelled,
    )
