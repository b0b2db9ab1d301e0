"""The rows of a file with declared columns, which tests ask for in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from secure_fl.data import Declaration, Transactions, read_table


def load_table(path: Path, **declared: Any) -> Transactions:
    """`declared`: as `Declaration` has it."""
    return read_table(path, Declaration(**declared)).transactions
