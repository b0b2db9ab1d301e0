"""Groups of rows that people ask about: by a category, by ranges of a number, or by bank.

    region              each value of a categorical column
    age:30,50,65        a number below 30, from 30 on below 50, ...
    bank                each bank; its sums are then that bank's own figures, for all to see

Names of groups are public: banks that are apart agree on them before anything is summed. Identifiers make no groups,
since a group of one customer's rows is that customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.opening import AuditedBank
from secure_fl.data import Schema, Transactions
from secure_fl.data.transactions import quoted
from secure_fl.errors import ConfigurationError, DataError

BANK = "bank"
MOST_GROUPS = 40
_EMPTY, _MISSING = "(empty)", "(missing)"


@dataclass(frozen=True)
class Grouping:
    """One way to part all banks' rows."""

    column: str
    names: tuple[str, ...]
    members: tuple[NDArray[np.int64], ...] = field(repr=False)
    """For each bank the group of each row, [n]. Never leaves the bank."""

    def mask(self, bank: int, group: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these rows of a bank are in a group."""
        chosen: NDArray[np.bool_] = self.members[bank][rows] == group
        return chosen


def group_rows(asked: Sequence[str], banks: Sequence[AuditedBank]) -> tuple[Grouping, ...]:
    """Raises `DataError` for a column that is not there, `ConfigurationError` for one that makes no groups."""
    groupings = tuple(_group(text, banks) for text in asked)
    if len({grouping.column for grouping in groupings}) < len(groupings):
        raise ConfigurationError("a group column is named twice; name each once, numbers with all of their edges")
    return groupings


def _group(asked: str, banks: Sequence[AuditedBank]) -> Grouping:
    schema = banks[0].table.schema
    column, _, edges = (asked, "", "") if asked in (*schema.texts, *schema.numbers) else asked.rpartition(":")
    column, edges = (edges, "") if not column else (column, edges)
    if column == BANK and column not in (*schema.texts, *schema.numbers):
        if edges:
            raise ConfigurationError(f"banks are no numbers; write {BANK} without edges behind it")
        sizes = [len(bank.raw) for bank in banks]
        members = tuple(np.full(size, number, dtype=np.int64) for number, size in enumerate(sizes))
        return Grouping(BANK, tuple(bank.name for bank in banks), members)
    _require_groupable(column, edges, schema)
    if column in schema.categorical:
        return _by_value(column, [bank.table for bank in banks])
    return _by_range(column, _edges(asked, edges), [bank.table for bank in banks])


def _require_groupable(column: str, edges: str, schema: Schema) -> None:
    if column in schema.identifiers:
        raise ConfigurationError(
            f"{quoted([column])} is an identifier, and a group of one customer is that customer; group by a category, "
            "a number with edges, or bank"
        )
    there = (*schema.categorical, *schema.numbers)
    if column not in there:
        raise DataError(
            f"the rows have no column {quoted([column])} to group by; use {quoted((*there, BANK))}, numbers with edges "
            "such as amount:10,100"
        )
    if column in schema.numbers and not edges:
        raise ConfigurationError(f"{quoted([column])} is a number; give edges of its groups, such as {column}:10,100")
    if column in schema.categorical and edges:
        raise ConfigurationError(f"{quoted([column])} is a category; leave out the edges behind it")


def _edges(asked: str, text: str) -> list[float]:
    try:
        edges = [float(part) for part in text.split(",")]
    except ValueError:
        edges = []
    if not edges or not np.isfinite(edges).all() or sorted({*edges}) != edges:
        raise ConfigurationError(f"{asked!r} has no rising edges; write numbers between commas, such as amount:10,100")
    return edges


def _by_value(column: str, tables: Sequence[Transactions]) -> Grouping:
    names = sorted({str(value) for table in tables for value in np.unique(table.text[column].astype(str))})
    if len(names) > MOST_GROUPS:
        raise ConfigurationError(
            f"{quoted([column])} has {len(names)} values, and groups are at most {MOST_GROUPS}; group by a coarser one"
        )
    members = tuple(np.searchsorted(names, table.text[column].astype(str)).astype(np.int64) for table in tables)
    empty = _EMPTY
    while empty in names:  # a value of that name is another group
        empty = f"({empty})"
    return Grouping(column, tuple(name or empty for name in names), members)


def _by_range(column: str, edges: list[float], tables: Sequence[Transactions]) -> Grouping:
    texts = [short if float(short) == edge else repr(edge) for edge, short in ((edge, f"{edge:g}") for edge in edges)]
    between = [f"{low} to {high}" for low, high in pairwise(texts)]
    names = [f"below {texts[0]}", *between, f"from {texts[-1]}"]
    gaps = any(np.isnan(table.numeric[column]).any() for table in tables)
    members = []
    for table in tables:
        values = table.numeric[column]
        places = np.searchsorted(edges, values, side="right")
        members.append(np.where(np.isnan(values), len(names), places).astype(np.int64))
    return Grouping(column, (*names, _MISSING) if gaps else tuple(names), tuple(members))
