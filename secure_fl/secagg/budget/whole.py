"""Whole numbers that people give to the planner."""

from __future__ import annotations

import operator
from typing import SupportsIndex

from secure_fl.errors import PlanError


def whole(name: str, value: object) -> int:
    """A Python int from anything that counts, numpy's integers included. Raises `PlanError`."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise PlanError(f"{name} is {value!r}, which is not a whole number; change {name}")
    return operator.index(value)
