"""Rows before they are encrypted: what a plan takes, and everything that is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from secure_fl.errors import DataError
from secure_fl.scoring.network import Matrix
from secure_fl.scoring.plans import ScoringPlan

_BLOCK = 1 << 14
"""Rows that are looked at together, so that a large table needs no second one beside it."""


def check_rows(plan: ScoringPlan, rows: ArrayLike) -> NDArray[Any]:
    """The table as it came, [n, features]. Raises `DataError`, which names a row and never a value."""
    table = _numbers(rows)
    if table.ndim != 2 or table.shape[1] != plan.features:
        raise DataError(
            f"rows have the shape {list(table.shape)}, and the model takes [rows, {plan.features}]; encode them with "
            "the model's schema"
        )
    if not len(table):
        raise DataError("there is no row to score; give at least one")
    for start in range(0, len(table), _BLOCK):
        _check_block(plan, table[start : start + _BLOCK], start)
    return table


def sent(plan: ScoringPlan, table: NDArray[Any]) -> Matrix:
    """The features that are sent of checked rows, float64 [n, positions]."""
    return table[:, list(plan.positions)].astype(np.float64)


def _numbers(rows: ArrayLike) -> NDArray[Any]:
    if isinstance(rows, np.ndarray) and rows.dtype in (np.float32, np.float64):
        return rows
    return numbers(rows, "rows are not a table of numbers; give an array [rows, features]")


def numbers(given: ArrayLike, refusal: str) -> NDArray[np.float64]:
    """As float64. Raises `DataError`, with this text, for what is no array of real numbers."""
    try:
        if np.iscomplexobj(given):
            raise TypeError
        return np.array(given, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise DataError(refusal) from None


def require_within(clip: float, values: NDArray[Any], start: int = 0) -> None:
    """Raises `DataError` where a row leaves the clip range; `start`: the number of the first row."""
    outside = ~(np.abs(values) <= clip).all(axis=1)
    if outside.any():
        raise DataError(
            f"row {start + int(outside.argmax())} leaves the clip range [-{clip:g}, {clip:g}] or is not a number; "
            "clip features before they are encrypted"
        )


def _check_block(plan: ScoringPlan, values: NDArray[Any], start: int) -> None:
    require_within(plan.clip, values, start)
    unknown = values[:, list(plan.must_be_zero)] != 0
    if unknown.any():
        row, place = (int(part) for part in np.argwhere(unknown)[0])
        raise DataError(
            f"row {start + row} has feature {plan.must_be_zero[place]}, which was zero in all training rows and is not "
            "sent; set it to zero, or compile the model with rows that have it"
        )
