"""Rows before they are encrypted: what a plan takes, and everything that is refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from secure_fl.errors import DataError
from secure_fl.scoring.network import Matrix
from secure_fl.scoring.plans import ScoringPlan


def check_rows(plan: ScoringPlan, rows: ArrayLike) -> Matrix:
    """The features that are sent, float64 [n, positions]. Raises `DataError`, which names a row and never a value."""
    try:
        values = np.asarray(rows, dtype=np.float64)
    except (ValueError, TypeError):
        raise DataError("rows are not a table of numbers; give an array [rows, features]") from None
    if values.ndim != 2 or values.shape[1] != plan.features:
        raise DataError(
            f"rows have the shape {list(values.shape)}, and the model takes [rows, {plan.features}]; encode them with "
            "the model's schema"
        )
    if not len(values):
        raise DataError("there is no row to score; give at least one")
    outside = ~(np.abs(values) <= plan.clip).all(axis=1)
    if outside.any():
        raise DataError(
            f"row {int(outside.argmax())} leaves the clip range [-{plan.clip:g}, {plan.clip:g}] or is not a number; "
            "clip features before they are encrypted"
        )
    unknown = values[:, list(plan.must_be_zero)] != 0
    if unknown.any():
        row, place = (int(part) for part in np.argwhere(unknown)[0])
        raise DataError(
            f"row {row} has feature {plan.must_be_zero[place]}, which was zero in all training rows and is not sent; "
            "set it to zero, or compile the model with rows that have it"
        )
    return values[:, list(plan.positions)]
