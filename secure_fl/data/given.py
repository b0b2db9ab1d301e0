"""Rows that Python hands over, bank by bank: data frames, arrays and tensors -> Transactions.

    banks={"north": (X, y), "south": (X, y), "west": (X, y)}, test=(X, y)

X is a data frame (pandas, polars, pyarrow: whatever exports Arrow's stream), a mapping of columns, or an array or
tensor [n, ...] of numbers; y holds 0 for honest rows and 1 for fraud, or classes 0 .. k - 1. A data frame may hold its
labels itself, in the column that the settings declare.

Rules: what reads files reads this too (`columns`), so a value that does not fit is named by its row and column, and
never shown; nor may columns be called like values, as those of a file that was read without a header are (0, 1, 2 ...
may be). All banks have the columns of the first, in any order. An index of pandas is no column, nor is
`fraud_pattern`, unless it is declared; texts of numbers are numbers. Rows and labels belong together by their place.
Where every column is a number and none is declared as time or
amount, the table is *plain*: its columns are the model's inputs, as many as there are. Otherwise they go the way of
transactions (`features`): 128 features, with keyed pseudonyms of texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from secure_fl.data.features import dimension
from secure_fl.data.plausibility import warnings_about
from secure_fl.data.sources import Source, reads_as_value
from secure_fl.data.tables import INDEX_NAMES, NO_NAME, PATTERN_COLUMN, Declaration, build, infer, uses
from secure_fl.data.transactions import MAX_PATTERN, Schema, Transactions, concatenate, quoted
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.settings import Data

_LABEL, _CLASS = "(label)", "(class)"
"""Columns for labels that come beside a table."""


@dataclass(frozen=True, repr=False)
class Given:
    """Rows of each bank, and for the test."""

    banks: Mapping[str, Transactions]
    test: Transactions | Mapping[str, Transactions] | None
    """One table for all banks, one for each, or none: then the latest rows of the banks are cut off."""
    row_shape: tuple[int, ...] | None
    """Of one row, where it is an array with more than one axis."""
    classes: int
    used: Mapping[str, str]
    """Column -> what it is used as."""
    ignored: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        """Of all tables."""
        return next(iter(self.banks.values())).schema

    @property
    def inputs(self) -> tuple[int, ...]:
        """Shape of a row of features."""
        return self.row_shape or (dimension(self.schema),)

    def __repr__(self) -> str:
        return f"Given({', '.join(f'{name}: {len(table)} rows' for name, table in self.banks.items())})"


@dataclass(frozen=True)
class _Handed:
    """One table as it came."""

    source: Source
    columns: tuple[str, ...]
    """Names of all that it had, without an index."""
    row_shape: tuple[int, ...] | None
    labels: NDArray[np.int64] | None
    """[n]; None where a column of the table holds them."""


def read_given(settings: Data, banks: Mapping[str, Any], test: Any = None) -> Given:
    """The rows of all banks, as `settings` declares their columns. Raises `DataError`, `ConfigurationError`."""
    if not isinstance(banks, Mapping) or not banks:
        raise ConfigurationError('banks hand over a mapping from names to rows, such as {"north": (X, y), ...}')
    names = tuple(map(str, banks))
    if len({*names}) < len(names):
        raise ConfigurationError(f"two banks are called {max(names, key=names.count)!r} as a text; name each once")
    handed = {str(name): _hand_over(rows, f"bank {name}", settings) for name, rows in banks.items()}
    tests = {name: _hand_over(rows, where, settings) for name, where, rows in _tests(test, tuple(handed))}
    every = [*handed.values(), *tests.values()]
    first = every[0]
    for other in every[1:]:
        _require_alike(first, other)

    schema = infer(first.source, _declaration(settings, labels_beside=first.labels is not None))
    if not (schema.numbers or schema.texts):
        raise DataError("the rows have no column to learn from; give them at least one beside the labels")
    if not (schema.time or schema.amount or schema.texts):
        schema = replace(schema, plain=True)
    pattern = _CLASS if first.labels is not None else None

    def built(table: _Handed) -> Transactions:
        return build(table.source, schema, labelled=True, pattern=pattern).sorted_by_time()

    tables = {name: built(table) for name, table in handed.items()}
    used = {name: use for name, use in uses(schema).items() if name != _LABEL}
    tested = {name: built(table) for name, table in tests.items()}
    return Given(
        banks=tables,
        test=None if test is None else tested.get("", tested),
        row_shape=first.row_shape,
        classes=1 + max(1, *(int(table.pattern.max(initial=0)) for table in (*tables.values(), *tested.values()))),
        used=used,
        ignored=tuple(name or NO_NAME for name in first.columns if name not in used),
        warnings=warnings_about(concatenate([*tables.values()])),
    )


def _declaration(settings: Data, *, labels_beside: bool) -> Declaration:
    if labels_beside and settings.label is not None:
        raise ConfigurationError(
            f"labels came beside the rows, and column {settings.label!r} is declared as label; leave out one of them"
        )
    if not labels_beside and settings.label is None:
        raise ConfigurationError("the rows have no labels; hand over (rows, labels), or declare their column as label")
    declared = settings.declaration()
    return Declaration(**{**declared, "label": _LABEL, "pattern": _CLASS}) if labels_beside else Declaration(**declared)


def _tests(test: Any, banks: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    """The bank ("" for all of them), what errors call the table, and the rows."""
    named = {str(name): rows for name, rows in test.items()} if isinstance(test, Mapping) else {}
    if {*named} & {*banks}:
        if {*named} != {*banks}:
            raise ConfigurationError("test rows are of some banks only; hand over one table for all, or one for each")
        yield from ((name, f"test of {name}", named[name]) for name in banks)
    elif test is not None:
        yield "", "test", test


def _hand_over(rows: Any, where: str, settings: Data) -> _Handed:
    table, labels = rows if isinstance(rows, tuple) and len(rows) == 2 else (rows, None)
    arrow, row_shape = _arrow(table, where)
    columns = tuple(arrow.column_names)
    if not columns:
        raise DataError(f"{where} hands over no columns; give its rows at least one")
    if arrow.num_rows == 0:
        raise DataError(f"{where} hands over no rows; give each bank and the test at least one")
    if len({*columns}) < len(columns) or {_LABEL, _CLASS} & {*columns}:
        raise DataError(f"{where} has two columns of one name, or {_LABEL}; give every column a name of its own")
    if any(reads_as_value(name) and not name.isdecimal() for name in columns):
        raise DataError(
            f"{where} has columns that are called like values, which errors and reports would show; name them"
        )
    classes = None if labels is None else _labels(labels, arrow.num_rows, where)
    if classes is not None:
        arrow = arrow.append_column(_LABEL, pa.array(classes > 0)).append_column(_CLASS, pa.array(classes))
    named = {settings.label, settings.time, settings.amount}
    named |= {*settings.numeric, *settings.categorical, *settings.identifiers}
    if PATTERN_COLUMN in columns and PATTERN_COLUMN not in named:
        arrow = arrow.drop_columns([PATTERN_COLUMN])  # it tells the label
    return _Handed(Source(where, arrow), columns, row_shape, classes)


def _arrow(table: Any, where: str) -> tuple[pa.Table, tuple[int, ...] | None]:
    """The columns of a table; and the shape of a row, where it has more than one axis."""
    if not isinstance(table, Mapping) and not hasattr(table, "__arrow_c_stream__"):
        return _columns(_array(table, where), table, where)
    arrow = None
    try:
        if isinstance(table, Mapping):
            arrow = pa.table({name: pa.array(_array(column, where)) for name, column in table.items()})
        else:
            arrow = pa.table(table.reset_index(drop=True) if hasattr(table, "reset_index") else table)
    except _UNREADABLE:
        pass  # they quote values
    if arrow is None:
        raise DataError(
            f"{where} cannot be read as columns; give all columns one length, a name that is a text, and values of one "
            "kind"
        )
    return arrow.drop_columns([name for name in arrow.column_names if _is_index(name)]), None


_UNREADABLE = (pa.ArrowException, ValueError, TypeError, OverflowError, RuntimeError)


def _is_index(name: str) -> bool:
    return name in INDEX_NAMES or name.startswith("__index_level_")


def _columns(rows: NDArray[Any], table: Any, where: str) -> tuple[pa.Table, tuple[int, ...] | None]:
    """A column of each number in a row."""
    if rows.ndim < 2 or rows.dtype.kind not in "biuf":
        found = f"an array of {rows.ndim} axes and values of type {rows.dtype}"
        found = found if rows.ndim else f"a {type(table).__name__}"
        raise DataError(
            f"{where} is {found}; give a data frame, or an array of numbers with a row for each example (dense, and "
            "collected)"
        )
    flat = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    columns = [pa.array(np.ascontiguousarray(column)) for column in flat.T]
    names = [f"x{number}" for number in range(len(columns))]
    return pa.table(columns, names=names), rows.shape[1:] if rows.ndim > 2 else None


def _array(values: Any, where: str) -> NDArray[Any]:
    """An array, or a tensor on any device, in types that Arrow knows; masked numbers are missing (NaN)."""
    array = None
    try:
        if hasattr(values, "detach"):
            values = values.detach().cpu().to_dense().resolve_neg()
            values = values.float() if values.is_floating_point() and values.itemsize < 4 else values
        array = values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    except _UNREADABLE:
        pass
    if array is None:
        raise DataError(f"{where} holds a {type(values).__name__} that is no array; give numbers of one shape")
    if isinstance(array, np.ma.MaskedArray):
        numbers = array.dtype.kind in "biuf"
        array = np.ma.filled(array.astype(np.float64), np.nan) if numbers else np.ma.filled(array)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _labels(labels: Any, rows: int, where: str) -> NDArray[np.int64]:
    """int64 [n]. Raises `DataError` for what is no class from 0 on."""
    values = _array(labels, where)
    values = values.reshape(len(values)) if values.ndim == 2 and values.shape[1] == 1 else values
    if values.shape != (rows,):
        raise DataError(f"{where} has {rows} rows and labels of shape {values.shape}; give each row one label")
    if values.dtype.kind not in "biuf" or not np.isin(values, np.arange(MAX_PATTERN + 1)).all():
        raise DataError(
            f"{where} has labels that are no classes; give 0 for honest rows and 1 for fraud, or classes from 0 to "
            f"{MAX_PATTERN}"
        )
    return values.astype(np.int64)


def _require_alike(first: _Handed, other: _Handed) -> None:
    ours, theirs = {*first.source.names}, {*other.source.names}
    if ours != theirs:
        differing = sorted(ours ^ theirs)[:5]
        raise DataError(
            f"{other.source.path} has other columns than {first.source.path} ({quoted(differing)} in one of them "
            "only); give all tables the same columns, and labels to all in one way"
        )
    if first.row_shape != other.row_shape:
        raise DataError(f"{other.source.path} has rows of another shape than {first.source.path}; give all the same")
