"""Tables as people hand them over -> Arrow columns, and labels beside them: data frames, mappings, arrays, tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from secure_fl.data.sources import Source, reads_as_value
from secure_fl.data.tables import INDEX_NAMES, PATTERN_COLUMN
from secure_fl.data.transactions import MAX_PATTERN, quoted
from secure_fl.errors import DataError
from secure_fl.settings import Data

LABEL, CLASS = "(label)", "(class)"
"""Columns for labels that come beside a table."""


@dataclass(frozen=True)
class Handed:
    """One table as it came."""

    source: Source
    columns: tuple[str, ...]
    """Names of all that it had, without an index."""
    row_shape: tuple[int, ...] | None
    labels: NDArray[np.int64] | None
    """[n]; None where a column of the table holds them."""


def hand_over(rows: Any, where: str, settings: Data) -> Handed:
    """A table and its labels. Raises `DataError`, which calls it `where`, and names no value."""
    table, labels = rows if isinstance(rows, tuple) and len(rows) == 2 else (rows, None)
    arrow, row_shape = _arrow(table, where)
    columns = tuple(arrow.column_names)
    if not columns:
        raise DataError(f"{where} hands over no columns; give its rows at least one")
    if arrow.num_rows == 0:
        raise DataError(f"{where} hands over no rows; give each bank and the test at least one")
    if len({*columns}) < len(columns) or {LABEL, CLASS} & {*columns}:
        raise DataError(f"{where} has two columns of one name, or {LABEL}; give every column a name of its own")
    if any(reads_as_value(name) and not name.isdecimal() for name in columns):
        raise DataError(
            f"{where} has columns that are called like values, which errors and reports would show; name them"
        )
    classes = None if labels is None else _labels(labels, arrow.num_rows, where)
    if classes is not None:
        arrow = arrow.append_column(LABEL, pa.array(classes > 0)).append_column(CLASS, pa.array(classes))
    named = {settings.label, settings.time, settings.amount}
    named |= {*settings.numeric, *settings.categorical, *settings.identifiers}
    if PATTERN_COLUMN in columns and PATTERN_COLUMN not in named:
        arrow = arrow.drop_columns([PATTERN_COLUMN])  # it tells the label
    return Handed(Source(where, arrow), columns, row_shape, classes)


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


def require_alike(first: Handed, other: Handed) -> None:
    """Raises `DataError` where two tables have other columns, or rows of another shape."""
    ours, theirs = {*first.source.names}, {*other.source.names}
    if ours != theirs:
        differing = sorted(ours ^ theirs)[:5]
        raise DataError(
            f"{other.source.path} has other columns than {first.source.path} ({quoted(differing)} in one of them "
            "only); give all tables the same columns, and labels to all in one way"
        )
    if first.row_shape != other.row_shape:
        raise DataError(f"{other.source.path} has rows of another shape than {first.source.path}; give all the same")
