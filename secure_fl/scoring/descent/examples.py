"""Rows and labels before they are encrypted: what a task takes, and everything that is refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from secure_fl.errors import DataError
from secure_fl.scoring.descent.task import DescentTask
from secure_fl.scoring.network import Matrix, Vector
from secure_fl.scoring.rows import numbers, require_within

_NO_NUMBERS = "rows or labels are not numbers; give arrays [rows, features] and [rows]"
_ROUNDING = 1e-9
"""Relative, of a mean of squares in float64."""


def check_examples(task: DescentTask, rows: ArrayLike, labels: ArrayLike) -> tuple[Matrix, Vector]:
    """Float64 [n, features] and [n]. Raises `DataError`, which names a row and never a value."""
    values, marks = (numbers(given, _NO_NUMBERS) for given in (rows, labels))
    if values.shape != (task.rows, task.features):
        raise DataError(
            f"rows have the shape {list(values.shape)}, and the plan is for [{task.rows}, {task.features}]; plan for "
            "as many as there are"
        )
    if marks.shape != (task.rows,):
        raise DataError(f"labels have the shape {list(marks.shape)}, and there are {task.rows} rows; give one a row")
    require_within(task.clip, values)
    unknown = (marks != 0) & (marks != 1)
    if unknown.any():
        raise DataError(f"row {int(unknown.argmax())} has a label that is neither 0 nor 1; drop it or label it")
    if np.mean(values**2) > task.mean_square * (1 + _ROUNDING):
        raise DataError(
            f"the mean square of all features is above the {task.mean_square:g} of the plan; standardize features, or "
            "plan with a larger mean_square"
        )
    return values, marks
